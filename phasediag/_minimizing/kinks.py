"""Minima of values that are atoms, some below 0: they may sit on kinks of the loss (numba kernels).

At z = 0 the slope of (x_i − f(z))² in z jumps by −2 (1 − slope) x_i. Where x_i < 0 it jumps up, so that a minimum may hold an
output there, by a multiplier between the two slopes. Beside such a minimum Newton's method finds parameters and multipliers at
once, the outputs that are held being revised at every step. From afar a descent first goes over the loss with its kinks rounded,
then over one whose kinks are held by the multipliers that come out (see `_loss.points`), until Newton's method leads on. No
one-sided derivative is negative at the end, and where outputs are not on kinks the loss is the exact one.
"""

import numpy as np

from .._compiling.jit import call, doubles, integers, jit, offset
from .._loss.enumeration import ALPHA, N_COMPONENTS, N_POINTS, POINTS, SCALE, WEIGHTS
from .._loss.points import (
    BREADTHS,
    GATHERED,
    JUMPS,
    KEPT,
    KINKS,
    LATEST,
    LEADERS,
    MULTIPLIERS,
    NO_PRODUCT,
    ON_KINK,
    RATE,
    RATES,
    SPAN,
    STATE,
    STAYS,
    STIFFEST,
    TOGETHER,
    VALUES,
)
from .flat import parts
from .trust_region import (
    AHEAD,
    CONTROL,
    END,
    ENUMERATION,
    EVALUATE,
    EVALUATIONS,
    FEATURES,
    FLAT,
    FREE,
    GRADIENT,
    HESSIAN,
    HIDDEN,
    KNOWN,
    LEAST_PIVOT,
    LEFT_ASIDE,
    LINES,
    LOSS,
    NORM,
    NUMBERS,
    ROUNDED,
    SPECTRUM,
    STEP,
    STEPS,
    TRIAL,
    VECTORS,
    WITHIN,
    is_newton,
    newton_step,
)
from .zeros import hold_zeros, is_smeared, is_uncertain, let_zeros_go, make_zeros

SOFT, STIFF = 1e1, 1e4
"""The scaled second derivative of a held kink, at first and at most: ten times more after a round of a descent that has left
outputs on kinks farther from 0 than a tenth of what they were. Of a stationary point at once the most: the rounding of gradients
grows with it, and steps along bent kinks become shorter."""
REACH = 10.0
"""How far the first step of a round goes, in units of how far outputs on kinks were from 0 after the one before."""
CLOSE = 1e-3
"""Kinks of an output closer than this part of the width to which one is rounded fall together."""
NEAR_KINK = 1e-6
"""Outputs this near to 0 may be on a kink, of a point that is to be a stationary one."""
STILL = 1e-14
"""Multipliers are at rest once they leave outputs no farther from 0 than this."""
INSIDE = 0.1
"""Of a stationary point the part of a jump that multipliers are kept from its ends at first; each round it is a tenth."""
MOST_ROUNDS = 20
NOISE = 1e-11
"""Gradients this small may be all rounding."""
EDGE = 1e-16
"""The part of a jump, from the end on its side, that holds an output which has just met a kink."""


