"""Figures: they show the diagram they were given, in colours that can be told apart, without overlaps."""

import pickle
from itertools import combinations

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.text import Text

from phasediag import ToyModel, configurations, loss_terms, minimize, phase_diagram, sweep_density, thomson
from phasediag.colours import norm_interference_colour, phase_colour
from phasediag.figures import (
    _close_up,
    demonstration_figure,
    diagram_figure,
    draw_boundaries,
    draw_colour_key,
    draw_columns,
    draw_columns_on_diagram,
    draw_configuration,
    draw_loss_sheets,
    draw_phase_diagram,
    geometry_figure,
    loss_terms_figure,
    minima_figure,
    paper_figure,
    thomson_figure,
)
from phasediag.sphere import ENERGIES


def _image(figure):
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3] / 255


def _pixel(image, ax, importance, density):
    x, y = ax.transData.transform((importance, density))
    return image[image.shape[0] - 1 - int(y), int(x)]


@pytest.mark.parametrize("look", ["phase", "norm-interference"])
@pytest.mark.parametrize("shape", [(2, 1), (3, 2), (5, 2), (6, 3)])
def test_regions_show_the_right_colour_up_to_the_curve(shape, look):
    """Pixels of the rendered figure, a hundredth of the width off the boundary curves, have the winner's colour."""
    diagram = phase_diagram(*shape, theory="frozen")
    figure = diagram_figure(diagram, look=look)
    image, ax = _image(figure), figure.axes[0]
    table, rng = configurations(*shape), np.random.default_rng(0)
    importance, density = 10 ** rng.uniform(-0.95, 0.95, 300), 10 ** rng.uniform(-1.9, -0.05, 300)
    near = [(importance * f, np.minimum(density * g, 1.0)) for f in (0.94, 1, 1.06) for g in (0.94, 1, 1.06)]
    winners = np.array([np.argmin([c.expected_loss(*at) for c in table], axis=0) for at in near])
    inside = np.flatnonzero(np.all(winners == winners[0], axis=0))
    assert inside.size > 200
    for k in inside:
        winner = table[winners[0, k]]
        if look == "phase":
            expected = phase_colour(winner.name)
        else:
            norm = float(np.linalg.norm(winner.weights[:, -1]))
            expected = norm_interference_colour(norm, np.sum((winner.weights[:, -1] @ winner.weights[:, :-1]) ** 2))
        assert np.allclose(_pixel(image, ax, importance[k], density[k]), expected, atol=0.01)


@pytest.mark.parametrize("look", ["phase", "norm-interference"])
def test_a_window_between_cells_has_the_colours_beside_its_curves(look):
    """Around the triple point, where no cell lies, each of the three regions has its own colour."""
    diagram = phase_diagram(2, 1, theory="frozen", importance=[0.5, 0.7, 2.0], density=[0.1, 0.9])
    diagram.boundaries()
    figure = Figure()
    ax = figure.subplots()
    draw_phase_diagram(diagram, ax, look=look, legend=False, window=((0.9, 1.1), (0.5, 0.7)))
    image, table = _image(figure), {c.name: c for c in configurations(2, 1)}
    for at in ((0.93, 0.65), (1.07, 0.65), (1.0, 0.53)):
        winner = min(table.values(), key=lambda one: one.expected_loss(*at))
        norm = float(abs(winner.weights[0, 1]))
        looks = {
            "phase": phase_colour(winner.name),
            "norm-interference": norm_interference_colour(norm, (norm * winner.weights[0, 0]) ** 2),
        }
        assert np.allclose(_pixel(image, ax, *at), looks[look], atol=0.01)


@pytest.mark.parametrize("shape", [(2, 1), (3, 2), (5, 2)])
def test_axes_and_curves_are_those_of_the_diagram(shape):
    """Logarithmic axes with density 1 on top; one line for each boundary, with its points; dots at the triple points."""
    diagram = phase_diagram(*shape, theory="frozen")
    diagram.boundaries()
    ax = Figure().subplots()
    artists = draw_phase_diagram(diagram, ax)
    assert ax.get_xscale() == ax.get_yscale() == "log"
    assert ax.get_xlim() == pytest.approx((0.1, 10)) and ax.get_ylim() == pytest.approx((0.01, 1))
    assert len(artists["boundaries"]) == len(diagram.boundaries())
    for line, boundary in zip(artists["boundaries"], diagram.boundaries(), strict=True):
        assert np.array_equal(line.get_xdata(), boundary.importance)
        assert np.array_equal(line.get_ydata(), boundary.density)
    (dots,) = artists["triple_points"]
    assert np.allclose(dots.get_xydata(), [[1, 4 / 7]])


