"""The commands "diagram" and "boundary"."""

import sys
from pathlib import Path

import click

from .options import TRAINED, Word, command, grid_options, json_option, names_for, option, output_option, trained_options
from .terminal import PICTURES, goes_on_from, save_figure, wrote


@command("""
  phasediag diagram
  phasediag diagram --theory frozen --n-features 6 --n-hidden 3
  phasediag diagram --n-features 3 --n-hidden 2 --output fig.pdf --look norm-interference
  phasediag diagram --n-features 5 --n-hidden 2 --importance 0.5:2:48 --density 0.05:1:48 --checkpoint 5to2.npz
  phasediag diagram --importance 0.5:2:61 --density 0.1,0.3,1 --json
  phasediag diagram --theory trained --store 2to1.zarr --output trained.png
  phasediag diagram --theory trained --n-seeds 4 --importance 0.1:10:20 --density 0.05:1:20""")
@grid_options("global", "relaxed", "frozen", "trained")
@trained_options
@option("--look", "phase", type=Word("phase", "norm-interference"), help="Colours; the second: the paper's.")
@click.option("--curves/--no-curves", default=True, show_default=True, help="Follow the boundaries; without: cells alone, soon.")
@click.option("--spinodals/--no-spinodals", default=True, show_default=True, help="Where metastable phases end.")
@output_option(
    "Picture (.png, .svg, .pdf) or data (.npz) to write; more than once for several.", *PICTURES, ".npz", multiple=True
)
@json_option
def diagram(look, curves, spinodals, output, as_json, **grid):
    """Compute a phase diagram; print its phases and boundaries, and draw it with --output.

    The options from --n-seeds to --scheduler are those of --theory trained.
    """
    from . import printing

    training = {name: grid.pop(name) for name in names_for(TRAINED)}
    result = _trained(**grid, **training) if grid["theory"] == "trained" else computed(**grid, curves=curves)
    if as_json and spinodals and result.curves is not None:
        result.spinodals()
    click.echo(printing.as_json(printing.diagram_facts(result)) if as_json else printing.diagram_text(result))
    for path in sorted(output, key=lambda path: path.endswith(".npz")):  # data last: with the curves that a picture asks for
        if Path(path).suffix == ".npz":
            result.save(path)
            wrote(path)
        else:
            from ..figures import diagram_figure

            save_figure(diagram_figure(result, look=look, curves=curves, spinodals=spinodals), path)
    return int(printing.print_unconverged(result))


@command("""
  phasediag boundary
  phasediag boundary --theory frozen --n-features 4 --n-hidden 2 --latex
  phasediag boundary --n-features 3 --n-hidden 2 --importance 0.5:2:30 --density 0.4:1:30
  phasediag boundary --importance 0.3:3:25 --density 0.05:1:25 --output curves.csv""")
@grid_options("global", "relaxed", "frozen")
@click.option("--latex", is_flag=True, help="Print the frozen theory's equations as LaTeX.")
@output_option("Table (.csv) or data (.json) of the points of all curves to write.", ".csv", ".json")
@json_option
def boundary(theory, latex, output, as_json, **grid):
    """Print boundaries, spinodals and triple points.

    Frozen theory: the exact equations, over all importances and densities. Relaxed and global: the curves within the given
    ranges, followed by continuation from where neighbouring cells of the grid differ, with their order and spinodals.
    """
    from . import printing

    if theory == "frozen":
        if output is not None:
            raise ValueError(f'output must not be given for the frozen theory, whose equations are printed, got "{output}"')
        for name in ("importance", "density"):
            if grid[name] is not None:
                raise ValueError(f"{name} must not be given for the frozen theory, whose equations hold everywhere")
        from ..frozen_equations import frozen_boundaries

        sizes = grid["n_features"], grid["n_hidden"]
        found = frozen_boundaries(*sizes, activation=grid["activation"])
        if as_json:
            click.echo(printing.as_json(printing.equation_facts(*found, latex=latex)))
        else:
            click.echo(printing.equations_text(*sizes, grid["activation"], *found, latex=latex))
        return 0
    if latex:
        raise ValueError(f'theory must be "frozen" for LaTeX equations, got {theory!r}')
    result = computed(theory=theory, **grid)
    result.spinodals()
    click.echo(printing.as_json(printing.curve_facts(result)) if as_json else printing.curves_text(result))
    if output:
        result.save_curves(output)
        wrote(output)
    return int(printing.print_unconverged(result))


def computed(*, n_features, n_hidden, checkpoint=None, curves=True, **grid):
    """Compute a phase diagram and, with ``curves``, its boundaries, with a bar on a terminal; Ctrl-C says how to go on."""
    from ..diagram import phase_diagram

    with goes_on_from(checkpoint, "--checkpoint FILE.npz a stopped search"):
        result = phase_diagram(n_features, n_hidden, checkpoint=checkpoint, progress=sys.stderr.isatty(), **grid)
        if curves:
            result.boundaries(progress=sys.stderr.isatty())
    return result


def _trained(*, theory, checkpoint, n_starts, scheduler, store, **options):
    """Train a phase diagram, on a cluster if there is a scheduler; Ctrl-C says how to go on."""
    from contextlib import nullcontext

    from .._training.cluster import cluster_executor
    from ..trained_diagram import trained_phase_diagram

    with goes_on_from(store, "--store FOLDER a stopped training"):
        with nullcontext() if scheduler is None else cluster_executor(scheduler) as executor:
            return trained_phase_diagram(store=store, executor=executor, progress=sys.stderr.isatty(), **options)
