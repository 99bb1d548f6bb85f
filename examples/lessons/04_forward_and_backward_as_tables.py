# %% [markdown]
# # 4. Forward and backward, as tables
#
# The whole method is two loops: over the nodes from first to last for the values, and from last to
# first for the gradients. After this lesson you can do both on paper, as a table, and in a dozen lines.
#
# *From the lectures: L4, the forward pass (Algorithm 6.1); L5, the backward pass (Algorithm 6.2).*

# %%
from lesson import OUT, sheet, show

from autograd import Graph, Value, label_from
from viz import Page, draw, graph_table, page

# %% [markdown]
# ## An order
#
# f = c · d with c = a·b and d = a + c. We number the nodes u(1) … u(n), such that every node comes
# after its parents, Pa(u(i)). The last one, u(n), is the result.

# %%
a, b = Value(3.0), Value(-2.0)
c = a * b
d = a + c
f = c * d
label_from({"a": a, "b": b, "c": c, "d": d, "f": f})

order = list(Graph(f))
for i, node in enumerate(order, start=1):
    print(f"u({i}) = {node.label}, parents: {[parent.label for parent in node.parents]}")
    assert all(parent in order[: i - 1] for parent in node.parents)

# %% [markdown]
# b, a, c, d, f would do as well. But d before c would not: d is computed from c.
#
# ## Forward: Algorithm 6.1
#
# Each node has an operation, and A(i) are the values of its parents. Then u(i) = f(i)(A(i)), for i
# from 1 to n. The leaves have no parents: their numbers are given. Here it is in your own code.

# %%
u = {}
for node in order:
    if node.parents:
        u[node] = node.op(*[u[parent] for parent in node.parents])
    else:
        u[node] = node.data
print(list(u.values()))
assert list(u.values()) == [3.0, -2.0, 3.0 * -2.0, 3.0 + -6.0, -6.0 * -3.0]
assert [node.data for node in order] == list(u.values())

# %% [markdown]
# ## Backward: Algorithm 6.2
#
# Now from n down to 1. The gradient of u(n) by itself is 1. Every other node asks its children:
#
#     ∂u(n)/∂u(j) = Σ over all i with j ∈ Pa(u(i)):  ∂u(n)/∂u(i) · ∂u(i)/∂u(j)
#
# The children come later in the order, so they are done when it is j's turn. In the code, each child
# hands its share to its parents: the same sum, term by term.

# %%
g = dict.fromkeys(order, 0.0)
g[f] = 1.0
for child in reversed(order):
    for parent, partial in zip(child.parents, child.partials, strict=True):
        g[parent] += g[child] * partial
print(list(g.values()))

f.backward()
assert [node.grad for node in order] == list(g.values())

# %% [markdown]
# These are the engine's numbers. And are they right? f = ab(a + ab) = a²b + a²b², so on paper
# ∂f/∂a = 2ab + 2ab², and ∂f/∂b = a² + 2a²b.

# %%
assert g[a] == 2 * 3 * -2 + 2 * 3 * (-2) ** 2 == 12
assert g[b] == 3**2 + 2 * 3**2 * -2 == -27

# %% [markdown]
# ## Both passes as a table
#
# Read the values from the top down, the last column from the bottom up. c and a are used twice.

# %%
show(graph_table(f))
show(draw(f), "04-two-passes")

# %% [markdown]
# ## One step at a time
#
# `Graph.steps()` tells both passes event by event: three forward steps, and a backward step for
# each of the six arrows. Compare them with the terms of your loops.

# %%
steps = list(Graph(f).steps())
print(*steps, sep="\n")
assert len(steps) == 3 + 6
assert [step.contribution for step in steps[3:] if step.parent is c] == [-3.0, -6.0]

# %% [markdown]
# The same steps are on a page of their own, one file to open in any browser: walk through with the
# arrow keys, let it ask you for the next number, or drag a leaf.

# %%
print(page(f, OUT / "04-steps.html").name)
show(Page(f))

# %% [markdown]
# ## Exercises
#
# 1. On paper: make the table of g = (a + b) · b for a = 2, b = 3, forward and backward.
# 2. Run your two loops for a = 0.5 and b = 4, and compare with `graph.forward` and `graph.backward`.
# 3. Why may the backward loop not run in the order f, c, d? Which gradients would be wrong?
#
# A worksheet to print, with its key: the gradients of f, at other numbers.

# %%
sheet(f, "04-worksheet", seed=16)
