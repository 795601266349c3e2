"""Colours of phases and of order parameters: from one mapping, distinguishable without colour vision."""

import re
from functools import lru_cache
from itertools import product

import numpy as np

from .phases import SHAPES

LOOKS = ("phase", "norm-interference")

EXTRA_COLOUR, ORDINARY_COLOUR = (0.85, 0.37, 0.01), (0.25, 0.25, 0.25)
"""Of the extra feature's column of W, and of the others' columns."""

CAUSE_COLOURS = {
    "agrees": (0.90, 0.90, 0.90),
    "tolerance": (0.95, 0.90, 0.25),
    "statistical": (0.34, 0.71, 0.91),
    "metastable": (0.90, 0.62, 0.00),
    "not converged": (0.00, 0.45, 0.70),
    "dead output": (0.80, 0.47, 0.65),
    "dead neuron": (0.84, 0.37, 0.00),
    "growing weights": (0.00, 0.62, 0.45),
    "unexplained": (0.00, 0.00, 0.00),
}
"""Of the causes for which trained models differ from the theory (after Okabe and Ito)."""

_SIZES = {name: columns.shape[1] for name, columns in SHAPES.items()}
_SIZES |= {"antipodal pair": 2, "aligned pair": 2, "triangle": 3, "tetrahedron": 4}
_SIMPLICES = ("antipodal pair", "triangle", "tetrahedron")

# Lightness from none to all of the features in superposition, chroma and hue, in Oklch. The three ranges of
# lightness do not overlap: without colour a phase still shows where its extra feature is.
_ROLES = {
    "not represented": ((0.93, 0.81), 0.0, 90.0),
    "dedicated": ((0.77, 0.63), 0.11, 250.0),
    "in": ((0.60, 0.46), 0.17, 25.0),
}

APART = 0.05
"""Least distance in Oklab, by whatever eye, between phases drawn together; about twice what adjacent areas need to differ."""
_HUES = 60.0
"""How far phases that have to give way turn from their role's hue, to either side, at most: the roles' hues do not meet."""

# What is left of linear RGB for a full, a protanopic and a deuteranopic eye (Machado, Oliveira and Fernandes 2009, severity 1).
_EYES = np.array(
    [
        np.eye(3),
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    ]
)

_ENDS = {"grey": (0.80, 0.80, 0.80), "blue": (0.33, 0.57, 0.87), "red": (0.72, 0.13, 0.19)}


def phase_colour(name):
    """Return the RGB colour of a phase, which depends on nothing but its name.

    Light grey: the extra feature is not represented; blue: it has a dedicated dimension; dark red: it is in superposition.
    Within a family, the larger the share of the features in superposition, the darker; clusters larger than pairs
    turn the hue (grey to olive, blue to teal, red to brown for simplices and to purple for other shapes). Where phases
    coexist ("… = …") the colour is the first one's.

    Parameters
    ----------
    name : str
        A phase's name as ``classify`` gives it.

    Returns
    -------
    tuple of three float
        In [0, 1].
    """
    head, *others = name.split(" = ")[0].removeprefix("extra ").split(" + ")
    role = _role(name)
    (light, dark), chroma, hue = _ROLES[role]
    counts = [_count_and_cluster(part) for part in others]
    own = head.removeprefix("in ")
    if role == "in":
        counts.append((1, own))
    total = sum(count * _size(cluster) for count, cluster in counts)
    shared = sum(count * _size(cluster) for count, cluster in counts if _size(cluster) > 1)
    lightness = light + (dark - light) * shared / max(total, 1)
    turn = max((_turn(_count_and_cluster(part)[1]) for part in others), key=abs, default=0.0)
    if role == "in":
        return _rgb(lightness, chroma * (1 - 0.4 * abs(_turn(own))), hue + 60.0 * _turn(own) - 30.0 * turn)
    return _rgb(lightness, max(chroma, 0.09 * abs(turn)), hue - 80.0 * turn)


def phase_colours(names, taken=()):
    """Return the colours of phases that are drawn together, no two alike.

    Each phase has the colour that its name gives it alone (`phase_colour`); where two of these are nearer than ``APART``, one
    gives way: the later name takes the nearest colour of its role that is as far from all others.

    Parameters
    ----------
    names : iterable of str
        Names of phases; of phases that coexist ("… = …") the first one's counts.
    taken : mapping, optional
        Colours of other phases, which those of these names keep away from.

    Returns
    -------
    dict
        From each name to three floats in [0, 1].
    """
    first, chosen = {name: name.split(" = ")[0] for name in names}, dict(taken)
    for name in sorted(set(first.values()) - {*chosen}):
        own = phase_colour(name)
        candidates = np.array([own, *_palette(_role(name))])
        room = _distance(candidates, [*chosen.values()]).min(axis=1, initial=np.inf)
        far = candidates[room >= min(APART, room.max())]
        chosen[name] = tuple(far[np.argmin(_distance(far, [own]))].tolist())
    return {name: chosen[one] for name, one in first.items()}


