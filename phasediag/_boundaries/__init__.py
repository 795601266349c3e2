"""Boundary curves: continuation, the states that are followed, and the junctions at which curves meet."""

from .._arguments import real_number, thread_count
from .._processes import prepare


def find_boundaries(diagram, settings, n_threads=None, progress=False):
    """Find the boundaries and triple points of a phase diagram.

    Parameters
    ----------
    diagram : PhaseDiagram
        One whose curves have been followed gets those followed on that could not be ended.
    settings : CurveSettings
    n_threads : int, optional
        Curves that are followed side by side; the result does not depend on it.
    progress : bool
        Show on standard error how many curves have been followed.

    Returns
    -------
    (list of PhaseBoundary, list of TriplePoint)

    Notes
    -----
    Of a relaxed diagram: between the lowest minima within the patterns of the configurations, followed wherever they exist.
    """
    if _never_adjusts(diagram):
        from .frozen import frozen_boundaries

        return frozen_boundaries(diagram)
    from .network import resumed_boundaries, solved_boundaries

    find = solved_boundaries if diagram.curves is None else resumed_boundaries
    return find(diagram, settings, thread_count(n_threads), progress)


def expect_boundaries(n_threads):
    """Be told that boundaries will be asked for, so that processes are ready by then."""
    if thread_count(n_threads) > 1:
        prepare(f"{__name__}.network")


def find_spinodals(curves):
    """Find where the minima on both sides of first-order boundaries cease.

    Parameters
    ----------
    curves : Curves
        Plain data: what is solved begins from the minima stored along the boundaries.

    Returns
    -------
    list of Spinodal
    """
    if _never_adjusts(curves):  # minima exist everywhere
        return []
    from .spinodals import spinodals

    return spinodals(curves)


def find_level_curves(diagram, function, value, name, phase):
    """Find where a function of a diagram's lowest minimum has a value.

    Parameters
    ----------
    diagram : PhaseDiagram
        Its curves have been followed.
    function : callable
        Of a Minimum.
    value : float
    name : str
        Of the function.
    phase : str or None
        The phase whose minima count; None for all.

    Returns
    -------
    list of LevelCurve
    """
    from .levels import level_curves

    _check_level(diagram, function, value)
    return level_curves(diagram, function, float(value), name, phase)


def find_level_points(curves, boundary, function, value):
    """Find the points of a boundary of ``curves`` at which a function of a Minimum has a value: a list of LevelPoint."""
    from .levels import level_points

    _check_level(curves, function, value)
    return level_points(curves, boundary, function, float(value))


def _check_level(one, function, value):
    """Raise ValueError for what is no function or no value, and where minima do not adjust."""
    real_number("value", value)
    if not callable(function):
        raise ValueError(f"function must be callable with a Minimum, got {function!r:.60}")
    if _never_adjusts(one):
        raise ValueError("level curves need minima that adjust, of a relaxed or global theory of a ReLU model, got frozen ones")


def _never_adjusts(one):
    """Whether the lowest minima of a diagram, or its curves, are frozen configurations: also those of the linear model."""
    return one.theory == "frozen" or (one.plane.form.is_linear and one.plane.is_importance_density)
