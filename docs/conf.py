"""Configuration of the documentation, which `make docs` builds without a network."""

from __future__ import annotations

import sys
from pathlib import Path

DOCS = Path(__file__).parent
sys.path.insert(0, str(DOCS / "extensions"))

from synthvae import __version__  # noqa: E402

project = "synthvae"
author = "The synthvae maintainers"
project_copyright = "the synthvae maintainers"
version = release = __version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
    "mathml",
    "generated_pages",
    "example_gallery",
    "api_members",
    "architecture_picture",
]
exclude_patterns = ["_build", "reference/generated/*.inc.md"]
templates_path = ["_templates"]
default_role = "literal"  # docstrings write code in single backticks
suppress_warnings = ["config.cache"]  # sphinx-gallery's configuration holds functions

# Markdown
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath", "fieldlist"]
myst_heading_anchors = 3

# Reference
autosummary_generate = True
autosummary_ignore_module_all = False
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True  # attributes that are properties, too, are documented once
napoleon_use_rtype = False
python_use_unqualified_type_names = True
maximum_signature_line_length = 88

# Code
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

# Pages
html_theme = "pydata_sphinx_theme"
html_title = "synthvae"
html_static_path = ["_static"]
html_css_files = ["custom.css"]
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "logo": {"text": "synthvae"},
    "header_links_before_dropdown": 6,
    "navbar_align": "left",
    "navigation_with_keys": False,
    "show_toc_level": 2,
    "footer_start": ["copyright"],
    "footer_end": [],
    "secondary_sidebar_items": ["page-toc"],
}
html_sidebars = {page: [] for page in ("index", "getting_started", "faq", "glossary", "comparison")}
