"""Drawings of density sweeps show the numbers of the sweep."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from phasediag import feature_norm, interference, sweep_density
from phasediag.figures import demonstration_figure, draw_feature_norms, draw_geometry, draw_gram, geometry_figure


@pytest.fixture(scope="module")
def sweep():
    """A short sweep, densities in no order."""
    return sweep_density(3, 0.9 ** np.arange(8), [0.1, 1.0, 0.4], n_models=2, n_steps=500, batch_size=64, seed=0)


@pytest.mark.parametrize("n", [4, 60])
def test_gram_and_bias_side_by_side(n):
    """The image is WᵀW, a gap, and the bias in each column of a stripe; −1 to 1 whatever the values."""
    rng = np.random.default_rng(n)
    weights, bias = rng.normal(size=(3, n)), rng.normal(size=n)
    image = draw_gram(weights, bias, Figure().subplots())
    shown = image.get_array()
    assert np.array_equal(shown[:, :n], weights.T @ weights) and shown[:, n].mask.all()
    stripe = shown[:, n:][:, ~shown[:, n:].mask.all(axis=0)]
    assert stripe.shape[1] >= 1 and np.array_equal(stripe, np.repeat(bias[:, None], stripe.shape[1], axis=1))
    assert image.get_clim() == (-1, 1) and image.origin == "upper"


def test_norm_bars():
    """Lengths are norms, the first feature is on top, lightness grows with interference and saturates at 1."""
    weights = np.array([[1.0, -0.6, 0.0, 0.0], [0.0, 0.0, 1.1, 3.0]])
    ax = Figure().subplots()
    bars = draw_feature_norms(weights, ax)
    assert [bar.get_width() for bar in bars] == pytest.approx(feature_norm(weights).tolist())
    top, bottom = ax.transData.transform([(0, 0), (0, 3)])[:, 1]
    assert top > bottom
    shade = [0.2126 * r + 0.7152 * g + 0.0722 * b for r, g, b, _ in (bar.get_facecolor() for bar in bars)]
    share = interference(weights)
    assert share[0] == pytest.approx(0.36) and share[1] == 1.0 and share[2:].min() > 1
    assert shade[0] < shade[1] and shade[1] == shade[2] == shade[3]
    alone = draw_feature_norms(np.eye(2, 3), Figure().subplots())
    assert alone[0].get_facecolor() == alone[1].get_facecolor() != bars[0].get_facecolor()


def test_geometry_shows_every_represented_feature(sweep):
    """The line is m/‖W‖² over 1/density from left to right; each density's dots lie around it, none nearer to another."""
    ax = Figure().subplots()
    artists = draw_geometry(sweep, ax)
    x, y = artists["dimensions_per_feature"].get_data()
    order = [1, 2, 0]
    assert x == pytest.approx([1, 2.5, 10]) and y == pytest.approx(sweep.dimensions_per_feature[order])
    assert ax.get_xscale() == "log" and ax.get_xlim()[0] < 1 and ax.get_xlim()[1] > 10
    dots = np.asarray(artists["feature_dimensionality"].get_offsets())
    nearest = np.argmin(np.abs(np.log(dots[:, :1]) - np.log(x)), axis=1)
    for k, density in enumerate(order):
        shown = sweep.feature_dimensionality[density, sweep.represented[density]]
        assert dots[nearest == k, 1] == pytest.approx(np.sort(shown))
    area = artists["feature_dimensionality"].get_sizes()
    of_first = sweep.feature_norm[1, sweep.represented[1]] ** 2
    assert np.sort(area[nearest == 0] / area.max()) == pytest.approx(
        np.sort(of_first / np.max(sweep.feature_norm[sweep.represented] ** 2))
    )
    assert [line.get_ydata()[0] for line in artists["plateaus"]] == [1, 3 / 4, 2 / 3, 1 / 2, 2 / 5, 3 / 8]


def test_one_density_is_enough():
    """A sweep of one density can be drawn."""
    one = sweep_density(1, [1, 1], [0.5], n_models=1, n_steps=5, seed=0)
    assert len(geometry_figure(one).axes) == 1 and len(demonstration_figure([one]).axes) == 4


def test_demonstration_has_a_row_for_each_sweep(sweep):
    """Below each WᵀW the norms of the same density, in the order of the sweep."""
    figure = demonstration_figure([sweep, sweep])
    assert [part.get_suptitle() for part in figure.subfigs] == ["8 → 3, ReLU model"] * 2
    for part in figure.subfigs:
        panels = [ax for ax in part.axes if ax.get_title()]
        assert [ax.get_title() for ax in panels] == ["density 0.1", "density 1", "density 0.4"]
        bars = [ax for ax in part.axes if ax.containers]
        for k, (above, below) in enumerate(zip(panels, bars, strict=True)):
            assert np.array_equal(above.images[0].get_array()[:, :8], sweep.weights[k].T @ sweep.weights[k])
            assert [bar.get_width() for bar in below.containers[0]] == pytest.approx(sweep.feature_norm[k].tolist())


def test_one_matrix_at_a_time():
    """A stack of weights, or a bias that does not fit, is refused."""
    with pytest.raises(ValueError, match=r"weights must have shape \(n_hidden, n_features\), got \(2, 1, 3\)"):
        draw_feature_norms(np.ones((2, 1, 3)), Figure().subplots())
    with pytest.raises(ValueError, match="bias must have shape"):
        draw_gram(np.ones((1, 3)), np.ones(2), Figure().subplots())
