"""Methods of a fitted estimator: transform, inverse_transform, sample, score."""

from __future__ import annotations

from copy import copy
from numbers import Integral

import numpy as np
import sklearn
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
)
from sklearn.utils import check_array, check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from .. import core
from .._inputs import check_entries, check_sample_weight, like_frame, with_nan
from .._validation import MAX_SEED, check_memory, clip_to_unit_interval
from ..persistence import Savable
from ..preparation import (
    ModelSpec,
    Scaling,
    check_state,
    has_missing,
    rescale_weights,
)
from ._fitted_state import LATENT

STATE = ("_model_spec", "mean_", "scale_", "weights_")
"""Fitted attributes that the methods of a fitted estimator read."""

OVERFLOW = (
    "The {what} of {n_lost} of {n} samples, the first of them number {first}, are not "
    "finite: their values are too large to compute with in {dtype}. Expected values "
    "like those of the fit. Remove these samples, or fit again with "
    "precision='float64' to X in float64."
)
"""Error about values that overflow."""


class LatentTransformer(
    Savable, ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator
):
    """Transformer with a trained encoder and a trained decoder.

    It reads fitted attributes, and sets none: networks are rebuilt from arrays and
    plain values when they are needed.
    """

    _takes_missing = True

    _fitted_state = LATENT

    def transform(self, X):
        """Compute the posterior mean of each sample's code.

        The code of a sample does not depend on the other samples, to rounding.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        codes : ndarray of shape (n_samples, n_components), float32
            Codes, in the order of ``kl_per_component_``.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If X has another number of features than in ``fit``, or values that are not
            finite numbers.
        """
        return self.posterior(X)[0]

    def posterior(self, X, *, return_cov=False):
        r"""Compute mean and standard deviation of each sample's posterior q(z | x).

        Components are independent under the posterior, unless they were rotated after
        the fit (``init_`` is ``"varimax"``): the covariance is then :math:`R^T
        \operatorname{diag}(\sigma^2) R`, for R = ``rotation_``.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Samples.
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
        rows = self._standardized(X)
        network = self._network_for(rows)
        moments = core.encode(network, self.weights_, rows, device=self._device)
        with np.errstate(over="ignore"):  # is reported below
            mean, std = (m[:, self._n_hidden :].astype(np.float32) for m in moments)
        check_finite(mean, "codes")
        check_finite(std, "codes")
        return (mean, self._covariance(X, std)) if return_cov else (mean, std)

    def _covariance(self, X, std):
        """Return the covariance matrices of posteriors, (n, d, d)."""
        n_rows, d = std.shape
        check_memory(
            n_rows * d * d * std.itemsize,
            f"posterior(return_cov=True) of {n_rows} samples",
            "Pass fewer samples at a time.",
        )
        if self.rotation_ is None:
            return np.square(std)[:, :, None] * np.eye(d, dtype=std.dtype)
        _, inner = self._unrotated().posterior(X)
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
            Codes.

        Returns
        -------
        X_original : ndarray of shape (n_samples, n_features)
            Means of p(x | z); probabilities for a Bernoulli likelihood. The dtype is
            that of the data the estimator was fitted to.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If X has another number of columns than the codes, or values that are not
            finite numbers.
        """
        check_is_fitted(self)
        codes = _checked(check_array, X, dtype=np.dtype(self._spec.precision))
        if codes.shape[1] != self._n_features_out:
            raise ValueError(
                f"X has {codes.shape[1]} features, but {type(self).__name__} is "
                f"expecting {self._n_features_out} features as input: codes, one "
                "column per component, as transform returns them."
            )
        codes = np.pad(codes, ((0, 0), (self._n_hidden, 0)))
        rows = core.decode(
            self._network,
            self._likelihood,
            self.weights_,
            codes,
            device=self._device,
        )
        return self._in_original_units(rows, "reconstructions")

    def impute(self, X, *, n_draws=None, random_state=None):
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

        Returns
        -------
        X_full : ndarray of shape (n_samples, n_features)
            Samples with all values; those that were observed are equal, bit for bit.
            Values of a feature of which ``fit`` saw none remain NaN. A data frame, if X
            is one. With ``n_draws``, an array of shape (n_draws, n_samples,
            n_features).

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
            rows = self._scaled(checked[chosen])
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
        return full if n_draws is not None else like_frame(full, X, missing)

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
        X : ndarray of shape (n_samples, n_features)
            Samples in the original units. The dtype is that of the data the estimator
            was fitted to.

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
        return self._in_original_units(rows, "samples")

    def score_samples(self, X):
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
        return check_finite(self._bound(self._standardized(X)), "scores")

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
        log_scale = np.log(self.scale_.astype(np.float64))
        if has_missing(rows):
            return bound - ~np.isnan(rows) @ log_scale
        return bound - log_scale.sum()

    def score(self, X, y=None, sample_weight=None):
        """Return the mean of :meth:`score_samples`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Samples.
        y : None
            Ignored.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples in the mean.

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
        scores = self.score_samples(X)
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

        Missing values are NaN, if the estimator takes them.
        """
        options = {"dtype": [np.float64, np.float32], "order": "C"} | options
        values = _checked(
            validate_data, self, with_nan(X), ensure_all_finite=False, **options
        )
        check_entries(
            values,
            getattr(self, "feature_names_in_", None),
            type(self).__name__,
            allow_nan=self._takes_missing,
        )
        return values

    def _standardized(self, X):
        check_is_fitted(self)
        return self._scaled(self._features(X, reset=False))

    def _scaled(self, X):
        """Return an array of samples as the networks take them."""
        if self._spec.likelihood == "bernoulli":
            X = clip_to_unit_interval(X)
        return self._scaling.apply(X, np.dtype(self._spec.precision))

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
        if spec.n_features != self.n_features_in_:
            reader.refuse(f"its networks have {spec.n_features} features.")
        for name, shape in expected.items():
            found = self.weights_.get(name)
            if found is None or found.shape != tuple(shape):
                what = "absent" if found is None else f"of shape {found.shape}"
                reader.refuse(f"its weight {name!r} is {what}, expected {shape}.")
            if found.dtype != spec.precision:
                reader.refuse(f"its weight {name!r} is {found.dtype}.")

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
