"""The kernel for some features: one thread trains one model, whose weights and their gradient stay in registers.

The threads of a block share their minibatch, so that what is done of a sample is the same for all. With h = W x each output is
o_i = W_·i h + b_i, the weighted error e_i = I_i (o_i − x_i)[o_i > 0], its way back u = W e, and the gradient Σ (h eᵀ + u xᵀ).
Where features are sparse, h and u xᵀ are sums over lists of the active ones, whose weights and gradient are in shared memory
too, as registers have no numbers; elsewhere all features are taken.
"""

from functools import cache

import numpy as np
from numba import cuda

from .few_features import ZERO, _moved, _outcome, _philox, _piecewise
from .kinds import LANES
from .many_features import _error
from .many_streams import NEXT, after
from .streams import COUNT, OTHER_REST, REST, SEVERAL, TO_UNIT
from .unrolling import compiled, known, registers, room, specialised, unrolled

WARPS = 8  # on a multiprocessor

_after = cuda.jit(device=True)(after)


@cache
def some_features(n, m, moving, activation, penalised, adam, sparse):
    """Return the kernel for n features and m dimensions, blocks of 32 models; see `_train`."""
    width, size = -(-n // 4) * 4, n * m * LANES
    function = specialised(
        _train, n=n, m=m, moving=moving, activation=activation, penalised=penalised, adam=adam, sparse=sparse, width=width,
        x_place=(width * LANES, None), own_place=(n * LANES, None), w_place=(size, None if sparse else 0),
        g_place=(size, None if sparse else size), words=-(-n // 32), listed=-(-n // 32) * LANES,
    )  # fmt: skip
    return compiled(function, WARPS)


@cuda.jit(device=True)
def draw_sample(key, other_key, sample, part, low, high, n, law, places, cut, own, other, pieces, x, x_at, active, at):
    """Put the values of a sample's active features into x[x_at …], a bit each into ``active`` from ``at`` on; others stay."""
    calls = n // 2 + 1
    word = value = word_2 = word_3 = np.uint32(0)
    row = found = 0
    while row <= n:
        if found & 1:
            word, value = word_2, word_3
        else:
            word, value, word_2, word_3 = _philox(key, other_key, sample * calls + (found >> 1), part, low, SEVERAL + high)
        start, count = _after(n, row)
        j = _outcome(word, places[law, NEXT] + start, count, cut, own, other)
        if j < n:
            x[x_at + j] = _piecewise(np.float32(value) * TO_UNIT, law, pieces)
            active[at + (j >> 5)] |= np.uint32(1) << np.uint32(j & 31)
        row = j + 1
        found += 1


@cuda.jit(device=True)
def lowest(bits):
    """Return the place of the lowest bit that is set."""
    return cuda.popc(~bits & (bits - np.uint32(1)))


def _train(
    start, stop, average, scalars, keys, law_of, sizes, places, cut, own, other, pieces, factors, parameters, first, second,
    scratch, *, n, m, moving, activation, penalised, adam, sparse, width, x_place, own_place, w_place, g_place, listed, words,
):  # fmt: skip
    """Train all models from step ``start`` to ``stop``.

    average is 2/(B n); scalars (n_steps, 7); keys (2, n_slots); law_of (n_blocks,) a row of places and pieces, which are with
    sizes, cut, own and other the `ManyLaws` of lists; factors (n + 3, n_slots) importances, B γ, 2 B λ and the slope; parameters,
    first and second ((m + 1) n, n_slots), where models of a block lie side by side, those that are missing at rest with factors
    0, and of the m rows of weights and that of biases the first ``moving`` ones move; scratch (n_blocks, 64 n m or 1).
    """
    weight = slope = bias_slope = hidden = back = value = importance = registers()
    lane, block = cuda.threadIdx.x, cuda.blockIdx.x
    slot = block * 32 + lane
    x = room(x_place)
    b = room(own_place)
    w = room(w_place, scratch[block])
    g = room(g_place, scratch[block])
    active = cuda.shared.array(listed, np.uint32)
    key, other_key = keys[0, slot - lane], keys[1, slot - lane]
    law, leak = law_of[block], factors[n + 2, slot]
    for i in range(n):
        b[i * 32 + lane] = parameters[m * n + i, slot]
        for a in range(m):
            w[(i * m + a) * 32 + lane] = parameters[a * n + i, slot]
    for i in unrolled(range(n)):
        importance[i] = factors[i, slot]
    for step in range(start, stop):
        low, high = step & 0xFFFFFFFF, step >> 32 << 8
        for i in unrolled(range(n)):
            bias_slope[i] = ZERO
            for a in unrolled(range(m)):
                weight[a, i] = w[np.uint64((i * m + a) * 32 + lane)]
                slope[a, i] = ZERO
                if known(sparse):
                    g[np.uint64((i * m + a) * 32 + lane)] = ZERO
        n_empty = 0
        for part in range(sizes.size):
            place = places[law, REST] if sizes[part] == sizes[0] else places[law, OTHER_REST]
            word, _, _, _ = _philox(key, other_key, 0, part, low, COUNT + high)
            rest = _outcome(word, place, sizes[part] + 1, cut, own, other)
            n_empty += sizes[part] - rest
            for base in range(0, rest, 32):
                cuda.syncthreads()
                for i in range(width):
                    x[lane * width + i] = ZERO
                for i in range(words):
                    active[lane * words + i] = 0
                if base + lane < rest:
                    draw_sample(
                        key, other_key, base + lane, part, low, high, n, law, places, cut, own, other, pieces, x, lane * width,
                        active, lane * words,
                    )  # fmt: skip
                cuda.syncthreads()
                for sample in range(min(32, rest - base)):
                    origin = np.uint64(sample) * np.uint64(width)
                    for a in unrolled(range(m)):
                        hidden[a] = ZERO
                        back[a] = ZERO
                    if known(sparse):
                        for word in unrolled(range(words)):
                            bits = active[np.uint64(sample * words + word)]
                            while bits:
                                j = np.uint64(lowest(bits) + 32 * word)
                                bits &= bits - np.uint32(1)
                                for a in unrolled(range(m)):
                                    hidden[a] += (
                                        w[(j * np.uint64(m) + np.uint64(a)) * np.uint64(32) + np.uint64(lane)] * x[origin + j]
                                    )
                    else:
                        for i in unrolled(range(n)):
                            x_i = x[origin + np.uint64(i)]
                            for a in unrolled(range(m)):
                                hidden[a] += weight[a, i] * x_i
                    for four in unrolled(range(0, n, 4)):
                        for i in unrolled(range(four, min(four + 4, n))):
                            value[i] = x[origin + np.uint64(i)]
                        for i in unrolled(range(four, min(four + 4, n))):
                            output = b[np.uint64(i * 32 + lane)]
                            for a in unrolled(range(m)):
                                output += weight[a, i] * hidden[a]
                            error = importance[i] * _error(output, value[i], activation, leak)
                            bias_slope[i] += error
                            for a in unrolled(range(m)):
                                back[a] += weight[a, i] * error
                                slope[a, i] += hidden[a] * error
                    if known(sparse):
                        for word in unrolled(range(words)):
                            bits = active[np.uint64(sample * words + word)]
                            while bits:
                                j = np.uint64(lowest(bits) + 32 * word)
                                bits &= bits - np.uint32(1)
                                for a in unrolled(range(m)):
                                    g[(j * np.uint64(m) + np.uint64(a)) * np.uint64(32) + np.uint64(lane)] += (
                                        back[a] * x[origin + j]
                                    )
                    else:
                        for i in unrolled(range(n)):
                            x_i = x[origin + np.uint64(i)]
                            for a in unrolled(range(m)):
                                slope[a, i] += back[a] * x_i
        cuda.syncthreads()
        for i in unrolled(range(n)):
            x[np.uint64(i * 32 + lane)] = bias_slope[i]
            for a in unrolled(range(m)):
                if known(sparse):
                    slope[a, i] += g[np.uint64((i * m + a) * 32 + lane)]
                g[np.uint64((i * m + a) * 32 + lane)] = slope[a, i]
        if known(penalised):
            for i in range(n):
                for a in range(m):
                    g[(i * m + a) * 32 + lane] += factors[n, slot] * w[(i * m + a) * 32 + lane]
                for j in range(n):
                    output = ZERO
                    for a in range(m):
                        output += w[(i * m + a) * 32 + lane] * w[(j * m + a) * 32 + lane]
                    output *= factors[n + 1, slot] if i != j else ZERO
                    for a in range(m):
                        g[(i * m + a) * 32 + lane] += output * w[(j * m + a) * 32 + lane]
        if known(moving > m):
            for i in range(n):
                old = b[i * 32 + lane]
                error = np.float32(n_empty) * factors[i, slot] * _error(old, ZERO, activation, leak)
                error, place = average * (x[i * 32 + lane] + error), m * n + i
                b[i * 32 + lane], first[place, slot], second[place, slot] = _moved(
                    adam, scalars, step, old, first[place, slot], second[place, slot], error
                )
        for a in range(m):
            for i in range(n):
                at, place = (i * m + a) * 32 + lane, a * n + i
                w[at], first[place, slot], second[place, slot] = _moved(
                    adam, scalars, step, w[at], first[place, slot], second[place, slot], average * g[at]
                )
    for i in range(n):
        parameters[m * n + i, slot] = b[i * 32 + lane]
        for a in range(m):
            parameters[a * n + i, slot] = w[(i * m + a) * 32 + lane]
