"""One exact loss by four routes: closed form, enumeration, contour integral, and sampling within its standard error.

The triangle of three features in two dimensions, W ⊥ [1, 1, 1], with scales and biases of its own.
"""

from phasediag import ToyModel, configurations, expected_loss_with_error, monte_carlo_loss

triangle = next(c for c in configurations(3, 2) if c.pattern == "W ⊥ [1, 1, 1]")
form = triangle.relaxed_loss()  # a rational function of importance, density, three scales and three biases
values = {"scale_1": 1.0, "scale_2": 1.02, "scale_3": 0.97, "bias_1": -0.05, "bias_2": -0.08, "bias_3": -0.06}
assert form.holds(values)  # the formula is for one chamber of signs, and this point lies in it

importance, density = 0.8, 0.3
closed = float(form.compile()(importance, density, *values.values()))
print(f"closed form     {closed:.15f}   ({len(form.latex())} characters of LaTeX)")

model = ToyModel(n_hidden=2, importance=[1, 1, importance], density=density)
weights, bias = form.weights_and_bias(values)
for method in ("enumeration", "contour"):
    loss, error = expected_loss_with_error(model, weights, bias, method=method)
    print(f"{method:<15} {loss:.15f} ± {error:.0e}")
    assert abs(loss - closed) <= error + 1e-15

mean, deviation = monte_carlo_loss(model, weights, bias, 1_000_000, seed=0)
print(f"sampling        {mean:.6f} ± {deviation:.0e}")
assert abs(mean - closed) < 4 * deviation
