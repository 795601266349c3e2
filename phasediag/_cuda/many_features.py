"""The kernel for many features: one warp trains one model, its lanes are samples and then entries of the gradient.

Thirty-two samples at a time, which the warps of a block share, a lane computes h = W x of its own sample, then for every output
o_i = W_·i h + b_i, the weighted error e_i = I_i (o_i − x_i)[o_i > 0] and its way back u = W e. The gradient Σ (h eᵀ + u xᵀ) over
samples is a product of matrices in shared memory; every lane keeps a tile of it in registers over the whole minibatch.
"""

from functools import cache

import numpy as np
from numba import config, cuda

from .._training.outputs import LEAKY, LINEAR
from .few_features import ZERO, _moved, _outcome, _philox, _piecewise
from .many_streams import FIRST
from .streams import CATEGORY, COUNT, OTHER_REST, PART, REST, SINGLE, TO_UNIT
from .unrolling import known, registers, specialised, unrolled

LANES = 32
ROW = LANES + 4  # of arrays of one number a sample: rows side by side are in different banks of shared memory
SHARED = 48 * 1024  # bytes of a block
MOST_SUMS, MOST_HIDDEN = 64, 36


def check_size(n, m):
    """Raise ValueError when models of n features and m dimensions do not fit a warp's registers and shared memory."""
    if m > MOST_HIDDEN or n * m > LANES * MOST_SUMS or _bytes(n, m, 1) > SHARED:
        raise ValueError(
            f'n_features and n_hidden must fit a warp\'s registers and memory for device "cuda": n_hidden up to {MOST_HIDDEN}, '
            f"{LANES * MOST_SUMS} weights, {SHARED // 1024} KiB, got {n} and {m}"
        )


