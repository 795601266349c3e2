"""How others reduce the same loss to one number, and which of these reductions a reported number matches."""

import numpy as np

NEAR = 0.05
"""A reported loss, of a finite batch, matches a convention to within this part."""


def loss_conventions(models, feature_loss):
    """Return the values that usual reductions give for the expected loss of one model or of many.

    Parameters
    ----------
    models : sequence of ToyModel, length n_models
    feature_loss : ndarray, shape (n_models, n_features)
        Each feature's own loss E (x_i − x'_i)².

    Returns
    -------
    dict of str to float
        Sums and means over features, with and without importance, and their halves; of several models also the sum of the
        models' means, which the paper's notebook prints, and the mean over models.
    """
    importance = np.array([model.importance for model in models])
    weighted, plain = (importance * feature_loss).sum(axis=1), feature_loss.sum(axis=1)
    values = {}
    over = {"": np.mean} if len(models) == 1 else {", mean over models": np.mean, ", sum over models": np.sum}
    same = bool(np.all(importance == 1))
    for what, losses in {
        "" if same else ", with importance": weighted,
        **({} if same else {", without importance": plain}),
    }.items():
        for models_too, reduce in over.items():
            total = float(reduce(losses))
            values[f"sum over features{what}{models_too}"] = total
            values[f"mean over features{what}{models_too}"] = total / feature_loss.shape[1]
            values[f"half the sum over features{what}{models_too}"] = total / 2
            values[f"half the mean over features{what}{models_too}"] = total / 2 / feature_loss.shape[1]
    return values


def told(conventions, reported):
    """Return in sentences which of `loss_conventions` a reported loss matches."""
    ordered = sorted(conventions, key=lambda name: abs(np.log(reported / conventions[name])))
    near = [name for name in ordered if abs(reported / conventions[name] - 1) <= NEAR]
    if near:
        return [f"their loss {reported:g} is the {name}: {conventions[name]:.6g} here" for name in near]
    nearest = f"nearest is the {ordered[0]}: {conventions[ordered[0]]:.6g}"
    return [
        f"their loss {reported:g} matches no usual convention to {100 * NEAR:g} %; {nearest}",
        "their data may have followed another law (density, correlated or otherwise distributed features), or the number be of",
        "another moment of the training or with weight decay in it",
    ]
