"""What samples with one active feature, sorted into sixteen cells, add to the sums of sixteen models.

With one active feature an output o = b + G x changes its sign at most once, at x = −b/G. The cells on one side of that are
active, and their moments are sums over all the cells below the lane's own, or all those above; in that cell the samples
decide. A vector holds one number of each cell, so that a lane takes that of its own cell by permutation: no lane waits for
the others.
"""

from llvmlite import ir

from .._compiling.vectors import FLAGS, LANES, LONG, WORDS, constant

TOGETHER = 5  # outputs of one loop


def emit_line(b, n, relu, order, forms, sums, values, moments, n_rows):
    """Emit what a pattern with one active feature adds: its ``n_rows`` rows of sixteen values and the `line_moments`."""
    rows = [b.mul(b.entry(order, a), LONG((n + 1) * LANES)) for a in range(n)]
    columns = b.mul(b.load(order), LONG(LANES)), LONG(n * LANES)
    tables = [b.row(moments, q * LANES) for q in range(6)]
    for first in range(0, n, TOGETHER):
        outputs = range(first, min(first + TOGETHER, n))
        slopes, levels = ([b.row(forms, rows[a], column) for a in outputs] for column in columns)
        places = [[b.at(sums, rows[a], column) for column in columns] for a in outputs]
        with b.held(*places) as totals:
            cells = []
            for a, slope, level, total in zip(outputs, slopes, levels, totals, strict=True):
                gain = b.fsub(constant(1.0 if a == 0 else 0.0), slope)  # never −0
                falls, cell = ir.Constant(FLAGS, [0] * LANES), constant(0, WORDS)
                if relu:
                    falls = b.fcmp_ordered("<", gain, constant(0.0))
                    zero = b.fmul(b.fdiv(level, gain), constant(-float(LANES)))
                    zero = b.where(b.where(zero, "<", constant(LANES - 1.0)), ">", constant(0.0))
                    cell = b.fptosi(zero, WORDS)
                cells.append(cell)
                count, linear, square = (
                    b.select(falls, b.lookup(below, cell), b.lookup(above, cell))
                    for below, above in zip(tables[:3], tables[3:], strict=True)
                )
                for variable, one, other in zip(total, (square, linear), (linear, count), strict=True):
                    sum_ = b.fma(level, other, b.load(variable))
                    b.store(b.fma(slope, one, sum_), variable)
            with b.range(n_rows) as i:
                row = b.row(values, b.mul(i, LONG(LANES)))
                for a, cell, slope, level, total in zip(outputs, cells, slopes, levels, totals, strict=True):
                    y = b.lookup(row, cell)
                    error = b.fma(slope, y, level)
                    if relu:
                        passes = b.fcmp_ordered(">", error, y if a == 0 else constant(0.0))  # not where y is NaN
                    else:
                        passes = b.fcmp_ordered("ord", y, y)
                    for variable, factor in zip(total, (y, constant(1.0)), strict=True):
                        old = b.load(variable)
                        b.store(b.select(passes, b.fma(error, factor, old), old), variable)
