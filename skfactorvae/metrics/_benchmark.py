"""The table of the literature: metrics by its protocol, beside published values."""

from __future__ import annotations

from numbers import Integral
from typing import Any, NamedTuple

import numpy as np
from sklearn.utils import Bunch, check_random_state, gen_batches

from .._inputs import columns
from .._pipelines import find_model
from .._undefined import collected_undefined
from ._dci import dci_scores
from ._explicitness import explicitness_score
from ._information_scores import modularity_score
from ._mutual_information import mutual_info_gap_score
from ._robustness import interventional_robustness_score
from ._sap import sap_score
from ._validation import check_table, take_rows
from ._votes import beta_vae_score, factor_vae_score

N_TRAIN, N_TEST = 10_000, 5_000
"""Samples on which predictors are fitted and scored (Locatello et al. 2019)."""

MAX_VOTED = 200_000
"""Samples at most from which the batches of votes are drawn."""

ENCODED_AT_ONCE = 4096

LIN = (
    "Lin et al. (2020), 'InfoGAN-CR and ModelCentrality', Table 1: FactorVAE, gamma "
    "10, mean of 10 seeds"
)
WU = (
    "Wu & Zheng (2024), 'Factorized diffusion autoencoder for unsupervised "
    "disentangled representation learning', Table 2: FactorVAE, mean of 10 seeds"
)


class Published(NamedTuple):
    """Values of FactorVAE on a data set, and where they were published."""

    source: str
    values: dict[str, float]


PUBLISHED = {
    "dsprites": Published(
        LIN,
        {"factor_vae": 0.83, "beta_vae": 0.83, "mig": 0.40, "dci": 0.70, "sap": 0.57},
    ),
    "shapes3d": Published(WU, {"factor_vae": 0.840, "mig": 0.434, "dci": 0.611}),
    "mpi3d_real": Published(WU, {"factor_vae": 0.152, "mig": 0.099, "dci": 0.240}),
    "cars3d": Published(WU, {"factor_vae": 0.906, "mig": 0.142, "dci": 0.161}),
}
"""Published values, by name of the data set."""

METRICS = {
    "factor_vae": lambda t: factor_vae_score(t.voted, None, min_std=0.05),
    "beta_vae": lambda t: beta_vae_score(t.voted, None),
    "mig": lambda t: mutual_info_gap_score(t.train, None, strategy="uniform"),
    "modularity": lambda t: modularity_score(
        t.train, None, strategy="uniform", average="macro", adjusted=False
    ),
    "sap": lambda t: sap_score(t.both, None, chance_floor=False, **t.split),
    "irs": lambda t: interventional_robustness_score(
        t.train, None, strategy="published"
    ),
    "explicitness": lambda t: explicitness_score(t.both, None, scaled=False, **t.split),
    "dci": lambda t: (
        dci_scores(
            t.both, None, estimator=t.dci_estimator, n_jobs=t.n_jobs, **t.split
        ).disentanglement
    ),
}
"""Each metric in the variant of disentanglement_lib, of the tables of a protocol."""

COMPARABLE = {
    "factor_vae": "yes",
    "beta_vae": "yes",
    "mig": "with care: values of one model differ between code bases",
    "sap": "with care: it depends on the scale of the codes",
    "dci": "yes, with dci_estimator='gradient_boosting'",
}
"""Whether a value may be compared with a published one of the same data set."""


class BenchmarkReport(Bunch):
    """Result of :func:`benchmark_report`, which prints as a table."""

    def __str__(self):
        return "\n".join(_lines(self))

    def __repr__(self):
        return str(self)


