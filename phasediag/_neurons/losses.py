"""The exact loss of neurons, as a sum over sets of active features; bounds where there are too many of them."""

from functools import lru_cache
from itertools import combinations, permutations

import numpy as np

from ..activity import INDEPENDENT
from .simplices import add_sets, room

MOST_EXACT = 6
"""With more features a loss is bounded: k active features cut the cube into k! simplices, and these by every neuron."""


@lru_cache(maxsize=32)
def sets_of(n_features, most_active):
    """Sets of up to as many features: members (n_sets, most_active), sizes and numbers (n_sets,), whose bits tell members."""
    found = [one for k in range(most_active + 1) for one in combinations(range(n_features), k)]
    members = np.zeros((len(found), max(most_active, 1)), dtype=np.int64)
    for row, one in zip(members, found, strict=True):
        row[: len(one)] = one
    numbers = [sum(1 << i for i in one) for one in found]
    return members, np.array([len(one) for one in found]), np.array(numbers, dtype=object if n_features > 60 else np.int64)


@lru_cache(maxsize=32)
def active_in(n_features, most_active):
    """Which features are members of the sets of `sets_of`, (n_sets, n_features)."""
    members, sizes, _ = sets_of(n_features, most_active)
    active = np.zeros((len(sizes), n_features), dtype=bool)
    for row, one, k in zip(active, members, sizes, strict=True):
        row[one[:k]] = True
    return active


@lru_cache(maxsize=16)
def orders_of(most_active):
    """The permutations of 0 … k − 1 for k ≤ most_active, (most_active + 1, most_active!, most_active), and how many there are."""
    lists = [list(permutations(range(k))) for k in range(most_active + 1)]
    orders = np.zeros((most_active + 1, len(lists[-1]), max(most_active, 1)), dtype=np.int64)
    for k, one in enumerate(lists):
        orders[k, : len(one), :k] = one
    return orders, np.array([len(one) for one in lists])


def probabilities(form, control, most_active):
    """The probabilities of the sets of `sets_of` under a control vector (n_controls,), shape (n_sets,)."""
    if form.activity != INDEPENDENT:
        return form.patterns(control)[sets_of(form.n_features, most_active)[2].astype(np.int64)]
    density = form.density(control)
    return np.where(active_in(form.n_features, most_active), density, 1 - density).prod(axis=1)


def evaluate(form, control, encoder, decoder, bias, order, most_active=None):
    """Losses of outputs (…, n_features) and, for order 1, the gradient (…, 2 n_hidden + 1, n_features) by encoder, decoder, bias.

    encoder and decoder, transposed, (…, n_hidden, n_features); control (n_controls,). With at most ``most_active`` active
    features; all by default.
    """
    most_active = form.n_features if most_active is None else most_active
    members, sizes, _ = sets_of(form.n_features, most_active)
    law = probabilities(form, control, most_active)
    lead, n = bias.shape[:-1], form.n_features
    losses, gradients = np.zeros((*lead, n)), np.zeros((*lead, 2 * form.n_hidden + 1, n))
    importance = np.ascontiguousarray(form.importance(control))
    setting, work = (not form.is_tied, *orders_of(most_active)), room(form.n_hidden, n, max(most_active, 1))
    for at in np.ndindex(lead):
        arrays = (np.ascontiguousarray(one[at], dtype=np.float64) for one in (encoder, decoder, bias))
        add_sets(*arrays, members, sizes, law, *setting, importance, order, losses[at], gradients[at], work)
    return losses, gradients


def tails(density, most_active):
    """The probabilities that more features are active: of independent ones (n,), at all, with feature a, with features a and b.

    Shapes (), (n,) and (n, n), on whose diagonal those with feature a are again. Sums of positive terms.
    """
    n = len(density)
    rows, columns = np.indices((n, n))
    counts = np.zeros((most_active + 2, n, n))  # how many of the others are active; the last row: more
    counts[0] = 1.0
    every = np.zeros((most_active + 2, 1))
    every[0] = 1.0
    for j, p in enumerate(density):
        other = (rows != j) & (columns != j)
        counts = _with_one_more(counts, np.where(other, p, 0.0))
        every = _with_one_more(every, p)
    pair = density[:, None] * density
    two = pair * counts[max(most_active - 1, 0) :].sum(axis=0)
    one = density * np.diagonal(counts[most_active:].sum(axis=0))
    np.fill_diagonal(two, one)
    return every[-1, 0], one, two


def _with_one_more(counts, p):
    """Probabilities of counts (most + 2, …), the last row of all more, when one more is active with probability p."""
    after = counts * (1 - p)
    after[1:] += p * counts[:-1]
    after[-1] += p * counts[-1]
    return after
