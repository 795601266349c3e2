"""The commands on the paper's figures: "paper"."""

from pathlib import Path

import click

from ._diagram_commands import computed
from ._terminal import PICTURES, check_file, say_on_terminal

EXACT_GRIDS = {2: 64, 3: 40}
"""For "paper": features of the exact diagrams, and how many points their axes have."""


@click.command()
@click.option("--output", type=click.Path(), default="phasediag-paper", show_default=True, help="Folder for the figures.")
@click.option("--exact/--no-exact", default=True, show_default=True, help="Also draw the exact diagrams, which takes longer.")
def paper(output, exact):
    """Draw the phase diagrams of "Superposition as a Phase Change" (Elhage et al. 2022) for 2→1 and 3→2.

    Writes frozen.png, the theoretical diagrams coloured by phase and by norm and interference, and prints their exact
    boundaries; then exact.png, which sets beside them the diagrams over all weights and biases (on 64 × 64 points for 2→1, 40 ×
    40 for 3→2; the boundary curves do not depend on that).
    """
    folder = Path(output)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"output must be a folder that can be made, got {output!r} ({error.strerror})") from None
    paths = [folder / f"{theory}.png" for theory in ("frozen", "exact")[: 1 + exact]]
    for path in paths:
        check_file("output", path, PICTURES)
    from . import _printing
    from .diagram import phase_diagram
    from .figures import comparison_figure, paper_figure

    frozen = {n_features: phase_diagram(n_features, n_features - 1, theory="frozen") for n_features in (2, 3)}
    for result in frozen.values():
        _printing.print_diagram(result)
        click.echo()
    paper_figure(list(frozen.values())).savefig(paths[0], dpi=160)
    click.echo(f"wrote {paths[0]}", err=True)
    if not exact:
        return 0
    import numpy as np

    solved = {}
    for n_features, count in EXACT_GRIDS.items():
        axes = {"importance": np.geomspace(0.1, 10, count), "density": np.geomspace(0.01, 1, count)}
        solved[n_features] = computed(n_features=n_features, n_hidden=n_features - 1, theory="global", **axes)
        _printing.print_diagram(solved[n_features])
        click.echo()
    say_on_terminal("looking for spinodals and drawing …")
    comparison_figure([(frozen[n_features], result) for n_features, result in solved.items()]).savefig(paths[1], dpi=130)
    click.echo(f"wrote {paths[1]}", err=True)
    return int(any([_printing.print_unconverged(result) for result in solved.values()]))
