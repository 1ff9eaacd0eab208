"""Label-free selection of gamma or another parameter, with the reasons in print."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
from scipy import stats
from sklearn.base import clone
from sklearn.utils import check_random_state

from .._matplotlib import GREY, LEVELS, one_axes, tidy, title
from .._pandas import import_pandas
from ..metrics import udr_score
from ._members import (
    MAX_SEED,
    active_codes,
    clones_with_seeds,
    find_latent_model,
    fit_all,
    split_samples,
)
from ._scorers import elbo_scorer, score_fit

SCORE_NAMES = ("udr", "copula", "audit", "explained", "elbo")
SCORE_COLOURS = dict(zip(SCORE_NAMES, LEVELS, strict=False))


# ------------------------------------------------------------------------- rules
def _mean(values):
    return np.where(np.isfinite(values), values, -np.inf).mean(axis=1)


def best_udr(scores):
    """Return the index of the gamma with the best agreement between seeds."""
    return int(np.argmax(_mean(scores["udr"])))


def largest_within_one_se(scores):
    """Return the index of the largest gamma within a standard error of the best UDR."""
    mean, best = _mean(scores["udr"]), best_udr(scores)
    values = scores["udr"][best]
    error = values.std(ddof=1) / np.sqrt(len(values))
    return int(np.flatnonzero(mean >= mean[best] - error)[-1])


def best_elbo(scores):
    """Return the index of the gamma with the best held-out ELBO."""
    return int(np.argmax(_mean(scores["elbo"])))


def best_copula(scores):
    """Return the index of the gamma with the best independence by a copula."""
    return int(np.argmax(_mean(scores["copula"])))


def best_audit(scores):
    """Return the index of the gamma with the best independence by a classifier."""
    return int(np.argmax(_mean(scores["audit"])))


def best_rank_sum(scores):
    """Return the index of the gamma with the best sum of ranks in UDR and ELBO."""
    ranks = [_mean(scores[name]).argsort().argsort() for name in ("udr", "elbo")]
    return int(np.argmax(np.sum(ranks, axis=0)))


RULES = {
    "agreement": largest_within_one_se,
    "udr": best_udr,
    "elbo": best_elbo,
    "copula": best_copula,
    "audit": best_audit,
    "ranks": best_rank_sum,
}


# -------------------------------------------------------------------- select_gamma
def select_gamma(
    estimator,
    X,
    gammas=(0.0, 3.0, 10.0, 30.0, 100.0),
    *,
    y=None,
    param="gamma",
    n_seeds=5,
    rule="agreement",
    test_size=0.3,
    refit=True,
    n_jobs=None,
    random_state=None,
):
    """Select gamma without labels, and report the reasons.

    Every gamma is fitted from several seeds on one part of the samples. On the other
    part, the fits are scored by the agreement between seeds, the variance that the
    codes explain, the independence of the codes, and the ELBO. A rule selects a gamma
    by these scores, and the selected gamma is fitted to all samples.

    No rule has access to the true factors. The user guide reports how well the rules
    do on simulated datasets, and when they fail:
    :doc:`Choosing gamma without labels </selection>`.

    Parameters
    ----------
    estimator : estimator
        A transformer with a parameter ``gamma``, or a pipeline with such a step. An
        imputer may come before it and a classifier after it.
    X : array-like of shape (n_samples, n_features)
        Samples. Values may be missing. The explained variance then counts observed
        values only, or, after an imputer, imputed ones, too.
    gammas : array-like of float, default=(0.0, 3.0, 10.0, 30.0, 100.0)
        Candidates, at least two different ones. They are sorted in increasing order.
    y : array-like of shape (n_samples,) or (n_samples, n_columns), default=None
        Passed to the fits, for transformers that learn from labels.
    param : str, default="gamma"
        Name of the parameter. In a pipeline, the prefix with the step's name is found
        if only one step has the parameter. Other numeric parameters can be selected in
        the same way; across numbers of components, only the rule "elbo" is meaningful.
    n_seeds : int, default=5
        Number of fits of each gamma, at least 2.
    rule : str or callable, default="agreement"
        Selection rule, applied to the mean scores over the seeds:

        - "agreement": the largest gamma whose agreement between seeds (UDR) is within
          one standard error of the best;
        - "udr": the best agreement between seeds;
        - "audit": the codes that a classifier discriminates least from permuted codes;
        - "copula": the most independent codes, by a Gaussian copula;
        - "elbo": the best held-out ELBO;
        - "ranks": the best sum of ranks in UDR and ELBO.

        All scores except the ELBO are multiplied by the explained variance. A callable
        takes the dict of scores, arrays of shape (n_gammas, n_seeds), and returns the
        index of a gamma.
    test_size : float, default=0.3
        Share of the samples that is held out for scoring, in (0, 1).
    refit : bool, default=True
        Whether to fit the selected gamma to all samples.
    n_jobs : int, default=None
        Number of processes that fit at the same time; -1 uses all cores, None one.
    random_state : int, RandomState instance or None, default=None
        Determines the split and the seeds. The seeds are the same for every gamma.

    Returns
    -------
    selection : GammaSelection
        The selected gamma, the scores and the fitted estimator. It prints as a table
        with the reasons.

    Raises
    ------
    TypeError
        If the estimator contains no transformer.
    ValueError
        If no parameter or several have the name `param`, if the estimator has no
        ``random_state``, if there are fewer than two gammas or seeds or some gammas are
        not finite, or if the rule is unknown or needs a score that the transformer does
        not have.

    See Also
    --------
    gamma_path : Fit a warm-started path along gamma instead of several seeds.

    References
    ----------
    Duan et al. (2020), "Unsupervised model selection for variational disentangled
    representation learning", ICLR, for the agreement between seeds.

    Breiman, Friedman, Olshen & Stone (1984), "Classification and regression trees",
    section 3.4.3, for the rule of one standard error.

    Examples
    --------
    >>> from skfactorvae import FactorVAETransformer
    >>> from skfactorvae.datasets import make_nonlinear_ica
    >>> from skfactorvae.model_selection import select_gamma
    >>> X, _ = make_nonlinear_ica(300, n_sources=2, n_features=8, random_state=0)
    >>> vae = FactorVAETransformer(2, max_iter=100, hidden_layer_sizes=16)
    >>> selection = select_gamma(vae, X, [0, 10], n_seeds=2, random_state=0)
    >>> selection.scores["udr"].shape, selection.best_gamma in (0, 10)
    ((2, 2), True)
    >>> selection.best_estimator.transform(X).shape
    (300, 2)
    """
    name = find_parameter(estimator, param, {"random_state"})
    gammas = check_gammas(gammas, estimator.get_params()[name])
    if not isinstance(n_seeds, Integral) or n_seeds < 2:
        raise ValueError(f"n_seeds must be an integer of at least 2; got {n_seeds!r}.")
    select = _check_rule(rule, find_latent_model(estimator).model)
    rng = check_random_state(random_state)
    train, test, y_train = split_samples(
        X, y, test_size=test_size, random_state=rng.randint(MAX_SEED)
    )
    seed = rng.randint(MAX_SEED)
    clones = [
        each.set_params(**{name: gamma})
        for gamma in gammas
        for each in clones_with_seeds(estimator, seed, n_seeds)
    ]
    members = fit_all(clones, train, y_train, n_jobs=n_jobs)
    scores = score_fits(members, test, n_seeds)
    index = select(scores)
    central = index * n_seeds + int(np.argmax(scores["udr"][index]))
    return GammaSelection(
        param=name,
        gammas=np.array(gammas),
        scores=scores,
        rule=rule if isinstance(rule, str) else getattr(rule, "__name__", repr(rule)),
        best_index=index,
        best_estimator=clone(clones[central]).fit(X, y) if refit else None,
    )


@dataclass(frozen=True)
class GammaSelection:
    """Result of :func:`select_gamma`: the selected gamma and the scores.

    Parameters
    ----------
    param : str
        Full name of the parameter. Texts and tables call it by its last part.
    gammas : ndarray of shape (n_gammas,)
        Candidates, increasing; integers for a parameter that is one.
    scores : dict of str to ndarray of shape (n_gammas, n_seeds)
        Scores of held-out samples: ``udr``, ``copula``, ``audit`` and ``explained``, in
        [0, 1], 1 is best; ``active``, the number of active components; and ``elbo``, in
        nats per sample, higher is better, if the estimator has one.
    rule : str
        Name of the selection rule.
    best_index : int
        Index of the selected gamma.
    best_estimator : estimator or None
        The selected gamma fitted to all samples, or None without `refit`.

    References
    ----------
    Duan et al. (2020), "Unsupervised model selection for variational disentangled
    representation learning".

    Examples
    --------
    >>> import numpy as np
    >>> from skfactorvae.model_selection import GammaSelection
    >>> scores = {"udr": np.array([[0.8, 0.9], [0.5, 0.6]])}
    >>> gammas = np.array([0.0, 10.0])
    >>> selection = GammaSelection("gamma", gammas, scores, "agreement", 0, None)
    >>> selection.best_gamma
    0.0
    >>> print(selection)
    Selected gamma=0 by the rule "agreement" from 2 values with 2 seeds each.
       gamma    udr
    >      0  0.850
          10  0.550
    udr: gamma=0 is best, 0.850 +- 0.050; next gamma=10, 0.550 +- 0.050.
    """

    param: str
    gammas: np.ndarray
    scores: dict[str, np.ndarray]
    rule: str
    best_index: int
    best_estimator: Any

    @property
    def best_gamma(self):
        """Selected gamma."""
        return self.gammas[self.best_index].item()

    def __str__(self):
        head = (
            f'Selected {self._label}={self.best_gamma:g} by the rule "{self.rule}" '
            f"from {len(self.gammas)} values with {self._n_seeds} seeds each."
        )
        reasons = [self._reason(n) for n in SCORE_NAMES if n in self.scores]
        return "\n".join([head, *self._table(), *reasons, *self._warnings()])

    def to_frame(self):
        """Return the scores as a table with a row per gamma and seed.

        Returns
        -------
        frame : DataFrame
            Columns ``gamma`` (or the parameter's name), ``seed``, and one per score.

        Raises
        ------
        ImportError
            If pandas is not installed.
        """
        pd = import_pandas("to_frame()", "The same numbers are in .scores.")

        columns = {name: values.ravel() for name, values in self.scores.items()}
        seeds = np.tile(np.arange(self._n_seeds), len(self.gammas))
        gammas = np.repeat(self.gammas, self._n_seeds)
        return pd.DataFrame({self._label: gammas, "seed": seeds, **columns})

    def plot(self, ax=None):
        """Plot the mean scores along gamma, with standard errors and the selection.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to plot on; None creates a figure.

        Returns
        -------
        ax : matplotlib Axes
            The axes of the plot. The ELBO, which has other units, is left out.
        """
        ax = gamma_axes(ax, self.gammas, self.param, "scores without labels")
        place = np.arange(len(self.gammas))
        for name in SCORE_NAMES[:-1]:
            if name in self.scores:
                mean, error = self._moments(name)
                ax.errorbar(place, mean, error, capsize=2, **score_style(name))
        ax.axvline(self.best_index, color=GREY, ls=(0, (4, 3)), label="selected")
        return with_legend(ax)

    @property
    def is_flat(self):
        """Whether no score depends on gamma by more than its variation between seeds.

        For each score, a two-way analysis of variance without interaction compares the
        variation between gammas with the residual, at a level of 5 %.
        """
        return all(p_value > FLAT_LEVEL for p_value in self._p_values().values())

    def _p_values(self):
        names = [name for name in SCORE_NAMES if name in self.scores]
        return {name: setting_p_value(self.scores[name]) for name in names}

    @property
    def _label(self):
        return short_name(self.param)

    @property
    def _n_seeds(self):
        return next(iter(self.scores.values())).shape[1]

    def _moments(self, name):
        """Return mean and standard error over the seeds, each (n_gammas,)."""
        values = self.scores[name]
        spread = values.std(axis=1, ddof=1) / np.sqrt(self._n_seeds)
        return values.mean(axis=1), spread

    def _table(self):
        names = [n for n in (*SCORE_NAMES, "active") if n in self.scores]
        means = {name: self.scores[name].mean(axis=1) for name in names}
        width = {name: max(len(name), 5) + 1 for name in names}
        first = max(len(self._label), 7)
        yield f" {self._label:>{first}} " + " ".join(f"{n:>{width[n]}}" for n in names)
        for i, gamma in enumerate(self.gammas):
            mark = ">" if i == self.best_index else " "
            row = " ".join(f"{means[n][i]:{width[n]}.{_digits(n)}f}" for n in names)
            yield f"{mark}{gamma:{first}g} {row}"

    def _reason(self, name):
        mean, error = self._moments(name)
        first, second = np.argsort(-mean, kind="stable")[:2]
        best, next_best = (f"{mean[i]:.3f} +- {error[i]:.3f}" for i in (first, second))
        return (
            f"{name}: {self._label}={self.gammas[first]:g} is best, {best}; next "
            f"{self._label}={self.gammas[second]:g}, {next_best}."
        )

    def _warnings(self):
        if self.is_flat:
            smallest = min(self._p_values().values())
            yield (
                f"Flat: no score depends on {self._label} by more than its variation "
                f"between seeds (smallest p-value {smallest:.2f}).{self._why_flat()}"
            )
        at_edge = self.best_index == len(self.gammas) - 1
        if at_edge and len(self.gammas) > 1:
            yield f"The largest {self._label} was selected: try larger ones."
        if "active" in self.scores and not self.scores["active"][self.best_index].all():
            yield (
                f"Some fits with the selected {self._label} have no active component "
                "(posterior collapse)."
            )
        if self.scores["udr"][self.best_index].mean() < WEAK_AGREEMENT:
            yield (
                "Seeds hardly agree on the components: do not interpret single "
                "components before checking their stability (see SeedEnsemble)."
            )

    def _why_flat(self):
        """Return why a selection may be flat, from independence at the lowest gamma."""
        if "audit" not in self.scores:
            return ""
        audit, explained = (self.scores[n][0].mean() for n in ("audit", "explained"))
        if explained > 0 and audit > INDEPENDENT_SHARE * explained:
            return (
                f" With {self._label}={self.gammas[0]:g}, components are nearly "
                "independent already, so that there is little to penalise."
            )
        return (
            " Components depend on each other at all values: try larger ones, more "
            "seeds or more steps."
        )


FLAT_LEVEL = 0.05
"""Level of the test of flatness."""

INDEPENDENT_SHARE = 0.9
"""Independence by a classifier, as a share of the best possible, above which components
count as nearly independent."""

WEAK_AGREEMENT = 0.4
"""UDR times explained variance below which a selection is printed with a warning."""


def _digits(name):
    return {"elbo": 2, "active": 1}.get(name, 3)


def setting_p_value(scores):
    """Compute the p-value of an effect of settings, given paired seeds.

    Two-way analysis of variance without interaction.

    Parameters
    ----------
    scores : ndarray of shape (n_settings, n_seeds)

    Returns
    -------
    float
        One if all scores are equal or one is not finite.
    """
    n_settings, n_seeds = scores.shape
    if not np.isfinite(scores).all():
        return 1.0
    settings, seeds = scores.mean(axis=1), scores.mean(axis=0)
    residual = scores - settings[:, None] - seeds + scores.mean()
    freedom = n_settings - 1, (n_settings - 1) * (n_seeds - 1)
    between = n_seeds * settings.var(ddof=1)
    within = np.square(residual).sum() / freedom[1]
    if between <= ROUNDING * np.square(scores).mean():
        return 1.0
    return float(stats.f.sf(between / within, *freedom)) if within > 0 else 0.0


ROUNDING = 1e-12
"""Variance between settings, relative to the mean square, that is rounding."""


# ------------------------------------------------------------------- shared helpers
def gamma_axes(ax, gammas, label, about):
    """Return axes for scores in [0, 1], with a tick for each gamma; new ones for None.

    Gamma k is at position k.
    """
    ax = one_axes(ax, (5.2, 3.4))
    ax.set_xticks(np.arange(len(gammas)), [f"{gamma:g}" for gamma in gammas])
    ax.set_ylim(0, 1.02)
    ax.set_xlabel(label, fontsize=9)
    ax.set_ylabel("score on held-out samples", fontsize=9)
    tidy(ax, grid="y")
    title(ax, about)
    return ax


def score_style(name):
    """Return how a score is drawn, in all plots alike."""
    return {"color": SCORE_COLOURS[name], "marker": "o", "ms": 4, "label": name}


def with_legend(ax):
    """Add a legend beside the axes, where it hides nothing, and return the axes."""
    ax.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return ax


def short_name(param):
    """Return the name of a parameter without those of the steps that contain it."""
    return param.split("__")[-1]


def find_parameter(estimator, param, occupied=()):
    """Return the full name of a parameter of the estimator or of one of its steps.

    Raises
    ------
    ValueError
        If no parameter or several have this name, or it is in `occupied`, the names of
        parameters that the caller sets itself.
    """
    if short_name(param) in occupied:
        raise ValueError(
            f"param={param!r} cannot be compared: it is set for each fit. Name another "
            "parameter."
        )
    known = estimator.get_params(deep=True)
    if param in known:
        return param
    found = sorted(name for name in known if name.endswith(f"__{param}"))
    if len(found) != 1:
        raise ValueError(
            f"{type(estimator).__name__} must have one parameter named {param!r}, "
            f"itself or in a step; got {found or 'none'}. Pass an estimator that has "
            f"one, or its full name as param, such as 'vae__gamma'."
        )
    return found[0]


def score_fits(members, X, n_seeds):
    """Return the label-free scores of fits.

    Parameters
    ----------
    members : list of estimator
        Fits, ordered by setting and then by seed.
    X : array-like of shape (n_samples, n_features)
        Held-out samples.
    n_seeds : int
        Number of seeds of each setting.

    Returns
    -------
    scores : dict of str to ndarray of shape (n_settings, n_seeds)
        As in :class:`GammaSelection`; no ``udr`` for a single seed.
    """
    tables = [active_codes(member, X) for member in members]
    groups = range(0, len(tables), n_seeds)
    parts = [
        score_fit(member, X, table)
        for member, table in zip(members, tables, strict=True)
    ]
    scores = {name: np.array([part[name] for part in parts]) for name in parts[0]}
    scores["active"] = np.array([table.any(axis=0).sum() for table in tables])
    if n_seeds > 1:
        agreement = [udr_score(tables[i : i + n_seeds]) for i in groups]
        scores["udr"] = scores["explained"] * np.concatenate(agreement)
    if hasattr(find_latent_model(members[0]).model, "score_samples"):
        scores["elbo"] = np.array([elbo_scorer(member, X) for member in members])
    return {name: values.reshape(-1, n_seeds) for name, values in scores.items()}


def check_gammas(gammas, current):
    """Return gammas as a sorted list of at least two different numbers.

    Floats become integers for a parameter that is an integer.

    Parameters
    ----------
    gammas : array-like of float
    current : object
        Value of the parameter in the estimator.

    Raises
    ------
    ValueError
        If there are fewer than two, or some are not finite numbers.
    """
    given = np.ravel(gammas)
    if given.dtype.kind not in "iuf" or not np.isfinite(given).all():
        raise ValueError(f"gammas must be finite numbers; got {gammas!r}.")
    values = np.unique(given).tolist()
    if len(values) < 2:
        raise ValueError(
            f"gammas must contain at least two different values, such as (0, 10); got "
            f"{gammas!r}."
        )
    is_count = isinstance(current, Integral) and not isinstance(current, bool)
    if is_count and all(float(value).is_integer() for value in values):
        return [int(value) for value in values]
    return values


def _check_rule(rule, model):
    if callable(rule):
        return rule
    if rule not in RULES:
        raise ValueError(
            f"rule must be one of {sorted(RULES)} or callable; got {rule!r}."
        )
    if rule in ("elbo", "ranks") and not hasattr(model, "score_samples"):
        raise ValueError(
            f"rule={rule!r} needs score_samples, which {type(model).__name__} does not "
            "have. Use another rule, such as 'agreement'."
        )
    return RULES[rule]
