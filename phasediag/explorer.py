"""One page to look at phase diagrams with a browser: every point's minima, cuts, curves, files."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from . import __version__
from ._arguments import as_flag, check_path
from ._display import Result
from ._drawing.regions import names_of, whole
from ._exploring.maps import map_of, minima_of
from ._exploring.packing import pack
from ._exploring.page import page
from ._exploring.plots import plots, script
from ._files import replacing
from ._progress import each
from .colours import phase_colours
from .diagram import PhaseDiagram
from .neurons import NeuronForm
from .theories import TIE_MARK

ENDING = ".html"


@dataclass(frozen=True, eq=False, repr=False)
class Explorer(Result):
    """A page of phase diagrams, which notebooks show.

    Attributes
    ----------
    title : str
    maps : tuple of str
        The theories of the diagrams to switch between.
    slices : tuple of str
        The values of the third axis; one empty text where there is none.
    html : str
        The whole page: it needs no server, no network and no other file.

    Examples
    --------
    >>> from phasediag import explore, phase_diagram
    >>> page = explore(phase_diagram(importance=[0.5, 2.0], density=[0.1, 0.9], theory="frozen"))
    >>> page.title, page.html.startswith("<!DOCTYPE html>")
    ('Phase diagram of 2 → 1', True)
    """

    title: str
    maps: tuple[str, ...]
    slices: tuple[str, ...]
    html: str = field(repr=False)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the page.

        Raises
        ------
        ValueError
            When the file's ending is not .html.
        """
        check_path("path", path)
        if Path(path).suffix != ENDING:
            raise ValueError(f"path must end in {ENDING}, got {str(path)!r}")
        with replacing(path) as partial:
            partial.write_text(self.html, encoding="utf-8")

    def _repr_html_(self) -> str:
        """The page within a notebook's cell."""
        style = "width: 100%; height: 60rem; border: 1px solid #888"
        return f'<iframe title="{escape(self.title)}" style="{style}" srcdoc="{escape(self.html)}"></iframe>'


