# %% [markdown]
# # 8. Rumelhart, Hinton & Williams, 1986
#
# The paper that made back-propagation known has nine equations and two experiments. After this lesson you can
# point at each equation in a graph, and you have repeated the first experiment.
#
# *From the lectures: L13, the nine equations; L14, the weather network; L15, mirror symmetry; L32, what learns.*

# %%
from math import exp, isclose

from lesson import sheet, show

from autograd import Constant, Value, fsum, label_from, sumprod
from nn import MLP, SGD, batch_gradient, data, fit, half_squared_error, initializers
from viz import draw, network

# %% [markdown]
# ## The nine equations
#
#     (1) xⱼ = Σᵢ yᵢ · wⱼᵢ        (2) yⱼ = 1 / (1 + e^(−xⱼ))      (3) E = ½ Σⱼ (yⱼ − dⱼ)²
#     (4) ∂E/∂yⱼ = yⱼ − dⱼ        (5) ∂E/∂xⱼ = ∂E/∂yⱼ · yⱼ(1 − yⱼ)
#     (6) ∂E/∂wⱼᵢ = ∂E/∂xⱼ · yᵢ   (7) ∂E/∂yᵢ = Σⱼ ∂E/∂xⱼ · wⱼᵢ
#     (8) Δw = −ε ∂E/∂w           (9) Δw(t) = −ε ∂E/∂w(t) + α Δw(t−1)
#
# xⱼ is what a unit adds up, yⱼ its output, dⱼ what this should be. (4) tells an output unit how wrong it is, and (7) a
# hidden one: here 2, which feeds 3 and 4. The bias is w20, the weight of an input y0 that is always 1. All this
# *computes the gradient*, and changes no weight. What learns is (8), or (9), which adds a part of the step before.

# %%
y0, y1 = Constant(1.0), Value(0.5)
w20, w21, w32, w42 = Value(-1.5), Value(2.0), Value(3.0), Value(-1.0)
y2 = (x2 := sumprod([w21, w20], [y1, y0])).sigmoid()
x3, x4 = w32 * y2, y2 * w42
y3, y4 = x3.sigmoid(), x4.sigmoid()
E = half_squared_error([y3, y4], [1.0, 0.0])
label_from(locals())
E.backward()
show(draw(E, focus=y2, rankdir="TB", title="The error reaches y₂ twice"), "08-equations")

# %%
h = 1.0 / (1.0 + exp(-(0.5 * 2.0 + 1.0 * -1.5)))  # (1), (2)
p, q = 1.0 / (1.0 + exp(-h * 3.0)), 1.0 / (1.0 + exp(-h * -1.0))
assert isclose(E.data, 0.5 * ((p - 1.0) ** 2 + (q - 0.0) ** 2))  # (3)
by_x3, by_x4 = (p - 1.0) * p * (1.0 - p), (q - 0.0) * q * (1.0 - q)  # (4), (5)
by_x2 = (by_x3 * 3.0 + by_x4 * -1.0) * h * (1.0 - h)  # (7), (5)
assert isclose(w32.grad, by_x3 * h)  # (6)
assert isclose(w20.grad, by_x2 * 1.0)  # the bias

# %%
step, optimizer = -0.1 * by_x3 * h, SGD([w32], lr=0.1, momentum=0.9)
optimizer.step()
assert isclose(w32.data, 3.0 + step)  # (8)
optimizer.step()  # with the same gradient once more
assert isclose(w32.data, 3.0 + step + (step + 0.9 * step))  # (9)
print(f"w32 was 3, and is {3.0 + step:.5f} after one step, {w32.data:.5f} after two")

# %% [markdown]
# ## The weather network
#
# From days of rain and Kdp, a radar reading, to the probability of rain: 2–3–1, sigmoids, no bias. C sums the errors of
# three days. Each has a row: by both weights of every hidden unit (∂C/∂W₁, 2×3), and by the output's (∂C/∂W₂, 3×1).

# %%
net = MLP(2, [3, 1], "sigmoid", "sigmoid", bias=False, init=initializers.uniform(), seed=0)
C = fsum([half_squared_error(net(x), d) for x, d in data.weather()])
C.label = "C"
C.backward()
show(network(C), "08-weather")

# %%
W, rows, before = [w.data for w in net.parameters()], [], 0.0
for x, d in data.weather():
    h = [1.0 / (1.0 + exp(-W[j] * x[0] - W[j + 1] * x[1])) for j in (0, 2, 4)]
    y = 1.0 / (1.0 + exp(-(W[6] * h[0] + W[7] * h[1] + W[8] * h[2])))
    before += 0.5 * (y - d) ** 2
    by_out = (y - d) * y * (1.0 - y)  # (4), (5)
    by_hidden = [by_out * W[6 + j] * h[j] * (1.0 - h[j]) for j in range(3)]  # (7), (5)
    rows.append([g * i for g in by_hidden for i in x] + [by_out * v for v in h])  # (6)
    assert all(map(isclose, batch_gradient(net, half_squared_error, [(x, d)]), rows[-1]))
    print(x, *(f"{g:8.4f}" for g in rows[-1]))
assert isclose(C.data, before)
print("their sum ", *(f"{sum(column):8.4f}" for column in zip(*rows, strict=True)))
assert all(map(isclose, [w.grad for w in net.parameters()], map(sum, zip(*rows, strict=True))))

# %%
optimizer = SGD(net.parameters(), lr=3.0, momentum=0.9)  # of a mean of three: ε = 1 on C
fit(net, half_squared_error, data.weather(), optimizer, epochs=200, progress=False)
print(f"C was {before:.4f};", *(f"{d}: {net(x).data:.3f}" for x, d in data.weather()), sep="  ")
assert all(abs(net(x).data - d) < 0.01 for x, d in data.weather())

# %% [markdown]
# ## Mirror symmetry
#
# Are six bits their own mirror image? 64 cases, two hidden units, ε = 0.1 on the sum, α = 0.9, weights from ±0.3.
# Afterwards, the weights of each are opposite about the middle, and in the ratio 1 : 2 : 4. For a mirror image they
# cancel: only the bias is left, and both units stay off. (The other experiment, family trees, is left out.)

# %%
cases, small = data.symmetry(), initializers.uniform(-0.3, 0.3)
mirror = MLP(6, [2, 1], "sigmoid", "sigmoid", bias="input", init=small, seed=8)
optimizer = SGD(mirror.parameters(), lr=0.1 * 64, momentum=0.9)
fit(mirror, half_squared_error, cases, optimizer, epochs=1200, compiled=True, progress=False)
assert all((mirror(x).data > 0.5) == (x == x[::-1]) for x, _ in cases)
for unit in mirror.layers[0].neurons:
    *w, bias = (weight.data for weight in unit.w)
    print(*(f"{v:7.2f}" for v in w), f"   bias {bias:.2f}")
    assert all(isclose(w[i], -w[5 - i], rel_tol=0.02) for i in range(3))
    least, middle, most = sorted(abs(v) for v in w[:3])
    assert all(isclose(v / least, r, rel_tol=0.05) for v, r in ((middle, 2.0), (most, 4.0)))

# %% [markdown]
# ## Exercises
#
# 1. On paper: an output has y = 0.5 and d = 1, its input is yᵢ = 2. Find ∂E/∂y, ∂E/∂x, ∂E/∂w, and Δw for ε = 0.1.
# 2. Train the mirror network from the seeds 0 to 9. How many solve it, and what weights do the others have?
# 3. Why must the weights of a mirror unit be in a ratio such as 1 : 2 : 4, and not 1 : 1 : 1?

# %%
sheet(y3, "08-worksheet", seed=8)
