"""Pictures and derivations of computational graphs."""

import typing

from viz.chain import explain
from viz.derivation import Derivation
from viz.drawing import draw, draw_dot, network, save
from viz.film import training_page
from viz.page import Page, page
from viz.picture import Picture
from viz.sorting import WhySort, why_sort
from viz.table import Table, graph_table
from viz.tree import tree
from viz.worksheet import worksheet

__all__ = [
    "Derivation",
    "Page",
    "Picture",
    "Table",
    "WhySort",
    "draw",
    "draw_dot",
    "explain",
    "graph_table",
    "network",
    "page",
    "save",
    "training_page",
    "tree",
    "why_sort",
    "worksheet",
]


if not typing.TYPE_CHECKING:  # it would accept any name

    def __getattr__(name: str) -> object:
        if name == "plots":  # needs matplotlib: for those who ask
            import viz.plots

            return viz.plots
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "plots"]
