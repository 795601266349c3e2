"""What the command line prints: results as tables a person can read, and as plain facts for JSON."""

from functools import wraps

import numpy as np

NO_BOUNDARY = "\nNo boundary: one minimum is the lowest everywhere."


def text(lines):
    """Of a function that yields lines, make one that returns them as one text."""
    return wraps(lines)(lambda *given, **options: "\n".join(lines(*given, **options)))


def _listed(result, *names):
    """Arrays of a result as plain lists, by name."""
    return {name: getattr(result, name).tolist() for name in names}


def diagram_facts(result):
    """A diagram with its grids, and its curves or what made its models and the loss and phase of each, as lists and numbers."""
    axes = {name: values.tolist() for name, values in _axes(result)}
    grids = axes | _listed(result, "phase", "extra", "loss", "feature_norm", "interference", "converged")
    models = result.trained
    if models is None:
        return curve_facts(result) | grids
    facts = _head_facts(result) | {"options": dict(models.options)} | _listed(models, "metastable_fraction")
    of_seeds = _listed(models, "loss", "phase", "feature_norm", "interference", "kept")
    return facts | {f"seed_{name}": values for name, values in of_seeds.items()} | grids


def curve_facts(result):
    """The boundaries, triple points and, where it has them, spinodals of a diagram as plain lists and numbers."""
    if result.crossings:
        own = {"boundaries": [b.facts() for b in result.crossings]}
        return _head_facts(result) | own | {"triple_points": [t.facts() for t in result.triple_points()]}
    return _head_facts(result) | ({} if result.curves is None else result.curves.facts())


@text
def cells_text(result):
    """Which phases cover the diagram, and what made its models."""
    yield _head(result)
    names, counts = np.unique(result.phase.astype(str), return_counts=True)
    width = max(map(len, names))
    for count, name in sorted(zip(counts, names, strict=True), reverse=True):
        yield f"  {name:<{width}}  {100 * count / result.phase.size:5.1f} % of the cells"
    if result.trained is not None:
        models = result.trained
        others = f"{100 * models.metastable_fraction.mean():.1f} % ended in another phase than the best of their cell"
        yield f"  {models.loss.size} models, {models.loss.shape[-1]} a cell; {others}"
        yield f"  phases are those of the lowest exact loss; at most {100 * models.excess.max():.2g} % above its basin's bottom"


@text
def ends_text(result):
    """Where the boundaries of a diagram begin and end, and where they meet."""
    for b in result.boundaries():
        first, last = (_place(result, b.x[k], b.y[k], ".6g") for k in (0, -1))
        where = f"from ({first}) to ({last})" if b.x.size > 1 else f"at {_place(result, b.x[0], b.y[0], '.12g')}"
        yield f"  {_kind(b)}: {_pair(b)}, {where}"
    for t in result.triple_points():
        yield f"  {_meeting(t)} at {_place(result, t.x, t.y, '.12g')}"
    if not result.boundaries():
        yield "  no boundary: one minimum is the lowest everywhere"


@text
def diagram_text(result):
    """Both of what is known of cells and of curves."""
    yield cells_text(result)
    if result.curves is not None:
        yield ends_text(result)


def model_facts(model):
    """What a model is, as plain lists and numbers."""
    facts = model.form.size_facts()
    law = {name: getattr(model, name, None) for name in ("activity", "values", "penalty", "slope")}
    law = {name: value if isinstance(value, str | float | None) else str(value) for name, value in law.items()}
    law["biased"] = getattr(model, "biased", True)
    return facts | {"importance": model.importance.tolist(), "density": model.feature_density.tolist()} | law


def run_facts(run, phases):
    """Trained models as plain lists and numbers, lowest loss first."""
    order = np.argsort(run.loss, kind="stable")
    facts = {"model": model_facts(run.model), "phase": [phases[k].name for k in order]}
    facts |= {name: getattr(run, name)[order].tolist() for name in ("loss", "gradient_norm", "weights", "bias")}
    return facts | {"recorded_steps": run.recorded_steps.tolist(), "loss_curve": run.loss_curve[:, order].tolist()}


def by_model(facts):
    """The facts of trained models, a dict for each."""
    names = ("phase", "loss", "gradient_norm", "weights", "bias")
    return [dict(zip(names, row, strict=True)) for row in zip(*(facts[name] for name in names), strict=True)]


def _model_words(model):
    """What a model is, in words."""
    from .._inspection_report import shortly

    importance, density = (shortly(np.atleast_1d(x)) for x in (model.importance, model.density))
    law = "" if model.form.is_default else "; " + "; ".join(model.law().values())
    return f"{model.n_features} → {model.n_hidden} ({model.form.kind}): importance {importance}; density {density}{law}"


