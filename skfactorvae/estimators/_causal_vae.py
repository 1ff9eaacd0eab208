"""CausalVAE: labelled components with a structural causal model as their prior."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from .. import core
from .._causal_graphs import (
    LEARN,
    MAX_LEARNED,
    causal_order,
    check_graph,
    effects_of,
    learn_graph,
)
from .._validation import POSITIVE, at_least, check_sizes, one_of
from ..preparation import distinct_samples, read_labels
from ._fitted_state import CAUSAL
from ._labelled import LabelledVAETransformer
from ._parameters import declared, parameter, shared_parameter
from ._shared_parameters import BETA

MIN_LABELLED = 20
"""Samples with all labels that the estimation of a graph needs, at least."""


@declared
class CausalVAETransformer(LabelledVAETransformer):
    r"""VAE with a causal graph of labelled components, for interventions (CausalVAE).

    The columns of ``y`` are attributes that cause each other and the sample, such as
    the angle of a lamp and the length of a shadow. Each has one component. The prior of
    these components is a structural causal model with the graph G that the user gives:
    a component with causes is a function of theirs plus noise. It minimises

    .. math:: \mathbb{E}[-\log p(x|z)]
        + \beta\,\mathbb{E}\bigl[\mathrm{KL}(q(z|x)\,\|\,p_G(z))\bigr]
        + \frac{\alpha}{2} \sum_j \mathbb{E}\bigl[(u_j - z_j)^2\bigr], \quad
        p_G(z) = \prod_j \mathcal{N}(z_j;\, f_j(z_{\mathrm{pa}(j)}),\, s_j^2)

    where u are the standardised attributes of samples that have them, f is a network
    for each attribute with causes, and s its learned noise. Attributes without causes,
    and components of no attribute, have a standard normal prior. All terms are nats per
    sample.

    :meth:`intervene` sets attributes of samples to values, lets those that depend on
    them follow, and leaves all others as they are.

    Attributes
    ----------
    graph_ : ndarray of shape (n_attributes, n_attributes)
        One where the attribute of the row is a cause of that of the column, in the
        order of the columns of y.
    attribute_names_ : tuple of str
        Names of the columns of y, or their indices.
    attribute_levels_ : tuple of None
        All attributes are numbers.
    attribute_components_ : tuple of ndarray of int
        The component of each attribute: that of its column.
    structural_noise_ : ndarray of shape (n_attributes,)
        Standard deviation of each attribute given its causes, in the units of y; of
        one without causes, its own.

    See Also
    --------
    SupervisedFactorVAETransformer : Where attributes are to be separated, and their
        causes do not matter.
    skfactorvae.inspection.edit : Move one component, and no other.

    Notes
    -----
    The first columns of codes are the attributes, standardised, in the order of y;
    those of further components follow, most informative first. Each entry of y is used
    on its own; NaN is an unknown label. In each step, every attribute draws a batch of
    its own from the samples with its label.

    A model cannot verify its graph: other graphs describe the same samples as well, and
    differ in what they say of interventions. What an intervention on an effect looks
    like, for which there are no samples, is an extrapolation of the decoder.

    ``graph="learn"`` estimates the graph of at most eight attributes from the labels
    alone, before training: that with the best Bayesian information criterion, each
    attribute being a quadratic function of its causes plus independent noise. Such
    graphs are often wrong: samples determine directions only under assumptions that
    cannot be verified, and not where attributes are exact functions of others, as on
    the images of ``benchmarks/causal.py``. Read ``graph_``, and pass a corrected one.

    ``sample`` draws from the structural model. ``score``, ``impute`` and
    ``kl_per_component_`` use the standard normal prior, and so do held-out bounds in
    ``history_`` and of ``early_stopping``. The choice of ``weight_decay="auto"``
    compares the whole objective. Components are not rotated: ``init="varimax"`` and
    ``rotate`` are refused.

    ``history_`` holds ``reconstruction``, ``kl`` and ``supervision``.

    References
    ----------
    .. [1] Yang, M. et al. (2021). "CausalVAE: Disentangled Representation Learning via
       Neural Structural Causal Models." CVPR. Eq. 2 to 6; here one component for each
       attribute, and nonlinear equations. https://arxiv.org/abs/2004.08697
    .. [2] Hoyer, P. et al. (2008). "Nonlinear causal discovery with additive noise
       models." NeurIPS. For ``graph="learn"``; the search over all graphs is that of
       Silander, T. & Myllymaki, P. (2006), UAI.

    Examples
    --------
    >>> import numpy as np
    >>> from skfactorvae import CausalVAETransformer
    >>> rng = np.random.default_rng(0)
    >>> dose = rng.uniform(size=200)
    >>> response = dose**2 + 0.1 * rng.normal(size=200)
    >>> y = np.column_stack([dose, response])
    >>> X = y @ rng.normal(size=(2, 6)) + 0.05 * rng.normal(size=(200, 6))
    >>> graph = [[0, 1], [0, 0]]  # the dose is a cause of the response
    >>> vae = CausalVAETransformer(3, graph=graph, max_iter=50, random_state=0)
    >>> vae.fit(X, y).intervene({0: 0.9}, X).shape
    (200, 6)
    """

    n_components: int = parameter(
        default=10,
        kind="int",
        rules=[at_least(1)],
        description="""Number of latents, d: those of the attributes, and further ones
        for what no attribute explains.""",
        kw_only=False,
    )
    graph: Any = parameter(
        default=None,
        kind='array-like, DataFrame, "learn" or None',
        rules=["array-like", one_of(LEARN), None],
        description="""Causal graph of the attributes, of shape (n_attributes,
        n_attributes): one where the attribute of the row is a cause of that of the
        column, else zero, without cycles. A data frame has the attributes' names as
        index and columns. None has no edges; ``"learn"`` estimates them from the labels
        of at most eight attributes.""",
    )
    supervision: float = parameter(
        default=10.0,
        kind="float",
        rules=[POSITIVE],
        description="""Weight of the squared error of labels, alpha, > 0: the precision
        with which components equal standardised attributes.""",
    )
    beta: float = shared_parameter(BETA, default=1.0)
    structural_hidden_layer_sizes: Any = parameter(
        default=(32,),
        kind="int or array-like of int",
        rules=[at_least(1), "array-like"],
        description="Hidden layers of the structural equation of each attribute.",
    )

    _fitted_state = CAUSAL

    def _read_labels(self, X, y, weight, known_levels):
        return read_labels(X, y, weight, "continuous", None, known_levels)

    def _attributes(self, X, given, weight, previous):
        attributes = super()._attributes(X, given, weight, previous)
        if previous is None or not self._learns_graph:
            self.graph_ = self._graph_of(attributes, X, weight)
        return attributes

    @property
    def _learns_graph(self):
        return isinstance(self.graph, str) and self.graph == LEARN

    def _graph_of(self, attributes, X, weight):
        """Return the graph that is given, or the one of the labels, (m, m)."""
        names = [attribute.name for attribute in attributes]
        if not self._learns_graph:
            return check_graph(self.graph, names)
        if len(names) > MAX_LEARNED:
            raise ValueError(
                f"graph='learn' compares all graphs of at most {MAX_LEARNED} "
                f"attributes, but y has {len(names)} columns. Pass the graph."
            )
        labels = np.column_stack([attribute.labels for attribute in attributes])
        known = np.flatnonzero((weight > 0) & ~np.isnan(labels).any(axis=1))
        columns = list(labels[known].T)
        rows = known[distinct_samples(X, columns, weight, known)] if len(known) else []
        if len(rows) < MIN_LABELLED:
            raise ValueError(
                f"graph='learn' needs at least {MIN_LABELLED} distinct samples with "
                f"labels of all attributes, got {len(rows)}. Label more, or pass the "
                "graph."
            )
        return learn_graph(labels[known], weight[known])

    def _objective(self, targets=None):
        m, d = len(targets.attributes), int(self.n_components)
        if m > d:
            raise ValueError(
                f"The {m} attributes of y take a component each, but n_components={d}. "
                f"Raise n_components: components above {m} represent what no attribute "
                "explains."
            )
        return core.CausalVAE(
            beta=float(self.beta),
            supervision=float(self.supervision),
            graph=tuple(map(tuple, self.graph_.tolist())),
            structural_layer_sizes=self._layer_sizes,
        )

    @property
    def _layer_sizes(self):
        name = "structural_hidden_layer_sizes"
        return check_sizes(name, getattr(self, name))

    # ------------------------------------------------------------- attributes
    @property
    def structural_noise_(self):
        """Standard deviation of each attribute given its causes, in units of y."""
        check_is_fitted(self)
        m = len(self.graph_)
        _, scale = self._structural_moments(np.zeros((1, m)))
        return scale * self._units[1]

    def predict_attributes(self, X, error_scale=None):
        """Predict each attribute from its component.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Samples.
        error_scale : array-like of shape (n_samples, n_features), default=None
            Known standard deviations of the errors of X, in its units, as in ``fit``;
            infinite where a value is missing. None takes all values as exact.

        Returns
        -------
        values : ndarray of shape (n_samples, n_attributes), float64
            In the units of y, in the order of its columns.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If X has another number of features than in ``fit``, or values that are not
            finite numbers.
        """
        return self._in_units(self.posterior(X, error_scale)[0])

    def intervene(self, values, X, error_scale=None, *, return_attributes=False):
        r"""Return samples in which attributes are set to values, and effects follow.

        The noise of each structural equation is that of the sample,
        :math:`e_j = z_j - f_j(z_{\mathrm{pa}(j)})`. Attributes in ``values`` are set;
        those that depend on them become :math:`f_j(z'_{\mathrm{pa}(j)}) + e_j`, causes
        first; all other components stay as they are. This is the counterfactual of
        Pearl's three steps: abduction, action, prediction.

        Parameters
        ----------
        values : dict of (str or int) to (float or array-like of shape (n_samples,))
            Values of attributes in the units of y, by name or by index: one for all
            samples, or one for each.
        X : array-like of shape (n_samples, n_features)
            Samples before the intervention.
        error_scale : array-like of shape (n_samples, n_features), default=None
            Known standard deviations of the errors of X, as in ``transform``.
        return_attributes : bool, default=False
            Whether to return the attributes after the intervention, too.

        Returns
        -------
        X_new : ndarray or data frame of shape (n_samples, n_features)
            What the decoder expects after the intervention, without noise, as
            ``inverse_transform`` returns it.
        attributes : ndarray of shape (n_samples, n_attributes), float64
            Only with ``return_attributes``: in the units of y.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        TypeError
            If ``values`` is not a dict.
        ValueError
            If an attribute is unknown, a value is not finite or not one for each
            sample, or X cannot be used.
        """
        check_is_fitted(self)
        codes = self.posterior(X, error_scale)[0].astype(np.float64)
        given = self._standardised_values(values, len(codes))
        m = len(self.graph_)
        own = codes[:, :m]
        noise = own - self._structural_moments(own)[0]
        for j, value in given.items():
            own[:, j] = value
        for j in effects_of(self.graph_, given):
            if j not in given:
                own[:, j] = self._structural_moments(own)[0][:, j] + noise[:, j]
        after = self.inverse_transform(codes)
        return (after, self._in_units(codes)) if return_attributes else after

    def _standardised_values(self, values, n):
        """Return the values of an intervention in units of the codes, by index."""
        if not isinstance(values, Mapping):
            raise TypeError(
                "values must be a dict from attributes to numbers, as {'angle': 20.0}; "
                f"got {type(values).__name__}."
            )
        means, scales = self._units
        found = {}
        for key, value in values.items():
            j = self._index_of(key)
            if j in found:
                raise ValueError(f"values has attribute {key!r} twice.")
            number = np.asarray(value, dtype=np.float64)
            if number.shape not in ((), (n,)) or not np.isfinite(number).all():
                raise ValueError(
                    f"The value of attribute {key!r} must be a finite number, or one "
                    f"for each of the {n} samples; got shape {number.shape}"
                    f"{'' if np.isfinite(number).all() else ' with NaN or infinity'}."
                )
            found[j] = (number - means[j]) / scales[j]
        return found

    def _index_of(self, key):
        names = self.attribute_names_
        if isinstance(key, str) and key in names:
            return names.index(key)
        is_index = isinstance(key, Integral) and not isinstance(key, bool)
        if is_index and 0 <= key < len(names):
            return int(key)
        raise ValueError(
            f"values has the attribute {key!r}, expected a name of {list(names)} or an "
            f"index from 0 to {len(names) - 1}."
        )

    @property
    def _units(self):
        """Mean and scale of each attribute, (m,) each."""
        means, scales = zip(*self._attribute_scales, strict=True)
        return np.array(means), np.array(scales)

    def _in_units(self, codes):
        """Return attributes in units of y, (n, m), from codes (n, d)."""
        means, scales = self._units
        return codes[:, : len(means)] * scales + means

    def _structural_moments(self, codes):
        """Return means (n, m) and noise scales (m,) of attributes given causes."""
        sizes = self._model_spec["objective"]["structural_layer_sizes"]
        return core.structural_moments(self.weights_, self.graph_, tuple(sizes), codes)

    def _codes_of_noise(self, noise):
        """Return codes of the structural model from its noise, (n, d) float32."""
        codes = noise.astype(np.float64)
        m = len(self.graph_)
        own = codes[:, :m]
        scale = self._structural_moments(own[:1])[1]
        for j in causal_order(self.graph_):
            own[:, j] = self._structural_moments(own)[0][:, j] + scale[j] * noise[:, j]
        return codes.astype(np.float32)

    # -------------------------------------------------------------- restoring
    def _check_restored(self, reader):
        super()._check_restored(reader)
        if problem := self._attribute_problem():
            reader.refuse(f"its attributes of y do not fit its weights: {problem}.")

    def _attribute_problem(self):
        """Return what is wrong with restored attributes, or None."""
        m = len(self.attribute_names_)
        if not 0 < m <= len(self.kl_per_component_):
            return f"{m} attributes and {len(self.kl_per_component_)} components"
        lengths = {
            len(values)
            for values in (
                self.graph_,
                self.attribute_levels_,
                self.attribute_components_,
                self._attribute_places,
                self._attribute_scales,
            )
        }
        if lengths != {m}:
            return "their numbers differ"
        try:
            check_graph(self.graph_, self.attribute_names_)
            mean, scale = self._structural_moments(np.zeros((1, m)))
        except (LookupError, TypeError, ValueError, RuntimeError) as error:
            return str(error)[:200]
        if not (np.isfinite(mean).all() and np.isfinite(scale).all()):
            return "structural equations that are not finite"
        if not np.isfinite(np.array(self._attribute_scales, dtype=float)).all():
            return "scales that are not finite"
        return None
