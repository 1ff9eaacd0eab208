"""Print the metric values that the page on metrics states.

The first part is the table of all metrics for perfect, rotated and noise codes; the
second has a line for each claim of "When metrics mislead", under the same name. All
seeds are fixed. Takes about a minute on one core, most of it for DCI.

    python benchmarks/metric_values.py
"""

# ruff: noqa: E402  (the number of threads must be set before numpy loads)

from __future__ import annotations

import os

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"

import argparse
import warnings
from functools import partial

import numpy as np
from scipy.stats import ortho_group
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.preprocessing import scale

from skfactorvae import metrics

LEVELS = (3, 3, 12, 12)
PUBLISHED_MODULARITY = partial(
    metrics.modularity_score, average="macro", adjusted=False
)


# ------------------------------------------------------------------------------ data
def perfect_codes(levels, n_samples, noise=0.05):
    """Return discrete factors, and one noisy component for each.

    Parameters
    ----------
    levels : sequence of int
        Number of levels of each factor; all levels are equally likely.
    n_samples : int
        Number of samples.
    noise : float, default=0.05
        Standard deviation of the noise that is added to the standardised factors.

    Returns
    -------
    factors, codes : ndarray of shape (n_samples, n_factors)
    """
    rng = np.random.default_rng(0)
    factors = rng.integers(levels, size=(n_samples, len(levels)))
    return factors, scale(factors) + noise * rng.normal(size=factors.shape)


def linear_codes(n_samples=3000, noise=0.1):
    """Return four uniform continuous factors, and one noisy component for each."""
    rng = np.random.default_rng(0)
    factors = scale(rng.uniform(size=(n_samples, 4)))
    return factors, factors + noise * rng.normal(size=factors.shape)


def noise_codes(n_samples, n_codes):
    """Return Gaussian noise of shape (n_samples, n_codes)."""
    return np.random.default_rng(1).normal(size=(n_samples, n_codes))


def rotated_pairs(codes):
    """Rotate the first two and the last two of four components by 45 degrees."""
    rotation = np.array([[1, -1], [1, 1]]) / np.sqrt(2)
    return codes @ np.kron(np.eye(2), rotation)


def listed(values):
    """Return values with three decimals, separated by commas."""
    return ", ".join(f"{value:.3f}" for value in np.atleast_1d(values))


# ----------------------------------------------------------------------------- table
def dci(factors, codes, **options):
    """Return the D and C of DCI."""
    found = metrics.dci_scores(factors, codes, **options)
    return [found.disentanglement, found.completeness]


def infomec(factors, codes, **options):
    """Return InfoM, InfoE and InfoC."""
    found = metrics.infomec_scores(factors, codes, **options)
    return [found.infom, found.infoe, found.infoc]


TABLE = {
    "mutual_info_gap_score": metrics.mutual_info_gap_score,
    "mig_sup_score": metrics.mig_sup_score,
    "modularity_score": metrics.modularity_score,
    "modularity_score, as published": PUBLISHED_MODULARITY,
    "dcimig_score": metrics.dcimig_score,
    "jemmig_score": metrics.jemmig_score,
    "sap_score": metrics.sap_score,
    "dci_scores": dci,
    "factor_vae_score": metrics.factor_vae_score,
    "beta_vae_score": metrics.beta_vae_score,
    "explicitness_score": partial(metrics.explicitness_score, scaled=False),
    "interventional_robustness_score": metrics.interventional_robustness_score,
    "mean_correlation_score": metrics.mean_correlation_score,
    "infomec_scores": infomec,
}


def print_table():
    """Print each metric of perfect, rotated and noise codes of four factors."""
    factors, perfect = perfect_codes(LEVELS, 3000)
    tables = [perfect, rotated_pairs(perfect), noise_codes(*perfect.shape)]
    print("| metric | perfect | 45 degree rotation | pure noise |\n|---|---|---|---|")
    for name, metric in TABLE.items():
        cells = [listed(metric(factors, codes)) for codes in tables]
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


# ---------------------------------------------------------------------------- claims
def modularity():
    """Compare the published and the default modularity."""
    factors, codes = perfect_codes(LEVELS, 3000)
    noise = noise_codes(*codes.shape)
    three, held = perfect_codes((3, 6, 10), 3000)
    unused = np.hstack([held, np.zeros((3000, 4))])
    for score in (PUBLISHED_MODULARITY, metrics.modularity_score):
        which = "default" if score is metrics.modularity_score else "published"
        yield f"{which}, noise: {score(factors, noise):.3f}"
        yield f"{which}, four unused components of seven: {score(three, unused):.3f}"


def mig_by_samples():
    """Compute the MIG of one model for different numbers of samples."""
    for n_samples in (200, 1000, 10_000):
        score = metrics.mutual_info_gap_score(
            *perfect_codes((10,) * 4, n_samples, noise=0.2)
        )
        yield f"MIG with {n_samples} samples: {score:.3f}"


