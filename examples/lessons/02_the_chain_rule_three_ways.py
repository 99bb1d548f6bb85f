# %% [markdown]
# # 2. The chain rule, three ways
#
# A derivative can be found with pencil and paper, by moving the input a little, and by the graph.
# All three must agree. After this lesson you can read the chain rule off a picture.
#
# *From the lectures: L2, the scalar chain rule; L7, the gradient of x² + xy + y².*

# %%
from math import cos, isclose, sin

from lesson import sheet, show

from autograd import Graph, Value, gradcheck
from viz import draw, explain

# %% [markdown]
# ## A composition
#
# y = sin(x) and z = y², so z = sin²(x). The chain rule multiplies the derivatives of the parts:
#
#     dz/dx = dz/dy · dy/dx = 2y · cos(x)

# %%
x = Value(0.5, label="x")
y = x.sin()
z = y**2
y.label, z.label = "y", "z"
z.backward()

by_hand = 2.0 * sin(0.5) * cos(0.5)
assert isclose(x.grad, by_hand)
print(x.grad, by_hand)

# %% [markdown]
# The second way needs no mathematics: move x by a little, and see how far z moves.

# %%
h = 1e-6
moved = (sin(0.5 + h) ** 2 - sin(0.5 - h) ** 2) / (2.0 * h)
assert isclose(x.grad, moved, rel_tol=1e-8)
print(moved)

# %% [markdown]
# The third way is the graph. Each pill ×k is the derivative of one step, and the gradient flows from
# right to left through the pills: 1, then times 2y, then times cos(x).

# %%
assert isclose(z.partials[0], 2.0 * sin(0.5))
assert isclose(y.partials[0], cos(0.5))
show(draw(z), "02-composition")

# %%
show(explain(z, x, check=True))

# %% [markdown]
# A longer composition is a longer product. Say z = f(y), y = f(x) and x = f(w). Then, with these values or with
# all of them substituted:
#
#     dz/dw = f′(y) · f′(x) · f′(w) = f′(f(f(w))) · f′(f(w)) · f′(w)

# %%
w = Value(0.5, label="w")
x = w.sin()  # f = sin, and f′ = cos
y = x.sin()
z = y.sin()
x.label, y.label, z.label = "x", "y", "z"
z.backward()
show(explain(z, w))
assert isclose(w.grad, cos(sin(sin(0.5))) * cos(sin(0.5)) * cos(0.5))

# %% [markdown]
# ## Two variables
#
# f(x, y) = x² + xy + y² has the gradient (2x + y, x + 2y). Both x and y are used twice, so each
# collects two contributions; the picture shows the sums.

# %%
x, y = Value(2.0, label="x"), Value(-1.0, label="y")
f = x**2 + x * y + y**2
f.label = "f"
f.backward()
assert x.grad == 2.0 * 2.0 + (-1.0) == 3.0
assert y.grad == 2.0 + 2.0 * (-1.0) == 0.0
show(draw(f), "02-two-variables")

# %% [markdown]
# The gradient at (2, −1) is (3, 0). So a small step h in x changes f by about 3h, and one in y by next to
# nothing. Where else is ∂f/∂y = 0? On the line x + 2y = 0, and the graph agrees wherever we try.

# %%
graph = Graph(f)
for at in (-3.0, 0.5, 4.0):
    graph.forward({x: at, y: -at / 2.0})
    graph.zero_grad()  # backward adds to what is there
    graph.backward()
    assert y.grad == 0.0
    assert x.grad == 2.0 * at - at / 2.0

# %% [markdown]
# `gradcheck` does the second way for every input at once, and tells where the third disagrees.

# %%
show(gradcheck(lambda x, y: x**2 + x * y + y**2, [2.0, -1.0]))

# %% [markdown]
# ## Exercises
#
# 1. Write dz/dx of z = exp(x²) as a product, then build the graph and compare with `explain`.
# 2. f(x, y) = x²y + y: find its gradient at (1, 2) on paper. Which pills does the graph show?
# 3. Why is the finite difference with h = 1e-12 *worse* than with h = 1e-6? Try it: a float has 16 digits.
#
# A worksheet to print, with its key: the same graph with other numbers, and boxes instead of gradients.

# %%
sheet(f, "02-worksheet", seed=2)
