"""A fitted model that is read from a file and computed by numpy."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np

from ..columns import TableEncoding
from ..files import INCONSISTENT, ModelFileError, Reader, read_document
from ._column_likelihoods import Columns
from ._layers import Network, check_sizes, problem_of
from ._likelihoods import KL, Bernoulli, Gaussian, make_likelihood
from ._quadrature import cubature_points

BLOCK = 1024
"""Rows that are processed at once, and rows and codes that are decoded at once."""

ROUNDS = 10
"""Times that a decoder fills in missing values, each from the ones before."""

PRECISIONS = ("float32", "float64")


def load(path, *, mmap=False):
    """Load a saved model for inference without torch.

    Parameters
    ----------
    path : str or path-like
        File that an estimator's ``save`` wrote.
    mmap : bool, default=False
        Whether weights are mapped into memory, which processes share.

    Returns
    -------
    model : RuntimeModel
        The model, with ``transform``, ``inverse_transform`` and ``score_samples``.

    Raises
    ------
    ModelFileError
        If the file is not a model file, is damaged, or holds what needs torch: modules
        of the user's own. A subclass of ValueError.
    OSError
        If the file cannot be read.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from skfactorvae import FactorVAETransformer, runtime
    >>> from skfactorvae.datasets import make_gaussian_peaks
    >>> X, _ = make_gaussian_peaks(200, random_state=0)
    >>> vae = FactorVAETransformer(3, max_iter=50, random_state=0).fit(X)
    >>> path = Path(tempfile.mkdtemp()) / "peaks.safetensors"
    >>> model = runtime.load(vae.save(path) and path)
    >>> model.transform(X[:2]).shape
    (2, 3)
    """
    return RuntimeModel.from_document(read_document(path, mmap=mmap), path)


def _model_of(
    class_name: str, parts: Mapping[str, Any], reader: Reader
) -> RuntimeModel:
    """Return the model of a document, checked."""
    networks, state = parts["networks"], parts["state"]
    if networks is None:
        _refuse_class(class_name, state, reader)
    weights = {
        key: reader.array(f"weights_/{key}")
        for key in _strings(state["weights_"], reader)
    }
    mean, scale = reader.array("mean_"), reader.array("scale_")
    names = reader.read(parts["columns"].get("feature_names_in_"), "feature_names_in_")
    problem = problem_of(
        networks["encoder"], networks["decoder"], networks["activation"], weights
    )
    if problem:
        reader.refuse(f"its networks have {problem}.")
    p, d, n_hidden = networks["sizes"]
    if networks["precision"] not in PRECISIONS or networks["prior"] not in KL:
        reader.refuse("its precision or its prior is not known.")
    if not (mean.shape == scale.shape == (p,) and (scale > 0).all()):
        reader.refuse(f"its scaling is not that of {p} features.")
    known = mean[~np.isnan(mean)]  # NaN stands for a column without any value
    if not all(np.isfinite(a).all() for a in (known, scale, *weights.values())):
        reader.refuse("its weights hold numbers that are not finite.")
    if type(n_hidden) is not int or not 0 <= n_hidden < d:
        reader.refuse("its number of hidden components is not valid.")
    levels = networks["encoder"][-1].get("levels", [])
    given = reader.read(state.get("_component_names"), "_component_names")
    if given is not None and not _are_names(given, d - n_hidden + sum(levels)):
        reader.refuse("its names of components are not one for each.")
    table = _table(state, reader, p)
    unknown = reader.read(parts["parameters"].get("handle_unknown", "error"), "unknown")
    likelihood = make_likelihood(networks["likelihood"], weights, p)
    if (table is None) == isinstance(likelihood, Columns):
        reader.refuse("its columns are not those of its likelihood.")
    model = RuntimeModel(
        class_name=class_name,
        table=table,
        handle_unknown=unknown,
        mean_=mean,
        scale_=scale,
        feature_names_in_=names,
        given_names=given,
        kept=_kept(parts, reader, d - n_hidden, sum(levels)),
        n_components=d,
        n_hidden=n_hidden,
        levels=tuple(levels),
        prior=networks["prior"],
        likelihood=likelihood,
        networks={networks["precision"]: _network(networks, weights)},
    )
    check_sizes(model.network, p, d + sum(levels))
    return model


def _table(state: Mapping[str, Any], reader: Reader, p: int) -> TableEncoding | None:
    """Return how columns of several types become features; None for numbers."""
    if "_table_state" not in state:
        return None
    table = TableEncoding.from_state(reader.read(state["_table_state"], "_table_state"))
    table.check()
    if table.n_features != p:
        reader.refuse(f"its columns have {table.n_features} features, not {p}.")
    return table


def _kept(
    parts: Mapping[str, Any], reader: Reader, d: int, n_levels: int
) -> np.ndarray | None:
    """Return the columns that transform returns; None for all."""
    keep = reader.read(parts["parameters"].get("keep", "all"), "keep")
    if keep == "all":
        return None
    active = reader.array("active_components_")
    if keep != "active" or not ((active >= 0) & (active < d)).all():
        reader.refuse("what it keeps is not valid.")
    return np.concatenate([np.sort(active), d + np.arange(n_levels)]).astype(np.intp)


def _are_names(given: Any, n_codes: int) -> bool:
    """Return whether a value is a tuple with a name, or None, for each component."""
    is_tuple = type(given) is tuple and len(given) == n_codes
    return is_tuple and all(isinstance(name, str | None) for name in given)


def _strings(values: Any, reader: Reader) -> list[str]:
    if not isinstance(values, list) or not all(isinstance(v, str) for v in values):
        reader.refuse("its weights_ are not a list of names.")
    return values


def _network(networks: Mapping[str, Any], weights: Mapping[str, np.ndarray]) -> Network:
    dtype = np.dtype(networks["precision"])
    typed = {name: array.astype(dtype, copy=False) for name, array in weights.items()}
    layers = networks["encoder"], networks["decoder"]
    return Network(*layers, typed, networks["activation"])


def _refuse_class(
    class_name: str, state: Mapping[str, Any], reader: Reader
) -> NoReturn:
    """Raise an error that names what numpy cannot compute."""
    spec = state.get("_model_spec") if isinstance(state, dict) else None
    network = spec.get("network") if isinstance(spec, dict) else None
    if isinstance(network, dict):
        what, instead = f"modules of the user's own ({network.get('of')})", "network="
        advice = f"skfactorvae.load(path, {instead}...), with torch"
    else:
        what = f"a {class_name[:60]}, which has no networks of its own"
        advice = "skfactorvae.load(path), or save one of its estimators_"
    raise ModelFileError(
        f"{os.fspath(reader.path)!r} holds {what}: skfactorvae.runtime computes dense "
        f"and convolutional networks. Use {advice}."
    )


@dataclass(frozen=True, kw_only=True, repr=False)
class RuntimeModel:
    """Model of a saved estimator, computed by numpy without torch.

    Output equals that of the estimator to rounding. Get one from
    :func:`skfactorvae.runtime.load`.

    Parameters
    ----------
    class_name : str
        Class of the estimator.
    mean_, scale_ : ndarray of shape (n_features,)
        Offset and scale of the standardisation.
    feature_names_in_ : ndarray of str or None
        Names of the features.
    given_names : tuple of (str or None), or None
        Names of the components that a user gave; None for each other one, or for all.
    kept : ndarray of int, or None
        Columns of the codes that ``transform`` returns; None for all.
    n_components : int
        Components of the networks, hidden ones included.
    n_hidden : int
        Leading components that are not part of the codes.
    levels : tuple of int
        Number of levels of each category.
    prior : {"normal", "uniform"}
        Prior of the codes.
    likelihood : object
        Distribution of a feature given the code.
    networks : dict of str to Network
        Encoder and decoder, by the name of their precision.
    table : TableEncoding or None, default=None
        How columns of several types become features; None for a table of numbers.
    handle_unknown : {"error", "missing"}, default="error"
        What is done with levels that the fit did not see.

    See Also
    --------
    skfactorvae.load : Returns the estimator, which can also be fitted further.

    References
    ----------
    .. [1] The safetensors format. https://huggingface.co/docs/safetensors

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from skfactorvae import FactorVAETransformer, runtime
    >>> from skfactorvae.datasets import make_gaussian_peaks
    >>> X, _ = make_gaussian_peaks(200, random_state=0)
    >>> path = Path(tempfile.mkdtemp()) / "peaks.safetensors"
    >>> vae = FactorVAETransformer(3, max_iter=50, random_state=0).fit(X).save(path)
    >>> model = runtime.load(path)
    >>> np.allclose(model.score_samples(X), vae.score_samples(X), rtol=1e-4)
    True
    """

    class_name: str
    mean_: np.ndarray
    scale_: np.ndarray
    feature_names_in_: Any
    given_names: tuple[str | None, ...] | None
    kept: np.ndarray | None
    n_components: int
    n_hidden: int
    levels: tuple[int, ...]
    prior: str
    likelihood: Gaussian | Bernoulli | Columns
    networks: dict[str, Network]
    table: TableEncoding | None = None
    handle_unknown: str = "error"

    @classmethod
    def from_document(cls, document, path="model"):
        """Build the model of a document, as files and fitted estimators have it.

        Parameters
        ----------
        document : Document
            Class, parts and arrays of a model.
        path : str or path-like, default="model"
            Where it comes from, for messages.

        Returns
        -------
        model : RuntimeModel
            The model.

        Raises
        ------
        ModelFileError
            If parts do not fit each other, or numpy cannot compute the networks.
        """
        reader = Reader(path, document.arrays)
        try:
            return _model_of(document.class_name, document.parts, reader)
        except ModelFileError:
            raise
        except INCONSISTENT as error:
            reader.refuse(f"its networks cannot be built ({str(error)[:200]}).")

    def __repr__(self):
        sizes = f"n_features={self.n_features}, n_codes={self.n_codes}"
        return f"RuntimeModel({self.class_name}, {sizes})"

    @property
    def n_features(self) -> int:
        """Number of columns of the table."""
        return len(self.mean_) if self.table is None else len(self.table.columns)

    @property
    def number_names_(self) -> np.ndarray | None:
        """Names of the numbers of ``expected_numbers``; None for a table of numbers."""
        if self.table is None:
            return None
        return np.array(self.table.feature_names, dtype=object)

    @property
    def n_codes(self) -> int:
        """Number of columns of a code."""
        return self.n_components - self.n_hidden + sum(self.levels)

    @property
    def n_kept(self) -> int:
        """Number of columns that ``transform`` returns."""
        return self.n_codes if self.kept is None else len(self.kept)

    @property
    def component_names_(self) -> np.ndarray:
        """Names of the components, (n_codes,); "component 0" where none was given."""
        names = [f"component {j}" for j in range(self.n_codes)]
        for j, name in enumerate(self.given_names or ()):
            names[j] = names[j] if name is None else name
        return np.array(names, dtype=object)

    @property
    def is_binary(self) -> bool:
        """Whether the likelihood is Bernoulli's, of values in [0, 1]."""
        return isinstance(self.likelihood, Bernoulli)

    @property
    def dtype(self) -> np.dtype:
        """Type of the numbers of the computation."""
        return np.dtype(next(iter(self.networks)))

    @property
    def network(self) -> Network:
        """Encoder and decoder in the model's precision."""
        return next(iter(self.networks.values()))

    # ----------------------------------------------------------------------- methods
    def transform(self, X):
        """Compute the posterior mean of each sample's code.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        codes : ndarray of shape (n_samples, n_codes), float32
            Codes, in the order of the estimator's; of active components only, if the
            estimator had ``keep="active"``.

        Raises
        ------
        ValueError
            If X has another number of features, or values that are not finite numbers,
            or that are so large that codes are not.
        """
        codes = self.posterior(X)[0]
        return codes if self.kept is None else codes[:, self.kept]

    def posterior(self, X):
        """Compute mean and standard deviation of each sample's posterior q(z | x).

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        mean, std : ndarray of shape (n_samples, n_codes), float32
            Moments of the normal posterior of each component.

        Raises
        ------
        ValueError
            If X has another number of features, or values that are not finite numbers,
            or that are so large that codes are not.
        """

        def moments(rows):
            found = self._encoded(self.network, rows)
            mean, log_var = self.network.components_of(*found)
            return np.stack([mean, np.exp(0.5 * log_var)])[:, :, self.n_hidden :]

        with np.errstate(over="ignore", invalid="ignore"):  # is reported below
            found = _by_blocks(moments, self._standardized(X), axis=1)
            mean, std = found.astype(np.float32)
        return _finite(mean, "codes"), _finite(std, "codes")

    def inverse_transform(self, X):
        """Compute the expected sample of each code, in the original units.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_codes)
            Codes.

        Returns
        -------
        X_original : ndarray or data frame of shape (n_samples, n_features)
            Means of p(x | z); probabilities for a Bernoulli likelihood. For a fit to
            columns of several types, a table like that of the fit, as the estimator
            returns it.

        Raises
        ------
        ValueError
            If X has another number of columns than the codes, or values that are not
            finite numbers.
        ImportError
            If the library of the table of the fit, pandas or polars, is not installed;
            ``expected_numbers`` needs none.
        """
        features = self._expected_features(X)
        return features if self.table is None else self.table.decode(features, codes=X)

    def expected_numbers(self, X):
        """Compute the expectation of each number of a table, given codes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_codes)
            Codes.

        Returns
        -------
        numbers : ndarray of shape (n_samples, n_numbers)
            Expectations in the units of the columns, and probabilities of levels, as
            the estimator returns them. Their names are ``number_names_``.

        Raises
        ------
        ValueError
            If X has another number of columns than the codes, or values that are not
            finite numbers.
        """
        features = self._expected_features(X)
        return features if self.table is None else self.table.numbers(features)

    def _expected_features(self, X) -> np.ndarray:
        """Return the expected features of codes, in their units."""
        codes = self._checked_codes(X)
        codes = np.pad(codes, ((0, 0), (self.n_hidden, 0)))
        with np.errstate(over="ignore", invalid="ignore"):  # is reported below
            rows = _by_blocks(self._expected, codes)
            rows = rows.astype(self.mean_.dtype) * self.scale_
            rows = _finite(rows + np.nan_to_num(self.mean_), "reconstructions")
        rows[:, np.isnan(self.mean_)] = np.nan  # columns without any value
        return rows

    def score_samples(self, X):
        """Compute a lower bound of each sample's log-density, in nats.

        It is that of the estimator's ``score_samples``, with the same points.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        elbo : ndarray of shape (n_samples,)
            Bounds in the original units; higher is better.

        Raises
        ------
        ValueError
            If X has another number of features, or values that are not finite numbers,
            or that are so large that bounds are not.
        """
        rows = self._standardized(X)
        with np.errstate(over="ignore", invalid="ignore"):  # is reported below
            bounds = self._bounds(rows)
            lost = ~np.isfinite(bounds)
            if lost.any() and self.dtype != np.float64:
                bounds[lost] = self._bounds(rows[lost].astype(np.float64))
        log_scale = np.log(self.scale_.astype(np.float64))
        if self.table is not None:
            log_scale = np.where(self.table.is_continuous, log_scale, 0.0)
            bounds += self.table.log_jacobian(rows * self.scale_ + self.mean_)
        bounds -= ~np.isnan(rows) @ log_scale
        return _finite(bounds, "scores")

    # ----------------------------------------------------------------------- details
    def _standardized(self, X) -> np.ndarray:
        """Return X, checked, in standardised units."""
        self._check_names(X)
        if self.table is None:
            X = _checked(X, self.n_features, "features", may_be_nan=True)
        else:
            X = self.table.encode(X, self.handle_unknown)
        if self.is_binary:
            X = np.clip(X, 0, 1)
        mean, scale = self.mean_.astype(np.float64), self.scale_.astype(np.float64)
        with np.errstate(over="ignore"):
            rows = ((X.astype(np.float64) - mean) / scale).astype(self.dtype)
        _finite(np.where(np.isnan(rows), 0, rows), "standardised values")
        return rows

    def _checked_codes(self, X) -> np.ndarray:
        """Return codes of all components, with zeros for those that are left out."""
        if self.kept is None or np.shape(X)[1:] == (self.n_codes,):
            return _checked(X, self.n_codes, "codes", self.dtype)
        given = _checked(X, self.n_kept, "codes", self.dtype)
        codes = np.zeros((len(given), self.n_codes), given.dtype)
        codes[:, self.kept] = given
        return codes

    def _encoded(self, network: Network, rows: np.ndarray):
        """Return posterior mean and log-variance of rows, NaN where missing.

        The decoder fills in what is missing if the network has no filling of its own.
        """
        missing = np.isnan(rows)
        if network.filling is not None or not missing.any():
            return network.encode(rows)
        filled = np.where(missing, 0, rows)
        for _ in range(ROUNDS):
            back = self.likelihood.mean(network.decode(network.encode(filled)[0]))
            filled = np.where(missing, back, rows)
        mean, log_var = network.encode(filled)
        is_empty = missing.all(axis=1)
        mean[is_empty, : self.n_components] = 0.0
        log_var[is_empty, : self.n_components] = 0.0
        return mean, log_var

    def _expected(self, codes: np.ndarray) -> np.ndarray:
        """Return the means of standardised rows, given codes."""
        latents = self.network.latents_of(codes)
        return self.likelihood.mean(self.network.decode(latents))

    def _check_names(self, X) -> None:
        """Raise if X has columns of other names than those of the fit."""
        if self.feature_names_in_ is None or not hasattr(X, "columns"):
            return
        names, expected = list(X.columns), list(self.feature_names_in_)
        if names != expected:
            differing = [n for n, e in zip(names, expected, strict=False) if n != e]
            raise ValueError(
                f"X has the columns {differing[:5] or names[:5]} where the fit had "
                f"others; expected {expected[:5]}, ..., in this order. Select and "
                "order the columns as in the fit."
            )

    def _bounds(self, rows: np.ndarray) -> np.ndarray:
        """Return the bounds of standardised rows, in standardised units, float64."""
        network = self._network_in(rows.dtype)
        points = cubature_points(self.n_components).astype(rows.dtype)
        size = max(1, BLOCK // len(points))
        bounds = _by_blocks(
            lambda x: self._block_bounds(network, x, points), rows, size
        )
        return bounds.astype(np.float64)

    def _block_bounds(self, network: Network, x: np.ndarray, points: np.ndarray):
        d = self.n_components
        mean, log_var = self._encoded(network, x)
        spread = np.exp(0.5 * log_var[:, :d])
        z = mean[:, None, :d] + spread[:, None] * points  # (B, points, d)
        levels = np.repeat(
            self._certain_levels(mean[:, d:])[:, None], len(points), axis=1
        )
        codes = np.concatenate([z, levels.astype(z.dtype)], axis=2)
        output = network.decode(codes.reshape(-1, codes.shape[2]))
        nll = self.likelihood.nll(output, np.repeat(x, len(points), axis=0))
        kl = KL[self.prior](mean[:, :d], log_var[:, :d]).sum(axis=1)
        certain = math.fsum(map(math.log, self.levels))
        return -(nll.reshape(len(x), -1).mean(axis=1) + kl + certain)

    def _certain_levels(self, probabilities: np.ndarray) -> np.ndarray:
        """Return one-hot columns of the most probable level of each category."""
        if not self.levels:
            return probabilities
        parts = np.split(probabilities, np.cumsum(self.levels)[:-1], axis=1)
        return np.concatenate(
            [np.eye(p.shape[1])[p.argmax(axis=1)] for p in parts], axis=1
        )

    def _network_in(self, dtype: np.dtype) -> Network:
        """Return the network in this precision."""
        if dtype == self.dtype:
            return self.network
        own = self.network
        weights = {name: array.astype(dtype) for name, array in own.weights.items()}
        return Network(own.encoder, own.decoder, weights, own.activation)


def _by_blocks(
    function: Callable[[np.ndarray], np.ndarray],
    rows: np.ndarray,
    size: int = BLOCK,
    axis: int = 0,
) -> np.ndarray:
    """Apply a row-wise function to all rows, block by block."""
    if len(rows) <= size:
        return function(rows)
    starts = range(0, len(rows), size)
    return np.concatenate([function(rows[s : s + size]) for s in starts], axis=axis)


def _checked(
    X, n_columns: int, what: str, dtype=None, *, may_be_nan: bool = False
) -> np.ndarray:
    """Return X as an array of numbers with this number of columns, finite or NaN."""
    try:
        array = np.asarray(X)
        if array.dtype not in (np.float32, np.float64) or dtype is not None:
            array = array.astype(dtype or np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"X cannot be read as an array of numbers: {error}") from error
    if array.ndim != 2 or not len(array):
        raise ValueError(
            f"X has shape {array.shape}; expected (n_samples, {n_columns}) with at "
            "least one sample. Reshape one sample with X.reshape(1, -1)."
        )
    if array.shape[1] != n_columns:
        raise ValueError(
            f"X has {array.shape[1]} columns; the model expects {n_columns} {what}. "
            "Pass the columns of the fit, in their order."
        )
    if may_be_nan and np.isinf(array).any():
        raise ValueError(
            "X holds infinity; expected numbers, or NaN where a value is missing. "
            "Replace or remove such values."
        )
    if not may_be_nan and not np.isfinite(array).all():
        raise ValueError(
            "X holds NaN or infinity; expected finite numbers. Remove such samples."
        )
    return array


def _finite(values: np.ndarray, what: str) -> np.ndarray:
    """Return values, or raise an error that names the first bad sample."""
    if np.isfinite(values).all():
        return values
    lost = ~np.isfinite(values).reshape(len(values), -1).all(axis=1)
    raise ValueError(
        f"The {what} of {lost.sum()} of {len(values)} samples, the first of them "
        f"number {lost.argmax()}, are not finite: their values are too large to "
        f"compute with in {values.dtype}. Expected values like those of the fit; "
        "remove these samples."
    )
