# %% [markdown]
# # 11. The risk, the loop, and batches
#
# Training makes the mean loss over the examples small. After this lesson you can write the training
# loop yourself, and you know what it means to look at some of the examples only.
#
# *From the lectures: L28, the risk and the loop; L29, batches and mini-batches; L30, add, then set to zero.*

# %%
import random
from math import isclose

from lesson import sheet, show

from autograd import Value, fsum, label_from
from nn import MLP, initializers, minibatch_gradients, squared_error
from viz import draw

# %% [markdown]
# ## The empirical risk
#
# The smallest network has one weight: f(x) = w · x. On an example (x, d) it loses L = (w·x − d)².
# The *empirical risk* is the mean of the losses over the m examples that we have, and often a penalty:
#
#     J(w) = (1/m) Σ L(f(x), d) + αΩ(w)

# %%
data = [(1.0, 2.5), (2.0, 3.5), (3.0, 5.0)]
w = Value(1.0, label="w")
L1, L2, L3 = [(w * x - d) ** 2 for x, d in data]
J = fsum([L1, L2, L3]) / 3.0
label_from({"L1": L1, "L2": L2, "L3": L3, "J": J})
J.backward()
slopes = [2.0 * (1.0 * x - d) * x for x, d in data]  # ∂L/∂w = 2(wx − d) · x, at w = 1
assert slopes == [-3.0, -6.0, -12.0]
assert isclose(J.data, (1.5**2 + 1.5**2 + 2.0**2) / 3.0)
assert isclose(w.grad, sum(slopes) / 3.0)  # −7
show(draw(J, parameters=[w], rankdir="TB"), "11-risk")

# %% [markdown]
# Three ribbons arrive at w, one for each example. Here α is 0; the penalty comes in lesson 12.
#
# ## The loop: sample, forward, backward, update


# %%
def train(size, rounds):
    rng, w, path = random.Random(1), Value(1.0), []
    for _ in range(rounds):
        sample = rng.sample(data, size)  # sample
        loss = fsum([(w * x - d) ** 2 for x, d in sample]) / size  # forward
        w.zero_grad()
        loss.backward()  # backward
        w.data = w.data - 0.05 * w.grad  # update
        path.append(w.data)
    return path


batch = train(size=3, rounds=40)
assert isclose(batch[0], 1.0 + 0.05 * 7.0)
assert isclose(batch[-1], (1.0 * 2.5 + 2.0 * 3.5 + 3.0 * 5.0) / 14.0)  # 1² + 2² + 3²

# %% [markdown]
# ## Batch, mini-batch, online
#
# All examples in each round is *batch* gradient descent, one is *online*, some are a *mini-batch*. A
# round of one costs a third here. But each example wants a w of its own: d/x = 2.5, 1.75 or 1.67.

# %%
for size in (3, 2, 1):
    path = train(size, rounds=40)
    print(f"{size} per round:", *[f"{at:.2f}" for at in (*path[:4], *path[-4:])])
last = train(1, rounds=400)[-100:]
assert 5.0 / 3.0 < min(last) < 1.75 < max(last) < 2.5  # never at rest

# %% [markdown]
# The batch comes to rest at 1.75, where the slopes of the examples sum to 0. Alone, the first and the last
# still pull there: the others stay on the move, less so with a smaller learning rate, or one that falls.
#
# ## On average, a mini-batch is right
#
# From our three examples T, three mini-batches S of two can be drawn. With E the sum of the losses, each
# has another gradient; but the mean over all S is right, up to the factor |S|/|T|: they are *unbiased*.
#
#     E_S[∇E(w; S)] = |S|/|T| · ∇E(w)

# %%
model = MLP(1, [1], bias=False, init=initializers.constant(1.0))  # the same f(x) = w · x
found = minibatch_gradients(model, squared_error, [([x], d) for x, d in data], size=2)
print(found)
assert found == [[-3.0 - 6.0], [-3.0 - 12.0], [-6.0 - 12.0]]
assert isclose((-9.0 - 15.0 - 18.0) / 3.0, 2.0 / 3.0 * sum(slopes))  # −14 = ⅔ · (−21)

# %% [markdown]
# ## Add, then set to zero
#
# The derivative of a sum is the sum of the derivatives. So a batch needs no large graph: `backward`
# *adds* to `w.grad`, and small graphs, one after another, leave there what the large one would: 3 · (−7).
# After the update it is set to zero: otherwise the next round would move by the old gradients, too.

# %%
w = Value(1.0, label="w")
for so_far, (x, d) in zip([-3.0, -9.0, -21.0], data, strict=True):
    ((w * x - d) ** 2).backward()
    print("w.grad is", w.grad)
    assert w.grad == so_far
w.zero_grad()
assert w.grad == 0.0

# %% [markdown]
# ## Exercises
#
# 1. On paper: at w = 2, what are the gradients of the three mini-batches of *one*, and their mean?
# 2. Let the learning rate of `train(1, 400)` fall, as 0.1/(1 + t) in round t. Where does w end?
# 3. Why may a thousand rough steps with 100 examples be better than one exact step with 100,000?
#
# A worksheet to print, with its key: two losses at another w.

# %%
sheet(L1 + L2, "11-worksheet", seed=11)
