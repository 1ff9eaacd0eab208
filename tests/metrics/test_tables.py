"""Factors and codes of any type are read as documented, or refused with advice."""

import warnings
from decimal import Decimal

import numpy as np
import pandas as pd
import polars
import pytest
import torch
from scipy.sparse import csr_matrix
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

from skfactorvae import metrics
from skfactorvae.metrics import (
    _votes,
    active_units,
    dci_scores,
    disentanglement_report,
    explicitness_score,
    infomec_scores,
    mean_correlation_score,
    modularity_score,
    mutual_info_gap_score,
    mutual_information_matrix,
    sap_score,
    total_correlation_audit,
    udr_score,
)
from skfactorvae.metrics._validation import check_table

FAST_DCI = {"estimator": "mutual_info"}
OF_FACTORS = {
    "mutual_info_gap_score": {},
    "modularity_score": {},
    "mig_sup_score": {},
    "dcimig_score": {},
    "jemmig_score": {},
    "mean_correlation_score": {},
    "sap_score": {},
    "explicitness_score": {},
    "interventional_robustness_score": {},
    "factor_vae_score": {"n_train": 100, "n_eval": 100},
    "beta_vae_score": {"n_train": 100, "n_eval": 100},
    "dci_disentanglement_score": FAST_DCI,
    "dci_completeness_score": FAST_DCI,
    "dci_informativeness_score": FAST_DCI,
}
OF_CODES = (
    "gaussian_total_correlation",
    "gaussian_wasserstein_correlation",
    "code_mutual_info",
    "active_units",
)


def score(name, factors, codes):
    return getattr(metrics, name)(factors, codes, **OF_FACTORS[name])


