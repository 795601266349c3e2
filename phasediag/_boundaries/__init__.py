"""Boundary curves: continuation, the states that are followed, and the junctions at which curves meet."""


def find_boundaries(diagram, progress=False):
    """Find the boundaries and triple points of a phase diagram.

    Parameters
    ----------
    diagram : PhaseDiagram
    progress : bool
        Show on standard error how many curves have been followed.

    Returns
    -------
    (list of PhaseBoundary, list of TriplePoint)

    Notes
    -----
    Of a relaxed diagram: between the lowest minima within the patterns of the configurations, followed wherever they exist.
    """
    if diagram.theory == "frozen" or diagram.activation == "linear":  # whose lowest minima are frozen configurations
        from .frozen import frozen_boundaries

        return frozen_boundaries(diagram)
    from .network import solved_boundaries

    return solved_boundaries(diagram, progress)


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
    if curves.theory == "frozen" or curves.activation == "linear":  # whose minima exist everywhere
        return []
    from .spinodals import spinodals

    return spinodals(curves)
