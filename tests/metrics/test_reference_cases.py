"""Values on the public cases equal those of the published implementations."""

import json
from pathlib import Path

import numpy as np
import pytest

from skfactorvae.metrics import (
    beta_vae_score,
    code_mutual_info,
    dci_scores,
    dcimig_score,
    explicitness_score,
    factor_vae_score,
    gaussian_total_correlation,
    gaussian_wasserstein_correlation,
    infomec_scores,
    interventional_robustness_score,
    jemmig_score,
    mean_correlation_score,
    mig_sup_score,
    modularity_score,
    mutual_info_gap_score,
    mutual_information_matrix,
    sap_score,
    udr_score,
)

FOLDER = Path(__file__).parent / "reference"
CASES = json.loads((FOLDER / "reference.json").read_text())["cases"]
TABLES = [name for name in CASES if name != "udr_models_a"]
QUICK_BOOSTING = ["perfect_discrete", "duplicated", "collapsed"]

pytestmark = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.UndefinedMetricWarning"
)


@pytest.fixture(scope="module", params=TABLES)
def case(request):
    return load(request.param)


def load(name):
    """Return (factors, codes, factor types, reference values) of a case."""
    arrays = np.load(FOLDER / f"{name}.npz")
    words = {"d": "discrete", "c": "continuous"}
    types = [words[kind] for kind in CASES[name]["factor_kind"]]
    return arrays["Y"], arrays["Z"], types, CASES[name]["values"]


def assert_matches(value, reference):
    """Compare with a reference value, unless the reference itself was undefined."""
    if reference["value"] is None:
        assert np.isfinite(value)
    else:
        assert value == pytest.approx(reference["value"], abs=reference["tol"])


def as_dlib_bins(factors):
    """Return factors in 20 bins of equal width, as the reference IRS merges them."""
    columns = [
        np.digitize(column, np.histogram(column, 20)[1][:-1]) for column in factors.T
    ]
    return np.column_stack(columns)


@pytest.mark.parametrize("strategy", ["uniform", "quantile"])
def test_the_information_matrix_is_the_reference_matrix(case, strategy):
    factors, codes, types, values = case
    matrix, entropies = mutual_information_matrix(
        factors, codes, strategy=strategy, factor_types=types
    )
    reference = values[f"mutual_information_{strategy}"]
    np.testing.assert_allclose(matrix, reference["matrix"], rtol=0, atol=1e-10)
    np.testing.assert_allclose(
        entropies, reference["factor_entropy"], rtol=0, atol=1e-10
    )


@pytest.mark.parametrize("strategy", ["uniform", "quantile"])
def test_the_gap_is_the_reference_gap(case, strategy):
    factors, codes, types, values = case
    settings = {"strategy": strategy, "factor_types": types}
    reference = values[f"mig_{strategy}"]
    assert_matches(mutual_info_gap_score(factors, codes, **settings), reference)
    gaps = mutual_info_gap_score(factors, codes, average=None, **settings)
    np.testing.assert_allclose(gaps, reference["per_factor"], rtol=0, atol=1e-6)


@pytest.mark.parametrize("strategy", ["uniform", "quantile"])
def test_the_raw_modularity_is_the_reference_modularity(case, strategy):
    factors, codes, types, values = case
    settings = {"strategy": strategy, "factor_types": types, "adjusted": False}
    value = modularity_score(factors, codes, average="macro", **settings)
    assert_matches(value, values[f"modularity_{strategy}"])


def test_automatic_types_are_the_types_of_the_cases(case):
    factors, codes, types, _ = case
    chosen = mutual_info_gap_score(factors, codes, average=None)
    told = mutual_info_gap_score(factors, codes, average=None, factor_types=types)
    np.testing.assert_array_equal(chosen, told)


def test_the_relatives_are_the_reference_relatives(case):
    factors, codes, types, values = case
    assert_matches(
        dcimig_score(factors, codes, factor_types=types), values["dcimig_ubisoft"]
    )
    assert_matches(
        jemmig_score(factors, codes, factor_types=types), values["jemmig_ubisoft"]
    )
    by_code = mig_sup_score(factors, codes, factor_types=types, normalize="code")
    assert_matches(by_code, values["mig_sup_ubisoft"])


def test_importance_by_information_is_the_reference(case):
    factors, codes, types, values = case
    scores = dci_scores(factors, codes, estimator="mutual_info", factor_types=types)
    assert_matches(scores.disentanglement, values["med_disentanglement"])
    assert_matches(scores.completeness, values["med_completeness"])


