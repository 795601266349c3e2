"""How points of a diagram move with the parameters of the model: derivatives by implicit differentiation."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ._arguments import Floats
from ._display import Result
from ._minimizing import newton
from ._minimizing.flat import flatten
from .minima import Minimum, common_model
from .model import ToyModel
from .planes import control_direction

STEP = 1e-3
"""Of the differences in control parameters, of sixth order: losses are polynomials of low degree, most of them linear."""
LARGEST_CONDITION = 1e12
"""Coordinates that move the equations of a point less than this tells apart do not move it."""
WEIGHTS = (0.75, -0.15, 1 / 60)
"""Weights of central differences over one, two and three steps."""


@dataclass(frozen=True, eq=False, repr=False)
class Sensitivity(Result):
    """The derivatives of a point's coordinates with respect to every control parameter of the model.

    Attributes
    ----------
    coordinates : tuple of str
        What moves, by the names of axes: "importance" (of the last feature), "density" (of all features alike), …
    parameters : tuple of str
        Names of the entries of ``model.control``: "importance[0]", "density[2]", …; features count from 0.
    derivatives : ndarray, shape (n_coordinates, n_parameters)
        Of each coordinate with respect to each parameter, the others as they are.

    Examples
    --------
    >>> from phasediag import ToyModel, boundary_sensitivity, minimize, phase_diagram
    >>> (boundary,) = phase_diagram(importance=[0.5], density=[0.45, 0.52]).boundaries()
    >>> minima = minimize(ToyModel(n_hidden=1, importance=[1.0, 0.5], density=boundary.y[0]))
    >>> found = boundary_sensitivity(*minima[:2])
    >>> found.coordinates, found.parameters
    (('density',), ('importance[0]', 'importance[1]', 'density[0]', 'density[1]'))
    """

    coordinates: tuple[str, ...]
    parameters: tuple[str, ...]
    derivatives: Floats


def boundary_sensitivity(a: Minimum, b: Minimum, *, coordinate: str = "density") -> Sensitivity:
    """Tell how one coordinate of a point of a first-order boundary moves with the model's parameters.

    Parameters
    ----------
    a, b : Minimum
        Two minima of one model with the same loss.
    coordinate : str
        What follows, all else staying: "importance" (of the last feature), "density" (of all), "importance_of_1",
        "density_of_2_3", …, and "weight_penalty", "interference_penalty", "slope" of a model that has them.

    Raises
    ------
    ValueError
        When the minima have not one model, or the coordinate is none of its parameters.

    Notes
    -----
    By the envelope theorem the weights and biases stay as they are to first order: with Δ = L(b) − L(a) and the direction v in
    which the coordinate moves the parameters c, its derivative is −(∂Δ/∂c_k) / (v·∂Δ/∂c).

    Examples
    --------
    >>> from phasediag import ToyModel, boundary_sensitivity, minimize, phase_diagram
    >>> (boundary,) = phase_diagram(importance=[0.5], density=[0.45, 0.52]).boundaries()
    >>> one, other = minimize(ToyModel(n_hidden=1, importance=[1.0, 0.5], density=boundary.y[0]))[:2]
    >>> boundary_sensitivity(one, other).derivatives[0, :2].round(5)  # only the ratio of the importances counts
    array([-0.22139,  0.44277])
    """
    model = common_model(a, b)
    gap = _by_control(model, _loss(b)) - _by_control(model, _loss(a))
    return _solved(model, "coordinate", (coordinate,), gap[None])


def triple_point_sensitivity(
    a: Minimum, b: Minimum, c: Minimum, *, coordinates: tuple[str, str] = ("importance", "density")
) -> Sensitivity:
    """Tell how both coordinates of a triple point move with the model's parameters.

    Parameters
    ----------
    a, b, c : Minimum
        Three minima of one model with the same loss.
    coordinates : tuple of two str
        The names of the plane's axes, see `boundary_sensitivity`.

    Raises
    ------
    ValueError
        When the minima have not one model, or a coordinate is none of its parameters.

    Examples
    --------
    >>> from phasediag import ToyModel, minimize, triple_point_sensitivity
    >>> three = minimize(ToyModel(n_hidden=1, importance=[1.0, 1.0], density=0.7064036927))
    >>> found = triple_point_sensitivity(*three[:3])
    >>> found.coordinates, found.derivatives.shape
    (('importance', 'density'), (2, 4))
    """
    model = common_model(a, b, c)
    first, *others = (_by_control(model, _loss(one)) for one in (a, b, c))
    return _solved(model, "coordinates", coordinates, np.array(others) - first)


def fold_sensitivity(model: ToyModel, weights: ArrayLike, bias: ArrayLike, *, coordinate: str = "density") -> Sensitivity:
    """Tell how one coordinate of a spinodal point at which a minimum meets a saddle moves with the model's parameters.

    Parameters
    ----------
    model : ToyModel
    weights : array_like, shape (n_hidden, n_features)
    bias : array_like, shape (n_features,)
        Where the gradient vanishes and the second derivatives are singular along a direction φ.
    coordinate : str
        What follows, see `boundary_sensitivity`.

    Raises
    ------
    ValueError
        When an argument is outside its domain.

    Notes
    -----
    Along φ the gradient's change with the parameters is not made up for by any change of weights and biases, so that
    φ·∂∇L/∂c · δc = 0 keeps the fold. That is not so where φ breaks a symmetry of the minimum: then it vanishes identically.

    Examples
    --------
    >>> from phasediag import ToyModel, fold_sensitivity, phase_diagram
    >>> end = phase_diagram(importance=[0.5], density=[0.45, 0.52]).spinodals()[0]  # of the antipodal pair
    >>> model, minimum = ToyModel(n_hidden=1, importance=[1.0, 0.5], density=end.y[0]), end.minima[0]
    >>> fold_sensitivity(model, minimum[None, :2], minimum[2:]).derivatives[0, :2].round(4)
    array([-0.199,  0.398])
    """
    weights, bias = model.check_parameters(weights, bias)
    x = flatten(weights, bias)
    values, vectors = np.linalg.eigh(newton.pinned_hessian(x, model.form, model.control))
    soft = vectors[:, np.argmin(np.abs(values))]

    def slope(control):
        newton.evaluate(x, model.form, control, 1)
        return newton.gradient_of(newton.store(model.form)) @ soft * model.form.loss_scale(control)

    return _solved(model, "coordinate", (coordinate,), _by_control(model, slope)[None])


def _loss(minimum):
    """The loss of a minimum's weights and biases as a function of the control parameters."""
    x, form = flatten(minimum.weights, minimum.bias), minimum.model.form
    return lambda control: newton.evaluate(x, form, control, 0) * form.loss_scale(control)


