"""Colours of phases and of order parameters: from one mapping, distinguishable without colour vision."""

import re

import numpy as np

LOOKS = ("phase", "norm-interference")

EXTRA_COLOUR, ORDINARY_COLOUR = (0.85, 0.37, 0.01), (0.25, 0.25, 0.25)
"""Of the extra feature's column of W, and of the others' columns."""

CAUSE_COLOURS = {
    "agrees": (0.90, 0.90, 0.90),
    "statistical": (0.34, 0.71, 0.91),
    "metastable": (0.90, 0.62, 0.00),
    "not converged": (0.00, 0.45, 0.70),
    "dead output": (0.80, 0.47, 0.65),
    "unexplained": (0.00, 0.00, 0.00),
}
"""Of the causes for which trained models differ from the theory (after Okabe and Ito)."""

_SIZES = {
    "pair": 2,
    "triangle": 3,
    "square": 4,
    "tetrahedron": 4,
    "pentagon": 5,
    "hexagon": 6,
    "heptagon": 7,
    "octagon": 8,
    "antiprism": 8,
}
_SIMPLICES = ("antipodal pair", "triangle", "tetrahedron", "simplex", "simplices")

# Lightness from none to all of the features in superposition, chroma and hue, in Oklch. The three ranges of
# lightness do not overlap: without colour a phase still shows where its extra feature is.
_ROLES = {
    "not represented": ((0.93, 0.81), 0.0, 90.0),
    "dedicated": ((0.77, 0.63), 0.11, 250.0),
    "in": ((0.60, 0.46), 0.17, 25.0),
}

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
    role = head if head in _ROLES else "in"
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


def _count_and_cluster(part):
    """Split "2 antipodal pairs" into (2, "antipodal pairs"); the 4 of "4 features in 2 dimensions" is no count."""
    count, rest = re.fullmatch(r"(?:(\d+) (?!features))?(.+)", part).groups()
    return int(count or 1), rest


def _size(cluster):
    """How many features a cluster has, by its name; 1 when dedicated or not represented."""
    number = re.match(r"(\d+)(-simpl| features)", cluster)
    if number:
        return int(number[1]) + (number[2] == "-simpl")
    words = [word.removesuffix("s") for word in cluster.split()]
    return next((_SIZES[word] for word in reversed(words) if word in _SIZES), 1)


def _turn(cluster):
    """How far a cluster turns the hue: 0 for pairs and single features, up to 1 for simplices, down to −1 for the rest."""
    if _size(cluster) == 1:
        return 0.0
    extent = 1 - 1 / (_size(cluster) - 1) if _size(cluster) > 2 else 0.0
    return extent if any(word in cluster for word in _SIMPLICES) else -max(extent, 0.4)


def _rgb(lightness, chroma, hue):
    """Return the sRGB colour of an Oklch colour, with as much of its chroma as the display can show.

    References
    ----------
    B. Ottosson 2020, "A perceptual color space for image processing".
    """
    angle = np.radians(hue)
    for part in np.linspace(1.0, 0.0, 21):
        a, b = part * chroma * np.cos(angle), part * chroma * np.sin(angle)
        cone = np.array(
            [
                lightness + 0.3963377774 * a + 0.2158037573 * b,
                lightness - 0.1055613458 * a - 0.0638541728 * b,
                lightness - 0.0894841775 * a - 1.2914855480 * b,
            ]
        )
        linear = _FROM_CONES @ cone**3
        if np.all((linear >= -1e-9) & (linear <= 1 + 1e-9)):
            break
    linear = np.clip(linear, 0, 1)
    return tuple(np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055).tolist())


_FROM_CONES = np.array(
    [
        [4.0767416621, -3.3077115913, 0.2309699292],
        [-1.2684380046, 2.6097574011, -0.3413193965],
        [-0.0041960863, -0.7034186147, 1.7076147010],
    ]
)
