"""The loss of a two-layer ReLU network where a set of features is active, by cutting the cube into simplices (numba kernel).

The cube [0, 1]^k of the active features' values is cut into simplices from the origin, 0 ≤ u_a ≤ u_b ≤ … ≤ 1, each of these
where a neuron is 0, as long as it is positive at one corner and negative at another: an edge between two such corners gets a new
corner where the neuron is 0, and the simplex falls into two. In what is left hidden values and outputs are affine, and the same
cut at z = 0 leaves simplices on which the error e = y − z⁺ is affine too: ∫ e² is volume / ((k + 1)(k + 2)) times
(Σ_a e_a)² + Σ_a e_a². Every volume is a product of positive shares, so that nothing cancels, whatever the scale of the weights.

The slow twin is in the tests: nested quadrature between all crossings, in 40 digits.
"""

import numpy as np

from .._compiling.jit import jit


@jit
def add_sets(encoder, decoder, bias, sets, sizes, weights, signed, orders, counts, importance, order, losses, gradients):
    """Add what sets of active features contribute to the losses of outputs (n,) and, for order 1, to the gradient.

    encoder, decoder: (m, n), the latter transposed; bias, importance: (n,). sets: (n_sets, most), sizes and weights
    (probabilities): (n_sets,). signed: whether values are uniform on [−1, 1] and targets |x|, else [0, 1] and x. orders: the
    permutations of 0 … k − 1, (most + 1, most!, most), of which there are counts[k]. gradients: (2 m + 1, n), by
    encoder, decoder and bias, of Σ_i importance_i losses_i.
    """
    m, n = encoder.shape
    most = orders.shape[2]
    depth = (m + 1) * (most + 2)
    corners, volumes, nexts = np.empty((depth, most, most)), np.empty(depth), np.empty(depth, np.int64)
    values, on = np.empty((depth, m, most)), np.empty((depth, m), np.bool_)
    small, small_values, small_volumes = np.empty((most + 3, most + 1, most)), np.empty((most + 3, most + 1)), np.empty(most + 3)
    read, flip, moments, place = np.empty((m, most)), np.empty(most), np.empty(most + 1), np.empty(n, np.int64)
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
                    for i in range(n):
                        target = place[i]
                        up, down = max(bias[i], 0.0), max(-bias[i], 0.0)
                        small_values[0, 0] = bias[i]
                        for j in range(k):
                            total = bias[i]
                            for q in range(m):
                                if on[c, q]:
                                    total += decoder[q, i] * values[c, q, j]
                            small_values[0, j + 1] = total
                            up, down = max(up, total), max(down, -total)
                        if target < 0 and not up > 0.0:
                            continue
                        small_volumes[0] = volumes[c]
                        for a in range(k):
                            small[0, 0, a] = moments[a] = 0.0
                            for j in range(k):
                                small[0, j + 1, a] = corners[c, j, a]
                        moments[k] = 0.0
                        small_top = 1
                        while small_top > 0:
                            d = small_top - 1
                            up = down = 0.0
                            high = low = 0
                            for j in range(k + 1):
                                if small_values[d, j] > up:
                                    up, high = small_values[d, j], j
                                if -small_values[d, j] > down:
                                    down, low = -small_values[d, j], j
                            if up > 0.0 and down > 0.0:
                                part, rest = up / (up + down), down / (up + down)
                                for j in range(k + 1):
                                    small_values[small_top, j] = small_values[d, j]
                                    for a in range(k):
                                        small[small_top, j, a] = small[d, j, a]
                                for a in range(k):
                                    at_cut = rest * small[d, high, a] + part * small[d, low, a]
                                    small[d, low, a] = small[small_top, high, a] = at_cut
                                small_values[d, low] = small_values[small_top, high] = 0.0
                                small_volumes[small_top] = small_volumes[d] * rest
                                small_volumes[d] *= part
                                small_top += 1
                                continue
                            small_top -= 1
                            if up == 0.0 and target < 0:
                                continue
                            total = squares = 0.0
                            for j in range(k + 1):
                                error = small[d, j, target] if target >= 0 else 0.0
                                if up > 0.0:
                                    error -= small_values[d, j]
                                small_values[d, j] = error
                                total += error
                                squares += error * error
                            losses[i] += small_volumes[d] * norm * (total * total + squares)
                            if up > 0.0 and order > 0:
                                moments[k] += small_volumes[d] * total / (k + 1.0)
                                for a in range(k):
                                    sides = cross = 0.0
                                    for j in range(k + 1):
                                        sides += small[d, j, a]
                                        cross += small_values[d, j] * small[d, j, a]
                                    moments[a] += small_volumes[d] * norm * (total * sides + cross)
                        if order > 0:
                            slope = -2.0 * importance[i]
                            gradients[2 * m, i] += slope * moments[k]
                            for q in range(m):
                                if on[c, q]:
                                    total = 0.0
                                    for a in range(k):
                                        total += read[q, a] * moments[a]
                                        gradients[q, sets[s, a]] += slope * decoder[q, i] * moments[a] * flip[a]
                                    gradients[m + q, i] += slope * total