def mig_by_bins():
    """Compute MIG by the number of bins, and with an outlier in each component."""
    factors, codes = linear_codes()
    score = partial(metrics.mutual_info_gap_score, factors)
    bins = (5, 10, 20, 50, 100)
    yield f"MIG with {bins} bins: {listed([score(codes, n_bins=b) for b in bins])}"
    outlier = codes.copy()
    outlier[0] = 50 * codes.std(axis=0)
    for strategy in ("uniform", "quantile"):
        values = [score(c, strategy=strategy) for c in (codes, outlier)]
        yield f"{strategy} bins, without and with an outlier: {listed(values)}"


def votes():
    """Compute the scores of rotations, of a missing factor and of noise."""
    scores = (
        metrics.factor_vae_score,
        metrics.beta_vae_score,
        metrics.mutual_info_gap_score,
    )
    factors, codes = perfect_codes((6,) * 4, 2000)
    turned = [codes @ ortho_group.rvs(4, random_state=seed) for seed in range(10)]
    means = [np.mean([score(factors, c) for c in turned]) for score in scores]
    yield f"FactorVAE, BetaVAE, MIG, mean of 10 random rotations: {listed(means)}"
    missing = np.column_stack([codes[:, :3], noise_codes(2000, 1)])
    values = [score(factors, missing) for score in scores[:2]]
    yield f"FactorVAE, BetaVAE, one of four components is noise: {listed(values)}"
    factors, _ = perfect_codes((50,) * 5, 200)
    values = [score(factors, noise_codes(200, 5)) for score in scores[:2]]
    yield f"FactorVAE, BetaVAE, noise, 5 factors of 50 levels: {listed(values)}"


def sap():
    """Compute the SAP of a component that equals an ordered factor, in [0, 1]."""
    for levels in (2, 5, 10, 40):
        factor, _ = perfect_codes((levels,), 3000)
        codes = np.hstack([factor / (levels - 1), noise_codes(3000, 1)])
        values = [
            metrics.sap_score(factor, codes),
            metrics.sap_score(factor, 100 * codes),
            metrics.sap_score(factor, codes, classifier="threshold"),
        ]
        yield f"{levels} levels: SVM, SVM of codes times 100, threshold: " + listed(
            values
        )


def dci_by_estimator():
    """Compute D by estimator for components that hold a second factor in part."""
    factors, perfect = perfect_codes(LEVELS, 1000)
    mixed = perfect + 0.5 * np.roll(perfect, -1, axis=1)
    for estimator in (
        "gradient_boosting",
        "hist",
        "random_forest",
        "extra_trees",
        "lasso",
        "mutual_info",
    ):
        yield f"D with {estimator}: {dci(factors, mixed, estimator=estimator)[0]:.3f}"
    regressed = dci(factors, mixed, factor_types="continuous")[0]
    yield f"D with gradient_boosting, all factors regressed: {regressed:.3f}"
    noise = noise_codes(*perfect.shape)
    with_noise = np.hstack([perfect, noise])
    for estimator in ("gradient_boosting", "random_forest"):
        value = dci(factors, with_noise, estimator=estimator)[0]
        yield f"D with {estimator}, perfect and four of noise: {value:.3f}"
    for estimator in ("hist", "lasso"):
        value = dci(factors, noise, estimator=estimator)[0]
        yield f"D with {estimator}, noise: {value:.3f}"


def mcc():
    """Compute the MCC of a single component that equals one of four factors."""
    factors, _ = perfect_codes(LEVELS, 3000)
    for over in ("matched", "factors"):
        value = metrics.mean_correlation_score(factors, factors[:, :1], over=over)
        yield f"MCC over {over}, one component: {value:.3f}"


def info_noise():
    """Compute the published InfoM and InfoC of ten draws of noise."""
    factors, _ = perfect_codes(LEVELS, 3000)
    rng = np.random.default_rng(1)
    draws = rng.normal(size=(10, 3000, 4))
    found = np.array([infomec(factors, codes, adjusted=False) for codes in draws])
    for name, values in (("InfoM", found[:, 0]), ("InfoC", found[:, 2])):
        summary = [np.median(values), values.min(), values.max()]
        yield f"{name} of noise, as published, median, min, max: {listed(summary)}"


def irs_noise():
    """Compute the IRS of noise."""
    factors, codes = perfect_codes(LEVELS, 3000)
    value = metrics.interventional_robustness_score(factors, noise_codes(*codes.shape))
    yield f"IRS of noise: {value:.3f}"


CLAIMS = {
    "Modularity is high for noise": modularity,
    "Mutual information is biased upwards": mig_by_samples,
    "Values depend on the number of bins": mig_by_bins,
    "FactorVAE and BetaVAE scores are insensitive to rotations": votes,
    "The linear SVM of SAP cannot separate ordered levels": sap,
    "DCI depends on the estimator": dci_by_estimator,
    "MCC over matched pairs ignores missing factors": mcc,
    "InfoM and InfoC": info_noise,
    "IRS of noise is not zero": irs_noise,
}


def print_claims():
    """Print the values behind each claim of "When metrics mislead"."""
    for name, values in CLAIMS.items():
        print(f"\n{name}")
        for line in values():
            print(f"  {line}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=["table", "claims"], help="print one part")
    only = parser.parse_args().only
    warnings.simplefilter("ignore", UndefinedMetricWarning)
    if only != "claims":
        print_table()
    if only != "table":
        print_claims()


if __name__ == "__main__":
    main()
