"""Self-contained HTML page with sliders for the components of a fitted decoder."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path
from string import Template

import numpy as np
from sklearn.utils import Bunch

from .._pipelines import number_names
from ._health import health_marks
from ._inversion import inversion_layers
from ._layout import choose_layout
from ._own_row import encoding_layers
from ._reading import read
from ._stability import StabilityDisplay
from ._table import tabulate
from ._training import TITLES
from ._wording import LEAST_EFFECT, place, region

REACH = 3.0
"""Standard deviations that a slider covers to either side."""

N_STARTS = 6
"""Samples whose codes the page offers as starting points, at most."""

N_FEATURES_SHOWN = 8
"""Features in the table of a component, at most."""


def explore(
    estimator,
    X,
    path="components.html",
    *,
    others=None,
    title="What the components do",
    kind="auto",
    x=None,
    feature_names=None,
    image_shape=None,
    x_label=None,
    y_label=None,
    max_bytes=20_000_000,
):
    """Write an HTML page with a slider per component and the decoded sample, live.

    The file needs no server, no network and no Python: it contains the weights of the
    decoder, which runs in the browser. It also shows the table of effects, the training
    record with health marks and, given other fits, the stability of each component. It
    contains no samples of X, but the codes of at most six of them as starting points.
    Where it has room for the encoder, a sample of the reader's own can be pasted or
    opened from a file, for images also a picture; it stays in the browser. Values may
    be missing, unless the model or a step before it needs complete samples; columns of
    several types have their numbers and levels.
    Shares of variance above 1 (see :class:`FactorTable`) are shown as 1.

    Parameters
    ----------
    estimator : estimator, Pipeline or search
        Fitted, with dense or convolutional networks. Steps of a pipeline before it are
        inverted in the page, so that units are those of X; their inverse must be
        affine, as that of scalers and PCA, or a function of each column, as that of
        logarithms and powers. Of a fit to columns of several types, the page shows
        probabilities of levels, and the nearest of ordered levels; steps before it are
        not inverted.
    X : array-like of shape (n_samples, n_features)
        Samples, from which the mean and standard deviation of codes are computed.
    path : str or path-like, default="components.html"
        Path of the file. An existing file is overwritten.
    others : sequence of estimator, default=None
        The same model fitted with other random seeds, to show the stability of its
        components.
    title : str, default="What the components do"
        Title of the page.
    kind : {"auto", "curve", "bars", "image"}, default="auto"
        How to draw a sample. "auto" means images if there is an image shape, curves if
        there is an axis or there are more than 40 features, and else bars.
    x : array-like of shape (n_features,), default=None
        Axis of curves, such as wavelengths or times.
    feature_names : array-like of str, default=None
        Names to use instead of those seen in ``fit`` or of the columns of X.
    image_shape : tuple, default=None
        (height, width) or (channels, height, width). None takes that of the estimator.
    x_label, y_label : str, default=None
        Labels of a curve's axes, with units.
    max_bytes : int, default=20_000_000
        Largest allowed size of the file.

    Returns
    -------
    page : Bunch
        ``path`` : path of the file. ``n_bytes`` : its size. ``table`` : the
        :class:`FactorTable` in the page.

    Raises
    ------
    TypeError
        If the estimator has no ``decoder_layers``.
    ValueError
        If the model is too large for `max_bytes`, its networks are the user's own
        modules, decoded samples are not finite, or the inverse of a step of the
        pipeline is neither affine nor a function of each column.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from skfactorvae import FactorVAETransformer
    >>> from skfactorvae.datasets import make_gaussian_peaks
    >>> from skfactorvae.inspection import explore
    >>> X, _ = make_gaussian_peaks(200, random_state=0)
    >>> vae = FactorVAETransformer(3, max_iter=50, random_state=0).fit(X)
    >>> page = explore(vae, X, Path(tempfile.mkdtemp()) / "components.html")
    >>> page.n_bytes < 500_000
    True
    """
    reading = read(estimator, feature_names, X)
    _check_size(reading, max_bytes)
    layout = choose_layout(
        reading.feature_names,
        model=reading.model,
        kind=kind,
        x=x,
        image_shape=image_shape,
    )
    survey = reading.survey(X)
    codes, content = _movements(survey, begins_at_a_sample=layout.kind == "bars")
    is_typed = number_names(reading.model) is not None
    decode = reading.decode if is_typed else reading.model.inverse_transform
    samples = decode(codes)
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        # The ends of sliders can be beyond the domain of an inverse.
        limits = _range(samples if is_typed else reading.undo(samples), samples)
        inverse = [] if is_typed else inversion_layers(reading, samples)
        table = tabulate(reading, survey, layout, "quantile")
    layers = _layers(reading)
    blob = _Blob()
    content |= {
        "kind": layout.kind,
        "names": layout.names.tolist() if layout.kind == "bars" else [],
        "x": blob.add(layout.x, "f8"),
        "x_label": layout.x_label if x_label is None else x_label,
        "y_label": y_label or "",
        "image_shape": layout.image_shape,
        "range": limits,
        "levels": layers[-1]["levels"] if is_typed else [],
        "chances": _chances(layers[-1]) if is_typed else [],
        "spread": blob.add(survey.feature_std, "f8"),
        "layers": [blob.add_layer(layer) for layer in layers + inverse],
        "n_decoding": len(layers),
        "latents": _latents(reading, survey, table),
        "health": _health(estimator),
        "stability": _stability(estimator, others, X),
    }
    page = _filled(title, content, blob)
    if len(page) > max_bytes:
        raise ValueError(_too_large(len(page), max_bytes))
    larger = _filled(title, content | _encoder(reading, X, blob), blob)
    page = larger if len(larger) <= max_bytes else page
    path = Path(path)
    path.write_bytes(page)
    return Bunch(path=path, n_bytes=len(page), table=table)


def _check_size(reading, max_bytes):
    """Raise an error for a model that is too large, before any computation."""
    if not hasattr(reading.model, "decoder_layers"):
        raise TypeError(
            "A page needs a model with decoder_layers(), such as "
            f"FactorVAETransformer; got {type(reading.model).__name__}. Of a "
            "SeedEnsemble, pass one of its estimators_."
        )
    layers = reading.model.decoder_layers()
    parts = (part for layer in layers for part in layer.values())
    size = sum(part.size for part in parts if isinstance(part, np.ndarray))
    if size * 16 // 3 > max_bytes:  # four bytes each, three of which become four
        raise ValueError(_too_large(size * 16 // 3, max_bytes))


def _too_large(size, max_bytes):
    return (
        f"The page would have {size / 1e6:.1f} MB, more than max_bytes="
        f"{max_bytes / 1e6:.1f} MB: it contains the decoder and the inverse of the "
        "pipeline's steps. Raise max_bytes, or fit with smaller hidden_layer_sizes."
    )


def _encoder(reading, X, blob):
    """Return what the page needs to encode a sample; nothing if it cannot."""
    found = encoding_layers(reading, X)
    if found is None:
        return {}
    added = {
        name: [blob.add_layer(layer) for layer in part]
        for name, part in found.items()
        if name != "complete_for"
    }
    first = found["before"][0]
    names = reading.feature_names.tolist()
    if first["kind"] == "table":
        names = [column["name"] for column in first["columns"]]
    return {
        "encoder": added | {"complete_for": found["complete_for"]},
        "columns": names,
        "handles_unknown": _handles_unknown(reading.model),
    }


def _handles_unknown(model):
    """Return whether levels that the fit did not see are missing values."""
    return getattr(model, "handle_unknown", "error") == "missing"


# ---------------------------------------------------------------------- contents
class _Blob:
    """Concatenated arrays, each referred to by its offset and size."""

    def __init__(self):
        self.parts, self.size = [], 0

    def add(self, array, kind):
        array = np.ascontiguousarray(array, dtype=f"<{kind}")
        content = array.tobytes()
        place = {"type": kind, "at": self.size, "size": array.size}
        content += b"\0" * (-len(content) % 8)  # a view must start at a multiple of 8
        self.parts.append(content)
        self.size += len(content)
        return place

    def add_layer(self, layer):
        """Replace the arrays of a layer by references; scales need float64."""
        kinds = {"weight": "f4", "bias": "f4", "scale": "f8", "mean": "f8"}
        kinds |= {"values": "f8", "low": "f8", "width": "f8"}
        kinds |= {"bound": "f8", "shift": "f8", "thresholds": "f8"}
        kinds |= {"loadings": "f8", "noise": "f8"}
        return {
            name: self.add(value, kinds[name]) if name in kinds else value
            for name, value in layer.items()
        }

    def encoded(self):
        return base64.b64encode(b"".join(self.parts)).decode("ascii")


def _layers(reading):
    """Return the layers of the decoder, with the shapes that convolutions need."""
    layers, shape = [], None
    for layer in reading.model.decoder_layers():
        if layer["kind"] == "reshape":
            shape = list(layer["shape"][1:])
        elif layer["kind"] == "conv_transpose":
            layers.append({**layer, "from": shape})
            shape = layer["size"]
        else:
            layers.append(layer)
    return layers


def _chances(layer):
    """Return whether each number of a table is a probability."""
    each = [
        name in ("sigmoid", "softmax")
        for name, n in layer["functions"]
        for _ in range(n)
    ]
    return [each[feature] for feature in layer["order"]]


def _movements(survey, *, begins_at_a_sample):
    """Return codes that the page can show, (m, d), and its starting points."""
    step = np.where((step := survey.step("aggregate")) > 0, step, 1.0)
    every = np.arange(len(survey.centre))
    moves = survey.paths(every, np.linspace(-REACH, REACH, 13), "aggregate")
    n_rows = len(survey.mean)
    chosen = np.linspace(0, n_rows - 1, min(n_rows, N_STARTS)).astype(int)
    starts = [("the mean code", survey.centre)]
    starts += [(f"sample {i}", survey.mean[i]) for i in chosen]
    codes = [moves.reshape(-1, len(every)), survey.mean[chosen]]
    # Bars are differences from the mean code: begin where something is to be seen.
    distance = np.abs((survey.mean[chosen] - survey.centre) / step).mean(axis=1)
    return np.concatenate(codes), {
        "first_start": 1 + int(distance.argmax()) if begins_at_a_sample else 0,
        "centre": survey.centre.tolist(),
        "starts": [{"label": name, "code": code.tolist()} for name, code in starts],
    }


def _range(rows, samples):
    """Return the lowest and the highest value of samples, in the user's units.

    Some may be beyond the domain of an inverse, as of a power transform.

    Raises
    ------
    ValueError
        If a value of the model's samples, or all of the user's, are not finite.
    """
    if len(empty := np.flatnonzero(np.isnan(samples).all(axis=0))):
        raise ValueError(
            f"{len(empty)} columns without values are NaN in decoded samples, the "
            f"first of them column {empty[0]}. A page cannot draw them. Leave them out "
            "of the fit."
        )
    rows = rows[np.isfinite(rows)]
    if not rows.size or not np.isfinite(samples).all():
        raise ValueError(
            "Decoded samples contain NaN or infinity, which a page cannot draw. Check "
            "the scale of X, and that the fit did not diverge."
        )
    low, high = float(rows.min()), float(rows.max())
    return [low, high if high > low else low + 1.0]


def _latents(reading, survey, table):
    used = set(reading.used_latents(len(survey.centre)).tolist())
    scale = table.layout.scale(survey.feature_std)
    strength = np.abs(table.effect) / scale
    weight = np.square(survey.feature_std / scale)
    weight /= max(weight.sum(), np.finfo(float).tiny)
    return [
        {
            "index": j,
            "mean": float(table.centre[j]),
            "step": float(table.step[j]),
            "kl": None if table.kl is None else _finite(table.kl[j]),
            "is_used": j in used,
            "name": str(table.names[j]),
            "sentence": table.summary[j].removeprefix(f"{table.names[j]} "),
            "share": _finite(min(table.share[j] @ weight, 1.0)),
            "features": _features(table, j, strength[j]),
        }
        for j in range(len(survey.centre))
    ]


def _features(table, j, strength):
    return [
        {
            "name": name,
            "low": float(table.low[j, i]),
            "high": float(table.high[j, i]),
            "share": _finite(round(min(table.share[j, i], 1.0), 3)),
            "direction": _direction(table, j, i, strength[i]),
        }
        for i, name in _largest(table, j, strength)
    ]


def _largest(table, j, strength):
    """Return the places of the largest effects, with their names.

    A place of a curve stands for its neighbours that change with it.
    """
    if table.layout.kind != "curve":
        order = np.argsort(-strength, kind="stable")[:N_FEATURES_SHOWN]
        return [(i, table.layout.names[i]) for i in order]
    x = table.layout.x
    order = np.argsort(x, kind="stable")
    effect, left = table.effect[j][order], strength[order].copy()
    found: list[tuple[int, str]] = []
    while len(found) < N_FEATURES_SHOWN and left.max() > 0:
        top = int(left.argmax())
        first, last = region(effect, top)
        ends = [place(x[order[k]], x) for k in sorted({first, last})]
        found.append((int(order[top]), " to ".join(ends)))
        left[first : last + 1] = 0
        if left.max() < strength.max() / 4:
            break
    return found


def _direction(table, j, i, strength):
    """Return what a feature does from the low to the high end, in a word."""
    if not table.monotone[j, i]:
        return "turns back"
    if strength < LEAST_EFFECT:
        return "hardly moves"
    return "rises" if table.sign[j, i] > 0 else "falls"


def _finite(value):
    """Return a number as a float; None if it is not finite, which JSON cannot hold."""
    return float(value) if np.isfinite(value) else None


def _health(estimator):
    model = read(estimator).model
    if not hasattr(model, "history_"):
        return None
    return {
        "marks": health_marks(estimator),
        "titles": {term: name for term, (name, _) in TITLES.items()},
        "history": {
            term: [_finite(v) for v in values]
            for term, values in model.history_.items()
        },
    }


def _stability(estimator, others, X):
    if others is None:
        return None
    if not isinstance(others, Iterable):
        raise TypeError(
            "others must be a sequence of fitted estimators, got one "
            f"{type(others).__name__}. Of a SeedEnsemble, pass its estimators_."
        )
    display = StabilityDisplay.from_estimators([estimator, *others], X, reference=0)
    return {
        "note": "Median absolute rank correlation with the matched component of "
        f"{display.agreement.shape[1]} other fits; 1 is best. Do not interpret "
        "unstable components.",
        "components": [
            {"name": str(name), "median": float(median)}
            for name, median in zip(display.names, display.medians, strict=True)
        ],
    }


# ---------------------------------------------------------------------- the file
def _filled(title, content, blob):
    """Return the filled template in bytes, with names that cannot end a script."""
    folder = files(__package__) / "page"
    parts = {
        kind: (folder / f"explore.{kind}").read_text(encoding="utf-8")
        for kind in ("html", "css", "js")
    }
    written = json.dumps(content, allow_nan=False, default=_plain)
    page = Template(parts["html"]).substitute(
        title=html.escape(str(title)),
        style=parts["css"],
        script=parts["js"],
        data=written.replace("<", "\\u003c"),
        weights=blob.encoded(),
    )
    # A name that is no text in Unicode cannot be encoded as it is.
    return page.encode("utf-8", "xmlcharrefreplace")


def _plain(value):
    """Return a number of numpy as Python's, and any other object as text."""
    return value.item() if isinstance(value, np.number | np.bool_) else str(value)
