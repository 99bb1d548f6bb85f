# %% [markdown]
# # 13. From the graph to machine speed
#
# Training runs one graph again and again, on other numbers. After this lesson you can compile a graph, read
# the program that comes out, and train with it.
#
# *From the lectures: L4 and L5, Algorithms 6.1 and 6.2, now as a program; L28, the loop.*

# %%
from math import isclose, tanh
from timeit import timeit

from lesson import sheet, show

from autograd import Graph, Value, label_from
from nn import MLP, SGD, cross_entropy, fit
from nn.data import moons
from viz import draw
from viz.plots import decision_boundary

# %% [markdown]
# ## Record once
#
# One unit, y = tanh(w·x + b), and its loss E on one example: a new x and d come each time, w and b stay.

# %%
x, d, w, b = Value(0.5), Value(1.0), Value(-1.5), Value(1.0)
p = w * x
a = p + b
y = a.tanh()
e = y - d
s = e * e
E = 0.5 * s
label_from(locals())
E.backward()
show(draw(E, parameters=[w, b], rankdir="TB"), "13-recorded")

# %% [markdown]
# ## Compile, and read
#
# A program is what the two algorithms do, written down as plain arithmetic. Each operation has a line.

# %%
program = Graph(E).compile(inputs=[x, d], wrt=[w, b], backend="source")
print(program.source())

# %% [markdown]
# *forward* is Algorithm 6.1: a line for each u(i) = f(A(i)), after its parents. *backward* is Algorithm 6.2:
# each ∂E/∂u(j) comes after those of its children. s = e · e uses e twice: hence the sum t + t. Where a slope is 1,
# as from e to y, one line does for both. At the tanh it is (1 − y)(1 + y). x and d are not in `wrt`: no line.
#
# ## Run
#
# Now no node is made. The numbers are those of `backward` *to the last bit*; in machine code, to 12 digits. A batch
# runs in one call, and gives the mean loss with its gradient.

# %%
value, gradient = program(0.5, 1.0)
assert (value, *gradient) == (E.data, w.grad, b.grad)
fast = Graph(E).compile(inputs=[x, d], wrt=[w, b])  # machine code, if llvmlite is installed
for at, target in [(0.5, 1.0), (2.0, -1.0), (-0.3, 0.2)]:
    value, gradient = fast(at, target)
    by_hand = tanh(-1.5 * at + 1.0)
    slope = (by_hand - target) * (1.0 - by_hand**2)
    assert isclose(value, 0.5 * (by_hand - target) ** 2, rel_tol=1e-12)
    assert isclose(gradient[0], slope * at, rel_tol=1e-12)
    assert isclose(gradient[1], slope, rel_tol=1e-12)

# %%
rows = [(i / 500.0 - 1.0, 0.3) for i in range(1000)]
value, gradient = fast.batch(rows, reduction="mean")
units = [(at, tanh(-1.5 * at + 1.0)) for at, _ in rows]
by_hand = sum((y - 0.3) * (1.0 - y * y) * at for at, y in units) / 1000.0
assert isclose(gradient[0], by_hand, rel_tol=1e-9)

# %% [markdown]
# ## How much faster?
#
# The same 1,000 examples in three ways, in turns; of each the best of five, as a computer is never idle.


# %%
def recorded():
    for at, target in rows:
        (0.5 * ((w * at + b).tanh() - target) ** 2).backward()


ways = [recorded, lambda: [program(*row) for row in rows], lambda: fast.batch(rows)]
rounds = [[timeit(run, number=1) for run in ways] for _ in range(5)]
graph, python, batch = [min(times) for times in zip(*rounds, strict=True)]
print(f"program {graph / python:.0f}×, batch {graph / batch:.0f}× as fast; {fast.backend}")

# %% [markdown]
# ## Training
#
# `fit` compiles by itself where it pays; with `compiled=True`, always. The steps are the same up to rounding.

# %%
data, losses = moons(100, seed=1), []
for compiled in (False, True):
    model = MLP(2, [8, 2], activation="tanh", seed=1)
    sgd = SGD(model.parameters(), lr=0.5, momentum=0.9)
    told = fit(model, cross_entropy, data, sgd, epochs=100, compiled=compiled, progress=False)
    print(f"loss {told.losses[-1]:.5f}, {told.path}")
    losses.append(told.losses)
assert all(isclose(p, q, rel_tol=1e-6) for p, q in zip(*losses, strict=True))
assert all(model(x)[d].data > model(x)[1 - d].data for x, d in data)  # each is in its class
show(decision_boundary(model, data), "13-moons")

# %% [markdown]
# ## Exercises
#
# 1. On paper: write the program of f = (a · b) · (a + b), forward and backward, as `source()` would.
# 2. Collect `model.state_dict()` after each epoch with `after_epoch`, and write a `viz.training_page`.
# 3. Why can a program not follow an `if` that looks at a Value?
#
# A worksheet to print, with its key: y at other numbers.

# %%
sheet(y, "13-worksheet", seed=13)
