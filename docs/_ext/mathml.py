"""Formulas as MathML: browsers draw it themselves, without a script or a network."""

from docutils.utils.math import latex2mathml


def _inline(self, node):
    self.body.append(latex2mathml.tex2mathml(node.astext()))


def _block(self, node):
    formula = latex2mathml.tex2mathml(node.astext().strip(), as_block=True)
    self.body.append(f'<div class="math">{formula}</div>\n')


def _depart(self, node):
    """Close nothing: what was opened is closed."""


def setup(app):
    """Register the renderer."""
    app.add_html_math_renderer("mathml", (_inline, _depart), (_block, _depart))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
