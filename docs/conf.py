"""How the documentation is built: ``sphinx-build -W docs docs/_build/html``.

Everything is made from the tree: pages from ``docs/*.md``, the reference from
docstrings, the gallery from the scripts in ``examples/``, which run. Nothing is loaded
from the network, neither by the build nor by a browser.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

import skfactorvae

project = "skfactorvae"
author = "The skfactorvae developers"
project_copyright = author
release = version = skfactorvae.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "myst_parser",
    "sphinx_gallery.gen_gallery",
    "mathml",
    "own_members",
    "example_links",
]
exclude_patterns = ["_build", "_ext", "_templates", "auto_examples/*.ipynb"]
templates_path = ["_templates"]

# ------------------------------------------------------------------------- reference
autosummary_generate = True
toc_object_entries_show_parents = "hide"
autodoc_typehints = "none"  # the docstrings say them
numpydoc_show_class_members = False
numpydoc_xref_param_type = False
nitpicky = True
nitpick_ignore_regex = [
    # The documentation of others, which would take the network to find.
    ("py:.*", r"(sklearn|numpy|scipy|torch|pandas|matplotlib)\..*"),
    ("py:obj", "(classes_|n_features_in_)"),  # properties of scikit-learn's searches
]

# ----------------------------------------------------------------------------- pages
myst_enable_extensions = ["deflist", "dollarmath", "colon_fence"]
myst_heading_anchors = 3
html_math_renderer = "mathml"

# --------------------------------------------------------------------------- gallery
sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "filename_pattern": r"/plot_",
    "within_subsection_order": "gallery_order.ReadingOrder",
    "abort_on_example_error": True,
    "doc_module": ("skfactorvae",),
    "backreferences_dir": "api/backreferences",
    "image_srcset": ["2x"],
    "matplotlib_animations": False,
    "min_reported_time": 0,
    "parallel": 2,
    "remove_config_comments": True,
    "show_signature": False,
    "write_computation_times": False,  # a page of scripts from elsewhere
}
suppress_warnings = [
    "config.cache",  # the gallery's settings need not be pickled
    "ref.term",  # words of scikit-learn's glossary, in what is inherited from it
]

# ----------------------------------------------------------------------------- looks
html_theme = "pydata_sphinx_theme"
html_title = "skfactorvae"
html_static_path = ["_static"]
html_css_files = ["pages.css"]
html_sidebars = {
    page: [] for page in ("index", "quickstart", "metrics", "auto_examples/*")
}
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "header_links_before_dropdown": 7,
    "navigation_with_keys": False,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": ["theme-version"],
    "show_toc_level": 2,
}
