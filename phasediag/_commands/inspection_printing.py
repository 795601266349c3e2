"""What "phasediag inspect" prints: an Inspection as tables a person can read, and as plain facts for JSON."""

import numpy as np

from .._minimizing.stationary_points import SAME_LOSS
from ..inspection import SETTLED
from ..minima import MOST_ENUMERATED
from ..phases import classify_many
from ..trained_models import MOST_LEFT
from .printing import minimum_facts, model_facts, text

MOST_ROWS = 20
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


def law(models):
    """What inputs the verdicts hold for, in words."""
    densities = np.unique([model.feature_density for model in models])
    density = f"{densities[0]:g}" if len(densities) == 1 else f"{densities[0]:g} to {densities[-1]:g}"
    return f"independent features, each active with probability (density) {density} and then uniform on [0, 1]"


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


@text
def ensemble_text(result, source, theirs, no_bias):
    """An Ensemble: what was read, the table, and what it holds for."""
    yield source
    yield f"{result.weights.shape[2]} → {result.weights.shape[1]} ({result.models[0].activation})\n"
    yield result.text()
    yield f"\nall of it for {law(result.models)}"
    yield from theirs
    yield from [NO_BIAS] * no_bias


@text
def inspection_text(result, source, theirs=(), no_bias=False):
    """An inspection: what was read, the verdict, the features, and the minima."""
    model = result.model
    yield from _head(model, source)
    yield f"\nphase     {result.phase.name}  (norms and cosines below {result.tolerance:g} count as 0)"
    yield from _loss(result)
    yield from _verdict([*verdict(result), f"for {law([model])}", *[NO_BIAS] * no_bias, *theirs])
    yield from _features(result)
    yield from _minima(result)


@text
def untied_text(result, source, theirs=(), no_bias=False):
    """An inspection of untied weights: what was read, the loss, how it compares with tied weights, and the features."""
    model = result.model
    yield from _head(model, source)
    yield f"\nuntied    decoder · encoder differs from its transpose by {_percent(result.asymmetry)} of its largest entry"
    yield from _loss(result)
    yield from _verdict([*untied_verdict(result), f"for {law([model])}", *[NO_BIAS] * no_bias, *theirs])
    weighted = model.importance * result.feature_loss
    columns = [result.bias, result.feature_loss, 100 * weighted / result.loss]
    yield from _rows(model.n_features, ("bias", "own loss", "% of the loss"), columns, ".5f")


def untied_verdict(result):
    """Return in sentences how untied weights compare with tied ones, what is not known, and what is the matter with them."""
    sentences = ["stationary" if result.gradient_norm <= SETTLED else "NOT STATIONARY: the gradient is not 0"]
    sentences[0] += "; minima of untied weights are not searched for: how low they can be is not known"
    if result.minima is None:
        sentences.append(f"nor are those of tied weights: that is done for up to {MOST_ENUMERATED} features")
    elif not result.minima:
        sentences.append("no minimum of tied weights was found")
    else:
        lowest = result.minima[0]
        where = f"the lowest minimum found of tied weights ({lowest.phase.name}, loss {lowest.loss:.6g})"
        sentences.append(f"{_percent(abs(result.gap) / lowest.loss)} {'above' if result.gap > 0 else 'below'} {where}")
        if result.gap > SAME_LOSS * lowest.loss:
            sentences.append("NO GLOBAL MINIMUM: tied weights are among the untied ones, and these do better")
    if result.dead_outputs:
        names = ", ".join(_name(i, result.model.n_features) for i in result.dead_outputs)
        sentences.append(f"DEAD OUTPUTS: {names}; 0 for every input: no gradient reaches them")
    return sentences


def _head(model, source):
    """What was read, and the model for which it is judged."""
    importance, density = (_short(x) for x in (model.importance, np.atleast_1d(model.density)))
    yield source
    yield f"{model.n_features} → {model.n_hidden} ({model.activation}): importance {importance}; density {density}"


def _loss(result):
    """The loss and the gradient."""
    n = result.model.n_features
    yield f"loss      {result.loss:.12g} ± {result.loss_error:.0e}  (divided by {n} features: {result.loss / n:.6g})"
    yield f"gradient  {result.gradient_norm:.1e}  (largest entry, of the loss divided by that of x' = 0; 0 at a minimum)"


def _verdict(sentences):
    """Sentences one below the other, the first beside the word "verdict"."""
    for k, line in enumerate(sentences):
        yield f"{'verdict' if k == 0 else '':<10}{line}"


