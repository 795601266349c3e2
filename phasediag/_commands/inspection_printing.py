"""What "phasediag inspect" adds to the report of an inspection: plain facts for JSON, and files without a verdict."""

from ..phases import classify_many
from .printing import minimum_facts, model_facts, text

NO_BIAS = "NO BIAS in the file: all were taken as 0, which may be another model than the one that was trained (see --bias)"
ARRAYS = ("weights", "bias", "feature_loss", "feature_norm", "interference", "feature_dimensionality")
NUMBERS = ("tolerance", "loss", "loss_error", "gradient_norm", "excess", "converged", "metastable", "gap", "distance")


def inspection_facts(result):
    """An inspection as plain lists and numbers; what is unknown is null."""
    model, terms = result.model, result.terms
    facts = {"model": model_facts(model), "phase": result.phase.name, "extra": result.phase.extra}
    facts |= {name: getattr(result, name) for name in NUMBERS}
    facts |= {name: getattr(result, name).tolist() for name in ARRAYS}
    facts |= {"dead_outputs": result.dead_outputs, "plateau": result.plateau}
    facts["terms"] = {name: getattr(terms, name).tolist() for name in ("benefit", "interference", "bias_part")}
    facts["terms"]["by_active"] = None if terms.by_active is None else terms.by_active.tolist()
    facts["nearest"] = minimum_facts(result.nearest)
    facts["minima"] = None if result.minima is None else [minimum_facts(minimum) for minimum in result.minima]
    return facts


def untied_facts(result):
    """An UntiedInspection as plain lists and numbers; what is unknown is null."""
    facts = {"model": model_facts(result.model), "untied": True, "dead_outputs": result.dead_outputs}
    facts |= {name: getattr(result, name) for name in ("loss", "loss_error", "gradient_norm", "asymmetry", "gap")}
    facts |= {name: getattr(result, name).tolist() for name in ("decoder", "encoder", "bias", "feature_loss")}
    facts["minima"] = None if result.minima is None else [minimum_facts(minimum) for minimum in result.minima]
    return facts


def phases_of(found, tolerance):
    """The names of the phases of all weights in a file."""
    return [str(phase) for phase in classify_many(found.weights.reshape(-1, *found.weights.shape[-2:]), tolerance=tolerance)]


@text
def doubt_text(found, phases):
    """What is in a file of weights that may be another model's: the phases of its weights, and no verdict."""
    yield found.source
    for name in dict.fromkeys(phases):
        yield f"phase     {name}" + (f"  ({phases.count(name)} models)" if len(phases) > 1 else "")
    yield f"verdict   withheld: {found.doubt}; --decoder-name names an untied decoder, --tied reads it as a tied one all the same"
