"""The command line: parse, call one function, print. Heavy libraries load only when a command runs."""

import os
import sys
from pathlib import Path

import click

from ._options import Numbers, activation_option, grid_options, json_option, size_options

PICTURES = (".png", ".svg", ".pdf")

EXACT_GRIDS = {2: 64, 3: 40}
"""For "paper": features of the exact diagrams, and how many points their axes have."""


class Stopped(Exception):
    """The user pressed Ctrl-C; the message says how to go on."""


@click.group(
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="""\b
Examples
  phasediag paper
  phasediag diagram --n-features 3 --n-hidden 2 --output fig.png
  phasediag minimize --n-features 3 --n-hidden 2 --importance 1 --density 0.6
  phasediag boundary --n-features 3 --n-hidden 2 --theory frozen --latex""",
)
@click.version_option(package_name="phasediag")
def commands():
    """Exact phase diagrams of superposition in toy models.

    A toy model stores n_features features in n_hidden < n_features dimensions: x' = ReLU(WᵀW x + b). Features are active
    with probability DENSITY (1 − sparsity); the last, "extra" feature has a relative IMPORTANCE. Each phase is a way to
    treat the extra feature: not represented, in a dedicated dimension, or in superposition with others.

    Start with "phasediag paper". Results go to standard output and to files named with --output; messages go to standard
    error. Exit status: 0 done, 1 not converged, 2 wrong use.
    """


@commands.command(
    epilog="""\b
Examples
  phasediag diagram
  phasediag diagram --theory frozen --n-features 6 --n-hidden 3
  phasediag diagram --n-features 3 --n-hidden 2 --output fig.pdf --look norm-interference
  phasediag diagram --n-features 5 --n-hidden 2 --importance 0.5:2:48 --density 0.05:1:48 --checkpoint 5to2.npz
  phasediag diagram --importance 0.5:2:61 --density 0.1,0.3,1 --json"""
)
@grid_options
@click.option("--look", default="phase", show_default=True, help='Colours: "phase" or "norm-interference" (the paper\'s).')
@click.option("--spinodals/--no-spinodals", default=True, show_default=True, help="Draw where metastable phases end.")
@click.option("--output", type=click.Path(), help="Picture (.png, .svg, .pdf) or data (.npz) to write.")
@json_option
def diagram(look, spinodals, output, as_json, **grid):
    """Compute a phase diagram; print its phases and boundaries, and draw it with --output."""
    _check_file("output", output, (*PICTURES, ".npz"))
    from . import _printing
    from ._arguments import one_of
    from .colours import LOOKS

    one_of("look", look, LOOKS)
    result = _computed(**grid)
    if as_json:
        _printing.print_json(_printing.diagram_facts(result, cells=True))
    else:
        _printing.print_diagram(result)
    if output:
        if Path(output).suffix == ".npz":
            result.save(output)
        else:
            from .figures import diagram_figure

            diagram_figure(result, look=look, spinodals=spinodals).savefig(output, dpi=160)
        click.echo(f"wrote {output}", err=True)
    return int(_printing.print_unconverged(result))


@commands.command(
    epilog="""\b
Examples
  phasediag boundary
  phasediag boundary --theory frozen --n-features 4 --n-hidden 2 --latex
  phasediag boundary --n-features 3 --n-hidden 2 --importance 0.5:2:30 --density 0.4:1:30"""
)
@grid_options
@click.option("--latex", is_flag=True, help="Print the frozen theory's equations as LaTeX.")
@json_option
def boundary(theory, latex, as_json, **grid):
    """Print boundaries and triple points.

    Frozen theory: the exact equations, over all importances and densities. Relaxed and global: the curves within the given
    ranges, followed by continuation from where neighbouring cells of the grid differ, with their order and spinodals.
    """
    from . import _printing

    if theory == "frozen":
        for name in ("importance", "density"):
            if grid[name] is not None:
                raise ValueError(f"{name} must not be given for the frozen theory, whose equations hold everywhere")
        from .frozen import frozen_boundaries

        sizes = grid["n_features"], grid["n_hidden"]
        found = frozen_boundaries(*sizes, activation=grid["activation"])
        if as_json:
            _printing.print_json(_printing.equation_facts(*found, latex=latex))
        else:
            _printing.print_equations(*sizes, grid["activation"], *found, latex=latex)
        return 0
    if latex:
        raise ValueError(f'theory must be "frozen" for LaTeX equations, got {theory!r}')
    result = _computed(theory=theory, **grid)
    if as_json:
        _printing.print_json(_printing.curve_facts(result))
    else:
        _printing.print_curves(result)
    return int(_printing.print_unconverged(result))


