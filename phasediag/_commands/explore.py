"""The command "explore"."""

import os

import click

from .answers import Answer, command, wrote
from .options import OutputFile, grid_options, option
from .planes import over_plane
from .terminal import goes_on_from

SEARCHED = ("global", "relaxed", "frozen")


@command(
    """
  phasediag explore --n-features 3 --n-hidden 2 --output explore.html
  phasediag explore --theories global,frozen --importance 0.3:3:60 --density 0.05:1:60
  phasediag explore --beside trained.npz
  phasediag explore --x density:0.05:1:40 --y density_of_2:0.05:1:40"""
)
@grid_options(*SEARCHED, several=True)
@click.option("--beside", type=click.Path(), multiple=True, help="A diagram's .npz file, such as a trained one's; several times.")
@option("--output", "explore.html", type=OutputFile(".html"), help="The page to write, .html.")
def explore(theories, beside, output, checkpoint, **grid):
    """Write one self-contained page that shows phase diagrams in a browser, without a server or a network.

    Point at the map to see a phase; click, or use the arrow keys, to see all minima of a point and cuts through it; switch
    between theories; take weights and curves from it as files. Needs Bokeh: pip install "phasediag[explore]".
    """
    from ..diagram import PhaseDiagram, phase_diagram
    from ..explorer import explore as explore_diagrams

    wanted = over_plane(**grid)
    if theories is None:
        theories = SEARCHED if "plane" not in wanted or wanted["plane"].is_importance_density else SEARCHED[:1]
    if checkpoint is not None and "global" not in theories:
        raise ValueError(f"checkpoint is for the global theory and must not be given without it, got {checkpoint!r}")
    with goes_on_from(checkpoint, "--checkpoint FILE.npz a stopped search"):
        kept = {"global": {"checkpoint": checkpoint}}
        diagrams = [phase_diagram(theory=theory, **wanted, **kept.get(theory, {})) for theory in theories]
        page = explore_diagrams([*diagrams, *map(PhaseDiagram.load, beside)], output)
    size = os.path.getsize(output)
    wrote(output)
    yield Answer(
        text=lambda: f"{page.title}: {', '.join(page.maps)}\n{output}: {size / 1e6:.1f} MB; open it in a browser",
        facts=lambda: {"output": output, "bytes": size, "title": page.title, "maps": [*page.maps]},
    )
