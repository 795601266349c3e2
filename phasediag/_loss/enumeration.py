"""The loss of whole batches of models by enumeration, with derivatives in weights and biases."""

from functools import cache
from threading import local

import numpy as np

from .._compiling.jit import DOUBLES, INTEGERS, address, addresses, call, doubles, integers, jit, offset, pointer
from ..forms import UNIFORM
from .few import few_moments
from .leading import (
    ACTIVE,
    FROM,
    IS_GENERAL,
    LEFT,
    LEFT_SLOPE,
    N_LEADING,
    ORIGINS,
    REACH,
    RIGHT,
    RIGHT_SLOPE,
    START,
    TO_GO,
)
from .leading import SLOPE as SLOPE_OF
from .moments import FEW, OUTPUT, clipped_moments, linear_moments, working_space, workspace
from .pieces import first_component
from .point_sums import LANES, add_row
from .points import BREADTHS, N_POINT_ARRAYS, N_STATE, RATE, SPAN, STATE, is_certain, is_kept, leaders, sum_points

# Weights below this are zero: they change the loss by less than its smallest representable part.
NEGLIGIBLE = 1e-290

# What a table from `workspaces` holds: addresses of functions, of arrays, and of the arrays of `moments.workspace`.
# Then what a form adds: the sizes of its law, and where in a row of controls the probabilities of its terms and of features in
# them begin; what features are in its terms, the first term of each output in the list of these, the list, and the component
# that a term alone consists of, or −1; where pieces of values begin and how wide they are; scratch; last the penalty of the
# latest model.
(
    ENUMERATE,
    FEW_MOMENTS,
    MANY_MOMENTS,
    OUTPUT_CURVATURE,
    ADD_CURVATURE,
    GATHER,
    SUM_POINTS,
    N_ROW,
    N_COMPONENTS,
    N_POINTS,
    IS_MIXTURE,
    IS_GENERAL_FORM,
    IS_PENALISED,
    IS_UNTIED,
    IS_LINEAR,
    SOME,
    TERM_WEIGHTS,
    TERM_SHARES,
    TERMS,
    FIRST_TERM,
    TERM_LIST,
    TERM_COMPONENT,
    LOWS,
    WIDTHS,
    GRAM,
    SLOPE,
    OTHERS,
    PLACE,
    OUT,
    CURVATURE,
    TOTAL,
    CHAIN,
    LEADING,
    MEANS,
    PENALTY,
    POINTS,
) = range(36)
SPACE = POINTS + N_POINT_ARRAYS

# In a row of controls, behind importances and densities, of a form that is not plain.
SCALE, ALPHA, GAMMA, LAMBDA, EVEN, WEIGHTS = range(6)


@jit(inner=True)
def _dot(weights, others, n, m, i, j, start):
    """start + W_i·V_j as if in twice the precision (Dekker's product, Knuth's sum): 1 − ‖W_i‖² cancels near unit norm.

    weights, others: W and V (m, n).
    """
    total, low = start, 0.0
    for k in range(m):
        x, y = weights[k * n + i], others[k * n + j]
        product = x * y
        c = 134217729.0 * x
        x1 = c - (c - x)
        c = 134217729.0 * y
        y1 = c - (c - y)
        x2, y2 = x - x1, y - y1
        low += x2 * y2 - (((product - x1 * y1) - x2 * y1) - x1 * y2)
        after = total + product
        back = after - total
        low += (total - (after - back)) + (product - back)
        total = after
    return total + low


@jit(inner=True)
def _order(weights, i, density, n, others, place):
    """List the other features of nonzero weight and density by falling size; returns their number.

    ``weights``: feature i's row of WᵀW. The weights in order go to the first row of ``others``, of n + 1 places, the densities
    to the second, and which features they are to ``place``, behind i.
    """
    densities, count = offset(others, n + 1), np.int64(0)
    place[0] = i
    for j in range(n):
        weight = weights[j]
        if j == i or abs(weight) < NEGLIGIBLE or density[j] == 0.0:
            continue
        at = count
        while at > 0 and abs(others[at - 1]) < abs(weight):
            others[at], densities[at], place[at + 1] = others[at - 1], densities[at - 1], place[at]
            at -= 1
        others[at], densities[at], place[at + 1] = weight, density[j], j
        count += 1
    return count


