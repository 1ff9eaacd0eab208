"""Choosing gamma, or anything else, without labels: and saying why."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.utils import check_random_state

from ..metrics import udr_score
from ._members import (
    MAX_SEED,
    active_codes,
    fit_all,
    last_step,
    reseeded,
    split_rows,
)
from ._scorers import elbo_scorer, measured

PERCENT = re.compile(r"(\d+(?:\.\d+)?)%")

NAMES = ("udr", "copula", "audit", "explained", "elbo")


# ------------------------------------------------------------------- constraints
def best_under_constraint(score, at_least):
    r"""Make a ``refit=`` that takes the best score among candidates that pass.

    Independence alone is won by codes that know nothing, agreement alone by codes that
    are few. Ask for a floor under one and the best of the other.

    Parameters
    ----------
    score : str
        Name of the score to be maximised, as in ``scoring=``: of a multimetric search.
    at_least : dict of str to float or str
        Floor of other scores' means over the folds: a number; "1se", within one
        standard error of the best candidate's mean; or a share such as "95%" of the
        best mean, which must be positive.

    Returns
    -------
    refit : callable
        Takes ``cv_results_`` and returns the index of the best candidate. If no
        candidate passes everything, it warns and takes the best of those that fail
        the fewest floors. Ties go to the first. Picklable.

    Raises
    ------
    ValueError
        If a floor cannot be read, or, when called, a score is not in the results.

    References
    ----------
    Breiman, Friedman, Olshen & Stone (1984), "Classification and regression trees",
    section 3.4.3, for the rule of one standard error.

    Examples
    --------
    >>> from sklearn.decomposition import PCA
    >>> from sklearn.model_selection import GridSearchCV
    >>> from skfactorvae.datasets import make_gaussian_peaks
    >>> from skfactorvae.model_selection import (
    ...     best_under_constraint,
    ...     copula_scorer,
    ...     explained_scorer,
    ... )
    >>> X, _ = make_gaussian_peaks(300, random_state=0)
    >>> search = GridSearchCV(
    ...     PCA(),
    ...     {"n_components": [1, 2, 4]},
    ...     scoring={"copula": copula_scorer, "explained": explained_scorer},
    ...     refit=best_under_constraint("copula", {"explained": "95%"}),
    ... )
    >>> search.fit(X).best_params_
    {'n_components': 4}
    """
    return _BestUnderConstraint(score, dict(at_least))


class _BestUnderConstraint:
    """The callable that :func:`best_under_constraint` makes."""

    def __init__(self, score, at_least):
        for name, floor in at_least.items():
            _check_floor(name, floor)
        self.score, self.at_least = score, at_least

    def __call__(self, cv_results):
        target = _of(cv_results, "mean", self.score)
        failed = np.zeros(len(target), dtype=int)
        for name, floor in self.at_least.items():
            failed += ~_passes(cv_results, name, floor)
        if failed.min() > 0:
            warnings.warn(
                f"No candidate passes at_least={self.at_least!r}; the best of those "
                f"that fail the fewest floors is taken. Best means: "
                f"{ {n: float(_best(cv_results, n)) for n in self.at_least} }.",
                UserWarning,
                stacklevel=2,
            )
        allowed = (failed == failed.min()) & np.isfinite(target)
        if not allowed.any():
            allowed = np.isfinite(target)
        return int(np.argmax(np.where(allowed, target, -np.inf)))

    def __repr__(self):
        return f"best_under_constraint({self.score!r}, {self.at_least!r})"


def _check_floor(name, floor):
    is_number = isinstance(floor, int | float | np.number)
    is_rule = isinstance(floor, str) and (floor == "1se" or PERCENT.fullmatch(floor))
    if isinstance(floor, bool) or not (is_number or is_rule):
        raise ValueError(
            f"at_least[{name!r}] must be a number, '1se', or a share of the best such "
            f"as '95%'; got {floor!r}."
        )


def _of(cv_results, what, name):
    key = f"{what}_test_{name}"
    if key not in cv_results:
        known = [k.removeprefix("mean_test_") for k in cv_results if "mean_test_" in k]
        raise ValueError(
            f"The search has no score named {name!r}; it has {known}. Give scoring= a "
            "dict with that name."
        )
    return np.asarray(cv_results[key], dtype=float)


def _best(cv_results, name):
    mean = _of(cv_results, "mean", name)
    return np.max(mean[np.isfinite(mean)], initial=-np.inf)


def _passes(cv_results, name, floor):
    mean, best = _of(cv_results, "mean", name), _best(cv_results, name)
    if floor == "1se":
        winner = int(np.argmax(np.where(np.isfinite(mean), mean, -np.inf)))
        n_splits = sum(
            bool(re.fullmatch(rf"split\d+_test_{name}", k)) for k in cv_results
        )
        error = _of(cv_results, "std", name)[winner] / np.sqrt(max(n_splits - 1, 1))
        return mean >= best - error
    if isinstance(floor, str):
        return mean >= best * float(floor.rstrip("%")) / 100
    return mean >= floor


# ------------------------------------------------------------------------- rules
def _mean(values):
    return np.where(np.isfinite(values), values, -np.inf).mean(axis=1)


def most_agreeing(scores):
    """Take the gamma whose seeds agree best."""
    return int(np.argmax(_mean(scores["udr"])))


def strongest_agreeing(scores):
    """Take the largest gamma within one standard error of the best agreement."""
    mean, best = _mean(scores["udr"]), most_agreeing(scores)
    values = scores["udr"][best]
    error = values.std(ddof=1) / np.sqrt(len(values))
    return int(np.flatnonzero(mean >= mean[best] - error)[-1])


def most_likely(scores):
    """Take the gamma with the best held-out ELBO."""
    return int(np.argmax(_mean(scores["elbo"])))


def most_independent(scores):
    """Take the gamma whose codes are the most independent, by a copula."""
    return int(np.argmax(_mean(scores["copula"])))


def hardest_to_tell(scores):
    """Take the gamma whose codes a classifier tells least from permuted ones."""
    return int(np.argmax(_mean(scores["audit"])))


def best_in_ranks(scores):
    """Take the gamma with the best sum of ranks in agreement and ELBO."""
    ranks = [_mean(scores[name]).argsort().argsort() for name in ("udr", "elbo")]
    return int(np.argmax(np.sum(ranks, axis=0)))


RULES = {
    "agreement": strongest_agreeing,
    "udr": most_agreeing,
    "elbo": most_likely,
    "copula": most_independent,
    "audit": hardest_to_tell,
    "ranks": best_in_ranks,
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
    """Choose gamma without labels, and explain the choice.

    Fits every gamma from several seeds on one part of the rows, measures on the other
    part how well seeds agree, how much codes explain, how independent they are and
    the ELBO, lets a rule choose, and fits the choice to all rows.

    No rule can know the true factors. What the rules have been worth on simulated
    tables, and where they failed, is in the user guide:
    :doc:`Choosing gamma without labels </selection>`.

    Parameters
    ----------
    estimator : estimator
        A transformer with a ``gamma``, or a pipeline with one in a step.
    X : array-like of shape (n_samples, n_features)
        Rows.
    gammas : array-like of float, default=(0.0, 3.0, 10.0, 30.0, 100.0)
        What to choose from; they are sorted.
    y : array-like of shape (n_samples,) or (n_samples, n_columns), default=None
        Passed to the fits, for transformers that learn from labels.
    param : str, default="gamma"
        Name of the parameter. In a pipeline, the step's name is found if only one
        step has it. Any other parameter can be chosen likewise; only the rule "elbo"
        has a meaning across numbers of components.
    n_seeds : int, default=5
        Fits of each gamma, at least 2.
    rule : str or callable, default="agreement"
        How to choose, of mean scores over the seeds:

        - "agreement": the largest gamma whose seeds agree as well as the best, up to
          one standard error;
        - "udr": the gamma whose seeds agree best;
        - "audit": the codes that a fresh classifier tells least from permuted ones;
        - "copula": the most independent codes, by a Gaussian copula;
        - "elbo": the best held-out ELBO;
        - "ranks": the best sum of ranks in agreement and ELBO.

        All but "elbo" are weighted by what the codes explain. A callable takes a dict
        of arrays of shape (n_gammas, n_seeds) and returns the number of a gamma.
    test_size : float, default=0.3
        Share of the rows on which fits are compared.
    refit : bool, default=True
        Whether to fit the choice to all rows.
    n_jobs : int, default=None
        Fits at the same time, as processes.
    random_state : int, RandomState instance or None, default=None
        Draws the split and the seeds. Every gamma gets the same seeds.

    Returns
    -------
    selection : GammaSelection
        The choice, what it rests on, and the fitted estimator. Printing it explains.

    Raises
    ------
    ValueError
        If the estimator has no such parameter, or several; if there are fewer than two
        gammas or seeds, or the rule is unknown.

    See Also
    --------
    gamma_path : One warm-started fit along gamma instead of many.

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
    gammas = checked_gammas(gammas)
    if not isinstance(n_seeds, Integral) or n_seeds < 2:
        raise ValueError(f"n_seeds must be an integer of at least 2; got {n_seeds!r}.")
    choose = _checked_rule(rule)
    name = parameter_name(estimator, param)
    rng = check_random_state(random_state)
    train, test, y_train = split_rows(
        X, y, test_size=test_size, random_state=rng.randint(MAX_SEED)
    )
    seed = rng.randint(MAX_SEED)
    clones = [
        each.set_params(**{name: gamma})
        for gamma in gammas
        for each in reseeded(estimator, seed, n_seeds)
    ]
    members = fit_all(clones, train, y_train, n_jobs=n_jobs)
    scores = scores_of(members, test, n_seeds)
    index = choose(scores)
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
    """What :func:`select_gamma` chose, and why.

    Parameters
    ----------
    param : str
        Full name of the parameter.
    gammas : ndarray of shape (n_gammas,)
        What there was to choose from.
    scores : dict of str to ndarray of shape (n_gammas, n_seeds)
        ``udr``, ``copula``, ``audit`` and ``explained``, in [0, 1], and ``active``,
        the number of active components; ``elbo``, in nats per row, where the
        estimator has one. Of rows that no fit saw; higher is better.
    rule : str
        Name of the rule that chose.
    best_index : int
        Number of the chosen gamma.
    best_estimator : estimator or None
        The choice fitted to all rows, or None without `refit`.

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
    >>> chosen = GammaSelection("gamma", gammas, scores, "agreement", 0, None)
    >>> chosen.best_gamma
    0.0
    >>> print(chosen)
    gamma=0 by the rule "agreement", of 2 gammas with 2 seeds each.
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
        """The gamma that was chosen."""
        return float(self.gammas[self.best_index])

    def __str__(self):
        head = (
            f'gamma={self.best_gamma:g} by the rule "{self.rule}", of '
            f"{len(self.gammas)} gammas with {self._n_seeds} seeds each."
        )
        reasons = [self._reason(n) for n in NAMES if n in self.scores]
        return "\n".join([head, *self._table(), *reasons, *self._cautions()])

    def to_frame(self):
        """Return the scores as a table with a row per gamma and seed.

        Returns
        -------
        frame : DataFrame
            Columns ``gamma``, ``seed``, and one per score. Needs pandas.
        """
        import pandas as pd

        columns = {name: values.ravel() for name, values in self.scores.items()}
        seeds = np.tile(np.arange(self._n_seeds), len(self.gammas))
        gammas = np.repeat(self.gammas, self._n_seeds)
        return pd.DataFrame({"gamma": gammas, "seed": seeds, **columns})

    def plot(self, ax=None):
        """Draw the scores along gamma: means, standard errors, and the choice.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        ax : matplotlib Axes
            Where it was drawn. The ELBO, in other units, is left out.
        """
        import matplotlib.pyplot as plt

        if ax is None:
            _, ax = plt.subplots(layout="constrained")
        place = np.arange(len(self.gammas))
        for name in NAMES[:-1]:
            if name in self.scores:
                mean, error = self._moments(name)
                ax.errorbar(place, mean, error, marker="o", capsize=2, label=name)
        ax.axvline(self.best_index, color="0.6", linestyle=":", label="chosen")
        ax.set_xticks(place, [f"{gamma:g}" for gamma in self.gammas])
        ax.set(xlabel=self.param, ylabel="score on rows held out", ylim=(0, 1.02))
        ax.legend(fontsize="small")
        return ax

    @property
    def _n_seeds(self):
        return next(iter(self.scores.values())).shape[1]

    def _moments(self, name):
        """Return mean and standard error over the seeds, per gamma."""
        values = self.scores[name]
        spread = values.std(axis=1, ddof=1) / np.sqrt(self._n_seeds)
        return values.mean(axis=1), spread

    def _table(self):
        names = [n for n in (*NAMES, "active") if n in self.scores]
        means = {name: self.scores[name].mean(axis=1) for name in names}
        width = {name: max(len(name), 5) + 1 for name in names}
        yield f"{'gamma':>8} " + " ".join(f"{n:>{width[n]}}" for n in names)
        for i, gamma in enumerate(self.gammas):
            mark = ">" if i == self.best_index else " "
            row = " ".join(f"{means[n][i]:{width[n]}.{_digits(n)}f}" for n in names)
            yield f"{mark}{gamma:7g} {row}"

    def _reason(self, name):
        mean, error = self._moments(name)
        first, second = np.argsort(-mean, kind="stable")[:2]
        return (
            f"{name}: gamma={self.gammas[first]:g} is best, {_with(mean, error, first)}"
            f"; next gamma={self.gammas[second]:g}, {_with(mean, error, second)}."
        )

    def _cautions(self):
        at_edge = self.best_index == len(self.gammas) - 1
        if at_edge and len(self.gammas) > 1:
            yield "The largest gamma was chosen: try larger ones."
        if "active" in self.scores and not self.scores["active"][self.best_index].all():
            yield "Some fits of it have no active component: they collapsed."
        if self.scores["udr"][self.best_index].mean() < WEAK_AGREEMENT:
            yield (
                "Seeds hardly agree on any component: do not interpret them one by one "
                "(see SeedEnsemble)."
            )


WEAK_AGREEMENT = 0.4


def _with(mean, error, i):
    return f"{mean[i]:.3f} +- {error[i]:.3f}"


def _digits(name):
    return {"elbo": 2, "active": 1}.get(name, 3)


# ------------------------------------------------------------------------ helpers
def parameter_name(estimator, param):
    """Return the full name of a parameter that the estimator or one step has."""
    known = estimator.get_params(deep=True)
    if param in known:
        return param
    found = sorted(name for name in known if name.endswith(f"__{param}"))
    if len(found) != 1:
        raise ValueError(
            f"{type(estimator).__name__} has {len(found)} parameters named {param!r} "
            f"in its steps: {found}. Give the full name of one, as 'vae__gamma' is."
        )
    return found[0]


def scores_of(members, X, n_seeds):
    """Return the label-free scores of fits, seeds innermost, (n_settings, n_seeds)."""
    tables = [active_codes(member, X) for member in members]
    groups = range(0, len(tables), n_seeds)
    parts = [measured(X, table) for table in tables]
    scores = {name: np.array([part[name] for part in parts]) for name in parts[0]}
    scores["active"] = np.array([table.any(axis=0).sum() for table in tables])
    if n_seeds > 1:
        agreement = [udr_score(tables[i : i + n_seeds]) for i in groups]
        scores["udr"] = scores["explained"] * np.concatenate(agreement)
    if hasattr(last_step(members[0]), "score_samples"):
        scores["elbo"] = np.array([elbo_scorer(member, X) for member in members])
    return {name: values.reshape(-1, n_seeds) for name, values in scores.items()}


def checked_gammas(gammas):
    """Return gammas as a sorted list of at least two different floats."""
    values = sorted({float(gamma) for gamma in np.ravel(gammas)})
    if len(values) < 2:
        raise ValueError(
            f"gammas must hold at least two different values, as (0, 10) does; got "
            f"{gammas!r}."
        )
    return values


def _checked_rule(rule):
    if callable(rule):
        return rule
    if rule not in RULES:
        raise ValueError(
            f"rule must be one of {sorted(RULES)} or callable; got {rule!r}."
        )
    return RULES[rule]
