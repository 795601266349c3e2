"""Descents along the exact gradient of neurons (numba kernels).

While feature j alone is active neuron r holds (±W₁_rj)⁺ |x_j|: at W₁_rj = 0 the gradient jumps, and minima sit on such kinks, as
those of a penalty on |W₁_rj| do. Elsewhere the loss has a gradient, but its second derivatives jump. A step of BFGS is long
enough when the loss falls by enough and short enough when the slope has risen, which bisection finds for such functions (Lewis
and Overton 2013, "Nonsmooth optimization via quasi-Newton methods"); on kinks the weight is then held at 0.
"""

import numpy as np

from .._compiling.jit import call, jit


@jit
def evaluate_flat(x, form, law, scale, entries, work, gradient):
    """The loss at flat parameters x (size,) over ``scale``; its gradient (size,) to ``gradient``.

    form: (m, n, tied, sets, sizes, orders, counts); law: (probabilities of sets (n_kernels, n_sets), importance); entries: the
    addresses of `add_sets`, or of `add_samples` (n_kernels,), each of which adds what its probabilities say; work: encoder,
    decoder (m, n), bias, losses (n,), gradients (2 m + 1, n), and `room`.
    """
    m, n, tied, sets, sizes, orders, counts = form
    encoder, decoder, bias, losses, slopes, room = work
    shift = 0 if tied else m * n
    for r in range(m):
        for i in range(n):
            encoder[r, i], decoder[r, i] = x[r * n + i], x[shift + r * n + i]
    last = len(x) - n
    for i in range(n):
        bias[i], losses[i] = x[last + i], 0.0
        for r in range(2 * m + 1):
            slopes[r, i] = 0.0
    for k in range(len(entries)):
        given = encoder, decoder, bias, sets, sizes, law[0][k], not tied, orders, counts, law[1], 1, losses, slopes, room
        call(entries[k], given)
    total = 0.0
    for i in range(n):
        total += law[1][i] * losses[i]
        gradient[last + i] = slopes[2 * m, i] / scale
        for r in range(m):
            if tied:
                gradient[r * n + i] = (slopes[r, i] + slopes[m + r, i]) / scale
            else:
                gradient[r * n + i], gradient[shift + r * n + i] = slopes[r, i] / scale, slopes[m + r, i] / scale
    return total / scale


@jit
def descend(points, free, form, law, scale, entries, work, max_steps, tolerance, least, farthest, numbers):
    """Minimize from points (n_points, size) in place; numbers (n_points, 3): scaled loss, largest gradient entries, evaluations.

    Parameters that are not free (n_points, size) stay. A descent that falls by less than ``least`` of the loss in 15 steps ends,
    and so does one with a free parameter larger than ``farthest``.
    """
    size = points.shape[1]
    inverse, direction, trial = np.empty((size, size)), np.empty(size), np.empty(size)
    gradient, after, change = np.empty(size), np.empty(size), np.empty(size)
    for one in range(len(points)):
        x = points[one]
        loss = evaluate_flat(x, form, law, scale, entries, work, gradient)
        evaluations, fresh, norm, before = 1, True, 0.0, np.inf
        for step in range(max_steps):
            norm = 0.0
            for i in range(size):
                if not free[one, i]:
                    gradient[i] = 0.0
            if step % 15 == 14:
                reach = 0.0
                for i in range(size):
                    reach = max(reach, abs(x[i])) if free[one, i] else reach
                if before - loss < least * loss or reach > farthest:
                    break
                before = loss
            for i in range(size):
                norm = max(norm, abs(gradient[i]))
            if not tolerance < norm < np.inf:
                break
            if fresh:
                for i in range(size):
                    for j in range(size):
                        inverse[i, j] = 1.0 if i == j else 0.0
            slope = length = 0.0
            for i in range(size):
                total = 0.0
                for j in range(size):
                    total -= inverse[i, j] * gradient[j]
                direction[i] = total
                slope += total * gradient[i]
                length += total * total
            if not slope < 0.0:
                if fresh:
                    break
                fresh = True
                continue
            longest = 0.5 / length**0.5
            for i in range(size):
                direction[i] *= min(1.0, longest)
            slope *= min(1.0, longest)
            low, high, t, found = 0.0, np.inf, 1.0, False
            new = loss
            for _attempt in range(40):
                for i in range(size):
                    trial[i] = x[i] + t * direction[i]
                new = evaluate_flat(trial, form, law, scale, entries, work, after)
                evaluations += 1
                rise = largest = 0.0
                for i in range(size):
                    if not free[one, i]:
                        after[i] = 0.0
                    rise += after[i] * direction[i]
                    largest = max(largest, abs(after[i]))
                if abs(new - loss) <= 1e-14 * loss + 1e-18 and largest < norm:
                    found = True
                    break
                if not new <= loss + 1e-4 * t * slope:
                    high = t
                elif rise < 0.9 * slope and t * min(1.0, longest) < 64.0:
                    found, low = True, t
                else:
                    found = True
                    break
                t = 0.5 * (low + high) if high < np.inf else 2.0 * low
                found = False
            if not found and low > 0.0:  # the last point that fell by enough
                t, found = low, True
                for i in range(size):
                    trial[i] = x[i] + t * direction[i]
                new = evaluate_flat(trial, form, law, scale, entries, work, after)
                for i in range(size):
                    after[i] = after[i] if free[one, i] else 0.0
            if not found:
                if fresh:
                    break
                fresh = True
                continue
            curved = moved = 0.0
            for i in range(size):
                change[i] = after[i] - gradient[i]
                direction[i] = trial[i] - x[i]
                curved += change[i] * direction[i]
                moved += change[i] * change[i]
                x[i], gradient[i] = trial[i], after[i]
            loss = new
            if curved > 1e-300:
                if fresh:
                    for i in range(size):
                        inverse[i, i] = curved / moved
                    fresh = False
                curve = 0.0
                for i in range(size):
                    total = 0.0
                    for j in range(size):
                        total += inverse[i, j] * change[j]
                    trial[i] = total
                    curve += total * change[i]
                factor = (1.0 + curve / curved) / curved
                for i in range(size):
                    for j in range(size):
                        inverse[i, j] += factor * direction[i] * direction[j]
                        inverse[i, j] -= (trial[i] * direction[j] + direction[i] * trial[j]) / curved
        norm = 0.0
        for i in range(size):
            norm = max(norm, abs(gradient[i])) if free[one, i] else norm
        numbers[one, 0], numbers[one, 1], numbers[one, 2] = loss, norm, evaluations
