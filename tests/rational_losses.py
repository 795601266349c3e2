"""The expected loss in exact rational arithmetic: the slow twin of enumeration, for any law, values and activation.

One output's loss, averaged over its own feature, is a piecewise polynomial of t = b + what the other features add; averaging over
one more feature is exact. Functions are lists of (start, end, coefficients by rising power), the outer ends infinite.
"""

from fractions import Fraction
from itertools import pairwise, product

INFINITE = Fraction(10**9)


def value(polynomial, t):
    """A polynomial at t."""
    return sum(c * t**k for k, c in enumerate(polynomial))


def interpolated(function, points):
    """The polynomial through as many points of a function, coefficients by rising power."""
    total = [Fraction(0)] * len(points)
    for i, x in enumerate(points):
        term, scale = [Fraction(1)], Fraction(function(x))
        for j, y in enumerate(points):
            if j != i:
                term = [(term[k - 1] if k else 0) - y * (term[k] if k < len(term) else 0) for k in range(len(term) + 1)]
                scale /= x - y
        total = [a + scale * b for a, b in zip(total, term, strict=True)]
    return total


def own_loss(t, own, low, width, slope):
    """E (x − f(own x + t))² over x uniform on [low, low + width], an atom where the width is 0."""

    def error(u):
        x = low + width * u
        z = own * x + t
        return x - (z if z > 0 else slope * z)

    cuts = {Fraction(0), Fraction(1)}
    if own * width != 0:
        kink = -(own * low + t) / (own * width)
        cuts |= {kink} if 0 < kink < 1 else set()
    if width == 0:
        return error(Fraction(0)) ** 2
    cuts, total = sorted(cuts), Fraction(0)
    for a, b in pairwise(cuts):
        delta = (b - a) / 10**6  # ends of a piece, seen from inside
        first, last = error(a + delta), error(b - delta)
        step = (last - first) / (b - a - 2 * delta)
        first, last = first - step * delta, last + step * delta
        total += (b - a) * (first**2 + first * last + last**2) / 3
    return total


def own_pieces(own, low, width, slope):
    """The function t ↦ `own_loss`: of the third degree between its knots."""
    knots = sorted({-INFINITE, -own * low, -own * (low + width), INFINITE})
    pieces = []
    for a, b in pairwise(knots):
        inside = [a + (b - a) * Fraction(k, 5) for k in (1, 2, 3, 4)]
        pieces.append((a, b, interpolated(lambda t: own_loss(t, own, low, width, slope), inside)))
    return pieces


def at(pieces, t):
    """A piecewise polynomial at t."""
    return next(value(polynomial, t) for a, b, polynomial in pieces if a <= t <= b)


def integral(pieces, a, b):
    """The integral of a piecewise polynomial over [a, b]."""
    total = Fraction(0)
    for start, end, polynomial in pieces:
        low, high = max(a, start), min(b, end)
        if low < high:
            total += sum(c * (high ** (k + 1) - low ** (k + 1)) / (k + 1) for k, c in enumerate(polynomial))
    return total


def averaged(pieces, weight, low, width):
    """The function averaged over a feature with this weight, whose value is in a piece."""
    knots = sorted({k - weight * x for k in {a for a, _, _ in pieces[1:]} for x in (low, low + width)})
    knots = [-INFINITE / 2, *knots, INFINITE / 2]
    degree = max(len(polynomial) for _, _, polynomial in pieces) + (width != 0)

    def mean(t):
        if width == 0 or weight == 0:
            return at(pieces, t + weight * low)
        ends = sorted((t + weight * low, t + weight * (low + width)))
        return integral(pieces, *ends) / (ends[1] - ends[0])

    found = []
    for a, b in pairwise(knots):
        inside = [a + (b - a) * Fraction(k, degree + 1) for k in range(1, degree + 1)]
        found.append((a, b, interpolated(mean, inside)))
    return found


def loss_of_pattern(gram, bias, importance, pieces, slope):
    """The loss where every feature has its value in a piece (low, width), or is inactive, None; Fractions. gram: WᵀW."""
    n, total = len(bias), Fraction(0)
    for i in range(n):
        row = gram[i]
        low, width = pieces[i] or (Fraction(0), Fraction(0))
        function = own_pieces(row[i], low, width, slope)
        shift = bias[i]
        for j in range(n):
            if j != i and pieces[j] is not None and row[j] != 0:
                if pieces[j][1] == 0:
                    shift += row[j] * pieces[j][0]
                else:
                    function = averaged(function, row[j], *pieces[j])
        total += importance[i] * at(function, shift)
    return total


def patterns(model):
    """Every set of active features with its probability, (tuple of bool, Fraction)."""
    from phasediag import ActivityTable, AnticorrelatedSets, CorrelatedSets, ExactlyActive

    n, density, law = model.n_features, [Fraction(p) for p in model.feature_density.tolist()], model.activity
    for active in product((False, True), repeat=n):
        if isinstance(law, ActivityTable):
            yield active, Fraction(float(law.probabilities[tuple(map(int, active))]))
        elif isinstance(law, ExactlyActive):
            count = sum(1 for other in product((0, 1), repeat=n) if sum(other) == law.k)
            yield active, Fraction(int(sum(active) == law.k), count)
        else:
            probability, sets = Fraction(1), [] if law is None else list(law.sets)
            for members in sets:
                on, p = sum(active[i] for i in members), density[members[0]]
                if isinstance(law, CorrelatedSets):
                    probability *= p if on == len(members) else 1 - p if on == 0 else 0
                if isinstance(law, AnticorrelatedSets):
                    probability *= p / len(members) if on == 1 else 1 - p if on == 0 else 0
            named = {i for members in sets for i in members}
            for i in set(range(n)) - named:
                probability *= density[i] if active[i] else 1 - density[i]
            yield active, probability


def rational_loss(model, weights, bias):
    """The expected loss of a model, weights (n_hidden, n_features) and biases being rational: a Fraction.

    Of untied weights a tuple (decoder, encoder).
    """
    from phasediag.values import pieces_of

    decoder, encoder = weights if isinstance(weights, tuple) else (list(zip(*weights, strict=True)), weights)
    decoder, encoder = ([[Fraction(x) for x in row] for row in part] for part in (decoder, encoder))
    gram = [[sum(d * e[j] for d, e in zip(row, encoder, strict=True)) for j in range(len(bias))] for row in decoder]
    bias, importance = [Fraction(x) for x in bias], [Fraction(x) for x in model.importance.tolist()]
    law = pieces_of(model.values)
    options = [(Fraction(low), Fraction(width)) for low, width in zip(law.lows.tolist(), law.widths.tolist(), strict=True)]
    chances = [Fraction(p) for p in law.probabilities.tolist()]
    slope = Fraction(model.slope) if model.activation == "leaky" else Fraction(int(model.activation == "linear"))
    total = Fraction(0)
    for active, probability in patterns(model):
        if probability == 0:
            continue
        for chosen in product(*(range(len(options)) if on else (None,) for on in active)):
            share = probability
            for k in chosen:
                share *= 1 if k is None else chances[k]
            pieces = [None if k is None else options[k] for k in chosen]
            total += share * loss_of_pattern(gram, bias, importance, pieces, slope)
    if model.penalty is not None:
        n = len(bias)
        total += Fraction(model.penalty.weights) * sum(gram[i][i] for i in range(n))
        total += Fraction(model.penalty.interference) * sum(gram[i][j] ** 2 for i in range(n) for j in range(n) if i != j)
    return total
