"""The member of the family that learns from labels, too."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np
from sklearn.utils.extmath import softmax

from . import core
from ._autoencoder import BaseVAETransformer
from ._labels import check_widths, read_labels
from ._models import (
    beta_parameter,
    discriminator_of,
    discriminator_rate,
    discriminator_sizes,
)
from ._parameters import declared, parameter, with_default
from ._validation import NOT_NEGATIVE, at_least, check_sizes, one_of


@declared
class SupervisedFactorVAETransformer(BaseVAETransformer):
    r"""FactorVAE told of attributes: each in components of its own, and in no others.

    Some rows are labelled, as few as one in a hundred. An attribute a is predicted from
    the components S of its own; an opponent tries to predict it from all others, T, and
    the encoder sees to it that the opponent is left with the marginal distribution; the
    total correlation between these blocks and the rest is charged for as in FFVAE
    (Creager et al. 2019). It minimises

    .. math:: \mathbb{E}[-\log p(x|z)] + \beta\,\mathrm{KL}(q(z|x)\,\|\,p(z))
        + \sum_j \bigl(\alpha\,\mathbb{E}[-\log P_j(a_j|z_{S_j})]
        + \delta\,\mathrm{KL}(\hat p(a_j)\,\|\,A_j(z_{T_j}))\bigr)
        + \gamma\,\mathrm{TC}(q(z_{S_1}), ..., q(z_{S_m}), q(z_R))

    where j counts attributes, P is a linear head, A the opponent, and R are the
    components of no attribute. All terms are nats per row. The discriminator behind TC
    sees codes through the noise, and at the scales, that ``FactorVAETransformer`` tells
    of. Opponents move as fast as it does.

    Sensitive attributes, such as a batch or an instrument, are kept in components of
    their own that are not shown: ``transform`` says nothing of them, and
    ``inverse_transform`` returns rows as of no site. The KL divergence of those
    components counts six times more than that of others, so that nothing else hides
    there.

    Attributes
    ----------
    attribute_names_ : tuple of str
        Names of the columns of y, or their numbers.
    attribute_levels_ : tuple of ndarray or None
        Levels of each attribute, in order; None for a continuous one.
    attribute_components_ : tuple of ndarray of int
        The components of each attribute; none of a sensitive one.

    See Also
    --------
    FactorVAETransformer : Needs no labels.

    Notes
    -----
    The columns of codes are the attributes' components, in the order of y, and then the
    others, most informative first. An attribute's component rises with it, or with the
    order of its levels. A component of no attribute that holds less than 0.2 nats is
    switched off, and zero: its codes are noise nearly, but whoever scaled its means up
    could read attributes off them. In networks of your own it cannot be switched off;
    see ``kl_per_component_``, and leave such components out.

    Labels count entry by entry: NaN, or None among strings, is one that is unknown. In
    each step, every attribute draws a batch of its own from the rows that have its
    label. Opponents also see rows without a label, with what the head believes of them:
    else they would know a hundred rows by heart, and let pass what others say.

    Masking costs what attributes share: where one can be predicted from another, no
    code can hold both and let neither be told from the rest. Check what is left by a
    model of your own, trained on codes and tested on other rows, never by the opponent.

    Components that the rows do not need leave slowly. Until they have, they may say
    with others what none of them says alone: give fits their ``max_iter``. With 100
    labels of 10,000 rows and default settings, boosted trees on the other components
    find nothing of the dose of ``examples/plot_supervised.py`` (R2 -.12), of the
    illness (AUC .51) or of the site (.49); after 3000 steps of the 5000 it was .11,
    .68 and .62. The own components predict dose and illness as well as all do.

    ``history_`` holds ``reconstruction``, ``kl``, ``supervision``, ``confusion``,
    ``total_correlation``, ``hidden_kl`` where there are components that are not shown
    (nats per row), ``discriminator_loss`` and ``opponent_loss``.

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
        10.0,
        "float",
        [NOT_NEGATIVE],
        "Weight of the total correlation between the blocks of components, >= 0.",
    )
    supervision: float = parameter(
        10.0,
        "float",
        [NOT_NEGATIVE],
        "Weight of the heads' cross-entropy on labelled rows, alpha, >= 0.",
    )
    masking: float = parameter(
        10.0,
        "float",
        [NOT_NEGATIVE],
        """Weight of the confusion of the opponents, delta, >= 0. Zero lets other
        components hold attributes as well.""",
    )
    sensitive: Any = parameter(
        None,
        "int, str, array-like of them, or None",
        [Integral, str, "array-like", None],
        """Numbers or names of the columns of y that are to be removed from all
        components: batch, site, instrument. Each has components of its own beside the
        ``n_components``, which are trained and not shown.""",
    )
    components_per_attribute: Any = parameter(
        1,
        "int or array-like of int",
        [at_least(1), "array-like"],
        """Components of each attribute, or of each column of y. A sensitive attribute
        of L levels has L - 1 where this is one number.""",
    )
    attribute_types: Any = parameter(
        "auto",
        '{"auto", "discrete", "continuous"} or array-like of them',
        [one_of("auto", "discrete", "continuous"), "array-like"],
        """Type of each column of y, or of all. ``"auto"`` follows the rule of the
        metrics at the distinct labelled samples: booleans, strings and categories are
        discrete; integers too, unless they have more than 20 levels and fewer than
        two samples per level; floats only if all are whole numbers, of at most 50
        levels, with at least five samples per level. Times are not accepted. Pass
        ``"discrete"`` for classes that few samples hold as floats.""",
    )
    beta: float = beta_parameter()
    opponent_hidden_layer_sizes: Any = parameter(
        (64, 64),
        "int or array-like of int",
        [at_least(1), "array-like"],
        "Hidden layers of the opponents, one for each attribute.",
    )
    discriminator_hidden_layer_sizes: Any = discriminator_sizes()
    discriminator_learning_rate: float = discriminator_rate()
    # Opponents confused about codes of noisy rows would tell more from those of rows.
    input_noise: Any = with_default(BaseVAETransformer, "input_noise", 0.0)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        return tags

    def _attributes(self, X, y, weight):
        if y is None:
            raise ValueError(
                f"This {type(self).__name__} estimator requires y to be passed, but "
                "the target y is None. Pass labels of shape (n_samples,) or "
                "(n_samples, n_attributes), NaN where unknown; or use "
                "FactorVAETransformer, which needs none."
            )
        return read_labels(X, y, weight, self.attribute_types, self.sensitive)

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
            **discriminator_of(self),
        )

    def predict_attributes(self, X):
        """Return what each attribute that is not sensitive is, by the heads.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        labels : ndarray of shape (n_samples, n_shown_attributes)
            Columns in the order of y: the most probable level, or the expected value in
            the units of y. Floats, or objects where levels are not numbers. No columns
            where all attributes are sensitive.
        """
        columns = [
            answer[:, 0] * self._attribute_scales[j][1] + self._attribute_scales[j][0]
            if self.attribute_levels_[j] is None
            else self.attribute_levels_[j][answer.argmax(axis=1)]
            for j, answer in self._answers(X).items()
        ]
        is_numeric = all(column.dtype.kind in "iufb" for column in columns)
        dtype = np.float64 if is_numeric else object
        labels = np.empty((len(X), len(columns)), dtype=dtype)
        for place, column in enumerate(columns):
            labels[:, place] = column
        return labels

    def predict_attributes_proba(self, X):
        """Return the probability of each level of the discrete attributes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        probabilities : dict of str to ndarray of shape (n_samples, n_levels)
            By the name of each attribute that is discrete and not sensitive; columns in
            the order of its ``attribute_levels_``.
        """
        return {
            self.attribute_names_[j]: softmax(answer)
            for j, answer in self._answers(X).items()
            if self.attribute_levels_[j] is not None
        }

    def _answers(self, X):
        """Return the head's answer for each attribute that is shown, (n, c) each."""
        codes = self.posterior(X)[0].astype(np.float64)
        weight, bias = (self.weights_[f"head.0.{part}"] for part in ("weight", "bias"))
        answers = {}
        for j, own in enumerate(self.attribute_components_):
            place, levels = self._attribute_places[j], self.attribute_levels_[j]
            width = 1 if levels is None else len(levels)
            slope = weight[place, own + self._n_hidden, :width]
            if len(own):
                answers[j] = codes[:, own] @ slope + bias[place, :width]
        return answers
