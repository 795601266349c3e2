"""How kernels are compiled: the jit policy, vectors of sixteen floats as values in them, emission of arithmetic."""
