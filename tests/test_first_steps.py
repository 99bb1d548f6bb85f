"""What a newcomer types in the first minutes, from micrograd, PyTorch or JAX: it works, or the error has the cure."""

import importlib
import pydoc
import re
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import autograd
import nn
import viz
from autograd import Constant, Graph, Value, grad, jacobian, jit, value_and_grad
from nn import MLP, SGD, fit, squared_error

# As whoever has not read their types calls them.
a: Any = autograd
n: Any = nn
v: Any = viz


def neuron() -> tuple[Value, Value]:
    x = Value(2.0, label="x")
    o = (x * -3.0).tanh()
    o.label = "o"
    return o, x


MODULES = ["autograd", "nn", "viz", "nn.data", "nn.initializers", "nn.schedules", "viz.plots"]


@pytest.mark.parametrize("name", MODULES)
def test_completion_offers_what_one_uses(name: str) -> None:
    """What a module lists is its own: no module of Python, no helper, no annotation."""
    module = importlib.import_module(name)
    offered = dir(module)
    assert {*module.__all__} <= {*offered}
    for public in offered:
        held = getattr(module, public)
        assert not public.startswith("_")
        assert not isinstance(held, types.ModuleType) or held.__name__ in MODULES
        assert getattr(held, "__module__", name).startswith(name.partition(".")[0])
    missing = {
        public
        for public, held in vars(module).items()
        if not public.startswith("_") and isinstance(held, types.FunctionType) and held.__module__ == name
    } - {*offered}
    assert missing == set()


def test_plots_need_no_import_of_their_own() -> None:
    assert "plots" in dir(viz)
    assert v.plots.loss_curve is importlib.import_module("viz.plots").loss_curve
    with pytest.raises(AttributeError, match="module 'viz' has no attribute 'plot'"):
        v.plot  # noqa: B018


@pytest.mark.parametrize(
    ("name", "formula"),
    [
        ("tanh", "z = tanh(x), with ∂z/∂x = (1.0 - z) * (1.0 + z)"),
        ("mul", "z = x * y, with ∂z/∂x = y, ∂z/∂y = x"),
        ("where", "z = where(x1, x2, x3), with ∂z/∂x1 = 0.0"),
    ],
)
def test_help_on_a_function_is_about_that_function(name: str, formula: str) -> None:
    shown = pydoc.render_doc(getattr(autograd, name), renderer=pydoc.plaintext)  # type: ignore[attr-defined]
    assert formula in shown
    assert "absorbing" not in shown  # what a row consists of is for help(Operation)


def test_habits_that_work() -> None:
    o, x = neuron()
    o.backward()
    assert o.item() == o.data
    assert type(o.item()) is float
    x.grad = None  # as optimisers of PyTorch do
    assert not x.has_grad
    assert x.grad == 0.0
    constant = Constant(1.0)
    constant.grad = None
    assert constant.grad == 0.0

    @a.no_grad  # type: ignore[untyped-decorator]
    def square(x: Value) -> Value:
        return x * x

    assert isinstance(square(x), Constant)
    assert square.__name__ == "square"
    assert not isinstance(x * x, Constant)
    assert grad(lambda x, y: x * y)(3.0, y=2.0) == 2.0
    assert value_and_grad(lambda x, y: x * y)(3.0, y=2.0) == (6.0, 2.0)
    assert jacobian(lambda x, y: [x * y, x])(3.0, y=2.0) == [2.0, 1.0]


def test_displays() -> None:
    assert repr(jit(abs)) == "<jit of abs>"
    assert "Layer(2, 3, 'relu')" in repr(MLP(2, [3, 1], activation=autograd.relu))
    with pytest.raises(ValueError, match="at least one") as caught:
        autograd.logsumexp([])
    assert caught.value.__notes__ == ["in logsumexp([])"]


class Compiled:
    @jit
    def f(self, x: float) -> float:
        return x * x


def labelled(label: Any) -> Value:
    return viz.draw(Value(1.0, label=label) * 2.0) and Value(1.0)


MODEL: Any = MLP(2, [3, 1], seed=0)
RATE = SGD(MODEL.parameters(), lr=0.1)

