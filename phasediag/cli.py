"""The command line: parse, call one function, print. Heavy libraries load only when a command runs."""

import os
import sys

import click

from . import __version__
from ._commands.atlas import atlas
from ._commands.diagram import boundary, diagram
from ._commands.explore import explore
from ._commands.inspect import inspect
from ._commands.model import certify, minimize, train
from ._commands.paper import paper, validate
from ._commands.terminal import Group, Stopped, write_plainly
from ._progress import say


@click.group(
    cls=Group,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="""\b
Examples
  phasediag paper --quick
  phasediag diagram --n-features 3 --n-hidden 2 --output fig.png
  phasediag minimize --n-features 3 --n-hidden 2 --importance 1 --density 0.6
  phasediag boundary --n-features 3 --n-hidden 2 --theory frozen --latex
  phasediag explore --n-features 3 --n-hidden 2 --output explore.html
  phasediag validate --n-features 3 --n-hidden 2 --output report.png""",
)
@click.version_option(__version__)
def commands():
    """Exact phase diagrams of superposition in toy models.

    A toy model stores n_features features in n_hidden < n_features dimensions: x' = ReLU(WᵀW x + b). Features are active
    with probability DENSITY (1 − sparsity); the last, "extra" feature has a relative IMPORTANCE. Each phase is a way to
    treat the extra feature: not represented, in a dedicated dimension, or in superposition with others.

    Start with "phasediag paper". Results go to standard output and to files named with --output; messages go to standard
    error. Exit status: 0 done, 1 not converged or unexplained, 2 wrong use.
    """


for command, summary in {
    paper: "Draw the paper's phase diagrams of 2→1 and 3→2, and exact ones.",
    diagram: "Compute a phase diagram, print it and draw it.",
    boundary: "Print boundaries and where they meet.",
    explore: "Write a page to look at diagrams with a browser.",
    minimize: "Find the minima of the loss over all weights and biases.",
    atlas: "Say which phase of equal features is least at every density.",
    certify: "Prove that no loss is lower.",
    train: "Train models of one kind; print their losses and phases.",
    inspect: "Say what trained weights in a file are.",
    validate: "Hold trained models and samples against the theories.",
}.items():
    command.short_help = summary
    commands.add_command(command)


def main(arguments=None):
    """Run the command line and exit: 0 done, 1 not converged, 2 wrong use (one line on standard error)."""
    arguments = sys.argv[1:] if arguments is None else arguments
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # matrices are small: its threads would only wait for each other
    write_plainly()
    try:
        sys.exit(commands.main(arguments or ["--help"], prog_name="phasediag", standalone_mode=False) or 0)
    except click.ClickException as error:
        message = error.format_message()
    except (ValueError, ImportError) as error:
        message = str(error)
    except MemoryError as error:
        message = f"this needs more memory than there is ({error})"
    except OSError as error:  # a full disk, or a file that has gone
        message = f"{error.strerror or error}" + (f": {error.filename}" if error.filename else "")
    except (click.Abort, KeyboardInterrupt, Stopped) as stop:
        say(f"phasediag: stopped{stop}")
        sys.exit(130)
    say(f"phasediag: {message}")
    sys.exit(2)
