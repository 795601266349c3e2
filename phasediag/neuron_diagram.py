"""Phases of neurons over a plane, and where they change along the lines of its grid."""

import numpy as np

from ._neurons.grid import Grid
from .neuron_phases import phase_of
from .theories import fields_of_minima


def neuron_grid(plane, seed, n_starts, n_threads, progress):
    """Fields of a PhaseDiagram of neurons; its weights are the encoder, and of untied weights the transposed decoder below."""
    form = plane.form
    grid = Grid(form, plane.grid).explore(n_starts, seed, n_threads, progress)
    cells = [cell for cell in np.ndindex(grid.shape) for _ in grid.minima[cell]]
    where = np.array([np.ravel_multi_index(cell, grid.shape) for cell in cells])
    points = [point for cell in np.ndindex(grid.shape) for point in grid.minima[cell]]
    x = np.array([point.x for point in points])
    encoder, decoder, bias = form.parts(x)
    weights = encoder if form.is_tied else np.concatenate([encoder, decoder], axis=1)
    phases = [phase_of(*pair, form.is_tied) for pair in zip(encoder, decoder, strict=True)]
    losses = np.array([point.scaled_loss * grid.landscapes[cell].scale for cell, point in zip(cells, points, strict=True)])
    converged = np.array([point.is_minimum for point in points])
    return fields_of_minima(grid.shape, where, x, weights, bias, losses, phases, np.arange(len(phases)), converged)
