"""Large graphs in every public feature, and memory that does not grow; ``make load`` does both in full."""

import pytest

import autograd
import nn
import viz
from tests import load

SIZE = 2_000  # twice as deep as Python's stack, and ten times what is drawn
FEATURES = {name: work for name, work in load.outcomes(SIZE).items() if name != "training_page"}
#: What refuses, as it does at any size that no eye takes in.
REFUSED = "draw: ", "draw_dot: ", "draw, focus: wide", "save svg: ", "page: ", "worksheet: ", "network: ", "Symbol: dag"


@pytest.mark.parametrize("name", FEATURES)
def test_features(name: str) -> None:
    """Each gives the right answer, or says that there is too much, and what to do."""
    found = load.outcome(FEATURES[name])
    if name.startswith(REFUSED):
        assert found.startswith("refused: ValueError: ")
        assert any(cure in found for cure in ("ask for", "give", "scope"))
    else:
        assert found == "right"


#: Those that no graph makes larger: they are of one node each, or are named otherwise in the table.
APART = {
    *autograd.operations.BUILT_IN, "Value", "Constant", "Graph", "Program", "Operation", "name_scope",
    "data", "initializers", "schedules", "Layer", "Neuron", "Module", "Optimizer", "History", "confusion",
    "minibatch_gradients", "Derivation", "Page", "Picture", "Table", "WhySort",
}  # fmt: skip


def test_every_public_name_is_in_the_table() -> None:
    """As a feature, in what a feature calls, or among those apart."""
    with open(load.__file__, encoding="utf-8") as file:
        text = file.read()
    public = {name for module in (autograd, nn, viz) for name in module.__all__}
    assert {name for name in public - APART if name not in text} == set()


#: Codes are kept, up to a limit that has a test of its own.
KEPT = {"compiled", "compiled to Python", "jit"}


@pytest.mark.parametrize("name", sorted(load.repeated().keys() - KEPT))
def test_memory_does_not_grow(name: str) -> None:
    """Of what is done again and again, nothing is kept."""
    work, times = load.repeated()[name]
    few = max(20, times // 1000)
    work()
    assert load.grown(work, few) < 20_000  # NumPy keeps a few small arrays