def verdict(result):
    """Return in sentences whether the weights have converged, to what, and what is the matter with them."""
    above = f"{_percent(result.excess)} above the bottom of their basin"
    if result.nearest.gradient_norm > SETTLED:
        above = f"more than {above}, which the descent has not reached"
    limit = f"(a converged model lies at most {_percent(MOST_LEFT)} above it)"
    sentences = [f"converged: {above}" if result.converged else f"NOT CONVERGED: {above} {limit}"]
    if result.plateau:
        sentences = [f"ON A PLATEAU: {_percent(result.excess)} above where the descent ends, which is no minimum"]
    if result.minima is None:
        sentences.append(
            f"whether that bottom is the global minimum is not known: that is searched for up to {MOST_ENUMERATED} features"
        )
    elif not result.minima:
        sentences.append("no minimum was found")
    elif result.metastable:
        lowest = result.minima[0]
        what = "METASTABLE: that bottom is" if any(m is result.nearest for m in result.minima) else "no minimum: the descent ends"
        sentences.append(f"{what} {_percent(result.nearest.loss / lowest.loss - 1)} above the global minimum")
        sentences.append(f"global minimum: {lowest.phase.name}")
        sentences.append(f"gap to it: {result.gap:.4g}, {_percent(result.gap / lowest.loss)}")
    else:
        sentences.append("that bottom is the global minimum")
    for where, dead in (("", result.dead_outputs), (" where the descent ends", result.plateau)):
        if dead and (not where or dead != result.dead_outputs):
            names = ", ".join(_name(i, result.model.n_features) for i in dead)
            sentences.append(
                f"DEAD OUTPUTS{where}: {names}; 0 for every input: no gradient reaches them, a plateau and no minimum"
            )
    return sentences


def _features(result):
    """Each feature's numbers, and its shares of the loss."""
    model, terms, weighted = result.model, result.terms, result.model.importance * result.feature_loss
    yield from _rows(
        model.n_features,
        ("norm", "interference", "dimensions", "bias", "own loss"),
        [result.feature_norm, result.interference, result.feature_dimensionality, result.bias, result.feature_loss],
        ".5f",
    )
    parts = {"in all": weighted, "benefit": terms.benefit, "interference": terms.interference, "bias": terms.bias_part}
    meaning = "by feature"
    if model.is_relu:
        parts["2+ active"] = weighted - terms.benefit - terms.interference - terms.bias_part
        meaning = "by output; only it active: benefit, only another: interference, none: bias, two or more"
    yield f"\nshares of the loss in per cent, {meaning}"
    shares = [100 * np.append(part, part.sum()) / result.loss for part in parts.values()]
    yield from _rows(model.n_features, parts, shares, ".2f")
    yield f"{'sum':<8}" + "".join(f"{share[-1]:14.2f}" for share in shares)


def _rows(n_features, heads, columns, form):
    """A table with a row for each feature."""
    yield f"\n{'feature':<8}" + "".join(f"{head:>14}" for head in heads)
    for i in range(min(n_features, MOST_ROWS)):
        numbers = (format(round(column[i], 8) + 0.0, form) for column in columns)
        yield f"{_name(i, n_features):<8}" + "".join(f"{number:>14}" for number in numbers)
    if n_features > MOST_ROWS:
        yield f"… and {n_features - MOST_ROWS} more"


def _minima(result):
    """The nearest minimum and the list of all minima, lowest first."""
    nearest = result.nearest
    yield f"\nnearest minimum  {nearest.phase.name}"
    curvature = "unknown" if np.isnan(nearest.curvature) else f"{nearest.curvature:.4g}"
    yield f"   loss {nearest.loss:.12g}, at distance {result.distance:.3g}"
    yield f"   gradient {nearest.gradient_norm:.1e}, lowest curvature {curvature}"
    if result.minima is None:
        return
    plural = "minimum" if len(result.minima) == 1 else "minima"
    yield f"\n{len(result.minima)} local {plural} found, lowest first"
    for k, minimum in enumerate(result.minima, start=1):
        higher = _percent(minimum.loss / result.minima[0].loss - 1)
        mark = "  <- nearest" if minimum is nearest else ""
        yield f"{k:3d}.  {minimum.loss:14.10g}  {'+' + higher:>10}  {minimum.phase.name}{mark}"


def _name(i, n_features):
    """The number of feature i in a table; the last one is the extra one."""
    return "extra" if i == n_features - 1 else str(i + 1)


def _percent(share):
    """A share in per cent."""
    return f"{100 * share:.3g} %"


def _short(values):
    """Numbers as text; a long list is cut."""
    if np.ptp(values) == 0 and len(values) > 8:
        return f"{values[0]:g} each"
    texts = [f"{x:g}" for x in values]
    return ", ".join(texts if len(texts) <= MOST_ROWS else [*texts[:3], "…", texts[-1]])