@text
def run_text(run, phases, *, most=20):
    """How many models ended in each phase, and the losses of the best ones."""
    yield _model_words(run.model)
    names, lowest = np.array([phase.name for phase in phases]), run.loss.min()
    width = max(map(len, names))
    yield f"\n{'phase':<{width}}  {'models':>6}  {'lowest loss':>13}  {'median':>13}"
    for name in sorted(set(names.tolist()), key=lambda name: run.loss[names == name].min()):
        own = run.loss[names == name]
        yield f"{name:<{width}}  {own.size:6d}  {own.min():13.8g}  {np.median(own):13.8g}"
    yield f"\n{'model':>5}  {'loss':>13}  {'above lowest':>12}  {'gradient':>9}  phase"
    order = np.argsort(run.loss, kind="stable")
    for k in order[:most]:
        above = f"{100 * (run.loss[k] / lowest - 1):.3g} %"
        yield f"{k:5d}  {run.loss[k]:13.8g}  {above:>12}  {run.gradient_norm[k]:9.1e}  {names[k]}"
    if order.size > most:
        yield f"… and {order.size - most} more"


@text
def curves_text(result):
    """The solved boundaries of a diagram: kind, ends, latent loss, some points, spinodals; then the triple points."""
    yield _head(result)
    if result.has_boundaries and not result.follows_boundaries:
        yield from _crossing_lines(result)
        yield from _triple_lines(result)
        return
    for b in result.boundaries():
        yield f"\n{_kind(b)}\n    {b.phases[0]}\n    {b.phases[1]}"
        names = [axis.name for axis, _ in _coordinates(result, b.x, b.y)]
        yield f"  {'  '.join(f'{name:>14}' for name in names)}  {'latent loss':>12}"
        shown = np.unique(np.linspace(0, b.x.size - 1, min(b.x.size, 7)).round().astype(int))
        for k in shown:
            end = b.ends[0] if k == 0 else b.ends[-1] if k == b.x.size - 1 else ""
            values = "  ".join(f"{values[k]:14.10f}" for _, values in _coordinates(result, b.x, b.y))
            yield f"  {values}  {b.latent_loss[k]:12.6g}  {end}".rstrip()
        if b.order == "first":
            yield f"  latent loss {b.latent_loss.min():.6g} to {b.latent_loss.max():.6g}"
        for s in b.spinodals:
            yield _spinodal_line(result, s.phase, s.x, s.y)
    yield from _triple_lines(result)
    if not result.boundaries():
        yield NO_BOUNDARY


def _triple_lines(result):
    """The points of a diagram in which curves meet."""
    for t in result.triple_points():
        yield f"\n{_meeting(t)} at {_place(result, t.x, t.y, '.10f', ' = ')}"
        for phase in t.phases:
            yield f"    {phase}"


def _spinodal_line(result, phase, x, y):
    """Which phase ends on a spinodal, and from where to where it runs; x, y (n_points,)."""
    places = _coordinates(result, x, y)
    return f"  spinodal of {phase}: " + ", ".join(f"{axis.name} {u.min():.6g} to {u.max():.6g}" for axis, u in places)


def _crossing_lines(result):
    """The crossings of the boundaries of neurons."""
    if not result.crossings:
        yield NO_BOUNDARY
    for b in result.crossings:
        yield f"\n{_kind(b)}\n    {b.phases[0]}\n    {b.phases[1]}"
        places = _coordinates(result, b.x, b.y)
        yield f"  {'  '.join(f'{axis.name:>14}' for axis, _ in places)}  {'largest change':>14}"
        for k, row in enumerate(b.rows()):
            values = "  ".join(f"{values[k]:14.10f}" for _, values in places)
            yield f"  {values}  {b.jump[k]:14.4g}  {row['end']}".rstrip()
        for phase, ends in zip(b.phases, b.spinodals.swapaxes(0, 1), strict=True) if b.order == "first" else ():
            known = ends[~np.isnan(ends[:, 0])]
            if len(known):
                yield _spinodal_line(result, phase, *known.T)


def crossing_rows(result):
    """A row for each point of the boundaries of neurons, a list of dict."""
    return [{"curve": k} | row for k, b in enumerate(result.crossings) for row in b.rows()]


def equation_facts(boundaries, triples, *, latex):
    """The frozen theory's exact boundaries and triple points as text in plain lists."""
    kinds = {
        "boundaries": (boundaries, ("phases", "patterns", "equation", "importance", "density")),
        "triple_points": (triples, ("importance", "density", "phases")),
    }
    return {
        kind: [{name: _written(getattr(one, name), latex) for name in names} for one in found]
        for kind, (found, names) in kinds.items()
    }


