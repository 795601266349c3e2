"""Trust-region Newton descent on the exact loss, and the lowest one-sided curvature of a stationary point.

Parameters are flat: weights row by row, then biases. The loss is divided by its scale Σ_i I_i E x_i². It is continuously
differentiable, but its second derivatives jump where an output is zero on an event of positive probability (a dedicated
feature with bias 0), so a Hessian is one of several and curvature is a property of a direction.
"""

import threading
from dataclasses import dataclass

import numpy as np
from numba.extending import get_cython_function_address

from .._compiling.jit import DOUBLES, INTEGERS, address, addresses, call, doubles, integers, jit, offset, pointer
from .._loss.enumeration import ENUMERATE as ENUMERATE_MODELS
from .._loss.enumeration import N_ROW, workspaces
from .._loss.points import NO_PRODUCT
from .columns import LEVEL, PROBE, descend_beside_columns, hold_columns, let_go
from .cones import along, keep_on, light, look_into_cones
from .eigenvectors import room
from .kinks import STILL, descend_on_kinks, hold, update
from .trust_region import (
    ASIDE,
    CONTROL,
    CURVATURE,
    DECOMPOSE,
    DECOMPOSED,
    DESCEND,
    DIRECTION,
    END,
    EVALUATE,
    EVALUATIONS,
    FEATURE_LOSSES,
    FEATURES,
    FLAT,
    FREE,
    GRADIENT,
    HELD,
    HESSIAN,
    HIDDEN,
    KNOWN,
    LEAVE,
    LEFT,
    LEFT_AT,
    LINES,
    LOSS,
    LOWEST,
    MOVED,
    N_NUMBERS,
    NORM,
    NUMBERS,
    PLAIN,
    RETURNS,
    ROUNDED,
    SPECTRUM,
    STARTS,
    STEPS,
    TRIAL,
    VALUES,
    VECTORS,
    WITHIN,
    decompose,
    decompose_by_lapack,
    descend,
    evaluate_scaled,
    fix,
    newton_step,
    spectrum,
)

NOTHING = 1e-20
"""Scaled losses that differ by less are equal, whatever their size: where nothing is lost rounding leaves as much."""

OF_DENSITY = 1e-2
"""Biases below `PROBE` count as 0; of rare features, as small as their densities, those less than this part of the largest."""

EXTRAPOLATION = (4.0, -13.0 / 3.0), (-6.0, 9.5), (4.0, -7.0), (-1.0, 11.0 / 6.0)
"""Weights of four points, 1 to 4 steps away, that give a value at their start and its slope there, times a step."""

_WEIGHTS, _AWAY = np.array(EXTRAPOLATION).T, np.arange(1, len(EXTRAPOLATION) + 1)[:, None]

MOST_TURNS = 6
"""Directions that one start leads to when a one-sided curvature is looked for."""

AT_REST = 1e-11
"""A descent beside a point is over where no gradient entry exceeds this: its loss is then known to rounding."""

MINIMAL = 1e-6
"""Lowest curvature above which a stationary point is a minimum without further question."""

MOST_ATTEMPTS = 6
"""Descents of which each but the first begins where the one before ended and was no minimum."""

_ROWS = 256
"""Control vectors whose rows are kept: differences and Newton's steps ask for the same few again and again."""

_STORES = threading.local()


@dataclass(frozen=True, eq=False)
class Store:
    """The arrays that the kernels work in, for models of one form, and the table in which these find them.

    control (n_row,), a row of `Form.rows`; free (size,): 1 where a parameter may move. What an evaluation leaves: feature_losses
    (n,); gradient (size,) and hessian (size, size) of the scaled loss. What a spectrum leaves: values (size,), vectors (size,
    size), one in each row. numbers: see `trust_region`. kept: what the table alone points to. rows: those of the
    control vectors asked for last, by their shapes and bytes.
    """

    control: np.ndarray
    free: np.ndarray
    feature_losses: np.ndarray
    gradient: np.ndarray
    hessian: np.ndarray
    numbers: np.ndarray
    values: np.ndarray
    vectors: np.ndarray
    table: np.ndarray
    kept: tuple
    rows: dict

    def at(self, control, free=1):
        """Set control (n_row,) and which parameters may move (size,); returns the table."""
        self.control[:], self.free[:], self.numbers[HELD] = control, free, 0.0
        return self.table

    def row(self, form, control):
        """The rows of `Form.rows` of control vectors (…, n_controls)."""
        if form.is_plain:
            return control
        key = control.shape, control.tobytes()
        if key not in self.rows:
            if len(self.rows) >= _ROWS * control.shape[-1] / control.size:
                self.rows.clear()
            self.rows[key] = form.rows(control)
        return self.rows[key]


