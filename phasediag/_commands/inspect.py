"""The command on weights of a file: "inspect"."""

import click

from .answers import Answer, command, drawn
from .options import INDEX, Word, law_options, option
from .profiles import Profile, importance_of
from .terminal import PICTURES


@command(
    """
  phasediag inspect weights.npz --density 0.1 --importance 0.5
  phasediag inspect model.pt --density 0.05 --importance "0.9**i" --their-loss 0.0123
  phasediag inspect model.safetensors --density 0.05 --weights-name encoder.W --bias-name decoder.b
  phasediag inspect runs.npz --density "20**(-i/(n-1))"  (a table of all models; the density of each)
  phasediag inspect runs.npz --density 0.1 --layout "features hidden instances" --index 3 --json
  phasediag inspect W.npy --bias b.npy --density 0.1 --output columns.png""",
    *PICTURES,
    ".csv",
)
@click.argument("file", type=click.Path())
@click.option(
    "--density",
    type=Profile(),
    help="Density in (0, 1] (1 − sparsity), or a list or a formula in i and n: one for each model where FILE holds several, "
    "for each feature where it holds one. [default: from FILE]",
)
@click.option(
    "--importance",
    type=Profile(),
    help="Importance of the extra feature (the others have 1), or a list or a formula in i for all, like 0.9**i. "
    "[default: from FILE; 1 if it has none]",
)
@click.option("--activation", type=Word("relu", "linear"), help="[default: what FILE says; relu if it says nothing]")
@law_options
@click.option("--weights-name", help="Name of the weights in FILE. [default: the one with a word for weights in it]")
@click.option("--decoder-name", help="Name of the decoder in FILE, of untied weights. [default: the one whose name says so]")
@click.option("--bias-name", help="Name of the bias in FILE. [default: the one with a word for biases in it]")
@click.option(
    "--bias",
    help='A file of the bias alone; "zero"; or "optimal": the best for these weights. [default: from FILE; zero if it has none]',
)
@option("--layout", help='The axes of the weights in FILE, e.g. "instances hidden features". [default: what fits]')
@click.option("--index", type=INDEX, help="Which of several models in FILE: 3, or 0,3 for two leading axes. [default: all]")
@click.option("--tied", is_flag=True, help="Read the weights as a tied model's though FILE holds other weights.")
@click.option("--depth", is_flag=True, help="Climb from the nearest minimum to the lowest pass to a lower one: how deep it is.")
@option("--their-loss", type=float, help="A loss that was reported for these weights: which convention it follows.")
@option("--tolerance", 0.1, help="Norms and cosines below it count as zero.")
@option("--n-starts", 32, help="Random starts of the search for the global minimum.")
@option("--seed", 0, help="Seed of those starts.")
def inspect(
    file,
    density,
    importance,
    activation,
    activity,
    values,
    penalty,
    slope,
    biased,
    tolerance,
    n_starts,
    seed,
    depth,
    their_loss,
    **reading,
):
    """Say what the trained weights in FILE (.npz, .npy, .safetensors, PyTorch's) are.

    Prints their exact loss and its parts, their phase, the minimum that they are nearest to, whether they have converged to it,
    and whether it is the global one; of several models, a table. All of it holds for the law that the options from --activity to
    --biased give: without them, independent features that are uniform on [0, 1] where they are active. Formats are told by
    content; pickles are not read.
    """
    from .._arguments import real_number
    from .._inspection_report import depth_words
    from .._inspection_report import law as law_words
    from ..ensembles import UntiedEnsemble, inspect_many
    from ..inspection import UntiedInspection, as_tied
    from ..inspection import inspect as inspection_of
    from ..weight_files import read_weights
    from . import inspection_printing as printed
    from .loss_conventions import loss_conventions, told
    from .printing import barrier_facts

    if their_loss is not None:
        real_number("their_loss", their_loss, "positive and finite", lambda x: x > 0)
    found = read_weights(file, **reading)
    said = {"source": found.source, "layout": found.layout, "unused": list(found.unused)}
    if found.doubt is not None:
        phases = printed.phases_of(found, tolerance)
        yield Answer(
            text=lambda: printed.doubt_text(found, phases),
            facts=lambda: said | {"doubt": found.doubt, "phases": phases},
            status=1,
        )
        return
    many, untied = found.weights.ndim > 2, found.decoder is not None
    for one in [path for path in click.get_current_context().params["output"] if path.endswith(PICTURES)] + ["depth"] * depth:
        what = "depth" if one == "depth" else "output"
        if many:
            raise ValueError(f"{what} must be of one model: index must choose one of {found.weights.shape[:-2]}")
        if untied and as_tied(found.decoder, found.weights) is None:
            raise ValueError(
                f"{what} must be of tied weights: of untied ones there is neither a picture nor a depth, got {one!r}"
            )
    weights = found.weights.reshape(-1, *found.weights.shape[-2:])
    decoders = found.decoder.reshape(-1, *found.decoder.shape[-2:]) if untied else None
    law = {"activity": activity, "values": values, "penalty": penalty, "slope": slope, "biased": biased}
    models = _models(found, len(weights), importance, density, activation, law)
    own = "; ".join(models[0].law().values())
    if found.law not in (None, own):
        options = "--activity, --values, --penalty, --slope, --no-biased"
        raise ValueError(f"weights must be judged by their own law ({options}): {file!r} says: {found.law}; got {own}")
    each = list(zip(decoders, weights, strict=True)) if untied else weights
    bias, said["source"] = _biases(models, each, found, reading["bias"])
    options = {"tolerance": tolerance, "n_starts": n_starts, "seed": seed}
    if many:
        result = inspect_many(models, (decoders, weights) if untied else weights, bias, **options)
    else:
        result = inspection_of(models[0], each[0], bias[0], **options)
    still = isinstance(result, UntiedInspection | UntiedEnsemble)
    if untied and not still:
        said["source"] += (
            "; the decoder is the encoder's transpose in another basis of the hidden space: judged as the tied model"
        )
    conventions = loss_conventions(models, result.feature_loss.reshape(len(models), -1))
    theirs = [] if their_loss is None else told(conventions, their_loss)
    said |= {"law": law_words(models)}
    said |= {} if their_loss is None else {"their_loss": their_loss, "conventions": conventions, "told": theirs}
    one_facts = printed.untied_facts if still else printed.inspection_facts
    facts = {"models": result.facts()} if many else one_facts(result)
    rows = facts["models"] if many else [facts]
    notes = [printed.NO_BIAS] * (found.bias is None and reading["bias"] is None) + theirs
    if depth:
        barrier = result.depth()
        notes.insert(0, depth_words(result, barrier))
        facts["depth"] = barrier_facts(barrier)
    yield Answer(
        text=lambda: result.text(source=said["source"], notes=notes),
        facts=lambda: said | facts,
        figure=drawn("inspection_figure", result),
        rows=lambda: [{name: one for name, one in row.items() if not isinstance(one, dict) and name != "minima"} for row in rows],
    )


