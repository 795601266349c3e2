"""What trains: kernels of stochastic gradient descent, random streams, chunks of models, stores and clusters."""
