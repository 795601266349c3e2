"""Models whose hidden layer computes: exact losses, minima, training."""
