"""The atlas of equal features: known rows, transitions by another route, limits, what is shipped."""

import json
from itertools import pairwise
from operator import attrgetter, itemgetter
from pathlib import Path

import numpy as np
import pytest
from independent_search import STARTS, bottom, lowest_point

from phasediag import ExactlyActive, ToyModel, atlas, classify, expected_loss, minimize
from phasediag._minimizing.along_density import AlongDensity
from phasediag._minimizing.flat import flatten, parts
from phasediag.density_atlas import follow, shipped_rows
from phasediag.figures import atlas_figure
from phasediag.phases import name_among_equals

ROWS = sorted(shipped_rows(), key=lambda size: (size[0], -abs(size[0] - 2 * size[1])))  # the quick ones first
DENSITIES = 0.01, 0.2, 0.5, 0.8, 0.95
SAME_LOSS = 1e-8  # relative
ALIKE = 1e-5  # norms or biases of features that are alike: 1e-8 beyond a continuous transition they differ by more


def lowest(n_features, n_hidden, density, seed, effort="normal"):
    """The name and the loss of the lowest minimum of equal features, by a search of its own."""
    one = minimize(ToyModel(n_hidden, np.ones(n_features), density), seed=seed, effort=effort)[0]
    return name_among_equals(one.phase, n_features), one.loss


@pytest.mark.quick
def test_known_row():
    """5 → 2: a pentagon, pairs, a triangle; then short columns appear, and three features share a corner."""
    row = atlas(5, 2)
    names = [phase.name for phase in row.phases]
    assert names[:3] == ["pentagon", "2 antipodal pairs + not represented", "triangle + 2 not represented"]
    assert names[3:] == ["5 features in 2 dimensions"] * 2 and "triangle 3:1:1" in row.phases[-1].shape
    assert [round(one.density, 6) for one in row.transitions[:3]] == [0.224875, 0.644240, 0.918199]
    assert [one.order for one in row.transitions] == ["first"] * (len(names) - 1)
    edges = [one.density for one in row.transitions]
    assert [phase.low for phase in row.phases] == [0.0, *edges] and [phase.high for phase in row.phases] == [*edges, 1.0]


@pytest.mark.parametrize("size", [(2, 1), (3, 1), (3, 2), (4, 2)])
def test_computed_anew(size):
    """What is shipped is what the package computes."""
    known, anew = atlas(*size), atlas(*size, shipped=False)
    assert [one.name for one in known.phases] == [one.name for one in anew.phases]
    for one, other in zip(known.transitions, anew.transitions, strict=True):
        assert one.order == other.order and one.phases == other.phases
        assert one.density == pytest.approx(other.density, rel=1e-10 if one.order == "first" else 1e-8)


@pytest.mark.parametrize(("size", "number"), [((3, 2), 0), ((3, 1), 0), ((5, 2), 0), ((5, 2), 1)])
def test_transitions_against_bisection(size, number):
    """Searches from new random starts at every density of a bisection, by name alone, end at the same density."""
    one = atlas(*size).transitions[number]
    low, high, seed = one.density - 1e-3, one.density + 1e-3, 1
    while high - low > 1e-8:
        middle, seed = 0.5 * (low + high), seed + 1
        name, _ = lowest(*size, middle, seed, "quick")
        assert name in one.phases
        low, high = (middle, high) if name == one.phases[0] else (low, middle)
    assert abs(one.density - 0.5 * (low + high)) < 1e-8


def test_triangle_of_three_in_two():
    """The one transition of 3 → 2 is the known 0.5218, where the package's own boundary of that diagram is."""
    assert atlas(3, 2).transitions[0].density == pytest.approx(0.52183765907, abs=1e-10)


def test_minima_of_one_name():
    """2 → 1: the pair becomes unequal at once where 3 → 1, which leaves a feature out there, changes too; its name stays."""
    (one,) = atlas(2, 1, shipped=False).transitions
    assert one.order == "first" and one.phases == ("antipodal pair", "antipodal pair")
    assert one.density == pytest.approx(atlas(3, 1).transitions[1].density, rel=1e-12)
    assert np.ptp(one.feature_norm, axis=1) == pytest.approx([0.0, 0.4], abs=1e-2)


def test_searches_at_transitions():
    """8 → 3: a search at a transition finds a minimum whose loss is 1.7e-11 lower, and the transition is 3e-6 off without it."""
    row = atlas(8, 3)
    one, model = row.transitions[-1], ToyModel(3, np.ones(8), row.transitions[-1].density)
    assert one.density == pytest.approx(0.9357549336, abs=1e-10)
    least = min(minimize(model, seed=1), key=attrgetter("loss"))
    assert one.loss == pytest.approx(least.loss, rel=1e-13)


