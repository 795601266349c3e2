"""Tables of results: of the minima that ``minimize`` returns, the boundaries of a diagram, trained models."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ._display import Result, table

if TYPE_CHECKING:
    import pandas


def to_pandas(results: Result | Sequence[Result]) -> "pandas.DataFrame":
    """Return a table of results, as their own ``to_pandas`` gives it, one below the other.

    Parameters
    ----------
    results : result or sequence of results
        Minima: a row for each. Boundaries and spinodals: for each point. Runs, ensembles and the models of a trained diagram: for
        each model. Diagrams: for each cell.

    Returns
    -------
    pandas.DataFrame
        Of a sequence with the position of the result in front, "index".

    Raises
    ------
    ValueError
        When something is no result of this package.
    ImportError
        When pandas is not installed: ``pip install "phasediag[pandas]"``.

    Examples
    --------
    >>> from phasediag import ToyModel, minimize, to_pandas
    >>> minima = to_pandas(minimize(ToyModel(n_hidden=1, importance=[1.0, 0.9], density=0.1)))
    >>> minima[["index", "phase", "lowest_found", "weights_1_2"]].round(3).values.tolist()[0]
    [0, 'extra in antipodal pair', True, -1.005]
    """
    several = [results] if isinstance(results, Result) else [*results]
    wrong = next((one for one in several if not isinstance(one, Result)), None)
    if wrong is not None:
        raise ValueError(f"results must be results of phasediag, got {wrong!r:.60}")
    if isinstance(results, Result):
        return results.to_pandas()
    return table([{"index": k} | row for k, one in enumerate(several) for row in one._records()])
