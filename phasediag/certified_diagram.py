"""Diagrams and boundaries whose phases are proved."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._arguments import Floats, density_array, positive_array, real_number, thread_count
from ._certifying.proof import prove_between
from ._display import Result
from ._minimizing.flat import parts
from ._progress import progress_bar
from .certificates import MOST_BOXES, certificate, certify, check_certifiable, check_limits
from .diagram import PhaseDiagram
from .minima import minimize
from .model import cell_model
from .planes import ControlPlane

_WIDEST = 0.5
_BOXES, _GROWTH = 20_000, 1.5
"""Boxes of parameters for each step over densities, at most: half the step is tried then, and a longer one after a quarter."""
_LEFT_OUT = {"extra in antipodal pair": -1, "extra not represented + dedicated": 1, "extra dedicated + not represented": 0}
"""Phases of two features in one dimension, and which of them is left out (−1: neither)."""


@dataclass(frozen=True, eq=False, repr=False)
class CertifiedDiagram(Result):
    """What is proved of each cell of a diagram; arrays have shape (n_y, n_x), as the diagram's.

    Attributes
    ----------
    plane : ControlPlane
        The two axes, and the model at each of their points.
    certified : ndarray of bool
        The least loss is known to the tolerance.
    phase_certified : ndarray of bool
        Every global minimum of the cell is proved to be in ``phase``.
    phase : ndarray of str
        The phase, or those that may tie.
    loss_lower, loss_upper : ndarray
    n_boxes : ndarray of int
    tolerance : float

    Examples
    --------
    >>> from phasediag import certify_diagram, phase_diagram
    >>> proved = certify_diagram(phase_diagram(importance=[0.5, 2.0], density=[0.1]))
    >>> str(proved.phase[0, 0]), bool(proved.certified.all())
    ('extra in antipodal pair', True)
    """

    plane: ControlPlane
    certified: NDArray[np.bool_]
    phase_certified: NDArray[np.bool_]
    phase: NDArray[np.str_]
    loss_lower: Floats
    loss_upper: Floats
    n_boxes: NDArray[np.int64]
    tolerance: float


@dataclass(frozen=True, eq=False, repr=False)
class CertifiedBoundary(Result):
    """Intervals of density within which a phase gives way to another, and how far beyond them both phases are proved.

    Attributes
    ----------
    importance : ndarray, shape (n_points,)
    density_low, density_high : ndarray, shape (n_points,)
        The phases at both are proved, and the density asked for is between them; NaN where that is not so.
    phase_low, phase_high : tuple of str
        The phases there.
    density_from, density_to : ndarray, shape (n_points,)
        Proved: every global minimum is in ``phase_low`` at all densities from ``density_from`` to ``density_low``, and in
        ``phase_high`` from ``density_high`` to ``density_to``.

    Examples
    --------
    >>> from phasediag import certify_boundary
    >>> found = certify_boundary([0.5], [0.4846], width=0.01, within=(0.3, 0.5))
    >>> found.phase_low[0], found.phase_high[0]
    ('extra in antipodal pair', 'extra not represented + dedicated')
    >>> float(found.density_from[0]), float(found.density_to[0])  # on the whole way, but for the interval
    (0.3, 0.5)
    """

    importance: Floats
    density_low: Floats
    density_high: Floats
    phase_low: tuple[str, ...]
    phase_high: tuple[str, ...]
    density_from: Floats
    density_to: Floats


def certify_diagram(
    diagram: PhaseDiagram,
    *,
    tolerance: float = 1e-6,
    max_boxes: int = MOST_BOXES,
    n_threads: int | None = None,
    progress: bool = False,
) -> CertifiedDiagram:
    """Prove the phase of every cell of a diagram; see `certify`.

    Parameters
    ----------
    diagram : PhaseDiagram
        Of the global theory, with models that `certify` takes.
    tolerance : float
        In [1e-10, 1).
    max_boxes : int
        For each cell.
    n_threads : int, optional
        By default, one for each processor that the process may use.
    progress : bool
        Show a bar.

    Returns
    -------
    CertifiedDiagram

    Raises
    ------
    ValueError
        When an argument is outside its domain.

    Notes
    -----
    The minima of the diagram are what proofs begin with; where they do not do, the cell is searched anew.

    Examples
    --------
    >>> from phasediag import certify_diagram, phase_diagram
    >>> proved = certify_diagram(phase_diagram(importance=[0.5, 2.0], density=[0.1, 0.9]))
    >>> proved.phase_certified
    array([[ True,  True],
           [ True,  True]])
    """
    if not isinstance(diagram, PhaseDiagram) or diagram.theory != "global":
        raise ValueError(f"diagram must be a PhaseDiagram of the global theory, got {diagram!r:.60}")
    tolerance, max_boxes = check_limits(tolerance, max_boxes)
    n_threads = thread_count(n_threads)
    cells = list(np.ndindex(diagram.phase.shape))
    check_certifiable(diagram.plane.model(diagram.x[0], diagram.y[0]))

    def prove(k):
        row, column = cells[k]
        model = diagram.plane.model(diagram.x[column], diagram.y[row])
        others = parts(diagram.minima[diagram.minima_cell == k], model.n_hidden)
        known = [(diagram.weights[row, column], diagram.bias[row, column]), *zip(*others, strict=True)]
        found = certificate(model, known, tolerance, max_boxes, lambda count: None)
        if found.status != "certified":
            found = certify(model, tolerance=tolerance, max_boxes=max_boxes)
        advance(1)
        facts = found.status == "certified", found.phase_certified, " or ".join(found.phases)
        return *facts, found.loss_lower, found.loss_upper, found.n_boxes

    with progress_bar(len(cells), progress, "cell", "certify") as advance, ThreadPoolExecutor(n_threads) as pool:
        found = list(pool.map(prove, range(len(cells))))

    columns = [np.array(column).reshape(diagram.phase.shape) for column in zip(*found, strict=True)]
    names = ("certified", "phase_certified", "phase", "loss_lower", "loss_upper", "n_boxes")
    return CertifiedDiagram(plane=diagram.plane, tolerance=tolerance, **dict(zip(names, columns, strict=True)))


def certify_boundary(
    importance: ArrayLike,
    density: ArrayLike,
    *,
    n_features: int = 2,
    n_hidden: int = 1,
    width: float = 1e-3,
    within: tuple[float, float] = (0.01, 1.0),
    progress: bool = False,
) -> CertifiedBoundary:
    """Enclose where the phase changes along the density, beside points of a boundary, and prove the phases on both sides.

    Parameters
    ----------
    importance, density : array_like, shape (n_points,)
        Points of a boundary, as `PhaseBoundary` holds them, to within a quarter of ``width``; one may be a number.
    n_features, n_hidden : int
        2 and 1 unless you have time.
    width : float
        In (0, 0.5): intervals are this wide, relative to the density, or wider where phases nearer to it are not proved.
    within : (float, float)
        In (0, 1]: how far on each side phases are to be proved, of two features in one dimension; as far as the next boundary.
    progress : bool
        Show a bar.

    Returns
    -------
    CertifiedBoundary

    Raises
    ------
    ValueError
        When an argument is outside its domain.

    Notes
    -----
    Phases are proved at both ends of the intervals, and from there over intervals of density, each as a whole: given which
    features are active the loss does not depend on the density, so that at all densities of an interval it is a mean of its
    values at the corners, where one feature has either end and the other one has either, with weights that are the same for
    all weights and biases. Branch and bound on these values shows that what is not in the phase has more than some weights that
    are, at every density. Steps are halved where this takes too many boxes, until they are small beside ``width``. Beside a
    continuous boundary they would have to be as short as the square of the distance: there the interval is widened, by up to
    some percent.

    More follows at the same densities. L*(I), the least loss, is concave in the importance I of the extra feature and vanishes
    with it, so that L*(I)/I never rises. It is at most σ², and equal to it exactly where leaving the extra feature out is
    optimal: if that is so at one importance, it is at every lower one; if not, at no higher one.

    Where both sides of a curve have one name, as of two antipodal pairs of other norms, names enclose nothing: NaN.

    References
    ----------
    Equation :eq:`corners` of the mathematics page.

    Examples
    --------
    >>> from phasediag import certify_boundary
    >>> found = certify_boundary([0.5], [0.4846], width=0.01, within=(0.48, 0.49))  # it lies at density 0.484588
    >>> bool(found.density_low[0] < 0.484588 < found.density_high[0])
    True
    """
    importance, density = positive_array("importance", importance), density_array("density", density)
    shapes = importance.shape, density.shape
    if not importance.size or not density.size or len(set(shapes) - {()}) > 1:
        raise ValueError(f"importance and density must have one shape, of at least one point, got {shapes[0]} and {shapes[1]}")
    importance, density = np.broadcast_arrays(importance, density)
    width = real_number("width", width, "in (0, 0.5)", lambda x: (x > 0) & (x < _WIDEST))
    check_certifiable(cell_model(n_features, n_hidden, 1.0, 1.0, "relu"))

    ends = density_array("within", within)
    if ends.shape != (2,) or not ends[0] < ends[1]:
        raise ValueError(f"within must be two increasing densities, got {within!r:.60}")

    def phase(extra, p):
        found = certify(cell_model(n_features, n_hidden, float(extra), float(p), "relu"))
        return found.phases[0] if found.phase_certified else None

    rows = []
    with progress_bar(importance.size, progress, "point", "certify") as advance:
        for extra, p in zip(importance.ravel(), density.ravel(), strict=True):
            low, high, *names = _enclosed(lambda q, extra=extra: phase(extra, q), p, width)
            ways = [(low, low), (high, high)]
            if names[0] and (n_features, n_hidden) == (2, 1):
                far = min(low, ends[0]), max(high, ends[1])
                ways = [_way(float(extra), *one, width) for one in zip((low, high), far, names, strict=True)]
            (low, first), (high, last) = ways
            rows.append((low, high, *names, first, last))
            advance(1)
    low, high, phase_low, phase_high, first, last = zip(*rows, strict=True)
    return CertifiedBoundary(
        importance.ravel(), np.array(low), np.array(high), phase_low, phase_high, np.array(first), np.array(last)
    )


def _way(extra, start, end, phase, width):
    """(First, last) of the densities at all of which a phase of 2→1 is proved, from ``start`` on or from nearer to ``end``.

    extra: the importance of the second feature. Where no step from the start is proved, as beside a continuous boundary, more and
    more of the way is left out. Both are ``start`` where nothing is proved.
    """
    for left_out in (0.0, *(width / 4 * 2.0 ** np.arange(10))):
        first = _moved(start, end, left_out)
        last = _reach(extra, first, end, phase, width)
        if last != first:
            return first, last
    return start, start


def _moved(start, end, share):
    """The density towards ``end`` that is so far from another, relative to it, or ``end``."""
    return min(start * (1 + share), end) if end > start else max(start * (1 - share), end)


def _reach(extra, start, end, phase, width):
    """How far from a density ``start`` towards ``end`` a phase is proved, of 2→1 with that importance of the extra feature."""
    at, share = start, width / 4
    while at != end and share >= width / (4 if at == start else 32):
        to = _moved(at, end, share)
        n_boxes = _throughout(extra, *sorted((at, to)), phase)
        at = to if n_boxes < np.inf else at
        share = min(share * (0.5 if n_boxes == np.inf else _GROWTH if n_boxes < _BOXES / 4 else 1.0), _WIDEST)
    return at


def _throughout(extra, low, high, phase):
    """Boxes that prove every global minimum of 2→1 to be in a phase at all densities from low to high; inf where it is not."""
    minima = minimize(cell_model(2, 1, extra, 0.5 * (low + high), "relu"), n_starts=1, effort="quick")
    if phase not in _LEFT_OUT or minima[0].phase.name != phase:
        return np.inf
    known = minima[0].weights, minima[0].bias
    return prove_between(np.array([1.0, extra]), low, high, known, _LEFT_OUT[phase], _BOXES)


def _enclosed(phase, p, width):
    """(low, high, phase there, phase there) about a density p, as near as ``width`` or proofs allow; NaN and "" without one."""
    share, found = width / 4, (None, None)
    while None in found and share < _WIDEST:
        low, high = p * (1 - share), min(p * (1 + share), 1.0)
        found = phase(low), phase(high)
        share *= 2
    while None not in found and found[0] != found[1] and low <= p <= high:
        middle = np.sqrt(low * high)
        between = phase(middle) if high / low - 1 > width else None
        if between not in found:
            return low, high, *found
        low, high = (middle, high) if between == found[0] else (low, middle)
    return np.nan, np.nan, "", ""
