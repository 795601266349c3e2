"""The loss of a two-layer ReLU network where a set of features is active, by cutting the cube into simplices (numba kernel).

The cube [0, 1]^k of the active features' values is cut into simplices from the origin, 0 ≤ u_a ≤ u_b ≤ … ≤ 1, each of these
where a neuron is 0, as long as it is positive at one corner and negative at another: an edge between two such corners gets a new
corner where the neuron is 0, and the simplex falls into two. In what is left hidden values and outputs are affine, and the same
cut at z = 0 leaves simplices on which the error e = y − z⁺ is affine too: ∫ e² is volume / ((k + 1)(k + 2)) times
(Σ_a e_a)² + Σ_a e_a². Every volume is a product of positive shares, so that nothing cancels, whatever the scale of the weights.

The simplices of that last cut are the ways over a lattice: at (p, q) the edge from the positive corner p to the negative one q is
cut, and the new corner takes the place of q or of p. As e is affine, sums over all ways follow from sums over ways to each
place, of the volume, the volume times Σ e, and the volume times (Σ e)² + Σ e²; and ∫ e λ_j, from which gradients come, is half
the derivative of ∫ e² by the error at corner j, from the same sums backwards.

The slow twin is in the tests: nested quadrature between all crossings, in 40 digits.
"""

import numpy as np

from .._compiling.jit import jit


@jit(once=True)
def add_ways(outputs, aims, errors, sides, n_up, n_down, moments, work):
    """(Σ e)² + Σ e² over the simplices into which z = 0 cuts one of volume 1, and half its derivatives by errors where z > 0.

    outputs z, aims y and errors e (k + 1,) at its corners; sides: the corners with z > 0, n_up of them, then the others. The
    derivatives are added to moments (k + 1,). work: (7, k + 2, k + 2): sums over ways to each place, and backwards.
    """
    ones, firsts, seconds, first_back, second_back, shares, cuts = work[0], work[1], work[2], work[3], work[4], work[5], work[6]
    for p in range(n_up + 1):
        for q in range(n_down + 1):
            ones[p, q] = firsts[p, q] = seconds[p, q] = 0.0
    ones[0, 0] = 1.0
    for p in range(n_up):
        up, aim = outputs[sides[p]], aims[sides[p]]
        for q in range(n_down):
            share = up / (up - outputs[sides[n_up + q]])
            error = (1.0 - share) * aim + share * aims[sides[n_up + q]]
            shares[p, q], cuts[p, q] = share, error
            one, first = ones[p, q], firsts[p, q] + error * ones[p, q]
            second = seconds[p, q] + 2.0 * error * first
            ones[p, q + 1] += share * one
            firsts[p, q + 1] += share * first
            seconds[p, q + 1] += share * second
            ones[p + 1, q] += (1.0 - share) * one
            firsts[p + 1, q] += (1.0 - share) * first
            seconds[p + 1, q] += (1.0 - share) * second
    found = total = squares = 0.0
    for q in range(n_down - 1, -1, -1):
        error = errors[sides[n_up + q]]
        total += error
        squares += error * error
        found += seconds[n_up, q] + 2.0 * total * firsts[n_up, q] + (total * total + squares) * ones[n_up, q]
        first_back[n_up, q] = second_back[n_up, q] = 0.0
    total = squares = 0.0
    for p in range(n_up - 1, -1, -1):
        error = errors[sides[p]]
        total += error
        squares += error * error
        found += seconds[p, n_down] + 2.0 * total * firsts[p, n_down] + (total * total + squares) * ones[p, n_down]
        first_back[p, n_down], second_back[p, n_down] = 2.0 * total, 1.0
        for q in range(n_down - 1, -1, -1):
            share, error = shares[p, q], cuts[p, q]
            first = share * first_back[p, q + 1] + (1.0 - share) * first_back[p + 1, q]
            second = share * second_back[p, q + 1] + (1.0 - share) * second_back[p + 1, q]
            pull = 0.5 * first * ones[p, q] + second * (firsts[p, q] + 2.0 * error * ones[p, q])
            moments[sides[p]] += (1.0 - share) * pull
            moments[sides[n_up + q]] += share * pull
            first_back[p, q], second_back[p, q] = first + 2.0 * error * second, second
    one = first = 0.0
    for p in range(n_up):
        one += ones[p, n_down]
        first += firsts[p, n_down] + 0.5 * first_back[p, n_down] * ones[p, n_down]
        moments[sides[p]] += first + errors[sides[p]] * one
    return found


def room(m, n, most):
    """What `add_sets` and `add_samples` write to, a tuple of arrays, for m neurons, n features, and so many active at most."""
    depth, corners = (m + 1) * (most + 2), most + 1
    shapes = (depth, most, most), depth, (depth, m, most), (m, most), most, corners, corners, corners, corners, (m, corners)
    whole = np.empty(depth, np.int64), np.empty(n, np.int64), np.empty(corners, np.int64), np.empty((depth, m), np.bool_)
    return *map(np.empty, shapes), np.empty((7, most + 2, most + 2)), *whole