@jit(inner=True)
def _gather(i, term, bias, residual, density, n, table):
    """Take apart output i in one term of a general law: b, weights and densities of the others, `leading` numbers.

    ``bias``: (n,) and room for b behind: b goes there, the number k of others to the end of ``place``. MEANS gets, for every
    feature, E x_j, E x_j², then its value at the origin and its width where it is among the others or leads.
    """
    gram, a, first = offset(doubles(table[GRAM]), i * n), doubles(table[OTHERS]), doubles(table[LEADING])
    place, states = integers(table[PLACE]), offset(integers(table[TERMS]), term * n)
    lows, widths, means = doubles(table[LOWS]), doubles(table[WIDTHS]), doubles(table[MEANS])
    shares, some, active = offset(density, table[TERM_SHARES] - n), table[SOME], 1.0
    p, alpha = offset(a, n + 1), first[SLOPE_OF]
    mean, square, start, width = means, offset(means, n), offset(means, 2 * n), offset(means, 3 * n)
    b, count = bias[i], 0
    for j in range(n):
        state, low, wide, share = states[j], 0.0, 0.0, 1.0
        if state == 1:
            wide, share = 1.0, density[j]
        elif state > 1:
            low, wide = lows[state - 2], widths[state - 2]
            if state == some:
                share = shares[j]
        mean[j], square[j] = share * (low + 0.5 * wide), share * (low * low + low * wide + wide * wide / 3.0)
        start[j], width[j] = low, wide
        if j == i:
            active = share
            continue
        b += gram[j] * low
        weight = gram[j] * wide
        if abs(weight) < NEGLIGIBLE or share == 0.0:
            continue
        at = count
        while at > 0 and abs(a[at - 1]) < abs(weight):
            a[at], p[at], place[at + 1] = a[at - 1], p[at - 1], place[at]
            at -= 1
        a[at], p[at], place[at + 1] = weight, share, j
        count += 1
    low, wide, own, lead = start[i], width[i], gram[i], i
    keep = 1.0 - alpha + alpha * residual  # 1 − alpha own
    reach, to_go = own * wide, wide
    if wide == 0.0:
        active, to_go = 1.0, 0.0
        if low != 0.0 and count > 0:  # the largest of the others, which is active in such a law, smooths the kink
            lead, reach = place[1], a[0]
            for l in range(count - 1):
                a[l], p[l], place[l + 1] = a[l + 1], p[l + 1], place[l + 2]
            count -= 1
    if reach < 0.0:  # measured from the other end
        if lead == i:
            low, to_go = low + wide, -wide
        else:
            b += reach
        start[lead], width[lead], reach = start[lead] + width[lead], -width[lead], -reach
    slope = to_go * residual if lead == i else -reach
    first[START], first[REACH] = own * low, reach
    first[RIGHT], first[RIGHT_SLOPE] = low * residual, slope
    first[LEFT], first[LEFT_SLOPE] = low * keep, (to_go * keep if lead == i else -alpha * reach)
    first[FROM], first[TO_GO], first[SLOPE_OF], first[ACTIVE] = low, (to_go if lead == i else 0.0), alpha, active
    place[0], place[n + 1], bias[n] = lead, count, b
    for l in range(3):
        first[ORIGINS + l] = 0.0
    for l in range(count + 1 if count <= 2 else 0):  # every value is counted from where it is nearest to 0
        j = place[l]
        origin = min(max(-start[j] / width[j], 0.0), 1.0) if width[j] != 0.0 else 0.0
        first[ORIGINS + l] = origin
        start[j] = 0.0 if 0.0 < origin < 1.0 else start[j] + width[j] * origin


@jit
def enumeration(weights, bias, controls, order, losses, weights_gradient, bias_gradient, hessian, table):
    """Losses of a batch of models.

    weights (B, m, n), bias (B, n), controls (B, n_row): rows of `Form.rows`; losses (B, n) gets E (x_i − x'_i)², without the
    importance. For order ≥ 1 the gradient of the importance-weighted sum, with the penalty, goes to weights_gradient and
    bias_gradient, for order 2 its Hessian in (weights row by row, biases) to hessian (B, m n + n, m n + n). ``table`` comes from
    `workspaces`; arrays of a higher order than asked for may be of any size. Of untied weights, shape (B, 2 m, n), the decoders'
    transposes come first, as they do in the Hessian.
    """
    n_models, rows, n = weights.shape
    inputs = pointer(weights), pointer(bias), pointer(controls)
    outputs = pointer(losses), pointer(weights_gradient), pointer(bias_gradient), pointer(hessian)
    m = rows // 2 if table[IS_UNTIED] else rows
    call(table[ENUMERATE], (n_models, m, n, *inputs, order, *outputs, pointer(table)))


