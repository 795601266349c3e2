"""What drawings share: axes with plain numbers or with none, squares, matrices as images, legends."""

from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

SMALL = {"fontsize": "small", "frameon": False}
BESIDE = SMALL | {"loc": "upper left", "bbox_to_anchor": (1.02, 1.0), "borderaxespad": 0}
"""Of a legend on the right of an axes."""


def plane_axes(ax, plane, window, title):
    """Make the axes a plane's: named, logarithmic where they are, with plain numbers."""
    ax.set(title=title)
    for axis, name, ends in zip((plane.x, plane.y), "xy", window, strict=True):
        show_axis(ax, name, axis, *ends)


def show_axis(ax, name, axis, low, high):
    """Make the "x" or "y" of a drawing an Axis of a plane, from ``low`` to ``high``."""
    ax.set(**{f"{name}scale": "log" if axis.log else "linear", f"{name}lim": (low, high), f"{name}label": axis.label})
    if axis.log:
        plain_ticks(getattr(ax, f"{name}axis"), low, high)


def plain_ticks(axis, low, high):
    """Label a logarithmic axis with plain numbers: powers of ten, and 2 and 5 times them on short axes."""
    axis.set_major_locator(LogLocator(base=10, subs=(1,) if high > 30 * low else (1, 2, 5)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def without_axes(ax):
    """Leave ticks and spines away."""
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)


def square(ax, reach):
    """Show as much on every side of the origin."""
    ax.set(aspect="equal", xlim=(-reach, reach), ylim=(-reach, reach))


def same_scale(panels):
    """Let panels with `square` axes show as much as the one that shows most, so that lengths in them compare."""
    reach = max(ax.get_xlim()[1] for ax in panels)
    for ax in panels:
        square(ax, reach)


def draw_matrix(matrix, ax, **style):
    """Draw a matrix as the paper does, and return the image: red for −1, white for 0, blue for 1."""
    return ax.imshow(matrix, cmap="RdBu", vmin=-1, vmax=1, **style)


def feature_names(n_features):
    """What features are called: by their numbers from 1, the last one "extra"."""
    return [*map(str, range(1, n_features)), "extra"]


def patch(colour, label):
    """The handle of a colour in a legend."""
    return Patch(facecolor=colour, edgecolor="black", linewidth=0.6, label=label)


def legend_below(figure, handles, columns):
    """Put a legend below a figure, where there is something to name."""
    if handles:
        figure.legend(handles=handles, loc="outside lower center", ncols=columns, **SMALL)