@jit
def add_sets(encoder, decoder, bias, sets, sizes, weights, signed, orders, counts, importance, order, losses, gradients, room):
    """Add what sets of active features contribute to the losses of outputs (n,) and, for order 1, to the gradient.

    encoder, decoder: (m, n), the latter transposed; bias, importance: (n,). sets: (n_sets, most), sizes and weights
    (probabilities): (n_sets,). signed: whether values are uniform on [−1, 1] and targets |x|, else [0, 1] and x. orders: the
    permutations of 0 … k − 1, (most + 1, most!, most), of which there are counts[k]. gradients: (2 m + 1, n), by
    encoder, decoder and bias, of Σ_i importance_i losses_i. room: work, as `room` makes it.
    """
    m, n = encoder.shape
    corners, volumes, values, read, flip, outputs, aims, errors, moments, pulls, work, nexts, place, sides, on = room
    for s in range(len(sizes)):
        k = sizes[s]
        if weights[s] == 0.0:
            continue
        for i in range(n):
            place[i] = -1
        for a in range(k):
            place[sets[s, a]] = a
        n_signs = 1 << k if signed else 1
        share = weights[s] / n_signs
        for a in range(2, k + 1):
            share /= a
        norm = 1.0 / ((k + 1.0) * (k + 2.0))
        for sign in range(n_signs):
            for a in range(k):
                flip[a] = -1.0 if (sign >> a) & 1 else 1.0
                for r in range(m):
                    read[r, a] = encoder[r, sets[s, a]] * flip[a]
            for turn in range(counts[k]):
                for j in range(k):
                    at = orders[k, turn, j]
                    for a in range(k):
                        corners[0, j, a] = corners[0, j - 1, a] if j > 0 else 0.0
                    corners[0, j, at] = 1.0
                    for r in range(m):
                        values[0, r, j] = (values[0, r, j - 1] if j > 0 else 0.0) + read[r, at]
                volumes[0], nexts[0] = share, 0
                top = 1
                while top > 0:
                    c = top - 1
                    r = nexts[c]
                    if r < m:
                        up = down = 0.0
                        high = low = 0
                        for j in range(k):
                            if values[c, r, j] > up:
                                up, high = values[c, r, j], j
                            if -values[c, r, j] > down:
                                down, low = -values[c, r, j], j
                        if not (up > 0.0 and down > 0.0):
                            on[c, r], nexts[c] = up > 0.0, r + 1
                            continue
                        part, rest = up / (up + down), down / (up + down)
                        for q in range(m):
                            on[top, q] = on[c, q]
                            for j in range(k):
                                values[top, q, j] = values[c, q, j]
                            value = rest * values[c, q, high] + part * values[c, q, low]
                            values[c, q, low] = values[top, q, high] = value if q != r else 0.0
                        for j in range(k):
                            for a in range(k):
                                corners[top, j, a] = corners[c, j, a]
                        for a in range(k):
                            at_cut = rest * corners[c, high, a] + part * corners[c, low, a]
                            corners[c, low, a] = corners[top, high, a] = at_cut
                        volumes[top], nexts[top] = volumes[c] * rest, r
                        volumes[c] *= part
                        top += 1
                        continue
                    top -= 1
                    volume = volumes[c] * norm
                    for q in range(m):
                        for j in range(k + 1):
                            pulls[q, j] = 0.0
                    for i in range(n):
                        target, n_up = place[i], 0
                        for j in range(k + 1):
                            total = bias[i]
                            if j > 0:
                                for q in range(m):
                                    if on[c, q]:
                                        total += decoder[q, i] * values[c, q, j - 1]
                            outputs[j], moments[j] = total, 0.0
                            aims[j] = corners[c, j - 1, target] if j > 0 and target >= 0 else 0.0
                            if total > 0.0:
                                sides[j] = sides[n_up]
                                sides[n_up] = j
                                n_up += 1
                            else:
                                sides[j] = j
                            errors[j] = aims[j] - max(total, 0.0)
                        if n_up == 0 and target < 0:
                            continue
                        if n_up == 0 or n_up == k + 1:
                            total = squares = 0.0
                            for j in range(k + 1):
                                total += errors[j]
                                squares += errors[j] * errors[j]
                            losses[i] += volume * (total * total + squares)
                            if n_up == 0:
                                continue
                            for j in range(k + 1):
                                moments[j] = total + errors[j]
                        else:
                            losses[i] += volume * add_ways(outputs, aims, errors, sides, n_up, k + 1 - n_up, moments, work)
                        if order > 0:
                            slope, total = -2.0 * importance[i] * volume, 0.0
                            for j in range(k + 1):
                                total += moments[j]
                            gradients[2 * m, i] += slope * total
                            for q in range(m):
                                if on[c, q]:
                                    total = 0.0
                                    for j in range(k):
                                        total += values[c, q, j] * moments[j + 1]
                                        pulls[q, j] += slope * decoder[q, i] * moments[j + 1]
                                    gradients[m + q, i] += slope * total
                    if order > 0:
                        for q in range(m):
                            if on[c, q]:
                                for a in range(k):
                                    total = 0.0
                                    for j in range(k):
                                        total += corners[c, j, a] * pulls[q, j]
                                    gradients[q, sets[s, a]] += flip[a] * total
