"""Options that commands share, and the kinds of values they take."""

import click


class Word(click.Choice):
    """One of some words, in upper or lower case; ``also`` holds other words for them."""

    def __init__(self, *words, **also):
        super().__init__(words, case_sensitive=False)
        self.also = also

    def convert(self, value, param, context):
        """The word in lower case, or the one that it stands for."""
        from .._arguments import one_of

        word = self.also.get(value.lower(), value.lower())
        one_of(param.name, word if word in self.choices else value, tuple(self.choices))
        return word


class TheoryOption(click.Option):
    """An option for some theories alone, refused with others by commands that let the user choose among theories."""

    def __init__(self, *names, theories, **settings):
        super().__init__(*names, **settings)
        self.theories = theories

    def handle_parse_result(self, context, opts, args):
        """Refuse the option where the theory, which is parsed first, is not one of its own."""
        theory = context.params.get("theory", self.theories[0])
        if self.name in opts and theory not in self.theories:
            owners = " or ".join(f'"{owner}"' for owner in self.theories)
            raise ValueError(f'{self.name} is for theory {owners} and must not be given for "{theory}", got {opts[self.name]!r}')
        return super().handle_parse_result(context, opts, args)


class Axis(click.ParamType):
    """LOW:HIGH:COUNT (logarithmic steps) or a comma-separated list."""

    name = "axis"

    def convert(self, value, param, context):
        """The points of the axis, shape (n_points,)."""
        import numpy as np

        try:
            if ":" in value:
                low, high, count = value.split(":")
                low, high, count = float(low), float(high), int(count)
                if not (0 < low <= high < float("inf") and 1 <= count <= 100_000 and (low < high) == (count > 1)):
                    raise ValueError
                return np.geomspace(low, high, count)
            return np.array([float(part) for part in value.split(",")])
        except ValueError:
            domain = "LOW:HIGH:COUNT with 0 < LOW < HIGH and COUNT from 2 to 100000 (or LOW = HIGH and COUNT 1)"
            self.fail(f"{value!r} is neither {domain} nor a list like 0.1,1,10", param, context)


class Numbers(click.ParamType):
    """A number or a comma-separated list of numbers."""

    name = "numbers"

    def convert(self, value, param, context):
        """A list of float."""
        try:
            return [float(part) for part in value.split(",")]
        except ValueError:
            self.fail(f"{value!r} is neither a number nor a list like 1,1,0.5", param, context)


class Index(click.ParamType):
    """A whole number or a comma-separated list of them."""

    name = "index"

    def convert(self, value, param, context):
        """A tuple of int."""
        try:
            return tuple(int(part) for part in value.split(","))
        except ValueError:
            self.fail(f"{value!r} is neither a whole number nor a list like 0,3", param, context)


def _several(*options):
    """One decorator of several."""

    def decorate(function):
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


def _option(name, default=None, theories=None, **settings):
    """An option that shows its default; of some theories alone, if they are named."""
    settings |= {} if theories is None else {"cls": TheoryOption, "theories": theories}
    return click.option(name, default=default, show_default=default is not None, **settings)


SEARCHED, TRAINED = ("global", "relaxed"), ("trained",)
activation_option = _option("--activation", "relu", type=Word("relu", "linear"), help="What outputs pass through.")
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON on standard output.")


def sizes_up_to(domain):
    """The two sizes of a model, with the domain of the first in words."""
    return _several(
        click.option("--n-features", type=int, default=2, show_default=True, help=f"Features, {domain}."),
        click.option("--n-hidden", type=int, default=1, show_default=True, help="Hidden dimensions, fewer than features."),
    )


size_options = sizes_up_to("2 to 8")
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
            click.option(
                f"--{name}",
                type=Axis(),
                help=f"{what}: a list, or LOW:HIGH:COUNT in equal logarithmic steps. [default: {default}]",
            )
            for name, what, default in kinds
        )
    )


threads_option = _option(
    "--n-threads",
    None,
    SEARCHED + TRAINED,
    type=int,
    help="Threads; they do not change the result. [default: all processors that may be used]",
)
THEORIES = {
    "global": "all minima over weights and biases (exact)",
    "relaxed": "each pattern adjusts",
    "frozen": "unit weights",
    "trained": "models trained by stochastic gradient descent",
}
store_option = _option(
    "--store", None, TRAINED, type=click.Path(), help="Folder that receives models as they are trained; resumes a stopped run."
)


def grid_options(*theories):
    """The options of a diagram by one of these theories."""
    meanings = "; ".join(f"{theory}: {THEORIES[theory]}" for theory in theories)
    trained = "trained" in theories
    seed = "Seed of those starts" + ", or of the training" * trained + "."
    checkpoint = "An .npz file to which a stopped search is saved and from which it goes on (global)."
    return _several(
        sizes_up_to("2 to 8" + "; of trained models 2 or more" * trained),
        _option("--theory", "global", type=Word(*theories, exact="global"), is_eager=True, help=f"{meanings}."),
        activation_option,
        axis_options("0.1:10:100", "0.01:1:100"),
        _option("--n-starts", 24, SEARCHED, type=int, help="Random starts at each coarse point (global, relaxed)."),
        _option("--seed", 0, SEARCHED + TRAINED, type=int, help=seed),
        threads_option,
        _option("--checkpoint", None, ("global",), type=click.Path(), help=checkpoint),
    )


optimizer_options = _several(
    _option("--n-steps", 10_000, TRAINED, type=int, help="Steps of each training."),
    _option("--batch-size", 1024, TRAINED, type=int, help="Samples of each step."),
    _option("--learning-rate", 1e-3, TRAINED, type=float, help="Of the loss averaged over features."),
    _option("--optimizer", "adamw", TRAINED, type=Word("adamw", "adam", "sgd"), help="PyTorch's formulas."),
    _option("--schedule", "constant", TRAINED, type=Word("constant", "linear", "cosine"), help="Of the learning rate."),
    _option("--weight-decay", None, TRAINED, type=float, help="PyTorch's. [default: 0.01 for AdamW, else 0]"),
    _option("--independent", False, TRAINED, is_flag=True, help="Minibatches of its own for every model."),
)
trained_options = _several(
    _option("--n-seeds", 10, TRAINED, type=int, help="Models trained in each cell."),
    optimizer_options,
    _option(
        "--reduction",
        "paper",
        TRAINED,
        type=Word("paper", "best"),
        help="paper: the worst model of a cell is discarded, invariants of the others averaged; best: the best alone.",
    ),
    store_option,
    _option("--scheduler", None, TRAINED, help="Train on a dask cluster: the scheduler's address, tcp://HOST:PORT."),
)
