"""Report of all metrics of one table, with standard errors."""

import numbers
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from sklearn.utils import Bunch, check_random_state

from .._pandas import import_pandas
from .._undefined import collected_undefined
from ._binning import check_binning
from ._chance import significant
from ._correlation import mean_correlation_score
from ._dci import dci_scores
from ._explicitness import explicitness_score
from ._infomec import infomec_scores
from ._information_scores import (
    dcimig_score,
    informative_part,
    jemmig_score,
    mig_sup_score,
    modularity_score,
    per_code_modularity,
)
from ._mutual_information import information, mutual_info_gap_score
from ._robustness import interventional_robustness_score
from ._sap import sap_score
from ._unsupervised import (
    code_mutual_info,
    gaussian_total_correlation,
    gaussian_wasserstein_correlation,
)
from ._validation import (
    check_int,
    check_table,
    constant_factors,
    take_factors,
    take_rows,
)
from ._votes import beta_vae_score, factor_vae_score

JACKKNIFE, BINOMIAL = "jackknife", "binomial"
N_EVAL = 5_000


class Entry(NamedTuple):
    """One entry of the report: its function, names, error and reference values."""

    function: Any  # of (table, settings); a float, or a dict of floats by name
    names: tuple[str, ...]
    error: str | None  # method of the standard error
    chance: tuple[str, ...]  # by name, the value for uninformative codes: "0", "1/K"
    best: float
    fast: bool


class DisentanglementReport(Bunch):
    """Result of :func:`disentanglement_report`, which prints as text."""

    def to_frame(self):
        """Return the scores as a data frame, one row per metric.

        Returns
        -------
        frame : pandas.DataFrame
            Columns ``score``, ``std_error``, ``chance`` and ``best``, indexed by
            metric.

        Raises
        ------
        ImportError
            If pandas is not installed.
        """
        pd = import_pandas(
            "to_frame()",
            "The same numbers are in .scores, .std_errors, .chance and .best.",
        )
        columns = {
            "score": self.scores,
            "std_error": self.std_errors,
            "chance": self.chance,
            "best": self.best,
        }
        return pd.DataFrame(columns, index=pd.Index(self.scores, name="metric"))

    def __str__(self):
        return "\n".join(
            [
                _title(self),
                "",
                *_score_lines(self),
                "",
                *_factor_lines(self),
                "",
                *_component_lines(self),
                *_reasons("skipped", self.skipped),
                *_reasons("notes", self.notes),
            ]
        )

    def __repr__(self):
        return str(self)


def disentanglement_report(
    factors,
    codes,
    *,
    metrics="fast",
    n_bins=20,
    factor_types="auto",
    n_blocks=10,
    dci_estimator="gradient_boosting",
    n_jobs=None,
    random_state=0,
):
    """Report disentanglement metrics, their errors, and the factor of each component.

    Metrics are of several families, because they disagree in important cases: rotated
    codes have a BetaVAE score of 0.96 and a MIG of 0.26. Quantile bins are used
    throughout, so that values differ from those with the defaults of the functions.
    The value of every metric depends on the number of samples.

    Parameters
    ----------
    factors : array-like of shape (n_samples, n_factors) or (n_samples,)
        The true factors; NaN means unlabelled. See :func:`mutual_information_matrix`.
    codes : array-like of shape (n_samples, n_codes) or (n_samples,)
        Codes, one column per component, finite.
    metrics : {"fast", "all"} or sequence of str, default="fast"
        "all" adds explicitness, InfoMEC and DCI by `dci_estimator`, which may take
        minutes. A sequence holds names of scores.
    n_bins : int, default=20
        Bins per component and per continuous factor.
    factor_types : {"auto", "discrete", "continuous"} or sequence, default="auto"
        Type of all factors, or of each; the report prints the type of each factor.
    n_blocks : int, default=10
        Blocks of samples of the delete-one-block jackknife for standard errors; 0
        omits them. Scores by votes have binomial errors. The errors are those of
        sampling; the values of fits with other seeds usually differ by more.
    dci_estimator : str or estimator, default="gradient_boosting"
        Passed to :func:`dci_scores`.
    n_jobs : int, default=None
        Passed to :func:`dci_scores`.
    random_state : int, RandomState instance or None, default=0
        Seed of splits, votes and blocks, the same for every metric and block.

    Returns
    -------
    report : DisentanglementReport
        A Bunch that prints as text and has ``to_frame()``.
        ``scores``, ``std_errors``, ``chance``, ``best`` : dict by metric; a standard
        error is NaN if it was not computed, and chance if it is not a known constant
        or the metric uses no factors.
        ``per_factor``, ``per_code`` : list of dict, one per factor and per component.
        ``matrices`` : Bunch of ``mutual_information`` and ``adjusted`` in nats and
        ``significant``, all of shape (n_codes, n_factors), and ``entropies``.
        ``n_used`` : dict, number of labelled samples by factor. ``skipped`` : dict, the
        reason by metric or factor. ``notes`` : dict by metric, what its score leaves
        out or was set to. ``params`` : dict.

    Raises
    ------
    ValueError
        If shapes disagree, codes are not finite, or a parameter is out of range.

    Examples
    --------
    >>> import numpy as np
    >>> from skfactorvae.metrics import disentanglement_report
    >>> factors = np.array([[i, j] for i in range(5) for j in range(4)] * 20)
    >>> report = disentanglement_report(factors, factors[:, ::-1], metrics=["mig"])
    >>> round(report.scores["mig"], 3)
    1.0
    >>> [factor["best_code"] for factor in report.per_factor]
    ['component1', 'component0']
    """
    check_binning(n_bins, "quantile")
    if n_blocks != 0:
        check_int("n_blocks", n_blocks, 2)
    table = check_table(factors, codes, factor_types)
    settings = Bunch(
        n_bins=n_bins,
        random_state=_seed(random_state),
        dci_estimator=dci_estimator,
        n_jobs=n_jobs,
        n_blocks=n_blocks,
    )
    report = DisentanglementReport(
        scores={},
        std_errors={},
        chance={},
        best={},
        skipped=_constants(table),
        notes={},
    )
    scored = _of_varying_factors(table)
    for key, names in _requested(metrics):
        _add(report, scored, ENTRIES[key], names, settings)
    report.update(_summaries(table, n_bins))
    report.update(n_used=_labelled_rows(table), params=_parameters(table, settings))
    return report


