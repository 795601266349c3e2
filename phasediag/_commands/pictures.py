"""Pictures that another process draws, which holds this module: the one that asks needs no library of drawing."""

from .. import figures
from .answers import save_figure


def write(path, dpi, name, given, options):
    """Write the picture that a function of `phasediag.figures` draws."""
    save_figure(lambda: getattr(figures, name)(*given, **options), path, dpi)
