"""Options that commands share, and the kinds of values they take."""

import click
from click.core import ParameterSource

from .profiles import Profile
from .terminal import check_file


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


class Words(Word):
    """Some of those words, separated by commas."""

    def convert(self, value, param, context):
        """A tuple of them, each once."""
        return tuple(dict.fromkeys(super(Words, self).convert(part, param, context) for part in value.split(",")))


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


SHORT_NAMES = {
    "gamma": "weight_penalty",
    "weights": "weight_penalty",
    "lambda": "interference_penalty",
    "interference": "interference_penalty",
    "share": "activity_share",
}
LINEAR = "profile", "slope", "activity_share"


class PlaneAxis(click.ParamType):
    """NAME:LOW:HIGH:COUNT, perhaps with :linear or :log after it, or NAME:VALUE,VALUE,…: an axis of a plane."""

    name = "name:low:high:count"

    def convert(self, value, param, context):
        """The name, the values, shape (n_values,), and whether the axis is logarithmic: what `phasediag.Axis` takes."""
        name, *parts = value.split(":")
        name, scale = SHORT_NAMES.get(name, name), parts.pop() if parts and parts[-1] in ("linear", "log") else None
        try:
            return self._axis(name, scale, *parts)
        except (ValueError, TypeError):
            domain = "NAME:LOW:HIGH:COUNT, like density:0.01:1:40, perhaps with :linear or :log (of positive values) after it"
            self.fail(f"{value!r} is neither {domain}, nor NAME:LIST, like slope:0,0.5,1", param, context)

    @staticmethod
    def _axis(name, scale, low, high=None, count=1):
        """As `convert`, of the words between the colons; low alone is a list."""
        import numpy as np

        values = np.array([float(part) for part in low.split(",")]) if high is None else np.array([float(low), float(high)])
        log = scale == "log" if scale else values[0] > 0 and name not in LINEAR
        if high is not None:
            if not (
                values[0] <= values[1] < np.inf and 1 <= int(count) <= 100_000 and (values[0] < values[1]) == (int(count) > 1)
            ):
                raise ValueError
            values = (np.geomspace if log else np.linspace)(*values, int(count)) if not log or values[0] > 0 else values
        if log and values[0] <= 0:
            raise ValueError
        return name, values, log


class Described(click.ParamType):
    """A word or words that `_commands.planes` makes something of; kept as they are, so that answers can repeat them."""

    def __init__(self, name):
        self.name = name

    def convert(self, value, param, context):
        """The text, which describes what it should."""
        from . import planes

        try:
            getattr(planes, f"{self.name}_of")(value)
        except ValueError as error:
            self.fail(f"{value!r} is no {self.name} {error}", param, context)
        return value


class List(click.ParamType):
    """Values of one kind, separated by commas; ``domain`` says in words what they are."""

    def __init__(self, name, kind, domain):
        self.name, self.kind, self.domain = name, kind, domain

    def convert(self, value, param, context):
        """A tuple of them."""
        try:
            return tuple(self.kind(part) for part in value.split(","))
        except ValueError:
            self.fail(f"{value!r} is neither {self.domain}", param, context)


class OutputFile(click.Path):
    """A file to write, with one of some endings; refused before any work where it cannot be written."""

    def __init__(self, *endings):
        super().__init__()
        self.endings = endings

    def convert(self, value, param, context):
        """Its path, a str."""
        check_file(param.name, value, self.endings)
        return value


INDEX = List("index", int, "a whole number nor a list like 0,3")


def _several(*options):
    """One decorator of several."""

    def decorate(function):
        """The function with all of the options."""
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


def option(name, default=None, theories=None, **settings):
    """An option that shows its default; of some theories alone, if they are named."""
    settings |= {} if theories is None else {"cls": TheoryOption, "theories": theories}
    return click.option(name, default=default, show_default=default is not None, **settings)


def names_for(theories):
    """Names of the options of the running command that are for these theories alone."""
    params = click.get_current_context().command.params
    return [param.name for param in params if getattr(param, "theories", None) == theories]


def refuse_given(names, reason):
    """Refuse those of the running command's options that the user has given and that do not apply, in words why."""
    context = click.get_current_context()
    for name in names:
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            raise ValueError(f"{name} must not be given {reason}, got {context.params[name]!r}")


SEARCHED, TRAINED = ("global", "relaxed"), ("trained",)
activation_option = option("--activation", "relu", type=Word("relu", "linear"), help="What outputs pass through.")


def sizes_up_to(domain):
    """The two sizes of a model, with the domain of the first in words."""
    return _several(
        option("--n-features", 2, help=f"Features, {domain}."),
        option("--n-hidden", 1, help="Hidden dimensions, fewer than features."),
    )


size_options = sizes_up_to("2 to 8")
task_option = option(
    "--task",
    type=Word("identity", "absolute"),
    help="A hidden layer of ReLU neurons, n-hidden of them (1 to 4 features, any number of neurons): identity: the privileged "
    "basis, x' = ReLU(Wᵀ ReLU(W x) + b); absolute: they compute |x| of signed features. [default: no neurons]",
)
point_options = _several(
    option(
        "--importance",
        "1",
        type=Profile(),
        help="Importance of the extra feature (the others have 1), or a list or a formula in i, from 0, for all, like 0.9**i.",
    ),
    option("--density", "0.5", type=Profile(), help="Density in (0, 1], or a list or a formula in i for all features."),
)


