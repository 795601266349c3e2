"""The kernel for few features: one thread trains one model, all of it in registers.

With C = I − WᵀW and y = −x the error of an output before the activation is e_i = Σ_j C_ij y_j + b_i, active where e_i > y_i, and
the gradient needs only the sums of e_i y_j and of e_i over the minibatch (see ``_training/sgd.py``). The models of a block share
their minibatch, which lies in shared memory: first the samples with one active feature, feature by feature, then those with
several; the others are counted. Each group is filled up with zeros, which the count makes good for. Independent models draw
their samples themselves.
"""

import math
from functools import cache

import numpy as np
from numba import cuda

from .._training.outputs import LEAKY, LINEAR
from .streams import (
    CATEGORY,
    COUNT,
    KINDS,
    N_PATTERNS,
    N_PRESENT,
    OTHER_REST,
    PART,
    PATTERNS,
    PRESENT,
    REST,
    SEVERAL,
    SINGLE,
    TO_UNIT,
    outcome,
    philox,
    piecewise,
)  # fmt: skip
from .unrolling import known, registers, room, specialised, unrolled

ROUND = 4  # samples of a group are padded to a multiple of it
ZERO = np.float32(0)

_philox, _outcome, _piecewise = (cuda.jit(device=True)(function) for function in (philox, outcome, piecewise))


@cuda.jit(device=True)
def _passed(error, y, activation, leak):
    """Return the error that an output passes back: all of it where o > 0 or the model is linear, see ``_training/outputs.py``."""
    if activation == LINEAR or error > y:
        return error
    return leak * (leak * (error - y) + y) if activation == LEAKY else ZERO


@cuda.jit(device=True)
def _value(word, present, law, pieces):
    """Return y = −x of a feature from a random word, or 0 where it is not active."""
    return -_piecewise(np.float32(word) * TO_UNIT, law, pieces) if present else ZERO


@cuda.jit(device=True)
def _moved(adam, scalars, step, parameter, mean, square, slope):
    """Return a parameter and its two moments after a step along its slope; see ``_training/optimizers.py``."""
    slope += scalars[step, 3] * parameter
    if adam:
        mean += (np.float32(1) - scalars[step, 4]) * (slope - mean)
        square = scalars[step, 5] * square + (np.float32(1) - scalars[step, 5]) * slope * slope
        slope = mean / (scalars[step, 1] * math.sqrt(square) + scalars[step, 6])
    return scalars[step, 2] * parameter - scalars[step, 0] * slope, mean, square