@jit(inner=True)
def _enumerate(n_models, m, n, weights, bias, controls, order, losses, weights_gradient, bias_gradient, hessian, table):
    """As `enumeration`, of pointers."""
    gram, slope, a, found = doubles(table[GRAM]), doubles(table[SLOPE]), doubles(table[OTHERS]), doubles(table[OUT])
    place, work = integers(table[PLACE]), working_space(offset(table, SPACE), order)
    p, first, states = offset(a, n + 1), doubles(table[LEADING]), integers(table[TERMS])
    starts, terms, lone = integers(table[FIRST_TERM]), integers(table[TERM_LIST]), integers(table[TERM_COMPONENT])
    mean, biases = doubles(table[MEANS]), offset(doubles(table[MEANS]), 5 * n)
    start, width, densities = offset(mean, 2 * n), offset(mean, 3 * n), offset(mean, 4 * n)
    slopes = offset(mean, 6 * n + 1)
    total, curvature, side = doubles(table[TOTAL]), doubles(table[CURVATURE]), (n + 1) * (n + 1)
    n_components, n_points, mixture = table[N_COMPONENTS], table[N_POINTS], table[IS_MIXTURE] != 0
    general, untied = table[IS_GENERAL_FORM] != 0, table[IS_UNTIED] != 0
    shift = m * n if untied else 0
    size = shift + m * n + n
    relu = table[IS_LINEAR] == 0
    for _model in range(n_models):
        importance, density, numbers = controls, offset(controls, n), offset(controls, 2 * n)
        others = offset(weights, m * n) if untied else weights
        for i in range(n):
            for j in range(n if untied else i + 1):
                gram[i * n + j] = _dot(weights, others, n, m, i, j, 0.0)
                if not untied:
                    gram[j * n + i] = gram[i * n + j]
        if order == 2:
            for at in range(size * size):
                hessian[at] = 0.0
        if general:
            first[SLOPE_OF] = numbers[ALPHA]
            for j in range(n):
                biases[j] = bias[j]
        for i in range(n):
            residual = -_dot(weights, others, n, m, i, i, -1.0)
            fresh = n_points == 0
            is_point = offset(integers(table[POINTS]), i * n_components)
            if 0 < n_points < n_components and doubles(table[POINTS + STATE])[RATE] > 0.0:
                for at in range(starts[i], starts[i + 1]):
                    component = lone[terms[at]]
                    if component >= 0:
                        wide = offset(doubles(table[POINTS + BREADTHS]), component * n)
                        kept = is_kept(component * n + i, offset(table, POINTS))
                        is_point[component] = kept or is_certain(i, n, wide, offset(gram, i * n))
            if n_points > 0:
                what = i, n, n_components, bias[i], offset(gram, i * n), residual, numbers[ALPHA], order
                scale, arrays = numbers[SCALE] / importance[i], offset(table, POINTS)
                call(table[SUM_POINTS], (*what, offset(numbers, WEIGHTS), scale, found, total, arrays))
                losses[i] = found[0]
                if order > 0:
                    bias_gradient[i] = importance[i] * found[1]
                    for j in range(n):
                        slope[i * n + j] = importance[i] * found[2 + j]
            for at in range(starts[i], starts[i + 1]):
                term = terms[at]
                share, b, own, own_p, law = 1.0, bias[i], gram[i * n + i], density[i], density
                if n_points > 0 and lone[term] >= 0 and is_point[lone[term]]:
                    continue
                if mixture:
                    share = numbers[table[TERM_WEIGHTS] + term]
                    if share == 0.0 and not fresh:
                        continue
                if general:
                    call(table[GATHER], (i, term, biases, residual, density, n, table))
                    k, b = place[n + 1], biases[n]
                else:
                    if mixture:
                        for j in range(n):
                            state = states[term * n + j]
                            densities[j] = density[j] if state == 1 else 0.0 if state == 0 else 1.0
                        law, own_p = densities, densities[i]
                    k = _order(offset(gram, i * n), i, law, n, a, place)
                if k <= 2:
                    call(table[FEW_MOMENTS], (b, own, residual, own_p, a, p, k, relu, order, found, first))
                else:
                    call(table[MANY_MOMENTS], (b, own, residual, own_p, a, p, k, relu, order, found, first, n, work))
                if fresh:
                    losses[i] = share * found[0]
                else:
                    losses[i] += share * found[0]
                if order > 0:
                    # a feature of zero weight leaves the mean as it is: ∂/∂a_j = E x_j ∂/∂b
                    weight, row = share * importance[i], offset(slope, i * n)
                    for j in range(n):
                        slopes[j] = (mean[j] if general else 0.5 * law[j]) * found[1]
                    for l in range(k + 1):
                        j = place[l]
                        slopes[j] = found[first_component(l, order)]
                        if general:
                            slopes[j] = start[j] * found[1] + width[j] * slopes[j]
                    if fresh:
                        bias_gradient[i] = weight * found[1]
                        for j in range(n):
                            row[j] = weight * slopes[j]
                    else:
                        bias_gradient[i] += weight * found[1]
                        for j in range(n):
                            row[j] += weight * slopes[j]
                if order == 2:
                    call(table[OUTPUT_CURVATURE], (n, law, k, table))
                    if fresh:
                        for entry in range(side):
                            total[entry] = share * curvature[entry]
                    else:
                        for entry in range(side):
                            total[entry] += share * curvature[entry]
                fresh = False
            if order == 2:
                if table[IS_PENALISED] != 0:
                    for j in range(n):
                        if j != i:
                            total[j * (n + 1) + j] += 2.0 * numbers[LAMBDA] / importance[i]
                call(table[ADD_CURVATURE], (hessian, weights, m, n, i, importance[i], table))
        if table[IS_PENALISED] != 0:
            penalty = doubles(table[PENALTY])
            penalty[0] = 0.0
            for i in range(n):
                for j in range(n):
                    g = gram[i * n + j]
                    penalty[0] += numbers[GAMMA] * g if i == j else numbers[LAMBDA] * g * g
                    if order > 0:
                        slope[i * n + j] += numbers[GAMMA] if i == j else 2.0 * numbers[LAMBDA] * g
        if order > 0 and untied:
            for row in range(m):
                for i in range(n):
                    by_decoder = by_encoder = 0.0
                    for j in range(n):
                        by_decoder += others[row * n + j] * slope[i * n + j]
                        by_encoder += weights[row * n + j] * slope[j * n + i]
                    weights_gradient[row * n + i], weights_gradient[(m + row) * n + i] = by_decoder, by_encoder
        elif order > 0:
            for row in range(m):
                for i in range(n):
                    value = 0.0
                    for j in range(n):
                        value += weights[row * n + j] * (slope[i * n + j] + slope[j * n + i])
                    weights_gradient[row * n + i] = value
        if order == 2:
            for row in range(m):
                for i in range(n):
                    for j in range(n):
                        read = shift + row * n + j
                        if untied:
                            hessian[(row * n + i) * size + read] += slope[i * n + j]
                            hessian[read * size + row * n + i] += slope[i * n + j]
                        else:
                            hessian[(row * n + i) * size + read] += slope[i * n + j] + slope[j * n + i]
            hessian = offset(hessian, size * size)
        if order > 0:
            bias_gradient, weights_gradient = offset(bias_gradient, n), offset(weights_gradient, (2 if untied else 1) * m * n)
        weights, bias = offset(weights, (2 if untied else 1) * m * n), offset(bias, n)
        controls, losses = offset(controls, table[N_ROW]), offset(losses, n)