def _seed(random_state):
    """Return an integer, so that every replicate uses the same draws."""
    if isinstance(random_state, numbers.Integral):
        return random_state
    return check_random_state(random_state).randint(np.iinfo(np.int32).max)


def _scored(function, **fixed):
    """Return the function of an entry: a metric with a given number of bins."""
    return lambda table, s: function(table, None, n_bins=s.n_bins, **fixed)


def _seeded(function, **fixed):
    return lambda table, s: function(
        table, None, n_bins=s.n_bins, random_state=s.random_state, **fixed
    )


def _dci(table, settings, estimator=None):
    found = dci_scores(
        table,
        None,
        estimator=estimator or settings.dci_estimator,
        strategy="quantile",
        n_bins=settings.n_bins,
        n_jobs=settings.n_jobs,
        random_state=settings.random_state,
    )
    return found.disentanglement, found.completeness, found.informativeness


def _infomec(table, settings):
    found = infomec_scores(
        table,
        None,
        strategy="quantile",
        n_bins=settings.n_bins,
        random_state=settings.random_state,
    )
    return found.infom, found.infoe, found.infoc


def _unsupervised(function, **fixed):
    return lambda table, s: function(table.codes, **fixed)


def _entry(function, *names, error=None, chance="0", best=1.0, fast=True):
    chances = (chance,) * len(names) if isinstance(chance, str) else chance
    return Entry(function, names, error, chances, best, fast)


_quantile = {"strategy": "quantile"}
ENTRIES = {
    "mig": _entry(_scored(mutual_info_gap_score, **_quantile), "mig", error=JACKKNIFE),
    "mig_sup": _entry(_scored(mig_sup_score, **_quantile), "mig_sup", error=JACKKNIFE),
    "modularity": _entry(
        _scored(modularity_score, **_quantile), "modularity", error=JACKKNIFE
    ),
    "dcimig": _entry(_scored(dcimig_score, **_quantile), "dcimig", error=JACKKNIFE),
    "jemmig": _entry(
        _scored(jemmig_score, **_quantile), "jemmig", error=JACKKNIFE, chance="> 0"
    ),
    "mcc": _entry(
        lambda table, s: mean_correlation_score(table, None, over="factors"),
        "mcc",
        error=JACKKNIFE,
    ),
    "sap_threshold": _entry(
        _seeded(sap_score, classifier="threshold", chance_corrected=True),
        "sap_threshold",
        error=JACKKNIFE,
    ),
    "irs": _entry(
        _scored(interventional_robustness_score), "irs", error=JACKKNIFE, chance="> 0"
    ),
    "med": _entry(
        partial(_dci, estimator="mutual_info"),
        "med_disentanglement",
        "med_completeness",
        "med_informativeness",
        error=JACKKNIFE,
    ),
    "factor_vae": _entry(
        _seeded(factor_vae_score, n_eval=N_EVAL),
        "factor_vae",
        error=BINOMIAL,
        chance="1/K",
    ),
    "beta_vae": _entry(
        _seeded(beta_vae_score, n_eval=N_EVAL),
        "beta_vae",
        error=BINOMIAL,
        chance="1/K",
    ),
    "gaussian_tc": _entry(
        _unsupervised(gaussian_total_correlation),
        "gaussian_tc",
        error=JACKKNIFE,
        chance="no labels",
        best=0.0,
    ),
    "gaussian_wasserstein": _entry(
        _unsupervised(gaussian_wasserstein_correlation),
        "gaussian_wasserstein",
        error=JACKKNIFE,
        chance="no labels",
        best=0.0,
    ),
    "code_mutual_info": _entry(
        lambda table, s: code_mutual_info(
            table.codes, n_bins=s.n_bins, strategy="quantile"
        ),
        "code_mutual_info",
        error=JACKKNIFE,
        chance="no labels",
        best=0.0,
    ),
    "explicitness": _entry(
        _seeded(explicitness_score),
        "explicitness",
        fast=False,
    ),
    "infomec": _entry(_infomec, "infom", "infoe", "infoc", fast=False),
    "dci": _entry(
        _dci,
        "dci_disentanglement",
        "dci_completeness",
        "dci_informativeness",
        chance=("0", "0", "share of the largest level"),
        fast=False,
    ),
}


