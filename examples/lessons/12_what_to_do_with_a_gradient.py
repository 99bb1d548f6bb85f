# %% [markdown]
# # 12. What to do with a gradient
#
# Back-propagation finds the gradient; an *optimiser* decides what to do with it. After this lesson you
# know momentum and weight decay, and why the same loss may be learned into different minima.
#
# *From the lectures: L21, many minima; L27 and L31, weight decay and momentum; L32, what learns.*

# %%
from math import isclose

from lesson import sheet, show

from autograd import Value, label_from
from nn import SGD, Adam
from viz import draw
from viz.plots import Plot

# %% [markdown]
# ## Momentum, in two forms
#
# Plain gradient descent is w ← w − η ∂L/∂w. With *momentum*, a step remembers those before it: steps that agree
# add up, and steps to and fro cancel. On the left as today, on the right as in Rumelhart's equation (9).
#
#     Δ ← 0.9 Δ + ∂L/∂w,   w ← w − ηΔ        Δw(t) = −ε ∂E/∂w(t) + 0.9 Δw(t−1)
#
# Put Δw = −ηΔ and ε = η, and they are the same. In numbers, for L = w² with ∂L/∂w = 2w:

# %%
today, then, delta, change = 1.0, 1.0, 0.0, 0.0
w = Value(1.0)
optimizer = SGD([w], lr=0.1, momentum=0.9)
for _ in range(20):
    delta = 0.9 * delta + 2.0 * today
    today = today - 0.1 * delta
    change = -0.1 * 2.0 * then + 0.9 * change
    then = then + change
    optimizer.zero_grad()
    (w**2).backward()
    optimizer.step()
    assert all(isclose(today, other) for other in (then, w.data))
print(f"after 20 steps from 1: {today:.6f} = {then:.6f} = {w.data:.6f}")

# %% [markdown]
# ## The penalty is weight decay
#
# J = L + αΩ with Ω = ½w² prefers small weights: its gradient is that of L, plus αw. Here α = 0.5, and two
# ribbons arrive at w: what the example asks for, and the decay. With `weight_decay=α`, an optimiser adds αw
# by itself: L is enough, and the step is the same.

# %%
w = Value(2.0, label="w")
L = (w * 3.0 - 5.0) ** 2
omega = 0.5 * w**2
J = L + 0.5 * omega
label_from({"L": L, "Ω": omega, "J": J})
J.backward()
assert isclose(w.grad, 2.0 * (2.0 * 3.0 - 5.0) * 3.0 + 0.5 * 2.0)  # 6 + 1
show(draw(J, parameters=[w], rankdir="TB"), "12-decay")
w.zero_grad()
L.backward()
SGD([w], lr=0.02, weight_decay=0.5).step()
assert isclose(w.data, 2.0 - 0.02 * (6.0 + 1.0))

# %% [markdown]
# ## Two valleys
#
# The loss of a network is rarely a single bowl. Say that in one of its weights w it is ¼w⁴ − ½w² + w/10.
# Which minimum is found depends on where we begin, *and* on how large the steps are.


# %%
def height(w):
    return 0.25 * w**4 - 0.5 * w**2 + 0.1 * w  # of a number as of a Value


paths = {}
for start, rate, end in [(2.0, 0.1, 0.95), (-2.0, 0.1, -1.05), (2.0, 0.35, -1.05)]:
    w, path = Value(start), [start]
    for _ in range(200):
        height(w).backward()
        w = Value(w.data - rate * w.grad)
        path.append(w.data)
    assert round(w.data, 2) == end
    assert isclose(w.data**3 - w.data + 0.1, 0.0, abs_tol=1e-9)  # the slope there is 0
    paths[f"from {start:.0f}, η = {rate}"] = path

# %%
axes = Plot(7.0, 4.0).add_subplot(xlabel="w", ylabel="loss", ylim=(-0.5, 2.5))
line = [i / 50.0 - 2.0 for i in range(206)]
axes.plot(line, [height(w) for w in line], color="black")
for (name, path), style in zip(paths.items(), ("s:", "^:", "o:"), strict=True):
    axes.plot(path, [height(w) for w in path], style, label=name)
axes.legend(loc="upper center")
show(axes.figure, "12-two-valleys")

# %% [markdown]
# ## Back-propagation is not the learning algorithm
#
# One gradient, two optimisers: SGD moves each weight by η times its slope, Adam (in its first step) each by
# η. The backward pass was the same. It tells how steep it is, and not how to walk.

# %%
for optimizer, by_hand in [(SGD, [0.01 * 20.0, 0.01 * 0.2]), (Adam, [0.01, 0.01])]:
    u, v = Value(1.0), Value(1.0)
    (10.0 * u**2 + 0.1 * v**2).backward()
    optimizer([u, v], lr=0.01).step()
    moved = [round(1.0 - p.data, 6) for p in (u, v)]
    print(optimizer.__name__, moved)
    assert moved == by_hand

# %% [markdown]
# ## Exercises
#
# 1. On paper: the slope is 1 in every round. How long are the steps with momentum 0.9, after many rounds?
# 2. L = ½(x² + 25y²) from (1, 1) with η = 0.03: how small is x after 100 steps, without and with momentum?
# 3. Why is it wise to train the same network from several seeds?

# %%
sheet(J, "12-worksheet", seed=2)