def _models(found, n_models, importance, density, activation, law):
    """The ToyModel of every model of a file, by the options or, where they are not given, by the file."""
    import numpy as np

    from .planes import toy

    n_hidden, n_features = found.weights.shape[-2:]
    if importance is None:
        importances = np.ones((n_models, n_features)) if found.importance is None else found.importance
    else:
        importances = np.broadcast_to(importance_of(importance, n_features), (n_models, n_features))
    if density is None and found.density is None:
        raise ValueError("density must be given (--density): the file holds none")
    densities = found.density
    if density is not None:
        density = density(n_models if n_models > 1 else n_features) if callable(density) else density
        if len(density) not in (1, n_models, n_features):
            counts = f"one number, {n_models} for the models or" if n_models > 1 else "one number or"
            raise ValueError(f"density must be {counts} {n_features} for the features, got {len(density)}")
        if len(density) == n_models == n_features > 1:
            raise ValueError(
                f"density must be one number where there are as many models as features, got {len(density)}: take an index"
            )
        by_model = len(density) == n_models
        densities = np.broadcast_to(np.reshape(density, (-1, 1) if by_model else (1, -1)), (n_models, n_features))
    importances, densities = (np.reshape(x, (n_models, n_features)) for x in (importances, densities))
    activation = activation or found.activation or "relu"
    return [
        toy(n_hidden, own, dense[0] if np.all(dense == dense[0]) else dense, activation, **law)
        for own, dense in zip(importances, densities, strict=True)
    ]


def _biases(models, weights, found, wish):
    """The biases (n_models, n_features) that the file or the user gives, and the words on where everything comes from."""
    import numpy as np

    if found.bias is not None:
        return found.bias.reshape(len(models), -1), found.source
    if wish == "optimal":
        from ..biases import optimal_bias

        best = [optimal_bias(model, one) for model, one in zip(models, weights, strict=True)]
        return np.array(best), f"{found.source}; bias the best for these weights"
    return np.zeros((len(models), models[0].n_features)), f"{found.source}; bias zero" + ("" if wish else " (none in the file)")