def explore(
    diagram: PhaseDiagram | Sequence[PhaseDiagram] | Mapping[Any, Any],
    path: str | os.PathLike[str] | None = None,
    *,
    slider: str = "slice",
    curves: bool = False,
    progress: bool = False,
) -> Explorer:
    """Make one self-contained page that shows diagrams: opened in a browser, it needs no server and no network.

    The map of phases has the boundary curves of the diagram, by their order, and the points where they meet, or else the
    borders between its cells; under the pointer it tells the phase, the loss, how far metastable minima lie above it and the
    norms, and shows the spinodals of that phase. A click,
    or the arrow keys, choose a point: the columns of W and the biases of all its minima, and a cut along either axis with the
    losses of all. Weights can be taken from it as .npz or JSON, curves as CSV. What is seen is in the address (#).

    Parameters
    ----------
    diagram : PhaseDiagram, sequence of PhaseDiagram, or mapping
        Several over axes of the same names, of different theories (or trained), are maps to switch between, which can mark
        where they differ. A mapping from the values of a third axis (texts or numbers) to either puts them on a slider.
    path : path, optional
        An .html file to write.
    slider : str
        What varies along the third axis.
    curves : bool
        Follow the boundaries and spinodals that diagrams have not yet computed, and which they then keep. Otherwise those that
        they have are shown.
    progress : bool
        Show on standard error how far it has come.

    Returns
    -------
    Explorer
        Notebooks show it; its ``save`` writes it.

    Raises
    ------
    ValueError
        When diagrams are none or no PhaseDiagram, their axes have other names or scales, their models other sizes or tasks, two
        of one slice have one theory, slices differ in their theories, or the path does not end in .html.
    ImportError
        When Bokeh is not installed: ``pip install "phasediag[explore]"``.

    Notes
    -----
    A page takes about a second, curves that are not yet known longer than their diagram. ``diagram.boundaries()`` and
    ``diagram.spinodals()`` compute them, as the commands "diagram" and "explore" do, and files keep them.

    Examples
    --------
    >>> from phasediag import explore, phase_diagram
    >>> page = explore([phase_diagram(importance=[0.5, 2.0], density=[0.1, 0.9], theory="frozen")])
    >>> page.maps, page.html[:15]
    (('frozen',), '<!DOCTYPE html>')
    """
    if path is not None:
        check_path("path", path)
        if Path(path).suffix != ENDING:
            raise ValueError(f"path must end in {ENDING}, got {str(path)!r}")
    if not isinstance(diagram, PhaseDiagram | Iterable):
        raise ValueError(f"diagram must be a PhaseDiagram, several or a mapping to them, got {diagram!r:.60}")
    stack = diagram if isinstance(diagram, Mapping) else {"": diagram}
    slices = {_label(key): [some] if isinstance(some, PhaseDiagram) else [*some] for key, some in stack.items()}
    diagrams = [one for some in slices.values() for one in some]
    _check(slices, diagrams)
    bokeh = bokeh_script()
    for one in each(diagrams, progress, "map", "curves"):
        if as_flag("curves", curves) and one.has_boundaries:
            (one.spinodals if one.follows_boundaries else one.boundaries)()
    first, minima = diagrams[0], [minima_of(one) for one in diagrams]
    neurons = isinstance(first.plane.form, NeuronForm)
    listed = [(sorted(names_of([one])), sorted({*phases.tolist()})) for one, (*_, phases) in zip(diagrams, minima, strict=True)]
    names = [*dict.fromkeys(name for some in listed for part in some for name in part)]  # letters of the first map come first
    colours = phase_colours(names_of(diagrams))  # those of the figures
    colours |= phase_colours({*names} - {*colours}, colours)
    number = {name: k for k, name in enumerate(names)}
    pages: list[dict[str, Any]] = []
    arrays: dict[str, Any] = {}
    for k, (one, own) in enumerate(zip(diagrams, minima, strict=True)):
        facts, parts = map_of(one, own, number)
        pages.append(facts)
        arrays |= {f"{k}.{name}": array for name, array in parts.items()}
    packed, places = pack(arrays | {"bokeh": np.frombuffer(bokeh.encode(), dtype=np.uint8)})
    windows = [(min(w[k][0] for w in map(whole, diagrams)), max(w[k][1] for w in map(whole, diagrams))) for k in range(2)]
    title = f"Phase diagram of {first.n_features} → {first.n_hidden}" + f" {first.plane.form.kind}" * neurons
    facts = {
        "phasediag": __version__,
        "title": title,
        "n_features": first.n_features,
        "n_hidden": first.n_hidden,
        "n_rows": first.weights.shape[-2],
        "neurons": neurons,
        "classes": first.plane.classes,
        "tie": TIE_MARK,
        "axes": [{"name": axis.name, "label": axis.label, "log": axis.log} for axis in (first.plane.x, first.plane.y)],
        "phases": [{"name": name, "colour": _hex(colours[name]) if name in colours else None} for name in number],
        "slider": slider,
        "slices": [*slices],
        "maps": pages,
        "arrays": places,
    }
    html = page(facts, packed, plots(first.plane, windows))
    explorer = Explorer(title, tuple(one.theory for one in diagrams[: len(diagrams) // len(slices)]), tuple(slices), html)
    if path is not None:
        explorer.save(path)
    return explorer


def bokeh_script() -> str:
    """Return the text of Bokeh's script, which every page contains; ImportError that says what to install where there is none."""
    try:
        return script()
    except ImportError as error:
        raise ImportError('explore needs Bokeh: pip install "phasediag[explore]"') from error


def kind_of(plane):
    """In words what the diagrams of one page have in common: sizes, task and axes of a plane."""
    form, axes = plane.form, (axis.name + (" (logarithmic)" if axis.log else " (linear)") for axis in (plane.x, plane.y))
    task = f" {form.kind}" if isinstance(form, NeuronForm) else ""
    return f"{form.n_features} → {form.n_hidden}{task} over {' × '.join(axes)}"


def _label(value):
    """The text of a value of the third axis."""
    return f"{value:.6g}" if isinstance(value, int | float | np.number) else str(value)


def _check(slices, diagrams):
    """Refuse diagrams that cannot be on one page."""
    for one in diagrams:
        if not isinstance(one, PhaseDiagram):
            raise ValueError(f"diagram must be a PhaseDiagram, several or a mapping to them, got {one!r:.60}")
    theories = [[one.theory for one in some] for some in slices.values()]
    if not diagrams or any(some != theories[0] or len({*some}) < len(some) for some in theories):
        raise ValueError(f"diagram must have one of each theory, the same in all slices, got {theories}")
    described = dict.fromkeys(kind_of(diagram.plane) for diagram in diagrams)
    if len(described) > 1:
        raise ValueError(f"diagram must have the same axes and sizes everywhere, got {' and '.join(described)}")


def _hex(colour):
    """A colour as browsers write it."""
    return "#" + "".join(f"{round(255 * part):02x}" for part in colour)
