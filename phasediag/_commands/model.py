"""The commands on one model: "minimize", "certify" and "train"."""

import click

from .answers import Answer, command, drawn
from .options import (
    Word,
    activation_option,
    law_options,
    optimizer_options,
    option,
    point_options,
    refuse_given,
    sizes_up_to,
    task_option,
    threads_option,
)
from .profiles import density_of, importance_of
from .terminal import PICTURES

MOST_FEATURES = 1_000_000


@command(
    """
  phasediag minimize --n-features 3 --n-hidden 2 --importance 1 --density 0.6
  phasediag minimize --n-features 5 --n-hidden 2 --importance 1 --density 0.05 --output columns.png
  phasediag minimize --importance 0.5 --density 0.2 --certify
  phasediag minimize --task absolute --n-hidden 3 --importance 0.9 --density 0.1
  phasediag minimize --n-features 4 --n-hidden 2 --importance 1,0.9,0.8,0.7 --density 0.3 --json""",
    *PICTURES,
    ".csv",
)
@sizes_up_to("2 to 10")
@point_options
@task_option
@activation_option
@law_options
@option("--n-starts", type=int, help="Random starts, beside the structured ones.  [default: that of the effort]")
@option("--effort", "normal", type=Word("quick", "normal", "thorough"), help="Of the search.")
@option("--seed", 0, help="Seed of the starts.")
@click.option("--certify", is_flag=True, help="Prove that no loss is lower (2 or 3 features).")
@click.option("--barriers", is_flag=True, help="Find how deep each minimum is: the lowest pass to a lower one.")
def minimize(n_features, n_hidden, importance, density, task, activation, n_starts, effort, seed, certify, barriers, **law):
    """Find the minima of the expected loss over all weights and biases; print them, lowest first."""
    if task is not None:
        own = law | {"effort": effort, "certify": certify, "barriers": barriers}
        model = _neurons(n_features, n_hidden, importance, density, task, activation, **own)
        yield _minima_of_neurons(model, n_starts, seed)
        return
    from ..barriers import depths
    from ..certificates import MOST_BOXES, certificate, check_certifiable
    from ..minima import minimize as minima_of
    from . import printing

    model = _model(n_features, n_hidden, importance, density, activation, **law)
    if certify:
        check_certifiable(model)
    minima = minima_of(model, n_starts=n_starts, effort=effort, seed=seed)
    known = [(one.weights, one.bias) for one in minima]
    proved = certificate(model, known, 1e-6, MOST_BOXES, lambda count: None) if certify and minima else None
    facts, passes = [printing.minimum_facts(minimum) for minimum in minima], depths(minima) if barriers else []
    for fact, one in zip(facts, passes, strict=False):  # none where they are not asked for
        fact["barrier"] = printing.barrier_facts(one)
    yield Answer(
        text=lambda: printing.minima_text(model, minima, passes) + ("\n\n" + printing.certificate_text(proved) if proved else ""),
        facts=lambda: (
            {"model": printing.model_facts(model), "minima": facts}
            | ({"certificate": printing.certificate_facts(proved)} if proved else {})
        ),
        figure=drawn("minima_figure", minima) if minima else None,
        rows=lambda: facts,
        complaints=() if minima else ("no start has converged",),
        status=int(proved is not None and proved.status != "certified"),
    )


def _minima_of_neurons(model, n_starts, seed):
    """The Answer with the minima of a NeuronModel."""
    from ..minima import minimize as minima_of
    from . import neuron_printing as printing
    from .printing import model_facts

    minima = minima_of(model, n_starts=n_starts, seed=seed)
    facts = [printing.minimum_facts(minimum) for minimum in minima]
    return Answer(
        text=lambda: printing.minima_text(model, minima),
        facts=lambda: {"model": model_facts(model), "minima": facts},
        figure=drawn("neurons_figure", minima) if minima else None,
        rows=lambda: facts,
        complaints=() if minima else ("no start has led to a minimum",),
    )


@command(
    """
  phasediag certify --importance 0.5 --density 0.2
  phasediag certify --importance 0.3 --density 0.38 --output proof.npz
  phasediag certify --load proof.npz --check""",
    ".npz",
)
@sizes_up_to("2 or 3")
@point_options
@option("--tolerance", 1e-6, help="The gap allowed between the proved bound and the loss reached, relative.")
@option("--max-boxes", 10_000_000, help="How many boxes of parameters are looked at, at most.")
@click.option("--load", type=click.Path(), help="A certificate that --output has written, instead of a search.")
@click.option("--check", is_flag=True, help="Do the proof again in rational arithmetic.")
def certify(n_features, n_hidden, importance, density, tolerance, max_boxes, load, check):
    """Prove how low the expected loss can be, and the phase of its global minimum."""
    from ..certificates import Certificate
    from ..certificates import certify as proof_of
    from . import printing

    if load is None:
        model = _model(n_features, n_hidden, importance, density, "relu")
        proved = proof_of(model, tolerance=tolerance, max_boxes=max_boxes)
    else:
        own = "n_features", "n_hidden", "importance", "density", "tolerance", "max_boxes"
        refuse_given(own, "with load, which has its own")
        proved = Certificate.load(load)
    checked = proved.check() if check else None
    refused = check and not checked
    yield Answer(
        text=lambda: printing.certificate_text(proved, checked),
        facts=lambda: {"model": printing.model_facts(proved.model), **printing.certificate_facts(proved, checked)},
        save=proved.save,
        complaints=(f"the certificate is not confirmed: {checked.reason}",) if refused else (),
        status=int(proved.status != "certified"),
    )