@jit(inner=True)
def _output_curvature(n, density, k, table):
    """CURVATURE (n + 1, n + 1) gets the second derivatives of one output's loss in its row of WᵀW and its bias, of one component.

    density (n,): of the component, where the form is not general; k others move the output.
    """
    place, out, curvature, side = integers(table[PLACE]), doubles(table[OUT]), doubles(table[CURVATURE]), n + 1
    means, general = doubles(table[MEANS]), table[IS_GENERAL_FORM] != 0
    square, start, width = offset(means, n), offset(means, 2 * n), offset(means, 3 * n)
    if not general:
        for j in range(n):
            means[j] = 0.5 * density[j]
    # features of zero weight: ∂/∂a_j = E x_j ∂/∂b, ∂²/∂a_j² = E x_j² ∂²/∂b²
    for j in range(side):
        mean = 1.0 if j == n else means[j]
        for l in range(side):
            curvature[j * side + l] = out[2] * mean * (1.0 if l == n else means[l])
        if j < n:
            curvature[j * side + j] = out[2] * square[j] if general else out[2] * density[j] / 3.0
    for l in range(k + 1):
        j, mixed = place[l], out[first_component(l, 2) + 1]
        if general:
            mixed = start[j] * out[2] + width[j] * mixed
        for other in range(side):
            mean = 1.0 if other == n else means[other]
            curvature[j * side + other] = curvature[other * side + j] = mean * mixed
    for l in range(k + 1):
        j, at = place[l], first_component(l, 2) + 1
        for other in range(l + 1):
            i, value = place[other], out[at + 1 + other]
            if general:
                mixed = start[i] * out[at] * width[j] + start[j] * out[first_component(other, 2) + 1] * width[i]
                value = start[i] * start[j] * out[2] + mixed + width[i] * width[j] * value
            curvature[j * side + i] = curvature[i * side + j] = value