@pytest.mark.parametrize("shape", [(2, 1), (3, 2), (6, 3)])
@pytest.mark.parametrize("importance", [None, np.array([0.1, 0.5, 1.0, 2.0, 10.0])])
def test_legend_names_every_phase_once_with_its_pattern(shape, importance):
    """Labels are pattern and name of the winners, no more and no fewer; patches have the phases' colours."""
    diagram = phase_diagram(*shape, importance=importance, theory="frozen")
    diagram.boundaries()
    legend = draw_phase_diagram(diagram, Figure().subplots())["legend"]
    winners = set().union(*(b.phases for b in diagram.boundaries()))
    expected = {f"{c.pattern}\n{c.name}": phase_colour(c.name) for c in configurations(*shape) if c.name in winners}
    found = {
        text.get_text(): to_rgb(patch.get_facecolor())
        for text, patch in zip(legend.get_texts(), legend.get_patches(), strict=False)  # the patches come first
    }
    kinds = [text.get_text() for text in legend.get_texts()[len(found) :]]
    assert kinds == ["first order: two minima cross", "triple point"] and found.keys() == expected.keys()
    assert all(found[label] == pytest.approx(expected[label]) for label in expected)


def _sweep(activation):
    density = np.geomspace(1, 0.001, 7)
    return sweep_density(5, 0.7 ** np.arange(20), density, activation=activation, n_models=1, n_steps=200, seed=0)


def _terms(activation):
    weights = np.array([[1.0, 0.0, -0.5, 0.0, 0.1], [0.0, 1.0, 0.0, -0.9, 0.1]])
    return loss_terms(ToyModel(2, np.ones(5), 0.1, activation), weights, np.zeros(5))


def _sheets(diagram):
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    draw_loss_sheets(diagram, figure.subplots())
    return figure


def _check_texts(figure):
    _image(figure)
    outside = set()  # tick labels beyond the limits exist but are not drawn
    for axis in (axis for ax in figure.axes for axis in (ax.xaxis, ax.yaxis)):
        low, high = axis.get_view_interval()
        outside |= {tick.label1 for tick in axis.get_major_ticks() if not low * 0.999 <= tick.get_loc() <= high * 1.001}
    boxes = [
        (text.get_text(), text.get_window_extent())
        for text in figure.findobj(Text)
        if text.get_visible() and text.get_text() and text not in outside
    ]
    for text, box in boxes:
        assert box.x0 >= -1 and box.y0 >= -1 and box.x1 <= figure.bbox.x1 + 1 and box.y1 <= figure.bbox.y1 + 1, text
    for (one, first), (other, second) in combinations(boxes, 2):
        assert not _overlap(first, second), (one, other)
    within = {text.get_text() for ax in figure.axes for text in ax.texts}  # labels of arrows
    panels = [ax.get_window_extent() for ax in figure.axes]
    for text, box in boxes:
        assert text in within or not any(_overlap(box, panel) for panel in panels), text
    for ax in figure.axes:
        marks = [np.linspace(a.xyann, a.xy, 200) for a in ax.texts if a.arrow_patch is not None]
        marks += [line.get_xydata() for line in ax.lines if line.get_marker() == "o"]
        for text in (text for text in ax.texts if text.get_text()):
            box = text.get_window_extent()
            assert not any(box.count_contains(ax.transData.transform(mark)) for mark in marks), text


def _overlap(one, other):
    return min(one.x1, other.x1) - max(one.x0, other.x0) > 0.5 and min(one.y1, other.y1) - max(one.y0, other.y0) > 0.5


@pytest.mark.parametrize(
    "make",
    [
        lambda: diagram_figure(phase_diagram(2, 1, theory="frozen")),
        lambda: diagram_figure(phase_diagram(6, 3, theory="frozen")),
        lambda: diagram_figure(phase_diagram(3, 2, theory="frozen"), look="norm-interference"),
        lambda: paper_figure([phase_diagram(2, 1, theory="frozen"), phase_diagram(3, 2, theory="frozen")]),
        lambda: demonstration_figure([_sweep(activation) for activation in ("linear", "relu")]),
        lambda: geometry_figure(_sweep("relu")),
        lambda: loss_terms_figure({"a ReLU model": _terms("relu"), "a linear model": _terms("linear")}),
        lambda: thomson_figure({f"{n} → {m}": {e: thomson(n, m, energy=e)[0] for e in ENERGIES} for n, m in ((3, 2), (7, 3))}),
        lambda: minima_figure(minimize(ToyModel(2, [1.0, 1.0, 1.0], 0.6), n_starts=8)),
        lambda: minima_figure(minimize(ToyModel(2, [1.0, 1.0, 1.0, 1.0, 0.7], 0.5), n_starts=16)),
        lambda: minima_figure(minimize(ToyModel(3, [1.0] * 5, 0.1), n_starts=8)),
        lambda: minima_figure(minimize(ToyModel(1, [1.0, 1.0], 0.5), n_starts=8)),
        lambda: _sheets(phase_diagram(3, 2, importance=[1.0], density=np.geomspace(0.5, 0.7, 5))),
    ],
    ids=[
        "2-1",
        "6-3",
        "norm-interference",
        "paper",
        "demonstration",
        "geometry",
        "terms",
        "thomson",
        "minima of 3-2",
        "minima of 5-2",
        "minima of 5-3",
        "minima of 2-1",
        "loss sheets",
    ],
)
def test_no_text_overlaps_or_is_cut_off(make):
    """Bounding boxes of all visible texts, of other panels and of the page, as rendered; of arrows and dots that they name."""
    _check_texts(make())


