"""Methods of a fitted estimator: transform, inverse_transform, sample, score."""

from __future__ import annotations

from copy import copy
from numbers import Integral

import numpy as np
import sklearn
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import check_array, check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from .. import core
from .._inputs import check_entries, check_sample_weight, like_frame, with_nan
from .._jacobian import jacobians, prior_codes
from .._pipelines import active_columns, category_columns
from .._sample_types import about_text, check_sample_type
from .._validation import MAX_SEED, check_memory, clip_to_unit_interval
from ..persistence import Savable
from ..preparation import (
    ModelSpec,
    Scaling,
    check_state,
    has_missing,
    rescale_weights,
    with_errors,
)
from ._component_names import NamedComponents
from ._error_scale import FITTED_WITHOUT, NOT_TAKEN, OF_NUMBERS, read_errors
from ._fitted_state import LATENT
from ._table_columns import TableColumnsMixin

STATE = ("_model_spec", "mean_", "scale_", "weights_")
"""Fitted attributes that the methods of a fitted estimator read."""

N_PAIRS = 16
"""Pairs of codes over which ``components_`` is averaged."""

OVERFLOW = (
    "The {what} of {n_lost} of {n} samples, the first of them number {first}, are not "
    "finite: their values are too large to compute with in {dtype}. Expected values "
    "like those of the fit. Remove these samples, or fit again with "
    "precision='float64' to X in float64."
)
"""Error about values that overflow."""


