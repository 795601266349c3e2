"""The plane of a diagram that the command line asks for."""


def over_plane(
    *,
    x,
    y,
    n_features,
    n_hidden,
    importance,
    density,
    activation,
    activity,
    values,
    penalty,
    slope,
    biased=True,
    task=None,
    **others,
):
    """The keywords of `phase_diagram` for the options of a grid: as they are, or of a plane where they ask for more.

    x, y: (name, values, log), or None. With x, importance and density are what does not vary: one number, the importance that of
    the extra feature, or one for each. Without, they are the axes.
    """
    own = {"n_features": n_features, "n_hidden": n_hidden, "activation": activation}
    if y is not None and x is None:
        raise ValueError(f"y must be given with x, got y {y[0]} alone")
    plain = activity is None and values == "uniform" and penalty is None and slope is None and biased
    if x is None and plain and task is None:
        return own | {"importance": importance, "density": density} | others
    import numpy as np

    from .._arguments import whole_number
    from ..diagram import plane_of
    from ..planes import Axis, ControlPlane

    if task is not None:
        whole_number("n_features", n_features, 1)
    if x is None:
        plane = plane_of(*((n_features, n_hidden) if task is None else (2, 1)), importance, density, activation, None)
        axes, importance, density = (plane.x, plane.y), np.ones(n_features), 1.0
    else:
        axes = [Axis(*axis) for axis in (x, y) if axis is not None]
        number = importance is not None and importance.size == 1
        varied = {"density": density, "slope": slope, "importance": importance if number else None, "profile": importance}
        for axis in axes:
            if varied.get(axis.name) is not None:
                name = "importance" if axis.name == "profile" else axis.name
                raise ValueError(f"{name} must not be given beside an axis {axis.name}, which sets it, got {varied[axis.name]}")
        for name, given in (("importance", importance), ("density", density)):
            if given is not None and given.size not in (1, n_features):
                raise ValueError(f"{name} must be one number or {n_features} beside x, got {given.size}")
        if importance is None or importance.size == 1:
            importance = np.append(np.ones(max(n_features, 1 if task else 2) - 1), 1.0 if importance is None else importance)
        density = 0.5 if density is None else density if density.size == n_features else density[0]
    if task is not None:
        law = {"activation": activation, "values": values, "penalty": penalty, "slope": slope, "biased": biased}
        return {"plane": ControlPlane(neurons(n_hidden, importance, density, task, activity, **law), *axes)} | others
    if "slope" in [axis.name for axis in axes]:
        slope = 0.0
    return {
        "plane": ControlPlane(toy(n_hidden, importance, density, activation, activity, values, penalty, slope, biased), *axes)
    } | others


def toy(n_hidden, importance, density, activation, activity=None, values="uniform", penalty=None, slope=None, biased=True):
    """The ToyModel of options."""
    from ..model import ToyModel

    if slope is not None:
        if activation == "linear":
            raise ValueError("activation must be relu where a slope is given or an axis, got 'linear'")
        activation = "leaky"
    law = {"activity": activity_of(activity), "values": values, "penalty": penalty_of(penalty), "slope": slope}
    return ToyModel(n_hidden, importance, density, activation, **law, biased=biased)


def neurons(n_hidden, importance, density, task, activity=None, **law):
    """The NeuronModel of options; those of the law that are toy models' alone must be the defaults."""
    from ..neurons import NeuronModel

    usual = {"activation": "relu", "values": "uniform", "effort": "normal", "biased": True}
    for name, given in law.items():
        if given not in (None, usual.get(name, False)):
            raise ValueError(f"{name} must not be given with task, got {given!r}: that is for toy models")
    return NeuronModel(n_hidden, importance, density, task=task, activity=activity_of(activity))


def activity_of(text):
    """The law of activity that a text describes, features numbered from 1; None for None."""
    from ..activity import AnticorrelatedSets, CorrelatedSets, ExactlyActive

    if text is None:
        return None
    kind, _, rest = text.partition(":")
    try:
        if kind == "exactly":
            return ExactlyActive(int(rest))
        sets = [[int(word) - 1 for word in members.split(",")] for members in rest.split("/")]
        return {"correlated": CorrelatedSets, "anticorrelated": AnticorrelatedSets}[kind](sets)
    except (KeyError, ValueError) as error:
        raise ValueError(f"like correlated:1,2/3,4, anticorrelated:1,2 or exactly:1{_why(error)}") from None


def penalty_of(text):
    """The Penalty that a text describes; None for None."""
    from ..model import Penalty

    if text is None:
        return None
    try:
        return Penalty(**{name: float(number) for name, number in (part.split(":") for part in text.split(","))})
    except (ValueError, TypeError) as error:
        raise ValueError(f"like weights:0.01,interference:0.1{_why(error)}") from None


def _why(error):
    """What a model says of an argument, in brackets; nothing where the text itself could not be read."""
    return f" ({error})" if "must" in str(error) else ""