@pytest.mark.parametrize(
    "axes",
    [([0.5], [0.1]), ([0.5], [0.1, 1.0]), ([0.1, 10.0], [1.0]), ([0.1, 1.0, 10.0], [0.01, 0.1, 1.0])],
)
@pytest.mark.parametrize("look", ["phase", "norm-interference"])
def test_coarse_diagrams_fill_their_frame(axes, look):
    """Axes with one or few values are drawn without warnings, and no part of the frame stays white."""
    figure = diagram_figure(phase_diagram(importance=axes[0], density=axes[1], theory="frozen"), look=look)
    image, ax = _image(figure), figure.axes[0]
    box = ax.get_window_extent()
    rows = slice(image.shape[0] - int(box.y1) + 3, image.shape[0] - int(box.y0) - 3)
    inside = image[rows, int(box.x0) + 3 : int(box.x1) - 3]
    assert inside.size and not np.any(np.all(inside > 0.99, axis=-1))


@pytest.mark.quick("_drawing")
def test_configuration_shows_its_matrix():
    """The image holds the weights; the title is the pattern."""
    c = configurations(3, 2)[-1]
    ax = Figure().subplots()
    assert np.array_equal(draw_configuration(c, ax).get_array(), c.weights) and ax.get_title() == "W ⊥ [1, 1, 1]"


def test_colour_key_has_the_papers_corners():
    """Interference to the right, norm upwards."""
    ax = Figure().subplots()
    image = draw_colour_key(ax)
    array = image.get_array()
    assert np.allclose(array[0, 0], norm_interference_colour(0, 0)) and np.allclose(array[-1, -1], norm_interference_colour(1, 1))
    assert np.allclose(array[-1, 0], norm_interference_colour(1, 0)) and image.origin == "lower"


def test_unknown_look_is_named():
    """One error that names the argument."""
    with pytest.raises(ValueError, match='look must be one of "phase", "norm-interference", got \'pretty\''):
        draw_phase_diagram(phase_diagram(importance=[1.0], density=[1.0], theory="frozen"), Figure().subplots(), look="pretty")


@pytest.fixture(scope="module")
def exact():
    """The global 2→1 diagram around its triple points, with its curves."""
    diagram = phase_diagram(2, 1, importance=np.geomspace(0.4, 1.1, 24), density=np.geomspace(0.4, 1.0, 24))
    diagram.spinodals()
    return diagram


def test_drawing_computes_nothing(exact, monkeypatch):
    """What a diagram has of curves is drawn, in cells where it has none; whole figures compute what they show."""
    bare = phase_diagram(theory="frozen", importance=[0.5, 2.0], density=[0.3, 0.9])
    without_spinodals = pickle.loads(pickle.dumps(exact))
    del without_spinodals.curves.__dict__["spinodals"]
    monkeypatch.setattr("phasediag._boundaries.find_spinodals", lambda *_: pytest.fail("computed"))
    with monkeypatch.context() as context:
        context.setattr("phasediag._boundaries.find_boundaries", lambda *_: pytest.fail("computed"))
        for draw in (draw_phase_diagram, draw_boundaries):
            assert draw(bare, Figure().subplots())["boundaries"] == []
            drawn = draw(without_spinodals, Figure().subplots(), spinodals=True)
            assert len(drawn["boundaries"]) == len(exact.boundaries()) and drawn["spinodals"] == []
            drawn = draw(exact, Figure().subplots(), spinodals=True)
            assert len(drawn["spinodals"]) == 2 * sum(limit.importance.size > 1 for limit in exact.spinodals())
    diagram_figure(bare, spinodals=False)
    assert bare.curves is not None


