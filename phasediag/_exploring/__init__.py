"""The room of the explorer: a diagram as one page that a browser opens."""