def store(form):
    """The `Store` that the functions below work in, one for each thread and form."""
    mine = _STORES.__dict__
    if mine.get("form") is not form:  # forms are compared field by field
        stores = mine.setdefault("stores", {})
        if form not in stores:
            stores[form] = _new_store(form)
        mine["form"], mine["latest"] = form, stores[form]
    return mine["latest"]


def _new_store(form):
    """A `Store` for models of a form."""
    m, n, size = form.n_hidden, form.n_features, form.size
    enumeration, kept = workspaces(form, 2)
    sizes = np.array([size, 1 + 6 * size + 2 * size**2, 3 + 5 * size, 0], np.int32)
    control = np.empty(enumeration[N_ROW]), np.ones(size, np.int64)
    results = np.empty(n), np.empty(size), np.empty((size, size)), np.zeros(N_NUMBERS), np.empty(size), np.empty((size, size))
    hidden = (
        # the lines, the least second derivatives, and the directions seen
        np.zeros((STARTS + (1 + MOST_TURNS) * (4 + 2 * n * n) + size, size)),
        enumeration,
        np.frombuffer(b"VL", np.uint8),  # eigenvectors as well as values, of the lower triangle
        sizes,
        np.empty(sizes[1] if form.is_plain else room(size)),
        np.empty(sizes[2], np.int32),
    )
    functions = [address(function, *types_) for function, types_ in KERNELS.items()]
    functions += [0, 0]
    if form.is_kinked:
        functions[DESCEND], functions[ROUNDED] = address(descend_on_kinks, *KERNELS[descend]), functions[DESCEND]
    if form.has_held_columns:
        functions[DESCEND], functions[WITHIN] = address(descend_beside_columns, *KERNELS[descend]), functions[DESCEND]
    functions += [int(enumeration[ENUMERATE_MODELS]), address(decompose_by_lapack if form.is_plain else decompose, INTEGERS)]
    functions += [get_cython_function_address("scipy.linalg.cython_lapack", "dsyevd")]
    table = addresses(*functions, m, n, int(form.is_plain), *control, *results, *hidden)
    return Store(*control, *results, table, (hidden, kept), {})


def gradient_of(store):
    """The scaled gradient that `evaluate` left in the store, shape (size,)."""
    return store.gradient


def feature_losses_of(store):
    """Each feature's own loss, of the last `evaluate`, shape (n_features,)."""
    return store.feature_losses


def evaluate(x, form, control, order):
    """Return the scaled loss at x (size,); its gradient and Hessian go to the `store` of the form."""
    here = store(form)
    _run(_flat(x), order, 0.0, EVALUATE, here.at(here.row(form, control)))
    return here.numbers[LOSS]


def approach(points, form, control, free):
    """Newton's method in place from each row of ``points`` to the stationary point next to it, whatever its kind.

    points (n_points, size); control (n_controls,). free: which parameters may move, a row for each point. Returns, for each
    row, the largest scaled gradient entry left, the scaled loss and the last feature's own loss, shape (n_points, 3).
    """
    result = np.empty((len(points), 3))
    here = store(form)
    _approach(points, np.array(free, np.int64), result, here.at(here.row(form, control)))
    return result


def derivatives(points, form, controls, order, *, pinned=False):
    """The scaled losses at ``points`` (B, size) and derivatives up to ``order``; ``controls``: (B, n_controls), or a row for all.

    Returns losses (B,), gradients (B, size) and second derivatives (B, size, size), those of higher order not filled: of what is
    held, biases and columns at 0, no gradient and unit curvature. ``pinned``: along rotations as well.
    """
    points, count = np.ascontiguousarray(points, dtype=np.float64), len(points)
    losses, gradients, hessians = np.empty(count), np.empty((count, form.size)), np.empty((count, form.size, form.size))
    here = store(form)
    rows = np.ascontiguousarray(here.row(form, controls))
    _derivatives(points, rows, order, int(pinned), losses, gradients, hessians, here.at(rows[0], form.free))
    return losses, gradients, hessians


