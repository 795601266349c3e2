"""Certificates: proofs that no weights and biases have a lower expected loss."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from . import __version__
from ._arguments import Floats, Seed, random_generator, real_number, whole_number
from ._array_files import npz_path, read_arrays
from ._certifying.moments import MOST_FEATURES
from ._certifying.patterns import patterns_of, zeros_of
from ._certifying.proof import CONVEX, KINK, Proof, Region, exchanges, free_weights, gauge_of, is_told_of, prove, regions_around
from ._certifying.search import SLOPE
from ._display import Result
from ._files import replacing
from ._progress import progress_bar
from .loss import expected_loss_with_error
from .minima import minimize
from .model import ToyModel, check_model
from .phases import Cluster, phase_in_order

MOST_BOXES = 10_000_000
FORMAT = 2
_REGION = "kind", "box", "point", "bound", "unique"
_FINITE = "finite", np.isfinite
_TOLERANCE = "in [1e-10, 1)", lambda x: (x >= 1e-10) & (x < 1)
_ARITHMETIC = "float64, all rounding bounded"
_FIELDS: dict[str, tuple[str, tuple[int | str, ...], str, Callable[[Floats], Any]]] = {
    "format": ("int64", (), str(FORMAT), lambda x: x == FORMAT),
    "version": ("str", (), "that of a release", np.vectorize(lambda x: bool(re.fullmatch(r"\d+(\.\d+)+\S*", x)))),
    "theorem": ("str", (), "the theorem", lambda x: x == THEOREM),
    "n_hidden": ("int64", (), "≥ 1", lambda x: x >= 1),
    "gauge": ("int64", ("n",), "an order of features", lambda x: np.sort(x) == np.arange(x.size)),
    "importance": ("float64", ("n",), *_FINITE),
    "density": ("float64", ("n",), *_FINITE),
    "tolerance": ("float64", (), *_TOLERANCE),
    "weights": ("float64", ("m", "n"), *_FINITE),
    "bias": ("float64", ("n",), *_FINITE),
    "loss_lower": ("float64", (), "finite and ≥ 0", lambda x: x >= 0),
    "loss_upper": ("float64", (), "finite and > 0", lambda x: x > 0),
    "root": ("float64", (2, "nd"), *_FINITE),
    "ops": ("uint8", ("",), "bytes", np.isfinite),
    "values": ("float64", ("",), *_FINITE),
    "complete": ("bool", (), "true or false", np.isfinite),
    "n_boxes": ("int64", (), "≥ 0", lambda x: x >= 0),
    "hull_signs": ("int64", ("j",), "distinct signs", lambda x: (x >= -1) & (x < 8) & (np.unique(x).size == x.size)),
    "hulls": ("float64", ("j", 2, "nd"), *_FINITE),
    "region_kind": ("int64", ("k",), "0 or 1", lambda x: (x == CONVEX) | (x == KINK)),
    "region_box": ("float64", ("k", 2, "nd"), *_FINITE),
    "region_point": ("float64", ("k", "nd"), *_FINITE),
    "region_bound": ("float64", ("k",), "finite and ≥ 0", lambda x: x >= 0),
    "region_unique": ("bool", ("k",), "true or false", np.isfinite),
}
"""Type and shape of each field of a file, in the letters of the documentation, and what its numbers are: all are finite."""
THEOREM = (
    "Every weights W (n_hidden, n_features) and bias b of the model have an expected loss of at least loss_lower, and some "
    "have at most loss_upper. The features are independent, 0 with probability 1 - density and else uniform on [0, 1]; the "
    "output is x' = max(W^T W x + b, 0); the loss is E sum_i importance_i (x_i - x'_i)^2. Up to rotations of the hidden space "
    "and, of three features, exchanges of equal ones, every global minimum lies in a region whose bound is at most loss_upper, "
    "or in one of the hulls."
)


@dataclass(frozen=True, eq=False, repr=False)
class Minimizers(Result):
    """A box in which global minima may lie.

    Attributes
    ----------
    weights : ndarray, shape (2, n_hidden, n_features)
        Least and most of each weight. Rotations bring any weights to W that is upper triangular with a diagonal ≥ 0, features
        being taken in the order in which most of the lowest minima represent them.
    bias : ndarray, shape (2, n_features)
    phase : str or None
        The phase of all of the global minima in it; None where that is not proved.
    unique : bool
        Whether the box is proved to hold exactly one stationary point, or one minimum at a kink.

    Examples
    --------
    >>> from phasediag import ToyModel, certify
    >>> (where,) = certify(ToyModel(n_hidden=1, importance=[1.0, 0.5], density=0.2)).minimizers
    >>> where.phase, where.weights.shape
    ('extra in antipodal pair', (2, 1, 2))
    """

    weights: Floats
    bias: Floats
    phase: str | None
    unique: bool


@dataclass(frozen=True, eq=False, repr=False)
class Certificate(Result):
    """What is proved of the least expected loss of a model.

    Attributes
    ----------
    status : {"certified", "not proved"}
        Whether ``relative_gap`` is within the tolerance, also of a search that was stopped.
    loss_lower : float
        Proved: no weights and biases have a lower loss. Of a search that was stopped, by ``max_boxes`` or from the keyboard, the
        least bound of the boxes that are left; the lowest are halved first.
    loss_upper : float
        The loss of ``weights`` and ``bias``, rounded up.
    relative_gap : float
        1 − loss_lower / loss_upper.
    minimizers : tuple of Minimizers
        Proved: every global minimum is in one of them, up to rotations; those of features that can be exchanged are all listed,
        of three features those alone with the longer of equal features first.
        Empty where a search did not end.
    phases : tuple of str
        Proved: every global minimum is in one of these phases, where there are minimizers: those of the minimizers and of what
        equal features exchanged make of them, and of one whose phase is None all that its box may hold. Several where they tie,
        to what could be told apart.
    phase_certified : bool
        Proved, with the status "certified": every global minimum is in the phase, the only one of ``phases``.
    n_boxes : int
    arithmetic : str
    tolerance : float
    model : ToyModel
    weights : ndarray, shape (n_hidden, n_features)
    bias : ndarray, shape (n_features,)
        Those whose loss is ``loss_upper``.

    Examples
    --------
    >>> from phasediag import ToyModel, certify
    >>> proof = certify(ToyModel(n_hidden=1, importance=[1.0, 0.5], density=0.2))
    >>> proof.status, proof.phases, proof.phase_certified
    ('certified', ('extra in antipodal pair',), True)
    >>> proof.loss_lower <= proof.loss_upper, proof.relative_gap < 1e-6
    (True, True)
    """

    status: str
    loss_lower: float
    loss_upper: float
    relative_gap: float
    minimizers: tuple[Minimizers, ...]
    phases: tuple[str, ...]
    phase_certified: bool
    n_boxes: int
    arithmetic: str
    tolerance: float
    model: ToyModel = field(repr=False)
    weights: Floats
    bias: Floats
    proof: Proof = field(repr=False)

    def check(self, *, sample: int | None = None, seed: Seed = 0, progress: bool = False) -> "CertificateCheck":
        """Confirm the certificate from its tree of boxes alone, in rational arithmetic.

        Every statement is proved again by code that shares none with what found it: that the weights reach ``loss_upper``, that
        the root of the tree holds every global minimum, that each leaf holds none or no loss below ``loss_lower``, and that the
        phases are those of the leaves that are left. What is trusted then is the theorem's proof, that code and whole numbers.

        Parameters
        ----------
        sample : int, optional
            How many leaves are done again, chosen at random; by default all. That boxes cover the root, the hulls of those that
            may hold a minimum, and regions are confirmed in full.
        seed : int, Generator or None
            Of the sample.
        progress : bool
            Show a bar of the leaves.

        Returns
        -------
        CertificateCheck
            True where all that was done again is confirmed.

        Raises
        ------
        ValueError
            When an argument is outside its domain.

        Notes
        -----
        A leaf of two features takes half a millisecond, one of three up to seconds: trees of three have millions, for samples.
        What is always done in full takes 3 µs for each leaf, and up to a second for each region of two features, ten of three.
        With the extra ``phasediag[certify]`` (python-flint) all takes a fraction of the time; the result is the same.
        """
        from ._certifying import rational, replay

        same = as_certificate(self.model, self.weights, self.bias, self.tolerance, self.proof)
        n_leaves = n_all = int((self.proof.ops >= SLOPE).sum())
        chosen = None
        if sample is not None:
            n_leaves = min(whole_number("sample", sample, 1), n_all)
            chosen = set(random_generator(seed).choice(n_all, n_leaves, replace=False).tolist())
        reason = "" if _claims(self) == _claims(same) else "what the certificate says is not what its tree says"
        domain, inside = _TOLERANCE
        if not reason and not inside(self.tolerance):
            reason = f"tolerance is not {domain}"
        if not reason:
            try:
                with progress_bar(n_leaves, progress, "leaf", "check") as advance:
                    proved = replay.Replay(self.model.n_hidden, self.model.importance, self.model.feature_density, self.proof)
                    proved.confirm(self.weights, self.bias, advance, chosen)
            except replay.NotConfirmed as failed:
                reason = str(failed)
            except (ArithmeticError, np.linalg.LinAlgError):
                reason = "its numbers are too large or too small to be confirmed"
        return CertificateCheck(not reason, reason, n_leaves, n_all, rational.arithmetic())

    def save(self, path: str | Path) -> None:
        """Write the certificate to a file of plain arrays that `load` reads; any program that reads .npz does.

        The documentation has a page on the format: every field, and what another checker must confirm.

        Parameters
        ----------
        path : str or Path
            Ending in ".npz".

        Raises
        ------
        ValueError
            When the path does not end so.
        """
        proof, hulls = self.proof, self.proof.hulls
        fields: dict[str, Any] = dict(
            format=FORMAT,
            version=__version__,
            theorem=THEOREM,
            n_hidden=self.model.n_hidden,
            importance=self.model.importance,
            density=self.model.feature_density,
            tolerance=self.tolerance,
            weights=self.weights,
            bias=self.bias,
            loss_lower=proof.lower,
            loss_upper=proof.upper,
            gauge=proof.gauge,
            root=proof.root,
            ops=proof.ops,
            values=proof.values,
            hull_signs=list(hulls),
            hulls=list(hulls.values()),
            complete=proof.complete,
            n_boxes=proof.n_boxes,
            **{f"region_{name}": [getattr(one, name) for one in proof.regions] for name in _REGION},
        )
        sizes = _sizes(self.model.n_features, self.model.n_hidden, len(proof.regions), len(hulls))
        arrays: dict[str, Any] = {
            name: np.array(fields[name], dtype).reshape([sizes.get(one, one) for one in shape])
            for name, (dtype, shape, _, _) in _FIELDS.items()
        }
        with replacing(npz_path("path", path)) as target:
            np.savez_compressed(target, **arrays)

    @staticmethod
    def load(path: str | Path) -> "Certificate":
        """Read a certificate from a file; what it says is not confirmed before `check` has.

        Parameters
        ----------
        path : str or Path
            Written by `save`.

        Returns
        -------
        Certificate

        Raises
        ------
        ValueError
            When the file is not one of a certificate.
        """
        arrays = read_arrays("path", path, "Certificate.save", _FIELDS)
        wrong = _what_is_not(arrays)
        if wrong:
            raise ValueError(f"path must name a file written by Certificate.save, got {path}, whose {wrong}")
        try:
            density = arrays["density"]
            model = ToyModel(int(arrays["n_hidden"]), arrays["importance"], density[0] if np.ptp(density) == 0 else density)
            check_certifiable(model)
            weights, bias = model.check_parameters(arrays["weights"], arrays["bias"])
            parts = zip(*(arrays[f"region_{name}"] for name in _REGION), strict=True)
            proof = Proof(
                gauge=tuple(arrays["gauge"].tolist()),
                root=arrays["root"],
                ops=arrays["ops"],
                values=arrays["values"],
                regions=tuple(Region(int(k), box, point, float(bound), bool(one)) for k, box, point, bound, one in parts),
                upper=float(arrays["loss_upper"]),
                lower=float(arrays["loss_lower"]),
                hulls=dict(zip(arrays["hull_signs"].tolist(), arrays["hulls"], strict=True)),
                complete=bool(arrays["complete"]),
            )
            if int(arrays["n_boxes"]) != proof.n_boxes:
                raise ValueError("n_boxes")
        except ValueError:
            raise ValueError(
                f"path must name a file written by Certificate.save, got {path}, which says something else"
            ) from None
        return as_certificate(model, weights, bias, float(arrays["tolerance"]), proof)


@dataclass(frozen=True, eq=False, repr=False)
class CertificateCheck(Result):
    """Whether a certificate is confirmed; true where it is.

    Attributes
    ----------
    confirmed : bool
    reason : str
        What is not, in words; empty where all is.
    n_leaves : int
        Leaves that were done again, of
    n_all : int
        leaves.
    arithmetic : str

    Examples
    --------
    >>> from phasediag import ToyModel, certify
    >>> check = certify(ToyModel(n_hidden=1, importance=[1.0, 0.1], density=1.0), tolerance=0.1).check()
    >>> check.confirmed
    True
    """

    confirmed: bool
    reason: str
    n_leaves: int
    n_all: int
    arithmetic: str

    def __bool__(self) -> bool:
        return self.confirmed


def certify(model: ToyModel, *, tolerance: float = 1e-6, max_boxes: int = MOST_BOXES, progress: bool = False) -> Certificate:
    """Prove how low the expected loss can be, and in which phase its global minimum is.

    Parameters
    ----------
    model : ToyModel
        Of 2 or 3 features that are independent and uniform, ReLU.
    tolerance : float
        In [1e-10, 1): the gap between the proved bound and a loss that is reached, relative to the latter.
    max_boxes : int
        How many boxes of parameters are looked at, at most.
    progress : bool
        Show a bar of the boxes.

    Returns
    -------
    Certificate

    Raises
    ------
    ValueError
        When an argument is outside its domain.

    Notes
    -----
    Branch and bound over the weights, up to rotations, and biases. In each box the loss, or what a global minimum must satisfy,
    is bounded by exact closed forms:

    - ends, centre and slope: see `phasediag._certifying.bounds`; all rest on M(g, b) = E[1{z > 0} (x, 1)(x, 1)ᵀ], z = g·x + b,
      growing in g and b as x ≥ 0;
    - no feature costs more than its variance in a global minimum (leaving it out costs the variance and does not hurt the
      others), which also bounds the norms;
    - a minimum has gradient 0: the loss is differentiable but where an output vanishes for all inputs, which costs more than the
      variance.

    The loss reached is that of the lowest minimum that `minimize` finds, with its declared error. "Proved" is meant in full:
    the error of every floating-point sum is bounded beforehand and given away. What is trusted: these bounds (tests hold them
    against exact arithmetic), IEEE arithmetic as compiled, and the enumeration behind `expected_loss`. `Certificate.check`
    trusts none of the three: it does every box again in rational arithmetic.

    The phase is proved where every box that may hold a global minimum has one. Minima are enclosed in regions in which the loss
    is strictly convex, kinks of dedicated and of unrepresented features included, or, for two features in one dimension, in
    neighbourhoods of W = (1, 0) in which L − L(1, 0) is bounded below by a positive multiple of W_2², with the curvature of the
    worse side of the kink. Weights of such a minimum that are 0 between clusters of features are exactly 0: there the gradient
    vanishes whatever the weights within clusters.

    For three features of one density the least losses of single rows, whatever their bias, are tabulated first, and columns of
    equal features are taken in order of their norms. At densities up to 0.3 a search takes 10⁵ to 2 · 10⁶ boxes, seconds; at
    higher ones it may not end, and ``loss_lower`` then says how far it came, at 250 MB of memory for a million boxes; see
    `certify_superposition` for proofs there.

    References
    ----------
    Equation :eq:`certificate` of the mathematics page.

    Examples
    --------
    >>> from phasediag import ToyModel, certify
    >>> proved = certify(ToyModel(n_hidden=1, importance=[1.0, 0.5], density=0.2))
    >>> proved.status, proved.phases, proved.phase_certified
    ('certified', ('extra in antipodal pair',), True)
    >>> proved.loss_lower <= proved.loss_upper <= proved.loss_lower * (1 + 2e-6)
    True
    """
    check_certifiable(model)
    tolerance, max_boxes = check_limits(tolerance, max_boxes)
    known = [(one.weights, one.bias) for one in minimize(model, n_starts=1, effort="quick")]
    with progress_bar(None, progress, "box", "certify") as advance:
        return certificate(model, known, tolerance, max_boxes, advance)


def _sizes(n_features, n_hidden, n_regions, n_hulls):
    """What the letters of shapes of fields are; an empty one is any number."""
    nd = len(free_weights(n_hidden, range(n_features))) + n_features
    return {"n": n_features, "m": n_hidden, "nd": nd, "k": n_regions, "j": n_hulls, "": -1}


def _what_is_not(arrays):
    """What of the fields of a file is not of its type, domain or shape, in words; empty where all is."""
    for name, (dtype, shape, domain, inside) in _FIELDS.items():
        given = arrays[name]
        typed = given.dtype.kind == "U" if dtype == "str" else given.dtype == dtype and np.all(np.isfinite(given))
        if not (typed and given.ndim == len(shape) and np.all(inside(given))):
            return f"{name} is not {domain}"
    n_features, n_hulls, n_regions = (arrays[name].size for name in ("importance", "hull_signs", "region_kind"))
    sizes = _sizes(n_features, int(arrays["n_hidden"]), n_regions, n_hulls)
    for name, (_, shape, _, _) in _FIELDS.items():
        wanted, given = [sizes.get(one, one) for one in shape], arrays[name].shape
        if any(one not in (-1, other) for one, other in zip(wanted, given, strict=True)):
            return f"{name} is not of shape ({', '.join(map(str, shape))})"
    return ""


def check_limits(tolerance, max_boxes):
    """Return tolerance and number of boxes of a proof, or refuse them."""
    return real_number("tolerance", tolerance, *_TOLERANCE), whole_number("max_boxes", max_boxes, 1)


def check_certifiable(model):
    """Refuse what is not a model of 2 or 3 features with the default law, values and activation, without a penalty."""
    check_model(model)
    model.check_default_law("certify")
    if not 2 <= model.n_features <= MOST_FEATURES:
        raise ValueError(f"model must have 2 or {MOST_FEATURES} features to be certified, got {model.n_features}")
    if model.form != ToyModel(model.n_hidden, np.ones(model.n_features), 1.0).form:
        raise ValueError(
            f"model must have independent features, uniform values, no penalty and ReLU to be certified, got {model!r:.300}"
        )


def certificate(model, known, tolerance, max_boxes, advance):
    """Return the Certificate of a model of which minima are known: a list of (weights, bias), lowest first."""
    weights, bias = known[0]
    loss, error = expected_loss_with_error(model, weights, bias)
    upper = float(np.nextafter(loss + error, np.inf))
    importance, density = model.importance.copy(), model.feature_density.copy()  # kernels take arrays that can be written to
    gauge = gauge_of(importance, density, known)
    regions = regions_around(model.n_hidden, gauge, importance, density, known)
    proof = prove(model.n_hidden, gauge, importance, density, upper, tolerance, _signs_of(weights), regions, max_boxes, advance)
    if proof.complete and not is_told_of(gauge, importance, density, proof, weights, bias):
        raise RuntimeError(f"the proof excludes the minimum that is known, a fault of phasediag: please report {model!r:.300}")
    return as_certificate(model, weights, bias, tolerance, proof)


def as_certificate(model, weights, bias, tolerance, proof):
    """Return the Certificate of a Proof whose upper loss is that of weights (n_hidden, n_features) and bias (n_features,)."""
    gap = 1 - proof.lower / proof.upper
    found = list(_minimizers(model, proof)) if proof.complete else []
    minimizers = tuple(one for one, _ in found)
    phases = tuple(dict.fromkeys(name for _, names in found for name in names))
    certified = gap <= tolerance
    return Certificate(
        status="certified" if certified else "not proved",
        loss_lower=proof.lower,
        loss_upper=proof.upper,
        relative_gap=gap,
        minimizers=minimizers,
        phases=phases,
        phase_certified=certified and len(phases) == 1,
        n_boxes=proof.n_boxes,
        arithmetic=_ARITHMETIC,
        tolerance=tolerance,
        model=model,
        weights=weights,
        bias=bias,
        proof=proof,
    )


def _claims(certificate):
    """All that a certificate says beside its proof, in a form that can be compared."""
    names = "status", "loss_lower", "loss_upper", "relative_gap", "phases", "phase_certified", "n_boxes", "arithmetic"
    boxes = [(one.phase, one.unique, one.weights.tolist(), one.bias.tolist()) for one in certificate.minimizers]
    return [getattr(certificate, name) for name in names], boxes


def _minimizers(model, proof):
    """Yield the Minimizers of a Proof and the names of their phases: its regions that are low enough and hulls of low leaves."""
    free = free_weights(model.n_hidden, proof.gauge)
    for region in proof.regions:
        if region.bound <= proof.upper:
            patterns = patterns_of(free, model.n_features, region.box, zeros_of(free, model.n_features, region))
            yield _box(model, free, region.box, patterns, region.unique)
    for signs, hull in proof.hulls.items():
        yield _box(model, free, hull, patterns_of(free, model.n_features, hull, signs=signs), False)


def _box(model, free, box, patterns, unique):
    """The Minimizers in a box (2, nd) of parameters, of one of the patterns, and the phases of these and of their exchanges."""
    weights = np.zeros((2, model.n_hidden, model.n_features))
    weights[:, free[:, 0], free[:, 1]] = box[:, : len(free)]
    own, *others = [
        list(dict.fromkeys(phase_in_order(_exchanged(one, order), model.n_features).name for one in patterns))
        for order in exchanges(model.importance, model.feature_density)
    ]
    phase = own[0] if len(own) == 1 else None
    return Minimizers(weights, box[:, len(free) :].copy(), phase, unique), [*own, *(name for names in others for name in names)]


def _exchanged(clusters, order):
    """Clusters (name, size, dimension, features) with features in another order, as a list of Cluster."""
    return [Cluster(*one, tuple(sorted(map(order.index, members)))) for *one, members in clusters]


def _signs_of(weights):
    """The signs of the products W_i·W_j, i < j, of weights (n_hidden, n_features) as bits; −1 where one is 0."""
    products = (weights.T @ weights)[np.triu_indices(weights.shape[1], 1)]
    if np.abs(products).min() < 1e-9:
        return -1
    return int(((products > 0) * 2 ** np.arange(len(products))).sum())
