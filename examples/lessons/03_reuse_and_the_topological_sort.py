# %% [markdown]
# # 3. Reuse, sums, and why a topological sort
#
# A value that is used twice has two ways to reach the result, and its derivative is the sum over
# both. After this lesson you know in which order gradients have to be computed, and why plain
# recursion gets them wrong, or takes for ever.
#
# *From the lectures: L5, the sum over the children; L6, paths against edges.*

# %%
from math import isclose

from lesson import sheet, show

from autograd import Graph, Value, label_from
from viz import draw, explain, why_sort

# %% [markdown]
# ## Two ways to the result
#
# f = (a·b) · (a + b): both a and b are used twice.

# %%
a, b = Value(-2.0), Value(3.0)
d = a * b
e = a + b
f = d * e
label_from({"a": a, "b": b, "d": d, "e": e, "f": f})
f.backward()

by_hand = 2.0 * (-2.0) * 3.0 + 3.0**2  # f = a²b + ab², so ∂f/∂a = 2ab + b²
assert a.grad == by_hand == -3.0
show(draw(f), "03-reuse")

# %% [markdown]
# Two ribbons arrive at a, one by d and one by e, and its card shows their sum. The rule:
#
#     ∂f/∂a = Σ over the children i of a:  ∂f/∂u(i) · ∂u(i)/∂a
#
# so a can be computed only when *all* its children are done.

# %%
show(explain(f, a, paths=True))

# %% [markdown]
# ## What goes wrong without an order
#
# Suppose each value hands its gradient on as soon as it receives something. b = a + a receives
# twice what c = b + b sends, and hands on each time all that it has by then.

# %%
a = Value(1.0)
b = a + a
c = b + b
label_from({"a": a, "b": b, "c": c})
c.backward()
assert a.grad == 4.0  # c is 4a
show(why_sort(c))

# %% [markdown]
# A topological sort lists every value after its parents. Backward it means: a value comes when all
# its children have sent their share, and hands it on once.

# %%
order = [node.label for node in Graph(c)]
print(order)
assert order == ["a", "b", "c"]

# %% [markdown]
# ## Paths against edges
#
# Written out as a sum over paths, the gradient grows beyond measure: double a number thirty times,
# and there are 2³⁰ paths from the first to the last, over just sixty edges. Sorted, the backward
# pass goes over each edge once.

# %%
x = Value(1.0, label="x")
y = x
for _ in range(30):
    y = y + y
graph = Graph(y)
y.backward()
print(graph.path_count(y, x), "paths")
assert graph.path_count(y, x) == 2**30
assert x.grad == 2.0**30
assert isclose(y.data, x.grad)

# %% [markdown]
# ## Exercises
#
# 1. On paper: in g = (a + b) · (a − b), which ribbons arrive at b? Write ∂g/∂b as a sum, then
#    simplify it.
# 2. Build a graph in which a leaf is used three times, and find its three shares with `explain`.
# 3. Why is the sum over paths right, although nobody would compute it?
#
# A worksheet to print, with its key: the gradients of f, at other numbers.

# %%
sheet(f, "03-worksheet", seed=3)