@jit(inner=True)
def descend_on_kinks(x, max_steps, radius, tolerance, table):
    """As `trust_region.descend`, of a loss with kinks on which a minimum may sit; multipliers stay as they are at the end.

    From where the one before from the same start has ended it goes on with the multipliers of that. Where values of some features
    are uncertain, products that are 0 stay so at first, and so do those that become 0 on the way, once: between such features
    kinks fall together, which are held by multipliers that are alike, and these are known when all weights move.
    """
    numbers, size, lines = doubles(table[NUMBERS]), (table[HIDDEN] + 1) * table[FEATURES], doubles(table[LINES])
    end, left, goes_on, taken = offset(lines, END * size), offset(lines, LEFT_ASIDE * size), numbers[EVALUATIONS] > 0.0, 0
    stiffest, rest, before = offset(_points(table, STATE), STIFFEST), max(STILL, 0.1 * tolerance), np.inf
    for i in range(size):
        goes_on = goes_on and x[i] == end[i]
    held, meets = not goes_on and hold_zeros(x, table), is_uncertain(table)
    if not goes_on:
        begin(x, NEAR_KINK, table)
    while True:
        violation, reach = _descend(x, max_steps - taken, radius, tolerance, rest, goes_on, meets and not held, table)
        taken, goes_on, numbers[KNOWN] = taken + int(numbers[STEPS]), True, 0.0 if held else numbers[KNOWN]
        if held:
            let_zeros_go(table)
            held = False
            if before < np.inf:
                call(table[EVALUATE], (x, 0, table))
                if numbers[LOSS] > before:
                    for i in range(size):
                        x[i] = left[i]
                    begin(x, NEAR_KINK, table)
                    goes_on = False
        elif reach > 0.0:
            call(table[EVALUATE], (x, 0, table))
            before, meets = numbers[LOSS], False
            for i in range(size):
                left[i] = x[i]
            make_zeros(x, reach, table)
            begin(x, reach, table)
            held, goes_on = hold_zeros(x, table), False
        else:
            break
    numbers[STEPS] = taken
    if violation > rest:  # multipliers are not at rest, and this is no stationary point but of the rounded loss
        numbers[NORM] = max(numbers[NORM], violation)
    if rest <= STILL:  # the bottom: curvatures are asked for there
        stiffest[0] = STIFF
    for i in range(size):
        end[i] = x[i]


@jit(inner=True)
def _descend(x, max_steps, radius, tolerance, rest, goes_on, meets, table):
    """Rounds of a descent from x in place, the first with the multipliers of a point at rest if it ``goes_on`` from one.

    Returns how far outputs on kinks are from 0 at the end, and if it ``meets`` products that are to be 0 how large they may be,
    else 0.
    """
    numbers, stiffest, steps, halted = doubles(table[NUMBERS]), offset(_points(table, STATE), STIFFEST), 0, False
    violation, met = 0.0 if goes_on else 1.0, 0.0
    if not goes_on:
        stiffest[0], numbers[KNOWN] = SOFT, 0.0
    for _round in range(MOST_ROUNDS):
        near = max(tolerance, min(1e-3, 1e-2 * violation))
        reach = radius if halted or violation == 0.0 else min(radius, REACH * violation)
        if _contract(x, max_steps - steps, reach, tolerance, rest, table):
            steps, violation = steps + int(numbers[STEPS]), 0.0
            break
        choose(x, NO_PRODUCT, table)
        call(table[ROUNDED], (x, max_steps - steps, reach, near, table))
        steps += int(numbers[STEPS])
        before, violation = violation, update(0.0, rest, table)
        halted = stiffest[0] < STIFF and not numbers[NORM] <= near  # by a kink that fell together with others, was not held
        if steps >= max_steps or (near <= tolerance and violation <= rest and not halted):
            break
        met = max(violation, NEAR_KINK)
        if meets and is_smeared(x, met, table):
            numbers[STEPS] = steps
            return violation, met
        if stiffest[0] == STIFF and violation >= before > 0.0:  # multipliers go to and fro: no more comes of them
            break
        if halted or violation > 0.1 * before:
            stiffest[0] = min(10.0 * stiffest[0], STIFF)
    numbers[STEPS] = steps
    return violation, 0.0


