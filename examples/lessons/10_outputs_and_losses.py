# %% [markdown]
# # 10. Outputs and losses
#
# The last layer answers, and the loss says how wrong the answer is. They have to fit each other, or the gradient is
# small where it should be large. After this lesson you can choose both, and say why they go together.
#
# *From the lectures: L22, squared error; L23, softmax; L24, cross-entropy; L25, its binary form; L26, the choice.*

# %%
from math import exp, isclose, log

from lesson import sheet, show

import nn
from autograd import Value, label_from
from viz import draw, explain

# %% [markdown]
# ## Squared error
#
# ½‖y − d‖² has the gradient y − d: the error itself. For n examples, take the mean (1/n) Σ (f − y)²: each has the share
# (2/n)(f − y)∇f of the gradient, large where the prediction is bad. Of f = x + b, the last one outweighs the rest.

# %%
y1, y2 = Value(2.0), Value(-1.0)
E = nn.half_squared_error([y1, y2], [1.0, 1.0])
label_from({"y1": y1, "y2": y2, "E": E})
E.backward()
show(draw(E, title="∂E/∂y = y − d, for d = 1"), "10-squared-error")
b, xs, ys = Value(0.0), [1.0, 2.0, 3.0, 2.0], [1.1, 1.9, 3.2, 6.0]
nn.squared_error([x + b for x in xs], ys, reduction="mean").backward()
shares = [2.0 / 4.0 * (x - y) * 1.0 for x, y in zip(xs, ys, strict=True)]  # ∂f/∂b = 1
print("shares:", *(f"{share:.2f}" for share in shares), f"  together: {b.grad:.2f}")
assert all(map(isclose, [y1.grad, y2.grad, b.grad], [2.0 - 1.0, -1.0 - 1.0, sum(shares)]))
assert abs(shares[-1]) > sum(map(abs, shares[:-1]))

# %% [markdown]
# ## Softmax and cross-entropy
#
# For classes, the last layer gives each a number, its *logit* aₖ. Softmax makes them probabilities, which sum to 1:
# pₖ = exp(aₖ) / Σ exp(a). The loss is the negative log-likelihood −Σ yₖ log pₖ, where y is 1 for the right class d and
# 0 for the others. Substitute, and differentiate:
#
#     L = −log p_d = −log(exp(a_d) / Σ exp(aₖ)) = −a_d + log Σ exp(aₖ)
#     ∂L/∂aⱼ = exp(aⱼ) / Σ exp(aₖ) − yⱼ = pⱼ − yⱼ
#
# `cross_entropy` is that: it takes logits, with the softmax included, as in PyTorch. The pills of logsumexp are p.

# %%
a1, a2, a3 = Value(2.0), Value(1.0), Value(-1.0)
L = nn.cross_entropy([a1, a2, a3], 0)
label_from({"a1": a1, "a2": a2, "a3": a3, "L": L})
L.backward()
show(draw(L, title="∂L/∂a = softmax(a) − y"), "10-cross-entropy")
show(explain(L, a1))

# %%
p1, p2, p3 = (exp(a) / (exp(2.0) + exp(1.0) + exp(-1.0)) for a in (2.0, 1.0, -1.0))
softmax = nn.softmax([a1, a2, a3])
print("p =", *(f"{p.data:.3f}" for p in softmax))
assert all(map(isclose, [p.data for p in softmax], [p1, p2, p3]))
assert all(map(isclose, [L.data, nn.negative_log_likelihood(softmax, 0).data], [-log(p1)] * 2))
assert all(map(isclose, [a1.grad, a2.grad, a3.grad], [p1 - 1.0, p2 - 0.0, p3 - 0.0]))

# %% [markdown]
# ## Two classes: sigmoid and binary cross-entropy
#
# One probability f = σ(a) is enough; the loss is −y log f − (1 − y) log(1 − f). At y = 1 and a = −4 the sigmoid is
# saturated, ×0.018, but the logarithm undoes the exponential, ×55.6: ∂L/∂a = f − y = −0.98. Squared error does not:
# −0.017. Without a sigmoid, it punishes what is "too correct": it pulls an output of 3 back to y = 1.

# %%
a = Value(-4.0)
f = a.sigmoid()
L = nn.binary_cross_entropy(f, 1.0)
label_from({"a": a, "f": f, "L": L})
L.backward()
show(draw(L, title="The logarithm undoes the exponential"), "10-binary")
s = 1.0 / (1.0 + exp(4.0))
assert all(map(isclose, [f.grad, f.partials[0], a.grad], [-1.0 / s, s * (1.0 - s), s - 1.0]))

# %%
saturated, linear, logit = Value(-4.0), Value(3.0), Value(3.0)
nn.half_squared_error(saturated.sigmoid(), 1.0).backward()
nn.half_squared_error(linear, 1.0).backward()
nn.binary_cross_entropy_with_logits(logit, 1.0).backward()  # the sigmoid included
print(f"saturated {saturated.grad:.3f}; linear {linear.grad:.3f}, logit {logit.grad:.3f}")
by_hand = [(s - 1.0) * s * (1.0 - s), 3.0 - 1.0, 1.0 / (1.0 + exp(-3.0)) - 1.0]
assert all(map(isclose, [saturated.grad, linear.grad, logit.grad], by_hand))

# %% [markdown]
# ## Which with which
#
# | the target is | output | loss | ∂L/∂a |
# |---|---|---|---|
# | a number | linear | squared error (here ½) | f − y |
# | one of two classes | sigmoid | binary cross-entropy | f − y |
# | one of many classes | softmax | cross-entropy | p − y |

# %%
for output, units, loss, examples in (
    ("linear", 1, nn.half_squared_error, [([x], 2.0 * x - 1.0) for x in (-1.0, 0.0, 1.0)]),
    ("sigmoid", 1, nn.binary_cross_entropy, nn.data.blobs(20, centers=2)),
    ("softmax", 3, nn.negative_log_likelihood, nn.data.blobs(21)),
):
    net = nn.MLP(len(examples[0][0]), [6, units], "tanh", output, seed=0)
    sgd = nn.SGD(net.parameters(), lr=0.2, momentum=0.9)
    history = nn.fit(net, loss, examples, sgd, epochs=100, progress=False)
    print(f"{output}: the loss was {history.losses[0]:.3f}, and is {history.losses[-1]:.4f}")
    assert history.losses[-1] < 0.01

# %% [markdown]
# ## Exercises
#
# 1. On paper: the logits are (0, 0, 0) and the class is 0. Find p, L and ∂L/∂a.
# 2. Draw binary cross-entropy for y = 0 at a = 4. Which pills make up for each other?
# 3. Why does the loss never come near 0 if `cross_entropy` is given probabilities instead of logits?

# %%
sheet(L, "10-worksheet", seed=10)