@cache
def few_features(n, m, moving, activation, penalised, adam, independent):
    """Return the kernel for n features and m dimensions; see `_train`."""
    function = specialised(
        _train, n=n, m=m, moving=moving, activation=activation, penalised=penalised, adam=adam, independent=independent,
        size=n * (PART + 6), width=-(-(n + 1) // 4), together=1 if independent else ROUND,
    )  # fmt: skip
    return cuda.jit(function)


def _train(
    start, stop, average, scalars, keys, law_of, sizes, places, cut, own, other, pieces, factors, parameters, first,
    second, *, n, m, moving, activation, penalised, adam, independent, size, width, together,
):  # fmt: skip
    """Train all models from step ``start`` to ``stop``.

    average is 2/(B n); scalars (n_steps, 7); keys (2, n_slots); law_of (n_blocks,) a row of ``places``, which are with sizes,
    cut, own, other and pieces the `Laws`; factors (n + 3, n_slots) importances, B γ, 2 B λ and the slope; parameters, first and
    second ((m + 1) n, n_slots), where models of a block lie side by side, those that are missing at rest with factors 0; of the
    m rows of weights and that of biases the first ``moving`` ones move.
    """
    weight = mean = square = form = total = y = slope = end = registers()
    values = room((size, None))
    counts = cuda.shared.array(n + 1, np.int32)
    thread, n_threads = cuda.threadIdx.x, cuda.blockDim.x
    slot = cuda.blockIdx.x * n_threads + thread
    stream = slot if independent else slot - thread
    key, other_key = keys[0, stream], keys[1, stream]
    law, leak = law_of[cuda.blockIdx.x], factors[n + 2, slot]
    n_parts = sizes.size
    for i in unrolled(range(n * (m + 1))):
        weight[i], mean[i], square[i] = parameters[i, slot], first[i, slot], second[i, slot]
    if thread <= n:
        counts[thread] = 0
    cuda.syncthreads()
    for step in range(start, stop):
        low, high = step & 0xFFFFFFFF, step >> 32 << 8
        for i in unrolled(range(n)):
            for j in unrolled(range(i, n)):
                form[i, j] = np.float32(1) if known(i == j) else ZERO
                for k in unrolled(range(m)):
                    form[i, j] -= weight[k * n + i] * weight[k * n + j]
            for j in unrolled(range(n + 1)):
                total[i, j] = ZERO
        n_empty = 0
        for part in range(n_parts):
            place = places[law, REST] if sizes[part] == sizes[0] else places[law, OTHER_REST]
            word, _, _, _ = _philox(key, other_key, 0, part, low, COUNT + high)
            rest = _outcome(word, place, sizes[part] + 1, cut, own, other)
            n_empty += sizes[part] - rest
            if known(independent):
                n_several, begin = rest, 0
            else:
                for i in range(thread * 4, rest, n_threads * 4):
                    word, word_1, word_2, word_3 = _philox(key, other_key, i // 4, part, low, CATEGORY + high)
                    for c in unrolled(range(4)):
                        if i + c < rest:
                            cuda.atomic.add(counts, _outcome(word, places[law, KINDS], n + 1, cut, own, other), 1)
                        word, word_1, word_2 = word_1, word_2, word_3
                cuda.syncthreads()
                begin = 0
                for j in unrolled(range(n)):
                    end[j] = begin + counts[j]
                    begin += (counts[j] + ROUND - 1) // ROUND * ROUND
                n_several = counts[n]
                for i in range(thread * 4, begin, n_threads * 4):
                    word, word_1, word_2, word_3 = _philox(key, other_key, i // 4, part, low, SINGLE + high)
                    last = stop_at = 0
                    for j in unrolled(range(n)):
                        if i >= last:
                            stop_at = end[j]
                        last = (end[j] + ROUND - 1) // ROUND * ROUND
                    for c in unrolled(range(4)):
                        values[i + c] = _value(word, i + c < stop_at, law, pieces)
                        word, word_1, word_2 = word_1, word_2, word_3
                padded = (n_several + ROUND - 1) // ROUND * ROUND
                n_empty -= begin + padded - rest
                for i in range(thread, padded, n_threads):
                    place = begin + i * n
                    if i < n_several:
                        for c in unrolled(range(width)):
                            word, word_1, word_2, word_3 = _philox(key, other_key, i * width + c, part, low, SEVERAL + high)
                            if known(c == 0):
                                pattern = _outcome(word, places[law, PATTERNS], places[law, N_PATTERNS], cut, own, other)
                            for j in unrolled(range(max(4 * c - 1, 0), min(4 * c + 3, n))):
                                if known(j > 4 * c - 1):
                                    word = word_1
                                    word_1, word_2 = word_2, word_3
                                values[place + j] = _value(word, pattern >> j & 1, law, pieces)
                    else:
                        for j in unrolled(range(n)):
                            values[place + j] = ZERO
                cuda.syncthreads()
                if thread <= n:
                    counts[thread] = 0
                at = 0
                for j in unrolled(range(n)):
                    stop_at = (end[j] + ROUND - 1) // ROUND * ROUND
                    for i in range(at, stop_at, ROUND):
                        for c in range(ROUND):
                            y_j = values[np.uint64(i + c)]
                            for k in unrolled(range(n)):
                                error = form[min(j, k), max(j, k)] * y_j + weight[m * n + k]
                                error = _passed(error, y_j if known(k == j) else ZERO, activation, leak)
                                total[k, j] += error * y_j
                                total[k, n] += error
                    at = stop_at
                n_several = padded
            for i in range(0, n_several, together):
                for c in range(together):
                    if known(independent):
                        for q in unrolled(range(width)):
                            word, word_1, word_2, word_3 = _philox(key, other_key, i * width + q, part, low, SEVERAL + high)
                            if known(q == 0):
                                pattern = _outcome(word, places[law, PRESENT], places[law, N_PRESENT], cut, own, other)
                            for j in unrolled(range(max(4 * q - 1, 0), min(4 * q + 3, n))):
                                if known(j > 4 * q - 1):
                                    word = word_1
                                    word_1, word_2 = word_2, word_3
                                y[j] = _value(word, pattern >> j & 1, law, pieces)
                    else:
                        for j in unrolled(range(n)):
                            y[j] = values[np.uint64(begin + (i + c) * n + j)]
                    for k in unrolled(range(n)):
                        error = weight[m * n + k]
                        for j in unrolled(range(n)):
                            error += form[min(j, k), max(j, k)] * y[j]
                        error = _passed(error, y[k], activation, leak)
                        total[k, n] += error
                        for j in unrolled(range(n)):
                            total[k, j] += error * y[j]
            if known(not independent):
                cuda.syncthreads()
        for i in unrolled(range(n)):
            factor = factors[i, slot] * average
            error = np.float32(n_empty) * _passed(weight[m * n + i], ZERO, activation, leak)
            total[i, n] = factor * (total[i, n] + error)
            for j in unrolled(range(n)):
                total[i, j] *= factor
        for i in unrolled(range(n)):
            for j in unrolled(range(i, n)):
                total[i, j] += total[j, i]
                if known(penalised):  # C_ij = −W_i·W_j beside the diagonal
                    total[i, j] += average * (factors[n + 1, slot] * form[i, j] if known(i != j) else -factors[n, slot])
        for k in unrolled(range(moving)):
            for i in unrolled(range(n)):
                slope[i] = total[i, n] if known(k == m) else ZERO
                if known(k < m):
                    for j in unrolled(range(n)):
                        slope[i] -= weight[k * n + j] * total[min(i, j), max(i, j)]
            for i in unrolled(range(k * n, k * n + n)):
                weight[i], mean[i], square[i] = _moved(adam, scalars, step, weight[i], mean[i], square[i], slope[i % n])
    for i in unrolled(range(n * (m + 1))):
        parameters[i, slot], first[i, slot], second[i, slot] = weight[i], mean[i], square[i]
