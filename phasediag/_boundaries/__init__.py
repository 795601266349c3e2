"""Boundary curves: continuation, the states that are followed, and the junctions at which curves meet."""


def find_boundaries(diagram, settings, progress=False):
    """Find the boundaries and triple points of a phase diagram.

    Parameters
    ----------
    diagram : PhaseDiagram
        One whose curves have been followed gets those followed on that could not be ended.
    settings : CurveSettings
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

    return (solved_boundaries if diagram.curves is None else resumed_boundaries)(diagram, settings, progress)


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


def _never_adjusts(one):
    """Whether the lowest minima of a diagram, or its curves, are frozen configurations: also those of the linear model."""
    return one.theory == "frozen" or (one.plane.form.is_linear and one.plane.is_importance_density)
