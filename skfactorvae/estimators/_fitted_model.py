"""What a fitted estimator is made of: networks, scaling, state and files."""

from __future__ import annotations

import numpy as np
import sklearn
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from .. import core
from .._inputs import check_entries, with_nan
from .._pipelines import active_columns
from .._sample_types import (
    OF_FIT,
    OF_OTHER_LIKELIHOODS,
    OF_SEVERAL_TYPES,
    about_text,
    about_times,
    check_sample_type,
)
from .._validation import clip_to_unit_interval
from ..persistence import Savable
from ..preparation import (
    ModelSpec,
    Scaling,
    check_state,
    has_missing,
    with_errors,
)
from ..sources import as_source, map_blocks
from ._column_report import ColumnReportMixin
from ._component_names import NamedComponents
from ._error_scale import FITTED_WITHOUT, NOT_TAKEN, OF_NUMBERS, read_errors
from ._fitted_state import LATENT
from ._table_columns import TYPED_SOURCE

STATE = ("_model_spec", "mean_", "scale_", "weights_")
"""Fitted attributes that the methods of a fitted estimator read."""

OVERFLOW = (
    "The {what} of {n_lost} of {n} samples, the first of them number {first}, are not "
    "finite: their values are too large to compute with in {dtype}. Expected values "
    "like those of the fit. Remove these samples, or fit again with "
    "precision='float64' to X in float64."
)
"""Error about values that overflow."""


ERRORS_OF_SOURCE = (
    "error_scale cannot be used with X, {name}, which is read in parts, while the "
    "errors of its values would have to be in memory. Leave error_scale out, or pass "
    "an array."
)
"""Error about known errors of a table that is read in parts."""