def _requested(metrics):
    """Yield (key of ENTRIES, requested names of it)."""
    if isinstance(metrics, str) and metrics in ("fast", "all"):
        chosen = [k for k, entry in ENTRIES.items() if entry.fast or metrics == "all"]
        return [(key, ENTRIES[key].names) for key in chosen]
    if not np.iterable(metrics):
        raise ValueError(
            f"metrics must be 'fast', 'all' or a sequence of names, got {metrics!r}."
        )
    wanted = [metrics] if isinstance(metrics, str) else list(metrics)
    known = {name: key for key, entry in ENTRIES.items() for name in entry.names}
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise ValueError(
            f"unknown metrics {unknown}; choose 'fast', 'all' or some of "
            f"{sorted(known)}."
        )
    keys = dict.fromkeys(known[name] for name in wanted)
    return [(k, [n for n in ENTRIES[k].names if n in wanted]) for k in keys]


def _add(report, table, entry, names, settings):
    """Add the scores of one entry to the report, or the reason why they are missing."""
    values, notes = _computed(entry, table, settings)
    errors = _errors(entry, table, settings, values)
    columns = zip(entry.names, values, errors, entry.chance, strict=True)
    for name, value, error, chance in columns:
        if name not in names:
            continue
        if np.isnan(value):
            report.skipped[name] = " ".join(notes) or "undefined on these data"
            continue
        report.scores[name], report.std_errors[name] = value, error
        report.chance[name] = _chance(chance, table)
        report.best[name] = entry.best
        if notes and not np.isnan(values).any():  # else they are about another score
            report.notes[name] = " ".join(notes)


def _computed(entry, table, settings):
    """Return the values of one entry, and its warnings."""
    with collected_undefined() as messages:
        values = np.atleast_1d(entry.function(table, settings)).astype(float)
    return values.tolist(), messages


