"""SupervisedFactorVAE: labelled attributes in components of their own."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np
from sklearn.utils.extmath import softmax

from .. import core
from .._validation import NOT_NEGATIVE, at_least, check_sizes, one_of
from ..preparation import check_widths, read_labels
from ._base_vae import BaseVAETransformer
from ._fitted_state import SUPERVISED
from ._labelled import LabelledVAETransformer
from ._parameters import declared, parameter, shared_parameter, with_default
from ._shared_parameters import (
    BETA,
    DISCRIMINATOR_LAYERS,
    DISCRIMINATOR_RATE,
    discriminator_options,
)


@declared
class SupervisedFactorVAETransformer(LabelledVAETransformer):
    r"""FactorVAE with labels: each attribute has components of its own.

    Some samples have labels, as few as one in a hundred. An attribute a is predicted
    from its own components S. An adversarial predictor predicts it from all
    other components, T, and the encoder minimises the divergence of that prediction
    from the marginal distribution. The total correlation between these blocks and the
    remaining components is penalised as in FFVAE (Creager et al. 2019). It minimises

    .. math:: \mathbb{E}[-\log p(x|z)] + \beta\,\mathrm{KL}(q(z|x)\,\|\,p(z))
        + \sum_j \bigl(\alpha\,\mathbb{E}[-\log P_j(a_j|z_{S_j})]
        + \delta\,\mathrm{KL}(\hat p(a_j)\,\|\,A_j(z_{T_j}))\bigr)
        + \gamma\,\mathrm{TC}(q(z_{S_1}), ..., q(z_{S_m}), q(z_R))

    where j counts attributes, P is a linear predictor, A the adversarial predictor, and
    R are the components of no attribute. All terms are nats per sample. The
    discriminator for TC has the inputs described at ``FactorVAETransformer``. The
    adversarial predictors have its learning rate.

    Sensitive attributes, such as a batch or an instrument, have components of their own
    that are not part of the codes: ``transform`` returns no information on them, and
    ``inverse_transform`` returns samples without their effect. The KL divergence of
    those components has six times the weight of the others', so that they hold no other
    information.

    Attributes
    ----------
    attribute_names_ : tuple of str
        Names of the columns of y, or their indices.
    attribute_levels_ : tuple of ndarray or None
        Levels of each attribute, in order; None for a continuous one.
    attribute_components_ : tuple of ndarray of int
        The components of each attribute; empty for a sensitive one.

    See Also
    --------
    FactorVAETransformer : Needs no labels.
    AuxiliaryVAETransformer : Where conditions are known that change factors, and no
        component is to be theirs, or free of them.

    Notes
    -----
    The columns of codes are the attributes' components, in the order of y, and then the
    others, most informative first. An attribute's component increases with it, or with
    the order of its levels. A component of no attribute with a KL divergence below 0.2
    nats is set to the prior, and its codes are zero: such codes are nearly noise, but
    their means, scaled up, could reveal attributes. In networks of your own it cannot
    be set to the prior; see ``kl_per_component_``, and ignore such components.

    Each entry of y is used on its own. NaN, or None among strings, is an unknown label.
    In each step, every attribute draws a batch of its own from the samples with its
    label. The adversarial predictors are also trained on samples without a label, with
    the linear predictor's output as target: otherwise they would memorise a hundred
    samples, and leave information on the others undetected.

    Masking also removes what attributes share: where one attribute can be predicted
    from another, no code can hold both and keep each out of the other components. Check
    the remaining information with a model of your own, trained on codes and evaluated
    on held-out samples, not with the adversarial predictor.

    Superfluous components become inactive slowly. Until then, several of them together
    can hold information that none holds alone: train for the full ``max_iter``. With
    100 labels of 10,000 samples and default settings, boosted trees on the other
    components do not predict the dose of ``examples/plot_supervised.py`` (R2 -.12), the
    illness (AUC .51) or the site (.49); after 3000 of the 5000 steps these were .11,
    .68 and .62. The own components predict dose and illness as well as all components
    do.

    ``history_`` holds ``reconstruction``, ``kl``, ``supervision``, ``confusion``,
    ``total_correlation``, with sensitive attributes ``hidden_kl`` (nats per sample),
    ``discriminator_loss`` and ``opponent_loss``. ``confusion`` is the divergence of the
    adversarial predictions from the marginals, ``opponent_loss`` their cross-entropy.

    References
    ----------
    .. [1] Creager, E. et al. (2019). "Flexibly Fair Representation Learning by
       Disentanglement." ICML. Eq. 3. https://arxiv.org/abs/1906.02589
    .. [2] Edwards, H. & Storkey, A. (2016). "Censoring Representations with an
       Adversary." ICLR. https://arxiv.org/abs/1511.05897
    .. [3] Kim, H. & Mnih, A. (2018). "Disentangling by Factorising." ICML. Eq. 2.
       https://arxiv.org/abs/1802.05983

    Examples
    --------
    >>> import numpy as np
    >>> from skfactorvae import SupervisedFactorVAETransformer
    >>> from skfactorvae.datasets import make_gaussian_peaks
    >>> X, factors = make_gaussian_peaks(200, random_state=0)
    >>> y = factors[:, 0].copy()
    >>> y[50:] = np.nan  # unlabelled
    >>> vae = SupervisedFactorVAETransformer(5, max_iter=50, random_state=0)
    >>> vae.fit(X, y).transform(X).shape
    (200, 5)
    >>> vae.predict_attributes(X).shape
    (200, 1)
    """

    gamma: float = parameter(
        default=10.0,
        kind="float",
        rules=[NOT_NEGATIVE],
        description="""Weight of the total correlation between the blocks of components,
        >= 0.""",
    )
    supervision: float = parameter(
        default=10.0,
        kind="float",
        rules=[NOT_NEGATIVE],
        description="""Weight of the linear predictors' cross-entropy on labelled
        samples, alpha, >= 0.""",
    )
    n_components: int = parameter(
        default=10,
        kind="int",
        rules=[at_least(1)],
        description="""Number of latents, d: those of the attributes that are not
        sensitive, and further ones. Components that do not lower the loss stay at the
        prior; see ``active_components_``.""",
        kw_only=False,
    )
    masking: float = parameter(
        default=10.0,
        kind="float",
        rules=[NOT_NEGATIVE],
        description="""Weight of the divergence of the adversarial predictions from the
        marginals, delta, >= 0. With zero, other components can hold attributes as
        well.""",
    )
    sensitive: Any = parameter(
        default=None,
        kind="int, str, array-like of them, or None",
        rules=[Integral, str, "array-like", None],
        description="""Indices or names of the columns of y that are to be removed from
        all components: batch, site, instrument. Each has components of its own beside
        the ``n_components``, which are trained and not part of the codes.""",
    )
    components_per_attribute: Any = parameter(
        default=1,
        kind="int or array-like of int",
        rules=[at_least(1), "array-like"],
        description="""Components of each attribute, or of each column of y. With one
        number, a sensitive attribute of L levels has L - 1.""",
    )
    attribute_types: Any = parameter(
        default="auto",
        kind='{"auto", "discrete", "continuous"} or array-like of them',
        rules=[one_of("auto", "discrete", "continuous"), "array-like"],
        description="""Type of each column of y, or of all. ``"auto"`` follows the rule
        of the metrics, applied to the distinct labelled samples: booleans, strings and
        categories are discrete; integers are discrete unless they have more than 20
        levels and fewer than two samples per level; floats are continuous unless all
        are whole numbers, of at most 50 levels, with at least five samples per level.
        Times are not accepted. Pass ``"discrete"`` for classes that few samples hold as
        floats.""",
    )
    beta: float = shared_parameter(BETA, default=1.0)
    opponent_hidden_layer_sizes: Any = parameter(
        default=(64, 64),
        kind="int or array-like of int",
        rules=[at_least(1), "array-like"],
        description="Hidden layers of the adversarial predictors, one per attribute.",
    )
    discriminator_hidden_layer_sizes: Any = shared_parameter(
        DISCRIMINATOR_LAYERS, default=(128, 128)
    )
    discriminator_learning_rate: float = shared_parameter(
        DISCRIMINATOR_RATE, default=1e-3
    )
    # With input noise, the adversarial predictors would be trained on other codes than
    # those that transform returns.
    input_noise: Any = with_default(BaseVAETransformer, "input_noise", default=0.0)
    # The few steps that suffice for samples do not suffice to mask attributes.
    weight_decay: Any = with_default(
        LabelledVAETransformer, "weight_decay", default=0.0
    )

    _fitted_state = SUPERVISED

    def _read_labels(self, X, y, weight, known_levels):
        kinds = self.attribute_types
        return read_labels(X, y, weight, kinds, self.sensitive, known_levels)

    def _objective(self, targets=None):
        widths = check_widths(
            self.components_per_attribute, targets, int(self.n_components)
        )
        return core.SupervisedFactorVAE(
            gamma=float(self.gamma),
            beta=float(self.beta),
            supervision=float(self.supervision),
            masking=float(self.masking),
            marginals=targets.marginals,
            levels=targets.n_levels,
            widths=widths,
            n_hidden=targets.n_hidden,
            opponent_layer_sizes=check_sizes(
                "opponent_hidden_layer_sizes", self.opponent_hidden_layer_sizes
            ),
            **discriminator_options(self),
        )

    def predict_attributes(self, X, error_scale=None):
        """Predict each attribute that is not sensitive from its own components.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Samples.
        error_scale : array-like of shape (n_samples, n_features), default=None
            Known standard deviations of the errors of X, in its units, as in ``fit``;
            infinite where a value is missing. None takes all values as exact.

        Returns
        -------
        labels : ndarray of shape (n_samples, n_shown_attributes)
            Columns in the order of y: the most probable level, or the expected value in
            the units of y. Floats, or objects where levels are not numbers, or are
            integers that float64 would round. No columns
            where all attributes are sensitive.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If X has another number of features than in ``fit``, or values that are not
            finite numbers.
        """
        codes, _ = self.posterior(X, error_scale)
        predictions = self._predictions(codes)
        columns = [self._in_units_of_y(j, found) for j, found in predictions.items()]
        is_numeric = all(_are_floats(self.attribute_levels_[j]) for j in predictions)
        dtype = np.float64 if is_numeric else object
        labels = np.empty((len(codes), len(columns)), dtype=dtype)
        for place, column in enumerate(columns):
            labels[:, place] = column
        return labels

    def predict_attributes_proba(self, X, error_scale=None):
        """Predict the probability of each level of the discrete attributes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Samples.
        error_scale : array-like of shape (n_samples, n_features), default=None
            Known standard deviations of the errors of X, in its units, as in ``fit``;
            infinite where a value is missing. None takes all values as exact.

        Returns
        -------
        probabilities : dict of str to ndarray of shape (n_samples, n_levels)
            By the name of each attribute that is discrete and not sensitive; columns in
            the order of its ``attribute_levels_``.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If X has another number of features than in ``fit``, or values that are not
            finite numbers.
        """
        codes, _ = self.posterior(X, error_scale)
        return {
            self.attribute_names_[j]: softmax(prediction)
            for j, prediction in self._predictions(codes).items()
            if self.attribute_levels_[j] is not None
        }

    def _in_units_of_y(self, j, prediction):
        """Return the most probable levels, or the expected values, (n,)."""
        if self.attribute_levels_[j] is not None:
            return self.attribute_levels_[j][prediction.argmax(axis=1)]
        mean, scale = self._attribute_scales[j]
        return prediction[:, 0] * scale + mean

    def _check_restored(self, reader):
        super()._check_restored(reader)
        if problem := self._attribute_problem():
            reader.refuse(f"its attributes of y do not fit its weights: {problem}.")

    def _attribute_problem(self):
        """Return what is wrong with restored attributes, or None."""
        levels, components = self.attribute_levels_, self.attribute_components_
        per_attribute = (
            self.attribute_names_,
            levels,
            components,
            self._attribute_places,
            self._attribute_scales,
        )
        m = len(levels)
        if {len(values) for values in per_attribute} != {m}:
            return "their numbers differ"
        try:
            slopes, offsets = core.attribute_heads(self.weights_)
        except KeyError as error:
            return f"the weight {error} is absent"
        width = max((len(v) if v is not None else 1 for v in levels), default=1)
        d = len(self.kl_per_component_)
        is_head = slopes.shape == (m, d + self._n_hidden, *offsets.shape[1:])
        if not is_head or offsets.shape[:1] != (m,) or offsets.shape[1] < width:
            return f"weights of shapes {slopes.shape} and {offsets.shape}"
        if sorted(self._attribute_places) != list(range(m)):
            return f"places {self._attribute_places}"
        if not all((c >= 0).all() and (c < d).all() for c in components):
            return f"components beyond {d}"
        if not all(_are_numbers(pair) for pair in self._attribute_scales):
            return "scales that are not pairs of numbers"
        return None

    def _predictions(self, codes):
        """Return the linear prediction of each attribute in codes, (n, c) each."""
        codes = codes.astype(np.float64)
        slopes, offsets = core.attribute_heads(self.weights_)
        predictions = {}
        for j, own in enumerate(self.attribute_components_):
            place, levels = self._attribute_places[j], self.attribute_levels_[j]
            width = 1 if levels is None else len(levels)
            slope = slopes[place, own + self._n_hidden, :width]
            if len(own):
                predictions[j] = codes[:, own] @ slope + offsets[place, :width]
        return predictions


def _are_floats(levels):
    """Return whether levels of an attribute, None for all numbers, fit in float64."""
    if levels is None:
        return True
    if levels.dtype.kind not in "iufb":
        return False
    return np.array_equal(levels.astype(np.float64).astype(levels.dtype), levels)


def _are_numbers(pair):
    return len(pair) == 2 and all(isinstance(v, float) and np.isfinite(v) for v in pair)