@text
def equations_text(n_features, n_hidden, activation, *, found, latex):
    """The frozen theory's exact boundaries and triple points."""
    boundaries, triples = found
    yield f"{n_features} → {n_hidden}, frozen theory ({activation})"
    for b in boundaries:
        yield f"\n{b.patterns[0]}   {b.phases[0]}\n{b.patterns[1]}   {b.phases[1]}\n    {_written(b.equation, latex)}"
        ranges = [
            f"{name} from {_written(low, latex)} to {_written(high, latex)}"
            for name, (low, high) in (("importance", b.importance), ("density", b.density))
            if low != high
        ]
        yield "    " + ", ".join(ranges)
    for t in triples:
        place = f"importance = {_written(t.importance, latex)}, density = {_written(t.density, latex)}"
        yield f"\n{len(t.phases)} phases meet at {place}"
        for pattern, phase in zip(t.patterns, t.phases, strict=True):
            yield f"    {pattern}   {phase}"
    if not boundaries:
        yield "\nNo boundary: one phase has the lowest loss everywhere."


def minimum_facts(minimum):
    """A minimum as plain lists and numbers."""
    facts = {"phase": minimum.phase.name, "extra": minimum.phase.extra}
    facts |= {name: getattr(minimum, name) for name in ("loss", "is_global", "converged", "gradient_norm", "curvature")}
    facts |= {"hits": minimum.hits, "unseen": minimum.unseen, "valley": minimum.valley, "tied": list(minimum.tied)}
    return facts | _listed(minimum, "weights", "bias", "feature_loss", "feature_norm", "interference", "feature_dimensionality")


def barrier_facts(barrier):
    """A Barrier as plain lists and numbers; null where there is none."""
    if barrier is None:
        return None
    facts = {name: getattr(barrier, name) for name in ("height", "loss", "index", "n_passes", "n_climbs")}
    return facts | {"phases": list(barrier.phases)} | _listed(barrier, "heights", "weights", "bias", "path_loss")


@text
def minima_text(model, minima, passes=()):
    """The minima of a model, lowest first, with the columns of W and the biases of each, and the passes out of them if known."""
    yield _model_words(model)
    plural = "minimum" if len(minima) == 1 else "minima"
    unseen = f"; {100 * minima[0].unseen:.2g} % of further starts would find others (estimate)" if minima else ""
    yield f"{len(minima)} local {plural}, lowest first{unseen}"
    for k, minimum in enumerate(minima, start=1):
        beyond, lowest = minimum.loss - minima[0].loss, minima[0].loss
        share = f"{100 * beyond / lowest:.4g} %" if lowest else f"{beyond:.4g}"
        state = f"metastable, {share} higher" if beyond > 0 else "lowest found"
        if not minimum.converged:
            state += ", NOT CONVERGED"
        yield f"\n{k}. {minimum.phase.name}"
        if minimum.valley:
            yield f"   one of a valley of {minimum.valley} dimensions, in which tie: {', '.join(minimum.tied)}"
        yield f"   loss {minimum.loss:.12g} ({state})"
        yield f"   gradient {minimum.gradient_norm:.1e}, lowest curvature {minimum.curvature:.4g}, {minimum.hits} descents"
        for one in [passes[k - 1]] if len(passes) and passes[k - 1] else []:
            depth = f"{one.height:.6g} deep ({100 * one.height / minimum.loss:.2g} % of its loss)"
            yield f"   {depth}: lowest of {one.n_passes} passes found, by {one.n_climbs} climbs, on the way to {one.phases[-1]}"
        rows = "".join(f"{f'W{row + 1}':>10}" for row in range(model.n_hidden))
        yield f"   {'feature':<8}{rows}{'bias':>10}{'norm':>10}{'interf.':>10}{'own loss':>12}"
        for i in range(model.n_features):
            name = "extra" if i == model.n_features - 1 else str(i + 1)
            numbers = [*minimum.weights[:, i], minimum.bias[i], minimum.feature_norm[i], minimum.interference[i]]
            row = "".join(f"{x + 0.0:10.5f}" for x in np.round(numbers, 5))
            yield f"   {name:<8}{row}{minimum.feature_loss[i]:12.4e}"


