"""On small tables the scores equal their definitions, written out in loops."""

from itertools import permutations
from math import log

import numpy as np
import pytest
from scipy.stats import hypergeom, pearsonr, spearmanr
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.feature_selection import mutual_info_classif
from sklearn.linear_model import Lasso, LogisticRegression
from sklearn.metrics import mutual_info_score, roc_auc_score
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeRegressor

from skfactorvae.metrics import (
    code_mutual_info,
    dci_scores,
    dcimig_score,
    gaussian_total_correlation,
    gaussian_wasserstein_correlation,
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
from skfactorvae.metrics._chance import cell_expectation, expected_information
from skfactorvae.metrics._infomec import neighbor_information
from skfactorvae.metrics._prediction import one_vs_rest_areas
from skfactorvae.metrics._unsupervised import (
    standardized,
    total_correlation_bias,
    total_correlation_of,
)
from skfactorvae.metrics._validation import check_table


@pytest.fixture
def table():
    """Twelve samples, three components and two factors with few levels, no symmetry."""
    rng = np.random.RandomState(3)
    factors = np.column_stack([rng.randint(3, size=12), rng.randint(2, size=12)])
    codes = np.column_stack(
        [factors[:, 0] ** 2, factors.sum(1), rng.randint(4, size=12)]
    )
    return factors, codes.astype(float)


def information_by_hand(left, right):
    """Return I(left; right) in nats, cell by cell."""
    n, total = len(left), 0.0
    for a in set(left):
        for b in set(right):
            both = np.sum((left == a) & (right == b)) / n
            if both:
                total += both * log(both / np.mean(left == a) / np.mean(right == b))
    return total


def matrix_by_hand(factors, codes):
    return np.array([[information_by_hand(z, y) for y in factors.T] for z in codes.T])


def entropies_by_hand(columns):
    return np.array([information_by_hand(y, y) for y in columns.T])


def test_information_is_a_sum_over_cells(table):
    """With more bins than values, no values are merged."""
    factors, codes = table
    matrix, entropies = mutual_information_matrix(
        factors, codes, n_bins=50, strategy="uniform"
    )
    np.testing.assert_allclose(matrix, matrix_by_hand(factors, codes), atol=1e-12)
    np.testing.assert_allclose(entropies, entropies_by_hand(factors), atol=1e-12)


def test_gap_is_the_difference_of_the_two_best_components(table):
    factors, codes = table
    matrix, entropies = matrix_by_hand(factors, codes), entropies_by_hand(factors)
    gaps = np.array([sorted(i)[-1] - sorted(i)[-2] for i in matrix.T])
    score = mutual_info_gap_score(factors, codes, n_bins=50)
    assert score == pytest.approx(np.mean(gaps / entropies))


def test_modularity_subtracts_squares_of_the_other_factors(table):
    factors, codes = table
    per_code = [
        1 - (np.sum(row**2) - row.max() ** 2) / row.max() ** 2
        for row in matrix_by_hand(factors, codes)
    ]
    settings = {"n_bins": 50, "adjusted": False}
    macro = modularity_score(factors, codes, average="macro", **settings)
    assert macro == pytest.approx(np.mean(per_code))
    weighted = modularity_score(factors, codes, **settings)
    weights = matrix_by_hand(factors, codes).sum(axis=1)
    assert weighted == pytest.approx(np.average(per_code, weights=weights))


def test_dcimig_assigns_each_component_to_its_best_factor(table):
    factors, codes = table
    credit = [0.0, 0.0]
    for row in matrix_by_hand(factors, codes):
        best = int(np.argmax(row))
        credit[best] = max(credit[best], row[best] - row[1 - best])
    score = dcimig_score(factors, codes, n_bins=50)
    assert score == pytest.approx(sum(credit) / entropies_by_hand(factors).sum())


def test_jemmig_penalises_the_entropy_of_the_best_component(table):
    factors, codes = table
    matrix, scores = matrix_by_hand(factors, codes), []
    for k, y in enumerate(factors.T):
        best = int(np.argmax(matrix[:, k]))
        second = sorted(matrix[:, k])[-2]
        h_y, h_z = entropies_by_hand(np.column_stack([y, codes[:, best]]))
        joint = h_y + h_z - matrix[best, k]
        scores.append(1 - (joint - matrix[best, k] + second) / (h_y + log(50)))
    assert jemmig_score(factors, codes, n_bins=50) == pytest.approx(np.mean(scores))


def test_mig_sup_compares_factors_within_a_code(table):
    factors, codes = table
    share = matrix_by_hand(factors, codes) / entropies_by_hand(factors)
    score = mig_sup_score(factors, codes, n_bins=50)
    assert score == pytest.approx(np.mean(np.abs(share[:, 0] - share[:, 1])))


def test_disentanglement_is_one_minus_weighted_entropy(table):
    factors, codes = table
    matrix = matrix_by_hand(factors, codes)
    importances = matrix / matrix.sum(axis=0)
    rows = importances / importances.sum(axis=1, keepdims=True)
    entropy = np.array([-sum(p * log(p) for p in r if p > 0) / log(2) for r in rows])
    scores = dci_scores(factors, codes, estimator="mutual_info", n_bins=50)
    expected = np.average(1 - entropy, weights=importances.sum(axis=1))
    assert scores.disentanglement == pytest.approx(expected, abs=1e-9)
    entropy = [-sum(p * log(p) for p in c if p > 0) / log(3) for c in importances.T]
    assert scores.completeness == pytest.approx(1 - np.mean(entropy), abs=1e-9)


@pytest.mark.parametrize(
    ("method", "correlate"), [("pearson", pearsonr), ("spearman", spearmanr)]
)
def test_mean_correlation_is_the_best_matching_of_all(table, method, correlate):
    factors, codes = table
    strength = [[abs(correlate(z, y)[0]) for y in factors.T] for z in codes.T]
    best = max(
        sum(strength[d][k] for k, d in enumerate(chosen))
        for chosen in permutations(range(3), 2)
    )
    score = mean_correlation_score(factors, codes, method=method)
    assert score == pytest.approx(best / 2)


def test_robustness_is_one_minus_the_deviation_within_levels(table):
    factors, codes = table
    by_code, reach = [], np.abs(codes - codes.mean(0)).max(0)
    for d, z in enumerate(codes.T):
        still = []
        for y in factors.T:
            groups = [z[y == v] for v in np.unique(y)]
            deviations = [np.quantile(abs(g - g.mean()), 0.99) for g in groups]
            still.append(1 - np.mean(deviations) / reach[d])
        by_code.append(max(still))
    score = interventional_robustness_score(factors, codes)
    assert score == pytest.approx(np.average(by_code, weights=reach))


def test_code_information_is_the_mean_over_pairs(table):
    _, codes = table
    pairs = [(0, 1), (0, 2), (1, 2)]
    expected = np.mean(
        [information_by_hand(codes[:, i], codes[:, j]) for i, j in pairs]
    )
    assert code_mutual_info(codes, n_bins=50) == pytest.approx(expected)


def test_gaussian_total_correlation_of_two_codes_is_known():
    """Half of minus log(1 - r squared)."""
    codes = np.random.RandomState(0).normal(size=(50, 2)) @ [[1, 1], [0, 1]]
    r = np.corrcoef(codes.T)[0, 1]
    expected = -0.5 * log(1 - r**2)
    assert gaussian_total_correlation(codes) == pytest.approx(expected)


def test_gaussian_wasserstein_distance_of_two_unit_codes_is_known():
    """The eigenvalues of the correlation are 1 + r and 1 - r."""
    codes = standardized(
        np.random.RandomState(0).normal(size=(50, 2)) @ [[1, 1], [0, 1]]
    )
    r = np.corrcoef(codes.T)[0, 1]
    expected = 2 - np.sqrt(1 + r) - np.sqrt(1 - r)
    assert gaussian_wasserstein_correlation(codes) == pytest.approx(expected)


def test_stability_is_sharpness_of_correlations():
    rng = np.random.RandomState(0)
    left, right = rng.normal(size=(30, 2)), rng.normal(size=(30, 3))
    strength = np.abs([[spearmanr(a, b)[0] for b in right.T] for a in left.T])
    rows = np.mean([max(row) ** 2 / sum(row) for row in strength])
    columns = np.mean([max(c) ** 2 / sum(c) for c in strength.T])
    np.testing.assert_allclose(udr_score([left, right]), [(rows + columns) / 2] * 2)


def test_neighbour_information_is_that_of_scikit_learn():
    rng = np.random.RandomState(0)
    label = rng.randint(4, size=300)
    z = rng.normal(size=(300, 2)) + label[:, None] * [1, 0]
    found = neighbor_information(check_table(label, z), 10, 20, "uniform", rng)[:, 0]
    expected = mutual_info_classif(z, label, n_neighbors=10, random_state=0)
    entropy = mutual_info_score(label, label)
    np.testing.assert_allclose(found, np.maximum(expected / entropy, 0), atol=1e-10)


def test_neighbour_information_of_a_grid_does_not_collapse():
    """A component equal to its factor repeats its values, and determines it."""
    label = np.repeat([0, 1, 2], 50)
    rng = np.random.RandomState(0)
    found = neighbor_information(check_table(label, label), 10, 20, "uniform", rng)
    assert found[0, 0] == pytest.approx(1.0, abs=0.01)


def test_areas_are_those_of_scikit_learn():
    rng = np.random.RandomState(0)
    labels, z = rng.randint(3, size=80), rng.normal(size=(80, 2)).round(1)
    scores = LogisticRegression().fit(z, labels).predict_proba(z)
    expected = [roc_auc_score(labels == c, scores[:, c]) for c in range(3)]
    np.testing.assert_allclose(one_vs_rest_areas(labels, scores), expected)


def test_expected_information_is_the_mean_over_all_shuffles():
    left, right = np.array([0, 0, 0, 1, 1, 2]), np.array([0, 1, 1, 0, 0, 0])
    shuffles = [information_by_hand(left, np.array(p)) for p in permutations(right)]
    found = expected_information(np.bincount(left), np.bincount(right))
    assert found == pytest.approx(np.mean(shuffles))


@pytest.mark.parametrize(("a", "b", "n"), [(7, 9, 20), (500, 900, 1000), (90, 80, 100)])
def test_expectation_of_a_cell_is_a_hypergeometric_sum(a, b, n):
    x = np.arange(1, min(a, b) + 1)
    expected = np.sum(hypergeom.pmf(x, n, a, b) * x * np.log(x))
    assert cell_expectation(np.array([a]), np.array([b]), n) == pytest.approx(expected)


def test_expectation_of_a_large_cell_agrees_with_its_sum():
    """Means above 500 take the expansion: 40,000 * 30,000 / 100,000 is 12,000."""
    a, b, n = 40_000, 30_000, 100_000
    x = np.arange(11_000, 13_001)
    expected = np.sum(hypergeom.pmf(x, n, a, b) * x * np.log(x))
    found = cell_expectation(np.array([a]), np.array([b]), n)[0]
    assert found == pytest.approx(expected, abs=1e-4)


def test_bias_of_total_correlation_is_its_mean_for_independent_codes():
    rng = np.random.RandomState(0)
    draws = [
        total_correlation_of(standardized(rng.normal(size=(20, 4))))
        for _ in range(2000)
    ]
    error = np.std(draws) / np.sqrt(len(draws))
    assert abs(np.mean(draws) - total_correlation_bias(20, 4)) < 4 * error


@pytest.mark.parametrize(
    "estimator",
    ["hist", "extra_trees", Lasso(0.01), DecisionTreeRegressor(max_depth=1)],
    ids=str,
)
@pytest.mark.parametrize("kind", ["discrete", "continuous"])
def test_what_learned_nothing_is_not_important(estimator, kind):
    """A single importance above zero, by chance, is not disentanglement."""
    rng = np.random.default_rng(1)
    noise = rng.normal(size=(400, 4))
    factors = rng.normal(size=(400, 3))
    if kind == "discrete":
        factors = np.digitize(factors, [-0.5, 0.5])
    with pytest.warns(UndefinedMetricWarning, match="no component is important"):
        found = dci_scores(factors, noise, estimator=estimator)
    assert (found.disentanglement, found.completeness) == (0, 0)
    assert not found.importances.any()
    learned = np.column_stack([noise[:, :2], factors[:, 0]])
    found = dci_scores(factors, learned, estimator=estimator)
    assert found.importances[2].argmax() == 0
    assert not found.importances[:, 1:].any()
    assert found.disentanglement > 0.9


def test_published_sap_has_no_lower_limit():
    """For an unbalanced factor, a component of noise is less accurate than chance."""
    rng = np.random.default_rng(0)
    factors = (rng.uniform(size=900) < 0.2).astype(int)
    noise = rng.normal(size=(2, 900))
    codes = np.column_stack([factors + 0.1 * noise[0], noise[1]])
    test = slice(600, None)
    accuracies = []
    for z in codes.T:
        svm = LinearSVC(C=0.01, class_weight="balanced", dual=False)
        predicted = svm.fit(z[:600, None], factors[:600]).predict(z[test, None])
        accuracies.append(np.mean(predicted == factors[test]))
    chance = 1 - factors[test].mean()
    assert accuracies[1] < chance < accuracies[0]
    split = {"shuffle": False}
    published = sap_score(factors, codes, chance_floor=False, **split)
    assert published == pytest.approx(accuracies[0] - accuracies[1])
    limited = sap_score(factors, codes, **split)
    assert limited == pytest.approx(accuracies[0] - chance)
    alone = sap_score(factors, codes[:, 0], chance_floor=False, **split)
    assert alone == pytest.approx(accuracies[0])
    corrected = {"chance_corrected": True, **split}
    assert sap_score(factors, codes, chance_floor=False, **corrected) == sap_score(
        factors, codes, **corrected
    )
