"""Arrays of other packages as arguments: everything with __array__, .numpy(), __dlpack__ or .tolist() has its numbers."""

from fractions import Fraction

import numpy as np
import pytest

from phasediag import ToyModel, expected_loss, feature_norm

WEIGHTS, BIAS = np.array([[1.0, -0.5, 0.25]]), np.array([0.5, -0.25, 0.0])
MODEL = ToyModel(1, [1, 1, 0.5], 0.3)


class Foreign:
    """An array with the protocols that a subclass adds; NumPy alone sees an object."""

    def __init__(self, values):
        self.values, self.shape = np.asarray(values), np.shape(values)


class Jax(Foreign):
    def __array__(self, dtype=None, copy=None):
        return self.values.astype(dtype or self.values.dtype)


class ByNumpy(Foreign):
    def numpy(self):
        return self.values


class NeedsGradient(Foreign):
    """A parameter of PyTorch: its numbers come after .detach(), and from another device after .cpu()."""

    def __array__(self, dtype=None, copy=None):
        raise RuntimeError("Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead.")

    numpy = __array__

    def detach(self):
        return OnDevice(self.values)


class OnDevice(Foreign):
    def numpy(self):
        raise TypeError("can't convert cuda:0 device type tensor to numpy.")

    def cpu(self):
        return ByNumpy(self.values)


class Capsule(Foreign):
    """CuPy's and others' way."""

    def __dlpack__(self, **options):
        return self.values.__dlpack__(**options)

    def __dlpack_device__(self):
        return self.values.__dlpack_device__()


class ByList(Foreign):
    """Types that NumPy lacks: bfloat16 of PyTorch, whose .numpy() fails, and of MLX, whose buffer NumPy refuses."""

    def __array__(self, dtype=None, copy=None):
        raise RuntimeError("Item size 2 for PEP 3118 buffer format string B does not match the dtype B item size 1.")

    def numpy(self):
        raise TypeError("Got unsupported ScalarType BFloat16")

    def tolist(self):
        return self.values.tolist()


class DynamicJaxprTracer(Foreign):
    def __array__(self, dtype=None, copy=None):
        raise TypeError("The numpy.ndarray conversion method __array__() was called on traced array")


class FakeTensor(Capsule):
    """PyTorch's stand-in of a shape: DLPack gives memory that nobody has written."""


@pytest.mark.quick
@pytest.mark.parametrize("kind", [Jax, ByNumpy, NeedsGradient, OnDevice, Capsule, ByList])
def test_arrays_of_other_packages_are_their_numbers(kind):
    """The same loss to the last bit, for arrays, for lists of them, and for single precision."""
    assert expected_loss(MODEL, kind(WEIGHTS), kind(BIAS)) == expected_loss(MODEL, WEIGHTS, BIAS)
    assert expected_loss(MODEL, kind(WEIGHTS.astype(np.float32)), [kind(x) for x in BIAS]) == expected_loss(MODEL, WEIGHTS, BIAS)
    assert np.array_equal(ToyModel(1, kind([1.0, 0.5]), kind(0.5)).importance, [1.0, 0.5])
    assert np.array_equal(feature_norm([kind(row) for row in WEIGHTS]), np.abs(WEIGHTS[0]))


def test_numbers_of_other_kinds():
    """Fractions, integers and truth values."""
    assert expected_loss(MODEL, [[Fraction(1), Fraction(-1, 2), Fraction(1, 4)]], BIAS) == expected_loss(MODEL, WEIGHTS, BIAS)
    assert np.array_equal(feature_norm(np.array([[1, 0]], dtype=bool)), [1, 0])


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (DynamicJaxprTracer(WEIGHTS), r"a traced value has no numbers yet: call this outside of jit, grad, vmap and compile\)$"),
        (FakeTensor(WEIGHTS), r"a traced value has no numbers yet"),
        (np.ma.masked_array(WEIGHTS, [[True, False, False]]), r"a masked array has entries without a number: fill them first\)$"),
        (WEIGHTS + 0j, r"\(complex\)$"),
        (Foreign(WEIGHTS), r"weights must be real numbers"),
        (np.array([["a", "b", "c"]]), r"its type is <U1"),
        ("1.5", "weights must be real numbers"),
    ],
)
def test_what_has_no_numbers_is_refused_in_one_sentence(value, reason):
    """Named by the argument."""
    with pytest.raises(ValueError, match=reason) as error:
        expected_loss(MODEL, value, BIAS)
    assert "\n" not in str(error.value) and str(error.value).startswith("weights must be ")
