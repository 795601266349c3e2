"""The loss of one output averaged over one uniform variable, for values and activations of any kind.

The output's argument is z = t + START + REACH u, its target FROM + TO_GO u, with u uniform on [0, 1] and REACH ≥ 0: u says the
value of the output's own feature, or, where that is an atom, of another, which then smooths the kink of the activation. Where
z > 0 the error is RIGHT + RIGHT_SLOPE u − t, where z < 0 it is LEFT + LEFT_SLOPE u − SLOPE t, each computed without cancellation
from 1 − ‖W_i‖². With probability 1 − ACTIVE the variable is absent, START and target are 0: then the error is t or SLOPE t.

The loss is quadratic in t left of −START − REACH and right of −START, cubic between, where z changes its sign at u = x; all its
parts there are products of linear functions of t that are mostly of one sign.
"""

from .._compiling.jit import jit, offset
from .pieces import first_component

START, REACH, RIGHT, RIGHT_SLOPE, LEFT, LEFT_SLOPE, FROM, TO_GO, SLOPE, ACTIVE, IS_GENERAL, ORIGINS = range(12)
N_LEADING = ORIGINS + 3
"""The numbers that say it. Unless IS_GENERAL values are uniform on [0, 1] and the activation is the ReLU: see `pieces`. From
ORIGINS on: where this variable and those of two others are counted from; 0 where there are more."""


@jit(inner=True)
def leading_quadratic(c, width, s, e, degree, order, first, left, a, p, processed):
    """Coefficients on [s, e] where z has one sign throughout (``left``: the negative one): E (target − output)².

    ``a``, ``p``: weights and densities already averaged over; with all of them and s = e = b: the loss where no sign changes.
    """
    active, scale = first[ACTIVE], first[SLOPE] if left else 1.0
    start, slope = (first[LEFT], first[LEFT_SLOPE]) if left else (first[RIGHT], first[RIGHT_SLOPE])
    middle = start + 0.5 * slope
    mean = active * middle
    variance = active * (slope * slope / 12.0 + (1.0 - active) * middle * middle)
    for j in range(processed):
        mean -= scale * (0.5 * p[j] * a[j])
        variance += (scale * a[j]) ** 2 * (p[j] * (4.0 - 3.0 * p[j]) / 12.0)
    low, high = mean - scale * s, mean - scale * e
    ss, se, ee = low * low + variance, low * high + variance, high * high + variance
    for i in range(degree + 1):
        k = degree - i
        c[i] = (k * (k - 1) * ss + 2 * k * i * se + i * (i - 1) * ee) / (degree * (degree - 1))
    if order == 0:
        return
    for i in range(degree):
        k = degree - 1 - i
        c[width + i] = -2.0 * scale * (k * low + i * high) / (degree - 1)
    for k in range(processed + 1):
        at, share = first_component(k, order) * width, active if k == 0 else p[k - 1]
        for i in range(degree + 1):
            error = ((degree - i) * low + i * high) / degree
            if k == 0:
                value = start / 2.0 + slope / 3.0 - 0.5 * (active * middle - error)
            else:
                value = 0.5 * error - scale * a[k - 1] * (1.0 / 3.0 - 0.25 * share)
            c[at + i] = -2.0 * scale * share * value
        if order == 2:
            at += width
            for i in range(degree):
                c[at + i] = scale * scale * share
            for l in range(k + 1):
                at += width
                other = active if l == 0 else p[l - 1]
                value = 2.0 * scale * scale * share * (1.0 / 3.0 if l == k else 0.25 * other)
                for i in range(degree + 1):
                    c[at + i] = value
    if order == 2:
        for i in range(degree - 1):
            c[2 * width + i] = 2.0 * scale * scale


@jit(inner=True)
def _add_cubic(c, factor, a0, a1, b0, b1, c0, c1):
    """Add ``factor`` × the product of three linear functions with these values at the low and the high end."""
    c[0] += factor * (a0 * b0 * c0)
    c[1] += factor * (a1 * b0 * c0 + a0 * b1 * c0 + a0 * b0 * c1) / 3.0
    c[2] += factor * (a0 * b1 * c1 + a1 * b0 * c1 + a1 * b1 * c0) / 3.0
    c[3] += factor * (a1 * b1 * c1)


@jit(inner=True)
def _add_quadratic(c, factor, a0, a1, b0, b1):
    """Add ``factor`` × the product of two linear functions with these values at the low and the high end."""
    c[0] += factor * (a0 * b0)
    c[1] += factor * (a0 * b1 + a1 * b0) / 2.0
    c[2] += factor * (a1 * b1)