def derivatives_beside(x, direction, step, form, control):
    """Second derivatives at x on the side of ``direction``, and their derivative along it: from four points on that side.

    Of the scaled loss, two arrays of shape (size, size), exact for polynomials of third degree.
    """
    points = x + step * _AWAY * direction
    hessians = derivatives(points, form, control[None], 2)[2]
    value, slope = (_WEIGHTS @ hessians.reshape(len(points), -1)).reshape(2, x.size, x.size)
    return value, slope / step


def smooth_curvature(x, form, control, free):
    """Return the lowest curvature at a stationary point x (size,) without kinks, and its direction (size,)."""
    evaluate(x, form, control, 2)
    here = store(form)
    _run(_flat(x), 0, -1.0, SPECTRUM, here.at(here.row(form, control), free))
    return float(here.values[0]), here.vectors[0].copy()


def lowest_curvature(x, form, control, free, direction):
    """Return the lowest one-sided curvature found at a stationary point x; its direction goes to ``direction``, both (size,).

    The curvature along a unit vector d is d·H(x + εd)d. Where the second derivatives jump, H depends on d: from several
    starts, d is replaced by the lowest eigenvector of H(x + εd) until a direction repeats, and the smallest value seen is kept.
    No direction curves less than d·H₀d, with H₀ where all outputs at jumps are off: where H₀ is positive the point is a
    minimum, and a start that is above the smallest value seen even so is passed over.
    """
    here = store(form)
    _curvature_of(_flat(x), direction, here.at(here.row(form, control), free))
    return here.numbers[LOWEST]


def pinned_hessian(x, form, control):
    """Return the second derivatives (size, size) of the scaled loss at x, with unit curvature along rotations and held biases.

    The gradient in the `store` is 0 along these.
    """
    evaluate(x, form, control, 2)
    here = store(form)
    _run(_flat(x), 0, np.inf, SPECTRUM, here.at(here.row(form, control), form.free))
    return here.hessian.copy()


def settle(points, form, controls, free, max_steps, radius, tolerance, result):
    """Descend from each row of ``points`` (B, size) in place; a saddle is left downhill along its lowest curvature.

    controls: (B, n_controls). result (B, 5 + n): scaled loss, largest scaled gradient entry, lowest curvature, evaluations,
    whether the end is one of a valley of equal loss, then each feature's own loss.
    """
    limits, controls = (int(max_steps), float(radius), float(tolerance)), np.ascontiguousarray(form.rows(controls))
    _settle(points, controls, *limits, result, store(form).at(controls[0], free))


def sink(points, form, controls, max_steps, radius, tolerance, losses):
    """As `settle`, where nothing but the ends in ``points`` and the features' own ``losses`` (B, n) is wanted."""
    controls = np.ascontiguousarray(form.rows(controls))
    _sink(points, controls, int(max_steps), float(radius), float(tolerance), losses, store(form).at(controls[0], form.free))


def _flat(x):
    """Contiguous: only those are passed on by address."""
    return np.ascontiguousarray(x, dtype=np.float64)


@jit(inner=True)
def _hold(x, table):
    """Hold what is on kinks at a stationary point x (size,): columns that are 0, then outputs."""
    if table[WITHIN] != 0:
        let_go(table)
        hold_columns(x, 0.0, table)
    if table[ROUNDED] != 0:
        hold(x, offset(doubles(table[LINES]), TRIAL * (table[HIDDEN] + 1) * table[FEATURES]), table)


@jit(allocates=False)
def _run(x, order, least, kernel, table):
    """`evaluate_scaled` or `spectrum` of x (size,); for derivatives the outputs that are on kinks are held."""
    if kernel == EVALUATE:
        if order > 0:
            _hold(pointer(x), pointer(table))
        call(table[EVALUATE], (pointer(x), order, pointer(table)))
    else:
        call(table[SPECTRUM], (pointer(x), least, pointer(table)))


