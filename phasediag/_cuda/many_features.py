"""The kernels for many features: one block trains one model, its threads are samples and then entries of the gradient.

Thirty-two samples at a time, a lane is a sample and a warp has a part of the features: it adds up its share of h = W x, then for
its outputs o_i = W_·i h + b_i, the weighted error e_i = I_i (o_i − x_i)[o_i > 0] and its share of the way back u = W e. The
gradient Σ (h eᵀ + u xᵀ) over samples is a product of matrices in shared memory; every thread keeps a tile of it in registers over
the whole minibatch. What does not fit shared memory is own in the GPU's memory, in rows of ``scratch``.
"""

from functools import cache

import numpy as np
from numba import cuda

from .._training.outputs import LEAKY, LINEAR
from .few_features import ZERO, _moved, _outcome, _philox, _piecewise
from .kinds import LANES, SHARED
from .many_streams import NEXT
from .streams import CATEGORY, COUNT, OTHER_REST, REST, SINGLE, TO_UNIT
from .unrolling import compiled, known, registers, room, specialised, unrolled

ROW = LANES + 4  # of arrays of one number a sample: rows side by side are in different banks of shared memory
MOST_SUMS, MOST_HIDDEN, MOST_WARPS = 56, 64, 16
FEATURES = 20  # of a warp, at least
WARPS = 12  # that a multiprocessor has registers for, at least


def check_size(n, m):
    """Raise ValueError when models of n features and m dimensions do not fit a block's registers."""
    if m > MOST_HIDDEN or not _tilings(n, m, MOST_WARPS):
        most = LANES * MOST_WARPS * MOST_SUMS
        domain = f'at most {MOST_HIDDEN} hidden dimensions and about {most} weights, to be trained with device "cuda"'
        raise ValueError(f"model must have {domain}, got {n} features and {m} dimensions")


