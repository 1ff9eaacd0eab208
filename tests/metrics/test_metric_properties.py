"""Scores are invariant where they should be, and sensitive where they should be."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.ensemble import GradientBoostingClassifier

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

pytestmark = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.UndefinedMetricWarning"
)


def med_disentanglement(factors, codes, **settings):
    return dci_scores(
        factors, codes, estimator="mutual_info", **settings
    ).disentanglement


def infom(factors, codes):
    return infomec_scores(factors, codes).infom


def infoe(factors, codes):
    return infomec_scores(factors, codes).infoe


def threshold_sap(factors, codes):
    return sap_score(factors, codes, classifier="threshold", shuffle=False)


def few_votes(factors, codes):
    return factor_vae_score(factors, codes, n_train=400, n_eval=400)


def few_points(factors, codes):
    return beta_vae_score(factors, codes, n_train=400, n_eval=400)


INFORMATION = [
    mutual_info_gap_score,
    modularity_score,
    mig_sup_score,
    dcimig_score,
    jemmig_score,
    med_disentanglement,
]
CLOSED = [
    *INFORMATION,
    mean_correlation_score,
    interventional_robustness_score,
    threshold_sap,
]
SCORES = [*CLOSED, explicitness_score, infom, infoe, few_votes, few_points]
SCALED = [score for score in SCORES if score is not interventional_robustness_score]
WEIGHTED = [mutual_info_gap_score, mig_sup_score, dcimig_score, jemmig_score]


@st.composite
def tables(draw, max_levels=4):
    """Draw discrete factors, and codes with information on them."""
    rng = np.random.RandomState(draw(st.integers(0, 2**16)))
    n = draw(st.integers(40, 120))
    n_factors, n_codes = draw(st.integers(2, 3)), draw(st.integers(2, 4))
    factors = rng.randint(draw(st.integers(2, max_levels)), size=(n, n_factors))
    factors[: n_factors + 1] = np.eye(n_factors + 1, n_factors)  # no factor is constant
    codes = factors @ rng.normal(size=(n_factors, n_codes))
    return factors, codes + rng.normal(size=(n, n_codes)), rng


def each(scores):
    return pytest.mark.parametrize("score", scores, ids=lambda s: s.__name__)


@each(SCORES)
@given(tables())
def test_a_score_lies_between_zero_and_one(score, table):
    factors, codes, _ = table
    value = score(factors, codes)
    assert isinstance(value, float)
    assert 0 <= value <= 1


@each(CLOSED)
@given(tables())
def test_the_order_of_codes_is_immaterial(score, table):
    factors, codes, rng = table
    shuffled = codes[:, rng.permutation(codes.shape[1])]
    assert score(factors, shuffled) == pytest.approx(score(factors, codes))


@each(CLOSED)
@given(tables())
def test_the_order_of_factors_is_immaterial(score, table):
    factors, codes, rng = table
    shuffled = factors[:, rng.permutation(factors.shape[1])]
    assert score(shuffled, codes) == pytest.approx(score(factors, codes))


@each([s for s in CLOSED if s is not threshold_sap])
@given(tables())
def test_the_order_of_rows_is_immaterial(score, table):
    factors, codes, rng = table
    rows = rng.permutation(len(codes))
    assert score(factors[rows], codes[rows]) == pytest.approx(score(factors, codes))


@each(SCALED)
@given(tables(), st.sampled_from([2.0**-30, 0.25, 8.0, 2.0**40]))
def test_the_scale_and_origin_of_codes_are_immaterial(score, table, scale):
    """The shift is small relative to the deviation, because of rounding."""
    factors, codes, _ = table
    scales = scale * np.where(np.arange(codes.shape[1]) % 2, -1.0, 1.0)
    before = score(factors, np.where(scales > 0, codes, -codes))
    assert score(factors, codes * scales) == pytest.approx(before, abs=1e-6)
    assert score(factors, codes * scale + 3 * scale) == pytest.approx(
        score(factors, codes), abs=2e-2
    )


@each([s for s in CLOSED if s not in INFORMATION and s is not threshold_sap])
@given(tables())
def test_the_sign_of_a_code_is_immaterial(score, table):
    """Bins are closed on their left, so a value on an edge may change its bin."""
    factors, codes, _ = table
    flipped = codes * np.where(np.arange(codes.shape[1]) % 2, -1, 1)
    assert score(factors, flipped) == pytest.approx(score(factors, codes))


@each([s for s in SCORES if s is not mean_correlation_score])
@given(tables())
def test_the_names_of_levels_are_immaterial(score, table):
    """Only correlations use them as numbers. Votes draw samples, not levels."""
    factors, codes, _ = table
    names = np.array(["zebra", "ant", "quail", "mole"])[factors]
    numbers = np.unique(names, return_inverse=True)[1].reshape(factors.shape)
    assert score(names, codes) == pytest.approx(score(numbers, codes))


@each(INFORMATION[:1] + INFORMATION[2:])
@given(tables())
def test_the_order_of_levels_is_immaterial(score, table):
    factors, codes, _ = table
    assert score(-factors, codes) == pytest.approx(score(factors, codes))


@each([*WEIGHTED, med_disentanglement])
@pytest.mark.parametrize("strategy", ["uniform", "quantile"])
@given(tables())
def test_doubling_every_row_changes_no_information(score, strategy, table):
    factors, codes, _ = table
    twice = np.repeat(factors, 2, axis=0), np.repeat(codes, 2, axis=0)
    before = score(factors, codes, strategy=strategy)
    assert score(*twice, strategy=strategy) == pytest.approx(before)


@each(WEIGHTED)
@pytest.mark.parametrize("strategy", ["uniform", "quantile"])
@given(tables())
def test_whole_weights_are_repeated_rows(score, strategy, table):
    """Samples of weight zero do not count, and only ratios of weights matter."""
    factors, codes, rng = table
    weight = rng.randint(4, size=len(codes))
    weight[: factors.shape[1] + 1] += 1
    repeated = np.repeat(factors, weight, axis=0), np.repeat(codes, weight, axis=0)
    expected = score(*repeated, strategy=strategy)
    for scale in (1, 2):
        found = score(factors, codes, strategy=strategy, sample_weight=scale * weight)
        assert found == pytest.approx(expected)


@pytest.mark.parametrize("method", ["pearson", "spearman"])
@given(tables())
def test_whole_weights_are_repeated_rows_in_correlations(method, table):
    factors, codes, rng = table
    weight = rng.randint(1, 4, size=len(codes))
    repeated = np.repeat(factors, weight, axis=0), np.repeat(codes, weight, axis=0)
    found = mean_correlation_score(factors, codes, method=method, sample_weight=weight)
    expected = mean_correlation_score(*repeated, method=method)
    assert found == pytest.approx(expected)


@each(SCORES)
@given(tables(), st.sampled_from([0.0, 0.3, -1e6]))
def test_a_constant_code_changes_nothing(score, table, constant):
    factors, codes, _ = table
    padded = np.column_stack([codes, np.full(len(codes), constant)])
    assert score(factors, padded) == pytest.approx(score(factors, codes), abs=1e-3)


def test_constant_components_leave_significance_as_it_is():
    """Among 300 small tables, some entries are close to the level of the test."""
    rng = np.random.default_rng(0)
    for _ in range(300):
        factors = np.column_stack([rng.integers(3, size=60), rng.integers(2, size=60)])
        codes = rng.normal(size=(60, 1)) + 0.7 * factors[:, :1]
        padded = np.column_stack([codes, np.zeros((60, 5))])
        found = [modularity_score(factors, z) for z in (codes, padded)]
        np.testing.assert_array_equal(*found)


@given(tables())
def test_a_constant_component_lowers_only_the_raw_modularity(table):
    factors, codes, _ = table
    padded = np.column_stack([codes, np.zeros(len(codes))])
    raw = {"average": "macro", "adjusted": False}
    share = codes.shape[1] / padded.shape[1]
    before, after = (modularity_score(factors, z, **raw) for z in (codes, padded))
    assert after == pytest.approx(before * share)


@pytest.mark.slow
@pytest.mark.parametrize("estimator", ["gradient_boosting", "random_forest", "lasso"])
def test_a_constant_component_changes_completeness_of_dci_only(estimator):
    rng = np.random.default_rng(0)
    factors = rng.normal(size=(300, 3))
    mixing = np.eye(3) + 0.3 * rng.normal(size=(3, 3))
    codes = factors @ mixing + 0.2 * rng.normal(size=(300, 3))
    padded = np.column_stack([codes, np.zeros(len(codes))])
    before, after = (
        dci_scores(factors, z, estimator=estimator) for z in (codes, padded)
    )
    for name in ("disentanglement", "informativeness"):
        assert after[name] == pytest.approx(before[name], abs=0.01)
    # Entropies of importances have the base 4 instead of 3.
    expected = 1 - (1 - before["completeness"]) * np.log(3) / np.log(4)
    assert after["completeness"] == pytest.approx(expected, abs=0.01)


@each([*INFORMATION[:1], *INFORMATION[2:], mean_correlation_score])
@given(tables())
def test_scores_with_quantile_bins_are_invariant_to_monotone_maps(score, table):
    factors, codes, _ = table
    settings = {} if score is mean_correlation_score else {"strategy": "quantile"}
    warped = np.exp(codes / np.abs(codes).max(axis=0)) ** 3
    assert score(factors, warped, **settings) == pytest.approx(
        score(factors, codes, **settings)
    )


@each(CLOSED)
@given(tables())
def test_unlabelled_samples_of_a_single_factor_do_not_count(score, table):
    factors, codes, rng = table
    factor = factors[:, 0].astype(float)
    unlabelled = rng.uniform(size=len(factor)) < 0.3
    unlabelled[:4] = False
    marked = np.where(unlabelled, np.nan, factor)
    settings = {"nan_ok": True, "rel": 1e-9}
    expected = score(factor[~unlabelled].astype(int), codes[~unlabelled])
    assert score(marked, codes) == pytest.approx(expected, **settings)


@each([s for s in SCORES if s not in (infom, threshold_sap)])
@given(tables())
def test_float_codes_of_either_width_score_alike(score, table):
    factors, codes, _ = table
    narrow = codes.astype(np.float32)
    wide = score(factors, narrow.astype(np.float64))
    assert score(factors, narrow) == pytest.approx(wide, abs=1e-6)


@given(st.integers(0, 1000))
def test_noise_scores_zero(seed):
    rng = np.random.RandomState(seed)
    factors, codes = rng.randint(4, size=(2000, 3)), rng.normal(size=(2000, 4))
    assert mutual_info_gap_score(factors, codes) < 0.02
    assert mean_correlation_score(factors, codes) < 0.12
    assert med_disentanglement(factors, codes) < 0.15
    assert explicitness_score(factors, codes) < 0.12
    matrix, _ = mutual_information_matrix(factors, codes, adjusted=True)
    assert matrix.max() < 0.01
    assert abs(few_votes(factors, codes) - 1 / 3) < 0.15
    assert abs(few_points(factors, codes) - 1 / 3) < 0.15


@pytest.mark.slow
@pytest.mark.parametrize("n", [60, 300, 3000])
@pytest.mark.parametrize("levels", [2, 40])
@pytest.mark.parametrize("strategy", ["uniform", "quantile"])
def test_adjusted_modularity_of_noise_is_rarely_above_zero(n, levels, strategy):
    """The family-wise error is 0.01; a rate of 0.05 is very unlikely."""
    rng = np.random.RandomState(0)
    found = [
        modularity_score(
            rng.randint(levels, size=(n, 3)),
            rng.standard_t(2, size=(n, 3)),
            strategy=strategy,
        )
        for _ in range(60)
    ]
    assert np.mean(np.array(found) > 0) <= 0.05


@pytest.mark.parametrize("n", [200, 2000])
def test_adjusted_modularity_and_infom_ignore_noise_components(n):
    rng = np.random.RandomState(0)
    factors = rng.randint([3, 6, 10], size=(n, 3))
    signal = factors + 0.1 * rng.normal(size=(n, 3))
    codes = np.hstack([signal, rng.normal(size=(n, 5))])
    assert modularity_score(factors, codes) > 0.97
    assert infom(factors, codes) > 0.97
    assert modularity_score(factors, codes, average="macro", adjusted=False) < 0.9


def test_a_factor_held_twice_lowers_all_but_disentanglement():
    rng = np.random.RandomState(0)
    factors = rng.randint(5, size=(1000, 3))
    once = factors + 0.05 * rng.normal(size=(1000, 3))
    twice = np.column_stack([once, factors[:, 0] + 0.05 * rng.normal(size=1000)])
    alone, double = (
        dci_scores(factors, z, estimator=GradientBoostingClassifier(n_estimators=10))
        for z in (once, twice)
    )
    assert double.disentanglement > alone.disentanglement - 0.05
    assert double.completeness < alone.completeness - 0.05
    gaps = [mutual_info_gap_score(factors, z) for z in (once, twice)]
    assert gaps[1] == pytest.approx(gaps[0] * 2 / 3, abs=0.02)


def test_a_rotation_lowers_the_gap_and_not_the_explicitness():
    rng = np.random.RandomState(0)
    factors = rng.randint(5, size=(2000, 2))
    codes = factors - 2.0 + 0.05 * rng.normal(size=(2000, 2))
    rotated = codes @ np.array([[1, 1], [-1, 1]]) / np.sqrt(2)
    assert mutual_info_gap_score(factors, codes) > 0.9
    assert mutual_info_gap_score(factors, rotated) < 0.05
    assert explicitness_score(factors, rotated) > 0.95
    assert infom(factors, rotated) < 0.5


@given(tables())
def test_label_free_scores_ignore_order_sign_scale_and_constants(table):
    _, codes, rng = table
    changed = (4 * codes * [-1, 1, -1, 1][: codes.shape[1]])[:, ::-1]
    changed = np.column_stack(
        [changed[rng.permutation(len(codes))], np.ones(len(codes))]
    )
    for score in (gaussian_total_correlation, gaussian_wasserstein_correlation):
        assert score(changed) == pytest.approx(score(codes))
    same_sign = np.column_stack([8 * codes[:, ::-1], np.ones(len(codes))])
    assert code_mutual_info(same_sign) == pytest.approx(code_mutual_info(codes))


@given(tables())
def test_fits_that_differ_by_names_and_signs_agree(table):
    _, codes, _ = table
    other = -codes[:, ::-1]
    same, renamed = udr_score([codes, codes]), udr_score([codes, other])
    np.testing.assert_allclose(same, renamed)


def test_votes_are_drawn_from_the_random_state_alone():
    rng = np.random.RandomState(0)
    factors, codes = rng.randint(4, size=(200, 3)), rng.normal(size=(200, 3))
    before = np.random.get_state()[1].copy()
    assert few_votes(factors, codes) == few_votes(factors, codes)
    assert few_points(factors, codes) == few_points(factors, codes)
    np.testing.assert_array_equal(before, np.random.get_state()[1])


@each(SCORES)
def test_neither_factors_nor_codes_are_written_to(score):
    rng = np.random.RandomState(0)
    factors, codes = rng.randint(3, size=(90, 2)), rng.normal(size=(90, 2))
    factors.setflags(write=False)
    codes.setflags(write=False)
    assert np.isfinite(score(factors, codes))
