"""Proofs that a minimum is global: bounds of the loss on boxes of parameters, and the search that covers all by them."""
