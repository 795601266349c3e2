"""What an active feature can be: atoms and intervals, each with a probability."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ._arguments import Floats, one_of, real_array

LARGEST_VALUE, SMALLEST_SIZE = 1e30, 1e-30


@dataclass(frozen=True)
class Pieces:
    """A law of the value of an active feature: a mixture of atoms and of uniform laws on intervals.

    Parameters
    ----------
    atoms : sequence of (value, probability)
    intervals : sequence of (low, high, probability)
        With low < high. Values are smaller than 1e30 in size and not all 0: their root mean square is at least 1e-30.
        Probabilities are positive and all of them sum to 1.

    Raises
    ------
    ValueError
        When an argument is outside its domain.

    Examples
    --------
    >>> from phasediag import Pieces, ToyModel
    >>> values = Pieces(atoms=[(1.0, 0.5)], intervals=[(0.0, 1.0, 0.5)])
    >>> ToyModel(n_hidden=1, importance=[1.0, 1.0], density=0.2, values=values).feature_mean
    array([0.15, 0.15])
    """

    atoms: tuple[tuple[float, float], ...] = ()
    intervals: tuple[tuple[float, float, float], ...] = ()

    if TYPE_CHECKING:

        def __init__(self, atoms: Any = (), intervals: Any = ()) -> None: ...

    def __post_init__(self) -> None:
        total = 0.0
        for name, size in (("atoms", 2), ("intervals", 3)):
            words = "(value, probability)" if size == 2 else "(low, high, probability)"
            rows = real_array(name, getattr(self, name), f"a list of finite {words}")
            rows = np.empty((0, size)) if rows.shape == (0,) else rows  # none of them
            if rows.ndim != 2 or rows.shape[1] != size:
                raise ValueError(f"{name} must be a list of {words}, got {getattr(self, name)!r:.60}")
            if np.any(rows[:, -1] <= 0):
                raise ValueError(f"{name} must have positive probabilities, got {rows[:, -1].min():g}")
            if np.any(np.abs(rows[:, :-1]) >= LARGEST_VALUE):
                raise ValueError(
                    f"{name} must have values smaller than {LARGEST_VALUE:g} in size, got {getattr(self, name)!r:.60}"
                )
            if size == 3 and np.any(rows[:, 0] >= rows[:, 1]):
                raise ValueError(f"intervals must have low < high, got {getattr(self, name)!r:.60}")
            total += rows[:, -1].sum()
            object.__setattr__(self, name, tuple(tuple(row) for row in rows.tolist()))
        if abs(total - 1) > 1e-12:
            raise ValueError(f"the probabilities of atoms and intervals must sum to 1, got {total:.15g}")
        low, width = self.lows, self.widths
        root = float(np.sqrt(self.probabilities @ (low * low + low * width + width * width / 3)))
        if root < SMALLEST_SIZE:
            raise ValueError(f"atoms and intervals must have a root mean square of at least {SMALLEST_SIZE:g}, got {root:g}")

    def text(self) -> str:
        """Return the law in words: its name where it has one."""
        name = next((name for name, pieces in VALUES.items() if pieces == self), None)
        atoms, intervals = (", ".join(map(str, rows)) for rows in (self.atoms, self.intervals))
        parts = [f"{word} {rows}" for word, rows in (("atoms", atoms), ("intervals", intervals)) if rows]
        return f"{name} values" if name else "values: " + "; ".join(parts)

    @property
    def lows(self) -> Floats:
        """Where the pieces begin, atoms first, shape (n_pieces,)."""
        return np.array([value for value, _ in self.atoms] + [low for low, _, _ in self.intervals])

    @property
    def widths(self) -> Floats:
        """How wide the pieces are, 0 for atoms, shape (n_pieces,)."""
        return np.array([0.0] * len(self.atoms) + [high - low for low, high, _ in self.intervals])

    @property
    def probabilities(self) -> Floats:
        """The probabilities of the pieces, shape (n_pieces,)."""
        return np.array([piece[-1] for piece in (*self.atoms, *self.intervals)])

    def drawn(self, shape: tuple[int, ...], generator: np.random.Generator) -> Floats:
        """Values of that shape, drawn by a generator."""
        uniform = generator.random(shape)
        if self == VALUES["uniform"]:
            return uniform
        which = np.searchsorted(np.cumsum(self.probabilities)[:-1], generator.random(shape), side="right")
        return self.lows[which] + self.widths[which] * uniform


VALUES = {
    "uniform": Pieces(intervals=((0.0, 1.0, 1.0),)),
    "binary": Pieces(atoms=((1.0, 1.0),)),
    "signed": Pieces(intervals=((-1.0, 1.0, 1.0),)),
}
"""The laws of values that have names."""


def pieces_of(values: str | Pieces) -> Pieces:
    """Return the Pieces that a name stands for, or those given; ValueError for anything else."""
    return values if isinstance(values, Pieces) else VALUES[one_of("values", values, VALUES)]