def test_lines_tell_the_order(exact):
    """Solid for first order, dashed for continuous, a diamond at each change of order, dotted spinodals in two looks."""
    artists = draw_phase_diagram(exact, Figure().subplots())
    for line, boundary in zip(artists["boundaries"], exact.boundaries(), strict=True):
        assert (line.get_linestyle() == "-") == (boundary.order == "first")
    (changes,) = artists["order_changes"]
    assert len(changes.get_xdata()) == sum(end == "order changes" for b in exact.boundaries() for end in b.ends)
    coloured = {to_rgb(line.get_color()) for line in artists["spinodals"][::2]}
    assert {line.get_linestyle() for line in artists["spinodals"][1::2]} == {"--"} and coloured == {
        phase_colour(s.phase) for b in exact.boundaries() for s in b.spinodals if s.importance.size > 1
    }
    plain = draw_phase_diagram(exact, Figure().subplots(), look="norm-interference")
    assert {to_rgb(line.get_color()) for line in plain["spinodals"][::2]} == {(1.0, 1.0, 1.0)}
    assert draw_phase_diagram(exact, Figure().subplots(), spinodals=False)["spinodals"] == []


def test_no_text_overlaps_on_an_exact_diagram(exact):
    """The same of a global diagram with spinodals and the columns of W upon it."""
    figure = diagram_figure(exact)
    draw_columns_on_diagram(exact, figure.axes[0])
    _check_texts(figure)


def test_fields_vary_within_a_phase(exact):
    """In the look of norm and interference a cell's pixel has the colour of that cell's order parameters."""
    figure = diagram_figure(exact, look="norm-interference", spinodals=False)
    image, ax = _image(figure), figure.axes[0]
    expected = norm_interference_colour(exact.feature_norm, exact.interference)
    for i, j in ((2, 2), (2, 12), (2, 20), (20, 2), (20, 21)):
        assert np.allclose(_pixel(image, ax, exact.importance[j], exact.density[i]), expected[i, j], atol=0.02)


def test_columns_are_drawn_where_they_point():
    """Arrows end at the columns; a zero column is a dot; the extra feature has its own colour; many dimensions give WᵀW."""
    weights = np.array([[1.0, 0.0, -0.5], [0.0, 0.0, 0.8]])
    first, absent, extra = draw_columns(weights, Figure().subplots())
    assert first.xy == pytest.approx((1, 0)) and extra.xy == pytest.approx((-0.5, 0.8))
    assert (
        absent.get_marker() == "o"
        and absent.get_ydata()[0] < -1
        and extra.arrow_patch.get_edgecolor() != first.arrow_patch.get_edgecolor()
    )
    (image,) = draw_columns(np.eye(4, 5), Figure().subplots())
    assert np.array_equal(image.get_array(), np.diag([1, 1, 1, 1, 0]))
    assert len(draw_columns([[1.0, -0.6]], Figure().subplots())) == 2
    with pytest.raises(ValueError, match="weights must have shape"):
        draw_columns([1.0, 2.0], Figure().subplots())


def test_columns_lie_on_their_points(exact):
    """A small panel for each point asked for, centred on its cell."""
    ax = diagram_figure(exact).axes[0]
    ax.figure.draw_without_rendering()
    (panel,) = draw_columns_on_diagram(exact, ax, points=[(1.0, 0.5)])
    box = panel.get_position(original=True)
    middle = ax.figure.transFigure.transform(((box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2))
    importance, density = ax.transData.inverted().transform(middle)
    assert importance == pytest.approx(1.0, rel=0.1) and density == pytest.approx(0.5, rel=0.1)


def test_loss_sheets_have_a_lowest_one(exact):
    """No sheet lies below 0, the thick parts lie on it, and a cut that is not one is refused."""
    sheets = draw_loss_sheets(exact, Figure().subplots(), importance=0.7)["sheets"]
    assert min(np.min(line.get_ydata()) for line in sheets) > -1e-9
    assert any(line.get_linewidth() > 3 and np.max(line.get_ydata()) < 1e-6 for line in sheets)
    with pytest.raises(ValueError, match="exactly one of importance and density"):
        draw_loss_sheets(exact, Figure().subplots())
    with pytest.raises(ValueError, match="diagram must be of the"):
        draw_loss_sheets(phase_diagram(theory="frozen"), Figure().subplots(), importance=1.0)


def test_a_close_up_holds_what_it_is_of():
    """The window around the points where boundaries meet lies in the diagram, has them inside and leaves the rest out."""
    diagram = phase_diagram(theory="frozen", importance=np.geomspace(0.1, 10, 9), density=np.geomspace(0.01, 1, 8))
    (importance, density), (point,) = _close_up(diagram), diagram.triple_points()
    assert 0.1 < importance[0] < point.importance < importance[1] < 10
    assert 0.01 < density[0] < point.density < density[1] <= 1
