"""Lower bounds of the loss on a box of weights and biases, with all rounding on the safe side (numba kernels).

Notation: row i is output i, with g~ = (row i of WᵀW, b_i), z = g~·x~, loss L_i = p_i/3 − 2 (M g~)_i + g~ᵀ M g~ and slopes
∂L_i/∂g~_j = 2 (M g~ − M e_i)_j; see `moments` for M. A box has g~ in [low, high], ρ = (high − low)/2 ≥ 0.

Of one row (`row_bound`):
    ends      E dist(x_i, [z_low⁺, z_high⁺])² = L_i(high) − B(high − e_i) + B(low − e_i), B = E (z⁺)², as z grows with g~;
    centre    L_i(g~) − |slopes|·ρ − gap, gap = 2 (A(g~ + ρ) + A(g~ − ρ) − 2 A(g~)), A = E x_i z⁺: the concave part −2 x_i z⁺
    falls
              below its tangent by at most 2 x_i (ρ(x) − |z|)⁺, and the convex part (z⁺)² lies above its own;
    slope     ∂L_i/∂b_i over the box lies between its values with E z⁺ and E x_i 1{z > 0} at opposite ends.

Of all rows (`joint_bound`): L ≥ Σ_i I_i (L_i + slopes·δ + δᵀ M(g~ − ρ) δ − gap_i) with δ = T d + q for a step d of weights and
biases: T is the derivative of g~, |q| ≤ Σ_h r_hi r_hj what is of second order. Dᵀ D of q is exact in the terms of first order
in q (the slopes); in the quadratic term (a + q)ᵀ M (a + q) ≥ (1 − τ) aᵀ M a − (1/τ − 1) qᵀ M q. The quadratic in d is bounded
on the box by a tangent plane after a shift of its diagonal that makes it convex (Cholesky).

Between densities. Given which features are active, all of these are averages that do not depend on the densities: L, its rows and
its slopes are linear in the density of each feature. At densities within intervals they are weighted means of their values at the
corners, the same weights for all: what is positive, or more than a given loss, at every corner is so throughout.

Rounding. With κ = `ROUNDING` the entry M_jk is off by at most κ √(p_j p_k), where p = 1 for the bias. Let s be more than
√p_i + Σ_j √p_j |g~_j|. Then errors of M change each bound of a row by at most 6 κ s²: s² from the loss, 2 s² from the slopes,
2 s² from the gap (8 κ |g~| ≤ 2 κ s²), s² from the quadratic term. As |M_jk| ≤ √(p_j p_k), sums of at most 20 terms of size s²
add at most 40 u s² < κ s², ends of boxes rounded to floats another 8 u s². So every row gives away 8 κ s². Slopes give away as
much with p = 1 throughout.
"""

import numpy as np

from .._compiling.jit import jit
from .moments import ROUNDING, UNIT, moments

MARGIN = 8.0 * ROUNDING
"""What a bound of a row gives away, for each s²."""
SHIFTS = 10
"""How many shifts are tried, each 4 times the last."""


@jit(inner=True)
def product(matrix, vector, found):
    """Write matrix (k, k) × vector (k,) to ``found`` (k,)."""
    for j in range(vector.shape[0]):
        total = 0.0
        for k in range(vector.shape[0]):
            total += matrix[j, k] * vector[k]
        found[j] = total


@jit(inner=True)
def _power(i, g, density, shifted, found, work):
    """Return E ((z − x_i)⁺)² at g (n + 1,); shifted (n + 1,), found (n + 1, n + 1) and work are overwritten."""
    n = density.shape[0]
    for j in range(n + 1):
        shifted[j] = g[j] - 1.0 if j == i else g[j]
    moments(shifted, density, found, work)
    total = 0.0
    for j in range(n + 1):
        for k in range(n + 1):
            total += shifted[j] * found[j, k] * shifted[k]
    return total


