"""The commands that set theory and training side by side: "paper" and "validate"."""

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from pathlib import Path

import click

from .._files import replacing
from .._processes import elsewhere
from .answers import Answer, command, drawn, wrote
from .options import (
    activation_option,
    axis_options,
    optimizer_options,
    option,
    plane_options,
    size_options,
    store_option,
    task_option,
    threads_option,
)
from .terminal import PICTURES, check_file, goes_on_from

FIGURES = ("frozen.png", "paper.png", "paper-colours.png", "exact.png")

MODELS = ((2, 1), (3, 2))

FULL = {"count": 100, "n_seeds": 10, "n_steps": 10_000}
QUICK = {"count": 24, "n_seeds": 10, "n_steps": 5000}
"""Points on each axis and training of the two settings of "paper"."""


@command("""
  phasediag paper --quick
  phasediag paper --output figures""")
@option("--output", "phasediag-paper", type=click.Path(), help="Folder for figures and report.")
@click.option("--quick", is_flag=True, help="A coarse grid, short training, no boundary curves.")
@click.option("--keep-models", is_flag=True, help="Write trained models to the folder as they come: a stopped run goes on.")
@option("--seed", 0, help="Seed of the training.")
@threads_option
def paper(output, quick, keep_models, seed, n_threads):
    """Draw the phase diagrams of "Superposition as a Phase Change" (Elhage et al. 2022) for 2→1 and 3→2.

    Computes the frozen and the exact diagrams, trains models over the same grid by the paper's protocol (100 × 100 cells, ten
    models in each; with --quick 24 × 24 cells, half the steps, and cells instead of curves) and compares them. Writes paper.png,
    the three side by side with their agreement; paper-colours.png, the same in the paper's colours; frozen.png and, not with
    --quick, exact.png, the theories alone; report.txt, the full comparison with a cause for every difference.
    """
    if not output:
        raise ValueError("output must be a folder that can be made, got ''")
    folder = Path(output)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"output must be a folder that can be made, got {output!r} ({error.strerror})") from None
    for name in (*FIGURES, "report.txt"):
        check_file("output", folder / name, (*PICTURES, ".txt"))
    with goes_on_from(folder if keep_models else None, "--keep-models a stopped run"):
        yield from _drawn_and_compared(folder, quick, keep_models, seed=seed, n_threads=n_threads)


@contextmanager
def _pictures(folder, n_threads):
    """Yield a function that lets figures be written to a folder: beside what else is done, or after it by one thread."""
    from .._arguments import thread_count

    module, writing = f"{__package__}.pictures", {}

    def draw(name, figure, *given, **options):
        """Let what a function of `phasediag.figures` draws be written."""
        asked = folder / name, 100, figure, given, options
        if thread_count(n_threads) > 1:
            writing[name] = elsewhere(pool, module, "write", *asked).result
        else:
            writing[name] = partial(import_module(module).write, *asked)

    with ThreadPoolExecutor(len(FIGURES)) as pool:
        yield draw
        for name, written in writing.items():
            written()
            wrote(folder / name)


