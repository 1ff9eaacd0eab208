"""Methods of a fitted estimator: transform, inverse_transform, sample, score."""

from __future__ import annotations

from copy import copy
from numbers import Integral

import numpy as np
from sklearn.utils import check_array, check_random_state
from sklearn.utils.validation import check_is_fitted

from .. import core
from .._inputs import check_sample_weight
from .._jacobian import jacobians, prior_codes
from .._pipelines import category_columns
from .._validation import MAX_SEED, check_memory
from ..columns import like_frame
from ..preparation import (
    has_missing,
    rescale_weights,
)
from ._fitted_model import FittedModel, check_finite, checked
from ._number_layer import number_layer, table_layer

N_PAIRS = 16
"""Pairs of codes over which ``components_`` is averaged."""


def _is_count(value) -> bool:
    """Return whether a value is an integer of at least 1, and no truth value."""
    is_integer = isinstance(value, Integral) and not isinstance(value, bool)
    return is_integer and int(value) >= 1


class LatentTransformer(FittedModel):
    """Transformer with a trained encoder and a trained decoder: its public methods."""

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
        moments = self._over_rows(self._encoded, X, error_scale)
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
        plain._model_spec = self._spec.unrotated().to_state()
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
            A pandas data frame has the index of X, if X is one.

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
        return features if table is None else table.decode(features, codes=X)

    def _expected_features(self, X):
        """Return the expected features of codes, in their units."""
        check_is_fitted(self)
        codes = checked(
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
        if n_draws is not None and not _is_count(n_draws):
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

        In the units of X (of columns of several types, in those of the numbers named by
        ``number_names_``) per unit of the code, over codes of the prior: the loadings,
        as those of PCA, of the linear model that is nearest to the decoder.
        """
        check_is_fitted(self)
        codes = prior_codes(N_PAIRS, self._n_features_out, category_columns(self))
        unit = np.ones(self._n_features_out)
        derivatives = jacobians(self.expected_numbers, codes, unit)
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
        if not _is_count(n_samples):
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
            codes_of=self._codes_of_noise,
            device=self._device,
        )
        features = self._in_original_units(rows, "samples")
        table = self._table
        return features if table is None else table.decode(features, is_drawn=noise)

    def _codes_of_noise(self, noise):
        """Return codes drawn from the prior, (n, d), from standard normal draws."""
        return noise

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
        (bounds,) = self._over_rows(lambda rows: (self._bound(rows),), X, error_scale)
        return check_finite(bounds, "scores")

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
            radius) * radius + centre``, or of ``log_var``; with ``mask``, of shape
            (features, components), the product of an indicator of what was missing and
            ``mask`` is first added to r; "linear", which adds the
            product of the standardised sample and ``weight`` to the mean; "levels",
            ``x @ weight + bias``, whose softmax over the numbers of ``levels`` gives
            the probabilities of each category; "rotation", of rotated components:
            ``mean @ weight``, and ``variance @ weight**2``.

            A fit to columns of several types begins with "table", which turns a row
            into features. For each of its ``columns`` it has the ``name``, the
            ``likelihood`` and the place of the ``first`` of ``size`` features. These
            are an indicator of each level ("categorical"), the number of the level
            (other columns with ``levels``; ``level_of`` numbers them, and levels that
            are merely ``declared`` are missing), log(x) ("lognormal", with ``zero`` in
            place of 0), log(1 + x) (counts), x clipped to [0, 1] ("bernoulli"), or x.

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
        if self._table is not None:
            first = [table_layer(self._table)]
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

            A fit to columns of several types ends with "numbers" in place of "scale",
            which returns those of ``number_names_``: ``u = shift + bound * tanh((x *
            scale + mean) / bound)``, without tanh where the bound is infinite. By
            column, ``functions`` names what follows, with its number of features:
            "identity", "exp", "sigmoid", "softmax", or "levels", the sum of sigmoid(u -
            t) over a row t of ``thresholds``. Then features are put into the ``order``
            of the numbers; ``levels`` are those that numbers of ordered levels are of.

        Raises
        ------
        ValueError
            If the networks are the user's own modules.
        """
        check_is_fitted(self)
        layers = self._spec.decoder_layers(self.weights_)
        table = self._table
        if table is None:
            last = {"kind": "scale", "scale": self.scale_, "mean": self.mean_}
        else:
            links = self._likelihood.links(self.weights_)
            last = number_layer(table, links, self.mean_, self.scale_)
        return [*layers, last]
