"""Loadings: the mean derivative of the decoded sample, as of a linear model."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from sklearn.decomposition import PCA

from .._jacobian import jacobians
from .._pandas import import_pandas
from ._reading import as_table, check_unit, read

MAX_SAMPLES = 200
"""Samples at most over whose codes derivatives are averaged."""

SHOWN = 3
"""Features that a line of the printed report names."""


@dataclass(frozen=True)
class Loadings:
    """Loadings of each component; the result of :func:`loadings`.

    ``print`` it for one line per component.

    Parameters
    ----------
    components : ndarray of shape (n_latents, n_features)
        Mean derivative of each feature with respect to each component, in units of the
        feature per unit of the component.
    spread : ndarray of shape (n_latents, n_features)
        Standard deviation of the derivative over the samples; zero for a linear model.
    linearity : ndarray of shape (n_latents,)
        Squared length of the mean derivative divided by the mean squared length, with
        features in standard deviations; in [0, 1], 1 for a linear model. NaN for a
        component without an effect.
    cosines : ndarray of shape (n_latents, n_latents)
        Cosines of the angles between the loadings, with features in standard
        deviations.
    principal_cosines : ndarray of shape (n_latents, n_principal)
        The same between loadings and principal components of the complete samples;
        ``n_principal`` is zero if fewer than two samples are complete.
    overlap : float
        Mean squared cosine of the principal angles between the space of the loadings
        and that of as many principal components; in [0, 1]. At 1 the components are a
        rotation of principal components, or a linear mixture of them. NaN without
        principal components.
    unit : ndarray of shape (n_latents,)
        The unit of each component, in its code.
    feature_std : ndarray of shape (n_features,)
        Standard deviation of each feature.
    feature_names : ndarray of str, shape (n_features,)
        Names of the features.
    names : ndarray of str, shape (n_latents,)
        Names of the components.

    References
    ----------
    Rhodes & Lee (2021), "Local disentanglement in variational auto-encoders using
    Jacobian L1 regularization".

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.decomposition import PCA
    >>> from skfactorvae.inspection import loadings
    >>> X = np.random.default_rng(0).normal(size=(50, 3)) * [3, 2, 1]
    >>> found = loadings(PCA(2).fit(X), X)
    >>> found.linearity.round(6).tolist()
    [1.0, 1.0]
    """

    components: np.ndarray
    spread: np.ndarray
    linearity: np.ndarray
    cosines: np.ndarray
    principal_cosines: np.ndarray
    overlap: float
    unit: np.ndarray
    feature_std: np.ndarray
    feature_names: np.ndarray = field(repr=False)
    names: np.ndarray = field(repr=False)

    def to_frame(self):
        """Return the loadings as a data frame, one row per feature.

        Returns
        -------
        frame : pandas.DataFrame
            A column for each component, indexed by feature.

        Raises
        ------
        ImportError
            If pandas is not installed.
        """
        pd = import_pandas("to_frame()", "The same numbers are in .components.")
        index = pd.Index(self.feature_names, name="feature")
        return pd.DataFrame(self.components.T, index=index, columns=list(self.names))

    def __str__(self):
        return "\n".join([*map(self._line, range(len(self.components))), self._end()])

    def _line(self, j):
        size = self.components[j] / np.where(self.feature_std > 0, self.feature_std, 1)
        order = np.argsort(-np.abs(size), kind="stable")[:SHOWN]
        named = ", ".join(f"{self.feature_names[i]} {size[i]:+.2f}" for i in order)
        line = f"{self.names[j]}: {named}; linearity {self.linearity[j]:.2f}"
        cosines = np.abs(self.principal_cosines[j])
        if not len(cosines):
            return line
        nearest = int(cosines.argmax())
        return (
            f"{line}; |cosine| {cosines[nearest]:.2f} with principal component "
            f"{nearest}"
        )

    def _end(self):
        off = np.abs(self.cosines[~np.eye(len(self.cosines), dtype=bool)])
        largest = off.max() if len(off) else 0.0
        end = f"largest |cosine| of two components {largest:.2f}"
        if not self.principal_cosines.size:
            return f"no principal components: too few complete samples; {end}"
        return f"overlap with principal components {self.overlap:.2f}; {end}"


def loadings(estimator, X, *, unit="aggregate", feature_names=None):
    r"""Compute the loadings of each component: the mean Jacobian of the decoder.

    .. math:: L_{jk} = \mathbb{E}_{x}\left[\frac{\partial f_k}{\partial z_j}(z(x))
              \right]

    the mean derivative of feature :math:`k` of the decoded sample with respect to
    component :math:`j`, over the codes of samples, in the units of the table. For
    principal components and factor analysis these are the loadings themselves. A
    nonlinear decoder has other derivatives elsewhere: ``spread`` and ``linearity`` say
    how much, and :func:`factor_table` has the effects from end to end.

    Derivatives are central differences over a fifth of a unit.

    Parameters
    ----------
    estimator : estimator, Pipeline or search
        Fitted. See :func:`factor_table`.
    X : array-like of shape (n_samples, n_features)
        Samples, for the units and the codes; derivatives are averaged over 200 of them
        at most, evenly spaced.
    unit : {"aggregate", "posterior"}, default="aggregate"
        Standard deviation that is the unit of a component. See :func:`factor_table`.
    feature_names : array-like of str, default=None
        Names to use instead of those seen in ``fit`` or of the columns of X.

    Returns
    -------
    found : Loadings
        Arrays, ``to_frame()``, and a report when printed.

    Raises
    ------
    TypeError
        If the estimator has no components that can be decoded.
    ValueError
        If a step of the pipeline cannot be inverted, or a parameter is out of range.

    References
    ----------
    Rhodes & Lee (2021), "Local disentanglement in variational auto-encoders using
    Jacobian L1 regularization".

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.decomposition import PCA
    >>> from skfactorvae.inspection import loadings
    >>> X = np.random.default_rng(0).normal(size=(50, 3)) * [3, 2, 1]
    >>> pca = PCA(2).fit(X)
    >>> std = pca.transform(X).std(axis=0)
    >>> found = loadings(pca, X)
    >>> np.allclose(found.components, std[:, None] * pca.components_)
    True
    """
    check_unit(unit, ("aggregate", "posterior"))
    reading = read(estimator, feature_names, X)
    survey = reading.survey(X)
    some = np.linspace(0, len(survey.mean) - 1, MAX_SAMPLES).astype(int)
    some = np.unique(some)
    step, std = survey.step(unit), survey.feature_std
    scale = np.where(std > 0, std, 1.0)
    mean, spread, linearity = [], [], []
    for derivative in jacobians(reading.decode, survey.mean[some], step):
        mean.append(derivative.mean(axis=0))
        spread.append(derivative.std(axis=0))
        total = np.square(derivative / scale).sum(axis=1).mean()
        length = np.square(mean[-1] / scale).sum()
        linearity.append(length / total if total > 0 else np.nan)
    components = np.array(mean)
    directions = _directions(components / scale)
    principal = _principal(reading.numbers(as_table(X)), scale, len(components))
    return Loadings(
        components=components,
        spread=np.array(spread),
        linearity=np.array(linearity),
        cosines=directions @ directions.T,
        principal_cosines=directions @ principal.T,
        overlap=_overlap(directions, principal),
        unit=step,
        feature_std=std,
        feature_names=reading.feature_names,
        names=reading.component_names(len(components)),
    )


def _directions(rows):
    """Return rows of length one; zeros for those without a length."""
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.divide(rows, length, out=np.zeros_like(rows), where=length > 0)


def _principal(X, scale, n_components):
    """Return principal directions of columns in standard deviations, (r, p)."""
    X = X[np.isfinite(X).all(axis=1)]
    if len(X) < 2:
        return np.zeros((0, len(scale)))
    width = min(n_components, *X.shape)
    return PCA(width, random_state=0).fit(X / scale).components_


def _overlap(directions, principal):
    """Return the mean squared cosine of the principal angles of two spaces."""
    _, sizes, basis = np.linalg.svd(directions, full_matrices=False)
    basis = basis[sizes > 1e-8 * max(sizes.max(initial=0.0), 1e-300)]
    if not len(basis) or not len(principal):
        return float("nan")
    cosines = np.linalg.svd(basis @ principal.T, compute_uv=False)
    return float(np.mean(np.minimum(cosines, 1.0) ** 2))