class LatentTransformer(
    TableColumnsMixin, Savable, NamedComponents, TransformerMixin, BaseEstimator
):
    """Transformer with a trained encoder and a trained decoder.

    It reads fitted attributes, and sets none: networks are rebuilt from arrays and
    plain values when they are needed.
    """

    _takes_missing = True

    _fitted_state = LATENT

    def transform(self, X, error_scale=None):
        """Compute the posterior mean of each sample's code.

        The code of a sample does not depend on the other samples, to rounding.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Samples.
        error_scale : array-like of shape (n_samples, n_features), default=None
            Known standard deviations of the errors of X, in its units, as in ``fit``;
            infinite where a value is missing. None takes all values as exact.

        Returns
        -------
        codes : ndarray of shape (n_samples, n_components), float32
            Codes, in the order of ``kl_per_component_``; with ``keep="active"`` those
            of active components.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If X has another number of features than in ``fit``, or values that are not
            finite numbers.
        """
        codes = self.posterior(X, error_scale)[0]
        return codes if self.keep == "all" else codes[:, self._kept]

    def fit_transform(
        self, X, y=None, sample_weight=None, sample_groups=None, error_scale=None
    ):
        """Fit the model, and compute the posterior mean of each sample's code.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Training samples.
        y : array-like of shape (n_samples, n_attributes), default=None
            Labels, as in ``fit``.
        sample_weight, sample_groups : array-like of shape (n_samples,), default=None
            As in ``fit``.
        error_scale : array-like of shape (n_samples, n_features), default=None
            Known errors of X, as in ``fit`` and ``transform``.

        Returns
        -------
        codes : ndarray of shape (n_samples, n_components), float32
            Codes, as ``transform`` returns them with the same ``error_scale``.
        """
        known = {"sample_weight": sample_weight, "sample_groups": sample_groups}
        given = {name: value for name, value in known.items() if value is not None}
        errors = {} if error_scale is None else {"error_scale": error_scale}
        return self.fit(X, y, **given, **errors).transform(X, **errors)

    def posterior(self, X, error_scale=None, *, return_cov=False):
        r"""Compute mean and standard deviation of each sample's posterior q(z | x).

        Components are independent under the posterior, unless they were rotated after
        the fit (``init_`` is ``"varimax"``): the covariance is then :math:`R^T
        \operatorname{diag}(\sigma^2) R`, for R = ``rotation_``.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Samples.
        error_scale : array-like of shape (n_samples, n_features), default=None
            Known standard deviations of the errors of X, in its units, as in ``fit``;
            infinite where a value is missing. None takes all values as exact.
        return_cov : bool, default=False
            Whether to return covariance matrices in place of standard deviations.

        Returns
        -------
        mean : ndarray of shape (n_samples, n_components), float32
            Means of the normal posterior.
        std : ndarray of shape (n_samples, n_components), float32
            Standard deviation of each component. With ``return_cov``, the covariance
            matrices, of shape (n_samples, n_components, n_components).

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If X has another number of features than in ``fit``, or values that are not
            finite numbers, or that are so large that codes are not.
        """
        moments = self._encoded(self._standardized(X, error_scale))
        with np.errstate(over="ignore"):  # is reported below
            mean, std = (m.astype(np.float32) for m in moments)
        check_finite(mean, "codes")
        check_finite(std, "codes")
        if not return_cov:
            return mean, std
        return mean, self._covariance(X, error_scale, std)

    def _covariance(self, X, error_scale, std):
        """Return the covariance matrices of posteriors, (n, d, d)."""
        n_rows, d = std.shape
        check_memory(
            n_rows * d * d * std.itemsize,
            f"posterior(return_cov=True) of {n_rows} samples",
            "Pass fewer samples at a time.",
        )
        if self.rotation_ is None:
            return np.square(std)[:, :, None] * np.eye(d, dtype=std.dtype)
        _, inner = self._unrotated().posterior(X, error_scale)
        roots = inner[:, :, None] * self.rotation_.astype(std.dtype)  # (n, latents, d)
        return roots.transpose(0, 2, 1) @ roots

    @property
    def rotation_(self):
        """Orthogonal matrix by which components were rotated after the fit, or None."""
        return self.weights_.get(core.Rotated.ROTATION)

    def _unrotated(self):
        """Return a copy whose components are the latents of the networks."""
        plain = copy(self)
        plain.weights_ = core.without_rotation(self.weights_)
        plain._model_spec = dict(vars(self._spec.unrotated()))
        return plain

    def inverse_transform(self, X):
        """Compute the expected sample of each code, in the original units.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_components)
            Codes. With ``keep="active"``, those of active components, with all others
            at zero, or those of all components.

        Returns
        -------
        X_original : ndarray or data frame of shape (n_samples, n_features)
            Means of p(x | z); probabilities for a Bernoulli likelihood. The dtype is
            that of the data the estimator was fitted to. For a fit to columns of
            several types, a table like that of the fit: the most probable level of
            categories, the level nearest to the expectation of ordered ones, and
            medians of lognormal columns; :meth:`expected_numbers` has probabilities.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If X has another number of columns than the codes, or values that are not
            finite numbers.
        """
        features = self._expected_features(X)
        table = self._table
        return features if table is None else table.decode(features)

    def _expected_features(self, X):
        """Return the expected features of codes, in their units."""
        check_is_fitted(self)
        codes = _checked(
            check_array,
            X,
            dtype=np.dtype(self._spec.precision),
            ensure_min_features=min(1, self._n_features_out),
        )
        if codes.shape[1] not in (self._n_features_out, self._n_codes):
            raise ValueError(
                f"X has {codes.shape[1]} features, but {type(self).__name__} is "
                f"expecting {self._n_features_out} features as input: codes, one "
                "column per component, as transform returns them."
            )
        if codes.shape[1] < self._n_codes:
            kept, codes = codes, np.zeros((len(codes), self._n_codes), codes.dtype)
            codes[:, self._kept] = kept
        return self._in_original_units(self._decoded(codes), "reconstructions")

    def impute(self, X, *, n_draws=None, random_state=None, error_scale=None):
        r"""Replace missing values, given the observed values of each sample.

        Codes are drawn from the posterior of the observed values and weighted by

        .. math:: w \propto p(x_o | z)\, p(z) / q(z | x_o)

        (Mattei & Frellsen 2019, "MIWAE: Deep Generative Modelling and Imputation of
        Incomplete Data Sets"). The expectation of a missing value is the weighted mean
        of what the decoder expects for these codes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Samples; NaN where a value is missing.
        n_draws : int or None, default=None
            Number of draws from the distribution of the missing values, for multiple
            imputation; None returns their expectation.
        random_state : int, RandomState instance or None, default=None
            Seed of the draws. Expectations are not random.
        error_scale : array-like of shape (n_samples, n_features), default=None
            Known standard deviations of the errors of X, in its units, as in ``fit``;
            infinite where a value is missing. None takes all values as exact.

        Returns
        -------
        X_full : ndarray of shape (n_samples, n_features)
            Samples with all values; those that were observed are equal, bit for bit.
            Values of a feature of which ``fit`` saw none remain NaN. A data frame, if X
            is one. With ``n_draws``, an array of shape (n_draws, n_samples,
            n_features), or a list of ``n_draws`` tables of columns of several types.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If X has another number of features than in ``fit``, infinite values, or
            ``n_draws`` is not an integer of at least 1, or one for which there is not
            enough memory.
        """
        if n_draws is not None and (not isinstance(n_draws, Integral) or n_draws < 1):
            raise ValueError(
                f"n_draws must be None or an integer of at least 1; got {n_draws!r}."
            )
        check_is_fitted(self)
        checked = self._features(X, reset=False)
        checked, errors = self._with_errors(checked, error_scale)
        full, missing = self._imputed(checked, errors, n_draws, random_state)
        table = self._table
        if table is None:
            return full if n_draws is not None else like_frame(full, X, missing)
        if n_draws is None:
            return table.fill(X, full, missing)
        return [table.fill(X, drawn, missing, is_drawn=True) for drawn in full]

    def _imputed(self, checked, errors, n_draws, random_state):
        """Return all features, (n, p) or (k, n, p), and which were missing, (n, p)."""
        missing = np.isnan(checked)
        chosen = np.flatnonzero(missing.any(axis=1))
        shape = checked.shape if n_draws is None else (n_draws, *checked.shape)
        check_memory(
            2 * checked.nbytes * (n_draws or 1),
            f"impute(n_draws={n_draws})",
            "Draw fewer at a time, with another random_state.",
        )
        full = np.broadcast_to(checked, shape).copy()
        if len(chosen):
            own = None if errors is None else errors[chosen]
            rows = self._scaled(checked[chosen], own)
            found = core.impute(
                self._network_for(rows),
                self._likelihood,
                self.weights_,
                rows,
                n_draws=None if n_draws is None else int(n_draws),
                prior=self._spec.prior,
                seed=check_random_state(random_state).randint(MAX_SEED),
                device=self._device,
            )
            found = self._in_original_units(found, "imputed values").astype(full.dtype)
            values = found if n_draws is None else np.moveaxis(found, 1, 0)
            full[..., chosen, :] = np.where(missing[chosen], values, checked[chosen])
        return full, missing

    @property
    def components_(self):
        """Mean derivative of decoded samples by each component, (n_components, p).

        In the units of X per unit of the code, over codes of the prior: the loadings,
        as those of PCA, of the linear model that is nearest to the decoder.
        """
        check_is_fitted(self)
        codes = prior_codes(N_PAIRS, self._n_features_out, category_columns(self))
        unit = np.ones(self._n_features_out)
        derivatives = jacobians(self.inverse_transform, codes, unit)
        return np.array([one.mean(axis=0) for one in derivatives])

    def sample(self, n_samples=1, *, noise=True, random_state=None):
        """Draw new samples from the model.

        Parameters
        ----------
        n_samples : int, default=1
            Number of samples.
        noise : bool, default=True
            Whether to draw from p(x | z) or to return its mean.
        random_state : int, RandomState instance or None, default=None
            Seed of the draws.

        Returns
        -------
        X : ndarray or data frame of shape (n_samples, n_features)
            Samples in the original units. The dtype is that of the data the estimator
            was fitted to. For a fit to columns of several types, a table like that of
            the fit.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If ``n_samples`` is not an integer of at least 1, or one for which there is
            not enough memory.
        """
        check_is_fitted(self)
        if not isinstance(n_samples, Integral) or n_samples < 1:
            raise ValueError(
                f"n_samples must be at least 1, and an integer; got {n_samples!r}."
            )
        check_memory(
            int(n_samples) * len(self.mean_) * self.mean_.dtype.itemsize,
            f"sample(n_samples={n_samples})",
            "Draw fewer samples at a time.",
        )
        rows = core.sample(
            self._network,
            self._likelihood,
            self.weights_,
            int(n_samples),
            noise=noise,
            seed=check_random_state(random_state).randint(MAX_SEED),
            prior=self._spec.prior,
            precision=self._spec.precision,
            device=self._device,
        )
        features = self._in_original_units(rows, "samples")
        table = self._table
        return features if table is None else table.decode(features, is_drawn=noise)

    def score_samples(self, X, error_scale=None):
        r"""Compute a lower bound of each sample's log-density, in nats.

        .. math:: \mathbb{E}_{q(z|x)}[\log p(x|z)] - \mathrm{KL}(q(z|x)\,\|\,p(z))

        It contains no penalty, so that models trained with different weights and
        objectives can be compared. The expectation is a cubature over 2
        ``n_components`` fixed points, exact for a linear decoder; each point is decoded
        once, so that the time grows with ``n_components``, and is a multiple of that of
        ``transform``. It is not a measure of disentanglement: it is usually highest
        without any penalty.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Samples.
        error_scale : array-like of shape (n_samples, n_features), default=None
            Known standard deviations of the errors of X, in its units, as in ``fit``;
            infinite where a value is missing. None takes all values as exact.

        Returns
        -------
        elbo : ndarray of shape (n_samples,)
            Bounds in the original units; higher is better.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If X has another number of features than in ``fit``, or values that are not
            finite numbers, or that are so large that bounds are not.
        """
        rows = self._standardized(X, error_scale)
        return check_finite(self._bound(rows), "scores")

    def _bound(self, rows):
        """Compute the bound of standardised samples, in the original units, (n,)."""
        bound = core.elbo(
            self._network_for(rows),
            self._likelihood,
            self.weights_,
            rows,
            prior=self._spec.prior,
            device=self._device,
        )
        log_scale = self._spec.log_scales(self.scale_)
        table = self._table
        if table is not None:
            bound = bound + table.log_jacobian(rows * self.scale_ + self.mean_)
        if has_missing(rows):
            return bound - ~np.isnan(rows[:, : len(log_scale)]) @ log_scale
        return bound - log_scale.sum()

    def score(self, X, y=None, sample_weight=None, error_scale=None):
        """Return the mean of :meth:`score_samples`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Samples.
        y : None
            Ignored.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples in the mean.
        error_scale : array-like of shape (n_samples, n_features), default=None
            Known standard deviations of the errors of X, in its units, as in ``fit``;
            infinite where a value is missing. None takes all values as exact.

        Returns
        -------
        elbo : float
            Nats per sample; higher is better.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If X or the weights cannot be used.
        """
        scores = self.score_samples(X, error_scale)
        weight = rescale_weights(check_sample_weight(sample_weight, len(scores)))
        with np.errstate(over="ignore"):  # is reported below
            mean = np.average(scores, weights=weight)
        return float(check_finite(mean, "scores"))

    def encoder_layers(self):
        """Return the layers of the encoder as plain arrays, for use without torch.

        Returns
        -------
        layers : list of dict
            Layers in the order in which they are applied to a sample x. By ``kind``:
            "clip", to [0, 1], before a Bernoulli likelihood; "standardize", ``(x -
            mean) / scale``; "fill", of a fit to incomplete samples, which replaces NaN
            by the expectation given the other values under factor analysis with
            ``mean``, ``loadings`` and the variances ``noise``, and, if ``has_mask``,
            appends an indicator of what was missing for the hidden layers; "reshape",
            to ``shape``; "conv" of stride 2 and padding 1, with ``weight`` of shape
            (outputs, inputs, 4, 4); "dense", ``x @ weight + bias``, on flattened x. A
            layer with an ``activation`` other than None ends with it. Then follow the
            layers of the posterior, of which the first and the last take the output of
            the hidden layers: "moments", with ``weight`` of shape (units, 2,
            components), posterior mean and a number r, for a log-variance of ``tanh(r /
            radius) * radius + centre``, or of ``log_var``; "linear", which adds the
            product of the standardised sample and ``weight`` to the mean; "levels",
            ``x @ weight + bias``, whose softmax over the numbers of ``levels`` gives
            the probabilities of each category; "rotation", of rotated components:
            ``mean @ weight``, and ``variance @ weight**2``.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If the networks are the user's own modules.
        """
        check_is_fitted(self)
        layers = self._spec.encoder_layers(self.weights_)
        first = [{"kind": "clip"}] * (self._spec.likelihood == "bernoulli")
        scaling = {"kind": "standardize", "scale": self.scale_, "mean": self.mean_}
        return [*first, scaling, *layers]

    def decoder_layers(self):
        """Return the layers of the decoder as plain arrays, for use without torch.

        Returns
        -------
        layers : list of dict
            Layers in the order in which they are applied to a code z. By ``kind``:
            "rotation", the first of a model with rotated components, which replaces z
            by ``z @ weight.T``; "dense", ``x @ weight + bias``; "reshape", to
            ``shape``; "conv_transpose" of stride 2 and padding 1, to ``size``, with
            ``weight`` of shape (inputs, outputs, 4, 4); "linear", which adds ``z @
            weight``; "sigmoid"; "scale", ``x * scale + mean``. A layer with an
            ``activation`` other than None ends with it.

        Raises
        ------
        ValueError
            If the networks are the user's own modules.
        """
        check_is_fitted(self)
        layers = self._spec.decoder_layers(self.weights_)
        return [*layers, {"kind": "scale", "scale": self.scale_, "mean": self.mean_}]

    # ------------------------------------------------------------ fitted networks
    def _features(self, X, **options):
        """Return X as an array of floats, checked as scikit-learn does.

        Missing values are NaN, if the estimator takes them. Columns of several types
        are encoded as features.
        """
        check_sample_type(X)
        table = self._table
        if table is not None:
            return self._table_features(table, X, **options)
        options = {"dtype": [np.float64, np.float32], "order": "C"} | options
        try:
            values = _checked(
                validate_data, self, with_nan(X), ensure_all_finite=False, **options
            )
        except (TypeError, ValueError) as error:
            if message := about_text(X):
                raise ValueError(f"{message} ({error})") from error
            raise
        check_entries(
            values,
            getattr(self, "feature_names_in_", None),
            type(self).__name__,
            allow_nan=self._takes_missing,
        )
        return values

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
        return core.resolve_device(self.device, fall_back=True)

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
        return tags


def _checked(check, *args, **options):
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
