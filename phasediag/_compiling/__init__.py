"""How kernels are compiled: the jit policy, vectors of sixteen floats as values in them, emission of arithmetic."""

listeners = []
"""Functions told True when a kernel begins to be compiled that the cache does not hold, and False when it is done."""