@jit(inner=True)
def _contract(x, max_steps, radius, tolerance, rest, table):
    """Newton's method from x in place, for parameters and multipliers at once; whether it came to rest, else all is as before.

    Outputs on kinks are held there, however far a step goes, those that leave are let go, those that meet one are held. As long
    as none does each step has to be shorter than the one before.
    """
    numbers, lines, size = doubles(table[NUMBERS]), doubles(table[LINES]), (table[HIDDEN] + 1) * table[FEATURES]
    state, trial, step = _points(table, STATE), offset(lines, TRIAL * size), offset(lines, STEP * size)
    hessian, gradient, factor = doubles(table[HESSIAN]), doubles(table[GRADIENT]), doubles(table[VECTORS])
    multipliers, kept = _points(table, MULTIPLIERS), _points(table, KEPT)
    n_kinks = integers(table[ENUMERATION])[N_COMPONENTS] * table[FEATURES]
    for k in range(n_kinks):
        kept[k] = multipliers[k]
    for i in range(size):
        trial[i] = x[i]
    stiffest, state[STIFFEST] = state[STIFFEST], STIFF
    steps, longest, rests = 0, radius, False
    if numbers[KNOWN] == AHEAD:
        longest = _take(trial, step, radius, table)
    else:
        choose(x, NEAR_KINK, table)
    while True:
        state[STAYS] = 1.0
        call(table[EVALUATE], (trial, 2, table))
        state[STAYS] = 0.0
        call(table[SPECTRUM], (trial, np.inf, table))
        norm, violation = numbers[NORM], _pull(trial, table)
        if not norm < np.inf:
            break
        if not is_newton(hessian, gradient, size, longest, -LEAST_PIVOT, factor, step):
            for i in range(size):
                hessian[i * size + i] += norm
            if not is_newton(hessian, gradient, size, np.inf, -LEAST_PIVOT, factor, step):
                break
        length = flat = 0.0
        for i in range(size):
            length += step[i] ** 2
            flat = max(flat, factor[i * size + i])
        is_last = length >= longest**2
        rests = violation <= rest and (norm <= tolerance or (is_last and norm <= NOISE)) and _is_together(trial, table)
        if rests or is_last or steps >= min(max_steps, MOST_ROUNDS):
            break
        longest, steps = _take(trial, step, radius, table), steps + 1
    if not (rests and (rest > STILL or _is_decided(trial, table))):
        state[STIFFEST] = stiffest
        for k in range(n_kinks):
            multipliers[k] = kept[k]
        return False
    for i in range(size):
        x[i] = trial[i]
    numbers[STEPS], numbers[FLAT], numbers[KNOWN] = steps, 1.0 if flat == np.inf else 0.0, AHEAD
    return True


@jit(inner=True)
def _is_together(x, table):
    """Whether kinks that are held fall together at x (size,) for all values that are uncertain."""
    n, jumps, multipliers = table[FEATURES], _points(table, JUMPS), _points(table, MULTIPLIERS)
    n_components, together = integers(table[ENUMERATION])[N_COMPONENTS], True
    for component in range(n_components if integers(table[ENUMERATION])[N_POINTS] < n_components else 0):
        for i in range(n):
            at = component * n + i
            if jumps[at] > 0.0 and 0.0 < multipliers[at] < 1.0:
                together = together and _is_certain(x, i, component, NO_PRODUCT, table)
    return together


@jit(inner=True)
def _is_decided(x, table):
    """Whether all outputs that are on kinks at x (size,) are held there, by multipliers that are at neither end."""
    n, values, jumps, multipliers = table[FEATURES], _points(table, VALUES), _points(table, JUMPS), _points(table, MULTIPLIERS)
    decided = True
    for component in range(integers(table[ENUMERATION])[N_COMPONENTS]):
        for i in range(n):
            at = component * n + i
            if jumps[at] > 0.0 and abs(_output(x, i, offset(values, component * n), table)) < NEAR_KINK:
                decided = decided and NEAR_KINK < multipliers[at] < 1.0 - NEAR_KINK
    return decided


@jit(inner=True)
def _pull(x, table):
    """Add to the gradient what pulls outputs that are held towards their kinks; returns how far they are from these, in outputs.

    So that Newton's step, with the stiffness that is in the Hessian, leads there.
    """
    m, n, values, importance = table[HIDDEN], table[FEATURES], _points(table, VALUES), doubles(table[CONTROL])
    multipliers, jumps, rates = _points(table, MULTIPLIERS), _points(table, JUMPS), _points(table, RATES)
    gradient, numbers, free, farthest = doubles(table[GRADIENT]), offset(importance, 2 * n), integers(table[FREE]), 0.0
    for component in range(integers(table[ENUMERATION])[N_COMPONENTS]):
        inputs = offset(values, component * n)
        for i in range(n):
            at = component * n + i
            if not (jumps[at] > 0.0 and 0.0 < multipliers[at] < 1.0):
                continue
            z = _output(x, i, inputs, table)
            force = z * rates[at] * jumps[at] * numbers[WEIGHTS + component] * importance[i] / numbers[SCALE]
            farthest = max(farthest, abs(z))
            for k in range(m):
                hidden = 0.0
                for j in range(n):
                    hidden += x[k * n + j] * inputs[j]
                    gradient[k * n + j] += force * x[k * n + i] * inputs[j] if free[k * n + j] else 0.0
                gradient[k * n + i] += force * hidden if free[k * n + i] else 0.0
            gradient[m * n + i] += force if free[m * n + i] else 0.0
    return farthest


