# %% [markdown]
# # 3. Reuse, sums, and why a topological sort
#
# A value that is used twice has two ways to reach the result, and its derivative is the sum over
# both. After this lesson you know in which order gradients have to be computed, and why plain
# recursion gets them wrong, or takes for ever.
#
# *From the lectures: L5, the sum over the children; L6, paths against edges.*

# %%
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
assert b.grad == (-2.0) ** 2 + 2.0 * (-2.0) * 3.0 == -8.0
show(draw(f), "03-reuse")

# %% [markdown]
# Two ribbons arrive at a, one by d and one by e, and its card shows their sum. The rule:
#
#     ∂f/∂a = Σ over the children i of a:  ∂f/∂u(i) · ∂u(i)/∂a
#
# The *children* of a are the values computed from it, here d and e. So ∂f/∂a can be computed only when
# those of *all* its children are known: 1 · 3 by d, and −6 · 1 by e.

# %%
show(explain(f, a, paths=True))

# %% [markdown]
# ## What goes wrong without an order
#
# Suppose a value that is visited hands its gradient to its parents, and then visits each of them. c = b + b
# hands 1 to b twice, and visits it twice. Each time, b = a + a hands *all* of its 2 to a twice: 8 in the end.

# %%
a = Value(1.0)
b = a + a
c = b + b
label_from({"a": a, "b": b, "c": c})
c.backward()
assert a.grad == 4.0  # c is 4a
assert Graph(c).naive_backward_visits().grads[a] == 2 * (2.0 + 2.0)
show(why_sort(c))

# %% [markdown]
# A *topological sort* lists every value after its parents. Read backward, every value comes after its
# children: when they all have sent their share, it hands on the sum, once.

# %%
order = [node.label for node in Graph(c)]
print(order)
assert order == ["a", "b", "c"]

# %% [markdown]
# ## Paths against edges
#
# Written out as a sum over paths, the gradient repeats the same factors again and again: double a
# number thirty times, and there are 2³⁰ paths from the first to the last, over just sixty edges.
# Sorted, the backward pass computes each gradient once, and goes over each edge once.

# %%
x = Value(1.0, label="x")
y = x
for _ in range(30):
    y = y + y
graph = Graph(y)
y.backward()
print(graph.path_count(y, x), "paths")
assert graph.path_count(y, x) == 2**30
assert len(graph.edges) == 60
assert x.grad == 2.0**30

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
