"""The reports of inspections, of one model with tied or with untied weights and of many, as text."""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from ._minimizing.stationary_points import NEGLIGIBLE, SAME_LOSS
from .minima import MOST_ENUMERATED
from .trained_models import MOST_LEFT, SETTLED

MOST_ROWS = 20
VALUES = {"uniform": "uniform on [0, 1]", "binary": "1", "signed": "uniform on [−1, 1]"}


class Reported:
    """A result with a report of lines: those of ``_lines(result, source, notes)``."""

    _lines: ClassVar[Any]

    def text(self, *, source: str = "", notes: Sequence[str] = ()) -> str:
        """Return the report that ``phasediag inspect`` prints.

        Parameters
        ----------
        source : str
            What the weights are and where they come from: the first line.
        notes : sequence of str
            Sentences beside the verdict.

        Returns
        -------
        str
        """
        return "\n".join(type(self)._lines(self, source, notes))


def inspection_lines(result, source, notes):
    """An inspection: what was read, the verdict, the features, and the minima."""
    model = result.model
    yield from _head(model, source)
    yield f"\nphase     {result.phase.name}  (norms and cosines below {result.tolerance:g} count as 0)"
    yield from _loss(result)
    yield from _verdict([*verdict(result), f"for {law([model])}", *notes])
    yield from _features(result)
    yield from _minima(result)


def untied_lines(result, source, notes):
    """An inspection of untied weights: what was read, the loss, how it compares with tied weights, and the features."""
    model = result.model
    yield from _head(model, source)
    yield f"\nuntied    decoder · encoder differs from its transpose by {_percent(result.asymmetry)} of its largest entry"
    yield from _loss(result)
    yield from _verdict([*untied_verdict(result), f"for {law([model])}", *notes])
    weighted = model.importance * result.feature_loss
    columns = [result.bias, result.feature_loss, 100 * weighted / (result.loss or 1.0)]
    yield from _rows(model.n_features, ("bias", "own loss", "% of the loss"), columns, ".5f")


def ensemble_lines(result, source, notes):
    """An Ensemble: what was read, a row for each model, how many there are of each phase, and what it holds for."""
    above = [_above(*one) for one in zip(result.gap, result.lowest, result.models, strict=True)]
    marks = [["not converged"] * (not well) for well in result.converged]
    for mark, metastable, lower in zip(marks, result.metastable, result.lowest_phase, strict=True):
        mark += [f"metastable: {lower} is lower"] * bool(metastable)
    said = [f"{phase}  ({'; '.join(mark)})" if mark else phase for phase, mark in zip(result.phase, marks, strict=True)]
    columns = [f"{100 * excess:.3g} %" for excess in result.excess], above, said
    yield from _table(result, source, ("above its\nbasin", "above the\nlowest", "phase"), columns)
    names, counts = np.unique(result.phase.astype(str), return_counts=True)
    yield from (f"{counts[k]:5d}  {names[k]}" for k in np.argsort(-counts, kind="stable"))
    verdicts = f"{int(result.metastable.sum())} metastable, {int((~result.converged).sum())} not converged"
    yield f"{len(result.models):5d}  models; {verdicts}"
    yield from _held(result, notes)


def untied_ensemble_lines(result, source, notes):
    """An UntiedEnsemble: what was read, a row for each model, and what it holds for."""
    above = [_above(*one) for one in zip(result.gap, result.lowest, result.models, strict=True)]
    said = ["" if still else "not stationary" for still in result.gradient_norm <= SETTLED]
    columns = [f"{100 * one:.3g} %" for one in result.asymmetry], above, said
    yield from _table(result, source, ("asymmetry", "above the\nlowest", ""), columns)
    below = f"{int((result.gap < 0).sum())} below the lowest minimum found of tied weights"
    still = f"{int((result.gradient_norm > SETTLED).sum())} not stationary"
    yield f"{len(result.models):5d}  models with untied weights; {below}, {still}"
    yield '"lowest" is that minimum; those of untied weights are not searched for: how low they can be is not known'
    yield from _held(result, notes)