@jit(inner=True)
def _output(x, i, inputs, table):
    """The argument of output i at parameters x (size,) for inputs (n,)."""
    m, n = table[HIDDEN], table[FEATURES]
    z = x[m * n + i]
    for k in range(m):
        hidden = 0.0
        for j in range(n):
            hidden += x[k * n + j] * inputs[j]
        z += x[k * n + i] * hidden
    return z


@jit(inner=True)
def _take(x, step, radius, table):
    """Take a step (size,) from x, in place; returns how long the next may be: the radius where other outputs are held then."""
    length = 0.0
    for i in range((table[HIDDEN] + 1) * table[FEATURES]):
        x[i] += step[i]
        length += step[i] ** 2
    return radius if _advance(x, step, table) else length**0.5


@jit(inner=True)
def _advance(x, step, table):
    """Multipliers after a step (size,) that has led to x (size,): those that leave its linear problem without a gradient.

    Outputs that have left their kinks are let go, those that have met one are held from now on; returns whether there are such.
    """
    m, n, values, changes = table[HIDDEN], table[FEATURES], _points(table, VALUES), False
    multipliers, jumps, rates = _points(table, MULTIPLIERS), _points(table, JUMPS), _points(table, RATES)
    for component in range(integers(table[ENUMERATION])[N_COMPONENTS]):
        inputs = offset(values, component * n)
        for i in range(n):
            at = component * n + i
            if not jumps[at] > 0.0:
                continue
            z = _output(x, i, inputs, table)
            if 0.0 < multipliers[at] < 1.0:
                bend = 0.0
                for k in range(m):
                    for j in range(n):
                        bend += step[k * n + i] * step[k * n + j] * inputs[j]
                part = multipliers[at] + rates[at] * (z - bend)
                changes = changes or not 0.0 < part < 1.0
                multipliers[at] = min(max(part, 0.0), 1.0)
            elif (z >= 0.0) != (multipliers[at] > 0.0):
                multipliers[at] = EDGE if multipliers[at] == 0.0 else 1.0 - EDGE
                changes = True
    return changes


@jit(inner=True)
def _is_certain(x, i, component, least, table):
    """`is_certain` of output i at parameters x (size,), where products no larger than ``least`` are 0."""
    m, n, wide = table[HIDDEN], table[FEATURES], offset(_points(table, BREADTHS), component * table[FEATURES])
    for j in range(n):
        if wide[j] > 0.0:
            product = 0.0
            for k in range(m):
                product += x[k * n + i] * x[k * n + j]
            if j == i or abs(product) > least:
                return False
    return True


@jit(inner=True)
def _points(table, which):
    """One of the arrays of `points` that hold numbers."""
    return doubles(offset(integers(table[ENUMERATION]), POINTS)[which])


@jit(inner=True)
def update(within, rest, table):
    """Multipliers become what they came out as, unless all are at rest; returns how far that is, in outputs.

    within: parts of jumps that those stay from the ends which are not at one, so that what is held stays so; 0 where all move.
    """
    multipliers, latest, rates = _points(table, MULTIPLIERS), _points(table, LATEST), _points(table, RATES)
    largest, count = 0.0, integers(table[ENUMERATION])[N_COMPONENTS] * table[FEATURES]
    for moves in range(2):
        if moves and largest <= rest:
            break
        for k in range(count):
            if rates[k] > 0.0 and not (within > 0.0 and (multipliers[k] <= 0.0 or multipliers[k] >= 1.0)):
                part = min(max(latest[k], within), 1.0 - within)
                largest = max(largest, abs(part - multipliers[k]) / rates[k])
                if moves:
                    multipliers[k] = part
    return largest