@commands.command(
    epilog="""\b
Examples
  phasediag minimize --n-features 3 --n-hidden 2 --importance 1 --density 0.6
  phasediag minimize --n-features 5 --n-hidden 2 --importance 1 --density 0.05 --output columns.png
  phasediag minimize --n-features 4 --n-hidden 2 --importance 1,0.9,0.8,0.7 --density 0.3 --json"""
)
@size_options
@click.option(
    "--importance",
    type=Numbers(),
    default="1",
    show_default=True,
    help="Importance of the extra feature (the others have 1), or a list for all.",
)
@click.option(
    "--density", type=Numbers(), default="0.5", show_default=True, help="Density in (0, 1], or a list for all features."
)
@activation_option
@click.option("--n-starts", type=int, default=32, show_default=True, help="Random starts, beside the structured ones.")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the starts.")
@click.option("--output", type=click.Path(), help="Picture (.png, .svg, .pdf) of the columns of W of each minimum.")
@json_option
def minimize(n_features, n_hidden, importance, density, activation, n_starts, seed, output, as_json):
    """Find the minima of the expected loss over all weights and biases; print them, lowest first."""
    _check_file("output", output, PICTURES)
    from . import _printing
    from ._arguments import sizes, whole_number
    from .minima import minimize as minima_of
    from .model import ToyModel

    n_features, n_hidden = sizes(n_features, n_hidden)
    whole_number("seed", seed, 0)
    importance = [*[1.0] * (n_features - 1), *importance] if len(importance) == 1 else importance
    if len(importance) != n_features:
        raise ValueError(f"importance must be one number or {n_features}, got {len(importance)}")
    model = ToyModel(n_hidden, importance, density[0] if len(density) == 1 else density, activation)
    minima = minima_of(model, n_starts=n_starts, seed=seed)
    if as_json:
        _printing.print_json([_printing.minimum_facts(minimum) for minimum in minima])
    else:
        _printing.print_minima(model, minima)
    if not minima:
        click.echo("phasediag: no start has converged", err=True)
        return 1
    if output:
        from .figures import minima_figure

        minima_figure(minima).savefig(output, dpi=160)
        click.echo(f"wrote {output}", err=True)
    return 0


@commands.command()
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
        _check_file("output", path, PICTURES)
    from . import _printing
    from .diagram import phase_diagram
    from .figures import comparison_figure, paper_figure

    frozen = [phase_diagram(n_features, n_features - 1, theory="frozen") for n_features in (2, 3)]
    for result in frozen:
        _printing.print_diagram(result)
        click.echo()
    paper_figure(frozen).savefig(paths[0], dpi=160)
    click.echo(f"wrote {paths[0]}", err=True)
    if not exact:
        return 0
    import numpy as np

    solved = []
    for n_features, count in EXACT_GRIDS.items():
        axes = {"importance": np.geomspace(0.1, 10, count), "density": np.geomspace(0.01, 1, count)}
        solved.append(_computed(n_features=n_features, n_hidden=n_features - 1, theory="global", **axes))
        _printing.print_diagram(solved[-1])
        click.echo()
    _say_on_terminal("looking for spinodals and drawing …")
    comparison_figure(list(zip(frozen, solved, strict=True))).savefig(paths[1], dpi=130)
    click.echo(f"wrote {paths[1]}", err=True)
    return int(any([_printing.print_unconverged(result) for result in solved]))


def main(arguments=None):
    """Run the command line and exit: 0 done, 1 not converged, 2 wrong use (one line on standard error)."""
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        sys.exit(commands.main(arguments or ["--help"], prog_name="phasediag", standalone_mode=False) or 0)
    except click.ClickException as error:
        message = error.format_message()
    except ValueError as error:
        message = str(error)
    except (click.Abort, KeyboardInterrupt, Stopped) as stop:
        click.echo(f"phasediag: stopped{stop}", err=True)
        sys.exit(130)
    click.echo(f"phasediag: {message}", err=True)
    sys.exit(2)


def _computed(*, n_features, n_hidden, checkpoint=None, **grid):
    """Compute a phase diagram and its boundaries, with a progress bar on a terminal; Ctrl-C says how to go on."""
    _check_file("checkpoint", checkpoint, (".npz",))
    from .diagram import phase_diagram

    try:
        result = phase_diagram(n_features, n_hidden, checkpoint=checkpoint, progress=sys.stderr.isatty(), **grid)
        if result.theory != "frozen":
            _say_on_terminal("following boundaries …")
        result.boundaries()
    except KeyboardInterrupt:
        if checkpoint is None:
            raise Stopped("; with --checkpoint FILE.npz a stopped search can be gone on with") from None
        raise Stopped(f"; the same command goes on from {checkpoint}") from None
    return result


def _say_on_terminal(message):
    if sys.stderr.isatty():
        click.echo(message, err=True)


def _check_file(name, path, endings):
    """Refuse, before any work, a file that has a wrong ending or cannot be written."""
    if path is None:
        return
    path = Path(path)
    if path.suffix not in endings:
        raise ValueError(f"{name} must end in {', '.join(endings)}, got {str(path)!r}")
    existed = path.exists()
    try:
        with open(path, "ab"):
            pass
    except OSError as error:
        raise ValueError(f"{name} must be a file that can be written, got {str(path)!r} ({error.strerror})") from None
    if not existed:
        os.unlink(path)