@jit(inner=True)
def _lost(i, low, high, density):
    """Return what the bound of L_i gives away for rounding over a box of g~ (n + 1,)."""
    n = density.shape[0]
    size = np.sqrt(density[i]) + max(abs(low[n]), abs(high[n]))
    for j in range(n):
        size += np.sqrt(density[j]) * max(abs(low[j]), abs(high[j]))
    return MARGIN[n] * size * size * (1.0 + 64.0 * UNIT)


@jit(inner=True)
def size_of(low, high):
    """Return s = 1 + Σ_j |g~_j| at most, over a box of g~ (n + 1,)."""
    total = 1.0
    for j in range(low.shape[0]):
        total += max(abs(low[j]), abs(high[j]))
    return total


@jit(inner=True)
def row_bound(i, low, high, density, store, work):
    """Return (lower bound of L_i, sign of ∂L_i/∂b_i or 0) over low ≤ g~ ≤ high, each (n + 1,); store (12, n + 1, n + 1)."""
    n = density.shape[0]
    at, below, above, other = store[0], store[1], store[2], store[3]
    v, v_low, v_high, centre = store[4, 0], store[4, 1], store[4, 2], store[5, 0]
    size = size_of(low, high)
    margin = MARGIN[n] * size * size
    moments(high, density, above, work)
    moments(low, density, below, work)
    product(above, high, v_high)
    product(below, low, v_low)
    sign = 0.0
    if v_low[n] - above[i, n] > margin:
        sign = 1.0
    elif v_high[n] - below[i, n] < -margin:
        sign = -1.0
    for j in range(n + 1):
        centre[j] = 0.5 * (low[j] + high[j])
    moments(centre, density, at, work)
    product(at, centre, v)
    second = density[i] / 3.0
    ends = second - 2.0 * v_high[i]
    middle = second - 2.0 * v[i] - 2.0 * max(v_high[i] + v_low[i] - 2.0 * v[i], 0.0)
    for j in range(n + 1):
        ends += v_high[j] * high[j]
        middle += v[j] * centre[j] - 2.0 * abs(v[j] - at[i, j]) * max(high[j] - centre[j], centre[j] - low[j])
    ends += _power(i, low, density, store[5, 1], other, work) - _power(i, high, density, store[5, 1], other, work)
    return max(max(ends, middle) - _lost(i, low, high, density), 0.0), sign


@jit(inner=True)
def _least_on_box(n, matrix, linear, radius, factor, u):
    """Return a lower bound of linear·d + dᵀ matrix d over |d_j| ≤ radius_j, j < n.

    matrix and linear are overwritten (scaled to the unit box); factor (n, n), u (n,).
    """
    size = 0.0
    for j in range(n):
        linear[j] *= radius[j]
        u[j] = 0.0
        for k in range(n):
            matrix[j, k] *= radius[j] * radius[k]
            size += abs(matrix[j, k])
    shift = 64.0 * n * n * UNIT * size + 1e-300  # more than what Cholesky's factors can be off by
    base = shift
    for attempt in range(SHIFTS + 1):
        positive = True
        for j in range(n):
            for k in range(j + 1):
                total = matrix[j, k] + (shift - base if j == k else 0.0)
                for h in range(k):
                    total -= factor[j, h] * factor[k, h]
                if j == k:
                    if total <= 0.0:
                        positive = False
                        break
                    factor[j, j] = np.sqrt(total)
                else:
                    factor[j, k] = total / factor[k, k]
            if not positive:
                break
        if positive:
            break
        shift = base + size * 4.0 ** (attempt + 1 - SHIFTS)  # the last is enough (Gershgorin)
    for _ in range(12):
        moved = 0.0
        for j in range(n):
            slope = linear[j]
            for k in range(n):
                if k != j:
                    slope += 2.0 * matrix[j, k] * u[k]
            diagonal = matrix[j, j] + shift
            new = min(1.0, max(-1.0, -0.5 * slope / diagonal)) if diagonal > 0.0 else (-1.0 if slope > 0.0 else 1.0)
            moved = max(moved, abs(new - u[j]))
            u[j] = new
        if moved < 1e-3:
            break
    value, size = -shift * n, 0.0
    for j in range(n):
        slope = linear[j]
        for k in range(n):
            slope += matrix[j, k] * u[k]
            size += abs(matrix[j, k])
        slope += shift * u[j]
        value += u[j] * slope
        slope = 2.0 * slope - linear[j]
        value -= max(slope * (u[j] - 1.0), slope * (u[j] + 1.0))
        size += abs(linear[j])
    return value - 32.0 * n * UNIT * size


