# %% [markdown]
# # 7. Layer by layer
#
# What a layer of neurons does fits on a few lines of vectors and matrices, forward and backward. After
# this lesson you can back-propagate through a network with plain lists.
#
# *From the lectures: L3, Jacobian times gradient; L10 and L11, Algorithms 6.3 and 6.4; L12, the errors δ.*

# %%
from math import exp, isclose

from lesson import sheet, show

from autograd import Graph, Value, jacobian, sigmoid, vjp
from nn import MLP, half_squared_error, l2
from nn.initializers import uniform
from viz import network

# %% [markdown]
# ## A network 2-3-1
#
# Two inputs, a hidden layer of three sigmoid units, and a linear output ŷ, which should be d. The
# loss is J = ½(ŷ − d)² + αΩ; the *penalty* Ω = ½‖W‖² keeps the weights small.

# %%
net = MLP(2, [3, 1], "sigmoid", "linear", init=uniform(-2.0, 2.0), bias_init=uniform(), seed=28)
x, d, alpha = [Value(1.0, label="x1"), Value(-0.5, label="x2")], 1.0, 0.01
J = half_squared_error(net(x), d) + alpha * l2(net)
J.label = "J"
J.backward()
show(network(J), "07-network")

# %% [markdown]
# ## Forward: Algorithm 6.3
#
# Write the weights of a layer as a matrix W, one row for each unit. Then layer after layer: the
# pre-activations a = b + W h, and h = g(a). At the start h is x, at the end it is ŷ.

# %%
W = [[[w.data for w in neuron.w] for neuron in layer.neurons] for layer in net.layers]
b = [[neuron.b.data for neuron in layer.neurons] for layer in net.layers]

h0 = [1.0, -0.5]
a1 = [c + u * h0[0] + v * h0[1] for (u, v), c in zip(W[0], b[0], strict=True)]
h1 = [1.0 / (1.0 + exp(-a)) for a in a1]
y = b[1][0] + sum(w * v for w, v in zip(W[1][0], h1, strict=True))  # linear: g(a) = a
omega = 0.5 * sum(w**2 for matrix in W for row in matrix for w in row)
assert isclose(J.data, 0.5 * (y - d) ** 2 + alpha * omega)
print(f"h1 = {[round(h, 4) for h in h1]}, ŷ = {y:.4f}, J = {J.data:.4f}")

# %% [markdown]
# ## Backward: Algorithm 6.4
#
# Start with g = ŷ − d, the gradient of J by ŷ. Then for each layer, from the last to the first:
#
#     g ← g ⊙ g′(a)            entry by entry; this is the error δ of the layer
#     ∇_b J = g                ∇_W J = g hᵀ + αW        with h, the layer's input
#     g ← Wᵀ g                 on to the layer below
#
# So the errors follow from each other: δ₂ = (ŷ − d) · 1, and δ₁ = W₂ᵀ δ₂ ⊙ g′(a₁).

# %%
layers = [(W[1], h1, [1.0]), (W[0], h0, [h * (1.0 - h) for h in h1])]  # W, the input h, g′(a)
g, errors, by_w = [y - d], [], []
for matrix, h, slopes in layers:
    g = [u * slope for u, slope in zip(g, slopes, strict=True)]
    errors.append(g)
    rows = zip(g, matrix, strict=True)
    by_w.append([[u * v + alpha * w for v, w in zip(h, row, strict=True)] for u, row in rows])
    columns = zip(*matrix, strict=True)
    g = [sum(w * u for w, u in zip(column, g, strict=True)) for column in columns]

# %% [markdown]
# The engine found the same, node by node. An error δ is the gradient of a pre-activation.

# %%
for layer, delta, matrix in zip(reversed(net.layers), errors, by_w, strict=True):
    for neuron, error, row in zip(layer.neurons, delta, matrix, strict=True):
        print(f"{neuron.name}: δ = {error:.4f}, by the weights {[round(v, 4) for v in row]}")
        assert isclose(neuron.b.grad, error)
        assert all(isclose(w.grad, v) for w, v in zip(neuron.w, row, strict=True))
found = {node.label: node.grad for node in Graph(J)}
assert all(isclose(found[f"h1[{j}].a"], error) for j, error in enumerate(errors[1]))
assert all(isclose(v.grad, u) for v, u in zip(x, g, strict=True))

# %% [markdown]
# ## Jacobian times gradient
#
# The chain rule for vectors is ∇ₓJ = (∂h/∂x)ᵀ ∇ₕJ. The Jacobian ∂h/∂x has a row for each output and
# a column for each input; here its entries are g′(aⱼ)Wⱼᵢ. The steps g ⊙ g′(a) and Wᵀ g are this
# product, and never build the matrix. Nor does `vjp`, which is backward for any function of lists.


# %%
def hidden(x):
    return [sigmoid(c + v * x[0] + w * x[1]) for (v, w), c in zip(W[0], b[0], strict=True)]


matrix = jacobian(hidden)(h0)
for row, weights, h in zip(matrix, W[0], h1, strict=True):
    print([round(entry, 4) for entry in row])
    assert all(isclose(entry, h * (1.0 - h) * w) for entry, w in zip(row, weights, strict=True))
by_h1 = [w * errors[0][0] for w in W[1][0]]
(product,) = vjp(hidden, h0)[1](by_h1)
print("(∂h/∂x)ᵀ ∇ₕJ =", [round(u, 4) for u in product])
for v, u, column in zip(product, g, zip(*matrix, strict=True), strict=True):
    assert isclose(v, u)
    assert isclose(sum(entry * s for entry, s in zip(column, by_h1, strict=True)), u)

# %% [markdown]
# ## Exercises
#
# 1. On paper: which shapes have W, g, g hᵀ and Wᵀ g in both layers of this network?
# 2. Make it 2-3-3-1 and extend the two passes. How many lines of the backward loop change?
# 3. Why does the penalty add αW to the gradient of the weights, and nothing to those of the biases?
#
# A worksheet to print, with its key: a network 1-2-1 without biases.

# %%
sheet(MLP(1, [2, 1], "tanh", bias=False)([Value(1.0, label="x")]), "07-worksheet", seed=367)
