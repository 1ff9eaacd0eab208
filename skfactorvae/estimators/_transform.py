"""Methods of a fitted estimator: transform, inverse_transform, sample, score."""

from __future__ import annotations

from numbers import Integral

import numpy as np
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
)
from sklearn.utils import check_array, check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from .. import core
from .._inputs import check_sample_weight
from .._validation import MAX_SEED, check_unit_interval
from ..preparation import ModelSpec, Scaling, rescale_weights


class LatentTransformer(
    ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator
):
    """Transformer with a trained encoder and a trained decoder.

    It reads fitted attributes, and sets none: networks are rebuilt from arrays and
    plain values when they are needed.
    """

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

    def posterior(self, X):
        """Compute mean and standard deviation of each sample's posterior q(z | x).

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        mean, std : ndarray of shape (n_samples, n_components), float32
            Moments of the normal posterior of each component.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If X has another number of features than in ``fit``, or values that are not
            finite numbers.
        """
        rows = self._standardized(X)
        moments = core.encode(self._network, self.weights_, rows, device=self._device)
        mean, std = (m[:, self._n_hidden :].astype(np.float32) for m in moments)
        return mean, std

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
        codes = check_array(X, dtype=np.dtype(self._spec.precision))
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
        return self._in_original_units(rows)

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
            Samples in the original units.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If ``n_samples`` is not an integer of at least 1.
        """
        check_is_fitted(self)
        if not isinstance(n_samples, Integral) or n_samples < 1:
            raise ValueError(
                f"n_samples must be at least 1, and an integer; got {n_samples!r}."
            )
        rows = core.sample(
            self._network,
            self._likelihood,
            self.weights_,
            int(n_samples),
            noise=noise,
            seed=check_random_state(random_state).randint(MAX_SEED),
            prior=self._spec.prior,
            device=self._device,
        )
        return self._in_original_units(rows)

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
            finite numbers.
        """
        return self._bound(self._standardized(X))

    def _bound(self, rows):
        """Compute the bound of standardised samples, in the original units, (n,)."""
        bound = core.elbo(
            self._network,
            self._likelihood,
            self.weights_,
            rows,
            prior=self._spec.prior,
            device=self._device,
        )
        return bound.astype(np.float64) - np.log(self.scale_.astype(np.float64)).sum()

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
        return float(np.average(scores, weights=weight))

    def decoder_layers(self):
        """Return the layers of the decoder as plain arrays, for use without torch.

        Returns
        -------
        layers : list of dict
            Layers in the order in which they are applied to a code z. By ``kind``:
            "dense", ``x @ weight + bias``; "reshape", to ``shape``; "conv_transpose" of
            stride 2 and padding 1, to ``size``, with ``weight`` of shape (inputs,
            outputs, 4, 4); "linear", which adds ``z @ weight``; "sigmoid"; "scale",
            ``x * scale + mean``. A layer with an ``activation`` other than None ends
            with it.

        Raises
        ------
        ValueError
            If the networks are the user's own modules.
        """
        check_is_fitted(self)
        layers = self._spec.decoder_layers(self.weights_)
        return [*layers, {"kind": "scale", "scale": self.scale_, "mean": self.mean_}]

    # ------------------------------------------------------------ fitted networks
    def _standardized(self, X):
        check_is_fitted(self)
        X = validate_data(
            self, X, dtype=[np.float64, np.float32], order="C", reset=False
        )
        if self._spec.likelihood == "bernoulli":
            check_unit_interval(X)
        return self._scaling.apply(X, np.dtype(self._spec.precision))

    def _in_original_units(self, rows):
        X = rows.astype(self.mean_.dtype, copy=False)
        X *= self.scale_
        X += self.mean_
        return X

    @property
    def _spec(self):
        return ModelSpec(**self._model_spec)

    @property
    def _scaling(self):
        return Scaling(self.mean_, self.scale_)

    @property
    def _network(self):
        return self._spec.make_network()

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

    def __sklearn_is_fitted__(self):
        return "weights_" in self.__dict__

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags
