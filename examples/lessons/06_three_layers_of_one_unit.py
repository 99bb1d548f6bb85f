# %% [markdown]
# # 6. Three layers of one unit
#
# The smallest deep network is a chain: one unit after the other. It shows how back-propagation
# reuses its own results. After this lesson you can write down all its derivatives, and the rule by
# which each layer takes over from the next.
#
# *From the lectures: L8, a chain of three layers; L9, the recursion from layer to layer.*

# %%
from math import exp, isclose

from lesson import sheet, show

from autograd import Graph, Operation, Value, label_from
from viz import draw, explain

# %% [markdown]
# ## The chain
#
# f = σ(w₃ σ(w₂ σ(w₁x + b₁) + b₂) + b₃). As in this lecture, z is the pre-activation of a layer and
# a its activation: z₁ = w₁x + b₁, a₁ = σ(z₁), and so on. To keep the picture small, z = w·a + b is one
# operation here: we say how to compute it, its three local derivatives, and how to write it.

# %%
slopes = (lambda w, a, b, z: a, lambda w, a, b, z: w, lambda w, a, b, z: 1.0)
forms = ("%s * %s + %s", r"%s \cdot %s + %s")
affine = Operation("affine", lambda w, a, b: w * a + b, slopes, *forms)

# %%
x = Value(1.5)
w1, w2, w3 = Value(2.0), Value(-1.5), Value(3.0)
b1, b2, b3 = Value(-2.0), Value(0.5), Value(-1.0)
a1 = (z1 := affine(w1, x, b1)).sigmoid()
a2 = (z2 := affine(w2, a1, b2)).sigmoid()
f = (z3 := affine(w3, a2, b3)).sigmoid()
label_from(locals())
f.backward()
show(draw(f, parameters=[w1, w2, w3, b1, b2, b3], rankdir="TB"), "06-chain")

# %% [markdown]
# ## All six derivatives
#
# The forward pass in plain numbers, and σ′(z) = a(1 − a) of each layer:

# %%
numbers = [1.5]
for w, b in [(2.0, -2.0), (-1.5, 0.5), (3.0, -1.0)]:
    numbers.append(1.0 / (1.0 + exp(-(w * numbers[-1] + b))))
_, A1, A2, F = numbers
s1, s2, s3 = A1 * (1.0 - A1), A2 * (1.0 - A2), F * (1.0 - F)
assert isclose(f.data, F)

# %% [markdown]
# Each derivative is a product of local ones, along the only path to it. Read down: every line
# reuses what a line above has already.

# %%
assert isclose(b3.grad, s3)
assert isclose(w3.grad, s3 * A2)
assert isclose(b2.grad, s3 * 3.0 * s2)
assert isclose(w2.grad, s3 * 3.0 * s2 * A1)
assert isclose(b1.grad, s3 * 3.0 * s2 * -1.5 * s1)
assert isclose(w1.grad, s3 * 3.0 * s2 * -1.5 * s1 * 1.5)

# %% [markdown]
# The path to w₁ is the longest. The derivation names its factors; in the picture above they are the
# pills. w₂ leaves this path at z₂: from f to z₂ it is the same product, found once.

# %%
show(explain(f, w1, paths=True))
show(draw(f, highlight=w1, detail="compact"), "06-path-to-w1")
assert isclose(w2.grad / z2.grad, A1)
assert isclose(w1.grad / z2.grad, -1.5 * s1 * 1.5)

# %% [markdown]
# ## The recursion
#
# So for every layer ℓ, from the last to the first, with what the layer above has found:
#
#     ∂f/∂w(ℓ) = ∂f/∂a(ℓ)   · ∂a(ℓ)/∂z(ℓ)     · ∂z(ℓ)/∂w(ℓ)
#     ∂f/∂a(ℓ) = ∂f/∂a(ℓ+1) · ∂a(ℓ+1)/∂z(ℓ+1) · ∂z(ℓ+1)/∂a(ℓ)
#
# It starts at ∂f/∂a(3) = 1, since a(3) is f. The local derivatives are σ′, then the input for the
# weight, 1 for the bias, and the weight for the way on.

# %%
g = 1.0
for layer, (w, b) in [(3, (w3, b3)), (2, (w2, b2)), (1, (w1, b1))]:
    a, below = numbers[layer], numbers[layer - 1]
    g = g * a * (1.0 - a)  # now ∂f/∂z of this layer
    assert isclose(w.grad, g * below)
    assert isclose(b.grad, g)
    print(f"layer {layer}: ∂f/∂w = {g * below:.5f}, ∂f/∂b = {g:.5f}")
    g = g * w.data  # and ∂f/∂a of the layer below
assert isclose(x.grad, g)

# %% [markdown]
# Written out one by one, the six paths have 24 factors; the recursion goes over the 12 edges once.
# In a chain of L layers it is 2L(L + 1) against 4L: the same point as in lesson 3.

# %%
graph = Graph(f)
leaves = (w1, b1, w2, b2, w3, b3)
factors = [len(path.partials) for leaf in leaves for path in graph.paths(f, leaf)]
assert (sum(factors), len(graph.edges)) == (24, 12)

# %% [markdown]
# With several units in a layer, w gets two indices, and the way back becomes a sum: lesson 7.
#
# ## Exercises
#
# 1. On paper: add a fourth layer. Which of the six lines above change, and by which factor?
# 2. Multiply the three slopes s1·s2·s3. How small would that be for ten layers, at best?
# 3. Why does w₁ get such a small gradient here, although f depends on it?
#
# A worksheet to print, with its key: the first two layers at other numbers.

# %%
sheet(a2, "06-worksheet", seed=38)
