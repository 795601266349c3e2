"""Kernels of the exact expected loss: by enumeration for few features, by a contour integral for many."""
