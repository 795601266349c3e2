"""The kernels for many sparse features: one block trains one model through the products of its columns.

With C = WᵀW, in shared memory, an output o_i = Σ_j C_ij x_j + b_i takes one product for each active feature j, and the gradient
W (M + Mᵀ) one of the errors e_i = (o_i − x_i)[o_i > 0] for each: M_ij = I_i Σ e_i x_j over the samples.

Another kernel, as models share them, lists thirty-two samples at a time twice: each sample's active features, of which a warp
makes the sample's errors, its lanes being outputs; and each feature's samples, of which a warp adds up the rows of M of its own
features, in registers over the whole minibatch.
"""

from functools import cache

import numpy as np
from numba import cuda

from .._training.outputs import LEAKY, LINEAR
from .few_features import ZERO, _moved, _outcome, _philox
from .kinds import LANES, sizes_of_products, width_of
from .many_features import _error
from .some_features import draw_sample, lowest
from .streams import COUNT, OTHER_REST, REST
from .unrolling import compiled, known, registers, room, specialised, unrolled

MOST_WARPS = 8
FEATURES = 10  # of a warp, at least
WARPS = 24  # on a multiprocessor


def n_warps_of(n):
    """Return how many warps train a model."""
    return max(1, min(MOST_WARPS, n // FEATURES))


@cache
def sparse_features(n, m, moving, activation, penalised, adam):
    """Return the kernel for n features and m dimensions; see `_train`."""
    n_warps, (c_size, e_size) = n_warps_of(n), sizes_of_products(n, m)
    function = specialised(
        _train, n=n, m=m, moving=moving, activation=activation, penalised=penalised, adam=adam, n_warps=n_warps,
        own_features=-(-n // n_warps), across=-(-n // LANES), c_size=c_size, e_size=max(e_size, n_warps * n), width=width_of(m),
    )  # fmt: skip
    return compiled(function, max(1, WARPS // n_warps) * n_warps)


@cache
def lists_of(n):
    """Return the kernel that lists samples of n features; see `_draw_lists`."""
    words = -(-n // 32)
    return compiled(specialised(_draw_lists, n=n, words=words, length=LANES * n, listed=words * LANES), WARPS)


def _draw_lists(
    start, n_steps, n_tiles, keys, law_of, sizes, places, cut, own, other, pieces, ends, rows, cells, values, column_rows,
    column_values, *, n, words, length, listed,
):  # fmt: skip
    """List the samples of steps from ``start`` on, a block for thirty-two of them: of a stream, a step and a tile.

    keys (n_streams, 2); law_of (n_streams,) a row of places and pieces, which are with sizes, cut, own and other the `ManyLaws`
    of lists; ends (n_lists (34 + n),): where each sample's features end, after a 0, and where each feature's samples do; rows and
    cells (n_lists 32 n,): j n and s n + j for each active feature j of sample s, values: its value, sample by sample; column_rows
    and column_values: s n and the value, feature by feature.
    """
    x = room((length, None))
    active = cuda.shared.array(listed, np.uint32)
    active_in = cuda.shared.array(n, np.uint32)
    lane, block = cuda.threadIdx.x, cuda.blockIdx.x
    stream, step, tile = block // (n_steps * n_tiles), start + block // n_tiles % n_steps, block % n_tiles
    low, high = step & 0xFFFFFFFF, step >> 32 << 8
    key, other_key, law = keys[stream, 0], keys[stream, 1], law_of[stream]
    part = 0
    while tile * 32 >= sizes[part]:
        tile -= (sizes[part] + 31) // 32
        part += 1
    place = places[law, REST] if sizes[part] == sizes[0] else places[law, OTHER_REST]
    word, _, _, _ = _philox(key, other_key, 0, part, low, COUNT + high)
    rest = _outcome(word, place, sizes[part] + 1, cut, own, other)
    for k in range(words):
        active[lane * words + k] = 0
    sample = tile * 32 + lane
    if sample < rest:
        draw_sample(
            key, other_key, sample, part, low, high, n, law, places, cut, own, other, pieces, x, lane * n, active, lane * words
        )
    cuda.syncthreads()
    for j in range(lane, n, 32):
        bits = np.uint32(0)
        for s in range(32):
            bits |= (active[s * words + (j >> 5)] >> np.uint32(j & 31) & np.uint32(1)) << np.uint32(s)
        active_in[j] = bits
    cuda.syncthreads()
    origin, head = block * length, block * (34 + n)
    at = 0
    for k in range(lane * words):
        at += cuda.popc(active[k])
    if lane == 0:
        ends[head + 0] = 0
        end = 0
        for j in range(n):
            ends[head + 33 + j] = end
            end += cuda.popc(active_in[j])
        ends[head + 33 + n] = end
    cuda.syncthreads()
    for k in range(words):
        bits = active[lane * words + k]
        while bits:
            j = lowest(bits) + 32 * k
            bits &= bits - np.uint32(1)
            before = active_in[j] & ((np.uint32(1) << np.uint32(lane)) - np.uint32(1))
            column_at = ends[head + 33 + j] + cuda.popc(before)
            rows[origin + at], cells[origin + at], column_rows[origin + column_at] = j * n, lane * n + j, lane * n
            values[origin + at] = column_values[origin + column_at] = x[lane * n + j]
            at += 1
    ends[head + lane + 1] = at


def _train(
    start, stop, average, scalars, keys, law_of, sizes, places, cut, own, other, stream_of, n_tiles, ends, rows, cells, values,
    column_rows, column_values, factors, parameters, first, second, slopes, *, n, m, moving, activation, penalised, adam, n_warps,
    own_features, across, c_size, e_size, width,
):  # fmt: skip
    """Train all models from step ``start`` to ``stop``.

    average is 2/(B n); scalars (n_steps, 7); keys (n_slots, 2); law_of (n_slots,) a row of places, which are with sizes, cut, own
    and other the `ManyLaws` of lists; stream_of (n_slots,) whose lists by `_draw_lists` from ``start`` to ``stop`` are theirs;
    factors (n_slots, n + 3) importances, B γ, 2 B λ and the slope; parameters, first and second (n_slots, (m + 1) n),
    of whose rows of n the first ``moving`` move; slopes (n_slots, n m).
    """
    total = bias_sum = output = bias = products = registers()
    c = room((c_size, None))
    e = room((e_size, None))
    thread, slot, n_threads = cuda.threadIdx.x, cuda.blockIdx.x, n_warps * LANES
    lane, warp = thread % LANES, thread // LANES
    key, other_key = keys[slot, 0], keys[slot, 1]
    law, leak = law_of[slot], factors[slot, n + 2]
    if known(activation == LINEAR):
        below = np.float32(1)
    else:
        below = leak if activation == LEAKY else ZERO
    for i in range(thread, c_size, n_threads):
        c[i] = ZERO
    for i in range(thread, e_size, n_threads):
        e[i] = ZERO
    for step in range(start, stop):
        low, high = step & 0xFFFFFFFF, step >> 32 << 8
        cuda.syncthreads()
        for a in range(warp, width, n_warps):
            for j in range(lane, n, 32):
                e[j * width + a] = parameters[slot, a * n + j] if a < m else ZERO
        cuda.syncthreads()
        for j in range(warp * 4, n, n_warps * 4):
            for i in range(lane, n, 32):
                for r in unrolled(range(4)):
                    products[r] = ZERO
                for a in unrolled(range(0, m, 4)):
                    for r in unrolled(range(4)):
                        for d in unrolled(range(a, a + 4)):
                            products[r] += e[np.uint64(min(j + r, n - 1) * width + d)] * e[np.uint64(i * width + d)]
                for r in unrolled(range(4)):
                    if j + r < n:
                        c[(j + r) * n + i] = products[r]
        for r in unrolled(range(across)):
            i = lane + 32 * r
            bias[r] = parameters[slot, m * n + i] if i < n else ZERO
            bias_sum[r] = ZERO
            for q in unrolled(range(own_features)):
                total[q, r] = ZERO
        n_empty = 0
        first_list = (stream_of[slot] * (stop - start) + step - start) * n_tiles
        for part in range(sizes.size):
            place = places[law, REST] if sizes[part] == sizes[0] else places[law, OTHER_REST]
            word, _, _, _ = _philox(key, other_key, 0, part, low, COUNT + high)
            rest = _outcome(word, place, sizes[part] + 1, cut, own, other)
            n_empty += sizes[part] - rest
            for base in range(0, rest, 32):
                tile, together = first_list + base // 32, min(32, rest - base)
                origin, head = np.uint64(tile) * np.uint64(32 * n), tile * (34 + n)
                cuda.syncthreads()
                for sample in range(warp, together, n_warps):
                    for r in unrolled(range(across)):
                        output[r] = bias[r]
                    q, end = origin + np.uint64(ends[head + sample]), origin + np.uint64(ends[head + sample + 1])
                    while q < end:
                        at, x_j = np.uint64(rows[q]) + np.uint64(lane), values[q]
                        for r in unrolled(range(across)):
                            output[r] += c[at + np.uint64(32 * r)] * x_j
                        q += np.uint64(1)
                    for r in unrolled(range(across)):
                        if lane + 32 * r < n:
                            place = np.uint64(sample * n + lane + 32 * r)
                            e[place] = output[r] if output[r] > ZERO else below * below * output[r]
                cuda.syncthreads()
                for k in range(thread, ends[head + 32], n_threads):
                    place = np.uint64(cells[origin + np.uint64(k)])
                    e[place] -= values[origin + np.uint64(k)] * (np.float32(1) if e[place] > ZERO else below)
                cuda.syncthreads()
                for sample in range(warp, together, n_warps):
                    for r in unrolled(range(across)):
                        bias_sum[r] += e[np.uint64(sample * n + lane + 32 * r)]
                q = origin + np.uint64(ends[head + 33 + min(n, warp * own_features)])
                for k in unrolled(range(own_features)):
                    end = origin + np.uint64(ends[head + 33 + min(n, warp * own_features + k + 1)])
                    while q < end:
                        at, x_j = np.uint64(column_rows[q]) + np.uint64(lane), column_values[q]
                        for r in unrolled(range(across)):
                            total[k, r] += e[at + np.uint64(32 * r)] * x_j
                        q += np.uint64(1)
            first_list += (sizes[part] + 31) // 32
        cuda.syncthreads()
        for r in unrolled(range(across)):
            i = lane + 32 * r
            if i < n:
                e[warp * n + i] = bias_sum[r]
                for q in unrolled(range(own_features)):
                    if warp * own_features + q < n:
                        c[(warp * own_features + q) * n + i] = total[q, r]
        cuda.syncthreads()
        if known(moving > m):
            for i in range(thread, n, n_threads):
                old = parameters[slot, m * n + i]
                slope = ZERO
                for k in range(n_warps):
                    slope += e[k * n + i]
                slope = factors[slot, i] * (slope + np.float32(n_empty) * _error(old, ZERO, activation, leak))
                at = m * n + i
                parameters[slot, at], first[slot, at], second[slot, at] = _moved(
                    adam, scalars, step, old, first[slot, at], second[slot, at], average * slope
                )
        for i in range(warp, n, n_warps):
            for j in range(i + lane, n, 32):
                both = factors[slot, i] * c[j * n + i] + factors[slot, j] * c[i * n + j]
                if known(penalised):
                    product = factors[slot, n]
                    if i != j:
                        product = ZERO
                        for a in range(m):
                            product += parameters[slot, a * n + i] * parameters[slot, a * n + j]
                        product *= factors[slot, n + 1]
                    both += product
                c[j * n + i] = both
                c[i * n + j] = both
        cuda.syncthreads()
        for a in range(warp, width, n_warps):
            for j in range(lane, n, 32):
                e[j * width + a] = parameters[slot, a * n + j] if a < m else ZERO
        cuda.syncthreads()
        for k in range(thread, -(-m // 4) * n, n_threads):
            j, a = k % n, k // n * 4
            for r in unrolled(range(4)):
                products[r] = ZERO
            i = np.uint64(0)
            while i < n:
                for r in unrolled(range(4)):
                    products[r] += e[i * np.uint64(width) + np.uint64(a) + np.uint64(r)] * c[i * np.uint64(n) + np.uint64(j)]
                i += np.uint64(1)
            for r in unrolled(range(4)):
                if a + r < m:
                    slopes[slot, (a + r) * n + j] = products[r]
        cuda.syncthreads()
        for i in range(thread, n * m, n_threads):
            parameters[slot, i], first[slot, i], second[slot, i] = _moved(
                adam, scalars, step, parameters[slot, i], first[slot, i], second[slot, i], average * slopes[slot, i]
            )
