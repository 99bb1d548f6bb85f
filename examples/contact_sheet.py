"""Every view that there is, as PNG in ``out/pictures/`` with a page that shows them all: ``make pictures``."""

from collections.abc import Callable
from html import escape
from pathlib import Path

from autograd import Graph, Value, label_from, sigmoid
from examples.readme_pictures import deep_loss, neuron, reuse
from nn import MLP, Adam, binary_cross_entropy_with_logits, fit, initializers, squared_error
from nn.data import moons, split
from viz import draw, network, page, save, training_page, why_sort, worksheet
from viz.plots import activations, confusion, decision_boundary, gradient_norms, loss_curve

FOLDER = Path("out/pictures")
_LINKS = '<p><a href="neuron.html">the live page</a>, <a href="film.html">the training film</a></p>'


def flat() -> Value:
    """A dead ReLU and a saturated sigmoid: hardly any gradient passes."""
    x, v, w = Value(2.0), Value(-1.5), Value(3.5)
    h1 = (v * x).relu()
    h2 = sigmoid(w * x)
    y = h1 + h2
    label_from({"x": x, "v": v, "w": w, "h1": h1, "h2": h2, "y": y})
    y.backward()
    return y


def twice() -> Value:
    """The smallest graph for which plain recursion is wrong."""
    a = Value(1.0, label="a")
    b = a + a
    c = b + b
    label_from({"b": b, "c": c})
    return c


def small_network() -> Value:
    """The loss of a network 2-3-1 on one example."""
    x = [Value(0.5, label="x1"), Value(-1.0, label="x2")]
    loss = squared_error(MLP(2, [3, 1], "tanh", seed=1)(x), 1.0)
    loss.label = "loss"
    loss.backward()
    return loss


def main() -> None:
    """Draw them all."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    names = neuron()
    o, parameters = names["o"], [names["w1"], names["w2"], names["b"]]
    loss = small_network()
    data = moons(100)
    model = MLP(2, [8, 1], "tanh", seed=0)
    training, validation = split(data, 0.6)
    states: list[dict[str, float]] = []
    history = fit(
        model,
        binary_cross_entropy_with_logits,
        training,
        Adam(model.parameters(), lr=0.03),
        epochs=80,
        batch_size=10,
        validation=validation,
        after_epoch=lambda model: states.append(model.state_dict()),
        progress=False,
    )
    hidden = next(node for node in Graph(loss) if node.label == "h1[1]")

    def view(value: Value, **options: object) -> Callable[[Path], object]:
        return lambda path: save(value, path, **options)  # type: ignore[arg-type]

    views: dict[str, Callable[[Path], object]] = {
        "neuron": view(o, parameters=parameters),
        "neuron before backward": view(neuron(backward=False)["o"], parameters=parameters),
        "reuse": view(reuse()["f"], title="A value used twice collects both gradients"),
        "dead and saturated": view(flat()),
        "highlight": view(o, highlight=names["w1"], parameters=parameters),
        "without partials": view(o, hide="partials", parameters=parameters),
        "gradients only": view(o, hide="data", parameters=parameters),
        "top to bottom": view(o, rankdir="TB", parameters=parameters),
        "classic": view(o, style="classic"),
        "a network in full": view(loss),
        "compact": view(loss, detail="compact"),
        "focus": view(loss, focus=hidden, radius=1),
        "neurons": view(loss, detail="neurons"),
        "layers": view(loss, detail="layers"),
        "vanishing gradients": network(deep_loss("sigmoid", initializers.xavier_uniform)).save,
        "gradients that arrive": network(deep_loss("relu", initializers.kaiming_uniform)).save,
        "a network of weights": network(model).save,
        "why a sort": why_sort(twice()).picture().save,
        "worksheet": lambda path: worksheet(o, path, seed=1),
        "loss": loss_curve(history).savefig,
        "gradient norms": gradient_norms(history).savefig,
        "boundary": decision_boundary(model, data).savefig,
        "activations": activations().savefig,
        "confusion": confusion([[18, 1, 0], [0, 14, 3], [0, 1, 19]], ["cat", "dog", "fox"]).savefig,
    }
    shown = []
    for name, write in views.items():
        path = FOLDER / f"{name.replace(' ', '-')}.png"
        write(path)
        shown.append(
            f'<figure><a href="{path.name}"><img src="{path.name}"></a><figcaption>{name}</figcaption></figure>'
        )
    tree = escape(draw(o).text)
    loss_of = binary_cross_entropy_with_logits
    training_page(model, history, FOLDER / "film.html", states=states, data=data, loss=loss_of, frames=20)
    page(o, FOLDER / "neuron.html", parameters=parameters)
    style = "body{font:14px sans-serif;columns:3 420px}figure{break-inside:avoid;margin:0 0 2em}img{max-width:100%}"
    sheet = f"<!doctype html><meta charset=utf-8><title>All views</title><style>{style}</style>{_LINKS}{''.join(shown)}"
    (FOLDER / "index.html").write_text(f"{sheet}<pre>{tree}</pre>", encoding="utf-8")
    print(f"{len(views)} views: see {FOLDER / 'index.html'}")


if __name__ == "__main__":
    main()
