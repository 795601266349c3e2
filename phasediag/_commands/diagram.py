"""The commands "diagram" and "boundary"."""

import click

from .._progress import say
from .answers import Answer, command, drawn
from .options import TRAINED, Word, curves_option, grid_options, names_for, option, refuse_given, trained_options
from .planes import over_plane
from .terminal import PICTURES, goes_on_from


@command(
    """
  phasediag diagram
  phasediag diagram --theory frozen --n-features 6 --n-hidden 3
  phasediag diagram --n-features 3 --n-hidden 2 --output fig.pdf --look norm-interference
  phasediag diagram --n-features 5 --n-hidden 2 --importance 0.5:2:48 --density 0.05:1:48 --checkpoint 5to2.npz
  phasediag diagram --importance 0.5:2:61 --density 0.1,0.3,1 --json
  phasediag diagram --x density:0.05:1:40 --y density_of_2:0.05:1:40 --no-curves --output unequal.png
  phasediag diagram --n-features 3 --n-hidden 2 --x profile:0.5:1:40 --y density:0.05:1:40 --no-curves
  phasediag diagram --task identity --importance 0.1:10:24 --density 0.02:1:24 --output neurons.png
  phasediag diagram --theory trained --store 2to1.zarr --output trained.png
  phasediag diagram --theory trained --n-seeds 4 --importance 0.1:10:20 --density 0.05:1:20""",
    *PICTURES,
    ".npz",
    ".csv",
)
@grid_options("global", "relaxed", "frozen", "trained")
@trained_options
@option("--look", "phase", type=Word("phase", "norm-interference"), help="Colours; the second: the paper's.")
@curves_option
@click.option("--spinodals/--no-spinodals", default=True, show_default=True, help="Where metastable phases end.")
def diagram(look, curves, spinodals, **grid):
    """Compute a phase diagram; print its phases and boundaries, and draw it with --output.

    Cells come first, also in the files; then the curves between them. The options from --n-seeds to --scheduler are those of
    --theory trained.
    """
    from . import printing

    def answer(*texts, part="", curves=False):
        """The diagram as far as it is known."""
        return Answer(
            text=lambda: "\n".join(text(result) for text in texts),
            facts=lambda: printing.diagram_facts(result),
            figure=drawn("diagram_figure", result, look=look, curves=curves, spinodals=spinodals),
            rows=result.cells,
            save=result.save,
            part=part,
            complaints=() if part else printing.unconverged(result),
        )

    training = {name: grid.pop(name) for name in names_for(TRAINED)}
    if grid["theory"] == "trained":
        with goes_on_from(training["store"], "--store FOLDER a stopped training"):
            result = _trained(**grid, **training)
            yield answer(printing.cells_text)
        return
    with _goes_on(grid["checkpoint"]):
        result, known = _computed(**grid), ()
        if curves and not result.has_boundaries:
            say("boundaries need the models between the points of the grid: these are the cells")
            curves = False
        if curves and grid["theory"] != "frozen":
            yield answer(printing.cells_text, part="cells; curves are being followed")
            known = (printing.cells_text,)
        if curves:
            result.boundaries(n_threads=grid["n_threads"])
            wanted = click.get_current_context().params
            if spinodals and result.follows_boundaries and (wanted["as_json"] or wanted["output"]):
                result.spinodals()
        texts = (printing.cells_text, printing.ends_text)[: 1 + curves]
        yield answer(*(text for text in texts if text not in known), curves=curves)


@command(
    """
  phasediag boundary
  phasediag boundary --theory frozen --n-features 4 --n-hidden 2 --latex
  phasediag boundary --n-features 3 --n-hidden 2 --importance 0.5:2:30 --density 0.4:1:30
  phasediag boundary --importance 0.3:3:25 --density 0.05:1:25 --output curves.csv""",
    ".csv",
)
@grid_options("global", "relaxed", "frozen")
@click.option("--latex", is_flag=True, help="Print the frozen theory's equations as LaTeX.")
def boundary(theory, latex, **grid):
    """Print boundaries, spinodals and triple points.

    Frozen theory: the exact equations, over all importances and densities. Relaxed and global: the curves within the given
    ranges, followed by continuation from where neighbouring cells of the grid differ, with their order and spinodals.
    """
    from . import printing

    if theory == "frozen":
        if any(path.endswith(".csv") for path in click.get_current_context().params["output"]):
            raise ValueError("output must be .txt or .json for the frozen theory, whose boundaries are equations, got .csv")
        others = grid.keys() - {"n_features", "n_hidden", "activation", "n_threads"}
        refuse_given(sorted(others), "for the frozen theory, whose equations hold everywhere")
        from ..frozen_equations import frozen_boundaries

        model = {name: grid[name] for name in ("n_features", "n_hidden", "activation")}
        found = frozen_boundaries(model["n_features"], model["n_hidden"], activation=model["activation"])
        yield Answer(
            text=lambda: printing.equations_text(**model, found=found, latex=latex),
            facts=lambda: {"model": model, "theory": theory, **printing.equation_facts(*found, latex=latex)},
        )
        return
    if latex:
        raise ValueError(f'theory must be "frozen" for LaTeX equations, got {theory!r}')
    with _goes_on(grid["checkpoint"]):
        result = _computed(theory=theory, **grid)
        (result.spinodals if result.follows_boundaries else result.boundaries)(n_threads=grid["n_threads"])
        yield Answer(
            text=lambda: printing.curves_text(result),
            facts=lambda: printing.curve_facts(result),
            rows=result.curves.rows if result.follows_boundaries else lambda: printing.crossing_rows(result),
            complaints=printing.unconverged(result),
        )


def _computed(**grid):
    """Compute the cells of a phase diagram."""
    from ..diagram import phase_diagram

    return phase_diagram(**over_plane(**grid))


def _goes_on(checkpoint):
    """Where Ctrl-C says how to go on with a search."""
    return goes_on_from(checkpoint, "--checkpoint FILE.npz a stopped search")


def _trained(*, theory, checkpoint, n_starts, scheduler, **options):
    """Train a phase diagram, on a cluster if there is a scheduler."""
    from contextlib import nullcontext

    from .._training.cluster import cluster_executor
    from ..trained_diagram import trained_phase_diagram

    with nullcontext() if scheduler is None else cluster_executor(scheduler) as executor:
        return trained_phase_diagram(executor=executor, **over_plane(**options))
