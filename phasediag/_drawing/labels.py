"""Names at the tips of arrows, moved aside where they would cover each other or an arrow."""

import numpy as np

_POINTS = 6.95  # size of the font "x-small"
_TURNS = np.radians([0, 40, -40, 80, -80, 120, -120])
_GAPS = (4.0, 11.0, 18.0)  # points between a tip and its name


def draw_labels(ax, names, origins, tips, colours):
    """Write each name beyond the tip of its arrow, or beside it where that place is taken; return the annotations, a list.

    The limits of ``ax`` are set; lengths on the page are estimated from its size before any layout, which is rather too small.
    Origins and tips, shape (n_arrows, 2), are in data coordinates; where both are one point, that is a dot, named below it.
    """
    box = ax.get_window_extent()
    side = min(box.width, box.height) * 72 / ax.figure.dpi  # in points
    scale = side / max(np.ptp(ax.get_xlim()), np.ptp(ax.get_ylim()))
    starts, ends = origins * scale, tips * scale
    labels, taken = [None] * len(names), []
    for i in np.argsort(-np.linalg.norm(ends - starts, axis=1), kind="stable"):
        half = np.array([0.3 * len(names[i]), 0.5]) * _POINTS
        along = ends[i] - starts[i]
        angle = np.arctan2(along[1], along[0]) if np.any(along) else -np.pi / 2
        best = None
        for gap in _GAPS:
            for turn in _TURNS:
                direction = np.array([np.cos(angle + turn), np.sin(angle + turn)])
                shift = direction * (gap + np.abs(direction) @ half)
                middle = ends[i] + shift
                covered = sum(_covers(middle, half + 1.0, start, end) for start, end in zip(starts, ends, strict=True))
                covered += sum(bool(np.all(np.abs(middle - other) < half + size)) for other, size in taken)
                if best is None or covered < best[0]:
                    best = covered, shift, middle
        taken.append((best[2], half))
        style = {"color": colours[i], "fontsize": "x-small", "ha": "center", "va": "center"}
        labels[i] = ax.annotate(names[i], tips[i], best[1], textcoords="offset points", **style)
    return labels


def _covers(middle, half, start, end):
    """Whether a box meets the segment from start to end."""
    first, last = 0.0, 1.0
    for x, size, origin, step in zip(middle, half, start, end - start, strict=True):
        if abs(step) < 1e-12:
            if abs(origin - x) >= size:
                return False
            continue
        near, far = sorted(((x - size - origin) / step, (x + size - origin) / step))
        first, last = max(first, near), min(last, far)
    return first < last
