"""How results show themselves: a repr of a few lines, all that they hold as text, and a table with a picture in notebooks."""

from base64 import b64encode
from dataclasses import MISSING, fields, is_dataclass
from html import escape
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

if TYPE_CHECKING:
    import pandas

_MOST = 8
"""An array with more entries is told by its shape, and its ends where it is a list of numbers."""

_MOST_COLUMNS = 100
"""A table has columns for the entries of arrays with at most so many."""

_LONGEST = 120
"""Anything else is told by its kind when its text has more letters."""


class Result:
    """What results share; their classes are dataclasses without a repr of their own."""

    def __repr__(self) -> str:
        """The class and the fields, arrays and other results in short."""
        return f"{type(self).__name__}({', '.join(f'{name}={value}' for name, value in self._rows())})"

    def text(self) -> str:
        """Return what the result holds, a line for each field; large arrays in short."""
        rows = self._rows()
        width = max(len(name) for name, _ in rows)
        return "\n".join([type(self).__name__, *(f"  {name:<{width}}  {value}" for name, value in rows)])

    def to_pandas(self) -> "pandas.DataFrame":
        """Return a table: a row for each cell, model or point that the result holds, or one for all of it.

        Entries of small arrays have columns of their own, name_1, name_2, ….

        Raises
        ------
        ImportError
            When pandas is not installed: ``pip install "phasediag[pandas]"``.
        """
        return table(self._records())

    def _records(self):
        """The rows of that table, a list of dict."""
        return [{part.name: getattr(self, part.name) for part in fields(self) if part.repr}]

    def _rows(self):
        """The name of every field that is shown, unless it has its default, and its value in short, a list of (str, str)."""
        values = ((part, getattr(self, part.name)) for part in fields(self) if part.repr)
        return [(part.name, short(value)) for part, value in values if part.default is MISSING or value is not part.default]

    def _repr_html_(self) -> str:
        """The same as a table, for notebooks."""
        cells = "".join(f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in self._rows())
        return f"<table><caption>{type(self).__name__}</caption>{cells}</table>"


class Drawn(Result):
    """A result with a figure of its own: a function of `phasediag.figures`, found by its name when it is asked for.

    Drawings stand above results, so that no result imports them.
    """

    _figure: ClassVar[str]

    def plot(self) -> Any:
        """Return the figure of this result, which notebooks show; ``savefig`` writes it.

        Returns
        -------
        matplotlib.figure.Figure
        """
        return self._drawing(self)

    @property
    def _drawing(self):
        """The function that makes the figure."""
        return getattr(import_module(f"{__package__}.figures"), self._figure)

    def _repr_html_(self) -> str:
        """The figure above the table."""
        picture = b64encode(self._shown()._repr_png_()).decode()
        return f'<img alt="{escape(type(self).__name__)}" src="data:image/png;base64,{picture}">{super()._repr_html_()}'

    def _shown(self):
        """The figure that a notebook shows: one that is quickly made."""
        return self.plot()


def table(rows):
    """A pandas.DataFrame of rows, a list of dict; see `flat`."""
    try:
        import pandas
    except ImportError as error:
        raise ImportError('to_pandas needs pandas: pip install "phasediag[pandas]"') from error
    return pandas.DataFrame([flat(row) for row in rows])


def flat(facts):
    """A row with a column of its own, name_1, name_2, …, for every entry of a list or of a small array; phases by their names.

    What has no place in a table is left out: other results, mappings, large arrays.
    """
    row = {}
    for name, value in facts.items():
        value = value.tolist() if isinstance(value, np.ndarray | np.generic) and value.size <= _MOST_COLUMNS else value
        if isinstance(value, list | tuple):
            row |= flat({f"{name}_{k}": one for k, one in enumerate(value, start=1)})
        elif isinstance(value, str | int | float | None):
            row[name] = value
        elif isinstance(getattr(value, "name", None), str):
            row[name] = value.name
    return row


def short(value):
    """A value in a few words."""
    if isinstance(value, np.ndarray):
        return _array(value)
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, tuple | list) and len(value) > _MOST:
        return f"<{len(value)} items>"
    if isinstance(value, tuple) and any(is_dataclass(one) for one in value):
        return f"<{len(value)} {type(value[0]).__name__}>"
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(short, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {short(one)}' for key, one in value.items())}}}"
    text = f"<{type(value).__name__}>" if isinstance(value, Result) else " ".join(str(value).split())
    return text if len(text) <= _LONGEST else f"<{type(value).__name__}>"


def _array(value):
    """An array in a few words: its entries where they are few, otherwise its shape, and the ends of a list of numbers."""
    numbers = value.dtype.kind in "if"
    if value.size <= _MOST:
        return str(short(value.tolist()) if value.ndim else short(value[()]))
    shape = " × ".join(map(str, value.shape))
    return f"<{shape}: {value[0]:.6g} … {value[-1]:.6g}>" if value.ndim == 1 and numbers else f"<{shape}>"
