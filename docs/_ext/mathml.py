"""Formulas as MathML: browsers draw it themselves, without a script or a network."""

from docutils import nodes
from docutils.utils.math import MathError, latex2mathml
from sphinx.util import logging

logger = logging.getLogger(__name__)


def formula(node, *, as_block):
    """Return a formula's MathML, or its source and a warning where that cannot be."""
    source = node.astext().strip()
    try:
        return latex2mathml.tex2mathml(source, as_block=as_block)
    except MathError as error:
        logger.warning("%s: %s", error, source, location=node)
        return f"<code>{node.astext()}</code>"


def _inline(self, node):
    self.body.append(formula(node, as_block=False))
    raise nodes.SkipNode


def _block(self, node):
    self.body.append(f'<div class="formula">{formula(node, as_block=True)}</div>\n')
    raise nodes.SkipNode


def setup(app):
    """Register the renderer."""
    app.add_html_math_renderer("mathml", (_inline, None), (_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