@jit(inner=True)
def _add_curvature(hessian, weights, m, n, i, importance, table):
    """hessian (size, size) += importance × Jᵀ C J: C = TOTAL, second derivatives of L_i in (a_i1 … a_in, b_i), J = ∂(…)/∂x."""
    curvature, chain, side = doubles(table[TOTAL]), doubles(table[CHAIN]), n + 1
    shift = m * n if table[IS_UNTIED] != 0 else 0  # from what an output is written by to what features are read by
    size, others = shift + m * n + n, offset(weights, shift)
    for row in range(side):  # chain = C J
        line, own = offset(chain, row * size), offset(curvature, row * side)
        for column in range(size):
            line[column] = 0.0
        for h in range(m):
            for j in range(n):
                line[h * n + i] += own[j] * others[h * n + j]
                line[shift + h * n + j] += own[j] * weights[h * n + i]
        line[shift + m * n + i] = own[n]
    for h in range(m):
        row_i = offset(hessian, (h * n + i) * size)
        for j in range(n):
            line, row_j = offset(chain, j * size), offset(hessian, (shift + h * n + j) * size)
            by_i, by_j = importance * others[h * n + j], importance * weights[h * n + i]
            add_row(row_i, line, by_i, size)
            add_row(row_j, line, by_j, size)
    line, row_i = offset(chain, n * size), offset(hessian, (shift + m * n + i) * size)
    add_row(row_i, line, importance, size)


_TABLES = local()


def table_of(form, order, untied=False):
    """The ``table`` of `enumeration` for models of a form, of this thread, kept until it asks for another."""
    mine, key = _TABLES.__dict__, (form, order, untied)
    if mine.get("key") != key:
        mine["key"], mine["kept"] = key, workspaces(*key)
    return mine["kept"][0]


