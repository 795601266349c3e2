"""The loss of neurons by nested quadrature between all crossings, in any arithmetic: the slow twin of the kernel of simplices.

The cube is cut by which coordinate is the greatest, ρ; the others are ρ w, and neurons are 0 on points, or lines, in w alone. For
one ρ the integrand is a polynomial between them and where the output is 0; in ρ, between the values at which that line meets a
corner of the arrangement. Gauss–Legendre of sufficient degree is then exact but for rounding.
"""

from contextlib import contextmanager
from itertools import combinations, pairwise, product

import mpmath

DIGITS = 40


@contextmanager
def precise():
    """The kind of numbers of 40 digits: gmpy2's where it is installed, which is five times as fast, else mpmath's."""
    with mpmath.workdps(DIGITS):
        try:
            import gmpy2
        except ImportError:
            yield mpmath.mpf
            return
        with gmpy2.context(precision=mpmath.mp.prec):
            yield gmpy2.mpfr


class Quadrature:
    """Nested quadrature with numbers of one kind: float, mpmath.mpf or gmpy2.mpfr at the working precision."""

    def __init__(self, number):
        self.number = number
        half, root = number(1) / 2, (lambda x: number(mpmath.nstr(mpmath.sqrt(x), DIGITS + 2)))
        a, b = root(mpmath.mpf(1) / 3), root(mpmath.mpf(3) / 5)
        self.two = [(half - half * a, half), (half + half * a, half)]
        self.three = [(half - half * b, number(5) / 18), (half, number(4) / 9), (half + half * b, number(5) / 18)]

    def between(self, breaks, nodes, f):
        """Σ over the pieces of [0, 1] between breaks of the integral of the vector f(x)."""
        breaks = sorted({self.number(0), self.number(1), *(x for x in breaks if 0 < x < 1)})
        total = None
        for low, high in pairwise(breaks):
            for x, w in nodes:
                term = [w * (high - low) * y for y in f(low + (high - low) * x)]
                total = term if total is None else [p + q for p, q in zip(total, term, strict=True)]
        return total

    def zeros(self, breaks, z):
        """Where z(x), affine between breaks of [0, 1], is 0 between them."""
        breaks = sorted({self.number(0), self.number(1), *(x for x in breaks if 0 < x < 1)})
        found = []
        for low, high in pairwise(breaks):
            a, b = z(low), z(high)
            if a * b < 0:
                found.append(low + (high - low) * a / (a - b))
        return found

    def output(self, read, write, bias, target):
        """The vector of integrals over [0, 1]^k of (e², e [z > 0], e [z > 0] u_a [h_r > 0] by r, a) of one output.

        read: k numbers for each of m neurons; write: m numbers; e = u_target − z⁺ (target None: 0), z = write·h + bias.
        """
        k = len(read[0])

        def hidden(u):
            return [max(sum(c * x for c, x in zip(row, u, strict=True)), 0) for row in read]

        def z(u):
            return sum(d * h for d, h in zip(write, hidden(u), strict=True)) + bias

        def integrand(u, scale):
            h, value = hidden(u), z(u)
            error = (u[target] if target is not None else 0) - max(value, 0)
            slope = error if value > 0 else 0 * error
            rows = [scale * slope * x * (one > 0) for one in h for x in u]
            return [scale * error * error, scale * slope, *rows]

        total = None
        for l in range(k):
            lines = [(row[l], *(row[a] for a in range(k) if a != l)) for row in read]

            def point(rho, w, l=l):
                return [*(rho * x for x in w[:l]), rho, *(rho * x for x in w[l:])]

            found = self._pyramid(k, lines, bias, z, integrand, point)
            total = found if total is None else [p + q for p, q in zip(total, found, strict=True)]
        return total

    def _pyramid(self, k, lines, bias, z, integrand, point):
        """The integrals over the points whose greatest coordinate is one of them."""
        if k == 1:
            corners = [()]
        elif k == 2:
            simple = [-c / a for c, a in lines if a != 0]
            corners = [(x,) for x in (self.number(0), self.number(1), *simple) if 0 <= x <= 1]
        else:
            edges = [
                (self.number(c), self.number(a), self.number(b)) for c, a, b in ((0, 1, 0), (-1, 1, 0), (0, 0, 1), (-1, 0, 1))
            ]
            every = [*edges, *lines]
            corners, on = [], {t: [] for t in range(len(every))}
            for (s, (c, a, b)), (t, (f, d, e)) in combinations(enumerate(every), 2):
                det = a * e - b * d
                if det != 0:
                    w = ((b * f - c * e) / det, (c * d - a * f) / det)
                    corners.append(w)
                    on[s].append(w[0])
                    on[t].append(w[0])
            slack = self.number(10) ** -12
            corners = [w for w in corners if all(-slack <= x <= 1 + slack for x in w)]
        slopes = [z(point(self.number(1), w)) - bias for w in corners]

        def shell(rho):
            scale = rho ** (k - 1)
            if k == 1:
                return integrand(point(rho, ()), scale)
            if k == 2:
                breaks = [w for (w,) in corners]
                breaks += self.zeros(breaks, lambda w: z(point(rho, (w,))))
                return self.between(breaks, self.two, lambda w: integrand(point(rho, (w,)), scale))
            breaks = [w[0] for w in corners]
            for t, (c, a, b) in enumerate(every):
                if b != 0:  # along the line w2 = −(c + a w1)/b
                    at = lambda w, c=c, a=a, b=b: (w, -(c + a * w) / b)  # noqa: E731
                    breaks += self.zeros(on[t], lambda w, at=at: z(point(rho, at(w))))

            def column(w1):
                inner = [-(c + a * w1) / b for c, a, b in lines if b != 0]
                inner += self.zeros(inner, lambda w2: z(point(rho, (w1, w2))))
                return self.between(inner, self.two, lambda w2: integrand(point(rho, (w1, w2)), scale))

            return self.between(breaks, self.two, column)

        return self.between([-bias / g for g in slopes if g != 0], self.three, shell)

    def losses(self, encoder, decoder, bias, importance, sets, signed):
        """Losses of outputs (n) and the gradient (2 m + 1 rows of n) as the kernel has them; sets: {members: probability}."""
        number = self.number
        encoder, decoder = ([[number(float(x)) for x in row] for row in one] for one in (encoder, decoder))
        bias, importance = ([number(float(x)) for x in one] for one in (bias, importance))
        m, n = len(encoder), len(bias)
        losses, gradients = [number(0)] * n, [[number(0)] * n for _ in range(2 * m + 1)]
        for members, weight in sets.items():
            k, weight = len(members), number(weight)
            if k == 0:
                for i in range(n):
                    losses[i] += weight * max(bias[i], 0) ** 2
                    gradients[2 * m][i] += 2 * weight * importance[i] * max(bias[i], 0)
                continue
            for signs in product((1, -1), repeat=k) if signed else [(1,) * k]:
                share = weight / 2**k if signed else weight
                read = [[row[i] * s for i, s in zip(members, signs, strict=True)] for row in encoder]
                for i in range(n):
                    target = members.index(i) if i in members else None
                    loss, level, *rows = self.output(read, [row[i] for row in decoder], bias[i], target)
                    losses[i] += share * loss
                    slope = -2 * share * importance[i]
                    gradients[2 * m][i] += slope * level
                    for r in range(m):
                        for a, (j, s) in enumerate(zip(members, signs, strict=True)):
                            gradients[m + r][i] += slope * read[r][a] * rows[r * k + a]
                            gradients[r][j] += slope * decoder[r][i] * s * rows[r * k + a]
        return losses, gradients