def _errors(entry, table, settings, values):
    """Return one standard error per value; NaN where there is none."""
    if entry.error == BINOMIAL:
        return [float(np.sqrt(p * (1 - p) / N_EVAL)) for p in values]
    n_blocks = min(settings.n_blocks, len(table.codes) // 2)
    if entry.error is None or n_blocks < 2:
        return [float("nan")] * len(values)
    order = check_random_state(settings.random_state).permutation(len(table.codes))
    replicates = [
        _computed(entry, take_rows(table, np.sort(kept)), settings)[0]
        for kept in _without_each(np.array_split(order, n_blocks))
    ]
    return _jackknife(np.array(replicates)).tolist()


def _without_each(blocks):
    """Yield the samples of all blocks but one."""
    for left_out in range(len(blocks)):
        yield np.concatenate(blocks[:left_out] + blocks[left_out + 1 :])


def _jackknife(replicates):
    """Return the standard error of columns of delete-one-block replicates."""
    with np.errstate(invalid="ignore"):
        spread = ((replicates - replicates.mean(axis=0)) ** 2).sum(axis=0)
    return np.sqrt((len(replicates) - 1) / len(replicates) * spread)


def _chance(chance, table):
    """Return the value of a metric for uninformative codes, NaN if not known."""
    n_factors = len(table.names) - len(constant_factors(table))
    return {"0": 0.0, "1/K": 1 / max(n_factors, 1)}.get(chance, float("nan"))


def _of_varying_factors(table):
    """Return the table without constant factors, if others remain.

    All metrics leave them out, each with a warning; the report names them once.
    """
    constant = constant_factors(table)
    varying = [k for k in range(len(table.names)) if k not in constant]
    return take_factors(table, varying) if varying else table


def _constants(table):
    reason = "constant or unlabelled on these samples"
    return {f"factor {table.names[k]}": reason for k in constant_factors(table)}


def _labelled_rows(table):
    counts = (~np.isnan(table.factors)).sum(axis=0).tolist()
    return dict(zip(table.names, counts, strict=True))


def _parameters(table, settings):
    kinds = dict(zip(table.names, table.kinds, strict=True))
    shape = {"n_samples": len(table.codes), "n_codes": table.codes.shape[1]}
    estimator = {"dci_estimator": str(settings.dci_estimator)}
    return {
        **shape,
        "strategy": "quantile",
        "factor_types": kinds,
        **settings,
    } | estimator


def _summaries(table, n_bins):
    """Return the matrices of information, and a summary per factor and component."""
    found = information(table, n_bins, "quantile", adjusted=True)
    entropy = found.factor_entropy
    known = informative_part(found)
    room = entropy - found.expected  # (D, K) largest information beyond chance
    share = np.where(known > 0, known / np.where(room > 0, room, 1.0), 0.0)
    return {
        "per_factor": [_factor_summary(table, found, share, k) for k in _each(entropy)],
        "per_code": [_component_summary(table, known, share, d) for d in _each(share)],
        "matrices": Bunch(
            mutual_information=found.mutual,
            adjusted=known,
            significant=significant(found),
            entropies=entropy,
        ),
    }


def _each(items):
    return range(len(items))


def _factor_summary(table, found, share, k):
    """Return the components that hold factor `k`; shares are of its entropy."""
    order = np.argsort(-share[:, k], kind="stable")
    best, second = order[0], order[1] if len(order) > 1 else order[0]
    held = bool(share[best, k] > 0)
    labels = table.factors[~np.isnan(table.factors[:, k]), k]
    return {
        "factor": table.names[k],
        "kind": table.kinds[k],
        "n_levels": len(np.unique(labels)),
        "n_rows": len(labels),
        "entropy": float(found.factor_entropy[k]),
        "best_code": table.code_names[best] if held else None,
        "share": float(share[best, k]),
        "second_code": table.code_names[second] if share[second, k] > 0 else None,
        "second_share": float(share[second, k]) if second != best else 0.0,
    }


def _component_summary(table, known, share, d):
    best = int(share[d].argmax())
    held = bool(share[d, best] > 0)
    several = known.shape[1] > 1
    return {
        "code": table.code_names[d],
        "best_factor": table.names[best] if held else None,
        "share": float(share[d, best]),
        "modularity": float(per_code_modularity(known[[d]])[0]) if several else None,
    }


def _title(report):
    p = report.params
    return (
        f"Disentanglement of {p['n_codes']} components, {len(report.per_factor)} "
        f"factors, {p['n_samples']} samples ({p['n_bins']} quantile bins)"
    )


def _score_lines(report):
    yield f"{'metric':<24}{'score':>8}{'+/-':>8}{'chance':>8}{'best':>6}"
    for name, score in report.scores.items():
        error, chance = report.std_errors[name], report.chance[name]
        yield (
            f"{name:<24}{score:>8.3f}{_number(error):>8}{_number(chance):>8}"
            f"{report.best[name]:>6.0f}"
        )


def _factor_lines(report):
    width = max(len(row["factor"]) for row in report.per_factor) + 2
    yield f"{'factor':<{max(width, 8)}}{'type':<12}{'levels':>7}{'samples':>9}  held by"
    for row in report.per_factor:
        yield (
            f"{row['factor']:<{max(width, 8)}}{row['kind']:<12}{row['n_levels']:>7}"
            f"{row['n_rows']:>9}  {_holder(row)}"
        )


def _holder(row):
    if row["best_code"] is None:
        return "no component"
    text = f"{row['best_code']} ({row['share']:.0%} of its entropy)"
    if row["second_code"] is not None:
        text += f", then {row['second_code']} ({row['second_share']:.0%})"
    return text


def _component_lines(report):
    without = [row["code"] for row in report.per_code if row["best_factor"] is None]
    yield "components that hold no factor: " + (", ".join(without) or "none")


def _reasons(title, reasons):
    if not reasons:
        return
    yield f"{title}:"
    for name, reason in reasons.items():
        yield f"  {name}: {reason}"


def _number(value):
    return "-" if np.isnan(value) else f"{value:.3f}"
