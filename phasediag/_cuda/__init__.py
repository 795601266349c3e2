"""Training on a GPU of NVIDIA: kernels in numba's CUDA dialect, which its simulator runs too."""