def benchmark_report(
    estimator,
    dataset,
    *,
    metrics=None,
    dci_estimator="gradient_boosting",
    max_samples=None,
    n_jobs=None,
    random_state=0,
):
    """Report the metrics of the literature by its protocol, with published values.

    The protocol is that of Locatello et al. (2019), on a table in place of a simulator.
    MIG, modularity and IRS are computed on 10,000 samples; SAP, explicitness and DCI
    are fitted to them and scored on 5,000 more; FactorVAE and BetaVAE scores have
    10,000 votes of 64 samples for the classifier and 5,000 for its accuracy. A vote
    draws samples that share a level of a factor, which is the same as setting it if the
    table is a complete grid. Metrics have the published variants: 20 bins of equal
    width, no correction for chance, SAP without a lower limit, IRS with all factors in
    20 bins. For metrics that are corrected, see :func:`disentanglement_report`.

    Published values are shown beside those of the data sets that they were measured on,
    and with them whether the two may be compared. They are means over seeds of models
    that were trained for this data set, by other code: a difference of less than 0.05
    is within the spread of seeds.

    Parameters
    ----------
    estimator : estimator, Pipeline or callable
        Fitted, with ``transform``, or a function from samples to codes.
    dataset : Bunch, or tuple of (data, factors)
        A result of a ``fetch_`` or ``make_`` function. With ``study_factors``, the
        other factors are left out; with ``pixel_max``, bytes are divided by it.
    metrics : sequence of str, default=None
        Names to compute, of ``"factor_vae"``, ``"beta_vae"``, ``"mig"``,
        ``"modularity"``, ``"sap"``, ``"irs"``, ``"explicitness"`` and ``"dci"``. None
        takes all. DCI takes minutes.
    dci_estimator : str or estimator, default="gradient_boosting"
        Passed to :func:`dci_scores`; other values than the default are not comparable.
    max_samples : int, default=None
        Number of samples that are encoded, at least 10. None takes all, at most 200,000
        drawn at random.
    n_jobs : int, default=None
        Passed to :func:`dci_scores`.
    random_state : int, RandomState instance or None, default=0
        Seed of the draw of samples. Votes and splits have fixed seeds.

    Returns
    -------
    report : BenchmarkReport
        A Bunch that prints as a table. ``scores`` : dict of float by metric.
        ``published`` : dict of float, the values of FactorVAE. ``comparable`` : dict of
        str. ``source`` : str. ``factor_names`` : list of str. ``n_samples`` : dict of
        the numbers of samples. ``skipped`` : dict of reasons. ``notes`` : dict by
        metric, what its score leaves out or was set to.

    Raises
    ------
    TypeError
        If the estimator has no ``transform``.
    ValueError
        If the data set has no factors, a metric is unknown, or a parameter is out of
        range.

    References
    ----------
    Locatello et al. (2019), "Challenging common assumptions in the unsupervised
    learning of disentangled representations", Section 4 and Appendix C.

    Examples
    --------
    >>> from sklearn.decomposition import PCA
    >>> from skfactorvae.datasets import make_toy_shapes3d
    >>> from skfactorvae.metrics import benchmark_report
    >>> rooms = make_toy_shapes3d(300, image_size=8, return_bunch=True, random_state=0)
    >>> model = PCA(6, random_state=0).fit(rooms.data)
    >>> report = benchmark_report(model, rooms, metrics=["mig", "irs"])
    >>> sorted(report.scores)
    ['irs', 'mig']
    """
    names = _requested(metrics)
    data, factors, known = _contents(dataset)
    rng = check_random_state(random_state)
    rows = _drawn(len(data), max_samples, rng)
    codes = _encoded(estimator, data, rows, known.get("pixel_max", 1))
    tables = _tables(_columns_at(factors, rows), codes, dci_estimator, n_jobs)
    scores, skipped, notes = {}, {}, {}
    for name in names:
        with collected_undefined() as messages:
            value = float(METRICS[name](tables))
        if np.isnan(value):
            skipped[name] = " ".join(messages) or "undefined on these data"
        else:
            scores[name] = value
            if messages:
                notes[name] = " ".join(messages)
    published = PUBLISHED.get(known.get("name", ""), Published("", {}))
    return BenchmarkReport(
        scores=scores,
        published={k: v for k, v in published.values.items() if k in scores},
        comparable={k: _comparable(k, known, tables) for k in scores},
        source=published.source,
        factor_names=list(tables.both.names),
        n_samples={
            "all": len(data),
            "votes": len(tables.voted.codes),
            "train": len(tables.train.codes),
            "test": len(tables.both.codes) - len(tables.train.codes),
        },
        dataset=known.get("name", ""),
        skipped=skipped,
        notes=notes,
    )


def _requested(metrics: Any) -> list[str]:
    if metrics is None:
        return list(METRICS)
    names = [metrics] if isinstance(metrics, str) else list(metrics)
    unknown = [name for name in names if name not in METRICS]
    if unknown:
        raise ValueError(f"unknown metrics {unknown}; choose some of {list(METRICS)}.")
    return names


