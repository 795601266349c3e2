"""Routines for outputs that nearly all samples pass, or nearly none: which samples are exceptions, and what they add to sums.

Matrices are float32. Where rows are features or hidden dimensions, lanes are samples; where rows are samples, lanes are features.
"""

from llvmlite import ir
from numba.core import cgutils

from .._compiling.jit import offset
from .._compiling.vectors import LANES, LONG, WORD, WORDS, constant, emitted, routine, words
from .products import COLUMNS, ROWS

LONGEST = 8  # vectors of a row whose sums stay in registers
BITS = ir.IntType(LANES)


def _transposed(b, rows):
    """Emit the transpose of sixteen vectors: parts of two rows change places, halves first."""
    rows, lanes = list(rows), range(LANES)
    for step in (8, 4, 2, 1):
        low = [LANES + lane - step if lane & step else lane for lane in lanes]
        high = [LANES + lane if lane & step else lane + step for lane in lanes]
        for r in lanes:
            if not r & step:
                pair = rows[r], rows[r + step]
                for place, chosen in ((r, low), (r + step, high)):
                    rows[place] = b.shuffle_vector(*pair, ir.Constant(ir.VectorType(WORD, LANES), chosen))
    return rows


def _places(b, array, row):
    """Emit the addresses of sixteen vectors, ``row`` entries apart."""
    return [b.at(array, b.mul(row, LONG(r))) for r in range(LANES)]


@emitted()
def _transpose(b, source, source_row, target, target_row):
    """Write the 16 × 16 numbers at ``source`` to ``target``, rows as columns."""
    rows = _transposed(b, [b.row(place) for place in _places(b, source, source_row)])
    for row, place in zip(rows, _places(b, target, target_row), strict=True):
        b.put(row, place)


@routine("fnfnnn")
def transpose(source, source_row, target, target_row, n_rows, n_columns):
    """Write ``source`` (n_rows, n_columns), rows ``_row`` entries apart, to ``target`` (n_columns, n_rows)."""
    for row in range(0, n_rows, LANES):
        for column in range(0, n_columns, LANES):
            start, end = row * source_row + column, column * target_row + row
            _transpose(offset(source, start), source_row, offset(target, end), target_row)


@emitted()
def _symmetrise(b, block, mirrored, row):
    """Add to 16 × 16 numbers of a matrix the transpose of those on the other side of the diagonal; write the sum to both."""
    here, there = (_places(b, place, row) for place in (block, mirrored))
    turned = _transposed(b, [b.row(place) for place in there])
    both = [b.fadd(b.row(place), other) for place, other in zip(here, turned, strict=True)]
    for rows, places in ((both, here), (_transposed(b, both), there)):
        for value, place in zip(rows, places, strict=True):
            b.put(value, place)


@routine("fn")
def symmetrise(square, width):
    """Add to a matrix (width, width) its transpose."""
    for first in range(0, width, LANES):
        for other in range(first, width, LANES):
            _symmetrise(offset(square, first * width + other), offset(square, other * width + first), width)


def _any(b, mask):
    """Emit whether a mask names any lane."""
    return b.icmp_unsigned("!=", b.bitcast(mask, BITS), BITS(0))