def test_weak_transition():
    """The fourth column of 4 → 2 comes with a length of 0.0115, at equal losses; the triangle remains a minimum a while."""
    row = atlas(4, 2)
    one = next(one for one in row.transitions if one.phases[0] == "triangle + not represented")
    shortest = np.sort(one.feature_norm, axis=1)[:, 0]
    assert one.order == "first" and shortest[0] < 1e-9 and shortest[1] == pytest.approx(0.0115, abs=1e-4)
    along, below = AlongDensity(4, 2, 0), next(phase for phase in row.phases if phase.high == one.density)
    triangle = follow(along, np.concatenate([below.weights.ravel(), below.bias]), below.density, one.density)
    model = ToyModel(2, np.ones(4), one.density)
    assert expected_loss(model, triangle.x[:8].reshape(2, 4), triangle.x[8:]) == pytest.approx(one.loss, rel=1e-14)
    assert 0 < along.at([triangle], one.density + 1e-5)[0].curvature < 1e-5


def test_ties_near_density_1():
    """Triangles with columns of other signs tie near density 1: the one to which the lowest leads comes first, in any order."""
    along = AlongDensity(3, 2, 0, (0.98, 1 - 2e-7))
    along.explore(1, "quick")
    (lowest, other), tied = along.cells[0][:2], along.cells[1][:2]
    assert other.scaled_loss > lowest.scaled_loss * (1 + 1e-5) and tied[1].scaled_loss < tied[0].scaled_loss * (1 + 1e-13)
    for order in (1, -1):
        along.cells[1] = tied[::order]
        assert along.crossings(lambda x: "one name") == []
        assert along.same(along.cells[1][0], along.at([lowest], along.densities[1])[0])


@pytest.mark.parametrize("size", [(3, 1), (4, 1), (5, 2)])
def test_limit_of_one_active(size):
    """Where the loss is linear in the density, a search at density 1e-7 finds the phase and the slope."""
    row = atlas(*size)
    name, loss = lowest(*size, 1e-7, 3)
    assert row.limit_exponent == 1 and row.limit_coefficient == pytest.approx(loss / 1e-7, rel=1e-5)
    assert name == row.phases[0].name


def test_limit_of_the_pentagon():
    """Its biases are negative, so that the limit is that of exactly one active feature; norm and bias of Chen et al. 2023."""
    row, only = atlas(5, 2), ToyModel(2, np.ones(5), 0.5, activity=ExactlyActive(1))
    best = minimize(only, seed=3)[0]
    assert row.limit_coefficient == pytest.approx(5 * best.loss, rel=1e-6)
    assert np.allclose(best.feature_norm, 1.17046, atol=1e-5) and np.allclose(best.bias, -0.28230, atol=1e-5)


def test_limit_of_pairs():
    """Where pairs suffice, two active at once remain: each pair loses p²/3."""
    for n, m in [(2, 1), (3, 2), (4, 2), (4, 3), (5, 3)]:
        row = atlas(n, m)
        assert row.limit_exponent == 2 and row.limit_coefficient == pytest.approx((n - m) / 3, rel=1e-6)
    for density in (1e-100, 5e-324):
        assert atlas(2, 1).loss_at(density) == pytest.approx(density**2 / 3, rel=1e-12, abs=0)


def test_losses_at_densities():
    """`loss_at` is the loss of searches, to rounding, at densities within the phases and near both ends; the domain is kept."""
    row = atlas(5, 2)
    for density in (1e-5, 0.1, 0.5, 0.8, 0.92, 0.95, 0.999):
        name, loss = lowest(5, 2, density, 5)
        assert row.loss_at(density) == pytest.approx(loss, rel=1e-9) and row.phase_at(density) == name
    for density in (0.0, 1.1, np.nan):
        with pytest.raises(ValueError, match="density must be in"):
            row.phase_at(density)


def test_shipped_weights_have_their_losses():
    """Of every row that is shipped: weights, losses, names, intervals and gaps agree with each other."""
    for size in ROWS:
        row = atlas(*size)
        assert row.phases[0].low == 0.0 and row.phases[-1].high == 1.0 and len(row.phases) == len(row.transitions) + 1
        for one, below, above in zip(row.transitions, row.phases[:-1], row.phases[1:], strict=True):
            assert one.density == below.high == above.low and one.phases == (below.name, above.name)
        for phase in row.phases:
            model = ToyModel(size[1], np.ones(size[0]), phase.density)
            assert expected_loss(model, phase.weights, phase.bias) == pytest.approx(phase.loss, rel=1e-9)
            assert phase.low < phase.density < phase.high and not phase.gap < -1e-9
            assert name_among_equals(classify(phase.weights), size[0]) == phase.name


