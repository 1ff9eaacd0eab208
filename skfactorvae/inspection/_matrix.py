"""Display of the association between components and known factors."""

from __future__ import annotations

import numpy as np

from .._inputs import columns
from .._matplotlib import one_axes, pyplot, title
from ..metrics import dci_scores, mean_correlation_score, mutual_information_matrix
from ._reading import chunks, names_of_codes, read


def _information(factors, codes, options):
    matrix, entropies = mutual_information_matrix(factors, codes, **options)
    return np.divide(matrix, entropies, out=np.zeros_like(matrix), where=entropies > 0)


def _correlation(factors, codes, options):
    each_factor, _ = columns(factors, "factors")
    matrix = np.zeros((codes.shape[1], len(each_factor)))
    for d, k in np.ndindex(matrix.shape):
        matrix[d, k] = mean_correlation_score(each_factor[k], codes[:, d], **options)
    return matrix


def _importances(factors, codes, options):
    return dci_scores(factors, codes, **options)["importances"]


METHODS = {
    "mutual_info": (_information, "share of entropy"),
    "correlation": (_correlation, "absolute rank correlation"),
    "dci": (_importances, "importance (DCI)"),
}


class FactorMatrixDisplay:
    """Matrix of the association of each component with each known factor, in [0, 1].

    Parameters
    ----------
    matrix : ndarray of shape (n_codes, n_factors)
        Association of each pair.
    factor_names, code_names : ndarray of str
        Names of the factors (columns) and of the components (rows).
    measure : str
        Name of the measure of association.

    Attributes
    ----------
    ax_ : Axes
        The axes drawn on.
    figure_ : Figure
        The figure of these axes.

    References
    ----------
    Eastwood & Williams (2018), "A framework for the quantitative evaluation of
    disentangled representations", Figure 2, for importances; Chen et al. (2018),
    "Isolating sources of disentanglement in VAEs", Eq. 6, for mutual information.

    Examples
    --------
    >>> import numpy as np
    >>> from skfactorvae.inspection import FactorMatrixDisplay
    >>> factors = np.random.default_rng(0).normal(size=(500, 2))
    >>> codes = factors[:, ::-1] ** 3
    >>> display = FactorMatrixDisplay.from_codes(
    ...     factors, codes, method="correlation"
    ... )
    >>> display.matrix.round(1)
    array([[0., 1.],
           [1., 0.]])
    """

    def __init__(self, matrix, factor_names, code_names, measure):
        self.matrix = matrix
        self.factor_names = factor_names
        self.code_names = code_names
        self.measure = measure

    @classmethod
    def from_estimator(
        cls,
        estimator,
        /,
        X,
        factors,
        *,
        method="mutual_info",
        factor_names=None,
        metric_params=None,
        **options,
    ):
        """Compare the codes of a fitted estimator with known factors.

        Parameters
        ----------
        estimator : estimator, Pipeline or search
            Fitted.
        X : array-like of shape (n_samples, n_features)
            Samples.
        factors : array-like of shape (n_samples, n_factors) or (n_samples,)
            Their known factors.
        method : {"mutual_info", "correlation", "dci"}, default="mutual_info"
            See :meth:`from_codes`.
        factor_names : array-like of str, default=None
            Names of the factors. None takes the columns of a DataFrame.
        metric_params : dict, default=None
            See :meth:`from_codes`.
        **options : object
            Passed to the metric, such as ``estimator="hist"`` for "dci".

        Returns
        -------
        display : FactorMatrixDisplay
            Ready to plot.

        Raises
        ------
        TypeError
            If the estimator has no components.
        ValueError
            If the method is unknown, or factors and samples differ in number.
        """
        codes = codes_of(estimator, X)
        display = cls.from_codes(
            factors,
            codes,
            method=method,
            factor_names=factor_names,
            metric_params=metric_params,
            **options,
        )
        display.code_names = read(estimator).component_names(codes.shape[1])
        return display

    @classmethod
    def from_codes(
        cls,
        factors,
        codes,
        *,
        method="mutual_info",
        factor_names=None,
        metric_params=None,
        **options,
    ):
        """Compare codes with known factors.

        Parameters
        ----------
        factors : array-like of shape (n_samples, n_factors) or (n_samples,)
            Known factors.
        codes : array-like of shape (n_samples, n_codes)
            Codes, one column for each component; those of a data frame name them.
        method : {"mutual_info", "correlation", "dci"}, default="mutual_info"
            Measure of association: the mutual information as a share of the factor's
            entropy, the absolute rank correlation, or the importance of the component
            in a predictor of the factor (DCI).
        factor_names : array-like of str, default=None
            Names of the factors. None takes the columns of a DataFrame.
        metric_params : dict, default=None
            Options of the metric, where one is called as an argument of this function:
            ``{"method": "pearson"}`` for "correlation".
        **options : object
            Passed to :func:`~skfactorvae.metrics.mutual_information_matrix`,
            :func:`~skfactorvae.metrics.mean_correlation_score` or
            :func:`~skfactorvae.metrics.dci_scores`.

        Returns
        -------
        display : FactorMatrixDisplay
            Ready to plot.

        Raises
        ------
        ValueError
            If the method is unknown, factors and codes differ in number of samples, or
            there is not one name for each factor.
        """
        if method not in METHODS:
            raise ValueError(
                f"method must be one of {sorted(METHODS)}, got {method!r}."
            )
        _, names = columns(factors, "factors", "factor ")
        codes, table = np.asarray(codes), codes
        measure, label = METHODS[method]
        options |= metric_params or {}
        if method == "correlation" and options.get("method") == "pearson":
            label = "absolute Pearson correlation"
        matrix = measure(factors, codes, options)
        given = list(names if factor_names is None else factor_names)
        if len(given) != len(names):
            raise ValueError(
                f"factor_names has {len(given)} names for {len(names)} factors; give "
                "one for each."
            )
        return cls(
            matrix,
            np.array([str(name) for name in given], dtype=object),
            names_of_codes(table, len(matrix)),
            label,
        )

    def plot(self, ax=None, *, cmap="cividis"):
        """Plot the matrix, with the numbers in its cells.

        Parameters
        ----------
        ax : Axes, default=None
            Axes to draw on. None makes a figure.
        cmap : str or Colormap, default="cividis"
            Colours of values from 0 to 1.

        Returns
        -------
        self : FactorMatrixDisplay
            With ``ax_`` and ``figure_``.
        """
        n_codes, n_factors = self.matrix.shape
        ax = one_axes(ax, (1.6 + 0.85 * n_factors, 1.2 + 0.42 * n_codes))
        draw_grid(ax, self.matrix, "{:.2f}", cmap, limits=(0, 1))
        ax.set_xticks(range(n_factors), self.factor_names)
        ax.set_yticks(range(n_codes), self.code_names)
        if max(map(len, self.factor_names)) > 10:
            ax.tick_params("x", rotation=30)
            for tick in ax.get_xticklabels():
                tick.set_ha("right")
        ax.set_xlabel("known factor", fontsize=9)
        title(ax, self.measure)
        self.ax_, self.figure_ = ax, ax.figure
        return self


