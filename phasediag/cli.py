"""The command line: parse, call one function, print. Heavy libraries load only when a command runs."""

import json
import os
import sys
from pathlib import Path

import click

PICTURES = (".png", ".svg", ".pdf")


class Axis(click.ParamType):
    """LOW:HIGH:COUNT (logarithmic steps) or a comma-separated list."""

    name = "axis"

    def convert(self, value, param, context):
        import numpy as np

        try:
            if ":" in value:
                low, high, count = value.split(":")
                low, high, count = float(low), float(high), int(count)
                if not (0 < low < high < float("inf") and 2 <= count <= 100_000):
                    raise ValueError
                return np.geomspace(low, high, count)
            return np.array([float(part) for part in value.split(",")])
        except ValueError:
            self.fail(f"{value!r} is neither LOW:HIGH:COUNT with 0 < LOW < HIGH nor a list like 0.1,1,10", param, context)


def _model_options(function):
    for option in (
        click.option("--n-hidden", type=int, default=1, show_default=True, help="Hidden dimensions, fewer than features."),
        click.option("--n-features", type=int, default=2, show_default=True, help="Features, 2 to 8."),
    ):
        function = option(function)
    return function


theory_option = click.option(
    "--theory",
    default="frozen",
    show_default=True,
    help='"frozen": unit weights, closed forms; "relaxed": each pattern adjusts; "global": all minima.',
)
activation_option = click.option("--activation", default="relu", show_default=True, help='"relu" or "linear".')
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON on standard output.")


