"""The pages that list what exists elsewhere: public names by stage of the tour, commands with their options, examples."""

import ast
import re
from collections import Counter
from pathlib import Path

import click

import phasediag
from phasediag.cli import commands

ROOT = Path(__file__).parent.parent
FIGURES = {"draw_why_not_three": "why-not-three", "exact_two_to_one": "exact", "when_neurons_become_polysemantic": "neurons"}
"""The pictures of docs/ that an example draws, where they are not called as it is."""


def escaped(line):
    """Return a line of prose with the bars of |x| escaped, which reStructuredText takes for a substitution; not in ``code``."""
    return re.sub(r"``.*?``|\|", lambda found: "\\|" if found[0] == "|" else found[0], line)


def stages():
    """Return the stages of the tour with their names: {title: [name, …]}."""
    found, title = {}, None
    for line in phasediag.__doc__.splitlines()[1:]:
        if re.match(r"\S.*:$", line):
            title = line[:-1]
        elif entry := re.match(r"    (\w+) {2,}\S", line):
            found.setdefault(title, []).append(entry[1])
    return found


def file_names():
    """Return the names of pages that must not differ from another's in case alone, which some file systems forget."""
    alike = Counter(name.lower() for name in phasediag.__all__)
    return {
        f"phasediag.{name}": f"phasediag.class.{name}"
        for name in phasediag.__all__
        if alike[name.lower()] > 1 and name[0].isupper()
    }


def api():
    """Return the page of all public names, and of the figures, as reStructuredText."""
    from phasediag import figures

    lists = {**stages(), "Figures": [name for name in dir(figures) if re.match("draw_|.*_figure$", name)]}
    yield from ("API reference", "=============", "", "Every public name, by the stages of the tour. Each page has an example.")
    for title, names in lists.items():
        module = "phasediag.figures" if title == "Figures" else "phasediag"
        yield from (
            "",
            title,
            "-" * len(title),
            "",
            f".. currentmodule:: {module}",
            "",
            ".. autosummary::",
            "   :toctree: api",
            "   :nosignatures:",
            "",
        )
        yield from (f"   {name}" for name in names)


def command_pages():
    """Return the page of all commands: what ``-h`` prints of each."""
    yield from (
        "Commands",
        "========",
        "",
        "What ``phasediag COMMAND -h`` prints. Option names equal the keyword names of the functions.",
    )
    for name, command in sorted(commands.commands.items()):
        context = click.Context(
            command, info_name=f"phasediag {name}", max_content_width=110, terminal_width=110, help_option_names=["-h", "--help"]
        )
        yield from ("", name, "-" * len(name), "", ".. code-block:: text", "")
        yield from (f"   {line}".rstrip() for line in command.get_help(context).splitlines())


def examples():
    """Return {stem: (claim, the rest of its text)} of every example."""
    texts = {
        path.stem: ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) for path in sorted(ROOT.glob("examples/*.py"))
    }
    return {stem: tuple(part.strip() for part in escaped(f"{text}\n\n").split("\n\n", 1)) for stem, text in texts.items()}


def example(stem, claim, rest, docs):
    """Return the page of one example: its claim, its picture where there is one, its text."""
    title = stem.replace("_", " ").capitalize()
    picture = f"{FIGURES.get(stem, stem)}.png"
    yield from (title, "=" * len(title), "", f"**{claim}**", "", rest, "")
    if (docs / picture).exists():
        yield from (f".. image:: ../../{picture}", f"   :alt: {claim}", "")
    yield from (f".. literalinclude:: ../../../examples/{stem}.py", "   :language: python", "")


def gallery():
    """Return the page that lists the examples."""
    yield from ("Examples", "========", "", "One claim in each file, asserted by the file itself; the tests run all of them.", "")
    for stem, (claim, _) in examples().items():
        yield from (f":doc:`{stem.replace('_', ' ')} <examples/{stem}>`", f"    {claim}", "")
    yield from (".. toctree::", "   :hidden:", "", *(f"   examples/{stem}" for stem in examples()))


def write(docs):
    """Write the pages below ``docs/generated``; a page that is as it was is left alone, so that it is not read again."""
    folder = docs / "generated"
    texts = {"api": api(), "commands": command_pages(), "examples": gallery()}
    texts |= {f"examples/{stem}": example(stem, *parts, docs) for stem, parts in examples().items()}
    for name, lines in texts.items():
        path, text = folder / f"{name}.rst", "\n".join(lines) + "\n"
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
