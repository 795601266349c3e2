"""The commands "diagram" and "boundary"."""

import sys
from pathlib import Path

import click

from .options import Word, grid_options, json_option, trained_options
from .terminal import PICTURES, Stopped, check_file

TRAINED_OPTIONS = (
    "n_seeds",
    "n_steps",
    "batch_size",
    "learning_rate",
    "optimizer",
    "schedule",
    "weight_decay",
    "independent",
    "reduction",
    "store",
    "scheduler",
)


@click.command(
    epilog="""\b
Examples
  phasediag diagram
  phasediag diagram --theory frozen --n-features 6 --n-hidden 3
  phasediag diagram --n-features 3 --n-hidden 2 --output fig.pdf --look norm-interference
  phasediag diagram --n-features 5 --n-hidden 2 --importance 0.5:2:48 --density 0.05:1:48 --checkpoint 5to2.npz
  phasediag diagram --importance 0.5:2:61 --density 0.1,0.3,1 --json
  phasediag diagram --theory trained --store 2to1.zarr --output trained.png
  phasediag diagram --theory trained --n-seeds 4 --importance 0.1:10:20 --density 0.05:1:20"""
)
@grid_options("global", "relaxed", "frozen", "trained")
@trained_options
@click.option(
    "--look",
    type=Word("phase", "norm-interference"),
    default="phase",
    show_default=True,
    help="Colours; the second: the paper's.",
)
@click.option("--spinodals/--no-spinodals", default=True, show_default=True, help="Where metastable phases end.")
@click.option("--output", type=click.Path(), help="Picture (.png, .svg, .pdf) or data (.npz) to write.")
@json_option
def diagram(look, spinodals, output, as_json, **grid):
    """Compute a phase diagram; print its phases and boundaries, and draw it with --output.

    The options from --n-seeds to --scheduler are those of --theory trained.
    """
    check_file("output", output, (*PICTURES, ".npz"))
    from . import printing

    training = {option: grid.pop(option) for option in TRAINED_OPTIONS}
    result = _trained(**grid, **training) if grid["theory"] == "trained" else computed(**grid)
    if as_json:
        if spinodals and result.trained is None:
            result.spinodals()
        printing.print_json(printing.diagram_facts(result))
    else:
        printing.print_diagram(result)
    if output:
        if Path(output).suffix == ".npz":
            result.save(output)
        else:
            from ..figures import diagram_figure

            diagram_figure(result, look=look, spinodals=spinodals).savefig(output, dpi=160)
        click.echo(f"wrote {output}", err=True)
    return int(printing.print_unconverged(result))


@click.command(
    epilog="""\b
Examples
  phasediag boundary
  phasediag boundary --theory frozen --n-features 4 --n-hidden 2 --latex
  phasediag boundary --n-features 3 --n-hidden 2 --importance 0.5:2:30 --density 0.4:1:30
  phasediag boundary --importance 0.3:3:25 --density 0.05:1:25 --output curves.csv"""
)
@grid_options("global", "relaxed", "frozen")
@click.option("--latex", is_flag=True, help="Print the frozen theory's equations as LaTeX.")
@click.option("--output", type=click.Path(), help="Table (.csv) or data (.json) of the points of all curves to write.")
@json_option
def boundary(theory, latex, output, as_json, **grid):
    """Print boundaries, spinodals and triple points.

    Frozen theory: the exact equations, over all importances and densities. Relaxed and global: the curves within the given
    ranges, followed by continuation from where neighbouring cells of the grid differ, with their order and spinodals.
    """
    check_file("output", output, (".csv", ".json"))
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
            printing.print_json(printing.equation_facts(*found, latex=latex))
        else:
            printing.print_equations(*sizes, grid["activation"], *found, latex=latex)
        return 0
    if latex:
        raise ValueError(f'theory must be "frozen" for LaTeX equations, got {theory!r}')
    result = computed(theory=theory, **grid)
    if as_json:
        result.spinodals()
        printing.print_json(printing.curve_facts(result))
    else:
        printing.print_curves(result)
    if output:
        result.save_curves(output)
        click.echo(f"wrote {output}", err=True)
    return int(printing.print_unconverged(result))


def computed(*, n_features, n_hidden, checkpoint=None, **grid):
    """Compute a phase diagram and its boundaries, with a progress bar on a terminal; Ctrl-C says how to go on."""
    check_file("checkpoint", checkpoint, (".npz",))
    from ..diagram import phase_diagram

    try:
        result = phase_diagram(n_features, n_hidden, checkpoint=checkpoint, progress=sys.stderr.isatty(), **grid)
        result.boundaries(progress=sys.stderr.isatty())
    except KeyboardInterrupt:
        if checkpoint is None:
            raise Stopped("; with --checkpoint FILE.npz a stopped search can be gone on with") from None
        raise Stopped(f"; the same command goes on from {checkpoint}") from None
    return result


def _trained(*, theory, checkpoint, n_starts, scheduler, store, **options):
    """Train a phase diagram, on a cluster if there is a scheduler; Ctrl-C says how to go on."""
    from contextlib import nullcontext

    from .._training.cluster import cluster_executor
    from ..trained_diagram import trained_phase_diagram

    try:
        with nullcontext() if scheduler is None else cluster_executor(scheduler) as executor:
            return trained_phase_diagram(store=store, executor=executor, progress=sys.stderr.isatty(), **options)
    except KeyboardInterrupt:
        if store is None:
            raise Stopped("; with --store FOLDER a stopped training can be gone on with") from None
        raise Stopped(f"; the same command goes on from {store}") from None
