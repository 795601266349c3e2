"""Options that commands share, and the kinds of values they take."""

import click


class Axis(click.ParamType):
    """LOW:HIGH:COUNT (logarithmic steps) or a comma-separated list."""

    name = "axis"

    def convert(self, value, param, context):
        import numpy as np

        try:
            if ":" in value:
                low, high, count = value.split(":")
                low, high, count = float(low), float(high), int(count)
                if not (0 < low < high < float("inf") and 2 <= count <= 100_000):
                    raise ValueError
                return np.geomspace(low, high, count)
            return np.array([float(part) for part in value.split(",")])
        except ValueError:
            self.fail(f"{value!r} is neither LOW:HIGH:COUNT with 0 < LOW < HIGH nor a list like 0.1,1,10", param, context)


class Numbers(click.ParamType):
    """A number or a comma-separated list of numbers."""

    name = "numbers"

    def convert(self, value, param, context):
        try:
            return [float(part) for part in value.split(",")]
        except ValueError:
            self.fail(f"{value!r} is neither a number nor a list like 1,1,0.5", param, context)


class Index(click.ParamType):
    """A whole number or a comma-separated list of them."""

    name = "index"

    def convert(self, value, param, context):
        try:
            return tuple(int(part) for part in value.split(","))
        except ValueError:
            self.fail(f"{value!r} is neither a whole number nor a list like 0,3", param, context)


def _several(*options):
    def decorate(function):
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


activation_option = click.option("--activation", default="relu", show_default=True, help='"relu" or "linear".')
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON on standard output.")


def sizes_up_to(domain):
    """The two sizes of a model, with the domain of the first in words."""
    return _several(
        click.option("--n-features", type=int, default=2, show_default=True, help=f"Features, {domain}."),
        click.option("--n-hidden", type=int, default=1, show_default=True, help="Hidden dimensions, fewer than features."),
    )


size_options = sizes_up_to("2 to 8")
grid_sizes = sizes_up_to("2 to 8; of trained models 2 or more")
importance_option = click.option(
    "--importance",
    type=Numbers(),
    default="1",
    show_default=True,
    help="Importance of the extra feature (the others have 1), or a list for all.",
)
point_options = _several(
    importance_option,
    click.option(
        "--density", type=Numbers(), default="0.5", show_default=True, help="Density in (0, 1], or a list for all features."
    ),
)


def axis_options(importance, density):
    """The two axes of a grid, with these defaults in words."""
    kinds = ("importance", "Importances of the extra feature", importance), ("density", "Densities in (0, 1]", density)
    return _several(
        *(
            click.option(f"--{name}", type=Axis(), help=f"{what}, LOW:HIGH:COUNT or a list. [default: {default}]")
            for name, what, default in kinds
        )
    )


threads_option = click.option(
    "--n-threads", type=int, help="Threads; they do not change the result. [default: all processors that may be used]"
)
store_option = click.option(
    "--store", type=click.Path(), help="Folder that receives models as they are trained; resumes a stopped run."
)
search_options = _several(
    click.option("--n-starts", type=int, default=24, show_default=True, help="Random starts at each coarse point (global)."),
    click.option("--seed", type=int, default=0, show_default=True, help="Seed of those starts."),
    threads_option,
    click.option(
        "--checkpoint", type=click.Path(), help="An .npz file to which a stopped search is saved and from which it goes on."
    ),
)
grid_options = _several(
    grid_sizes,
    click.option(
        "--theory",
        default="global",
        show_default=True,
        help='"global": all minima over weights and biases; "relaxed": each pattern adjusts; "frozen": unit weights; '
        '"trained" (diagram only): models trained by stochastic gradient descent.',
    ),
    activation_option,
    axis_options("0.1:10:100", "0.01:1:100"),
    search_options,
)
optimizer_options = _several(
    click.option("--n-steps", type=int, default=10_000, show_default=True, help="Steps of each training."),
    click.option("--batch-size", type=int, default=1024, show_default=True, help="Samples of each step."),
    click.option("--learning-rate", type=float, default=1e-3, show_default=True, help="Of the loss averaged over features."),
    click.option("--optimizer", default="adamw", show_default=True, help='"adamw", "adam" or "sgd".'),
    click.option("--schedule", default="constant", show_default=True, help='"constant", "linear" or "cosine".'),
    click.option("--weight-decay", type=float, help="PyTorch's. [default: 0.01 for AdamW, else 0]"),
    click.option("--independent", is_flag=True, help="Minibatches of its own for every model."),
)
trained_options = _several(
    click.option("--n-seeds", type=int, default=10, show_default=True, help="Models trained in each cell."),
    optimizer_options,
    click.option(
        "--reduction",
        default="paper",
        show_default=True,
        help='"paper": the worst model of a cell is discarded, invariants of the others averaged; "best": the best alone.',
    ),
    store_option,
    click.option("--scheduler", help="Train on a dask cluster: the scheduler's address, tcp://HOST:PORT."),
)
