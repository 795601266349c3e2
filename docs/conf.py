"""Settings of the documentation: ``sphinx-build -W docs build/docs`` makes the site."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import formulas
import pages

import phasediag

project = "phasediag"
author = "the founders of phasediag"
copyright = author
release = phasediag.__version__

extensions = ["sphinx.ext.autodoc", "sphinx.ext.autosummary", "numpydoc", "myst_nb"]
exclude_patterns = ["build", "**.ipynb_checkpoints"]
templates_path = ["_templates"]

html_theme = "furo"
html_title = f"phasediag {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_math_renderer = "mathml"
html_copy_source = False
math_numfig = False
math_eqref_format = "({number})"

myst_enable_extensions = ["amsmath", "colon_fence", "dollarmath"]
myst_heading_anchors = 3
nb_execution_mode = "cache"
nb_execution_in_temp = True
nb_execution_timeout = 600
nb_execution_raise_on_error = True

autosummary_filename_map = pages.file_names()
autodoc_typehints = "none"
autodoc_member_order = "bysource"
default_role = "py:obj"
numpydoc_show_class_members = False
numpydoc_xref_param_type = False


def setup(app):
    """Register what draws formulas, and write the pages that list what exists elsewhere before the sources are read."""
    app.add_html_math_renderer("mathml", inline_renderers=(formulas.inline, None), block_renderers=(formulas.block, None))
    app.connect("config-inited", lambda app, config: pages.write(Path(app.srcdir)))
    app.connect("html-page-context", rank_headings, priority=900)  # after the theme has made its list of pages
    app.connect("autodoc-process-docstring", keep_bars, priority=400)  # before numpydoc, which rearranges it


def rank_headings(app, page, template, context, doctree):
    """Say the level of the headings in the list of pages, which readers of screens need."""
    tree = context.get("furo_navigation_tree", "")
    context["furo_navigation_tree"] = tree.replace('role="heading"', 'role="heading" aria-level="2"')


def keep_bars(app, what, name, obj, options, lines):
    """Escape the bars of |x|, but not in programs: reStructuredText would take them for a substitution."""
    program = False
    for k, line in enumerate(lines):
        program = line.lstrip().startswith(">>>") or (program and bool(line.strip()))
        if not program:
            lines[k] = pages.escaped(line)
