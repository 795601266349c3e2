"""Descent on the exact loss to its stationary points, at one point and over a grid."""
