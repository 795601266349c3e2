"""The text of a page: a template, styles and scripts, the data."""

import json
from html import escape
from importlib.resources import files

_SCRIPTS = "columns.js", "downloads.js", "page.js"


def page(facts, packed, plots):
    """Return the whole page.

    facts, plots : dicts for JSON; packed : text of `packing.pack`, Bokeh's script within it.
    """
    text = {name: files(__package__).joinpath(name).read_text(encoding="utf-8") for name in ("page.css", "page.html", *_SCRIPTS)}
    filled = {
        "title": escape(facts["title"]),
        "styles": text["page.css"],
        "facts": _json(facts),
        "packed": packed,
        "plots": _json(plots),
        "scripts": "\n".join(text[name] for name in _SCRIPTS),
    }
    head, *pieces = text["page.html"].split("{{")
    return head + "".join(filled[name] + rest for name, _, rest in (piece.partition("}}") for piece in pieces))


def _json(value):
    """JSON that can stand within a page."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).replace("</", "<\\/")