@jit(inner=True)
def leading_cubic(c, width, s, e, order, first):
    """Coefficients on [s, e] where z changes its sign at u = x: six components at most, of degrees up to 3.

    With y the target and error at u = x, l the error at u = 0 and r that at u = 1 the loss is
    [x (l² + l y + y²) + (1 − x)(y² + y r + r²)]/3.
    """
    reach, active, alpha = first[REACH], first[ACTIVE], first[SLOPE]
    x0, x1 = -(s + first[START]) / reach, -(e + first[START]) / reach
    w0, w1 = (s + first[START] + reach) / reach, (e + first[START] + reach) / reach
    y0, y1 = first[FROM] + first[TO_GO] * x0, first[FROM] + first[TO_GO] * x1
    l0, l1 = first[LEFT] - alpha * s, first[LEFT] - alpha * e
    r0, r1 = first[RIGHT] + first[RIGHT_SLOPE] - s, first[RIGHT] + first[RIGHT_SLOPE] - e
    idle, third, jump = (1.0 - active) * alpha * alpha, active / 3.0, (1.0 - alpha) / reach
    for component in range(1 if order == 0 else 3 if order == 1 else 6):
        for i in range(4):
            c[component * width + i] = 0.0
    _add_cubic(c, third, x0, x1, l0, l1, l0, l1)
    _add_cubic(c, third, x0, x1, l0, l1, y0, y1)
    _add_cubic(c, third, x0, x1, y0, y1, y0, y1)
    _add_cubic(c, third, w0, w1, y0, y1, y0, y1)
    _add_cubic(c, third, w0, w1, y0, y1, r0, r1)
    _add_cubic(c, third, w0, w1, r0, r1, r0, r1)
    _add_cubic(c, idle, s, e, s, e, 1.0, 1.0)
    if order == 0:
        return
    slope, by_reach = offset(c, width), offset(c, (order + 1) * width)
    _add_quadratic(slope, -active * alpha, x0, x1, l0 + y0, l1 + y1)
    _add_quadratic(slope, -active, w0, w1, y0 + r0, y1 + r1)
    _add_quadratic(slope, 2.0 * idle, s, e, 1.0, 1.0)
    _add_cubic(by_reach, -third * alpha, x0, x1, x0, x1, l0 + 2.0 * y0, l1 + 2.0 * y1)
    _add_cubic(by_reach, -third, w0, w1, x0, x1, 2.0 * y0 + r0, 2.0 * y1 + r1)
    _add_cubic(by_reach, -third, w0, w1, 1.0, 1.0, y0 + 2.0 * r0, y1 + 2.0 * r1)
    if order == 1:
        return
    curvature, mixed, own = offset(c, 2 * width), offset(c, 4 * width), offset(c, 5 * width)
    square = alpha * alpha
    curvature[0] = 2.0 * (active * (square * x0 + w0 - jump * y0) + idle)
    curvature[1] = 2.0 * (active * (square * x1 + w1 - jump * y1) + idle)
    _add_quadratic(mixed, active * square, x0, x1, x0, x1)
    _add_quadratic(mixed, active, w0, w1, 1.0 + x0, 1.0 + x1)
    _add_quadratic(mixed, -2.0 * active * jump, y0, y1, x0, x1)
    _add_cubic(own, 2.0 * third * square, x0, x1, x0, x1, x0, x1)
    _add_cubic(own, 2.0 * third, w0, w1, x0, x1, x0, x1)
    _add_cubic(own, 2.0 * third, w0, w1, 1.0, 1.0, 1.0 + x0, 1.0 + x1)
    _add_cubic(own, -2.0 * active * jump, y0, y1, x0, x1, x0, x1)


@jit(inner=True)
def leading_values(t, region, first, out):
    """The six components of second order at one t: left of both ends of the cubic, between, right of both (region 0, 1, 2).

    Without what the jump of the slope where z = 0 adds to second derivatives between.
    """
    active, alpha = first[ACTIVE], first[SLOPE]
    if region != 1:
        scale = alpha if region == 0 else 1.0
        start, slope = (first[LEFT], first[LEFT_SLOPE]) if region == 0 else (first[RIGHT], first[RIGHT_SLOPE])
        middle, idle = start + 0.5 * slope - scale * t, (1.0 - active) * (scale * t)
        out[0] = active * (middle * middle + slope * slope / 12.0) + idle * scale * t
        out[1] = -2.0 * scale * (active * middle - idle)
        out[2] = -2.0 * scale * active * (0.5 * middle + slope / 12.0)
        square = scale * scale
        out[3], out[4], out[5] = 2.0 * square, square * active, 2.0 / 3.0 * square * active
        return
    reach = first[REACH]
    x, w = -(t + first[START]) / reach, (t + first[START] + reach) / reach
    y, l, r = first[FROM] + first[TO_GO] * x, first[LEFT] - alpha * t, first[RIGHT] + first[RIGHT_SLOPE] - t
    idle, square = (1.0 - active) * alpha * alpha, alpha * alpha
    out[0] = active / 3.0 * (x * (l * l + l * y + y * y) + w * (y * y + y * r + r * r)) + idle * t * t
    out[1] = -active * (alpha * x * (l + y) + w * (y + r)) + 2.0 * idle * t
    out[2] = -active / 3.0 * (alpha * x * x * (l + 2.0 * y) + w * (x * (2.0 * y + r) + y + 2.0 * r))
    out[3] = 2.0 * (active * (square * x + w) + idle)
    out[4] = active * (square * x * x + w * (1.0 + x))
    out[5] = 2.0 / 3.0 * active * (square * x * x * x + w * (1.0 + x + x * x))


@jit(inner=True)
def leading_pieces(out, size, width, x, lo, hi, order, first, count):
    """Pieces on [lo, hi], left of the cubic, on it and right of it, ``size`` entries each; their number goes to ``count``."""
    start, end, s = -first[START] - first[REACH], -first[START], lo
    n = 0
    if s < start:
        x[0], s = s, min(hi, start)
        leading_quadratic(out, width, lo, s, 3, order, first, True, first, first, 0)
        n += 1
    if s < end and (s < hi or n == 0):
        x[n], e = s, min(hi, end)
        leading_cubic(offset(out, n * size), width, s, e, order, first)
        s = e
        n += 1
    if s < hi or n == 0:
        x[n] = s
        leading_quadratic(offset(out, n * size), width, s, hi, 3, order, first, False, first, first, 0)
        n += 1
    x[n] = hi
    count[0] = n