def test_rows_beside_each_other():
    """One feature more never helps and costs at most its variance; one dimension more never harms (where both rows are there)."""
    for n, m in ROWS:
        for density in (0.01, 0.3, 0.7):
            loss = atlas(n, m).loss_at(density)
            if (n + 1, m) in ROWS:
                assert loss * (1 - 1e-9) <= atlas(n + 1, m).loss_at(density) <= loss + density / 3 - density**2 / 4 + 1e-12
            if (n, m + 1) in ROWS:
                assert atlas(n, m + 1).loss_at(density) <= loss * (1 + 1e-9)


def test_forms():
    """Text, facts, tables and the figure hold every phase; sizes are checked."""
    row = atlas(3, 1)
    lines = row.text().split("\n")
    assert len(lines) == 1 + len(row.phases) + 3 * len(row.transitions)
    longest = np.argmax(row.transitions[0].feature_norm[0])
    printed = [float(part.split()[0]) for part in lines[3].replace(",", "").split("norms ")[1].split("biases ")]
    below = [values[0][longest] for values in (row.transitions[0].feature_norm, row.transitions[0].bias)]
    assert printed == pytest.approx(below, abs=6e-5)
    assert json.loads(json.dumps(row.facts()))["n_hidden"] == 1
    assert list(row.to_pandas()["name"]) == [phase.name for phase in row.phases]
    (ax,) = atlas_figure([row, atlas(3, 2)]).axes
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["3 → 1", "3 → 2"]
    assert len(ax.patches) == len(row.phases) + 2
    with pytest.raises(ValueError, match="n_hidden must be less than n_features"):
        atlas(3, 3)


def test_the_figure_explains_itself():
    """Pieces have the whole names of their phases, or nothing; neighbours of one name have numbers; colours are explained."""
    row = atlas(4, 1)
    figure = atlas_figure(row)
    said = [text.get_text().replace("\n", " ") for text in figure.axes[0].texts]
    names = {phase.name for phase in row.phases}
    beside = {one for one, other in pairwise(phase.name for phase in row.phases) if one == other}
    assert beside and all(text.isdigit() or text.split(" (")[0] in names for text in said)
    for name in beside:
        assert any(text == f"{name} ({k})" for text in said for k in (1, 2, 3))
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert "2 represented features per dimension" in legend and "1, 2, …: different minima of one name" in legend


def test_the_table_of_the_documentation():
    """docs/atlas.md has a line for every row that is shipped: limit, phases, transitions to ten digits, orders."""
    text = (Path(__file__).parents[1] / "docs" / "atlas.md").read_text(encoding="utf-8")
    lines = text.partition("## All rows")[2].partition("##")[0].split("\n")
    for size in ROWS:
        row = atlas(*size)
        changes = [f"{one.name}, **{t.density:.10f}** ({t.order}), " for one, t in zip(row.phases, row.transitions, strict=False)]
        limit = f"{row.limit_coefficient:.7g} p" + "²" * (row.limit_exponent - 1)
        assert f"| {size[0]} → {size[1]} | {limit} | {''.join(changes)}{row.phases[-1].name} |" in lines


def confirmed(size, density, batches=6):
    """How far the row's loss lies above that of `independent_search.py`, relative, and whether the phases have one name.

    A batch of starts that ends higher, or in another phase that lies as low, is followed by another.
    """
    row, model = atlas(*size), ToyModel(size[1], np.ones(size[0]), density)
    ours, generator, found = row.loss_at(density), np.random.default_rng([*size, round(1e9 * density)]), []
    for _batch in range(batches):
        found.append(lowest_point(model, STARTS, generator))
        loss, weights, _ = min(found, key=itemgetter(0))
        above, same = ours / loss - 1, name_among_equals(classify(weights), size[0]) == row.phase_at(density)
        if same and above > -SAME_LOSS:
            break
    return above, same