@jit(allocates=False)
def _derivatives(points, controls, order, pinned, losses, gradients, hessians, table):
    """`derivatives`: points (B, size), controls (B or 1, n_row), losses (B,), gradients (B, size), hessians (B, size, size)."""
    at, numbers, size, n_controls = pointer(table), doubles(table[NUMBERS]), points.shape[1], controls.shape[1]
    each = n_controls if controls.shape[0] > 1 else 0
    gradient, hessian, control = doubles(table[GRADIENT]), doubles(table[HESSIAN]), doubles(table[CONTROL])
    for row in range(points.shape[0]):
        x = offset(pointer(points), row * size)
        for i in range(n_controls):
            control[i] = pointer(controls)[row * each + i]
        if order > 0:
            _hold(x, at)
        call(table[EVALUATE], (x, order, at))
        pointer(losses)[row] = numbers[LOSS]
        if pinned:
            call(table[SPECTRUM], (x, np.inf, at))
        else:
            fix(order, at)
        if order > 0:
            for i in range(size):
                pointer(gradients)[row * size + i] = gradient[i]
        if order > 1:
            for i in range(size * size):
                pointer(hessians)[row * size * size + i] = hessian[i]


@jit(allocates=False)
def _curvature_of(x, direction, table):
    """`_lowest_curvature` of x (size,), outputs on kinks being held."""
    _hold(pointer(x), pointer(table))
    call(table[CURVATURE], (pointer(x), pointer(direction), pointer(table)))


@jit(inner=True)
def _zero(table):
    """The size of biases below which they count as 0."""
    density, largest = offset(doubles(table[CONTROL]), table[FEATURES]), 0.0
    for i in range(table[FEATURES]):
        largest = max(largest, density[i])
    return min(PROBE, OF_DENSITY * largest)


@jit(inner=True)
def _aside(bias, n, zero):
    """How far from biases (n,) one-sided second derivatives are taken: nearer than any that does not count as 0."""
    distance = PROBE
    for i in range(n):
        if zero <= abs(bias[i]) < PROBE:
            distance = min(distance, 0.1 * abs(bias[i]))
    return distance


@jit(inner=True)
def _is_unlit(x, i, zero, table):
    """Whether output i is 0 at x because its feature is not represented and its bias 0, though nothing is lost by that at first.

    Of plain forms it is: their features have means above 0.
    """
    m, n, longest = table[HIDDEN], table[FEATURES], 0.0
    for k in range(m):
        longest = max(longest, abs(x[k * n + i]))
    return not table[PLAIN] and longest < 1e-6 and abs(x[m * n + i]) < zero