def certificate_facts(proved, checked=None):
    """A certificate, and whether it is confirmed where it has been checked, as plain lists and numbers."""
    names = ("status", "loss_lower", "loss_upper", "relative_gap", "phase_certified", "n_boxes", "arithmetic", "tolerance")
    facts = {name: getattr(proved, name) for name in names} | {"phases": list(proved.phases)}
    facts["minimizers"] = [{"phase": x.phase, "unique": x.unique} | _listed(x, "weights", "bias") for x in proved.minimizers]
    return facts if checked is None else facts | {"confirmed": checked.confirmed, "checked_in": checked.arithmetic}


@text
def certificate_text(proved, checked=None):
    """What is proved of the least loss and of the phase of the global minimum."""
    yield f"{_model_words(proved.model)}: {proved.status}, {proved.n_boxes} boxes, {proved.arithmetic}"
    yield f"   no loss is below {proved.loss_lower:.12g}; {proved.loss_upper:.12g} is reached (gap {proved.relative_gap:.1e})"
    if proved.phase_certified:
        yield f"   every global minimum: {proved.phases[0]}"
    elif proved.phases:
        yield f"   every global minimum is one of: {', '.join(proved.phases)}"
    for box in proved.minimizers:
        rows = "; ".join(
            " ".join(f"[{x:.6f}, {y:.6f}]" for x, y in zip(low, high, strict=True))
            for low, high in zip(*box.weights, strict=True)
        )
        count = "exactly one" if box.unique else "those"
        yield f"   {count} with W in {rows}: {box.phase or 'phase not told'}"
    if checked is not None:
        yield f"   {'confirmed' if checked else 'NOT CONFIRMED'} in {checked.arithmetic} arithmetic, {checked.n_leaves} leaves"


def unconverged(result, most=3):
    """Complaints of a diagram: which cells have not converged, a tuple of str."""
    cells = np.argwhere(~result.converged)
    if not len(cells):
        return ()
    places = [_place(result, result.x[k], result.y[i], ".4g") for i, k in cells[:most]]
    more = f"; and {len(cells) - most} more" if len(cells) > most else ""
    have = "has" if len(cells) == 1 else "have"
    return (f"{len(cells)} of {result.converged.size} cells {have} not converged: {'; '.join(places)}{more}",)


def _head_facts(result):
    """What a diagram is of, as plain facts."""
    return {"model": result.plane.form.size_facts() | result.plane.law, "theory": result.theory}


def _head(result):
    """What a diagram is of, in words."""
    what = f"{result.n_features} → {result.n_hidden}, {result.theory} {'theory' if result.trained is None else 'models'}"
    axes = _coordinates(result, result.x, result.y)
    ends = (f"{axis.name} {values[0]:g} to {values[-1]:g}" for axis, values in axes)
    law = "" if result.plane.is_plain else "; " + "; ".join(result.plane.law.values())
    return f"{what} ({result.plane.form.kind}): {', '.join(ends)}{law}"


def _axes(result):
    """The axes of a diagram, their names and values."""
    return tuple((axis.name, axis.values) for axis in (result.plane.x, result.plane.y))


def _place(result, x, y, form, between=" "):
    """A point of a diagram's plane in words."""
    return ", ".join(f"{axis.name}{between}{value:{form}}" for axis, value in _coordinates(result, x, y))


def _coordinates(result, x, y):
    """Both axes of a diagram with the values of a point or curve along them; of a line that along it."""
    pairs = [(result.plane.x, x), (result.plane.y, y)]
    return pairs[: 1 if result.plane.y.name == "line" else 2]


def _kind(boundary):
    """The kind of a boundary in words."""
    return {"first": "first-order boundary", "continuous": "continuous boundary"}[boundary.order]


def _pair(boundary):
    """The phases that a boundary separates in words."""
    if boundary.phases[0] == boundary.phases[1]:
        return f"two minima of {boundary.phases[0]}"
    return f"{boundary.phases[0]} | {boundary.phases[1]}"


def _meeting(triple):
    """What meets in a triple point in words."""
    if len(triple.phases) == 1:
        return f"minima of one phase, {triple.phases[0]}, meet"
    return f"{len(triple.phases)} phases meet" if len(triple.phases) > 2 else f"minima of {' and '.join(triple.phases)} meet"


def _written(expression, latex):
    """A sympy expression as text, or as LaTeX; of several a list, and text as it is."""
    import sympy

    if isinstance(expression, tuple):
        return [_written(one, latex) for one in expression]
    if isinstance(expression, str):
        return expression
    if latex:
        return sympy.latex(expression)
    text = str(expression) if not isinstance(expression, sympy.Eq) else f"{expression.lhs} = {expression.rhs}"
    return text.replace("**", "^").replace("*", "·").replace("oo", "∞")
