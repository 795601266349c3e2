"""The plane of a diagram that the command line asks for."""


def over_plane(*, x, y, n_features, n_hidden, importance, density, activation, **others):
    """The keywords of `phase_diagram` for the options of a grid: of a plane, where an axis x is given, or as they are.

    x, y: (name, values, log), or None. With a plane, importance and density are what does not vary: one number, the importance
    that of the extra feature, or one for each.
    """
    if x is None:
        if y is not None:
            raise ValueError(f"y must be given with x, got y {y[0]} alone")
        own = {"n_features": n_features, "n_hidden": n_hidden, "activation": activation}
        return own | {"importance": importance, "density": density} | others
    import numpy as np

    from .._arguments import sizes
    from ..model import ToyModel
    from ..planes import Axis, ControlPlane

    n_features, n_hidden = sizes(n_features, n_hidden)
    for name, values in (("importance", importance), ("density", density)):
        if values is not None and values.size not in (1, n_features):
            raise ValueError(f"{name} must be one number or {n_features} beside --x, got {values.size}")
    if importance is None or importance.size == 1:
        extra, importance = importance, np.ones(n_features)
        importance[-1:] = 1.0 if extra is None else extra
    density = 0.5 if density is None else density if density.size == n_features else density[0]
    axes = (Axis(*axis) for axis in (x, y) if axis is not None)
    return {"plane": ControlPlane(ToyModel(n_hidden, importance, density, activation), *axes)} | others