@jit(inner=True)
def _lowest_curvature(x, direction, table):
    """The lowest one-sided curvature at x to the numbers, its direction to ``direction``."""
    m, n, free, plain = table[HIDDEN], table[FEATURES], integers(table[FREE]), table[PLAIN] != 0
    hessian, numbers, vectors = doubles(table[HESSIAN]), doubles(table[NUMBERS]), doubles(table[VECTORS])
    size = m * n + n
    lines = doubles(table[LINES])
    lengths, moved, count = offset(lines, TRIAL * size), offset(lines, MOVED * size), 4
    lines, n_lines = offset(lines, STARTS * size), 4 + 2 * n * n
    least = offset(lines, n_lines * size)
    seen, zero = offset(least, size * size), _zero(table)
    distance = _aside(offset(x, m * n), n, zero)
    for i in range(size):
        moved[i] = x[i] - distance if i >= m * n and abs(x[i]) < zero else x[i]
    call(table[EVALUATE], (moved, 2, table))
    call(table[SPECTRUM], (moved, -1.0, table))
    bound = doubles(table[VALUES])[0]
    for i in range(size * size):
        least[i] = hessian[i]
    for i in range(n_lines * size):
        lines[i] = 0.0
    for k in range(4):
        for i in range(size):
            lines[k * size + i] = vectors[k // 2 * size + i] if k % 2 == 0 else -vectors[k // 2 * size + i]
    for i in range(n):
        lengths[i] = 0.0  # of the weights
        for k in range(m):
            lengths[i] += x[k * n + i] ** 2
        lengths[i] = lengths[i] ** 0.5
    for i in range(n):
        for j in range(n):
            long_i, long_j = lengths[i], lengths[j]
            entering = long_i < 1e-6 < long_j  # a feature that is not represented, along or against another
            turning = i < j and min(long_i, long_j) > 1e-6 and min(abs(x[m * n + i]), abs(x[m * n + j])) < zero
            if not (entering or turning):
                continue
            d, opposite, length = offset(lines, count * size), offset(lines, (count + 1) * size), 0.0
            for k in range(m):  # two represented features turn towards or against each other
                d[k * n + i] = x[k * n + j] / long_j
                if turning:
                    d[k * n + j] = x[k * n + i] / long_i
            for k in range(size):
                if not free[k]:
                    d[k] = 0.0
                length += d[k] ** 2
            if length > 0.0:
                for k in range(size):
                    d[k] /= length**0.5
                    opposite[k] = -d[k]
                count += 2
    lowest, n_seen = np.inf, 0
    for start in range(count):
        d = offset(lines, start * size)
        if bound > 0.0 and along(least, d, size) >= lowest * (1.0 - 1e-9):
            continue
        if bound > -LEVEL and lowest <= LEVEL and (not plain or LEVEL < along(least, d, size)):  # a valley: nothing curves less
            continue
        for _iteration in range(MOST_TURNS):
            known = False
            for earlier in range(n_seen):  # from where another start has come this one comes to the same end
                change = 0.0
                for i in range(size):
                    change = max(change, abs(d[i] - seen[earlier * size + i]))
                known = known or change < 1e-8
            if known:
                break
            for i in range(size):
                seen[n_seen * size + i] = d[i]
                moved[i] = x[i] + distance * d[i]
            n_seen += 1
            call(table[EVALUATE], (moved, 2, table))
            call(table[SPECTRUM], (moved, -1.0, table))
            curvature, overlap = along(hessian, d, size), 0.0
            for i in range(size):
                overlap += vectors[i] * d[i]
            lower, sign = curvature < lowest, -1.0 if overlap < 0.0 else 1.0
            lowest = min(lowest, curvature)
            for i in range(size):
                if lower:
                    direction[i] = d[i]
                d[i] = sign * vectors[i]
    numbers[LOWEST] = lowest
    if bound < -LEVEL <= lowest:
        look_into_cones(x, distance, LEVEL, least, lines, direction, table)
    for i in range(n):
        for j in range(n if _is_unlit(x, i, zero, table) else 0):
            if lengths[j] >= 1e-6 and numbers[LOWEST] >= -LEVEL:
                light(x, distance, i, j, lines, direction, table)


@jit(allocates=False)
def _approach(points, free, result, table):
    """`approach`: points (n_points, size), free (n_points, size), result (n_points, 3)."""
    numbers, losses, moves = doubles(table[NUMBERS]), doubles(table[FEATURE_LOSSES]), integers(table[FREE])
    size, x, found, frees = points.shape[1], pointer(points), pointer(result), pointer(free)
    for _row in range(points.shape[0]):
        left = np.inf
        for i in range(size):
            moves[i] = frees[i]
        _hold(x, pointer(table))
        for _iteration in range(12):
            call(table[EVALUATE], (x, 2, pointer(table)))
            call(table[SPECTRUM], (x, np.inf, pointer(table)))
            before, left = left, numbers[NORM] if numbers[LOSS] < np.inf else np.inf
            found[0], found[1], found[2] = left, numbers[LOSS], losses[table[FEATURES] - 1]
            if left <= 1e-16 or (left < 1e-14 and left > 0.3 * before) or not left < np.inf:
                break
            call(table[DECOMPOSE], (pointer(table),))
            newton_step(x, pointer(table))
            if table[ROUNDED] != 0:
                call(table[EVALUATE], (x, 1, pointer(table)))
                update(0.0, STILL, pointer(table))
        x, found, frees = offset(x, size), offset(found, 3), offset(frees, size)


@jit(allocates=False)
def _settle(points, controls, max_steps, radius, tolerance, result, table):
    """`settle`: points (B, size), controls (B, n_row), result (B, 5 + n)."""
    at, numbers, n, n_controls = pointer(table), doubles(table[NUMBERS]), table[FEATURES], controls.shape[1]
    control, losses = doubles(table[CONTROL]), doubles(table[FEATURE_LOSSES])
    x, found, size = pointer(points), pointer(result), points.shape[1]
    for row in range(points.shape[0]):
        for i in range(n_controls):
            control[i] = pointer(controls)[row * n_controls + i]
        numbers[EVALUATIONS], numbers[LEFT], numbers[LEFT_AT] = 0.0, 0.0, np.inf
        steps = 0
        for attempt in range(MOST_ATTEMPTS):
            if attempt == 0 or numbers[LEFT] != 0.0:
                call(table[DESCEND], (x, max_steps - steps, radius, tolerance, at))
                steps += int(numbers[STEPS])
                call(table[LEAVE], (x, max_steps - steps, radius, tolerance, at))
                steps += int(numbers[STEPS])
        norm, curvature = numbers[NORM], numbers[LOWEST]
        call(table[EVALUATE], (x, 0, at))
        found[0], found[1], found[2], found[3] = numbers[LOSS], norm, curvature, numbers[EVALUATIONS]
        found[4] = numbers[FLAT]
        for i in range(n):
            found[5 + i] = losses[i]
        x, found = offset(x, size), offset(found, 5 + n)


@jit(inner=True)
def is_surely_minimum(x, table):
    """Whether a point x where a descent has just ended curves up with all outputs at jumps off: no direction curves less.

    Then no other curvature need be asked for; the numbers get this one as the lowest, else what `_leave` begins with.
    """
    m, n, numbers = table[HIDDEN], table[FEATURES], doubles(table[NUMBERS])
    size, loss, norm = m * n + n, numbers[LOSS], numbers[NORM]
    moved, zero = offset(doubles(table[LINES]), MOVED * size), _zero(table)
    distance, aside, unlit = _aside(offset(x, m * n), n, zero), False, False
    for i in range(size):
        off = i >= m * n and abs(x[i]) < zero
        moved[i], aside = x[i] - distance if off else x[i], aside or off
        unlit = unlit or (off and _is_unlit(x, i - m * n, zero, table))
    if aside or not (numbers[KNOWN] > 0.0 and norm < np.inf):
        call(table[EVALUATE], (moved, 2, table))
        call(table[SPECTRUM], (moved, -1.0, table))
    else:
        call(table[DECOMPOSE], (table,))
    if not aside:
        numbers[KNOWN] = DECOMPOSED
    numbers[LEFT], numbers[LOSS], numbers[NORM], numbers[LOWEST] = 0.0, loss, norm, doubles(table[VALUES])[0]
    return numbers[LOWEST] > MINIMAL and not unlit


@jit(allocates=False)
def _sink(points, controls, max_steps, radius, tolerance, losses, table):
    """`sink`: points (B, size), controls (B, n_row), losses (B, n)."""
    at, numbers, n, size = pointer(table), doubles(table[NUMBERS]), table[FEATURES], points.shape[1]
    control, own = doubles(table[CONTROL]), doubles(table[FEATURE_LOSSES])
    for row in range(points.shape[0]):
        x, steps, attempt = offset(pointer(points), row * size), 0, 0
        for i in range(controls.shape[1]):
            control[i] = controls[row, i]
        numbers[EVALUATIONS], numbers[LEFT], numbers[LEFT_AT] = 0.0, 1.0, np.inf
        while attempt < MOST_ATTEMPTS and numbers[LEFT] != 0.0:
            call(table[DESCEND], (x, max_steps - steps, radius, tolerance, at))
            steps += int(numbers[STEPS])
            if not is_surely_minimum(x, at):
                call(table[LEAVE], (x, max_steps - steps, radius, tolerance, at))
                steps += int(numbers[STEPS])
            attempt += 1
        call(table[EVALUATE], (x, 0, at))
        for i in range(n):
            losses[row, i] = own[i]


@jit(inner=True)
def _raise_to_edge(x, table):
    """Biases below 0 become 0, in place, where the feature is not represented and its mean is 0: there its output may come on.

    With all such biases below 0 the loss is the same, and descents end anywhere. The kinks of such an output fall together at 0:
    which are held is asked for anew, as those that were met on the way would make it stiff.
    """
    raised = False
    m, n, gradient, free = table[HIDDEN], table[FEATURES], doubles(table[GRADIENT]), integers(table[FREE])
    for i in range(n):
        bias, longest = x[m * n + i], 0.0
        for k in range(m):
            longest = max(longest, abs(x[k * n + i]))
        if bias < 0.0 and longest <= NO_PRODUCT and free[m * n + i]:
            x[m * n + i] = 0.0
            for k in range(m):  # rounding would tell on which side of its kinks the output is
                x[k * n + i] = 0.0
            call(table[EVALUATE], (x, 1, table))
            if abs(gradient[m * n + i]) > AT_REST:
                x[m * n + i] = bias
            else:
                raised = True
    if raised and table[ROUNDED] != 0:
        hold(x, offset(doubles(table[LINES]), TRIAL * (m + 1) * n), table)


@jit(inner=True)
def _leave(x, max_steps, radius, tolerance, table):
    """Tell the kind of the point x where a descent has just ended, and leave it downhill, in place, where it is no minimum.

    The numbers get the lowest curvature, whether the point is one of a valley, the steps of descents beside it, and whether x
    was left.
    """
    numbers, lines = doubles(table[NUMBERS]), doubles(table[LINES])
    values, vectors = doubles(table[VALUES]), doubles(table[VECTORS])
    n, size, loss, norm, steps = table[FEATURES], (table[HIDDEN] + 1) * table[FEATURES], numbers[LOSS], numbers[NORM], 0
    bias, direction, trial = offset(x, size - n), offset(lines, DIRECTION * size), offset(lines, ASIDE * size)
    end = offset(lines, END * size)
    # second derivatives jump where some bias is 0, so that an output is 0 when no feature is active
    has_kink = lower = False
    zero = _zero(table)
    if not table[PLAIN]:
        _raise_to_edge(x, table)
    for i in range(n):
        has_kink = has_kink or abs(bias[i]) < zero
    if has_kink:
        call(table[CURVATURE], (x, direction, table))
        curvature = numbers[LOWEST]
    else:
        if numbers[KNOWN] != DECOMPOSED:
            call(table[EVALUATE], (x, 2, table))
            call(table[SPECTRUM], (x, -1.0, table))
        curvature = values[0]
        for i in range(size):
            direction[i] = vectors[i]
    flat, first = 0.0, 0
    if has_kink and -LEVEL <= curvature <= MINIMAL:  # on the other side the loss may be curved
        distance = _aside(bias, n, zero)
        for i in range(size):
            trial[i] = x[i] - distance * direction[i]
        call(table[EVALUATE], (trial, 2, table))
        if along(doubles(table[HESSIAN]), direction, size) > MINIMAL:
            first = 1
    numbers[RETURNS] = 0.0 if loss < numbers[LEFT_AT] else numbers[RETURNS] + 1.0
    if numbers[RETURNS] < 2.0 and not (curvature > MINIMAL or max_steps <= 0 or not norm < np.inf):
        lower = curvature < -LEVEL
        if lower:
            farther, least, begin = 3 if table[ROUNDED] != 0 else 1, np.inf, offset(lines, MOVED * size)
            for k in range(farther):
                reach = 1e-3 * 10.0**k
                for i in range(size):
                    trial[i] = direction[i]
                for i in range(n):
                    if _is_unlit(x, i, zero, table):
                        keep_on(i, reach, trial, table)
                for i in range(size):
                    trial[i] = x[i] + reach * trial[i]
                if farther > 1:
                    call(table[EVALUATE], (trial, 0, table))
                if numbers[LOSS] < least or k == 0:
                    least = numbers[LOSS]
                    for i in range(size):
                        begin[i] = trial[i]
            for i in range(size):
                x[i] = begin[i]
                if numbers[RETURNS] > 0.0:  # rounded kinks have led back: with the multipliers as they are here
                    end[i] = x[i]
        for side in range(2 if lower else first, 2):  # flat to second order: the loss may fall at third
            for i in range(size):
                trial[i] = end[i] = x[i] + (1e-2 if side else -1e-2) * direction[i]  # on kinks multipliers are nearly known
            call(table[DESCEND], (trial, max_steps - steps, radius, max(tolerance, AT_REST), table))
            steps += int(numbers[STEPS])
            if numbers[LOSS] < loss * (1.0 - 1e-12) - NOTHING:
                for i in range(size):
                    x[i] = trial[i]
                lower = True
                break
            away = 0.0
            for i in range(size):
                away += (trial[i] - x[i]) ** 2
            if (
                numbers[LOSS] <= loss * (1.0 + 1e-13) + NOTHING and away > 2.5e-5
            ):  # it has come to rest at half the distance or more
                flat = 1.0
    numbers[LOSS], numbers[NORM], numbers[LOWEST], numbers[STEPS], numbers[FLAT] = loss, norm, curvature, steps, flat
    numbers[LEFT], numbers[LEFT_AT] = (1.0, loss) if lower else (0.0, numbers[LEFT_AT])


KERNELS = {
    evaluate_scaled: (DOUBLES, 0, INTEGERS),
    spectrum: (DOUBLES, 0.0, INTEGERS),
    descend: (DOUBLES, 0, 0.0, 0.0, INTEGERS),
    _lowest_curvature: (DOUBLES, DOUBLES, INTEGERS),
    _leave: (DOUBLES, 0, 0.0, 0.0, INTEGERS),
}
"""What a table holds first, in its order, and the types of the arguments."""
