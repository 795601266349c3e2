"""Formulas as MathML, which browsers draw themselves: no script, no network, and readable aloud."""

from docutils import nodes
from latex2mathml.converter import convert


def inline(translator, node):
    """Write a formula within a line."""
    translator.body.append(convert(node.astext()))
    raise nodes.SkipNode


def block(translator, node):
    """Write a formula on lines of its own, with its number and a link to it."""
    number = node["number"]
    ids = f' id="{node["ids"][0]}"' if node["ids"] else ""
    mark = f'<span class="number">({number})</span>' if number else ""
    translator.body.append(f'<div class="math"{ids}>{convert(node.astext().strip(), display="block")}{mark}</div>')
    raise nodes.SkipNode