@command(
    """
  phasediag train --n-features 3 --n-hidden 2 --density 0.1
  phasediag train --n-features 20 --n-hidden 5 --density 0.05 --n-models 4 --n-steps 5000
  phasediag train --task identity --n-features 10 --n-hidden 5 --importance "0.75**i" --density 0.02 --learning-rate 0.01
  phasediag train --gradient population --schedule cosine --json""",
    ".npz",
    ".csv",
)
@sizes_up_to("2 or more")
@point_options
@task_option
@activation_option
@law_options
@option("--n-models", 10, help="Models, from different starting points.")
@optimizer_options
@option(
    "--gradient",
    "minibatch",
    type=Word("minibatch", "population"),
    help="Of fresh samples at every step, or exact, without noise.",
)
@option("--seed", 0, help="Decides starting points and minibatches.")
@threads_option
def train(n_features, n_hidden, importance, density, task, activation, activity, values, penalty, slope, biased, **options):
    """Train models of one kind; print their exact losses and the phases they end in, lowest loss first.

    An .npz file holds what "phasediag inspect" needs: weights, biases, losses, importance, density, activation; of neurons
    what they read (encoder) and write (decoder), biases, losses, phases.
    """
    if options["gradient"] == "population":
        refuse_given(("batch_size", "independent"), 'with gradient "population", which has no minibatches')
    law = {"activity": activity, "values": values, "penalty": penalty, "slope": slope, "biased": biased}
    if task is not None:
        yield _trained_neurons(_neurons(n_features, n_hidden, importance, density, task, activation, **law), options)
        return
    import numpy as np

    from .._array_files import replace_arrays
    from ..phases import classify_many
    from ..trained_models import TRAINED_TOLERANCE
    from ..training import train as trained
    from . import printing

    model = _model(n_features, n_hidden, importance, density, activation, **law)
    run = trained(model, **options)
    arrays = {"weights": run.weights, "bias": run.bias, "loss": run.loss}
    controls = {"importance": model.importance, "density": model.feature_density}
    arrays |= {name: np.tile(values, (len(run.loss), 1)) for name, values in controls.items()}
    arrays |= {"activation": model.activation} | ({} if model.form.is_default else {"law": "; ".join(model.law().values())})
    yield Answer(save=lambda path: replace_arrays(path, **arrays))  # before anything else can fail
    phases = classify_many(run.weights, tolerance=TRAINED_TOLERANCE)
    facts = printing.run_facts(run, phases)
    yield Answer(
        text=lambda: printing.run_text(run, phases),
        facts=lambda: facts,
        rows=lambda: printing.by_model(facts),
        save=lambda path: replace_arrays(path, **arrays, phase=[phase.name for phase in phases]),
    )


def _trained_neurons(model, options):
    """The Answer with trained models of neurons."""
    from .._array_files import replace_arrays
    from ..training import train as trained
    from . import neuron_printing as printing

    run = trained(model, **options)
    facts = printing.run_facts(run)
    arrays = {name: getattr(run, name) for name in ("encoder", "decoder", "bias", "loss")}
    arrays |= {"importance": model.importance, "density": model.feature_density, "task": model.task}
    return Answer(
        text=lambda: printing.run_text(run),
        facts=lambda: facts,
        rows=lambda: printing.by_model(facts),
        save=lambda path: replace_arrays(path, **arrays, phase=[phase.name for phase in run.phases]),
    )


def _neurons(n_features, n_hidden, importance, density, task, activation, **refused):
    """The NeuronModel of the same options; others, by name, must be the defaults."""
    from .._arguments import whole_number
    from .planes import neurons

    n_features = whole_number("n_features", n_features, 1, MOST_FEATURES)
    controls = importance_of(importance, n_features), density_of(density, n_features)
    return neurons(n_hidden, *controls, task, activation=activation, **refused)


def _model(n_features, n_hidden, importance, density, activation, **law):
    """The model of options that take one number or a list; one importance is the extra feature's."""
    from .._arguments import sizes
    from .planes import toy

    n_features, n_hidden = sizes(n_features, n_hidden, MOST_FEATURES)
    return toy(n_hidden, importance_of(importance, n_features), density_of(density, n_features), activation, **law)