def norm_interference_colour(norm, interference):
    """Return the paper's two-dimensional colour of a feature.

    Grey at norm 0; at norm 1 from blue (interference 0) to red (interference 1); values above 1 count as 1.

    Parameters
    ----------
    norm, interference : array_like
        Nonnegative.

    Returns
    -------
    ndarray, shape (…, 3)

    References
    ----------
    Elhage et al. 2022, section "Superposition as a Phase Change", legend of the phase diagrams.
    """
    norm = np.clip(np.asarray(norm, dtype=float), 0, 1)[..., None]
    share = np.clip(np.asarray(interference, dtype=float), 0, 1)[..., None]
    grey, blue, red = (np.array(_ENDS[name]) for name in ("grey", "blue", "red"))
    return (1 - norm) * grey + norm * ((1 - share) * blue + share * red)


def _role(name):
    """The key of ``_ROLES`` for a phase's name."""
    head = name.split(" = ")[0].removeprefix("extra ").split(" + ")[0]
    return head if head in _ROLES else "in"


@lru_cache
def _palette(role):
    """The colours of a role's lightness that phases may give way to, shape (n_colours, 3)."""
    (light, dark), _, hue = _ROLES[role]
    hues = hue + np.linspace(-_HUES, _HUES, 15)
    grid = product(np.linspace(light, dark, 8), np.linspace(0.03, 0.17, 6), hues)
    return np.array([_rgb(*place) for place in grid])


def _distance(colours, others):
    """The least distance that any eye sees, in Oklab: shape (n_colours, n_others)."""
    one, other = (_oklab(np.reshape(some, (-1, 3))) for some in (colours, others))
    return np.linalg.norm(one[:, :, None] - other[:, None], axis=-1).min(axis=0)


def _oklab(colours):
    """Oklab coordinates of sRGB colours (n, 3) as each eye sees them, shape (n_eyes, n, 3)."""
    linear = np.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)
    seen = np.clip(np.einsum("eij,nj->eni", _EYES, linear), 0, 1)
    return np.cbrt(seen @ np.linalg.inv(_FROM_CONES).T) @ np.linalg.inv(_TO_CONES).T


def _count_and_cluster(part):
    """Split "2 antipodal pairs" into (2, "antipodal pairs"); the 4 of "4 features in 2 dimensions" is no count."""
    count, rest = re.fullmatch(r"(?:(\d+) (?!features))?(.+)", part).groups()
    return int(count or 1), rest


def _size(cluster):
    """How many features a cluster has, by its name; 1 when dedicated or not represented."""
    number = re.match(r"(\d+)(-simpl| features)", cluster)
    if number:
        return int(number[1]) + (number[2] == "-simpl")
    return _SIZES.get(cluster.removesuffix("s"), 1)


def _turn(cluster):
    """How far a cluster turns the hue: 0 for pairs and single features, up to 1 for simplices, down to −1 for the rest."""
    if _size(cluster) == 1:
        return 0.0
    extent = 1 - 1 / (_size(cluster) - 1) if _size(cluster) > 2 else 0.0
    simplex = cluster.removesuffix("s") in _SIMPLICES or re.match(r"\d+-simpl", cluster)
    return extent if simplex else -max(extent, 0.4)


def _rgb(lightness, chroma, hue):
    """Return the sRGB colour of an Oklch colour, with as much of its chroma as the display can show.

    References
    ----------
    B. Ottosson 2020, "A perceptual color space for image processing".
    """
    angle = np.radians(hue)
    for part in np.linspace(1.0, 0.0, 21):
        a, b = part * chroma * np.cos(angle), part * chroma * np.sin(angle)
        linear = _FROM_CONES @ (_TO_CONES @ [lightness, a, b]) ** 3
        if np.all((linear >= -1e-9) & (linear <= 1 + 1e-9)):
            break
    linear = np.clip(linear, 0, 1)
    return tuple(np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055).tolist())


_TO_CONES = np.array(
    [[1.0, 0.3963377774, 0.2158037573], [1.0, -0.1055613458, -0.0638541728], [1.0, -0.0894841775, -1.2914855480]]
)
_FROM_CONES = np.array(
    [
        [4.0767416621, -3.3077115913, 0.2309699292],
        [-1.2684380046, 2.6097574011, -0.3413193965],
        [-0.0041960863, -0.7034186147, 1.7076147010],
    ]
)