@jit(inner=True)
def hold(x, start, table):
    """Find the multipliers of the outputs that are on kinks at a stationary point x (size,); start (size,) is working space.

    From the middle of their jumps, by Newton's method beside x, which they hardly leave. Others get the end on their side.
    """
    numbers, size = doubles(table[NUMBERS]), (table[HIDDEN] + 1) * table[FEATURES]
    n_evaluations, violation = numbers[EVALUATIONS], 1.0
    begin(x, NEAR_KINK, table)
    for _round in range(MOST_ROUNDS):
        for i in range(size):  # aside of it outputs would not be held by new multipliers
            start[i] = x[i]
        call(table[EVALUATE], (start, 2, table))
        call(table[SPECTRUM], (start, -1.0, table))
        newton_step(start, table)
        call(table[EVALUATE], (start, 1, table))
        violation = update(max(INSIDE ** (_round + 1.0), 1e-12), STILL, table)
        if violation <= STILL:
            break
    numbers[EVALUATIONS] = n_evaluations


@jit(inner=True)
def choose(x, least, table):
    """Which kinks are held from x (size,) on: all that jump up; of those of an output that fall together, what jump is left.

    A jump up that is rounded beside one down that is not would make two wells, between which multipliers go to and fro. Products
    no larger than ``least`` are 0: where Newton's method begins those that it may lead to 0.
    """
    m, n, n_components = table[HIDDEN], table[FEATURES], integers(table[ENUMERATION])[N_COMPONENTS]
    numbers, leaders = offset(doubles(table[CONTROL]), 2 * n), integers(offset(integers(table[ENUMERATION]), POINTS)[LEADERS])
    state, values, shares = _points(table, STATE), _points(table, VALUES), offset(numbers, WEIGHTS)
    jumps, rates, importance = _points(table, JUMPS), _points(table, RATES), doubles(table[CONTROL])
    together, gathered = _points(table, TOGETHER), _points(table, GATHERED)
    up = -2.0 * (1.0 - numbers[ALPHA])
    for at in range(n_components * n):
        jumps[at] = rates[at] = gathered[at] = 0.0
    for component in range(n_components):
        for i in range(n):
            at = component * n + i
            if leaders[at] >= 0:
                jumps[leaders[at] * n + i] += shares[component] * up * values[at]
    for i in range(n):
        apart = 0.0
        for k in range(m):
            apart += state[SPAN] * x[k * n + i] ** 2
        stiffness = state[STIFFEST] * numbers[SCALE] / importance[i]
        for component in range(n_components):
            at = component * n + i
            own, leader = shares[component] * up * values[at], leaders[at]
            together[at] = shares[component]
            if leader < 0 or not own > 0.0 or not _is_certain(x, i, component, least, table):
                jumps[at] = 0.0
            elif apart * stiffness >= CLOSE * own:
                jumps[at] = up * values[at]
            else:
                jumps[at] = max(jumps[at], 0.0) / shares[component] if leader == component else 0.0
    if integers(table[ENUMERATION])[N_POINTS] < n_components:
        _join(x, table)
    if table[WITHIN] != 0:
        _gather(x, least, table)
    held = integers(offset(integers(table[ENUMERATION]), POINTS)[KINKS])
    for i in range(n):
        own, count = offset(held, i * (n_components + 1)), 0
        for component in range(n_components):
            if jumps[component * n + i] > 0.0 or gathered[component * n + i] != 0.0:
                count += 1
                own[count] = component
        own[0] = count


@jit(inner=True)
def _gather(x, least, table):
    """Without biases: kinks of outputs along one line, for an input that gives none of them anything, become one.

    Where h = 0 the outputs z_i = W_i·h of parallel columns are 0 together. The first has the jump of all, where that is one up.
    """
    m, n, values, importance = table[HIDDEN], table[FEATURES], _points(table, VALUES), doubles(table[CONTROL])
    jumps, gathered = _points(table, JUMPS), _points(table, GATHERED)
    for component in range(integers(table[ENUMERATION])[N_COMPONENTS]):
        inputs, own, ones = offset(values, component * n), offset(jumps, component * n), offset(gathered, component * n)
        for first in range(n):
            square, is_first, count = _square(x, first, component, least, table), True, 0
            if square == 0.0 or _is_aside(x, first, inputs, square, table):
                continue
            up = -2.0 * (1.0 - offset(importance, 2 * n)[ALPHA])
            net = up * inputs[first]
            for turn in range(2):
                for j in range(n):
                    other, product = _square(x, j, component, least, table), 0.0
                    for k in range(m):
                        product += x[k * n + first] * x[k * n + j]
                    if j == first or other == 0.0 or product**2 < (1.0 - NO_PRODUCT) * square * other:
                        continue
                    if turn == 0:
                        is_first, count = is_first and j > first, count + 1
                        net += up * inputs[j] * importance[j] / importance[first] * (other / square) ** 0.5
                    elif is_first:
                        own[j], ones[j] = 0.0, np.copysign(1.0 + first, product) if net > 0.0 else 0.0
            if is_first and count > 0:
                own[first], ones[first] = max(net, 0.0), 1.0 + first if net > 0.0 else 0.0


