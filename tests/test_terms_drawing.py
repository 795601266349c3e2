"""Drawings of the parts of a loss: the bars add up to it."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from phasediag import ToyModel, expected_loss, loss_terms
from phasediag.figures import draw_loss_terms, loss_terms_figure

WEIGHTS, BIAS = np.array([[1.0, -0.8, 0.1], [0.1, 0.2, 0.9]]), np.array([0.1, -0.05, 0.02])


@pytest.mark.parametrize("activation", ["relu", "linear"])
def test_bars_add_up_to_the_loss(activation):
    """Heights sum to the expected loss; each stack starts where the one before ended; ReLU has one bar more."""
    model = ToyModel(2, [1.0, 0.5, 2.0], 0.3, activation)
    terms = loss_terms(model, WEIGHTS, BIAS)
    ax = Figure().subplots()
    artists = draw_loss_terms(terms, ax)
    heights = {name: np.array([bar.get_height() for bar in bars]) for name, bars in artists.items()}
    assert sum(h.sum() for h in heights.values()) == pytest.approx(expected_loss(model, WEIGHTS, BIAS), rel=1e-12)
    np.testing.assert_allclose(heights["interference"], terms.interference)
    np.testing.assert_allclose([bar.get_y() for bar in artists["interference"]], terms.benefit)
    np.testing.assert_allclose([bar.get_y() for bar in artists["bias_part"]], terms.benefit + terms.interference)
    assert ("several" in artists) == (activation == "relu")
    stack = sum(heights[name] for name in ("benefit", "interference", "bias_part"))
    low, high = ax.get_ylim()
    assert low == 0 and high > max(stack.max(), *heights.get("several", [0]))


@pytest.mark.quick("_drawing")
def test_panels_share_one_scale():
    """Titles hold the losses, and the same height means the same loss in every panel."""
    model = ToyModel(2, [1.0, 0.5, 2.0], 0.3)
    terms = {name: loss_terms(model, scale * WEIGHTS, BIAS) for name, scale in (("one", 1.0), ("two", 2.0))}
    one, two = loss_terms_figure(terms).axes
    assert one.get_title() == f"one\nloss {terms['one'].loss:.4g}" and two.get_title().startswith("two\n")
    assert one.get_ylim() == two.get_ylim()


def test_terms_of_many_models_are_refused():
    """A stack has no single bar for each feature."""
    with pytest.raises(ValueError, match=r"terms must be those of one model, got leading axes \(2,\)"):
        draw_loss_terms(loss_terms(ToyModel(2, np.ones(3), 0.5), [WEIGHTS, WEIGHTS], BIAS), Figure().subplots())