def bisected(size, number):
    """The density at which the lowest minimum changes: searches from new random starts at every density of a bisection.

    Two minima are told apart by their losses: both, as thorough searches at the window's ends find them, are followed by the
    other search's steps on its engine, for a search leaves losses undecided that differ by 1e-9. Where one minimum turns into the
    other, features that are alike on one side differ on the other, and the density is extrapolated at which they no longer do:
    searches tell minima from saddles only where curvatures are beyond 1e-7.
    """
    row = atlas(*size)
    edges = [0.0, *(one.density for one in row.transitions), 1.0]
    one, (before, at, after) = row.transitions[number], edges[number : number + 3]

    def found(density, *seeds, effort="normal"):
        """The lowest minimum of searches."""
        model = ToyModel(size[1], np.ones(size[0]), density)
        return min((end for seed in seeds for end in minimize(model, seed=seed, effort=effort)), key=attrgetter("loss"))

    half = min(1e-3, 0.3 * (at - before), 0.3 * (after - at))
    low, high, seed = at - half, at + half, 100
    ends = [found(end, 1, 2, 3, 4, effort="thorough") for end in (low, high)]
    followed = [flatten(end.weights, end.bias) for end in ends]

    def above(density, seed):
        """Whether the second of two minima is lower at a density; a search's own, lower by less than 1e-9, takes one's place.

        One that has ceased there leads elsewhere, and is followed from where it was.
        """
        model = ToyModel(size[1], np.ones(size[0]), density)
        losses = np.full(2, np.inf)
        for k, x in enumerate(followed):
            point = bottom(model, x)
            if np.abs(look(point) - look(x)).max() < 0.3 * np.abs(look(followed[0]) - look(followed[1])).max():
                followed[k], losses[k] = point, expected_loss(model, *parts(point, size[1]))
        other = found(density, seed)
        if other.loss < losses.min() * (1 - 1e-12):
            x = flatten(other.weights, other.bias)
            near = [np.abs(look(x) - look(end)).max() for end in followed]
            k = int(np.argmax(losses) if np.isinf(losses).any() else np.argmin(near))
            assert np.isinf(losses[k]) or losses[k] < other.loss * (1 + 1e-9)
            followed[k], losses[k] = x, other.loss
        return losses[1] < losses[0]

    def look(x):
        """Norms and biases of a flat point, sorted."""
        weights, bias = parts(x, size[1])
        return np.concatenate([np.sort(np.linalg.norm(weights, axis=0)), np.sort(bias)])

    def alike(x):
        """Which of the sorted norms, and biases, of a flat point are alike: lists of positions."""
        return np.split(np.arange(2 * size[0]), sorted({*np.flatnonzero(np.diff(look(x)) > ALIKE) + 1, size[0]}))

    if one.order == "continuous":
        splits = [alike(x) for x in followed]
        groups, side = min(splits, key=len), np.sign(len(splits[1]) - len(splits[0]))
        places, spreads = at + side * half * np.linspace(0.1, 0.6, 12) ** 2, []
        for seed, density in enumerate(places):
            one = found(density, seed)
            place = look(flatten(one.weights, one.bias))
            spreads.append(max(np.ptp(place[group]) for group in groups))
        powers = np.array(spreads)[:, None] ** [0, 1, 2, 3, 4]
        return np.linalg.lstsq(powers / np.abs(powers).max(axis=0), places - at)[0][0] + at
    assert (above(low, 98), above(high, 99)) == (False, True)
    while high - low > 1e-8:
        middle, seed = 0.5 * (low + high), seed + 1
        low, high = (low, middle) if above(middle, seed) else (middle, high)
    return 0.5 * (low + high)


@pytest.mark.campaign
@pytest.mark.parametrize("size", ROWS, ids=lambda size: f"{size[0]}-{size[1]}")
def test_phases_against_another_search(size):
    """At five densities and within each phase another optimizer on another engine finds the same loss and the same phase."""
    for density in (*DENSITIES, *(phase.density for phase in atlas(*size).phases)):
        above, same = confirmed(size, density)
        assert abs(above) < SAME_LOSS and same, (density, above)


@pytest.mark.campaign
@pytest.mark.parametrize("size", ROWS, ids=lambda size: f"{size[0]}-{size[1]}")
def test_every_transition_against_bisection(size):
    """Every transition is where a bisection ends whose searches know nothing of it, to 1e-8."""
    for number, one in enumerate(atlas(*size).transitions):
        assert bisected(size, number) == pytest.approx(one.density, abs=1e-8)


@pytest.mark.campaign
@pytest.mark.parametrize("size", ROWS, ids=lambda size: f"{size[0]}-{size[1]}")
def test_all_computed_anew(size):
    """All that is shipped is what the package computes."""
    test_computed_anew(size)
