"""Components that conditions, or an order in time, identify."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom

from skfactorvae._joint_diagonalisation import (
    diagonalise,
    read_auxiliary,
    rotate_to_diagonal,
)
from skfactorvae._joint_diagonalisation._diagonalisation import criterion
from skfactorvae._joint_diagonalisation._separation import (
    compare_shapes,
    component_separations,
    shape_difference,
)
from skfactorvae.identification import align_codes
from skfactorvae.metrics import mean_correlation_score

MIXING = np.array([[1.0, 0.5, -0.3], [-0.5, 1.0, 0.4], [0.2, -0.6, 1.0]])


def conditioned(n_conditions=8, n_each=60, d=3, seed=0, low=0.2, high=2.0):
    """Sources whose spread depends on the condition, mixed, and the conditions."""
    rng = np.random.RandomState(seed)
    aux = np.repeat(np.arange(n_conditions), n_each)
    spread = rng.uniform(low, high, (n_conditions, d))
    sources = rng.normal(size=(len(aux), d)) * spread[aux]
    return sources @ MIXING[:d, :d], aux, sources


def series(n=800, seed=0):
    """Autoregressive sources of different memory, mixed."""
    rng = np.random.RandomState(seed)
    sources = rng.normal(size=(n, 3))
    for t in range(1, n):
        sources[t] += np.array([0.9, 0.4, -0.5]) * sources[t - 1]
    return sources @ MIXING, sources


def spd(seed=0, n_matrices=6, d=3):
    """Matrices that one matrix makes diagonal, and that matrix."""
    rng = np.random.RandomState(seed)
    mixing = rng.normal(size=(d, d))
    spreads = rng.uniform(0.3, 3, (n_matrices, d))
    return np.einsum("ij,kj,lj->kil", mixing, spreads, mixing), np.linalg.inv(mixing)


EQUAL = np.full(6, 1 / 6)


class TestJointDiagonalisation:
    def test_matrices_with_a_common_diagonaliser_become_diagonal(self):
        matrices, inverse = spd()
        found = diagonalise(matrices, EQUAL)
        turned = found @ matrices @ found.T
        off = turned - np.eye(3) * turned
        assert np.abs(off).max() < 1e-4
        assert criterion(turned, EQUAL) < 1e-8
        product = np.abs(found @ np.linalg.inv(inverse))
        assert (product > 1e-3).sum() == 3  # a permutation, scaled
        np.testing.assert_allclose(np.einsum("k,kii->i", EQUAL, turned), 1, rtol=1e-10)

    def test_an_orthogonal_diagonaliser_is_found(self):
        turn = np.linalg.qr(np.random.RandomState(1).normal(size=(3, 3)))[0]
        spreads = np.random.RandomState(2).uniform(0.3, 3, (6, 3))
        matrices = np.einsum("ij,kj,lj->kil", turn, spreads, turn)
        found = rotate_to_diagonal(matrices, EQUAL)
        np.testing.assert_allclose(found @ found.T, np.eye(3), atol=1e-10)
        assert criterion(found @ matrices @ found.T, EQUAL) < 1e-8

    def test_the_shape_difference_does_not_depend_on_linear_maps(self):
        matrices, inverse = spd()
        value = shape_difference(matrices, EQUAL)
        other = shape_difference(inverse @ matrices @ inverse.T, EQUAL)
        assert value == pytest.approx(other)
        assert value > 0.1

    def test_proportional_covariances_have_no_difference(self):
        base = spd()[0][0]
        matrices = np.arange(1.0, 7)[:, None, None] * base
        assert shape_difference(matrices, EQUAL) == pytest.approx(0, abs=1e-10)
        spreads = np.arange(1.0, 7)[:, None] * np.array([1.0, 2.0, 3.0])
        np.testing.assert_allclose(component_separations(spreads, EQUAL), 0, atol=1e-7)


class TestAlignment:
    @pytest.mark.parametrize(
        "orthogonal", [False, pytest.param(True, marks=pytest.mark.slow)]
    )
    def test_sources_are_found(self, orthogonal):
        Z, aux, sources = conditioned()
        if orthogonal:
            Z = sources @ np.linalg.qr(MIXING)[0]
        aligned = align_codes(Z, aux, orthogonal=orthogonal, n_permutations=99)
        assert mean_correlation_score(sources, aligned.codes) > 0.98
        assert aligned.p_value == pytest.approx(0.01)
        assert (aligned.separation > aligned.chance).all()
        assert (np.diff(aligned.separation) <= 0).all()
        np.testing.assert_allclose(
            (Z - aligned.mean) @ aligned.matrix, aligned.codes, atol=1e-12
        )

    @pytest.mark.slow
    def test_spreads_are_those_of_the_codes_within_conditions(self):
        Z, aux, _ = conditioned()
        aligned = align_codes(Z, aux, n_permutations=99)
        inside = aligned.codes[aux == 3].std(axis=0, ddof=1)
        np.testing.assert_allclose(aligned.spreads[3], inside)
        assert aligned.conditions == tuple("01234567")

    @pytest.mark.slow
    def test_means_of_conditions_do_not_matter(self):
        Z, aux, _ = conditioned()
        shift = np.random.RandomState(5).normal(size=(8, 3))[aux]
        one = align_codes(Z, aux, n_permutations=99)
        other = align_codes(Z + 10 * shift, aux, n_permutations=99)
        np.testing.assert_allclose(one.matrix, other.matrix, atol=1e-6)

    @pytest.mark.slow
    def test_an_order_in_time_identifies_sources_of_different_memory(self):
        Z, sources = series()
        order = np.random.RandomState(0).permutation(len(Z))
        days = pd.Timestamp("2020-01-01") + pd.to_timedelta(order, unit="D")
        aligned = align_codes(Z[order], days, n_permutations=99)
        assert mean_correlation_score(sources[order], aligned.codes) > 0.95
        assert aligned.conditions[:2] == ("sum at lag 1", "difference at lag 1")
        same = align_codes(Z[order], order, kind="time", n_permutations=99)
        np.testing.assert_allclose(same.matrix, aligned.matrix)

    @pytest.mark.slow
    def test_lags_may_be_an_array(self):
        time = np.arange(600)
        for lags in (np.array([2, 1, 2]), [1.0, 2.0]):
            order = read_auxiliary(time, 600, kind="time", lags=lags)
            assert order.lags == (1, 2)

    def test_samples_of_unknown_condition_are_left_out_and_have_codes(self):
        Z, aux, _ = conditioned()
        extra = np.random.RandomState(1).normal(size=(50, 3)) * 30
        labels = np.r_[aux.astype(float), np.full(50, np.nan)]
        one = align_codes(Z, aux, n_permutations=99)
        both = align_codes(np.r_[Z, extra], labels, n_permutations=99)
        np.testing.assert_allclose(one.matrix, both.matrix)
        assert both.codes.shape == (len(Z) + 50, 3)

    @pytest.mark.slow
    def test_columns_of_a_frame_are_conditions_together(self):
        Z, aux, _ = conditioned()
        frame = pd.DataFrame({"site": aux // 2, "dose": np.array(["a", "b"])[aux % 2]})
        aligned = align_codes(Z, frame, n_permutations=99)
        assert aligned.conditions[:2] == ("site=0, dose=a", "site=0, dose=b")
        plain = align_codes(Z, aux, n_permutations=99)
        np.testing.assert_allclose(aligned.matrix, plain.matrix)

    @pytest.mark.slow
    def test_a_continuous_column_is_cut_into_conditions(self):
        rng = np.random.RandomState(0)
        dose = rng.uniform(0, 1, 600)
        spread = np.exp(np.outer(dose - 0.5, [2.0, -2.0, 0.0]))
        sources = rng.normal(size=(600, 3)) * spread
        aligned = align_codes(sources @ MIXING, dose, n_permutations=99)
        assert len(aligned.conditions) == 12
        assert mean_correlation_score(sources, aligned.codes) > 0.95


class TestRefusals:
    def test_flat_conditions_are_refused_with_the_reason(self):
        Z, aux, _ = conditioned(low=1.0, high=1.0 + 1e-9)
        with pytest.raises(ValueError, match="between its 8 conditions no more than"):
            align_codes(Z, aux, n_permutations=99)

    @pytest.mark.slow
    def test_a_component_that_is_constant_in_a_condition_is_named(self):
        rng = np.random.RandomState(0)
        site = np.repeat(["north", "south", "west"], 100)
        Z = rng.normal(size=(300, 2)) * rng.uniform(0.2, 2, (3, 2)).repeat(100, axis=0)
        Z[site == "south", 0] = 1.0
        with pytest.raises(ValueError, match=r"constant in 1 of the 3 cond.* south"):
            align_codes(Z @ [[1.0, 0.5], [-0.5, 1.0]], site)

    def test_spreads_that_change_in_proportion_are_refused(self):
        Z, aux, _ = conditioned(low=1.0, high=1.0 + 1e-9)
        scale = np.linspace(0.3, 3, 8)[aux][:, None]
        with pytest.raises(ValueError, match="or of all in proportion"):
            align_codes(Z * scale, aux, n_permutations=99)

    @pytest.mark.slow
    @pytest.mark.parametrize("seed", range(6))
    def test_components_that_are_not_separated_are_named_by_a_warning(self, seed):
        rng = np.random.RandomState(seed)
        aux = np.repeat(np.arange(8), 100)
        spread = np.ones((8, 3))
        spread[:, 0] = rng.uniform(0.2, 3, 8)
        sources = rng.normal(size=(800, 3)) * spread[aux]
        with pytest.warns(UserWarning, match="2 of 3 components are not separated"):
            aligned = align_codes(sources @ MIXING, aux, n_permutations=99)
        assert (aligned.separation > aligned.chance).tolist() == [True, False, False]
        first = np.corrcoef(aligned.codes[:, 0], sources[:, 0])[0, 1]
        assert abs(first) > 0.99

    @pytest.mark.parametrize(
        ("aux", "message"),
        [
            (np.zeros(480), "one condition, 0.0; expected at least two"),
            (np.r_[np.zeros(3), np.ones(477)], r"fewer than 10 samples: 0.0 \(3\)"),
            (np.full(480, np.nan), "missing for all samples"),
            (np.arange(300) % 8, "300 rows, but X has 480 samples"),
            (np.r_[np.inf, np.arange(479) % 8], "holds infinity"),
        ],
    )
    def test_conditions_that_cannot_be_used_are_refused(self, aux, message):
        Z, _, _ = conditioned()
        with pytest.raises(ValueError, match=message):
            align_codes(Z, aux)

    @pytest.mark.parametrize(
        ("aux", "options", "message"),
        [
            (np.arange(480) // 2, {"kind": "time"}, "same time to several samples"),
            (np.arange(480), {"kind": "time", "lags": (0,)}, "of integers of at least"),
            (np.arange(480), {"kind": "time", "lags": 3}, "lags must be a sequence"),
            (np.arange(480), {"kind": "time", "lags": "a"}, "lags must be a sequence"),
            (np.arange(480), {"kind": "time", "lags": [np.nan]}, "of integers"),
            (np.arange(480), {"kind": "time", "lags": (475,)}, "expected at least 485"),
            (np.tile(["a", "b"], 240), {"kind": "time"}, "names without an order"),
            (np.arange(480), {"kind": "order"}, "kind must be one of"),
            (np.arange(480) % 8, {"n_permutations": 20}, "at least 99"),
        ],
    )
    def test_options_that_cannot_be_used_are_refused(self, aux, options, message):
        Z, _, _ = conditioned()
        with pytest.raises(ValueError, match=message):
            align_codes(Z, aux, **options)

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (lambda Z: Z[:, :1], "at least two components"),
            (lambda Z: np.where(np.arange(3) == 1, np.nan, Z), "NaN or infinity"),
            (lambda Z: np.c_[Z, Z.sum(axis=1)], "constant or linearly dependent"),
            (lambda Z: np.c_[Z, np.ones(len(Z))], "constant or linearly dependent"),
        ],
    )
    def test_codes_that_cannot_be_used_are_refused(self, change, message):
        Z, aux, _ = conditioned()
        with pytest.raises(ValueError, match=message):
            align_codes(change(Z), aux)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*components are not separated")
def test_shuffled_conditions_are_refused():
    """The level of the test is one in a hundred, also with different means."""
    refused = 0
    for seed in range(15):
        Z, aux, _ = conditioned(seed=seed, n_conditions=4)
        Z = Z + np.random.RandomState(seed).normal(size=(4, 3))[aux]
        shuffled = np.random.RandomState(seed).permutation(aux)
        try:
            align_codes(Z, shuffled, n_permutations=99)
        except ValueError:
            refused += 1
    assert refused >= 14


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["conditions", "time"])
def test_one_in_twenty_tables_without_a_difference_has_a_p_value_of_one_in_twenty(kind):
    """Conditions of ten samples differ in means; their covariances are equal."""
    rng = np.random.RandomState(0)
    site = np.repeat(np.arange(20), 10)
    auxiliary = read_auxiliary(site if kind == "conditions" else range(200), 200, kind)
    means = 1.0 if kind == "conditions" else 0.0
    n_rejected = 0
    for _ in range(300):
        Z = rng.normal(size=(200, 2)) + means * rng.normal(size=(20, 2))[site]
        n_rejected += compare_shapes(auxiliary, Z, None, 19, rng) <= 0.05
    low, high = binom.interval(0.998, 300, 0.05)
    assert low <= n_rejected <= high