def n_warps_of(n, m):
    """Return how many warps train a model: a power of two, so that each has its features and threads can hold the gradient."""
    most_by_features = max(1, min(n // FEATURES, 8))
    return next(k for k in (1, 2, 4, 8, 16) if k >= most_by_features and _tilings(n, m, k))


def _tilings(n, m, n_warps):
    """Return by (rows, columns, groups), as of `tiling`, about how many operations threads take for thirty-two samples."""
    n_threads, found = LANES * n_warps, {}
    powers = [2**k for k in range(n_threads.bit_length())]
    for a in powers:
        for i in powers:
            rows, columns, groups = -(-m // a), -(-n // i), n_threads // (a * i)
            if 1 <= groups <= 8 and rows * columns <= MOST_SUMS:
                found[a, i, groups] = 8 // groups * (2 * rows * columns + rows + columns) + groups * rows * columns / 8
    return found


@cache
def tiling(n, m, n_warps):
    """Return (rows, columns, groups): threads along dimensions, along features, and that share the samples."""
    tilings = _tilings(n, m, n_warps)
    return min(tilings, key=tilings.get)


@cache
def layout(n, m, n_warps):
    """Return by name where a block's arrays are, (size, None) in shared memory or (size, begin) in its row of scratch.

    The second number returned is the length of a row of scratch.
    """
    rows, columns, _ = tiling(n, m, n_warps)
    n_4, m_4 = -(-n // 4) * 4, -(-m // 4) * 4
    e_size, a_size = max(-(-n // columns) * columns, n_4) * ROW, -(-m // rows) * rows * ROW
    sizes = {"h": a_size, "u": a_size, "b": n_4, "importance": n_4, "g": n, "shares": n_warps * m * LANES}
    sizes |= {"w": n_4 * m_4, "x": e_size, "e": max(e_size, n * m)}
    places, left, length = {}, SHARED // 4, 0
    for name, size in sizes.items():
        places[f"{name}_place"] = size, None if size <= left else length
        left, length = (left - size, length) if size <= left else (left, length + size)
    return places, length


@cache
def many_features(n, m, moving, activation, penalised, adam, n_warps):
    """Return the kernel for n features and m dimensions, blocks of ``n_warps`` warps; see `_train`."""
    rows, columns, groups = tiling(n, m, n_warps)
    function = specialised(
        _train, n=n, m=m, moving=moving, activation=activation, penalised=penalised, adam=adam, n_warps=n_warps,
        rows=rows, columns=columns, groups=groups, tile_a=-(-m // rows), tile_i=-(-n // columns), quads=-(-n // 4),
        m_4=-(-m // 4) * 4, together=4 if m <= 12 else 2 if m <= 24 else 1, **layout(n, m, n_warps)[0],
    )  # fmt: skip
    return compiled(function, n_warps * max(1, WARPS // n_warps))


@cuda.jit(device=True)
def _error(output, x, activation, leak):
    """Return the error that an output passes back, see ``_training/outputs.py``."""
    error = output - x  # before the choice, so that nothing branches
    if activation == LINEAR or output > ZERO:
        return error
    return leak * (leak * output - x) if activation == LEAKY else ZERO


@cache
def samples_of(n, plain):
    """Return the kernel that draws samples of n features, ``plain``: uniform on [0, 1]; see `_draw_samples`."""
    return compiled(specialised(_draw_samples, n=n, plain=plain, quads=-(-n // 4)), WARPS)


def _draw_samples(
    start, n_steps, n_tiles, keys, law_of, sizes, places, cut, own, other, limits, scales, pieces, samples, *, n, plain, quads
):
    """Draw samples of steps from ``start`` on, a block for thirty-two of them: of a stream, a step and a tile.

    keys (n_streams, 2); law_of (n_streams,) a row of places, limits, scales and pieces, which are with sizes, cut, own and other
    the `ManyLaws`; samples (n_streams n_steps n_tiles 4 quads 32,): of each tile feature by feature, past n without a meaning.
    """
    leading = cuda.shared.array(32, np.int32)
    thread, block, n_threads = cuda.threadIdx.x, cuda.blockIdx.x, cuda.blockDim.x
    stream, step, tile = block // (n_steps * n_tiles), start + block // n_tiles % n_steps, block % n_tiles
    low, high = step & 0xFFFFFFFF, step >> 32 << 8
    key, other_key, law = keys[stream, 0], keys[stream, 1], law_of[stream]
    limit, scale = limits[law], scales[law]
    part = 0
    while tile * LANES >= sizes[part]:
        tile -= (sizes[part] + LANES - 1) // LANES
        part += 1
    place = places[law, REST] if sizes[part] == sizes[0] else places[law, OTHER_REST]
    word, _, _, _ = _philox(key, other_key, 0, part, low, COUNT + high)
    rest = _outcome(word, place, sizes[part] + 1, cut, own, other)
    if thread < LANES:
        sample = tile * LANES + thread
        word, word_1, word_2, word_3 = _philox(key, other_key, sample // 4, part, low, CATEGORY + high)
        word = (word if sample % 4 == 0 else word_1) if sample % 4 < 2 else (word_2 if sample % 4 == 2 else word_3)
        leading[thread] = _outcome(word, places[law, NEXT], n + 1, cut, own, other) if sample < rest else n
    cuda.syncthreads()
    for i in range(thread, LANES * quads, n_threads):
        t, q = i % LANES, i // LANES
        word, word_1, word_2, word_3 = _philox(key, other_key, (tile * LANES + t) * quads + q, part, low, SINGLE + high)
        for c in unrolled(range(4)):
            j = 4 * q + c
            at = min(j, n - 1) if known(n % 4) else j
            active = np.int32(j) == leading[t]
            value = min(np.float32(word) * (TO_UNIT if active else scale[at]), np.float32(1))
            if known(not plain):
                value = _piecewise(value, law, pieces)
            active |= (np.int32(j) > leading[t]) & (word <= limit[at])
            samples[(block * 4 * quads + j) * LANES + t] = value if active else ZERO
            word, word_1, word_2 = word_1, word_2, word_3


def _train(
    start, stop, average, scalars, keys, law_of, sizes, places, cut, own, other, stream_of, n_tiles, samples, factors, parameters,
    first, second, scratch, *, n, m, moving, activation, penalised, adam, n_warps, rows, columns, groups, tile_a, tile_i, quads,
    m_4, together, h_place, u_place, b_place, importance_place, g_place, shares_place, w_place, x_place, e_place,
):  # fmt: skip
    """Train all models from step ``start`` to ``stop``.

    average is 2/(B n); scalars (n_steps, 7); keys (n_slots, 2); law_of (n_slots,) a row of places, which are with sizes, cut, own
    and other the `ManyLaws`; stream_of (n_slots,) whose ``samples``, of `_draw_samples` from ``start`` to ``stop``, are theirs;
    factors (n_slots, n + 3) importances, B γ, 2 B λ and the slope; parameters, first and second (n_slots, (m + 1) n), of whose
    rows of n the first ``moving`` move; scratch (n_slots, see `layout`).
    """
    total = bias_sum = hidden = back = weight = left = right = output = error = registers()
    thread, slot, n_threads = cuda.threadIdx.x, cuda.blockIdx.x, n_warps * LANES
    h = room(h_place, scratch[slot])
    u = room(u_place, scratch[slot])
    b = room(b_place, scratch[slot])
    importance = room(importance_place, scratch[slot])
    g = room(g_place, scratch[slot])
    shares = room(shares_place, scratch[slot])
    w = room(w_place, scratch[slot])
    x = room(x_place, scratch[slot])
    e = room(e_place, scratch[slot])
    lane, warp = thread % LANES, thread // LANES
    key, other_key = keys[slot, 0], keys[slot, 1]
    law, leak = law_of[slot], factors[slot, n + 2]
    group, row, column = thread // (rows * columns), thread // columns % rows, thread % columns
    low_i, high_i = warp * quads // n_warps * 4, (warp + 1) * quads // n_warps * 4
    for i in range(thread, x.size, n_threads):
        x[i] = ZERO
    for i in range(thread, e.size, n_threads):
        e[i] = ZERO
    for i in range(thread, h.size, n_threads):
        h[i] = ZERO
        u[i] = ZERO
    for i in range(thread, b.size, n_threads):
        b[i] = parameters[slot, m * n + i] if i < n else ZERO
        importance[i] = factors[slot, i] if i < n else ZERO
        for a in range(m_4):
            w[i * m_4 + a] = parameters[slot, a * n + i] if i < n and a < m else ZERO
    cuda.syncthreads()
    for step in range(start, stop):
        low, high = step & 0xFFFFFFFF, step >> 32 << 8
        for r in unrolled(range(tile_i)):
            bias_sum[r] = ZERO
            for a in unrolled(range(tile_a)):
                total[a, r] = ZERO
        n_empty, first_tile = 0, (stream_of[slot] * (stop - start) + step - start) * n_tiles
        for part in range(sizes.size):
            place = places[law, REST] if sizes[part] == sizes[0] else places[law, OTHER_REST]
            word, _, _, _ = _philox(key, other_key, 0, part, low, COUNT + high)
            rest = _outcome(word, place, sizes[part] + 1, cut, own, other)
            padded = (rest + LANES - 1) // LANES * LANES
            n_empty += sizes[part] - padded
            for base in range(0, padded, LANES):
                origin = np.uint64(first_tile + base // LANES) * np.uint64(4 * quads * LANES) + np.uint64(lane)
                i = np.uint64(warp)
                while i < 4 * quads:
                    x[i * np.uint64(ROW) + np.uint64(lane)] = samples[origin + i * np.uint64(LANES)]
                    i += np.uint64(n_warps)
                cuda.syncthreads()
                for a in unrolled(range(m)):
                    hidden[a] = ZERO
                    back[a] = ZERO
                for i in range(low_i, high_i, 4):
                    for r in unrolled(range(4)):
                        x_i = x[np.uint64((i + r) * ROW + lane)]
                        for a in unrolled(range(m)):
                            hidden[a] += w[np.uint64((i + r) * m_4 + a)] * x_i
                for a in unrolled(range(m)):
                    shares[np.uint64((warp * m + a) * LANES + lane)] = hidden[a]
                cuda.syncthreads()
                for a in range(warp, m, n_warps):
                    sum_up = ZERO
                    for k in unrolled(range(n_warps)):
                        sum_up += shares[np.uint64((k * m + a) * LANES + lane)]
                    h[np.uint64(a * ROW + lane)] = sum_up
                cuda.syncthreads()
                for a in unrolled(range(m)):
                    hidden[a] = h[np.uint64(a * ROW + lane)]
                for i in range(low_i, high_i, together):
                    for r in unrolled(range(together)):
                        output[r] = b[np.uint64(i + r)]
                        for a in unrolled(range(m)):
                            weight[r, a] = w[np.uint64((i + r) * m_4 + a)]
                            output[r] += weight[r, a] * hidden[a]
                    for r in unrolled(range(together)):
                        error[r] = importance[np.uint64(i + r)] * _error(
                            output[r], x[np.uint64((i + r) * ROW + lane)], activation, leak
                        )
                        e[np.uint64((i + r) * ROW + lane)] = error[r]
                        for a in unrolled(range(m)):
                            back[a] += weight[r, a] * error[r]
                for a in unrolled(range(m)):
                    shares[np.uint64((warp * m + a) * LANES + lane)] = back[a]
                cuda.syncthreads()
                for a in range(warp, m, n_warps):
                    sum_up = ZERO
                    for k in unrolled(range(n_warps)):
                        sum_up += shares[np.uint64((k * m + a) * LANES + lane)]
                    u[np.uint64(a * ROW + lane)] = sum_up
                cuda.syncthreads()
                for q in range(group, LANES // 4, groups):
                    for r in unrolled(range(tile_i)):
                        for c in unrolled(range(4)):
                            right[r, c] = e[np.uint64((column + r * columns) * ROW + 4 * q + c)]
                            bias_sum[r] += right[r, c]
                    for a in unrolled(range(tile_a)):
                        for c in unrolled(range(4)):
                            left[a, c] = h[np.uint64((row + a * rows) * ROW + 4 * q + c)]
                        for r in unrolled(range(tile_i)):
                            for c in unrolled(range(4)):
                                total[a, r] += left[a, c] * right[r, c]
                    for r in unrolled(range(tile_i)):
                        for c in unrolled(range(4)):
                            right[r, c] = x[np.uint64((column + r * columns) * ROW + 4 * q + c)]
                    for a in unrolled(range(tile_a)):
                        for c in unrolled(range(4)):
                            left[a, c] = u[np.uint64((row + a * rows) * ROW + 4 * q + c)]
                        for r in unrolled(range(tile_i)):
                            for c in unrolled(range(4)):
                                total[a, r] += left[a, c] * right[r, c]
                cuda.syncthreads()
            first_tile += (sizes[part] + LANES - 1) // LANES
        for k in range(groups):
            if group == k:
                for r in unrolled(range(tile_i)):
                    i = column + r * columns
                    if i < n:
                        if row == 0:
                            g[i] = bias_sum[r] + (g[i] if k > 0 else ZERO)
                        for a in unrolled(range(tile_a)):
                            if row + a * rows < m:
                                at = (row + a * rows) * n + i
                                e[at] = total[a, r] + (e[at] if k > 0 else ZERO)
            cuda.syncthreads()
        if known(penalised):
            for j in range(thread, n, n_threads):
                for a in unrolled(range(m)):
                    back[a] = factors[slot, n] * w[j * m_4 + a]
                for i in range(n):
                    product = ZERO
                    for a in unrolled(range(m)):
                        product += w[i * m_4 + a] * w[j * m_4 + a]
                    product *= factors[slot, n + 1] if i != j else ZERO
                    for a in unrolled(range(m)):
                        back[a] += product * w[i * m_4 + a]
                for a in unrolled(range(m)):
                    e[a * n + j] += back[a]
            cuda.syncthreads()
        for i in range(thread, n * moving, n_threads):
            a, j = i // n, i % n
            if a < m:
                old, slope = w[j * m_4 + a], e[i]
            else:
                old = b[j]
                slope = g[j] + np.float32(n_empty) * importance[j] * _error(old, ZERO, activation, leak)
            new, mean, square = _moved(adam, scalars, step, old, first[slot, i], second[slot, i], average * slope)
            if known(adam):
                first[slot, i], second[slot, i] = mean, square
            if a < m:
                w[j * m_4 + a] = new
            else:
                b[j] = new
        cuda.syncthreads()
    for i in range(thread, n * m, n_threads):
        parameters[slot, i] = w[i % n * m_4 + i // n]
    for i in range(thread, n, n_threads):
        parameters[slot, m * n + i] = b[i]
