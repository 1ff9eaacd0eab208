"""PairedVAE: components identified by pairs of samples that differ in few factors."""

from __future__ import annotations

from typing import Any

from .. import core
from .._compat import _fit_context
from .._validation import NOT_NEGATIVE, at_least, one_of
from ._base_vae import BaseVAETransformer
from ._callbacks import restore_on_error
from ._parameters import declared, parameter, shared_parameter
from ._shared_parameters import (
    BETA,
    DISCRIMINATOR_LAYERS,
    DISCRIMINATOR_RATE,
    discriminator_options,
)

CHANGED = "changed_components"
"""Series of ``history_`` that a fit to pairs has."""


@declared
class PairedVAETransformer(BaseVAETransformer):
    r"""Paired VAE: components identified by pairs of samples (Ada-GVAE, ML-VAE).

    For tables in which samples come in pairs that have most factors in common and
    differ in few: before and after a treatment, one specimen twice, neighbours in time.
    Neither the factors nor which of them changed need to be known; which samples are
    paired is an argument of ``fit``. It minimises the mean over pairs of

    .. math:: \tfrac{1}{2} \sum_{i=1}^2 \bigl(\mathbb{E}_{\tilde q_i}[-\log p(x_i|z)]
        + \beta\,\mathrm{KL}(\tilde q_i\,\|\,p(z))\bigr) + \gamma\,\mathrm{TC}(q(z))

    where the posterior of sample i is :math:`q(z|x_i)` in components that differ within
    the pair, and the average of both posteriors in those that the pair shares
    (Locatello et al. 2020). A component is shared by a pair if the divergence of its
    two posteriors, symmetrised, is below the middle between the smallest and the
    largest divergence of any component; or, with ``n_changed``, if it is not one of
    that many with the largest divergence. All terms are nats per sample.

    Independence alone does not identify factors; pairs do, where each factor stays the
    same in some pairs in which others change, in all combinations.

    See Also
    --------
    FactorVAETransformer : Needs no pairs; the model that this one is without them.
    SupervisedFactorVAETransformer : Where the values of factors are known.
    pairs_to_groups : Convert pairs of row numbers to identifiers.
    successive_pairs : Pair successive samples of series.

    Notes
    -----
    A sample without a partner has the terms of FactorVAE. Groups of three and more are
    accepted: in each step, the partner of a sample is another one of its group, drawn
    by weight. With several columns of ``pairs``, one of those in which the sample has a
    partner is drawn first.

    Held-out samples, for ``weight_decay="auto"`` and ``early_stopping``, are whole
    pairs. In cross-validation, pass ``groups`` to ``GroupKFold``: other splitters
    separate the samples of pairs, which then count as samples without a partner.

    ``history_`` holds ``reconstruction``, ``kl``, ``total_correlation``, those of the
    discriminator, and ``changed_components``, the mean number of components that differ
    within a pair: about as many as factors that change, once the model has found them.

    ``init="varimax"``, which rotates components after the fit, is refused: pairs
    identify components.

    ``partial_fit`` takes no pairs, so that it does not continue a fit to pairs.

    References
    ----------
    .. [1] Locatello, F. et al. (2020). "Weakly-Supervised Disentanglement Without
       Compromises." ICML. https://arxiv.org/abs/2002.02886
    .. [2] Bouchacourt, D., Tomioka, R. & Nowozin, S. (2018). "Multi-Level Variational
       Autoencoder." AAAI. https://arxiv.org/abs/1705.08841
    .. [3] Kim, H. & Mnih, A. (2018). "Disentangling by Factorising." ICML. Eq. 2.
       https://arxiv.org/abs/1802.05983

    Examples
    --------
    >>> import numpy as np
    >>> from skfactorvae import PairedVAETransformer
    >>> from skfactorvae.datasets import make_gaussian_peaks
    >>> _, factors = make_gaussian_peaks(100, random_state=0)
    >>> changed = factors.copy()
    >>> changed[:, 0] = np.random.default_rng(0).permutation(factors[:, 0])
    >>> X, _ = make_gaussian_peaks(factors=np.vstack([factors, changed]))
    >>> vae = PairedVAETransformer(5, max_iter=50, random_state=0)
    >>> vae.fit(X, pairs=np.tile(np.arange(100), 2)).transform(X).shape
    (200, 5)
    """

    gamma: float = parameter(
        default=0.0,
        kind="float",
        rules=[NOT_NEGATIVE],
        description="""Weight of the total correlation, >= 0. Zero gives the Ada-GVAE or
        ML-VAE of the papers.""",
    )
    beta: float = shared_parameter(BETA, default=1.0)
    n_changed: Any = parameter(
        default=None,
        kind="int or None",
        rules=[at_least(1), None],
        description="""Number of components in which the samples of a pair differ, the
        same for all pairs, below ``n_components``. None decides for each pair by the
        divergences of its components.""",
    )
    average: str = parameter(
        default="arithmetic",
        kind='{"arithmetic", "geometric"}',
        rules=[one_of("arithmetic", "geometric")],
        description="""Average of the two posteriors of a shared component.
        ``"arithmetic"`` has the mean of their means and of their variances, as
        Ada-GVAE. ``"geometric"``, proportional to the square root of their product, has
        the mean weighted by precision, as ML-VAE, and the harmonic mean of the
        variances, as the public code of Locatello et al. (2020): twice the variance of
        the product of both, with which a component without information would have .10
        nats.""",
    )
    discriminator_hidden_layer_sizes: Any = shared_parameter(
        DISCRIMINATOR_LAYERS, default=(128, 128)
    )
    discriminator_learning_rate: float = shared_parameter(
        DISCRIMINATOR_RATE, default=1e-3
    )

    @restore_on_error
    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X,
        y=None,
        sample_weight=None,
        sample_groups=None,
        error_scale=None,
        pairs=None,
    ):
        """Fit the encoder and the decoder to X and its pairs.

        A fit that fails or is interrupted leaves the estimator unchanged.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Training samples; NaN where a value is missing.
        y : None
            Ignored.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples. An integer weight is equivalent to repeating the
            sample.
        sample_groups : array-like of shape (n_samples,), default=None
            Label of each sample's group, as for the other estimators: samples of one
            group, and of pairs with a sample in it, are held out together.
        error_scale : array-like of shape (n_samples, n_features), default=None
            Known standard deviation of the error of each value, in the units of X, >=
            0: zero where a value is exact, infinite where it is missing.
        pairs : array-like of shape (n_samples, n_pairings), default=None
            Identifier of each sample's pair, or of shape (n_samples,): numbers,
            strings, times or categories, equal for the samples of a pair, and missing
            (NaN or None) for a sample without one. Where a sample is in several pairs,
            each column is a set of pairs of its own. None pairs no samples: the model
            is that of ``FactorVAETransformer`` without ``init="varimax"``.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter or the data cannot be used, if no two samples have the same
            identifier in ``pairs``, or if no finite model was found; the message states
            what was expected.

        Warns
        -----
        UserWarning, ConvergenceWarning
            As ``FactorVAETransformer.fit``.
        """
        known = X, y, sample_weight, sample_groups, error_scale
        return self._fit(*known, pairs=pairs)

    def fit_transform(
        self,
        X,
        y=None,
        sample_weight=None,
        sample_groups=None,
        error_scale=None,
        pairs=None,
    ):
        """Fit the model, and compute the posterior mean of each sample's code.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Training samples.
        y : None
            Ignored.
        sample_weight, sample_groups : array-like of shape (n_samples,), default=None
            As in ``fit``.
        error_scale : array-like of shape (n_samples, n_features), default=None
            Known errors of X, as in ``fit`` and ``transform``.
        pairs : array-like of shape (n_samples, n_pairings), default=None
            Identifier of each sample's pair, as in ``fit``.

        Returns
        -------
        codes : ndarray of shape (n_samples, n_components), float32
            Codes, as ``transform`` returns them: each of its own sample alone.
        """
        known = {
            "sample_weight": sample_weight,
            "sample_groups": sample_groups,
            "pairs": pairs,
        }
        given = {name: value for name, value in known.items() if value is not None}
        errors = {} if error_scale is None else {"error_scale": error_scale}
        return self.fit(X, y, **given, **errors).transform(X, **errors)

    def _training_data(self, X, given, errors, previous):
        if given.pairs is not None:
            self._check_n_changed()
        elif previous is not None and CHANGED in self.history_:
            raise ValueError(
                "The model was fitted with pairs, and can only be continued with them. "
                "Pass pairs to fit; partial_fit takes none: use an estimator that is "
                "not fitted with pairs."
            )
        return super()._training_data(X, given, errors, previous)

    def _check_n_changed(self):
        """Raise if the samples of a pair would have no component in common."""
        if self.n_changed is not None and self.n_changed >= self.n_components:
            raise ValueError(
                f"n_changed must be below n_components={self.n_components}, so that "
                f"pairs share a component; got {self.n_changed}. Lower it, or set "
                "n_changed=None to decide for each pair."
            )

    def _objective(self):
        return core.PairedVAE(
            gamma=float(self.gamma),
            beta=float(self.beta),
            n_changed=None if self.n_changed is None else int(self.n_changed),
            average=self.average,
            **discriminator_options(self),
        )
