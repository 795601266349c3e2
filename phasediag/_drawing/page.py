"""Figures that show themselves: what every ``*_figure`` returns."""

from io import BytesIO

from matplotlib import figure


class Figure(figure.Figure):
    """A matplotlib figure that is a picture in a notebook, and opens in a window where there is one."""

    def _repr_png_(self):
        """The figure as PNG, for a notebook that has not been told what a matplotlib figure is."""
        data = BytesIO()
        self.savefig(data, format="png", dpi=100)
        return data.getvalue()

    def show(self, warn=True):
        """Open the figure in a window of matplotlib's interactive backend; ``warn``: say so where there is none."""
        from matplotlib import pyplot

        manager = self.canvas.manager
        if manager is None:  # made without pyplot, which belongs to the caller
            manager = pyplot.new_figure_manager(pyplot.get_fignums()[-1] + 1 if pyplot.get_fignums() else 1)
            self.set_canvas(manager.canvas)
            manager.canvas.figure = self
        super().show(warn=warn)