MISTAKES: dict[str, tuple[Callable[[Value, Value], object], type[Exception], str]] = {
    "a list": (lambda o, x: a.Value([1, 2]), TypeError, "not list [1, 2]: give its numbers one at a time"),
    "an array": (
        lambda o, x: a.Value(pytest.importorskip("numpy").array(1.5)),
        TypeError,
        "not ndarray array(1.5): x.tolist() has plain numbers",
    ),
    "a Value as seed": (lambda o, x: a.Value.backward(o, x), TypeError, "label='x'): x.data is its number"),
    "a number as label": (lambda o, x: labelled(3), TypeError, "a label must be a text, such as '3', not int 3"),
    "Values in grad": (lambda o, x: a.grad(o, x), TypeError, "for Values, there is gradient(y, [x])"),
    "a number in derivative": (
        lambda o, x: a.derivative(2.0),
        TypeError,
        "a function is differentiated, not float 2.0",
    ),
    "Values in jacobian": (lambda o, x: a.jacobian(o), TypeError, "for Values, there is gradient(y, [x])"),
    "Values in gradcheck": (lambda o, x: a.gradcheck(o, [x]), TypeError, "for Values, there is gradient(y, [x])"),
    "one input": (
        lambda o, x: a.gradcheck(abs, 3.0),
        TypeError,
        "inputs must be a list of the function's arguments, such as [3.0]",
    ),
    "one primal": (
        lambda o, x: a.jvp(abs, 3.0, 1.0),
        TypeError,
        "primals must be a list of the function's arguments, such as [3.0]",
    ),
    "jit of a method": (lambda o, x: Compiled().f(3.0), TypeError, "write self.f = jit(self.f) in __init__"),
    "explain the wrong way round": (
        lambda o, x: v.explain(x, o),
        ValueError,
        "give the output first, as in explain(y, x)",
    ),
    "explain by a name": (lambda o, x: v.explain(o, "x"), TypeError, "explain needs two Values, the output and what"),
    "draw a model": (lambda o, x: v.draw(MODEL), TypeError, "not MLP: pass what it computes, or see viz.network"),
    "draw a list": (lambda o, x: v.draw([o]), TypeError, "not list: pass one Value, or Graph(*values)"),
    "a picture as a page": (lambda o, x: v.save(o, "o.html"), ValueError, "pages are written by viz.page"),
    "a page as a picture": (
        lambda o, x: v.page(o, "o.pdf"),
        ValueError,
        "'o.pdf' must end in .html; pictures are written by viz.save",
    ),
    "a batch": (lambda o, x: MODEL([[1.0, 2.0]]), ValueError, "was given 1: it takes one example at a time"),
    "a batch that fits": (lambda o, x: MODEL([[1.0, 2.0], [3.0, 4.0]]), TypeError, "give its numbers one at a time"),
    "a loss by name": (
        lambda o, x: n.fit(MODEL, "mse", [([0.0, 1.0], 1.0)], RATE, epochs=1),
        TypeError,
        "loss must be a function",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_errors_have_the_cure(mistake: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    make, kind, cure = MISTAKES[mistake]
    o, x = neuron()
    before = [(node.data, node.has_grad) for node in Graph(o)]
    with pytest.raises(kind, match=re.escape(cure)):
        make(o, x)
    assert [(node.data, node.has_grad) for node in Graph(o)] == before
    assert [*tmp_path.iterdir()] == []


def test_a_film_is_a_page(tmp_path: Path) -> None:
    states, data = [MODEL.state_dict()], [([0.0, 1.0], 1.0)]
    history = fit(MODEL, squared_error, data, RATE, epochs=1, progress=False)
    with pytest.raises(ValueError, match=r"'film\.pdf' must end in \.html"):
        viz.training_page(MODEL, history, tmp_path / "film.pdf", states=states, data=data, loss=squared_error)
    assert nn.fit is fit


def test_a_class_shows_a_compiled_method() -> None:
    """``help`` and other readers of classes look at it without an object."""
    assert repr(Compiled.f) == "<jit of f>"
