"""Sphinx configuration: MyST pages, and pages made from the code, the tests and the benchmark results."""

import sys
from pathlib import Path

DOCS = Path(__file__).parent
sys.path.insert(0, str(DOCS))

from generators import write_all  # noqa: E402 (found on the path set above)
from generators.docstrings import as_restructured_text  # noqa: E402

import sqwirrel  # noqa: E402
from sqwirrel.infer import checks  # noqa: E402

project, author, copyright = "Sqwirrel", "The Sqwirrel developers", "2026, the Sqwirrel developers"
version = release = sqwirrel.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build", "generated", "generators", "*.py"]
myst_enable_extensions = ["colon_fence", "deflist", "substitution"]
myst_heading_anchors = 3
thresholds = (
    "DEVIANCE",
    "MISFIT",
    "PARETO",
    "FORGOTTEN",
    "EFFECTIVE",
    "QUADRATURE",
    "EDGE",
    "TAIL",
    "WIDE",
    "PEAK_DEVIANCE",
    "STRAY_PEAKS",
    "BULK",
    "ROUGH",
    "ALARM",
    "HELD",
    "EMULATION",
)
known = {**vars(checks.fit), **vars(checks.draws), **vars(checks.misfit), **vars(checks.emulation)}
myst_substitutions = {name: str(known[name]) for name in thresholds}
myst_substitutions |= {"WINDOW_Q": str(checks.WINDOW[0]), "WINDOW_E": str(checks.WINDOW[1])}

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True

html_theme = "pydata_sphinx_theme"
html_title = "Sqwirrel"
html_show_sourcelink = False
html_theme_options = {
    "show_prev_next": False,
    "navigation_with_keys": False,
    "secondary_sidebar_items": {"**": ["page-toc"], "index": []},
}
html_sidebars = {"**": ["sidebar-nav-bs"]} | {page.stem: [] for page in DOCS.glob("*.md")}


def setup(app):
    """Makes the generated parts before any page is read."""
    write_all(DOCS / "generated")
    app.connect("autodoc-process-docstring", as_restructured_text)