@cache
def tiling(n, m):
    """Return (rows, columns, groups): lanes along dimensions, along features, and that share the samples."""
    powers = [2**k for k in range(6)]
    fitting = [(a, i, LANES // (a * i)) for a in powers for i in powers if a * i <= LANES and LANES // (a * i) <= 8]

    def cost(tile):
        """Operations of a lane for thirty-two samples."""
        rows, columns = -(-m // tile[0]), -(-n // tile[1])
        if rows * columns > MOST_SUMS:
            return np.inf
        return -(-8 // tile[2]) * (2 * rows * columns + rows + columns)

    return min(fitting, key=cost)


def _bytes(n, m, n_warps):
    """Shared memory of a block."""
    rows, columns, _ = tiling(n, m)
    e_rows, a_rows = max(-(-n // columns) * columns, -(-n // 4) * 4), -(-m // rows) * rows
    of_warp = (e_rows + 2 * a_rows) * ROW + -(-n // 4) * 4 * (-(-m // 4) * 4 + 2) + n
    return 4 * (e_rows * ROW + n_warps * of_warp) + 2 * PART


def n_warps_of(n, m):
    """Return how many models a block trains at most."""
    return max(k for k in (1, 2, 4) if k == 1 or _bytes(n, m, k) <= SHARED)


@cache
def many_features(n, m, activation, penalised, adam, independent, n_warps):
    """Return the kernel for n features, m dimensions and ``n_warps`` models a block; see `_train`."""
    rows, columns, groups = tiling(n, m)
    n_4, m_4 = -(-n // 4) * 4, -(-m // 4) * 4
    tile_a, tile_i = -(-m // rows), -(-n // columns)
    return cuda.jit(
        specialised(
            _train, n=n, m=m, activation=activation,
            penalised=penalised, adam=adam, independent=independent, n_warps=n_warps, rows=rows, columns=columns,
            groups=groups, n_4=n_4, m_4=m_4, tile_a=tile_a, tile_i=tile_i, quads=-(-n // 4),
            e_size=max(tile_i * columns, n_4) * ROW, a_size=tile_a * rows * ROW, simulated=config.ENABLE_CUDASIM,
        )
    )  # fmt: skip


@cuda.jit(device=True)
def _feature(word, limit, scale, j, leading, law, pieces):
    """Return a feature of a sample whose first active one is ``leading``, from a random word."""
    if j < leading or (j > leading and word > limit):
        return ZERO
    u = np.float32(word) * (TO_UNIT if j == leading else scale)
    return _piecewise(min(u, np.float32(1)), law, pieces)


@cuda.jit(device=True)
def _error(output, x, activation, leak):
    """Return the error that an output passes back, see ``_training/outputs.py``."""
    if activation == LINEAR or output > ZERO:
        return output - x
    return leak * (leak * output - x) if activation == LEAKY else ZERO


def _train(
    start, stop, average, scalars, keys, law_of, sizes, places, cut, own, other, limits, scales, pieces, factors, parameters,
    first, second, *, n, m, activation, penalised, adam, independent, n_warps, rows, columns, groups, n_4, m_4, tile_a, tile_i,
    quads, e_size, a_size, simulated,
):  # fmt: skip
    """Train all models from step ``start`` to ``stop``.

    average is 2/(B n); scalars (n_steps, 7); keys (n_slots, 2); law_of (n_blocks,) a row of places, limits, scales and pieces,
    which are with sizes, cut, own and other the `ManyLaws`; factors (n_slots, n + 3) importances, B γ, 2 B λ and the slope;
    parameters, first and second (n_slots, (m + 1) n).
    """
    total = bias_sum = hidden = back = weight = left = right = output = error = registers()
    x = cuda.shared.array(e_size, np.float32)
    e_all = cuda.shared.array(n_warps * e_size, np.float32)
    h_all = cuda.shared.array(n_warps * a_size, np.float32)
    u_all = cuda.shared.array(n_warps * a_size, np.float32)
    w_all = cuda.shared.array(n_warps * n_4 * m_4, np.float32)
    b_all = cuda.shared.array(n_warps * n_4, np.float32)
    c_all = cuda.shared.array(n_warps * n_4, np.float32)
    g_all = cuda.shared.array(n_warps * n, np.float32)
    leading = cuda.shared.array(PART, np.uint16)
    thread, n_threads = cuda.threadIdx.x, n_warps * LANES
    lane, warp = thread % LANES, thread // LANES
    slot = cuda.blockIdx.x * n_warps + warp
    stream = slot if independent else slot - warp
    key, other_key = keys[stream, 0], keys[stream, 1]
    law, leak = law_of[cuda.blockIdx.x], factors[slot, n + 2]
    e_0, a_0, w_0, b_0, g_0 = warp * e_size, warp * a_size, warp * n_4 * m_4, warp * n_4, warp * n
    group, row, column = lane // (rows * columns), lane // columns % rows, lane % columns
    for i in range(thread, e_size, n_threads):
        x[i] = ZERO
    for i in range(lane, e_size, LANES):
        e_all[e_0 + i] = ZERO
    for i in range(lane, a_size, LANES):
        h_all[a_0 + i] = ZERO
        u_all[a_0 + i] = ZERO
    for i in range(lane, n_4, LANES):
        b_all[b_0 + i] = parameters[slot, m * n + i] if i < n else ZERO
        c_all[b_0 + i] = factors[slot, i] if i < n else ZERO
        for a in range(m_4):
            w_all[w_0 + i * m_4 + a] = parameters[slot, a * n + i] if i < n and a < m else ZERO
    cuda.syncthreads()
    for step in range(start, stop):
        low, high = step & 0xFFFFFFFF, step >> 32 << 8
        for r in unrolled(range(tile_i)):
            bias_sum[r] = ZERO
            for a in unrolled(range(tile_a)):
                total[a, r] = ZERO
        n_empty = 0
        for part in range(sizes.size):
            place = places[law, REST] if sizes[part] == sizes[0] else places[law, OTHER_REST]
            word, _, _, _ = _philox(key, other_key, 0, part, low, COUNT + high)
            rest = _outcome(word, place, sizes[part] + 1, cut, own, other)
            padded = (rest + LANES - 1) // LANES * LANES
            n_empty += sizes[part] - padded
            for i in range(thread * 4, padded, n_threads * 4):
                word, word_1, word_2, word_3 = _philox(key, other_key, i // 4, part, low, CATEGORY + high)
                for c in unrolled(range(4)):
                    leading[i + c] = _outcome(word, places[law, FIRST], n, cut, own, other) if i + c < rest else n
                    word, word_1, word_2 = word_1, word_2, word_3
            cuda.syncthreads()
            for base in range(0, padded, LANES):
                for i in range(thread, LANES * quads, n_threads):
                    t, q = i % LANES, i // LANES
                    word, word_1, word_2, word_3 = _philox(key, other_key, (base + t) * quads + q, part, low, SINGLE + high)
                    for c in unrolled(range(4)):
                        j = 4 * q + c
                        if j < n:
                            x[j * ROW + t] = _feature(word, limits[law, j], scales[law, j], j, leading[base + t], law, pieces)
                        word, word_1, word_2 = word_1, word_2, word_3
                cuda.syncthreads()
                for a in unrolled(range(m)):
                    hidden[a] = ZERO
                    back[a] = ZERO
                for i in range(0, n_4, 4):
                    for r in unrolled(range(4)):
                        x_i = x[np.uint64((i + r) * ROW + lane)]
                        for a in unrolled(range(m)):
                            hidden[a] += w_all[np.uint64(w_0 + (i + r) * m_4 + a)] * x_i
                for i in range(0, n_4, 4):
                    for r in unrolled(range(4)):
                        output[r] = b_all[np.uint64(b_0 + i + r)]
                        for a in unrolled(range(m)):
                            weight[r, a] = w_all[np.uint64(w_0 + (i + r) * m_4 + a)]
                            output[r] += weight[r, a] * hidden[a]
                    for r in unrolled(range(4)):
                        error[r] = c_all[np.uint64(b_0 + i + r)] * _error(
                            output[r], x[np.uint64((i + r) * ROW + lane)], activation, leak
                        )
                        e_all[np.uint64(e_0 + (i + r) * ROW + lane)] = error[r]
                        for a in unrolled(range(m)):
                            back[a] += weight[r, a] * error[r]
                for a in unrolled(range(m)):
                    h_all[np.uint64(a_0 + a * ROW + lane)] = hidden[a]
                    u_all[np.uint64(a_0 + a * ROW + lane)] = back[a]
                if known(simulated):
                    cuda.syncthreads()
                else:
                    cuda.syncwarp()
                for q in range(group, LANES // 4, groups):
                    for r in unrolled(range(tile_i)):
                        for c in unrolled(range(4)):
                            right[r, c] = e_all[np.uint64(e_0 + (column + r * columns) * ROW + 4 * q + c)]
                            bias_sum[r] += right[r, c]
                    for a in unrolled(range(tile_a)):
                        for c in unrolled(range(4)):
                            left[a, c] = h_all[np.uint64(a_0 + (row + a * rows) * ROW + 4 * q + c)]
                        for r in unrolled(range(tile_i)):
                            for c in unrolled(range(4)):
                                total[a, r] += left[a, c] * right[r, c]
                    for r in unrolled(range(tile_i)):
                        for c in unrolled(range(4)):
                            right[r, c] = x[np.uint64((column + r * columns) * ROW + 4 * q + c)]
                    for a in unrolled(range(tile_a)):
                        for c in unrolled(range(4)):
                            left[a, c] = u_all[np.uint64(a_0 + (row + a * rows) * ROW + 4 * q + c)]
                        for r in unrolled(range(tile_i)):
                            for c in unrolled(range(4)):
                                total[a, r] += left[a, c] * right[r, c]
                cuda.syncthreads()
        for k in range(groups):
            if group == k:
                for r in unrolled(range(tile_i)):
                    i = column + r * columns
                    if i < n:
                        if row == 0:
                            g_all[g_0 + i] = bias_sum[r] + (g_all[g_0 + i] if k > 0 else ZERO)
                        for a in unrolled(range(tile_a)):
                            if row + a * rows < m:
                                at = e_0 + (row + a * rows) * n + i
                                e_all[at] = total[a, r] + (e_all[at] if k > 0 else ZERO)
            if known(simulated):
                cuda.syncthreads()
            else:
                cuda.syncwarp()
        if known(penalised):
            for j in range(lane, n, LANES):
                for a in unrolled(range(m)):
                    back[a] = factors[slot, n] * w_all[w_0 + j * m_4 + a]
                for i in range(n):
                    product = ZERO
                    for a in unrolled(range(m)):
                        product += w_all[w_0 + i * m_4 + a] * w_all[w_0 + j * m_4 + a]
                    product *= factors[slot, n + 1] if i != j else ZERO
                    for a in unrolled(range(m)):
                        back[a] += product * w_all[w_0 + i * m_4 + a]
                for a in unrolled(range(m)):
                    e_all[e_0 + a * n + j] += back[a]
            if known(simulated):
                cuda.syncthreads()
            else:
                cuda.syncwarp()
        for i in range(lane, n * (m + 1), LANES):
            a, j = i // n, i % n
            if a < m:
                old, slope = w_all[w_0 + j * m_4 + a], e_all[e_0 + i]
            else:
                old = b_all[b_0 + j]
                slope = g_all[g_0 + j] + np.float32(n_empty) * c_all[b_0 + j] * _error(old, ZERO, activation, leak)
            new, mean, square = _moved(adam, scalars, step, old, first[slot, i], second[slot, i], average * slope)
            if known(adam):
                first[slot, i], second[slot, i] = mean, square
            if a < m:
                w_all[w_0 + j * m_4 + a] = new
            else:
                b_all[b_0 + j] = new
        if known(simulated):
            cuda.syncthreads()
        else:
            cuda.syncwarp()
    for i in range(lane, n * m, LANES):
        parameters[slot, i] = w_all[w_0 + i % n * m_4 + i // n]
    for i in range(lane, n, LANES):
        parameters[slot, m * n + i] = b_all[b_0 + i]
