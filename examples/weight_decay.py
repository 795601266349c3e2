"""AdamW's default weight decay of 0.01 acts on trained 2→1 models like a penalty γ Σ‖W_i‖² of a few 1e-5.

Adam divides gradients by σ, here the noise of a minibatch's, and the decay pulls beside it: a model rests where g = −0.01 σ θ, in
biases too. So the noise foretells how far the decay moves trained weights, and the γ that moves the minimum as far.
"""

import numpy as np
from matplotlib.figure import Figure

from phasediag import Penalty, ToyModel, expected_loss_hessian, minimize, train

DECAY, BATCH, IMPORTANCE, DENSITIES = 0.01, 1024, 0.7, (0.5, 0.59, 0.61)


def lowest(density, penalty=0.0):
    """The lowest minimum under a weight penalty."""
    return minimize(ToyModel(1, [1.0, IMPORTANCE], density, penalty=Penalty(weights=penalty)), n_starts=4, effort="quick")[0]


def foretold(model, one):
    """How far the decay moves |W_extra|: by what the noise of minibatches, of the loss averaged over features, makes of it."""
    x = model.sample(400_000, seed=1)
    output = x @ one.weights.T @ one.weights + one.bias
    error = model.importance * (output - x) * (output > 0)
    slopes = x @ one.weights.T * error + error @ one.weights.T * x
    noise = np.concatenate([slopes.std(axis=0), error.std(axis=0)]) / np.sqrt(BATCH)
    point = np.concatenate([one.weights[0], one.bias])
    hessian = expected_loss_hessian(model, one.weights, one.bias) / model.n_features
    return -DECAY * np.linalg.solve(hessian, noise * point)[1] * np.sign(point[1])


def entry(penalty):
    """The density above which the extra feature is not represented, by halving."""
    low, high = 0.55, 0.7
    while high - low > 1e-6:
        middle = (low + high) / 2
        low, high = (middle, high) if lowest(middle, penalty).feature_norm[1] > 1e-6 else (low, middle)
    return low


moved, expected, gammas = [], [], []
for density in DENSITIES:
    model, one = ToyModel(1, [1.0, IMPORTANCE], density), lowest(density)
    options = dict(n_models=64, n_steps=20_000, batch_size=BATCH, schedule="linear", independent=True, seed=0)
    without, decayed = (np.abs(train(model, weight_decay=d, **options).weights[:, 0, 1]) for d in (0.0, DECAY))
    pair = np.abs(without - one.feature_norm[1]) < 0.005  # those that have come to the lowest minimum
    moved.append(np.median((decayed - without)[pair]))
    expected.append(foretold(model, one))
    gammas.append(moved[-1] / (lowest(density, 1e-5).feature_norm[1] - one.feature_norm[1]) * 1e-5)
    print(f"density {density:g}: |W_extra| moves by {moved[-1]:.6f}, foretold {expected[-1]:.6f}; γ = {gammas[-1]:.2e}")
before, after = entry(0.0), entry(gammas[-1])
print(f"the extra feature enters below density {before:.4f}; with that γ below {after:.4f}")
assert np.allclose(moved, expected, rtol=0.1) and 2e-5 < min(gammas) < max(gammas) < 1e-4 and 0.002 < before - after < 0.008

axes = (figure := Figure(figsize=(5, 4), layout="constrained")).subplots()
axes.plot(DENSITIES, expected, "ks", DENSITIES, moved, "o", markerfacecolor="none")
axes.legend(["foretold by the noise of minibatches", "64 trained models"], frameon=False)
axes.set(xlabel="density", ylabel="shift of |W_extra| by the decay")
figure.savefig("weight_decay.png")