def _least(b, vectors):
    """Emit the least of vectors, lane by lane."""
    while len(vectors) > 1:
        pairs = zip(vectors[::2], vectors[1::2], strict=False)
        vectors = [b.where(one, "<", other) for one, other in pairs] + vectors[len(vectors) // 2 * 2 :]
    return vectors[0]


def _compress(b, value, mask, address):
    """Emit the store of those lanes of a vector that a mask names, one after another."""
    kind = ir.FunctionType(ir.VoidType(), [value.type, address.type, mask.type])
    name = f"llvm.masked.compressstore.v{LANES}{value.type.element.intrinsic_name}"
    b.call(cgutils.get_or_insert_function(b.module, kind, name), [value, address, mask])


@emitted()
def _find(b, n_rows, facing, width, depth, h, stride, first, stop, passing, by_output, by_value, x, index, excess, sums, counts):
    """Find the exceptions among one block of outputs and samples; outputs stay in registers."""

    def append(r, q, output):
        """Emit the end of row r's lists where a vector of samples holds exceptions."""
        at_zero = b.splat(b.icmp_signed("!=", b.entry(passing, r), LONG(0)))
        at_zero = b.and_(at_zero, b.fcmp_ordered("<=", output, constant(0.0)))
        samples = b.add(b.splat(b.trunc(first, WORD)), ir.Constant(WORDS, [q * LANES + lane for lane in range(LANES)]))
        mask = b.or_(at_zero, b.fcmp_ordered("<", output, constant(0.0)))
        mask = b.and_(mask, b.icmp_signed("<", samples, b.splat(b.trunc(stop, WORD))))
        with b.if_then(_any(b, mask)):
            count, row, total = b.entry(counts, r), b.mul(stride, LONG(r)), b.at(sums, r * LANES)
            end = b.add(row, count)
            value = b.fmul(b.spread(by_value, r), b.row(x, row, q * LANES))
            value = b.fma(b.spread(by_output, r), output, value)
            _compress(b, value, mask, b.at(excess, end))
            _compress(b, samples, mask, b.at(index, end))
            b.put(b.fadd(b.row(total), b.select(mask, value, constant(0.0))), total)
            b.store(b.add(count, b.zext(b.ctpop(b.bitcast(mask, BITS)), LONG)), b.at(counts, r))

    def block(size):
        """Emit the outputs of a number of rows, then a look at the least of all, of a row, and at each, while that may be one."""
        sums = [b.variables([b.spread(facing, b.mul(depth, width), r)] * COLUMNS) for r in range(size)]
        with b.range(depth) as d:
            vectors = [b.row(h, b.mul(d, stride), q * LANES) for q in range(COLUMNS)]
            for r, row in enumerate(sums):
                value = b.spread(facing, b.mul(d, width), r)
                for entry, vector in zip(row, vectors, strict=True):
                    b.store(b.fma(value, vector, b.load(entry)), entry)
        outputs = [[b.load(entry) for entry in row] for row in sums]
        lows = [_least(b, row) for row in outputs]
        with b.if_then(_any(b, b.fcmp_ordered("<=", _least(b, lows), constant(0.0)))):
            for r, (row, low) in enumerate(zip(outputs, lows, strict=True)):
                with b.if_then(_any(b, b.fcmp_ordered("<=", low, constant(0.0)))):
                    for q, output in enumerate(row):
                        append(r, q, output)

    b.choose(n_rows, range(1, ROWS + 1), block)


@routine("fnnnfniffffnfin")
def find(facing, width, m, n, h, stride, passing, by_output, by_value, x, excess, index, sums, counts, n_samples):
    """List the exceptions among n outputs of samples whose hidden values are ``h`` (m, stride).

    ``facing`` (m + 1, width) holds weights, then biases, negated where an output is not ``passing`` (n,): a sample is an
    exception where the output that they give is negative, and where one that should pass is 0. Row i of ``index`` (n, stride)
    gets ``counts[i]`` numbers of samples, that of ``excess`` (n, stride) ``by_output`` times the output plus ``by_value`` times
    the value in ``x`` (n, stride), and the vector ``sums[i]`` their sums.
    """
    blocks = (n + ROWS - 1) // ROWS
    for i in range(n):
        counts[i] = 0
    for first in range(0, n_samples, COLUMNS * LANES):
        for block in range(blocks):
            i, stop = block * n // blocks, (block + 1) * n // blocks
            own = i * stride
            _find(
                stop - i, offset(facing, i), width, m, offset(h, first), stride, first, n_samples, offset(passing, i),
                offset(by_output, i), offset(by_value, i), offset(x, own + first), offset(words(index), own), offset(excess, own),
                offset(sums, i * LANES), offset(counts, i),
            )  # fmt: skip


@emitted()
def _add_rows(b, n_vectors, target, rows, row, index, factor, count):
    """Add to a few vectors those of rows times factors; every other row to sums of its own, so that none waits for the last."""

    def block(size):
        """Emit the loop over pairs of rows for a number of vectors, then the row that is left."""

        def add(sums, p):
            """Add factor × a row of ``rows`` to so many vectors of sums."""
            own, value = b.mul(b.zext(b.entry(index, p), LONG), row), b.spread(factor, p)
            for q, entry in enumerate(sums):
                b.store(b.fma(value, b.row(rows, own, q * LANES), b.load(entry)), entry)

        others = b.variables([constant(0.0)] * size)
        with b.held([b.at(target, q * LANES) for q in range(size)]) as (sums,):
            with b.range(b.lshr(count, LONG(1))) as pair:
                first = b.shl(pair, LONG(1))
                add(sums, first)
                add(others, b.add(first, LONG(1)))
            with b.range(count, b.and_(count, LONG(-2))) as last:
                add(sums, last)
            for entry, other in zip(sums, others, strict=True):
                b.store(b.fadd(b.load(entry), b.load(other)), entry)

    b.choose(n_vectors, range(1, LONGEST + 1), block)


@routine("ffnnfn")
def add_rows(target, rows, width, index, factor, count):
    """Add to ``target`` (width,) ``count`` of the ``rows`` (…, width), named by ``index``, times ``factor``."""
    n_vectors = width // LANES
    parts = (n_vectors + LONGEST - 1) // LONGEST
    for part in range(parts):
        q, stop = part * n_vectors // parts, (part + 1) * n_vectors // parts
        _add_rows(stop - q, offset(target, q * LANES), offset(rows, q * LANES), width, words(index), factor, count)