def _table(result, source, heads, columns):
    """What was read, the kind of model, and a row of each model's density, loss and three columns of texts."""
    model = result.models[0]
    yield from [source] * bool(source)
    yield f"{model.n_features} → {model.n_hidden} ({model.activation})\n"
    for line in range(2):
        first, second, last = ((*head.split("\n"), "")[line] for head in heads)
        names = ("model", "density", "loss") if line == 0 else ("", "", "")
        yield f"{names[0]:>5}  {names[1]:>9}  {names[2]:>13}  {first:>9}  {second:>9}  {last}".rstrip()
    for k, (one, first, second, last) in enumerate(zip(result.models, *columns, strict=True)):
        density = f"{one.feature_density[0]:.4g}" if np.ptp(one.feature_density) == 0 else "varied"
        yield f"{k:5d}  {density:>9}  {result.loss[k]:13.8g}  {first:>9}  {second:>9}  {last}".rstrip()
    yield ""


def _held(result, notes):
    """What all of a table holds for, and notes."""
    yield f"\nall of it for {law(result.models)}"
    yield from notes


def _above(gap, lowest, model):
    """By how much a loss lies above the lowest, in words."""
    return f"{100 * _part(gap, lowest, model):.3g} %" if np.isfinite(lowest) else "unknown"


def _part(gap, loss, model):
    """A gap in parts of a loss of a model, which can be 0."""
    return gap / max(loss, NEGLIGIBLE * model.loss_scale)


def depth_words(result, barrier):
    """Return in a sentence how deep the minimum is in which the descent ends, by `Inspection.depth`."""
    if barrier is not None:
        way = f"the lowest of {barrier.n_passes} passes found, on the way to {barrier.phases[-1]}"
        part = _percent(_part(barrier.height, result.nearest.loss, result.model))
        return f"depth: {barrier.height:.4g}, {part} of that bottom's loss; {way}"
    if result.minima is None:
        return f"depth: not known; lower minima are searched for up to {MOST_ENUMERATED} features"
    if result.minima and not result.metastable:
        return "depth: without end; there is no lower minimum to go to"
    return "depth: none; the descent ends in no minimum"


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
        gap = _percent(_part(abs(result.gap), lowest.loss, result.model))
        sentences.append(f"{gap} {'above' if result.gap > 0 else 'below'} {where}")
        if result.gap > SAME_LOSS * lowest.loss:
            sentences.append("NO GLOBAL MINIMUM: tied weights are among the untied ones, and these do better")
    if result.dead_outputs:
        names = ", ".join(_name(i, result.model.n_features) for i in result.dead_outputs)
        sentences.append(f"DEAD OUTPUTS: {names}; 0 for every input: no gradient reaches them")
    return sentences


def _head(model, source):
    """What was read, if anything was, and the model for which it is judged."""
    importance, density = (shortly(x) for x in (model.importance, np.atleast_1d(model.density)))
    yield from [source] * bool(source)
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
        higher = _part(result.nearest.loss - lowest.loss, lowest.loss, result.model)
        sentences.append(f"{what} {_percent(higher)} above the global minimum")
        sentences.append(f"global minimum: {lowest.phase.name}")
        sentences.append(f"gap to it: {result.gap:.4g}, {_percent(_part(result.gap, lowest.loss, result.model))}")
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
        higher = _percent(_part(minimum.loss - result.minima[0].loss, result.minima[0].loss, result.model))
        mark = "  <- nearest" if minimum is nearest else ""
        yield f"{k:3d}.  {minimum.loss:14.10g}  {'+' + higher:>10}  {minimum.phase.name}{mark}"


def _name(i, n_features):
    """The number of feature i in a table; the last one is the extra one."""
    return "extra" if i == n_features - 1 else str(i + 1)


def _percent(share):
    """A share in per cent."""
    return f"{100 * share:.3g} %"


def shortly(values):
    """Numbers as text; a long list is cut."""
    if np.ptp(values) == 0 and len(values) > 8:
        return f"{values[0]:g} each"
    texts = [f"{x:g}" for x in values]
    return ", ".join(texts if len(texts) <= MOST_ROWS else [*texts[:3], "…", texts[-1]])


def law(models):
    """What inputs the verdicts hold for, in words; all models share what is not importance or density."""
    densities, model = np.unique([model.feature_density for model in models]), models[0]
    density = f"{densities[0]:g}" if len(densities) == 1 else f"{densities[0]:g} to {densities[-1]:g}"
    who = f"features active as {model.activity!r:.80} says" if model.activity else "independent features"
    what = VALUES[model.values] if isinstance(model.values, str) else f"of {model.values!r:.80}"
    penalty = f"; {model.penalty!r} is part of the loss" if model.penalty else ""
    held = "" if model.biased else "; biases are held at 0"
    return f"{who}, each active with probability (density) {density} and then {what}{penalty}{held}"