def axis_options(importance, density):
    """The two axes of a grid, with these defaults in words."""
    form = "a list, or LOW:HIGH:COUNT in equal logarithmic steps."
    return _several(
        option("--importance", type=Axis(), help=f"Importances of the extra feature: {form} [default: {importance}]"),
        option("--density", type=Axis(), help=f"Densities in (0, 1]: {form} [default: {density}]"),
    )


law_options = _several(
    option(
        "--activity",
        type=Described("activity"),
        help="Which features are active together: correlated:1,2/3,4 for two pairs, "
        "anticorrelated:1,2, or exactly:1 of them. [default: independent]",
    ),
    option("--values", "uniform", type=Word("uniform", "binary", "signed"), help="Of an active feature."),
    option(
        "--penalty", type=Described("penalty"), help="Added to the loss: weights:G,interference:L for G Σ‖W_i‖² + L Σ (W_i·W_j)²."
    ),
    option("--slope", type=float, help="Of a leaky ReLU where its argument is negative, from 0 to 1."),
    option("--biased/--no-biased", True, help="Whether outputs have biases; they are held at 0 otherwise."),
)
plane_options = _several(
    option(
        "--x",
        type=PlaneAxis(),
        help="A plane of other parameters: importance (of the extra feature), profile (r: importances 1, r, r², …), density, or "
        "those of some features, like density_of_2_3; weights or interference (penalties), slope, share (of --activity, the rest "
        "independent). NAME:LOW:HIGH:COUNT, with :linear or :log after it where that is not as "
        "usual, or NAME:LIST. --importance and --density are then what stays: one number, or a list for all features.",
    ),
    option("--y", type=PlaneAxis(), help="Its other axis; without, a line."),
    law_options,
)


threads_option = option(
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
store_option = option(
    "--store", None, TRAINED, type=click.Path(), help="Folder that receives models as they are trained; resumes a stopped run."
)


def grid_options(*theories, several=False):
    """The options of a diagram by one of these theories, or of several diagrams."""
    meanings = "; ".join(f"{theory}: {THEORIES[theory]}" for theory in theories)
    trained = "trained" in theories
    seed = "Seed of those starts" + ", or of the training" * trained + "."
    checkpoint = "An .npz file to which a stopped search is saved and from which it goes on (global)."
    return _several(
        sizes_up_to("2 to 8" + "; of trained models 2 or more" * trained),
        _theories_option(theories, meanings)
        if several
        else option("--theory", "global", type=Word(*theories, exact="global"), is_eager=True, help=f"{meanings}."),
        task_option,
        activation_option,
        axis_options("0.1:10:100", "0.01:1:100"),
        plane_options,
        option("--n-starts", 24, SEARCHED, type=int, help="Random starts at each coarse point (global, relaxed)."),
        option("--seed", 0, SEARCHED + TRAINED, type=int, help=seed),
        threads_option,
        option("--checkpoint", None, ("global",), type=OutputFile(".npz"), help=checkpoint),
    )


def _theories_option(theories, meanings):
    """The option of several theories: a tuple of them, or None."""
    words = f"Separated by commas: {meanings}. [default: all over importance × density of plain features, else global]"
    return option("--theories", type=Words(*theories, exact="global"), help=words)


curves_option = click.option(
    "--curves/--no-curves",
    default=True,
    show_default=True,
    help="Follow the boundaries; without: cells alone, soon.",
)


optimizer_options = _several(
    option("--n-steps", 10_000, TRAINED, type=int, help="Steps of each training."),
    option("--batch-size", 1024, TRAINED, type=int, help="Samples of each step."),
    option("--learning-rate", 1e-3, TRAINED, type=float, help="Of the loss averaged over features."),
    option("--optimizer", "adamw", TRAINED, type=Word("adamw", "adam", "sgd"), help="PyTorch's formulas."),
    option("--schedule", "constant", TRAINED, type=Word("constant", "linear", "cosine"), help="Of the learning rate."),
    option("--weight-decay", None, TRAINED, type=float, help="PyTorch's. [default: 0.01 for AdamW, else 0]"),
    option("--independent", False, TRAINED, is_flag=True, help="Minibatches of its own for every model."),
    option("--device", "cpu", TRAINED, type=Word("cpu", "cuda"), help="What trains; cuda: a GPU (needs phasediag[cuda])."),
)
trained_options = _several(
    option("--n-seeds", 10, TRAINED, type=int, help="Models trained in each cell."),
    optimizer_options,
    option(
        "--reduction",
        "paper",
        TRAINED,
        type=Word("paper", "best"),
        help="paper: the worst model of a cell is discarded, invariants of the others averaged; best: the best alone.",
    ),
    store_option,
    option("--scheduler", None, TRAINED, help="Train on a dask cluster: the scheduler's address, tcp://HOST:PORT."),
)