@jit(inner=True)
def _square(x, i, component, least, table):
    """The square of column i of x (size,), 0 where its output is no point or its own kinks fall together: see `choose`."""
    n, state, numbers, square = table[FEATURES], _points(table, STATE), offset(doubles(table[CONTROL]), 2 * table[FEATURES]), 0.0
    for k in range(table[HIDDEN]):
        square += x[k * n + i] ** 2
    short = CLOSE * numbers[WEIGHTS + component] * doubles(table[CONTROL])[i]
    is_apart = state[SPAN] * square * state[STIFFEST] * numbers[SCALE] >= short
    return square if is_apart and _is_certain(x, i, component, least, table) else 0.0


@jit(inner=True)
def _is_aside(x, i, inputs, square, table):
    """Whether h = W x has for inputs (n,) a part aside from column i, of this square: there its kink moves as it turns."""
    m, n, along, length = table[HIDDEN], table[FEATURES], 0.0, 0.0
    for k in range(m):
        hidden = 0.0
        for j in range(n):
            hidden += x[k * n + j] * inputs[j]
        along += hidden * x[k * n + i]
        length += hidden**2
    return length - along**2 / square > NO_PRODUCT


@jit(inner=True)
def _join(x, table):
    """The probability of kinks that are held and fall together at x (size,), where values of some features are uncertain."""
    n, n_components, values = table[FEATURES], integers(table[ENUMERATION])[N_COMPONENTS], _points(table, VALUES)
    jumps, together, shares = _points(table, JUMPS), _points(table, TOGETHER), offset(doubles(table[CONTROL]), 2 * n + WEIGHTS)
    for component in range(n_components):
        for i in range(n):
            at, z = component * n + i, _output(x, i, offset(values, component * n), table)
            if not jumps[at] > 0.0:
                continue
            together[at] = 0.0
            for other in range(n_components):
                same = jumps[other * n + i] > 0.0 and values[other * n + i] == values[at]
                if same and abs(_output(x, i, offset(values, other * n), table) - z) < ON_KINK:
                    together[at] += shares[other]


@jit(inner=True)
def begin(x, near, table):
    """Multipliers of outputs as ``near`` to kinks at x (size,) get the middle of their jumps, others the end on their side."""
    n, values = table[FEATURES], _points(table, VALUES)
    state, multipliers = _points(table, STATE), _points(table, MULTIPLIERS)
    state[RATE], state[STIFFEST] = np.inf, STIFF
    choose(x, NO_PRODUCT, table)
    for component in range(integers(table[ENUMERATION])[N_COMPONENTS]):
        inputs, parts_ = offset(values, component * n), offset(multipliers, component * n)
        for i in range(n):
            z = _output(x, i, inputs, table)
            parts_[i] = 0.5 if abs(z) < near else 0.0 if z < 0.0 else 1.0


def kinks_at(form, control, point):
    """The kinks on which a minimum sits, at flat parameters (size,): a tuple of (output, input) in the order of outputs."""
    if not form.is_kinked:
        return ()
    weights, bias = parts(point, form.n_hidden)
    starts, breadths = form.ranges
    certain = np.all(breadths[form.components] == 0.0, axis=1) & (form.weights(control) > 0.0)
    x = np.unique(starts[form.components[certain]], axis=0)
    on = (np.abs(x @ weights.T @ weights + bias) < ON_KINK) & (x < 0)
    return tuple((int(output), tuple(x[row].tolist())) for output, row in zip(*np.nonzero(on.T), strict=True))
