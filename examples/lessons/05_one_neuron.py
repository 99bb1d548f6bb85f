# %% [markdown]
# # 5. One neuron
#
# A neuron weighs its inputs, adds them up, and bends the sum. After this lesson you can find the
# gradient of every weight of a neuron, and use it for one step of learning.
#
# *From the lectures: L10, pre-activation and activation; L17, the sigmoid and where it saturates.*

# %%
from math import exp, isclose

from lesson import sheet, show

from autograd import Graph, Value, fsum, label_from
from nn import Neuron
from viz import draw, explain

# %% [markdown]
# ## Weigh, add, bend
#
# The *pre-activation* is a = b + w·x = b + w₁x₁ + w₂x₂, with a weight for each input and a *bias* b.
# The *activation* is h = g(a). Here g is the sigmoid, σ(a) = 1 / (1 + e⁻ᵃ), which is between 0 and 1.
# `fsum` is a sum of as many numbers as we like, in one step.

# %%
x1, x2 = Value(1.0), Value(-2.0)
w1, w2, b = Value(1.5), Value(0.5), Value(0.25)
p1, p2 = w1 * x1, w2 * x2
a = fsum([b, p1, p2])
h = a.sigmoid()
label_from({"x1": x1, "x2": x2, "w1": w1, "w2": w2, "b": b, "p1": p1, "p2": p2, "a": a, "h": h})

assert a.data == 0.25 + 1.5 * 1.0 + 0.5 * -2.0 == 0.75
sigma = 1.0 / (1.0 + exp(-0.75))
assert isclose(h.data, sigma)
h.backward()
show(draw(h, parameters=[w1, w2, b]), "05-neuron")

# %% [markdown]
# ## The gradient by every weight
#
# One factor is common to all: g′(a), the slope of the curve. For the sigmoid it is σ′ = σ(1 − σ),
# so it follows from h without another exponential. Then:
#
#     ∂h/∂wᵢ = g′(a) · xᵢ        ∂h/∂b = g′(a) · 1

# %%
slope = sigma * (1.0 - sigma)
show(explain(h, w2))
for weight, factor in ((w1, 1.0), (w2, -2.0), (b, 1.0)):
    print(f"∂h/∂{weight.label} = {weight.grad:.4f}")
    assert isclose(weight.grad, slope * factor)

# %% [markdown]
# The bias behaves as a weight whose input is always 1. A neuron of `nn` can have it so.

# %%
neuron = Neuron(2, "sigmoid", bias="input")
for weight, number in zip(neuron.w, [1.5, 0.5, 0.25], strict=True):
    weight.data = number
again = neuron([1.0, -2.0])
again.backward()
print([weight.grad for weight in neuron.w])
assert isclose(again.data, sigma)
assert all(isclose(w.grad, slope * v) for w, v in zip(neuron.w, [1.0, -2.0, 1.0], strict=True))

# %% [markdown]
# ## One step of learning
#
# The neuron should answer d = 0, and says 0.68. The loss E = ½(h − d)² tells how bad that is, and
# ∂E/∂h = h − d. Gradient descent moves every weight a little against its gradient: wᵢ − ε · ∂E/∂wᵢ.

# %%
d, epsilon = 0.0, 0.5
E = 0.5 * (h - d) ** 2
E.zero_grad()
E.backward()
assert isclose(w2.grad, (sigma - d) * slope * -2.0)
before = E.data
Graph(E).forward({p: p.data - epsilon * p.grad for p in (w1, w2, b)})
print(f"E: {before:.4f} → {E.data:.4f}; weights:", *(f"{p.data:.4f}" for p in (w1, w2, b)))
assert isclose(a.data, 0.75 - epsilon * (sigma - d) * slope * (1.0**2 + (-2.0) ** 2 + 1.0**2))
assert E.data < before

# %% [markdown]
# ## Saturation
#
# The slope σ(1 − σ) is at most ¼, at a = 0. Far from there the curve is flat: with w₁ = 7.5 instead
# of 1.5, a is 6.75, and hardly anything flows back. The unit is *saturated*: see the tangent.
# Such a neuron learns next to nothing, however wrong it is.

# %%
graph = Graph(h)
graph.forward({w1: 7.5, w2: 0.5, b: 0.25})
graph.zero_grad()
graph.backward()
show(draw(h, parameters=[b], focus=a, radius=1), "05-saturated")
assert a.data == 6.75
assert isclose(b.grad, exp(-6.75) / (1.0 + exp(-6.75)) ** 2)
assert b.grad < slope / 180.0

# %% [markdown]
# Another curve is tanh(a) = 2σ(2a) − 1, between −1 and 1. Its slope is 1 − tanh²(a), at most 1.

# %%
t = Value(0.75).tanh()
assert isclose(t.data, 2.0 / (1.0 + exp(-1.5)) - 1.0)
assert isclose(t.partials[0], 1.0 - t.data**2)

# %% [markdown]
# ## Exercises
#
# 1. On paper: a neuron with w = (1, −1), b = 0 and x = (2, 2). What are a, h, and the gradients of h?
# 2. Take ten steps of gradient descent from where we began, and print E after each.
# 3. Why does the neuron move b and w₁ alike in the step above, but w₂ the other way, and twice as far?
#
# A worksheet to print, with its key: the gradients of h, at other numbers.

# %%
sheet(h, "05-worksheet", seed=30)
