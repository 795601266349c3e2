"""What a command does with what it has found: text or JSON on standard output, files by their endings, an exit status."""

import csv
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from .. import __version__
from .._files import replacing
from .._progress import progress_bar, say
from .options import OutputFile
from .terminal import PICTURES, Command


@dataclass(frozen=True)
class Answer:
    """What a command has found, in the forms in which it may be wanted; each is made when it is asked for.

    text : callable → str, for a person.
    facts : callable → dict of plain lists and numbers.
    figure : callable → Figure.
    rows : callable → list of dict, a table with their keys as columns.
    save : callable of a path, writes an .npz file.
    part : str, what of the whole this is, where the command goes on.
    complaints : tuple of str, for standard error; they make the exit status 1.
    status : int, the exit status without complaints.
    """

    text: Callable[[], str] | None = None
    facts: Callable[[], dict] | None = None
    figure: Callable[[], Any] | None = None
    rows: Callable[[], list] | None = None
    save: Callable[[Path], None] | None = None
    part: str = ""
    complaints: tuple = ()
    status: int = 0

    def write(self, path, head, texts):
        """Write the file that the ending of a path asks for, if this answer has that form; return whether it has."""
        ending = Path(path).suffix
        form = {".csv": self.rows, ".json": self.facts, ".npz": self.save, ".txt": self.text}.get(ending, self.figure)
        if form is not None:
            if ending in PICTURES:
                save_figure(form, path)
                return True
            made = form() if ending in (".csv", ".json") else None
            with replacing(path) as target:
                if ending == ".npz":
                    form(target)
                elif ending == ".csv":
                    _write_table(target, made)
                else:
                    target.write_text((as_json(head | made) if ending == ".json" else "\n".join(texts)) + "\n", encoding="utf-8")
        return form is not None


def command(examples, *endings):
    """Of a function that yields an `Answer`, or several as they are found, make a command whose help ends with examples.

    Texts are printed and files written as answers come; as JSON the last one is printed. ``endings`` are those of files beside
    .txt and .json; a command without them writes its files itself.
    """
    params = [click.Option(["--json", "as_json"], is_flag=True, help="Print JSON on standard output.")]
    if endings:
        endings = (*endings, ".txt", ".json")
        words = f"File to write, by its ending: {', '.join(endings)}. May be given several times."
        params.insert(0, click.Option(["--output"], type=OutputFile(*endings), multiple=True, help=words))

    def decorate(function):
        """The command of a generator of answers."""

        @click.command(cls=Command, epilog=f"\b\nExamples{examples}", params=params)
        @wraps(function)
        def run(*, as_json, **options):
            """Give the answers; return the exit status."""
            output = options.pop("output") if endings else ()
            return _give(function(**options), output, as_json)

        return run

    return decorate


def _give(answers, output, wants_json):
    """Print the text or, at the end, the JSON of answers, and write the files; return the exit status."""
    context, texts, status, last = click.get_current_context(), [], 0, None
    head = {"phasediag": __version__, "command": context.info_name, "settings": _settings(context)}
    while True:
        with working(context.info_name):
            answer = next(answers, None)
        if answer is None:
            break
        try:
            with working(context.info_name):
                texts += [] if answer.text is None else [answer.text()]
            if answer.text and not wants_json:
                _print(texts[-1])
            for path in sorted(
                output, key=lambda path: path.endswith(".npz")
            ):  # data last: with the curves that a picture asks for
                with working(f"writing {path}"):
                    written = answer.write(path, head, texts)
                if written and (answer.text or answer.part):
                    wrote(path, answer.part)
        except KeyboardInterrupt as stop:
            answers.throw(stop)  # the command knows how to go on
        for complaint in answer.complaints:
            say(f"phasediag: {complaint}")
        status, last = int(bool(answer.complaints)) or answer.status, answer
    if wants_json:
        with working(context.info_name):
            text = as_json(head | last.facts())
        _print(text)
    return status


def _print(text):
    """Print on standard output at once, whatever is still to come."""
    sys.stdout.write(f"{text}\n")  # click.echo writes UTF-8 where the console says that it reads ASCII
    sys.stdout.flush()


def _settings(context):
    """The options of the running command that apply and do not say only where it runs and what becomes of its answer, by name."""
    theory = context.params.get("theory")
    own = (param for param in context.command.params if theory is None or theory in getattr(param, "theories", (theory,)))
    return {
        param.name: context.params[param.name] for param in own if param.name not in ("output", "as_json", "help", "scheduler")
    }


def drawn(name, *given, **options):
    """The function that draws a figure, one of `phasediag.figures` called with these arguments."""
    return lambda: getattr(import_module("..figures", __package__), name)(*given, **options)


def save_figure(figure, path, dpi=160):
    """Write the picture that a function draws, whole at every moment."""
    with replacing(path) as target:
        figure().savefig(target, dpi=dpi)


def working(what):
    """Tell the person at the terminal, if there is one, what is being done, and of all stages within it."""
    return progress_bar(None, sys.stderr.isatty(), "", what)


def wrote(path, part=""):
    """Say that a file has been written, with a part of the whole."""
    say(f"wrote {path}" + (f" ({part})" if part else ""))


def as_json(facts):
    """Facts as JSON text; NaN and infinities, which JSON lacks, as null."""
    return json.dumps(_plain(facts), indent=1, ensure_ascii=False)


def _plain(facts):
    """Facts with lists for arrays, None for NaN and infinities, and what a formula was written as."""
    if isinstance(facts, dict):
        return {key: _plain(value) for key, value in facts.items()}
    if callable(facts):
        return facts.__name__
    facts = facts.tolist() if hasattr(facts, "tolist") else facts
    if isinstance(facts, list | tuple):
        return [_plain(value) for value in facts]
    return None if isinstance(facts, float) and facts - facts != 0 else facts


def _write_table(path, rows):
    """Write a list of dict, or of nested facts, as CSV; the entries of a list have columns name_1, name_2, …"""
    from .._display import flat

    rows = [flat(row) for row in rows]
    with open(path, "w", encoding="utf-8", newline="") as stream:
        table = csv.DictWriter(stream, list(dict.fromkeys(name for row in rows for name in row)))
        table.writeheader()
        table.writerows(rows)
