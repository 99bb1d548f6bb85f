"""Pictures and derivations of computational graphs."""

from viz.derivation import explain
from viz.drawing import draw, draw_dot, network, save
from viz.picture import Picture
from viz.tree import tree
from viz.worksheet import worksheet

__all__ = ["Picture", "draw", "draw_dot", "explain", "network", "save", "tree", "worksheet"]