def _by_control(model, function):
    """Derivatives of a function of the control vector at that of the model, shape (n_controls,)."""
    derivatives = np.zeros(model.control.size)
    for k, unit in enumerate(np.eye(model.control.size)):
        step = STEP * min(max(abs(model.control[k]), STEP), 1.0)
        if model.control[k] < 1 < model.control[k] + 3.5 * step:
            step = (1 - model.control[k]) / 4
        for count, weight in enumerate(WEIGHTS, start=1):
            there, back = (function(model.control + sign * count * step * unit) for sign in (1, -1))
            derivatives[k] += weight * (there - back) / step
    return derivatives


def _solved(model, argument, coordinates, equations):
    """The Sensitivity of coordinates that keep equations 0 whose derivatives are (n_equations, n_controls).

    ``argument``: the name under which they were given.
    """
    names = [f"{name}[{k}]" for name, place in model.form.places.items() for k in range(len(model.control[place]))]
    directions = np.array([control_direction(argument, model, name) for name in coordinates])
    by_coordinates = equations @ directions.T
    if not np.linalg.cond(by_coordinates) < LARGEST_CONDITION:  # not where it is NaN
        words = ", ".join(coordinates)
        raise ValueError(
            f"{argument} must move what holds at the point, losses or curvature, got {words}, which leaves it as it is"
        )
    return Sensitivity(tuple(coordinates), tuple(names), -np.linalg.solve(by_coordinates, equations))
