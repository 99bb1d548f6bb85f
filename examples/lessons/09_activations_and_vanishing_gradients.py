# %% [markdown]
# # 9. Activations and vanishing gradients
#
# A unit multiplies the gradient on its way back by the slope g′ of its activation. Where the slope is small, the layers
# before learn slowly, and where it is 0 they do not learn. After this lesson you can find both, and cure them.
#
# *From the lectures: L16, linear; L17, sigmoid and tanh; L18, L19, ReLU and its cures; L20, vanishing gradients.*

# %%
from math import exp, isclose, prod, tanh

from lesson import sheet, show

from autograd import Value, fsum, label_from, leaky_relu
from nn import MLP, data, half_squared_error, health, initializers
from viz import draw, network
from viz.plots import activations

# %% [markdown]
# ## Linear layers collapse
#
# With g(z) = z the slope is 1, and gradients are healthy. But a linear function of linear functions is linear again:
# Σⱼ vⱼ (Σᵢ wⱼᵢ xᵢ + bⱼ) + c is one layer, with the weights Σⱼ vⱼ wⱼᵢ and the bias Σⱼ vⱼ bⱼ + c.

# %%
net = MLP(2, [3, 1], "linear", bias_init=initializers.uniform(), seed=1)
hidden, (out,) = (layer.neurons for layer in net.layers)
pairs = list(zip(out.w, hidden, strict=True))
w1, w2 = (sum(v.data * unit.w[i].data for v, unit in pairs) for i in (0, 1))
b = sum(v.data * unit.b.data for v, unit in pairs) + out.b.data
print(f"y = {w1:.3f} · x1 + ({w2:.3f}) · x2 + {b:.3f}")
for x1, x2 in [(0.0, 0.0), (1.0, -2.0), (30.0, 4.0)]:
    assert isclose(net([x1, x2]).data, w1 * x1 + w2 * x2 + b)

# %% [markdown]
# ## Curves and their slopes
#
# So there must be a bend. The slope of the sigmoid, σ′ = σ(1 − σ), is ¼ at most; that of tanh, 1 − tanh², is 1 at most.
# Both are *saturated* at large |z|: almost flat. ReLU, max{0, z}, has the slope 0 below 0 and 1 above; at 0 itself it
# has none, and one takes 0. Leaky ReLU, max{αz, z}, has α instead of 0, usually 0.01.

# %%
show(activations("sigmoid", "tanh", "relu"), "09-activations")
print("  z       σ′    tanh′   ReLU′  leaky′")
for z in (-10.0, 0.0, 1.0, 10.0):
    x, s = Value(z), 1.0 / (1.0 + exp(-z))
    slopes = [h.partials[0] for h in (x.sigmoid(), x.tanh(), x.relu(), leaky_relu(x))]
    print(f"{z:5}", *(f"{slope:7.2g}" for slope in slopes))
    by_hand = [s * (1.0 - s), 1.0 - tanh(z) ** 2, float(z > 0.0), 1.0 if z > 0.0 else 0.01]
    assert all(isclose(a, b, rel_tol=1e-6) for a, b in zip(slopes, by_hand, strict=True))

# %% [markdown]
# ## A dead unit, and two cures
#
# Below 0, a ReLU lets nothing through: on the dashed hairlines, the gradient is exactly 0. A unit that is there for
# every example is *dead*: its w and b get no gradient, and stay as they are. Two cures: a leaky ReLU lets a hundredth
# through; or biases start a little above 0, so that for small inputs all units start alive.

# %%
x, w, b = Value(0.5), Value(-1.0), Value(0.0)
h = (w * x + b).relu()
y = 2.0 * h
label_from({"x": x, "w": w, "b": b, "h": h, "y": y})
y.backward()
assert w.grad == b.grad == 0.0
show(draw(y, parameters=[w, b], title="A dead unit: nothing reaches w and b"), "09-dead")

# %%
(2.0 * leaky_relu(w * x + b)).backward()
print(f"leaky: ∂y/∂w = {w.grad:.2f}")
assert isclose(w.grad, 2.0 * 0.01 * 0.5)
points = [([0.1, 0.02], 1.0), ([0.02, 0.1], 0.0)]
for bias in (0.0, 0.1):
    net = MLP(2, [16, 1], bias_init=initializers.constant(bias), seed=0)
    layer, dead = health(net, half_squared_error, points).layers[0], 0
    for u, v in (unit.w for unit in net.layers[0].neurons):
        dead += all(u.data * p + v.data * q + bias <= 0.0 for (p, q), _ in points)
    print(f"bias {bias}: {layer.dead} of {layer.units} units are dead")
    assert layer.dead == dead == (0 if bias else 3)

# %% [markdown]
# ## Vanishing gradients
#
# Ten units in a row, all weights 1: ∂f/∂b of each is the product of the slopes from there to the end. A sigmoid's
# is ¼ at most, so at each layer the gradient shrinks by 4 or more. Then five layers of six units, with weights as suit
# each activation: the bars show each layer's mean |gradient|, and `health` tells it in numbers.

# %%
for name in ("linear", "relu", "sigmoid"):
    chain = MLP(1, [1] * 10, name, name, init=initializers.constant(1.0))
    chain([1.0]).backward()
    found = [layer.neurons[0].b.grad for layer in chain.layers]
    print(f"{name:8}", *(f"{grad:.1g}" for grad in found))
    assert (found == [1.0] * 10) == (name != "sigmoid")
h, slopes = 1.0, []
for _ in range(10):
    h = 1.0 / (1.0 + exp(-h))
    slopes.append(h * (1.0 - h))
assert all(isclose(grad, prod(slopes[k:])) for k, grad in enumerate(found))  # of the sigmoids

# %%
for name, init in (("sigmoid", initializers.fan_in), ("relu", initializers.kaiming_uniform)):
    net = MLP(2, [6] * 5 + [1], name, init=init, seed=5)
    loss = fsum([half_squared_error(net(x), d) for x, d in data.moons(20)]) / 20.0
    loss.label = "loss"
    loss.backward()
    show(network(loss), f"09-{name}")
    print(report := health(net, half_squared_error, data.moons(20)))
    first, *_, last = (layer.mean_grad for layer in report.layers)
    assert (last > 4.0**5 * first) == (name == "sigmoid")

# %% [markdown]
# ## Exercises
#
# 1. On paper: after how many sigmoid layers is at most a thousandth of the gradient left, if all weights are 1?
# 2. Let `uniform(-10.0, 10.0)` choose the sigmoid network's weights. Do the gradients still fade? What is the price?
# 3. Why can a dead unit in the second hidden layer come back to life, and one in the first cannot?

# %%
sheet(y, "09-worksheet", seed=9)
