"""What every lesson needs: to show something, in a notebook or in a terminal."""

from pathlib import Path

from autograd import Value
from viz import worksheet

#: Where lessons put their pictures: below the folder in which they are run.
OUT = Path("out", "lessons")


def show(thing: object, name: str = "") -> None:
    """Show a picture, a derivation or a table: as it is in a notebook, as text in a terminal.

    Args:
        thing: what is shown.
        name: if given, a picture is also written, to ``out/lessons/<name>.svg``.
    """
    if name:
        OUT.mkdir(parents=True, exist_ok=True)
        path = OUT / f"{name}.svg"
        save = "savefig" if hasattr(thing, "savefig") else "save"  # matplotlib's, and ours
        getattr(thing, save)(path)
    if in_notebook():
        from IPython.display import display

        display(thing)
    else:
        print(path if name else thing, end="\n\n")


def sheet(value: Value, name: str, *, seed: int) -> None:
    """Write a worksheet and its key to ``out/lessons/``, and show the sheet; the key unfolds."""
    OUT.mkdir(parents=True, exist_ok=True)
    paper, key = worksheet(value, OUT / f"{name}.svg", seed=seed)
    if in_notebook():
        from IPython.display import HTML, display

        asked, told = (file.read_text(encoding="utf-8") for file in (paper, key))
        told = f"<details><summary>The key, {key.name}</summary>{told}</details>"
        display(HTML(asked + told))
    else:
        print(f"{paper}\n{key}")


def in_notebook() -> bool:
    """Whether there is a front end that shows more than text."""
    try:
        return get_ipython().has_trait("kernel")  # type: ignore[name-defined, no-any-return]
    except NameError:
        return False
