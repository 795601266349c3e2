"""Where the kernels of the contour find what belongs to one output of a model, by names.

A kernel takes n, how many other features move the output, and the table: an int64 array of addresses of functions, each
compiled once and not again inside its callers, and of arrays of doubles.
"""

from .._compiling.jit import doubles, jit

# Addresses of functions.
FEATURE_LOSS, FEW_ACTIVE, PAIRS, POLYNOMIAL, SHORT_PERIOD, COUNT_NODES, SERIES, START, NODES, NARROW_NODES = range(10)
# Addresses of arrays of a model with N features in m dimensions: weights, shape (m, N); bias, density, the lengths of the
# columns and one row of WᵀW, shape (N,); and, to be filled, loss of each output, its slopes in that output's row of WᵀW, shape
# (N, N), its slope in the bias, error and number of nodes.
MODEL_WEIGHTS, MODEL_BIAS, MODEL_DENSITY, LENGTH, GRAM, MODEL_LOSS, MODEL_SLOPE, MODEL_SLOPE_B, MODEL_ERROR, MODEL_NODES = range(
    10, 20
)
# Addresses of arrays of one output, shape (n,): weights a_j and densities of the other features that move it, the one most
# likely active last, which features they are and their classes of size; the probabilities that none before j is active, that none
# but possibly j is, and that some but j are; the slopes in a_j.
WEIGHTS, DENSITIES, FEATURES, CLASSES, NONE_BEFORE, NONE_BUT, SOME_BUT, SLOPES = range(20, 28)
# … and of working space: where the classes start; moments with one active feature, (n, 3); rows of pairs (see `pairs`); rows of
# the terms in double and in single precision with the sums behind (see `nodes`); what recent stages added (see `series`);
# frequencies and their bounds (see `envelopes`); nodes and the bounds of their terms, (MOST_BOUNDS, 2); the numbers below.
STARTS, SINGLES, PAIR_ROWS, ROWS, NARROW_ROWS, RECENT, ENVELOPES, BOUNDS, NUMBERS = range(28, 37)
ENTRIES = 37

MOST_BOUNDS = 96
# Numbers. What is found: loss, its slopes in b and in a_i, its error (relative to the scale, until the end) and the nodes used.
LOSS, SLOPE_B, SLOPE_I, ERROR, USED = range(5)
# What is given: b, a_i and p_i; tolerances of the loss and, times so much, of the slopes; most nodes allowed.
BIAS, A_I, P_I, TOLERANCE, SLACK, MOST_NODES = range(5, 11)
# What is known before the sum: the probability that no other feature is active, variance of z, largest |z|, scale of the loss.
NONE, VARIANCE, REACH, SCALE = range(11, 15)
# Of the sum: its period; the node after which the terms add up to the rest at most; the node from which on single precision does.
PERIOD, SURE, REST, FINE = range(15, 19)
N_NUMBERS = 19


@jit(inner=True)
def others(table):
    """Weights a_j, densities and slopes of the other features, shape (n,), and the numbers of an output."""
    return doubles(table[WEIGHTS]), doubles(table[DENSITIES]), doubles(table[SLOPES]), doubles(table[NUMBERS])
