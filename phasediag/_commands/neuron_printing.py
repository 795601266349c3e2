"""What the command line prints of neurons: minima and trained models, as tables and as plain facts."""

import numpy as np

from .printing import _listed, _model_words, model_facts, text

FACTS = "loss", "lowest_found", "hits", "unseen", "is_attained", "gradient_norm", "curvature", "unbounded_loss"
"""What is said of a minimum beside its phase and its arrays."""


def minimum_facts(minimum):
    """A NeuronMinimum as plain lists and numbers."""
    facts = phase_facts(minimum.phase)
    facts |= {name: getattr(minimum, name) for name in FACTS}
    return facts | _listed(minimum, "encoder", "decoder", "bias", "feature_loss")


def phase_facts(phase):
    """A NeuronPhase as plain lists and numbers."""
    facts = {"phase": phase.name, "extra": phase.extra, "monosemanticity": phase.monosemanticity}
    return facts | {name: list(getattr(phase, name)) for name in ("neurons", "n_served", "features", "motifs")}


@text
def minima_text(model, minima):
    """The minima of a model of neurons, lowest first: what each neuron reads and writes, and what becomes of each feature."""
    yield _model_words(model)
    found = [minimum for minimum in minima if not minimum.is_unbounded]
    for one in minima[: len(minima) - len(found)]:
        reached = f"the loss falls below {one.loss:.8g} ({_descents(one)})"
        yield f"there is no lowest minimum: as weights grow without end {reached}"
    yield f"{len(found)} local {'minimum' if len(found) == 1 else 'minima'}, lowest first" if found else "no local minimum found"
    for k, minimum in enumerate(found, start=1):
        beyond = minimum.loss - minima[0].loss
        share = f"{100 * beyond / minima[0].loss:.4g} %" if minima[0].loss > 1e-12 else f"{beyond:.4g}"
        yield f"\n{k}. {minimum.phase.name}"
        few = "" if minimum.lowest_found else " by too few descents to tell"
        rank = f"metastable, {share} higher" if beyond else f"lowest found{few}"
        yield f"   loss {minimum.loss:.12g} ({rank}; {_descents(minimum)})"
        yield f"   gradient {minimum.gradient_norm:.1e}, lowest curvature {minimum.curvature:.4g}"
        yield from ([f"   {', '.join(minimum.phase.motifs)}"] if minimum.phase.motifs else [])
        places = ["extra" if i == model.n_features - 1 else str(i + 1) for i in range(model.n_features)]
        tied = model.task == "identity"
        heads = [f"{verb} {place}" for verb in (("W",) if tied else ("reads", "writes")) for place in places]
        yield f"   {'neuron':<8}{''.join(f'{head:>13}' for head in heads)}"
        for r, kind in enumerate(minimum.phase.neurons):
            numbers = [*minimum.encoder[r], *(() if tied else minimum.decoder[:, r])]
            yield f"   {r + 1:<8}{_row(numbers)}  {kind}"
        yield f"   {'feature':<8}{'bias':>13}{'own loss':>13}"
        for place, state, bias, loss in zip(places, minimum.phase.features, minimum.bias, minimum.feature_loss, strict=True):
            yield f"   {place:<8}{_row([bias])}{loss:13.4e}  {state}"

    if found:
        yield "\nmonosemantic: all of its reading weights and 0.9 of its squared writing weights are one feature's"
        yield f"one more descent would end elsewhere with probability {minima[0].unseen:.2g}, by those that ended alone"


def _descents(minimum):
    """How many descents ended at a minimum."""
    return f"{minimum.hits} {'descent' if minimum.hits == 1 else 'descents'}"


def _row(numbers):
    """Numbers in columns; −1e28 stands for one that falls without end."""
    return "".join(f"{x + 0.0:13.5f}" if abs(x) < 1e5 else f"{'without end':>13}" for x in np.round(numbers, 5))


def run_facts(run):
    """Trained models of neurons as plain lists and numbers, lowest loss first."""
    order = np.argsort(run.loss, kind="stable")
    facts = {name: getattr(run, name)[order].tolist() for name in ("loss", "encoder", "decoder", "bias")}
    return {"model": model_facts(run.model), "phase": [run.phases[k].name for k in order]} | facts


def by_model(facts):
    """The facts of trained models, a dict for each."""
    names = [name for name in facts if name != "model"]
    return [dict(zip(names, row, strict=True)) for row in zip(*(facts[name] for name in names), strict=True)]


@text
def run_text(run):
    """How many models of neurons ended in each phase, with how many neurons of each kind, and their losses."""
    yield _model_words(run.model)
    names = np.array([phase.name for phase in run.phases])
    width = max(map(len, names))
    yield f"\n{'phase':<{width}}  {'models':>6}  {'mono':>5}  {'poly':>5}  {'dead':>5}  {'lowest loss':>13}  {'median':>13}"
    for name in sorted(set(names.tolist()), key=lambda name: run.loss[names == name].min()):
        own = run.loss[names == name]
        phase = run.phases[int(np.flatnonzero(names == name)[0])]
        counts = "  ".join(f"{count:5d}" for count in (phase.n_monosemantic, phase.n_polysemantic, phase.n_dead))
        yield f"{name:<{width}}  {own.size:6d}  {counts}  {own.min():13.8g}  {np.median(own):13.8g}"
