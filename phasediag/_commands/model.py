"""The commands on one model: "minimize", "train" and "inspect"."""

import sys

import click

from .options import (
    Index,
    Numbers,
    Word,
    activation_option,
    importance_option,
    json_option,
    optimizer_options,
    point_options,
    sizes_up_to,
    threads_option,
)
from .terminal import PICTURES, check_file, say_on_terminal


@click.command(
    epilog="""\b
Examples
  phasediag minimize --n-features 3 --n-hidden 2 --importance 1 --density 0.6
  phasediag minimize --n-features 5 --n-hidden 2 --importance 1 --density 0.05 --output columns.png
  phasediag minimize --n-features 4 --n-hidden 2 --importance 1,0.9,0.8,0.7 --density 0.3 --json"""
)
@sizes_up_to("2 to 10")
@point_options
@activation_option
@click.option("--n-starts", type=int, default=32, show_default=True, help="Random starts, beside the structured ones.")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the starts.")
@click.option("--output", type=click.Path(), help="Picture (.png, .svg, .pdf) of the columns of W of each minimum.")
@json_option
def minimize(n_features, n_hidden, importance, density, activation, n_starts, seed, output, as_json):
    """Find the minima of the expected loss over all weights and biases; print them, lowest first."""
    check_file("output", output, PICTURES)
    from ..minima import minimize as minima_of
    from . import printing

    model = _model(n_features, n_hidden, importance, density, activation)
    minima = minima_of(model, n_starts=n_starts, seed=seed)
    if as_json:
        printing.print_json([printing.minimum_facts(minimum) for minimum in minima])
    else:
        printing.print_minima(model, minima)
    if not minima:
        click.echo("phasediag: no start has converged", err=True)
        return 1
    if output:
        from ..figures import minima_figure

        minima_figure(minima).savefig(output, dpi=160)
        click.echo(f"wrote {output}", err=True)
    return 0


@click.command(
    epilog="""\b
Examples
  phasediag train --n-features 3 --n-hidden 2 --density 0.1
  phasediag train --n-features 20 --n-hidden 5 --density 0.05 --n-models 4 --n-steps 5000
  phasediag train --gradient population --schedule cosine --json"""
)
@sizes_up_to("2 or more")
@point_options
@activation_option
@click.option("--n-models", type=int, default=10, show_default=True, help="Models, from different starting points.")
@optimizer_options
@click.option(
    "--gradient",
    type=Word("minibatch", "population"),
    default="minibatch",
    show_default=True,
    help="Of fresh samples at every step, or exact, without noise.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Decides starting points and minibatches.")
@threads_option
@click.option("--output", type=click.Path(), help="An .npz file for weights, biases and losses.")
@json_option
def train(n_features, n_hidden, importance, density, activation, output, as_json, **options):
    """Train models of one kind; print their exact losses and the phases they end in, lowest loss first."""
    check_file("output", output, (".npz",))
    from .._array_files import replace_arrays
    from ..phases import classify_many
    from ..trained_models import TRAINED_TOLERANCE
    from ..training import train as trained
    from . import printing

    model = _model(n_features, n_hidden, importance, density, activation)
    run = trained(model, progress=sys.stderr.isatty(), **options)
    arrays = {"weights": run.weights, "bias": run.bias, "loss": run.loss}
    if output:  # before anything else can fail
        replace_arrays(output, **arrays)
    phases = classify_many(run.weights, tolerance=TRAINED_TOLERANCE)
    if as_json:
        printing.print_json(printing.run_facts(run, phases))
    else:
        printing.print_run(run, phases)
    if output:
        replace_arrays(output, **arrays, phase=[phase.name for phase in phases])
        click.echo(f"wrote {output}", err=True)
    return 0


@click.command(
    epilog="""\b
Examples
  phasediag inspect weights.npz --density 0.1 --importance 0.5
  phasediag inspect model.safetensors --density 0.05 --weights-name encoder.W --bias-name decoder.b
  phasediag inspect runs.npz --density 0.1 --index 3 --json
  phasediag inspect W.npy --bias b.npy --density 0.1 --output columns.png"""
)
@click.argument("file", type=click.Path())
@click.option("--density", type=Numbers(), required=True, help="Density in (0, 1] (1 − sparsity), or a list for all features.")
@importance_option
@activation_option
@click.option("--weights-name", help='Name of the weights in FILE, if not "weights", "W" or "weight".')
@click.option("--bias-name", help='Name of the bias in FILE, if not "bias", "b", "b_final" or "biases".')
@click.option(
    "--bias",
    help='A .npy file; "zero"; or "optimal": the best for these weights. [default: from FILE; zero if it has none]',
)
@click.option("--index", type=Index(), help="Which of several models in FILE: 3, or 0,3 for two leading axes.")
@click.option("--tolerance", type=float, default=0.1, show_default=True, help="Norms and cosines below it count as zero.")
@click.option("--n-starts", type=int, default=32, show_default=True, help="Random starts of the search for the global minimum.")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of those starts.")
@click.option("--output", type=click.Path(), help="Picture (.png, .svg, .pdf) of the columns of W, here and at the minima.")
@json_option
def inspect(file, density, importance, activation, tolerance, n_starts, seed, output, as_json, **reading):
    """Say what the trained weights in FILE (.npz, .npy or .safetensors) are.

    Prints their exact loss and its parts, their phase, the minimum that they are nearest to, whether they have converged to it,
    and whether it is the global one. Weights have shape (n_hidden, n_features), or transposed, with axes before for several
    models; pickles are not read.
    """
    check_file("output", output, PICTURES)
    from ..inspection import inspect as inspection_of
    from ..weight_files import read_weights
    from . import inspection_printing
    from .printing import print_json

    found = read_weights(file, **reading)
    model = _model(found.weights.shape[1], found.weights.shape[0], importance, density, activation)
    bias, source = _bias(model, found, reading["bias"])
    say_on_terminal("searching for minima …")
    result = inspection_of(model, found.weights, bias, tolerance=tolerance, n_starts=n_starts, seed=seed)
    if as_json:
        print_json({"source": source} | inspection_printing.inspection_facts(result))
    else:
        inspection_printing.print_inspection(result, source)
    if output:
        from ..figures import inspection_figure

        inspection_figure(result).savefig(output, dpi=160)
        click.echo(f"wrote {output}", err=True)
    return 0


def _bias(model, found, wish):
    """The bias that the file or the user gives, and the words on where everything comes from."""
    if found.bias is not None:
        return found.bias, found.source
    if wish == "optimal":
        from ..biases import optimal_bias

        return optimal_bias(model, found.weights), f"{found.source}; bias the best for these weights"
    return [0.0] * model.n_features, f"{found.source}; bias zero" + ("" if wish else " (none in the file)")


def _model(n_features, n_hidden, importance, density, activation):
    """The model of options that take one number or a list; one importance is the extra feature's."""
    from .._arguments import sizes
    from ..model import ToyModel, cell_controls

    n_features, n_hidden = sizes(n_features, n_hidden)
    importance = cell_controls(n_features, importance[0], 1.0)[0] if len(importance) == 1 else importance
    if len(importance) != n_features:
        raise ValueError(f"importance must be one number or {n_features}, got {len(importance)}")
    return ToyModel(n_hidden, importance, density[0] if len(density) == 1 else density, activation)