@pytest.mark.parametrize("method", ["pearson", "spearman"])
def test_the_mean_correlation_is_the_reference(case, method):
    factors, codes, types, values = case
    settings = {"method": method, "factor_types": types}
    matched = mean_correlation_score(factors, codes, **settings)
    assert_matches(matched, values[f"mcc_{method}"])
    over = mean_correlation_score(factors, codes, over="factors", **settings)
    assert_matches(over, values[f"mcc_{method}_over_factors"])


def test_the_label_free_scores_are_the_reference(case):
    _, codes, _, values = case
    suffix = "_constant_codes_dropped"
    distance = gaussian_wasserstein_correlation
    for value, key in (
        (gaussian_total_correlation(codes), "gaussian_total_correlation"),
        (distance(codes), "gaussian_wasserstein_correlation_norm"),
        (distance(codes, normalize=False), "gaussian_wasserstein_correlation"),
        (code_mutual_info(codes), "mutual_info_score"),
    ):
        assert_matches(value, values[key + suffix])


def test_sap_is_the_reference(case):
    factors, codes, types, values = case
    value = sap_score(factors, codes, factor_types=types, shuffle=False)
    assert_matches(value, values["sap"])


def test_robustness_is_the_reference(case):
    factors, codes, _, values = case
    merged = as_dlib_bins(factors)
    value = interventional_robustness_score(merged, codes, factor_types="discrete")
    assert_matches(value, values["irs"])


def test_the_published_robustness_is_one_argument_away(case):
    factors, codes, _, values = case
    value = interventional_robustness_score(factors, codes, strategy="published")
    assert_matches(value, values["irs"])


@pytest.mark.slow
def test_the_published_sap_is_one_argument_away(case):
    factors, codes, types, values = case
    settings = {"factor_types": types, "shuffle": False}
    assert_matches(
        sap_score(factors, codes, chance_floor=False, **settings), values["sap"]
    )


def test_explicitness_is_the_reference(case):
    factors, codes, types, values = case
    settings = {"factor_types": types, "shuffle": False}
    area = explicitness_score(factors, codes, scaled=False, **settings)
    assert_matches(area, values["explicitness_test_auc"])
    scaled = explicitness_score(factors, codes, **settings)
    assert scaled == pytest.approx(2 * area - 1)


def test_votes_are_the_reference_within_their_errors(case):
    factors, codes, types, values = case
    settings = {"factor_types": types, "n_train": 5000, "n_eval": 2500}
    still = factor_vae_score(factors, codes, min_std=0.05, **settings)
    assert_matches(still, values["factor_vae"])
    assert_matches(beta_vae_score(factors, codes, **settings), values["beta_vae"])


@pytest.mark.slow
@pytest.mark.parametrize(("rule", "name"), [("range", "lq"), ("iqr", "tripod")])
def test_infomec_without_adjustment_is_the_reference(case, rule, name):
    factors, codes, types, values = case
    scores = infomec_scores(
        factors, codes, active=rule, adjusted=False, factor_types=types
    )
    reference = values[f"infomec_{name}_nmi"]
    np.testing.assert_array_equal(scores.active, np.array(reference["active"], bool))
    nmi = np.where(scores.active[:, None], np.transpose(reference["matrix"]), 0.0)
    np.testing.assert_allclose(scores.nmi, nmi, rtol=0, atol=reference["tol"])
    for part in ("infom", "infoe", "infoc"):
        assert_matches(scores[part], values[f"infomec_{name}_{part}"])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("estimator", "name"), [("lasso", "lasso"), ("random_forest", "rf")]
)
def test_dci_is_the_reference(case, estimator, name):
    factors, codes, types, values = case
    assert_dci(factors, codes, types, values, estimator, name)


@pytest.mark.slow
@pytest.mark.parametrize("name", QUICK_BOOSTING)
def test_dci_by_boosting_is_the_reference(name):
    """The quick cases; all ten agree, but take minutes."""
    assert_dci(*load(name), "gradient_boosting", "gbt")


def assert_dci(factors, codes, types, values, estimator, name):
    scores = dci_scores(
        factors, codes, estimator=estimator, factor_types=types, shuffle=False
    )
    for part, suffix in (
        ("disentanglement", ""),
        ("completeness", ""),
        ("informativeness", "_test"),
    ):
        assert_matches(scores[part], values[f"dci_{name}_{part}{suffix}"])


@pytest.mark.parametrize("method", ["spearman", "lasso"])
def test_the_stability_of_five_fits_is_the_reference(method):
    arrays = np.load(FOLDER / "udr_models_a.npz")
    fits = [arrays[f"Z{i}"] for i in range(5)]
    kl = [arrays[f"kl{i}"] for i in range(5)]
    reference = CASES["udr_models_a"]["values"][f"udr_{method}"]
    scores = udr_score(fits, kl=kl, method=method)
    np.testing.assert_allclose(
        scores, reference["model_scores"], rtol=0, atol=reference["tol"]
    )