class FittedModel(
    ColumnReportMixin,
    Savable,
    NamedComponents,
    TransformerMixin,
    BaseEstimator,
):
    """Networks of a fitted estimator, rebuilt from its attributes, and its files.

    It reads fitted attributes, and sets none: networks are rebuilt from arrays and
    plain values when they are needed.
    """

    _takes_missing = True

    _fitted_state = LATENT

    def _features(self, X, **options):
        """Return X as an array of floats, checked as scikit-learn does.

        Missing values are NaN, if the estimator takes them. Columns of several types
        are encoded as features.
        """
        check_sample_type(X)
        table = self._table
        if (source := as_source(X)) is not None:
            X = source.read(0, len(source))
        if table is not None:
            return self._table_features(table, X, **options)
        if message := about_times(X):
            if not options.get("reset", True):
                self._check_columns(X)
            raise ValueError(message)
        options = {"dtype": [np.float64, np.float32], "order": "C"} | options
        try:
            values = checked(
                validate_data, self, with_nan(X), ensure_all_finite=False, **options
            )
        except (TypeError, ValueError) as error:
            if message := about_text(X, self._advice_on_text(**options)):
                if not options.get("reset", True):
                    self._check_columns(X)
                is_type = isinstance(X, np.ndarray) and isinstance(error, TypeError)
                kind = TypeError if is_type else ValueError  # as scikit-learn raises
                raise kind(f"{message} ({error})") from error
            raise
        check_entries(
            values,
            getattr(self, "feature_names_in_", None),
            type(self).__name__,
            allow_nan=self._takes_missing,
        )
        return values

    def _check_columns(self, X):
        """Raise if samples have other columns than those of the fit."""
        validate_data(self, X, reset=False, skip_check_array=True)

    def _advice_on_text(self, *, reset=True, **_options):
        """Return what to do about text, where numbers are expected."""
        if not reset:
            return OF_FIT
        likelihood = getattr(self, "likelihood", "gaussian")
        is_of_numbers = likelihood in ("gaussian", "bernoulli")
        return OF_OTHER_LIKELIHOODS if is_of_numbers else OF_SEVERAL_TYPES

    def _large_source(self, X, error_scale):
        """Return a table as a row source that is read in parts, or None.

        Small ones are read as a whole, if they are not sparse.
        """
        check_sample_type(X)
        source = as_source(X)
        if source is None or source.is_small:
            return None
        if self._table is not None:
            raise ValueError(TYPED_SOURCE.format(name=source.name))
        if error_scale is not None:
            raise ValueError(ERRORS_OF_SOURCE.format(name=source.name))
        return source

    def _check_width(self, source, *, reset):
        """Set or compare the number of features, which have no names."""
        validate_data(self, source.read(0, 1), reset=reset, skip_check_array=True)

    def _over_rows(self, function, X, error_scale):
        """Apply a function to standardised samples, in blocks if X is read in parts.

        Parameters
        ----------
        function : callable (rows) -> tuple of ndarray
            Of one entry for each row.
        """
        check_is_fitted(self)
        if (source := self._large_source(X, error_scale)) is None:
            return function(self._standardized(X, error_scale))
        self._check_width(source, reset=False)

        def of_block(block, start):
            names, owner = None, type(self).__name__
            check_entries(
                block, names, owner, allow_nan=self._takes_missing, start=start
            )
            return function(self._scaled(block))

        return map_blocks(of_block, source)

    def _encoded(self, rows):
        """Return mean and standard deviation of codes of standardised rows, (n, d)."""
        network = self._network_for(rows)
        moments = core.encode(network, self.weights_, rows, device=self._device)
        return tuple(moment[:, self._n_hidden :] for moment in moments)

    def _decoded(self, codes):
        """Return the standardised rows, (n, p), that codes are decoded to."""
        codes = np.pad(codes, ((0, 0), (self._n_hidden, 0)))
        return core.decode(
            self._network, self._likelihood, self.weights_, codes, device=self._device
        )

    def _with_errors(self, X, error_scale):
        """Return an array of samples, and their errors, None where none are known."""
        if error_scale is None:
            return X, None
        if not self._takes_missing:
            raise ValueError(NOT_TAKEN.format(owner=type(self).__name__))
        if self._table is not None:
            raise ValueError(OF_NUMBERS)
        return read_errors(error_scale, X, getattr(self, "feature_names_in_", None))

    def _standardized(self, X, error_scale=None):
        check_is_fitted(self)
        return self._scaled(
            *self._with_errors(self._features(X, reset=False), error_scale)
        )

    def _scaled(self, X, errors=None):
        """Return an array of samples as the networks take them, beside their errors."""
        spec = self._spec
        if spec.likelihood == "bernoulli":
            X = clip_to_unit_interval(X)
        rows = self._scaling.apply(X, np.dtype(spec.precision))
        if errors is None:
            return rows
        if not spec.takes_errors:
            raise ValueError(FITTED_WITHOUT.format(owner=type(self).__name__))
        return with_errors(rows, errors, self.scale_)

    def _in_original_units(self, rows, what):
        """Return reconstructions or samples in the units of X, checked to be finite."""
        with np.errstate(over="ignore", invalid="ignore"):  # is reported below
            X = rows.astype(self.mean_.dtype, copy=False)
            X *= self.scale_
            X += np.nan_to_num(self.mean_)
        check_finite(X, what)
        X[..., np.isnan(self.mean_)] = np.nan  # columns without any value
        return X

    @property
    def _spec(self):
        return ModelSpec.from_state(self._model_spec, self._fitted_by)

    @property
    def _fitted_by(self):
        """Version of this package that the estimator was fitted by."""
        return vars(self).get("_version", "0.1.0.dev0 or earlier")

    @property
    def _scaling(self):
        return Scaling(self.mean_, self.scale_)

    @property
    def _network(self):
        return self._spec.make_network()

    def _network_for(self, rows):
        """Return the network, or one that fills in what is missing of the rows."""
        network = self._network
        if network.takes_missing or not has_missing(rows):
            return network
        return core.DecoderFilling(network, self._likelihood)

    @property
    def _likelihood(self):
        return self._spec.make_likelihood()

    @property
    def _device(self):
        return core.resolve_devices(self.device, fall_back=True)[0]

    @property
    def n_components_(self):
        """Number of components, without categories of a code."""
        return self._spec.n_components - self._spec.n_hidden

    @property
    def _n_features_out(self):
        return len(self._kept)

    @property
    def _kept(self):
        """Indices of the columns of the codes that ``transform`` returns."""
        every = np.arange(self._n_codes)
        return every if self.keep == "all" else np.sort(active_columns(self))

    @property
    def _n_codes(self):
        """Number of columns of the codes."""
        return self._network.n_columns - self._n_hidden

    @property
    def _n_hidden(self):
        """Number of leading components that are not part of the codes."""
        return self._spec.n_hidden

    def __setstate__(self, state):
        """Restore a pickled estimator, if its state is that of this version."""
        super().__setstate__(state)
        if not self.__sklearn_is_fitted__():
            return
        check_state(set(STATE) - vars(self).keys(), (), self._fitted_by)
        spec = self._spec
        if callable(spec.network):  # built when it is needed
            return
        expected = spec.make_network().parameters | spec.make_likelihood().parameters
        check_state(expected.keys() - self.weights_.keys(), (), self._fitted_by)

    # ------------------------------------------------------------------------ files
    def _checked_sizes(self, state, reader):
        sizes = dict(super()._checked_sizes(state, reader))
        spec = state.get("_model_spec")
        if isinstance(spec, dict):
            n_trained, n_hidden = (spec.get(n) for n in ("n_components", "n_hidden"))
            if isinstance(spec.get("n_features"), int):
                sizes["q"] = spec["n_features"]
            if isinstance(n_trained, int) and isinstance(n_hidden, int):
                sizes["d"] = n_trained - n_hidden
        return sizes

    def _column_types(self):
        return {"dtype": str(self.mean_.dtype)} if self.__sklearn_is_fitted__() else {}

    def _described_networks(self):
        return self._spec.described_networks() if self.__sklearn_is_fitted__() else None

    def _versions(self):
        libraries = {"scikit-learn": sklearn.__version__, "torch": core.torch_version()}
        return super()._versions() | libraries

    def _check_restored(self, reader):
        """Raise if the weights of a file are not those of its networks."""
        try:
            spec = self._spec
            spec.check_fields()
            expected = spec.shapes()
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            reader.refuse(f"its networks cannot be built ({str(error)[:200]}).")
        if problem := self._table_problem(spec):
            reader.refuse(problem)
        for name, shape in expected.items():
            found = self.weights_.get(name)
            if found is None or found.shape != tuple(shape):
                what = "absent" if found is None else f"of shape {found.shape}"
                reader.refuse(f"its weight {name!r} is {what}, expected {shape}.")
            if found.dtype != spec.precision:
                reader.refuse(f"its weight {name!r} is {found.dtype}.")
        if len(self._given_names) != self._n_codes:
            reader.refuse("its names of components are not one for each.")

    def __sklearn_is_fitted__(self):
        return "weights_" in self.__dict__

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]
        tags.input_tags.allow_nan = self._takes_missing
        tags.input_tags.sparse = True
        return tags


def checked(check, *args, **options):
    """Return the array that a check of scikit-learn's makes of an array-like.

    Errors of other types become a ValueError, as of numbers beyond double precision, or
    of a torch tensor that requires gradients. Numbers that are too large are reported
    by the check, without numpy's own warning.
    """
    try:
        with np.errstate(over="ignore", invalid="ignore"):
            return check(*args, **options)
    except (OverflowError, RuntimeError) as error:
        raise ValueError(f"X cannot be read as an array of numbers: {error}") from error


def check_finite(values, what):
    """Return values by sample, or raise an error that names the first bad sample.

    Parameters
    ----------
    values : ndarray of shape (n, ...), or float
    what : str
        What they are, for the message.
    """
    is_finite = np.atleast_1d(np.isfinite(values))
    if is_finite.all():
        return values
    lost = np.flatnonzero(~is_finite.reshape(len(is_finite), -1).all(axis=1))
    raise ValueError(
        OVERFLOW.format(
            what=what,
            n_lost=len(lost),
            n=len(is_finite),
            first=lost[0],
            dtype=values.dtype,
        )
    )
