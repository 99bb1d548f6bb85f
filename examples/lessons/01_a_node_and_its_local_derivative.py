# %% [markdown]
# # 1. A node and its local derivative
#
# A long formula is many small steps. Each step is a node that knows three things: which operation
# it is, what it was computed from, and how strongly its result follows each of these.
# After this lesson you can take a formula apart into such steps.
#
# *From the lectures: L1, operations and their compositions.*

# %%
from math import exp, isclose

from lesson import sheet, show

from autograd import Graph, Value, label_from, maximum
from viz import draw

# %% [markdown]
# ## One step
#
# A `Value` is a number that remembers where it comes from. Multiply two, and look at what the
# product knows.

# %%
x, y = Value(3.0, label="x"), Value(-2.0, label="y")
z = x * y
z.label = "z"
print(z.data, z.op, z.parents)
assert z.data == -6.0
assert z.parents == (x, y)

# %% [markdown]
# *Leaves*, such as x and y, have no parents: we chose their numbers.
#
# ## The local derivative
#
# If x grows by a little, how far does z = x · y go? Each unit of x is worth y units of z. So
# ∂z/∂x = y, and likewise ∂z/∂y = x. Such a *local partial derivative* concerns one step only,
# and the node has one for each of its parents.

# %%
print(z.partials)
assert z.partials == (-2.0, 3.0)

h = 1e-6
assert isclose(((3.0 + h) * -2.0 - 3.0 * -2.0) / h, z.partials[0], rel_tol=1e-6)
assert isclose((3.0 * (-2.0 + h) - 3.0 * -2.0) / h, z.partials[1], rel_tol=1e-6)

# %% [markdown]
# `backward` asks how far z goes if a leaf moves. With one step between them, that is the local
# derivative itself. In the picture it is the pill ×k: what is in ink was computed from left to
# right, and what is in colour from right to left.

# %%
z.backward()
assert (x.grad, y.grad) == z.partials
show(draw(z), "01-one-step")

# %% [markdown]
# ## Other operations, other local derivatives
#
# The sum passes every change on as it is: ×1 on both sides. The maximum passes on the larger
# operand only: ×1 and ×0. The square of 5 grows ten times as fast as 5 does, ×10, its logarithm a fifth
# as fast, ×1/5. The sigmoid σ(a) = 1/(1 + e⁻ᵃ) is nearly flat at 5: σ′ = σ(1 − σ), ×0.0066.

# %%
a, b = Value(5.0, label="a"), Value(2.0, label="b")
for z in (a + b, maximum(a, b), a**2, a.log(), a.sigmoid()):
    print(f"{z.op.name:8} ×{z.partials[0]:.4g}")  # of a
assert (a + b).partials == (1.0, 1.0)
assert maximum(a, b).partials == (1.0, 0.0)
assert (a**2).partials[0] == 2.0 * 5.0
assert isclose(a.log().partials[0], 1.0 / 5.0)
sigma = 1.0 / (1.0 + exp(-5.0))
assert isclose(a.sigmoid().partials[0], sigma * (1.0 - sigma))
assert round(sigma * (1.0 - sigma), 4) == 0.0066

# %% [markdown]
# ## A composition
#
# A complicated function is a composition of simple ones: p = (x + y) · x is a sum, then a product.
# Python's own arithmetic builds the graph, one node for each operation.

# %%
x, y = Value(3.0), Value(-2.0)
s = x + y
p = s * x
label_from({"x": x, "y": y, "s": s, "p": p})
print(Graph(p))
assert len(Graph(p)) == 4
assert p.parents == (s, x)
assert p.data == (3.0 - 2.0) * 3.0
p.backward()
show(draw(p), "01-composition")

# %% [markdown]
# x has two arrows here, since it is used twice: by s and by p. How the local derivatives of the
# steps make the derivative of the whole is lesson 2, and what reuse means for it lesson 3.
#
# ## Exercises
#
# 1. On paper: which steps does q = a·b + a have, in which order, and what are their values for
#    a = 2, b = 3?
# 2. Build q, and draw it. Has it the cards, the arrows and the numbers that you wrote?
# 3. Why does a node keep the derivatives by its parents only, and not by every leaf?
#
# A worksheet to print, with its key: p at other numbers.

# %%
sheet(p, "01-worksheet", seed=1)
