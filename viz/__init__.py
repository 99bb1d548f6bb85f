"""Pictures and derivations of computational graphs."""

from viz.derivation import explain
from viz.dot import Picture, draw, draw_dot, save

__all__ = ["Picture", "draw", "draw_dot", "explain", "save"]
