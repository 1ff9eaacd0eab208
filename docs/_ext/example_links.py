"""Links to the scripts of examples lead to their pages in the gallery.

In the source of a page, ``[text](../examples/plot_wine.py)`` is a link that the
repository's own pages follow; in the site it becomes one to the page of that example.
"""

import re

EXAMPLE = re.compile(r"\]\(((?:\.\./)*)examples/(plot_\w+)\.py\)")
INDEX = re.compile(r"\]\(((?:\.\./)*)examples/README\.md\)")


def in_gallery(text):
    """Return the source of a page below ``docs`` with links to the gallery."""
    text = EXAMPLE.sub(lambda m: f"]({m[1][3:]}auto_examples/{m[2]}.rst)", text)
    return INDEX.sub(lambda m: f"]({m[1][3:]}auto_examples/index.rst)", text)


def _rewrite(app, docname, content):
    if not docname.startswith("auto_examples/"):
        content[0] = in_gallery(content[0])


def setup(app):
    """Connect the rewriting of sources."""
    app.connect("source-read", _rewrite)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
