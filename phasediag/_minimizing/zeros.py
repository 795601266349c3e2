"""Products of weights that are 0 at minima on kinks, where values of some features are uncertain (numba kernels).

An output that has no product with the features whose values are uncertain has its kinks of all these values in one place, and a
minimum may hold it there (see `_loss.points`). Beside, with a product w, the loss is that of a kink smeared over |w|: it curves
the more the nearer w is to 0, and Newton's method, which takes it for smooth, hardly comes nearer. So once outputs are as near to
their kinks as the smear is wide, the products are made 0, held there until a descent has come to rest, and let go.
"""

from .._compiling.jit import doubles, integers, jit, offset
from .._loss.enumeration import N_COMPONENTS, N_POINTS, POINTS
from .._loss.points import BREADTHS, LEADERS, NO_PRODUCT, VALUES
from .trust_region import ENUMERATION, FEATURES, FREE, GROUPS, HIDDEN, LINES, MOVING, VECTORS


@jit(inner=True)
def hold_zeros(x, table):
    """Where values of some features are uncertain hold weights that are 0 at x (size,) so that products stay 0; whether any are.

    Of a feature in a dimension of features to which it has no product.
    """
    m, n, size, free = table[HIDDEN], table[FEATURES], (table[HIDDEN] + 1) * table[FEATURES], integers(table[FREE])
    moving, found = offset(doubles(table[LINES]), MOVING * size), False
    if not is_uncertain(table):
        return False
    for k in range(size):
        moving[k], i, apart = free[k], k % n, k < m * n and x[k] == 0.0 and free[k] != 0
        for j in range(n if apart else 0):
            if x[k - i + j] != 0.0:
                apart = apart and abs(_product(x, i, j, table)) <= NO_PRODUCT
        if apart:
            free[k], found = 0, True
    return found


@jit(inner=True)
def let_zeros_go(table):
    """Let all parameters move that moved before zeros were held."""
    size, free = (table[HIDDEN] + 1) * table[FEATURES], integers(table[FREE])
    moving = offset(doubles(table[LINES]), MOVING * size)
    for i in range(size):
        free[i] = int(moving[i])


@jit(inner=True)
def is_uncertain(table):
    """Whether values of some features are uncertain in some components."""
    enumeration = integers(table[ENUMERATION])
    return enumeration[N_POINTS] < enumeration[N_COMPONENTS]


@jit(inner=True)
def is_smeared(x, reach, table):
    """Whether at x (size,) some kink that jumps up is smeared over no more than ``reach``, its output as near to it."""
    n, enumeration = table[FEATURES], integers(table[ENUMERATION])
    values, breadths = doubles(offset(enumeration, POINTS)[VALUES]), doubles(offset(enumeration, POINTS)[BREADTHS])
    leaders = integers(offset(enumeration, POINTS)[LEADERS])
    for component in range(enumeration[N_COMPONENTS] if is_uncertain(table) else 0):
        inputs, wide = offset(values, component * n), offset(breadths, component * n)
        for i in range(n):
            z, smear = x[table[HIDDEN] * n + i], 0.0
            for j in range(n if leaders[component * n + i] == component else 0):
                product = _product(x, i, j, table)
                z += product * inputs[j]
                smear = max(smear, abs(product) * wide[j])
            if NO_PRODUCT < smear <= reach and abs(z) <= reach:
                return True
    return False


@jit(inner=True)
def make_zeros(x, reach, table):
    """Turn x (size,), in place, so that products no larger than ``reach`` are 0: features they part get dimensions of their own.

    From the longest column on each that leads out of the dimensions so far opens one for its own features.
    """
    m, n, lines, rank = table[HIDDEN], table[FEATURES], doubles(table[LINES]), 0
    basis, turned = doubles(table[VECTORS]), offset(doubles(table[VECTORS]), m * m)
    groups, lengths = offset(lines, GROUPS * (m + 1) * n), offset(lines, GROUPS * (m + 1) * n + n)
    owners = offset(lengths, n)
    for i in range(n):
        groups[i], lengths[i] = i, _product(x, i, i, table)
    for _round in range(n):
        for i in range(n):
            for j in range(n):
                if abs(_product(x, i, j, table)) > reach:
                    groups[i] = groups[j] = min(groups[i], groups[j])
    for _column in range(n):
        longest, rest, length = 0, offset(basis, rank * m), 0.0
        for i in range(n):
            if lengths[i] > lengths[longest]:
                longest = i
        lengths[longest] = -1.0
        for k in range(m if rank < m else 0):
            rest[k] = x[k * n + longest]
        for other in range(rank if rank < m else 0):
            product = 0.0
            for k in range(m):
                product += basis[other * m + k] * rest[k]
            for k in range(m):
                rest[k] -= product * basis[other * m + k]
        for k in range(m if rank < m else 0):
            length += rest[k] ** 2
        if length**0.5 > reach:
            for k in range(m):
                rest[k] /= length**0.5
            owners[rank] = groups[longest]
            rank += 1
    for k in range(m):
        for i in range(n):
            turned[k * n + i] = 0.0
            for row in range(m if k < rank and owners[k] == groups[i] else 0):
                turned[k * n + i] += basis[k * m + row] * x[row * n + i]
    for k in range(m * n):
        x[k] = turned[k]


@jit(inner=True)
def _product(x, i, j, table):
    """W_i·W_j at x (size,)."""
    n, product = table[FEATURES], 0.0
    for k in range(table[HIDDEN]):
        product += x[k * n + i] * x[k * n + j]
    return product