def workspaces(form, order, untied=False):
    """The ``table`` of `enumeration` for models of a form, and the arrays to which it points: each thread needs its own, and must
    keep both."""
    m, n, relu = form.n_hidden, form.n_features, not form.is_linear
    work, general = workspace(n, order, relu), not form.is_simple
    components = np.ones((1, n), np.int64) if form.is_plain else form.components
    starts, breadths = form.ranges
    is_point = np.all(breadths[components] == 0.0, axis=1) & general
    terms, where, are_points = _laid_out(form, components, is_point)
    lows, widths = np.array([*form.values, *UNIFORM]).T.copy()
    if form.joint is not None:
        lows[-1], widths[-1] = form.values[form.joint]
    laws = *terms, lows, widths
    leading = np.zeros(N_LEADING)
    leading[IS_GENERAL] = general
    scratch = (
        *laws,
        np.empty((n, n)),  # WᵀW
        np.empty((n, n)),  # ∂L/∂(WᵀW)
        np.empty((4, n + 1)),  # weights and densities of the other features of one output; working space
        np.empty(n + 2, np.int64),  # which features these are, the leading one first; how many they are
        np.empty(max(first_component.py_func(n, order), 15)),  # loss and derivatives by component
        np.empty((n + 1, n + 1)),  # second derivatives of one output, in one component of the law
        np.empty((n + 1, n + 1)),  # and in all
        np.empty((n + 1, (2 if untied else 1) * m * n + n)),
        leading,
        np.empty(7 * n + 1),  # moments of features; densities of a component; biases and b; slopes of an output
        np.zeros(1),  # the penalty
    )
    held = [np.zeros(components.shape) for _ in range(7)] if form.is_kinked else [np.zeros(1)] * 7
    listed = np.zeros((n, len(components) + 1 if form.is_kinked else 1), np.int64)
    first = leaders(components, starts, breadths) if form.is_kinked else np.zeros(1, np.int64)
    means, state = starts + 0.5 * breadths, np.zeros(N_STATE)
    state[SPAN] = (starts + breadths).max() - starts.min()
    columns = np.zeros((n + 1, -(-len(components) // LANES) * LANES))
    columns[:n, : len(components)], columns[n, : len(components)] = means[components].T, 1.0
    summed = columns, np.zeros(4 * columns.shape[1] + n + LANES)
    points = are_points, means[components], state, *held[:5], first, breadths[components], held[5], *summed, held[6], listed
    # what three features, or first derivatives, do not need is not compiled for them
    many = _address(clipped_moments if relu else linear_moments) if n > 3 else 0
    curvature = (_address(_output_curvature), _address(_add_curvature)) if order > 1 else (0, 0)
    sums = _address(_gather) if general else 0, _address(sum_points) if is_point.any() else 0
    mixture = int(len(components) > 1 or bool(np.any(components != 1)))
    numbers = where[0], len(components), int(is_point.sum()), mixture, int(general), int(form.penalised), int(untied)
    kernels = _address(_enumerate), _address(few_moments), many, *curvature, *sums
    return addresses(*kernels, *numbers, int(not relu), *where[1:], *scratch, *points, *work), (scratch, points, work)


def _laid_out(form, components, is_point):
    """The arrays of a table on terms; the length of a row, SOME, TERM_WEIGHTS and TERM_SHARES; which components are points.

    Of the components (n_components, n) for each output, shape (n, n_components): neither points nor what other terms hold.
    """
    n, plain = form.n_features, form.is_plain
    states, parts, by_output = (components, [np.zeros(1, np.int64)], np.ones((n, 1), bool)) if plain else form.terms
    lone = np.array([own[0] if len(own) == 1 else -1 for own in parts])
    listed = by_output & ~((lone >= 0) & is_point[lone])
    apart = np.zeros((n, len(components)), np.int64)
    for i in range(n):
        own = lone[by_output[i] & (lone >= 0)]
        apart[i, own] = is_point[own]
    firsts = np.concatenate([[0], np.cumsum(listed.sum(axis=1))])
    end = form.n_controls if plain else 2 * n + WEIGHTS + len(components)
    where = (end, -1, WEIGHTS, 0)
    if form.joint is not None:
        where = end + len(states) + n, 2 + len(form.values), end - 2 * n, end + len(states)
    return (np.ascontiguousarray(states), firsts, np.nonzero(listed)[1].copy(), lone), where, apart


@cache
def _address(function):
    """These functions are compiled apart from the loop over models."""
    if function is _enumerate:
        return address(function, 0, 0, 0, *[DOUBLES] * 3, 0, *[DOUBLES] * 4, INTEGERS)
    if function is sum_points:
        return address(function, 0, 0, 0, 0.0, DOUBLES, 0.0, 0.0, 0, DOUBLES, 0.0, DOUBLES, DOUBLES, INTEGERS)
    if function is _gather:
        return address(function, 0, 0, DOUBLES, 0.0, DOUBLES, 0, INTEGERS)
    if function is _output_curvature:
        return address(function, 0, DOUBLES, 0, INTEGERS)
    if function is _add_curvature:
        return address(function, DOUBLES, DOUBLES, 0, 0, 0, 0.0, INTEGERS)
    return address(function, *(FEW if function is few_moments else OUTPUT))