def quietly(name, factors, codes):
    """Return the score, and whether it raised a warning of undefined values."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        value = score(name, factors, codes)
    assert all(issubclass(w.category, UndefinedMetricWarning) for w in caught)
    return value, bool(caught)


def kinds(factors, **settings):
    return check_table(factors, np.zeros(len(factors)), **settings).kinds


@pytest.fixture
def codes():
    return np.random.RandomState(0).normal(size=(60, 3))


def test_every_score_of_factors_is_covered_here():
    named = {name for name in metrics.__all__ if name.endswith("_score")}
    assert named - {"udr_score"} == set(OF_FACTORS)


@pytest.mark.parametrize(
    ("column", "kind"),
    [
        (np.arange(60) % 3 == 0, "discrete"),
        (np.arange(60) % 7, "discrete"),
        (np.arange(60), "continuous"),
        (np.array(list("abc") * 20), "discrete"),
        (np.array(list("abc") * 20, dtype=object), "discrete"),
        (np.linspace(0, 1, 60), "continuous"),
        (np.arange(60.0) % 5, "discrete"),
        (np.arange(60.0) % 20, "continuous"),
        (np.arange(60.0) % 5 + 0.5, "continuous"),
        (np.arange(60).astype("datetime64[D]"), "continuous"),
        (np.arange(60).astype("timedelta64[s]"), "continuous"),
        (np.array([1, 2.5, None] * 20, dtype=object), "continuous"),
        (np.array([1, 2, None] * 20, dtype=object), "discrete"),
        (np.array([True, False, None] * 20, dtype=object), "discrete"),
        (pd.Series(list("abc") * 20, dtype="category"), "discrete"),
        (pd.Series([0.5, 1.5, 2.5] * 20, dtype="category"), "discrete"),
        (pd.Series([1, 2, None] * 20, dtype="Int64"), "discrete"),
        (pd.Series([True, None] * 30, dtype="boolean"), "discrete"),
        (pd.Series(pd.date_range("2020", periods=60)), "continuous"),
        (pd.Series(pd.date_range("2020", periods=60).date), "continuous"),
        (pd.Series(pd.date_range("2020", periods=60, tz="UTC")), "continuous"),
    ],
    ids=str,
)
def test_types_are_chosen_by_the_documented_rule(column, kind):
    assert kinds(column) == (kind,)


def test_a_type_can_be_overridden_by_word_or_by_sequence():
    factors = np.column_stack([np.arange(60) % 3, np.arange(60) % 4])
    assert kinds(factors, factor_types="continuous") == ("continuous",) * 2
    mixed = ["discrete", "continuous"]
    assert kinds(factors, factor_types=mixed) == tuple(mixed)


def test_what_stands_for_missing_is_unlabelled():
    frame = pd.DataFrame(
        {
            "float": [0.5, np.nan, 1.5],
            "object": ["a", None, "b"],
            "na": pd.array([1, pd.NA, 2], dtype="Int64"),
            "time": pd.to_datetime(["2020", None, "2021"]),
            "category": pd.Categorical(["x", None, "y"]),
        }
    )
    table = check_table(frame, np.zeros(3))
    np.testing.assert_array_equal(
        np.isnan(table.factors), [[False] * 5, [True] * 5] * 1 + [[False] * 5]
    )
    assert table.names == tuple(frame.columns)


def test_large_integers_and_nanoseconds_stay_distinct():
    base = 2**60
    factors = np.array([base, base + 1] * 30)
    assert len(np.unique(check_table(factors, np.zeros(60)).factors)) == 2
    times = np.datetime64("2026-01-01", "ns") + np.arange(60)
    assert len(np.unique(check_table(times, np.zeros(60)).factors)) == 60


@pytest.mark.parametrize("name", OF_FACTORS)
def test_containers_of_the_same_table_score_alike(name, codes):
    factors = np.column_stack([np.arange(60) % 3, np.arange(60) % 4])
    expected, _ = quietly(name, factors, codes)
    frames = pd.DataFrame(factors), pd.DataFrame(codes)
    lists = factors.tolist(), codes.tolist()
    strided = np.asfortranarray(factors), np.repeat(codes, 2, axis=1)[:, ::2]
    for given in (frames, lists, strided):
        assert quietly(name, *given)[0] == pytest.approx(expected)


def test_a_tensor_is_a_table(codes):
    factors = np.column_stack([np.arange(60) % 3, np.arange(60) % 4])
    expected = mutual_info_gap_score(factors, codes)
    tensors = torch.from_numpy(factors), torch.from_numpy(codes)
    assert mutual_info_gap_score(*tensors) == expected


def test_a_polars_frame_is_a_table(codes):
    factors = np.column_stack([np.arange(60) % 3, np.arange(60) % 4])
    frame = polars.DataFrame(factors, schema=["a", "b"])
    value = mutual_info_gap_score(frame, polars.DataFrame(codes))
    assert value == pytest.approx(mutual_info_gap_score(factors, codes))


@pytest.mark.parametrize("name", OF_FACTORS)
@pytest.mark.parametrize("n", [2, 3, 7])
def test_very_few_samples_have_a_score(name, n):
    rng = np.random.RandomState(0)
    factors = np.column_stack([np.arange(n) % 2, rng.permutation(np.arange(n) % 2)])
    value, warned = quietly(name, factors, rng.normal(size=(n, 2)))
    assert warned or 0 <= value <= 1


@pytest.mark.parametrize("name", OF_FACTORS)
def test_constant_components_alone_score_zero_or_chance(name):
    factors = np.column_stack([np.arange(60) % 3, np.arange(60) % 4])
    value, warned = quietly(name, factors, np.ones((60, 3)))
    assert np.isfinite(value)
    if warned:
        assert value == 0
    else:
        assert value <= 0.4


@pytest.mark.parametrize("name", OF_FACTORS)
@pytest.mark.parametrize("factor", [np.zeros(60), np.full(60, np.nan)])
def test_a_constant_factor_is_left_out_and_named(name, factor, codes):
    good = np.column_stack([np.arange(60) % 3, np.arange(60) % 4]).astype(float)
    codes[:, 0] += 3 * good[:, 0]
    with pytest.warns(UndefinedMetricWarning, match="factor2"):
        value = score(name, np.column_stack([good, factor]), codes)
    assert value == pytest.approx(quietly(name, good, codes)[0])


@pytest.mark.parametrize("name", OF_FACTORS)
def test_factors_that_are_all_constant_leave_nan_and_a_warning(name, codes):
    with pytest.warns(UndefinedMetricWarning, match=r"undefined|NaN"):
        value = score(name, np.zeros((60, 2)), codes)
    assert np.isnan(value)


@pytest.mark.parametrize("name", OF_FACTORS)
def test_one_factor_and_one_component_have_a_score(name, codes):
    factor = np.arange(60) % 3
    value, warned = quietly(name, factor, factor + 0.01 * codes[:, 0])
    needs_two = {
        "modularity_score",
        "factor_vae_score",
        "beta_vae_score",
        "dci_disentanglement_score",
        "dci_completeness_score",
    }
    assert np.isnan(value) == (name in needs_two)
    if np.isnan(value):
        assert warned
    else:
        assert value > 0.3


@pytest.mark.parametrize("name", OF_FACTORS)
def test_more_components_than_samples_have_a_score(name):
    rng = np.random.RandomState(0)
    factors = np.column_stack([np.arange(12) % 2, np.arange(12) % 3])
    value, _ = quietly(name, factors, rng.normal(size=(12, 30)))
    assert 0 <= value <= 1


@pytest.mark.parametrize("name", OF_FACTORS)
@pytest.mark.parametrize("scale", [1e-200, 1e12, 1e300])
def test_extreme_scales_have_the_score_of_moderate_ones(name, scale, codes):
    factors = np.column_stack([np.arange(60) % 3, np.arange(60) % 4])
    value, _ = quietly(name, factors, codes * scale)
    if name != "sap_score":  # its linear SVM is not scale-free
        assert value == pytest.approx(quietly(name, factors, codes)[0], abs=0.05)
    assert 0 <= value <= 1


@pytest.mark.filterwarnings("ignore:The number of unique classes:UserWarning")
@pytest.mark.parametrize(
    "name", [n for n in OF_FACTORS if n != "mean_correlation_score"]
)
def test_one_level_per_sample_has_a_score(name, codes):
    names = np.array([f"row {i}" for i in range(60)])
    factors = np.column_stack([names, np.roll(names, 7)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UndefinedMetricWarning)
        assert 0 <= score(name, factors, codes) <= 1


@pytest.mark.parametrize("name", OF_FACTORS)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_codes_that_are_not_finite_are_refused_by_name(name, bad, codes):
    codes[5, 1] = bad
    with pytest.raises(ValueError, match="NaN or infinity in component1"):
        score(name, np.arange(60) % 3, codes)


@pytest.mark.parametrize("name", OF_CODES)
def test_scores_of_codes_are_defined_for_any_finite_table(name, codes):
    function = getattr(metrics, name)
    for table in (codes, codes[:, :1], np.ones((5, 3)), codes[:2], codes * 1e300):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UndefinedMetricWarning)
            assert function(table) >= 0
    with pytest.raises(ValueError, match="NaN or infinity"):
        function(np.where(codes > 2, np.inf, codes))
    with pytest.raises(ValueError, match="at least 2 samples"):
        function(codes[:1])


def test_codes_that_repeat_each_other_have_infinite_total_correlation(codes):
    with pytest.warns(UndefinedMetricWarning, match="linear function"):
        value = metrics.gaussian_total_correlation(np.hstack([codes, codes]))
    assert value == np.inf
    assert metrics.gaussian_wasserstein_correlation(np.hstack([codes, codes])) < 1


@pytest.mark.parametrize(
    ("factors", "given", "message"),
    [
        (np.zeros(5), np.zeros((6, 2)), "factors have 5 rows and codes have 6"),
        (np.zeros((6, 2, 2)), np.zeros((6, 2)), r"shape \(n_samples, n_columns\)"),
        (np.zeros((6, 0)), np.zeros((6, 2)), "at least one column"),
        (np.full(6, np.inf), np.zeros((6, 2)), "use NaN for unlabelled"),
        (np.zeros(6), np.array(list("abcdef")), "codes must be real numbers"),
        (np.zeros(6), np.zeros(6, dtype=complex), "codes must be real numbers"),
        (np.array([1j] * 6), np.zeros(6), "complex"),
        (np.zeros(1), np.zeros(1), "at least 2 samples"),
    ],
)
def test_bad_tables_are_refused_with_advice(factors, given, message):
    with pytest.raises(ValueError, match=message):
        mutual_info_gap_score(factors, given)


def test_sparse_tables_are_refused_with_advice(codes):
    with pytest.raises(TypeError, match="toarray"):
        mutual_info_gap_score(np.arange(60) % 3, csr_matrix(codes))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_bins": 1}, "n_bins must be an integer >= 2, got 1"),
        ({"n_bins": 5.0}, "n_bins"),
        ({"strategy": "kmeans"}, r"strategy must be one of \['quantile', 'uniform'\]"),
        ({"factor_types": "nominal"}, "factor_types"),
        ({"factor_types": ["auto"] * 2}, "2 entries for 1 factors"),
        ({"average": "micro"}, "average"),
        ({"sample_weight": np.ones(3)}, r"expected \(60,\)"),
        ({"sample_weight": -np.ones(60)}, "Negative"),
        ({"sample_weight": np.zeros(60)}, "at least one non-zero"),
    ],
)
def test_bad_parameters_are_refused_with_what_was_expected(settings, message, codes):
    with pytest.raises(ValueError, match=message):
        mutual_info_gap_score(np.arange(60) % 3, codes, **settings)


def test_strings_cannot_be_continuous(codes):
    with pytest.raises(ValueError, match="labels without an order"):
        mutual_info_gap_score(
            np.array(list("abc") * 20), codes, factor_types="continuous"
        )


def test_weights_and_chance_adjustment_exclude_each_other(codes):
    with pytest.raises(ValueError, match="takes no sample_weight"):
        modularity_score(np.eye(2)[np.arange(60) % 2], codes, sample_weight=np.ones(60))


def test_strings_are_correlated_only_if_they_have_two_levels(codes):
    two = np.array(["a", "b"] * 30)
    assert mean_correlation_score(two, codes) == mean_correlation_score(
        np.arange(60) % 2, codes
    )
    three = np.column_stack([two, list("abc") * 20])
    with pytest.warns(UndefinedMetricWarning, match="without an order.*factor1"):
        assert mean_correlation_score(three, codes) == mean_correlation_score(
            two, codes
        )


def test_an_ordered_categorical_is_ranked_by_its_order(codes):
    order = ["low", "mid", "high"]
    levels = np.arange(60) % 3
    column = pd.Series(pd.Categorical.from_codes(levels, order, ordered=True))
    assert mean_correlation_score(column, codes) == mean_correlation_score(
        levels, codes
    )


def test_importances_come_from_any_predictor():
    rng = np.random.RandomState(0)
    factors = rng.randint(3, size=(200, 2))
    codes = np.column_stack([factors + 0.1 * rng.normal(size=(200, 2)), np.ones(200)])
    for estimator in (LogisticRegression(), LinearRegression(), KNeighborsClassifier()):
        scores = dci_scores(factors, codes, estimator=estimator)
        assert scores.disentanglement > 0.7
        assert scores.importances.shape == (3, 2)
        np.testing.assert_array_equal(scores.importances[2], 0)
        assert scores.estimator == repr(estimator)


@pytest.mark.slow
@pytest.mark.parametrize("estimator", ["hist", "extra_trees", "random_forest"])
def test_fast_estimators_find_aligned_factors(estimator):
    rng = np.random.RandomState(0)
    factors = rng.randint(3, size=(300, 2))
    codes = factors + 0.1 * rng.normal(size=(300, 2))
    scores = dci_scores(factors, codes, estimator=estimator, max_samples=240, n_jobs=2)
    assert scores.disentanglement > 0.5
    assert scores.informativeness > 0.95
    again = dci_scores(factors, codes, estimator=estimator, max_samples=240)
    assert scores.disentanglement == again.disentanglement


def test_unknown_estimators_are_refused(codes):
    with pytest.raises(ValueError, match="estimator must be one of"):
        dci_scores(np.arange(60) % 3, codes, estimator="svm")
    with pytest.raises(ValueError, match="estimator must be one of"):
        dci_scores(np.arange(60) % 3, codes, estimator=3)


def test_a_perfect_ordered_code_needs_thresholds_to_be_predictable():
    rng = np.random.RandomState(0)
    levels = rng.randint(10, size=3000)
    codes = rng.normal(size=(3000, 2)) * [0.02, 1]
    codes[:, 0] += (levels - 4.5) / 3
    assert sap_score(levels, codes) < 0.2
    assert sap_score(levels, codes, classifier="threshold") > 0.8
    corrected = {"classifier": "threshold", "chance_corrected": True}
    assert sap_score(levels, codes, **corrected) > 0.85


def test_infomec_of_noise_is_zero_with_a_warning():
    rng = np.random.RandomState(0)
    with pytest.warns(UndefinedMetricWarning, match="no component is informative"):
        scores = infomec_scores(
            rng.randint(4, size=(500, 2)), rng.normal(size=(500, 3))
        )
    assert scores.infom == scores.infoc == 0
    assert scores.infoe < 0.05


def test_the_matrix_of_an_uninformative_table_is_plain_zeros(codes):
    matrix, entropies = mutual_information_matrix(np.zeros(60), codes)
    np.testing.assert_array_equal(matrix, 0)
    np.testing.assert_array_equal(entropies, 0)


def test_stability_needs_two_fits_of_the_same_rows(codes):
    with pytest.raises(ValueError, match="at least two fits"):
        udr_score([codes])
    with pytest.raises(ValueError, match="same samples"):
        udr_score([codes, codes[1:]])
    with pytest.raises(ValueError, match="one value per component"):
        udr_score([codes, codes], kl=[[1, 1], [1, 1, 1]])
    nothing_active = udr_score([codes, codes], kl=np.zeros((2, 3)))
    np.testing.assert_array_equal(nothing_active, 0)


def test_active_units_are_counted_by_variance(codes):
    assert active_units(codes * [1, 1e-3, 0]) == 1
    with pytest.raises(ValueError, match="threshold"):
        active_units(codes, threshold=-1)


def test_an_audit_distinguishes_dependence_from_independence():
    rng = np.random.RandomState(0)
    z = rng.normal(size=(3000, 3))
    free = total_correlation_audit(z)
    assert abs(free.auc - 0.5) < 4 * free.auc_std_error
    assert abs(free.log_ratio) < 0.03
    assert abs(free.gaussian_copula_tc) < 0.005
    curved = np.column_stack([z, z[:, 0] ** 2 + 0.1 * z[:, 1]])
    bent = total_correlation_audit(curved)
    assert bent.auc > 0.8
    assert bent.log_ratio > 0.5
    assert bent.gaussian_copula_tc < 0.05 * bent.log_ratio


def test_an_audit_needs_enough_samples_and_components(codes):
    with pytest.raises(ValueError, match="at least 20 samples"):
        total_correlation_audit(codes[:19])
    with pytest.warns(UndefinedMetricWarning, match="Fewer than two components vary"):
        assert total_correlation_audit(codes[:, 0]).auc == 0.5


def test_a_report_lists_types_components_and_skipped_factors(codes):
    frame = pd.DataFrame(
        {"shape": list("ab") * 30, "size": np.arange(60) % 3, "same": np.zeros(60)}
    )
    frame.loc[:9, "size"] = np.nan
    latent = pd.DataFrame({"z0": frame["shape"] == "a", "z1": codes[:, 0]})
    report = disentanglement_report(frame, latent.astype(float))
    assert report.n_used == {"shape": 60, "size": 50, "same": 60}
    assert "factor same" in report.skipped
    assert report.params["factor_types"]["shape"] == "discrete"
    held = {row["factor"]: row["best_code"] for row in report.per_factor}
    assert held == {"shape": "z0", "size": None, "same": None}
    text = str(report)
    for word in ("mig", "z0 (100% of its entropy)", "no component", "skipped", "same"):
        assert word in text


def test_a_report_says_what_a_score_leaves_out(codes):
    shape = np.resize(["disc", "ring", "square"], len(codes))
    factors = pd.DataFrame({"shape": shape, "size": codes[:, 0], "fixed": 1})
    report = disentanglement_report(factors, codes, metrics=["mcc", "mig"], n_blocks=0)
    assert report.notes.keys() == {"mcc"}
    assert report.notes["mcc"].endswith("are left out: shape.")
    assert report.skipped.keys() == {"factor fixed"}
    assert str(report).splitlines()[-2:] == ["notes:", f"  mcc: {report.notes['mcc']}"]


def test_notes_of_a_report_are_about_the_score_that_they_are_at(codes):
    factors = np.random.default_rng(0).integers(3, size=(len(codes), 2))
    options = {"metrics": "all", "n_blocks": 0, "dci_estimator": "mutual_info"}
    report = disentanglement_report(factors, codes[:, :1], **options)
    assert not any("NaN" in note for note in report.notes.values())


def test_a_report_is_a_frame(codes):
    factors = np.column_stack([np.arange(60) % 3, np.arange(60) % 4])
    report = disentanglement_report(factors, codes, metrics=["mig", "factor_vae"])
    frame = report.to_frame()
    assert list(frame.index) == ["mig", "factor_vae"]
    assert frame.loc["mig", "score"] == mutual_info_gap_score(
        factors, codes, strategy="quantile"
    )
    assert frame.loc["factor_vae", "chance"] == 0.5
    assert (frame["std_error"] > 0).all()
    with pytest.raises(ValueError, match="unknown metrics"):
        disentanglement_report(factors, codes, metrics=["migg"])


def test_a_full_report_has_every_metric(codes):
    factors = np.column_stack([np.arange(60) % 3, np.arange(60) % 4])
    report = disentanglement_report(
        factors, codes, metrics="all", n_blocks=0, dci_estimator="extra_trees"
    )
    assert {"dci_disentanglement", "infom", "infoe", "explicitness"} <= set(
        report.scores
    )
    assert all(np.isfinite(value) for value in report.scores.values())


def test_standard_errors_are_of_the_size_of_sampling_errors():
    """The jackknife of one table agrees with the deviation over new tables."""
    rng = np.random.RandomState(0)

    def draw():
        factors = rng.randint(4, size=(600, 2))
        return factors, factors + rng.normal(size=(600, 2))

    values = [mutual_info_gap_score(*draw(), strategy="quantile") for _ in range(60)]
    errors = [
        disentanglement_report(*draw(), metrics=["mig"]).std_errors["mig"]
        for _ in range(8)
    ]
    assert 0.6 < np.mean(errors) / np.std(values) < 1.7


def test_columns_of_the_same_name_are_refused(codes):
    twice = pd.DataFrame(codes[:, [0, 0]], columns=["a", "a"])
    with pytest.raises(ValueError, match=r"factors must not have .* same name, .* 'a'"):
        sap_score(twice, codes)
    with pytest.raises(ValueError, match=r"codes must not have .* same name, .* 'a'"):
        sap_score(codes, twice)


@pytest.mark.parametrize(
    "name", ["mutual_info_gap_score", "mig_sup_score", "dcimig_score", "jemmig_score"]
)
def test_types_are_those_of_weighted_samples(name):
    score = getattr(metrics, name)
    factor = np.arange(30)  # continuous, and discrete if each is there twice
    code = factor + np.random.default_rng(0).normal(size=30)
    twice = score(np.repeat(factor, 2), np.repeat(code, 2))
    assert score(factor, code, sample_weight=np.full(30, 2)) == pytest.approx(twice)
    assert twice != pytest.approx(score(factor, code))
    added = np.r_[factor, np.repeat(factor, 3)], np.r_[code, np.repeat(factor, 3) + 9.0]
    weight = np.repeat([1.0, 0.0], [30, 90])
    once = score(factor, code)
    assert score(*added, sample_weight=weight) == pytest.approx(once)
    assert score(factor, code, sample_weight=np.full(30, 0.01)) == pytest.approx(once)


def test_components_that_vary_without_labels_only_have_no_robustness():
    score = metrics.interventional_robustness_score
    with pytest.warns(UndefinedMetricWarning, match="every component is constant"):
        assert score([0, 1, 0, 1, np.nan], [0.0, 0, 0, 0, 1]) == 0


def test_masked_is_unlabelled_for_factors_and_an_error_for_codes(codes):
    factors = np.arange(60) % 3
    masked = np.ma.masked_array(factors, np.arange(60) < 10)
    table = check_table(masked, codes)
    assert np.array_equal(np.isnan(table.factors[:, 0]), masked.mask)
    assert table.kinds == ("discrete",)
    with pytest.raises(ValueError, match="NaN or infinity in component0"):
        check_table(factors, np.ma.masked_array(codes, np.eye(*codes.shape) > 0))


def test_decimals_are_numbers(codes):
    column = np.array([Decimal(str(value)) for value in codes[:, 0]], dtype=object)
    assert check_table(column, codes).kinds == ("continuous",)
    assert mean_correlation_score(column, codes) > 0.999


def test_an_empty_table_is_refused_by_its_number_of_rows():
    with pytest.raises(ValueError, match="n_samples=0"):
        sap_score(np.zeros((0, 2)), np.zeros((0, 2)))


def test_swapped_arguments_are_refused_with_their_order(codes):
    with pytest.raises(ValueError, match=r"order of the arguments is \(factors, codes"):
        sap_score(codes, np.tile(["a", "b"], 30))


@pytest.mark.parametrize("types", [None, 3, {"factor0": "discrete"}])
def test_factor_types_is_a_word_or_a_sequence(codes, types):
    with pytest.raises(ValueError, match=r"factor_types must be one of .* sequence"):
        sap_score(codes, codes, factor_types=types)


def test_a_rare_level_does_not_stop_histogram_boosting():
    """Boosting stops early beyond 10,000 samples, and then splits by level."""
    rng = np.random.RandomState(0)
    factors = rng.randint(2, size=16_000)
    codes = factors[:, None] + rng.normal(size=(16_000, 1))
    factors[:3] = [7, 8, 9]  # at least one of them is for training
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UndefinedMetricWarning)
        found = dci_scores(factors, codes, estimator="hist", shuffle=False)
    assert found.informativeness > 0.6


def test_an_audit_leaves_out_components_that_are_constant_on_its_samples():
    codes = np.random.RandomState(0).normal(size=(400, 3))
    codes[:, 2] = np.arange(400) < 2
    audits = [
        total_correlation_audit(codes, max_samples=100, random_state=seed)
        for seed in range(4)
    ]
    assert {audit.n_codes for audit in audits} == {2, 3}
    assert all(np.isfinite(audit.gaussian_copula_tc) for audit in audits)


def test_an_audit_reports_too_few_samples_and_infinite_values():
    codes = np.random.RandomState(0).normal(size=(20, 2))
    with pytest.raises(ValueError, match="leaves n_train=2 training samples"):
        total_correlation_audit(codes, test_size=0.9)
    with pytest.warns(
        UndefinedMetricWarning, match="copula's total correlation is inf"
    ):
        total_correlation_audit(np.hstack([codes, codes]))


def test_ranking_needs_a_list_of_tables_and_not_one(codes):
    with pytest.raises(ValueError, match="one table per fit"):
        udr_score(codes)


def test_a_report_gives_chance_only_where_there_is_one_number(codes):
    factors = np.column_stack([np.arange(60) % 3, np.arange(60) % 4])
    wanted = ["mig", "jemmig", "irs", "gaussian_tc", "dci_informativeness"]
    report = disentanglement_report(
        factors, codes, metrics=wanted, n_blocks=0, dci_estimator="lasso"
    )
    assert report.chance.pop("mig") == 0.0
    assert np.isnan(list(report.chance.values())).all()
    with pytest.raises(ValueError, match="metrics must be 'fast', 'all'"):
        disentanglement_report(factors, codes, metrics=None)


def test_every_score_of_a_report_has_its_bins(codes):
    report = disentanglement_report(
        codes**3, codes, metrics=["infoe", "explicitness"], n_bins=4, n_blocks=0
    )
    bins = {"n_bins": 4, "strategy": "quantile"}
    assert report.scores["infoe"] == infomec_scores(codes**3, codes, **bins).infoe
    assert report.scores["explicitness"] == explicitness_score(
        codes**3, codes, n_bins=4
    )


def test_a_report_without_a_seed_has_errors_of_sampling_and_not_of_draws():
    """Blocks use the draws of the whole table; new ones would double the error."""
    factors = np.random.RandomState(0).randint(3, size=(300, 2))
    codes = factors + np.random.RandomState(1).normal(size=(300, 2))
    for random_state in (None, np.random.RandomState(0)):
        report = disentanglement_report(
            factors, codes, metrics=["sap_threshold"], random_state=random_state
        )
        seed = report.params["random_state"]
        again = disentanglement_report(
            factors, codes, metrics=["sap_threshold"], random_state=seed
        )
        assert report.scores == again.scores
        assert report.std_errors == again.std_errors


def test_a_point_is_the_mean_difference_of_its_pairs_whatever_the_scale():
    rng = np.random.RandomState(0)
    factors = rng.randint(4, size=(200, 2))
    codes = factors + rng.normal(size=(200, 2))
    unit, groups = _votes._prepare(factors, codes, "auto", 1, 1, 20, 0.0, "score")
    drawn = [
        _votes._differences(unit * scale, groups, 50, 64, np.random.default_rng(0))
        for scale in (1.0, 1024.0)
    ]
    assert np.array_equal(drawn[0][0], drawn[1][0])
    assert np.array_equal(1024 * drawn[0][1], drawn[1][1])
    fixed, points = drawn[0]
    for k in range(2):
        other = points[fixed == k, 1 - k].mean()
        pairs = np.abs(unit[:, None, 1 - k] - unit[None, :, 1 - k]).mean()
        assert abs(other / pairs - 1) < 0.05
