"""Which kernel trains which models: by their size and law alone, so that no model depends on those that are trained beside it."""

MOST_FEW = 8  # features up to which all that a model is stays in a thread's registers
MOST_REGISTERS = 230  # of a thread, for weights, their gradient, h, u and the gradient of biases
LANES = 32
SHARED = 48 * 1024  # bytes of shared memory of a block
FEW, SOME, SOME_SPARSE, SPARSE, MANY = KINDS = ("few", "some", "some_sparse", "sparse", "many")
LISTED = SOME, SOME_SPARSE, SPARSE  # whose samples are drawn as lists of active features


def kind_of(chunk):
    """Return the kind of a chunk, one of `KINDS`."""
    _, m, n = chunk.weights.shape
    density = chunk.density.mean()
    if n <= MOST_FEW:
        return FEW
    if not chunk.independent and 2 * n * m + n + 2 * m <= MOST_REGISTERS:
        # an active feature of a list takes about 11 m operations, where all features take 2 m each
        return SOME_SPARSE if density < 2 / 11 else SOME
    # by products an active feature takes 2 (n/32 + 1) reads of shared memory, one in four operations, of 5 n m/32 otherwise
    if 38 * density * (-(-n // LANES) + 1) < m and sum(sizes_of_products(n, m)) <= SHARED // 4:
        return SPARSE
    return MANY


def sizes_of_products(n, m):
    """Return how many numbers a block's products of columns take in shared memory, and its errors or weights."""
    return n * n + LANES, max(LANES, width_of(m)) * n + LANES


def width_of(m):
    """Return the width of a feature's row of m weights: whole groups of four, rows side by side in different banks."""
    width = -(-m // 4) * 4
    return width + 4 * (width % 8 == 0)