@jit(inner=True)
def joint_bound(low, high, n_hidden, free, importance, density, store, big, slopes, gaps, work):
    """Return (lower bound of the loss, −1) over a box low ≤ (weights, biases) ≤ high, each (nd,).

    Where an entry of the gradient cannot vanish in it, return (lower bound of the loss at the box's centre alone, that entry), +
    nd where it is negative.
    free (nw, 2): row and column of each weight. store (12, n + 1, n + 1), big (7, nd, nd): overwritten. slopes (2, n, n + 1):
    least and most importance × ∂L_i/∂g~_j; gaps (n,): what each row gives away.
    """
    n, nw, nd, m = density.shape[0], free.shape[0], low.shape[0], n_hidden
    at, below, above, transform = store[0], store[1], store[2], big[0]
    centre, near, far, v = store[6, 0], store[6, 1], store[6, 2], store[7, 0]
    v_low, v_high, q, mapped = store[7, 1], store[7, 2], store[8, 0], store[9, 0]
    matrix, linear, radius, factor, u = big[1], big[2, 0], big[2, 1], big[3], big[4, 0]
    weights, spread = big[5], big[6]
    s_mid = store[10]
    for h in range(m):
        for c in range(n):
            weights[h, c] = spread[h, c] = 0.0
    widest = 0.0
    for k in range(nd):
        mid = 0.5 * (low[k] + high[k])
        radius[k] = max(high[k] - mid, mid - low[k]) * (1.0 + 4.0 * UNIT)
        u[k] = mid
        linear[k] = 0.0
        for j in range(nd):
            matrix[k, j] = 0.0
        if k < nw:
            weights[free[k, 0], free[k, 1]], spread[free[k, 0], free[k, 1]] = mid, radius[k]
            widest = max(widest, radius[k])
    tau = min(0.5, max(widest, 1e-6))
    bound = 0.0
    for i in range(n):
        size = 1.0
        for j in range(n):
            g = move = second = rounding = 0.0
            for h in range(m):
                a, b = weights[h, i], weights[h, j]
                g += a * b
                rounding += abs(a * b)
                second += spread[h, i] * spread[h, j]
                move += abs(a) * spread[h, j] + spread[h, i] * abs(b)
            q[j] = (second + 4.0 * UNIT * rounding) * (1.0 + 8.0 * UNIT) + 1e-300
            move = (move + q[j]) * (1.0 + 8.0 * UNIT)
            centre[j], near[j], far[j] = g, g - move, g + move
            size += abs(g) + move
        centre[n] = u[nw + i]
        near[n], far[n] = centre[n] - radius[nw + i], centre[n] + radius[nw + i]
        size += abs(centre[n]) + radius[nw + i]
        margin, lost = MARGIN[n] * size * size, _lost(i, near, far, density)
        moments(centre, density, at, work)
        moments(near, density, below, work)
        moments(far, density, above, work)
        product(at, centre, v)
        product(below, near, v_low)
        product(above, far, v_high)
        share = importance[i]
        gaps[i] = share * (2.0 * max(v_high[i] + v_low[i] - 2.0 * v[i], 0.0) + lost)
        loss = density[i] / 3.0 - 2.0 * v[i]
        across = 0.0
        for j in range(n + 1):
            loss += v[j] * centre[j]
            s_mid[i, j] = 2.0 * share * (v[j] - at[i, j])
            slopes[0, i, j] = 2.0 * share * (v_low[j] - above[i, j] - margin)
            slopes[1, i, j] = 2.0 * share * (v_high[j] - below[i, j] + margin)
            if j < n:
                across += np.sqrt(max(below[j, j], 0.0) + MARGIN[n]) * q[j]
        bound += share * (loss - (1.0 / tau - 1.0) * across * across * (1.0 + 32.0 * UNIT)) - gaps[i]
        linear[nw + i] = s_mid[i, n]
        for j in range(n + 1):
            for k in range(nd):
                transform[j, k] = 0.0
        for k in range(nw):
            h, c = free[k, 0], free[k, 1]
            transform[c, k] += weights[h, i]
            if c == i:
                for j in range(n):
                    transform[j, k] += weights[h, j]
        transform[n, nw + i] = 1.0
        for k in range(nd):
            for j in range(n + 1):
                total = 0.0
                for h in range(n + 1):
                    total += below[j, h] * transform[h, k]
                mapped[j] = total
            for l in range(k + 1):
                total = 0.0
                for j in range(n + 1):
                    total += transform[j, l] * mapped[j]
                matrix[k, l] += share * (1.0 - tau) * total
    for k in range(nw):
        h, c = free[k, 0], free[k, 1]
        least = most = 0.0
        for j in range(n):
            linear[k] += weights[h, j] * (s_mid[c, j] + s_mid[j, c])
            a, b = slopes[0, c, j] + slopes[0, j, c], slopes[1, c, j] + slopes[1, j, c]
            x, y = weights[h, j] - spread[h, j], weights[h, j] + spread[h, j]
            least += min(min(a * x, a * y), min(b * x, b * y))
            most += max(max(a * x, a * y), max(b * x, b * y))
            rounding = 16.0 * UNIT * (abs(a) + abs(b)) * max(abs(x), abs(y))
            least -= rounding
            most += rounding
        if least > 0.0:
            return bound, k
        if most < 0.0:
            return bound, k + nd
        for l in range(k + 1):
            if free[l, 0] == h:
                matrix[k, l] += 0.5 * (s_mid[c, free[l, 1]] + s_mid[free[l, 1], c])
    for k in range(nd):
        for l in range(k):
            matrix[l, k] = matrix[k, l]
    return bound + _least_on_box(nd, matrix, linear, radius, factor, u), -1


