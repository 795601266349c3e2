"""What the command line prints of neurons: minima and trained models, as tables and as plain facts."""

import numpy as np

from .printing import _listed, _model_words, model_facts, text


def minimum_facts(minimum):
    """A NeuronMinimum as plain lists and numbers."""
    facts = phase_facts(minimum.phase)
    facts |= {name: getattr(minimum, name) for name in ("loss", "lowest_found", "gradient_norm", "curvature", "unbounded_loss")}
    return facts | _listed(minimum, "encoder", "decoder", "bias", "feature_loss")


def phase_facts(phase):
    """A NeuronPhase as plain lists and numbers."""
    facts = {"phase": phase.name, "extra": phase.extra, "monosemanticity": phase.monosemanticity}
    return facts | {name: list(getattr(phase, name)) for name in ("neurons", "n_served", "features", "motifs")}


@text
def minima_text(model, minima):
    """The minima of a model of neurons, lowest first: what each neuron reads and writes, and what becomes of each feature."""
    yield _model_words(model)
    yield f"{len(minima)} local {'minimum' if len(minima) == 1 else 'minima'}, lowest first"
    if minima and minima[0].unbounded_loss < minima[0].loss:
        yield f"descents whose weights grow without end reach {minima[0].unbounded_loss:.8g}: no minimum is the lowest"
    for k, minimum in enumerate(minima, start=1):
        beyond = minimum.loss - minima[0].loss
        share = f"{100 * beyond / minima[0].loss:.4g} %" if minima[0].loss > 1e-12 else f"{beyond:.4g}"
        yield f"\n{k}. {minimum.phase.name}"
        yield f"   loss {minimum.loss:.12g} ({'lowest found' if minimum.lowest_found else f'metastable, {share} higher'})"
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