def codes_of(estimator, X):
    """Return the codes of samples, (n, d), computed in chunks."""
    reading = read(estimator)
    width = len(reading.feature_names)
    return np.concatenate(
        [reading.shown_moments(chunk)[0] for chunk in chunks(X, width)]
    )


def draw_grid(ax, matrix, form, cmap, *, limits=None, texts=None):
    """Draw a matrix as coloured cells with their numbers in readable contrast."""
    colours = pyplot().get_cmap(cmap)
    image = ax.imshow(matrix, cmap=colours, aspect="auto")
    if limits:
        image.set_clim(*limits)
    for i, j in np.ndindex(matrix.shape):
        if not np.isfinite(matrix[i, j]):
            continue
        r, g, b, _ = colours(image.norm(matrix[i, j]))
        ax.text(
            j,
            i,
            texts[i][j] if texts is not None else form.format(matrix[i, j]),
            ha="center",
            va="center",
            fontsize=8,
            color="black" if 0.3 * r + 0.6 * g + 0.1 * b > 0.5 else "white",
        )
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0, labelsize=9)
    ax.set_xticks(np.arange(matrix.shape[1] + 1) - 0.5, minor=True)
    ax.set_yticks(np.arange(matrix.shape[0] + 1) - 0.5, minor=True)
    ax.grid(which="minor", color="white", linewidth=2)
    ax.tick_params(which="minor", length=0)