@jit
def support(point, n_hidden, free, importance, density, gradient):
    """Return a lower bound of the loss at a point (nd,); its gradient's sizes, rounded up, go to ``gradient`` (nd,)."""
    n, nw, nd = density.shape[0], free.shape[0], point.shape[0]
    slopes = np.zeros((2, n, n + 1))
    store, big, work = np.zeros((12, n + 1, n + 1)), np.zeros((7, nd, nd)), np.zeros((10, 12))
    bound, _entry = joint_bound(point, point, n_hidden, free, importance, density, store, big, slopes, gradient, work)
    for k in range(nd):
        gradient[k] = work[0, k] = 0.0
    for end in range(2):
        for i in range(n):
            gradient[nw + i] = max(gradient[nw + i], abs(slopes[end, i, n]))
    for k in range(nw):
        for l in range(nw):
            if free[k, 0] == free[l, 0]:
                c, j = free[k, 1], free[l, 1]
                middle = 0.5 * (slopes[0, c, j] + slopes[1, c, j] + slopes[0, j, c] + slopes[1, j, c])
                spread = 0.5 * (slopes[1, c, j] - slopes[0, c, j] + slopes[1, j, c] - slopes[0, j, c])
                gradient[k] += middle * point[l]
                work[0, k] += spread * abs(point[l]) + 16.0 * UNIT * abs(middle * point[l])
    for k in range(nw):
        gradient[k] = abs(gradient[k]) + work[0, k]
    return bound
