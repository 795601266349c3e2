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
    classes = [name for name in phasediag.__all__ if alike[name.lower()] > 1 and name[0].isupper()]
    return {f"phasediag.{name}": f"phasediag.class.{name}" for name in classes}


def heading(title, mark):
    """Return the lines of a heading in reStructuredText."""
    return "", title, mark * len(title), ""


def api():
    """Yield the lines of the page of all public names, and of the drawings."""
    from phasediag import figures

    yield from heading("API reference", "=")
    yield "Every public name, by the stages of the tour, each with an example; then the drawings."
    drawings = [name for name in dir(figures) if re.match("draw_|.*_figure$", name)]
    for title, names in {**stages(), "Figures": drawings}.items():
        module = "phasediag.figures" if names is drawings else "phasediag"
        yield from heading(title, "-")
        yield from (f".. currentmodule:: {module}", "", ".. autosummary::", "   :toctree: api", "   :nosignatures:", "")
        yield from (f"   {name}" for name in names)


def command_pages():
    """Yield the lines of the page of all commands: what ``-h`` prints of each."""
    yield from heading("Commands", "=")
    yield "What ``phasediag COMMAND -h`` prints. Option names equal the keyword names of the functions."
    for name, command in sorted(commands.commands.items()):
        context = click.Context(command, info_name=f"phasediag {name}", terminal_width=110, help_option_names=["-h", "--help"])
        yield from heading(name, "-")
        yield from (".. code-block:: text", "")
        yield from (f"   {line}".rstrip() for line in command.get_help(context).splitlines())


def examples():
    """Return {stem: (claim, the rest of its text, number of the first line of its program)} of every example."""
    found = {}
    for path in sorted(ROOT.glob("examples/*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        claim, _, rest = escaped(ast.get_docstring(tree)).partition("\n\n")
        found[path.stem] = " ".join(claim.split()), rest, tree.body[1].lineno
    return found


def picture(stem, docs):
    """Return the name of the picture of docs/ that an example draws, None where there is none."""
    name = f"{FIGURES.get(stem, stem)}.png"
    return name if (docs / name).exists() else None


def titled(stem):
    """Return an example's name in words."""
    return stem.replace("_", " ").capitalize()


def example(stem, claim, rest, first, docs):
    """Yield the lines of the page of one example: its claim, its picture where there is one, its program."""
    yield from heading(titled(stem), "=")
    yield from (f"**{claim}**", "", rest, "")
    if name := picture(stem, docs):
        yield from (f".. image:: ../../{name}", f"   :alt: {claim}", "")
    yield from (f"``examples/{stem}.py``:", "", f".. literalinclude:: ../../../examples/{stem}.py", f"   :lines: {first}-")


def gallery(docs):
    """Yield the lines of the page that lists the examples, those with a picture first."""
    yield from heading("Examples", "=")
    yield "One claim in each file, asserted by the file itself; the tests run all of them."
    found = examples()
    for stem in sorted(found, key=lambda stem: (picture(stem, docs) is None, stem)):
        claim = found[stem][0]
        yield from ("", f":doc:`{titled(stem)} <examples/{stem}>`", f"    {claim}")
        if name := picture(stem, docs):
            yield from ("", f"    .. image:: ../{name}", f"       :alt: {claim}", "       :width: 420px")
            yield f"       :target: examples/{stem}.html"
    yield from ("", ".. toctree::", "   :hidden:", "", *(f"   examples/{stem}" for stem in found))


def write(docs):
    """Write the pages below ``docs/generated``; a page that is as it was is left alone, so that it is not read again."""
    folder = docs / "generated"
    texts = {"api": api(), "commands": command_pages(), "examples": gallery(docs)}
    texts |= {f"examples/{stem}": example(stem, *parts, docs) for stem, parts in examples().items()}
    for name, lines in texts.items():
        path, text = folder / f"{name}.rst", "\n".join(lines) + "\n"
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
