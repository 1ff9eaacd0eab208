"""AuxiliaryVAE: components identified by conditions, with a prior for each."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from .. import core
from .._compat import _fit_context
from .._joint_diagonalisation import ConditionalPrior, ConditionTable
from .._validation import FRACTION
from ..preparation import Attribute
from ._base_vae import BaseVAETransformer
from ._callbacks import restore_on_error
from ._conditions import conditions_of, fit_conditions
from ._fitted_state import CONDITIONAL
from ._parameters import declared, parameter, shared_parameter, with_default
from ._shared_parameters import BETA


@declared
class AuxiliaryVAETransformer(BaseVAETransformer):
    r"""VAE with a prior for each condition (pi-VAE, an identifiable VAE).

    For tables whose samples were taken under several conditions, such as sites,
    instruments, batches or dose groups, in which factors have other means and standard
    deviations. The condition u of each sample is an argument of ``fit``. It minimises

    .. math:: \mathbb{E}_{q(z|x,u)}[-\log p(x|z)]
        + \beta\,\bigl(\alpha\,\mathrm{KL}(q(z|x)\,\|\,p(z|u))
        + (1 - \alpha)\,\mathrm{KL}(q(z|x,u)\,\|\,p(z|u))\bigr)

    where the prior p(z | u) of a condition is normal, with a learned mean and standard
    deviation of each component, and the posterior given the condition is the product of
    the encoder's and the prior (Zhou & Wei 2020)

    .. math:: q(z|x,u) \propto q(z|x)\,p(z|u)

    so that samples can be encoded with their condition and without. All terms are nats
    per sample. A sample without a known condition has q(z | x) and the standard normal
    prior.

    Independence alone does not identify factors; conditions do, where the ratio of the
    standard deviations of any two factors changes with the condition. Conditions that
    change means alone identify them up to a linear map.

    Attributes
    ----------
    conditional_prior_ : ConditionalPrior
        Mean and standard deviation of each component under each condition; only after
        a fit with ``aux``.
    best_iter_ : int
        Step whose weights were kept, zero for those of the start; only after a fit with
        ``aux``.

    See Also
    --------
    FactorVAETransformer.rotate : Rotate the components of any fitted model by
        conditions.
    PairedVAETransformer : Where samples come in pairs.
    SupervisedFactorVAETransformer : Where the values of factors are known, or a
        condition is to be removed from all components.
    skfactorvae.identification.condition_effects : How components vary with each of
        several conditions, such as doses and sites.

    Notes
    -----
    The linear path starts from principal components whose covariances within conditions
    are jointly diagonalised (Pham & Cardoso 2001), and the priors from the moments of
    their codes; ``temperature`` is 1, since annealing would undo this start. Models
    without a linear path start from standard normal priors. Conditions of no more
    samples than there are principal components do not take part in the
    diagonalisation. ``init_criteria_["conditions_p"]`` is the share of 99 permutations
    of the conditions under which the covariances of principal components differ as
    much; above .01, conditions identify no components, of which ``fit`` warns.

    The bound can rise while components are mixed. Therefore the weights of the start,
    of the last step and of a few steps between are compared by what the codes of (up to
    10,000) training samples tell of the conditions, and the last ones with at least
    98 % of the largest value are kept (``best_iter_``). This is a lower bound of the
    mutual information of code and condition (Barber & Agakov 2003), given by normal
    components that are independent within conditions, after joint diagonalisation of
    the codes; true factors of this kind attain the largest value. At the start, the
    scale of the noise and the posterior standard deviations are not trained yet. Steps
    are not compared where conditions identify nothing, and with ``early_stopping`` by
    the held-out bound.

    After this, components are replaced by linear combinations of them that are
    uncorrelated within conditions, by the same diagonalisation, and priors by the
    moments of their codes. This changes weights of the networks: means of posteriors
    and the decoder are combined exactly, standard deviations by least squares, which
    can lower the bound. It is not done where conditions identify nothing, where codes
    would tell less of the conditions, or for networks of the user's own.

    Weighted by the shares of the conditions, the priors together have mean zero and
    variance one in each component. ``sample``, ``impute``, ``score`` and
    ``kl_per_component_`` use the standard normal prior, which has the same moments, and
    so do the held-out bounds in ``history_`` and of ``early_stopping``. The choice of
    ``weight_decay="auto"`` compares the whole objective, with conditions.

    With conditions, components cannot be rotated after the fit: ``init="varimax"`` and
    ``rotate`` are refused. ``partial_fit`` takes no conditions.

    ``history_`` holds ``reconstruction`` and ``kl``, the weighted sum of both
    divergences.

    References
    ----------
    .. [1] Zhou, D. & Wei, X.-X. (2020). "Learning identifiable and interpretable latent
       models of high-dimensional neural activity using pi-VAE." NeurIPS.
       https://arxiv.org/abs/2011.04798
    .. [2] Khemakhem, I. et al. (2020). "Variational Autoencoders and Nonlinear ICA: A
       Unifying Framework." AISTATS. https://arxiv.org/abs/1907.04809
    .. [3] Pham, D.-T. & Cardoso, J.-F. (2001). "Blind separation of instantaneous
       mixtures of nonstationary sources." IEEE Trans. Signal Process. 49, Section III.
    .. [4] Barber, D. & Agakov, F. (2003). "The IM Algorithm: A Variational Approach to
       Information Maximization." NeurIPS.

    Examples
    --------
    >>> import numpy as np
    >>> from skfactorvae import AuxiliaryVAETransformer
    >>> rng = np.random.default_rng(0)
    >>> site = np.repeat(["north", "south"], 100)
    >>> factors = rng.normal(size=(200, 2))
    >>> factors[:100, 0] *= 3
    >>> X = factors @ rng.normal(size=(2, 6)) + 0.1 * rng.normal(size=(200, 6))
    >>> vae = AuxiliaryVAETransformer(2, max_iter=50, random_state=0)
    >>> vae.fit(X, aux=site).transform(X).shape
    (200, 2)
    >>> vae.conditional_prior_.std.shape
    (2, 2)
    """

    beta: float = shared_parameter(BETA, default=1.0)
    encoder_share: float = parameter(
        default=0.5,
        kind="float",
        rules=[FRACTION],
        description="""Share of the divergence of the encoder's posterior q(z | x) from
        the prior of the condition, alpha, in [0, 1]; the rest is that of q(z | x, u).
        With zero, the objective is that of Zhou & Wei (2020), which does not train the
        encoder to be used without conditions.""",
    )
    temperature: Any = with_default(BaseVAETransformer, "temperature", default=1.0)

    _fitted_state = CONDITIONAL

    @restore_on_error
    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X,
        y=None,
        sample_weight=None,
        sample_groups=None,
        error_scale=None,
        aux=None,
    ):
        """Fit the encoder, the decoder and the priors to X and its conditions.

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
            Label of each sample's group; those of one group are held out together.
        error_scale : array-like of shape (n_samples, n_features), default=None
            Known standard deviation of the error of each value, in the units of X, >=
            0: zero where a value is exact, infinite where it is missing.
        aux : array-like or frame of shape (n_samples, n_columns), default=None
            Condition of each sample, or of shape (n_samples,): numbers, strings,
            booleans or categories, missing (NaN or None) where it is unknown.
            Combinations of several columns are conditions. Continuous columns are cut
            into at most 20 intervals of equally many samples, of at least 50 where
            there are more than two. None knows no conditions: the model is then a VAE.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter or the data cannot be used, if ``aux`` has one condition, or
            one of fewer than ten distinct samples, or if no finite model was found; the
            message states what was expected.

        Warns
        -----
        UserWarning
            As ``FactorVAETransformer.fit``.
        ConvergenceWarning
            As ``FactorVAETransformer.fit``; and if conditions do not differ in the
            spread of components more than permuted ones (p > 0.01), so that they
            identify none.
        """
        known = X, y, sample_weight, sample_groups, error_scale
        return self._fit(*known, aux=aux)

    def fit_transform(
        self,
        X,
        y=None,
        sample_weight=None,
        sample_groups=None,
        error_scale=None,
        aux=None,
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
        aux : array-like or frame of shape (n_samples, n_columns), default=None
            Condition of each sample, as in ``fit`` and ``transform``.

        Returns
        -------
        codes : ndarray of shape (n_samples, n_components), float32
            Codes, as ``transform`` returns them with the same ``error_scale`` and
            ``aux``.
        """
        known = {"sample_weight": sample_weight, "sample_groups": sample_groups}
        given = {name: value for name, value in known.items() if value is not None}
        both = {"error_scale": error_scale, "aux": aux}
        both = {name: value for name, value in both.items() if value is not None}
        return self.fit(X, y, **given, **both).transform(X, **both)

    def transform(self, X, error_scale=None, aux=None):
        """Compute the posterior mean of each sample's code.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Samples.
        error_scale : array-like of shape (n_samples, n_features), default=None
            Known standard deviations of the errors of X, in its units, as in ``fit``;
            infinite where a value is missing. None takes all values as exact.
        aux : array-like or frame of shape (n_samples, n_columns), default=None
            Condition of each sample, one of those of ``fit``; missing where unknown.
            None encodes all samples without it.

        Returns
        -------
        codes : ndarray of shape (n_samples, n_components), float32
            Means of q(z | x, u), and of q(z | x) where the condition is unknown, in the
            order of ``kl_per_component_``; with ``keep="active"`` those of active
            components.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If X has another number of features than in ``fit``, or values that are not
            finite numbers, or ``aux`` has conditions that ``fit`` did not see.
        """
        codes = self.posterior(X, error_scale, aux)[0]
        return codes if self.keep == "all" else codes[:, self._kept]

    def posterior(self, X, error_scale=None, aux=None, *, return_cov=False):
        """Compute mean and standard deviation of each sample's posterior.

        Components are independent under the posterior after a fit with conditions.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Samples.
        error_scale : array-like of shape (n_samples, n_features), default=None
            Known standard deviations of the errors of X, as in ``transform``.
        aux : array-like or frame of shape (n_samples, n_columns), default=None
            Condition of each sample, as in ``transform``.
        return_cov : bool, default=False
            Whether to return covariance matrices in place of standard deviations.

        Returns
        -------
        mean : ndarray of shape (n_samples, n_components), float32
            Means of q(z | x, u), and of q(z | x) where the condition is unknown.
        std : ndarray of shape (n_samples, n_components), float32
            Standard deviation of each component. With ``return_cov``, the covariance
            matrices, of shape (n_samples, n_components, n_components).

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If X or ``aux`` cannot be used, as in ``transform``.
        """
        if aux is None:
            return super().posterior(X, error_scale, return_cov=return_cov)
        mean, std = super().posterior(X, error_scale)
        mean, std = self._given_conditions(mean, std, aux)
        return (mean, self._covariance(X, error_scale, std) if return_cov else std)

    def _given_conditions(self, mean, std, aux):
        """Return the moments of q(z | x, u), given those of q(z | x), (n, d) each."""
        if "_conditions" not in vars(self):
            raise ValueError(
                f"This {type(self).__name__} was fitted without aux, and knows no "
                "conditions. Leave aux out, or pass it to fit."
            )
        table = ConditionTable.from_state(self._conditions)
        index = conditions_of(table, aux, len(mean))
        is_known = index >= 0
        prior = self.conditional_prior_
        own, spread = prior.mean[index[is_known]], prior.std[index[is_known]]
        mean, std = mean.copy(), std.copy()
        precisions = std[is_known].astype(np.float64) ** -2, spread**-2
        total = sum(precisions)
        mean[is_known] = (precisions[0] * mean[is_known] + precisions[1] * own) / total
        std[is_known] = total**-0.5
        return mean, std

    @property
    def conditional_prior_(self):
        """Mean and standard deviation of each component under each condition."""
        check_is_fitted(self)
        if "_conditions" not in vars(self):
            raise AttributeError(
                f"This {type(self).__name__} was fitted without aux, so that it has no "
                "conditional_prior_."
            )
        shares = self._condition_shares
        mean, std = core.conditional_prior(self.weights_, shares)
        labels = ConditionTable.from_state(self._conditions).labels
        return ConditionalPrior(np.array(labels), shares, mean, std)

    def _attributes(self, X, given, weight, previous):
        state = vars(self).get("_conditions")
        if given.aux is None and previous is not None and state is not None:
            raise ValueError(
                "The model was fitted with aux, and can only be continued with it. "
                "Pass aux to fit; partial_fit takes none: use an estimator that is not "
                "fitted with aux."
            )
        for name in ("_conditions", "_condition_shares", "best_iter_"):
            self.__dict__.pop(name, None)
        if given.aux is None:
            return ()
        table = None
        if previous is not None and state is not None:
            table = ConditionTable.from_state(state)
        table, index = fit_conditions(X, given.aux, weight, table)
        self._conditions = table.as_state()
        return (Attribute("aux", 0, index, np.array(table.labels), False),)

    def _set_attributes(self, prepared, fit):
        super()._set_attributes(prepared, fit)
        if "_conditions" in vars(self):
            self.best_iter_ = fit.kept_step

    def _objective(self, targets=None):
        if targets is None:
            return core.VAE(beta=float(self.beta))
        return core.AuxiliaryVAE(
            beta=float(self.beta),
            encoder_share=float(self.encoder_share),
            shares=targets.marginals[0],
            n_conditions=targets.n_levels[0],
        )

    def _check_restored(self, reader):
        super()._check_restored(reader)
        if problem := self._condition_problem():
            reader.refuse(f"its conditions do not fit its weights: {problem}.")

    def _condition_problem(self):
        """Return what is wrong with restored conditions, or None."""
        has = [n in vars(self) for n in ("_conditions", "_condition_shares")]
        if not any(has):
            return None
        if not all(has):
            return "their names or their shares are absent"
        try:
            c = len(ConditionTable.from_state(self._conditions).labels)
            mean, _ = core.conditional_prior(self.weights_, self._condition_shares)
        except (LookupError, TypeError, ValueError, RuntimeError) as error:
            return str(error)[:200]
        expected = (c, len(self.kl_per_component_))
        if mean.shape != expected or len(self._condition_shares) != c:
            return f"priors of shape {mean.shape}, expected {expected}"
        return None
