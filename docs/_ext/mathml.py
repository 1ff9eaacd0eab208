"""Formulas as MathML: browsers draw it themselves, without a script or a network."""

import re
import xml.etree.ElementTree as ET
from itertools import pairwise

from docutils import nodes
from docutils.utils.math import MathError, latex2mathml
from sphinx.util import logging

logger = logging.getLogger(__name__)

UNBRACED = re.compile(r"\\[cdt]?frac\s*\d")
ROWS = {"math", "mrow", "mtd", "msqrt", "mphantom"}
SCRIPTED = {"msub", "msup", "msubsup", "munder", "mover", "munderover"}
BOUNDS = {"mo", "mspace"}
CLOSING = (")", "]", "}")
NAMESPACE = ' xmlns="http://www.w3.org/1998/Math/MathML"'  # HTML knows it
APPLY = "\u2061"
THIN = "0.167em"


def formula(node, *, as_block):
    """Return a formula's MathML, or its source and a warning where that cannot be."""
    source = node.astext().strip()
    if UNBRACED.search(source):
        logger.warning(r"write \frac{1}{2}, not \frac12: %s", source, location=node)
    try:
        return set_apart(latex2mathml.tex2mathml(source, as_block=as_block))
    except MathError as error:
        logger.warning("%s: %s", error, source, location=node)
        return f"<code>{node.astext()}</code>"


def set_apart(mathml):
    """Put thin spaces around names of several letters, as TeX does: log p, not logp."""
    bare = mathml.replace(NAMESPACE, "").replace("&ApplyFunction;", APPLY)
    tree = ET.fromstring(bare)
    for row in tree.iter():
        if row.tag in ROWS:
            _set_apart(row)
    return ET.tostring(tree, "unicode", short_empty_elements=False)


def _set_apart(row):
    parts = [part for part in row if part.text != APPLY]
    for left, right in pairwise(parts):
        before, after = _token(left, -1), _token(right, 0)
        if (_is_name(before) and after.tag != "mo") or (
            _is_name(after) and (before.tag not in BOUNDS or before.text in CLOSING)
        ):
            row.insert(list(row).index(right), ET.Element("mspace", width=THIN))


def _token(node, side):
    """Return what of a group stands at a side; of what has scripts, the base."""
    while len(node) and node.tag in SCRIPTED | {"mrow"}:
        node = node[side if node.tag == "mrow" else 0]
    return node


def _is_name(token):
    return token.tag == "mi" and len(token.text) > 1


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