def _contents(dataset: Any) -> tuple[Any, dict[str, Any], dict[str, Any]]:
    """Return the samples, the studied factors by name, and what else is known."""
    if isinstance(dataset, tuple) and len(dataset) == 2:
        known: dict[str, Any] = {"data": dataset[0], "factors": dataset[1]}
    else:
        known = dict(dataset) if hasattr(dataset, "keys") else {}
    if "data" not in known or "factors" not in known:
        raise ValueError(
            "dataset must be a Bunch with data and factors, or a tuple of both; got "
            f"{type(dataset).__name__}. Pass return_bunch=True to a make_ function."
        )
    data = known["data"]
    raw, names = columns(known["factors"], "factors", "factor")
    names = tuple(known.get("factor_names", names))
    if len(data) != len(raw[0]):
        raise ValueError(f"data has {len(data)} rows and factors {len(raw[0])}.")
    studied = known.get("study_factors", np.ones(len(raw), dtype=bool))
    kept = [k for k in range(len(raw)) if studied[k]]
    return data, {names[k]: raw[k] for k in kept}, known


def _drawn(n: int, max_samples: Any, rng: np.random.RandomState) -> np.ndarray:
    """Return the samples to encode, in random order."""
    if max_samples is not None and (
        not isinstance(max_samples, Integral) or int(max_samples) < 10
    ):
        raise ValueError(f"max_samples must be an integer >= 10; got {max_samples!r}.")
    limit = MAX_VOTED if max_samples is None else int(max_samples)
    return rng.permutation(n)[:limit]


def _encoded(estimator: Any, data: Any, rows: np.ndarray, pixel_max: float) -> Any:
    """Return the codes of some samples, a block at a time."""
    if callable(estimator) and not hasattr(estimator, "transform"):
        encode = estimator
    else:
        found = find_model(estimator)
        if found is None:
            raise TypeError(
                "estimator must have transform, or be a function from samples to "
                f"codes; got {type(estimator).__name__}."
            )
        encode = found.codes
    blocks = [
        np.asarray(encode(_block(data, rows[part], pixel_max)))
        for part in gen_batches(len(rows), ENCODED_AT_ONCE)
    ]
    return np.concatenate(blocks)


def _block(data: Any, rows: np.ndarray, pixel_max: float) -> Any:
    """Return samples as the estimator takes them: pixels in [0, 1]."""
    if hasattr(data, "iloc"):
        return data.iloc[rows]
    block = np.asarray(data[np.sort(rows)])[np.argsort(np.argsort(rows))]
    return block / np.float32(pixel_max) if block.dtype == np.uint8 else block


class _Columns(dict[str, Any]):
    """Columns by name, each of its own type, as a data frame has them."""

    @property
    def columns(self) -> list[str]:
        return list(self)


def _columns_at(factors: dict[str, Any], rows: np.ndarray) -> _Columns:
    return _Columns(
        (
            name,
            column.iloc[rows] if hasattr(column, "iloc") else np.asarray(column)[rows],
        )
        for name, column in factors.items()
    )


def _tables(
    factors: _Columns, codes: np.ndarray, dci_estimator: Any, n_jobs: Any
) -> Bunch:
    """Return the samples of each part of the protocol."""
    table = check_table(factors, codes)
    n_train = min(N_TRAIN, -(-2 * len(codes) // 3))
    n_both = min(n_train + N_TEST, len(codes))
    return Bunch(
        voted=table,
        both=take_rows(table, slice(0, n_both)),
        train=take_rows(table, slice(0, n_train)),
        split={"test_size": (n_both - n_train) / n_both, "shuffle": False},
        dci_estimator=dci_estimator,
        n_jobs=n_jobs,
    )


def _comparable(name: str, known: dict[str, Any], tables: Bunch) -> str:
    """Return whether a value may be compared with a published one, or why not."""
    if known.get("name") not in PUBLISHED:
        return "no: other data"
    if name not in PUBLISHED[known["name"]].values:
        return "no: none published"
    if len(tables.train.codes) < N_TRAIN:
        return f"no: {len(tables.train.codes)} samples in place of {N_TRAIN}"
    if name == "dci" and tables.dci_estimator != "gradient_boosting":
        return "no: another estimator"
    return COMPARABLE[name]


def _lines(report):
    n = report.n_samples
    yield (
        f"{report.dataset or 'data set'}: {len(report.factor_names)} factors, "
        f"{n['train']} + {n['test']} samples, votes from {n['votes']} of {n['all']}"
    )
    yield f"{'metric':<14}{'score':>8}{'published':>11}  comparable"
    for name, score in report.scores.items():
        value = report.published.get(name)
        shown = "-" if value is None else f"{value:.3f}"
        yield f"{name:<14}{score:>8.3f}{shown:>11}  {report.comparable[name]}"
    for name, reason in report.skipped.items():
        yield f"{name}: skipped, {reason}"
    for name, note in report.notes.items():
        yield f"{name}: {note}"
    if report.source:
        yield f"published: {report.source}"