def _drawn_and_compared(folder, quick, keep_models, **training):
    """Draw, train and compare; yield what is found."""
    import numpy as np

    from ..diagram import phase_diagram
    from ..validation import validate as validate_models
    from . import printing

    started = time.perf_counter()
    with _pictures(folder, training["n_threads"]) as draw:
        frozen = [phase_diagram(*sizes, theory="frozen") for sizes in MODELS]
        draw("frozen.png", "paper_figure", frozen)
        setting = dict(QUICK if quick else FULL)
        count = setting.pop("count")
        validations = [
            validate_models(
                n_features=diagram.n_features,
                n_hidden=diagram.n_hidden,
                importance=np.geomspace(0.1, 10, count),
                density=np.geomspace(0.01, 1, count),
                store=folder / f"models-{diagram.n_features}to{diagram.n_hidden}.zarr" if keep_models else None,
                curves=not quick,
                **setting,
                **training,
            )
            for diagram in frozen
        ]
        theories = [
            one.theory for validation in validations for one in validation.agreements.values() if one.theory.theory != "relaxed"
        ]
        phases = [printing.diagram_text(theory) for theory in theories]
        yield Answer(text=lambda: "\n\n".join(phases) + "\n")
        draw("paper.png", "agreement_figure", validations)
        draw("paper-colours.png", "agreement_figure", validations, look="norm-interference")
        if not quick:
            exact = [theory for theory in theories if theory.theory == "global"]
            draw("exact.png", "comparison_figure", list(zip(frozen, exact, strict=True)))
        with replacing(folder / "report.txt") as report:
            report.write_text("\n\n\n".join([*(v.text() for v in validations), *phases]) + "\n", encoding="utf-8")
        wrote(folder / "report.txt")
    yield Answer(
        text=lambda: "\n".join([*map(_agreement, validations), f"total time {time.perf_counter() - started:.0f} s"]),
        facts=lambda: {"validations": [validation.facts() for validation in validations]},
        complaints=_unexplained(*validations),
    )


@command(
    """
  phasediag validate
  phasediag validate --n-features 3 --n-hidden 2 --output report.png
  phasediag validate --importance 0.1:10:100 --density 0.01:1:100 --store 2to1.zarr --output report.txt
  phasediag validate --importance 0.5:2:8 --density 0.1:1:8 --json
  phasediag validate --values binary --importance 0.1:10:16 --density 0.05:1:16 --no-curves
  phasediag validate --task identity --importance 0.2:5:8 --density 0.05:1:8 --n-steps 3000 --batch-size 256 --learning-rate 0.01
  phasediag validate --x weights:0.0001:0.1:16 --y interference:0.001:0.3:16 --density 0.3 --no-curves""",
    *PICTURES,
)
@size_options
@task_option
@activation_option
@axis_options("0.1:10:32", "0.01:1:32")
@plane_options
@option("--n-seeds", 10, help="Models trained in each cell.")
@optimizer_options
@store_option
@click.option("--curves/--no-curves", default=True, show_default=True, help="Follow the exact boundaries, which takes a while.")
@option("--n-samples", 20_000, help="Samples that check each exact loss.")
@option("--seed", 0, help="Seed of training and samples.")
@threads_option
def validate(**options):
    """Hold trained models and samples against the theories; name the cause of every difference.

    Trains models over a grid by the paper's protocol, compares exact losses with sampled ones, trained phases with the frozen,
    the relaxed and the global theory (of other laws and planes the global one), and finds out why models differ: they are in a
    metastable minimum, have not converged, or differ within noise. Exit status 1 when samples contradict exact losses or a
    difference has no cause.
    """
    import numpy as np

    from ..validation import validate as validate_models
    from .planes import over_plane

    if options["x"] is None:
        usual = {"importance": np.geomspace(0.1, 10, 32), "density": np.geomspace(0.01, 1, 32)}
        options |= {name: axis for name, axis in usual.items() if options[name] is None}
    options = over_plane(**options)
    with goes_on_from(options["store"], "--store FOLDER a stopped training"):
        validation = validate_models(**options)
        yield Answer(
            text=validation.text,
            facts=validation.facts,
            figure=drawn("validation_figure", validation),
            complaints=_unexplained(validation),
        )


def _agreement(validation):
    """In how many cells trained models agree with the theories, in words."""
    shares = {theory: 100 * one.share_away for theory, one in validation.agreements.items()}
    return (
        f"{validation.trained.n_features} → {validation.trained.n_hidden}: of the cells away from boundaries trained models "
        f"agree with the frozen theory in {shares['frozen']:.2f} %, with the exact one in {shares['global']:.2f} %"
    )


def _unexplained(*validations):
    """Complaints of validations, a tuple of str."""
    models = (f"{v.trained.n_features} → {v.trained.n_hidden}" for v in validations if not v.consistent)
    return tuple(f"{model}: something is unexplained, see the report" for model in models)
