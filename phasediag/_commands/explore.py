"""The command "explore"."""

import os

import click

from .answers import Answer, command, wrote
from .options import OutputFile, PlaneAxis, curves_option, grid_options, option
from .planes import over_plane
from .terminal import goes_on_from

SEARCHED = ("global", "relaxed", "frozen")


@command(
    """
  phasediag explore --n-features 3 --n-hidden 2 --output explore.html
  phasediag explore --theories global,frozen --importance 0.3:3:60 --density 0.05:1:60
  phasediag explore --beside trained.npz
  phasediag explore --task absolute --n-hidden 3 --importance 0.3:1.5:8 --density 0.1:0.9:6
  phasediag explore --x density:0.05:1:40 --y density_of_2:0.05:1:40
  phasediag explore --theories global --importance 0.2:5:30 --density 0.05:1:30 --z slope:0,0.1,0.3"""
)
@grid_options(*SEARCHED, several=True)
@click.option("--beside", type=click.Path(), multiple=True, help="A diagram's .npz file, such as a trained one's; several times.")
@option("--z", type=PlaneAxis(), help="A third parameter, on a slider, as --x; a diagram for each value: slope:0,0.1,0.5")
@curves_option
@option("--output", "explore.html", type=OutputFile(".html"), help="The page to write, .html.")
def explore(theories, beside, z, curves, output, checkpoint, **grid):
    """Write one self-contained page that shows phase diagrams in a browser, without a server or a network.

    Point at the map to see a phase; click, or use the arrow keys, to see all minima of a point and cuts through it; switch
    between theories; take weights and curves from it as files. Needs Bokeh: pip install "phasediag[explore]".
    """
    from ..diagram import PhaseDiagram, phase_diagram
    from ..explorer import bokeh_script, kind_of
    from ..explorer import explore as explore_diagrams

    bokeh_script()  # rather than after minutes of search
    wanted = over_plane(**grid)
    if theories is None:
        theories = SEARCHED if z is None and _is_plain(wanted) else SEARCHED[:1]
    for name, given in (("checkpoint", checkpoint), ("beside", beside)):
        if given and z is not None:
            raise ValueError(f"{name} must not be given with z, got {given!r}")
    if checkpoint is not None and "global" not in theories:
        raise ValueError(f"checkpoint must not be given without the global theory, got {checkpoint!r}")
    if z is not None and theories != SEARCHED[:1]:
        raise ValueError(f'z must not be given with other theories than "global", got z {z[0]} with {", ".join(theories)}')
    further = [PhaseDiagram.load(path) for path in beside]
    own = kind_of(_plane(wanted)) if further else ""
    for path, other in zip(beside, (kind_of(one.plane) for one in further), strict=True):
        if other != own:
            raise ValueError(f"beside must be a diagram of {own}, got one of {other} in {path!r}")
    stack, slider = ({"": wanted}, "slice") if z is None else _stack(wanted, *z)
    with goes_on_from(checkpoint, "--checkpoint FILE.npz a stopped search"):
        own = {"global": {} if checkpoint is None else {"checkpoint": checkpoint}}
        diagrams = {
            value: [phase_diagram(theory=theory, **one, **own.get(theory, {})) for theory in theories] + further
            for value, one in stack.items()
        }
        page = explore_diagrams(diagrams, output, slider=slider)
        if curves and any(one.has_boundaries for some in diagrams.values() for one in some):
            wrote(output, "cells; the curves follow")
            page = explore_diagrams(diagrams, output, slider=slider, curves=True)
    size = os.path.getsize(output)
    wrote(output)
    yield Answer(
        text=lambda: f"{page.title}: {', '.join(page.maps)}\n{output}: {size / 1e6:.1f} MB; open it in a browser",
        facts=lambda: {"output": output, "bytes": size, "title": page.title, "maps": [*page.maps], "slices": [*page.slices]},
    )


def _is_plain(wanted):
    """Whether the keywords of a diagram are those of importance × density of plain features."""
    return "plane" not in wanted or wanted["plane"].is_importance_density


def _stack(wanted, name, values, log):
    """The keywords of the diagrams at each value of a third parameter, by value, and its name."""
    from ..planes import Axis

    others = {key: value for key, value in wanted.items() if key not in _PLANE}
    return {value: others | {"plane": one} for value, one in _plane(wanted).stack(Axis(name, values, log)).items()}, name


_PLANE = "n_features", "n_hidden", "importance", "density", "activation", "plane"


def _plane(wanted):
    """The plane of the keywords of a diagram."""
    from ..diagram import plane_of

    return wanted.get("plane") or plane_of(**{key: wanted.get(key) for key in _PLANE})