@click.group(
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="""\b
Examples
  phasediag paper
  phasediag diagram --n-features 3 --n-hidden 2 --output fig.png
  phasediag boundary --n-features 3 --n-hidden 2 --latex""",
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
  phasediag diagram --n-features 3 --n-hidden 2 --output fig.pdf --look norm-interference
  phasediag diagram --importance 0.5:2:61 --density 0.1,0.3,1 --json"""
)
@_model_options
@theory_option
@activation_option
@click.option(
    "--importance", type=Axis(), help="Importances of the extra feature, LOW:HIGH:COUNT or a list. [default: 0.1:10:100]"
)
@click.option("--density", type=Axis(), help="Densities in (0, 1], LOW:HIGH:COUNT or a list. [default: 0.01:1:100]")
@click.option("--look", default="phase", show_default=True, help='Colours: "phase" or "norm-interference" (the paper\'s).')
@click.option("--output", type=click.Path(), help="Picture (.png, .svg, .pdf) or data (.npz) to write.")
@json_option
def diagram(n_features, n_hidden, theory, activation, importance, density, look, output, as_json):
    """Compute a phase diagram; print its phases and boundaries, and draw it with --output."""
    _check_file(output, (*PICTURES, ".npz"))
    from ._arguments import one_of
    from .colours import LOOKS
    from .diagram import phase_diagram

    one_of("look", look, LOOKS)
    result = phase_diagram(n_features, n_hidden, importance=importance, density=density, theory=theory, activation=activation)
    if as_json:
        _print_json(_diagram_facts(result, cells=True))
    else:
        _print_diagram(result)
    if output:
        if Path(output).suffix == ".npz":
            result.save(output)
        else:
            from .figures import diagram_figure

            diagram_figure(result, look=look).savefig(output, dpi=160)
        click.echo(f"wrote {output}", err=True)


@commands.command(
    epilog="""\b
Examples
  phasediag boundary
  phasediag boundary --n-features 4 --n-hidden 2 --latex"""
)
@_model_options
@theory_option
@activation_option
@click.option("--latex", is_flag=True, help="Print the equations as LaTeX.")
@json_option
def boundary(n_features, n_hidden, theory, activation, latex, as_json):
    """Print the exact boundaries and triple points of the frozen theory, over all importances and densities."""
    from ._arguments import one_of
    from .frozen import frozen_boundaries

    one_of("theory", theory, ("frozen",))
    found, triples = frozen_boundaries(n_features, n_hidden, activation=activation)
    import sympy

    def written(expression):
        if latex:
            return sympy.latex(expression)
        text = str(expression) if not isinstance(expression, sympy.Eq) else f"{expression.lhs} = {expression.rhs}"
        return text.replace("**", "^").replace("*", "·").replace("oo", "∞")

    if as_json:
        _print_json(
            {
                "boundaries": [
                    {
                        "phases": b.phases,
                        "patterns": b.patterns,
                        "equation": written(b.equation),
                        "importance": [written(x) for x in b.importance],
                        "density": [written(x) for x in b.density],
                    }
                    for b in found
                ],
                "triple_points": [
                    {"importance": written(t.importance), "density": written(t.density), "phases": t.phases} for t in triples
                ],
            }
        )
        return
    click.echo(f"{n_features} → {n_hidden}, frozen theory ({activation})")
    for b in found:
        click.echo(f"\n{b.patterns[0]}   {b.phases[0]}\n{b.patterns[1]}   {b.phases[1]}\n    {written(b.equation)}")
        ranges = [
            f"{name} from {written(low)} to {written(high)}"
            for name, (low, high) in (("importance", b.importance), ("density", b.density))
            if low != high
        ]
        click.echo("    " + ", ".join(ranges))
    for t in triples:
        click.echo(f"\n{len(t.phases)} phases meet at importance = {written(t.importance)}, density = {written(t.density)}")
        for pattern, phase in zip(t.patterns, t.phases, strict=True):
            click.echo(f"    {pattern}   {phase}")
    if not found:
        click.echo("\nNo boundary: one phase has the lowest loss everywhere.")


@commands.command()
@click.option("--output", type=click.Path(), default="phasediag-paper", show_default=True, help="Folder for the figures.")
def paper(output):
    """Draw the phase diagrams of "Superposition as a Phase Change" (Elhage et al. 2022) for 2→1 and 3→2.

    Writes the theoretical diagrams, coloured by phase and by norm and interference, and prints their exact boundaries.
    """
    folder = Path(output)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"output must be a folder that can be made, got {output!r} ({error.strerror})") from None
    path = folder / "frozen.png"
    _check_file(path, PICTURES)
    from .diagram import phase_diagram
    from .figures import paper_figure

    diagrams = [phase_diagram(n_features, n_features - 1, theory="frozen") for n_features in (2, 3)]
    for result in diagrams:
        _print_diagram(result)
        click.echo()
    paper_figure(diagrams).savefig(path, dpi=160)
    click.echo(f"wrote {path}", err=True)


def main(arguments=None):
    """Run the command line and exit: 0 done, 1 not converged, 2 wrong use (one line on standard error)."""
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        sys.exit(commands.main(arguments or ["--help"], prog_name="phasediag", standalone_mode=False) or 0)
    except click.ClickException as error:
        message = error.format_message()
    except ValueError as error:
        message = str(error)
    except (click.Abort, KeyboardInterrupt):
        click.echo("phasediag: stopped", err=True)
        sys.exit(130)
    click.echo(f"phasediag: {message}", err=True)
    sys.exit(2)


def _check_file(path, endings):
    """Refuse, before any work, a file that has a wrong ending or cannot be written."""
    if path is None:
        return
    path = Path(path)
    if path.suffix not in endings:
        raise ValueError(f"output must end in {', '.join(endings)}, got {str(path)!r}")
    existed = path.exists()
    try:
        with open(path, "ab"):
            pass
    except OSError as error:
        raise ValueError(f"output must be a file that can be written, got {str(path)!r} ({error.strerror})") from None
    if not existed:
        os.unlink(path)


def _print_json(facts):
    click.echo(json.dumps(facts, indent=1, ensure_ascii=False))


def _diagram_facts(result, *, cells):
    facts = {
        "n_features": result.n_features,
        "n_hidden": result.n_hidden,
        "activation": result.activation,
        "theory": result.theory,
        "boundaries": [
            {
                "phases": b.phases,
                "order": b.order,
                "importance": b.importance.tolist(),
                "density": b.density.tolist(),
                "latent_loss": b.latent_loss.tolist(),
            }
            for b in result.boundaries()
        ],
        "triple_points": [{"importance": t.importance, "density": t.density, "phases": t.phases} for t in result.triple_points()],
    }
    if cells:
        grids = ("importance", "density", "phase", "extra", "loss", "feature_norm", "interference", "converged")
        facts |= {name: getattr(result, name).tolist() for name in grids}
    return facts


def _print_diagram(result):
    """Print which phases cover the diagram and where they meet, as a table a person can read."""
    import numpy as np

    click.echo(
        f"{result.n_features} → {result.n_hidden}, {result.theory} theory ({result.activation}): "
        f"importance {result.importance[0]:g} to {result.importance[-1]:g}, "
        f"density {result.density[0]:g} to {result.density[-1]:g}"
    )
    names, counts = np.unique(result.phase.astype(str), return_counts=True)
    width = max(map(len, names))
    for count, name in sorted(zip(counts, names, strict=True), reverse=True):
        click.echo(f"  {name:<{width}}  {100 * count / result.phase.size:5.1f} % of the cells")
    for b in result.boundaries():
        click.echo(
            f"  {b.order}-order boundary: {b.phases[0]} | {b.phases[1]}, "
            f"from (importance {b.importance[0]:.6g}, density {b.density[0]:.6g}) "
            f"to ({b.importance[-1]:.6g}, {b.density[-1]:.6g})"
        )
    for t in result.triple_points():
        click.echo(f"  {len(t.phases)} phases meet at importance {t.importance:.12g}, density {t.density:.12g}")
