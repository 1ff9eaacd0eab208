"""Identities of the nonlinear mixtures and of the sensor table."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import kurtosis

from skfactorvae.datasets import make_nonlinear_ica, make_sensor_table

EXCESS_KURTOSIS = {"uniform": -1.2, "laplace": 3.0, "gaussian": 0.0}


@pytest.mark.parametrize("source", EXCESS_KURTOSIS)
def test_sources_have_zero_mean_unit_variance_and_the_kurtosis_of_their_law(source):
    _, sources = make_nonlinear_ica(40_000, source=source, random_state=0)
    assert_allclose(sources.mean(axis=0), 0, atol=0.03)
    assert_allclose(sources.var(axis=0), 1, rtol=0.03)
    excess = EXCESS_KURTOSIS[source]
    assert kurtosis(sources, axis=None) == pytest.approx(excess, abs=0.2)


def test_uniform_sources_stay_within_root_three():
    _, sources = make_nonlinear_ica(5000, random_state=0)
    assert np.abs(sources).max() <= np.sqrt(3)


@pytest.mark.parametrize("options", [{"n_layers": 1}, {"n_layers": 3, "slope": 1.0}])
def test_a_linear_mixing_is_an_isometry_and_its_transpose_unmixes(options):
    table = make_nonlinear_ica(50, return_bunch=True, random_state=0, **options)
    assert_allclose(table.data @ table.data.T, table.factors @ table.factors.T)
    mixing = np.linalg.multi_dot([np.eye(4), *table.mixing])
    assert_allclose(table.data @ mixing.T, table.factors, atol=1e-12)


def test_every_mixing_matrix_has_orthonormal_rows():
    table = make_nonlinear_ica(2, n_layers=3, return_bunch=True, random_state=0)
    assert [W.shape for W in table.mixing] == [(4, 20), (20, 20), (20, 20)]
    for W in table.mixing:
        assert_allclose(W @ W.T, np.eye(len(W)), atol=1e-12)


def test_two_layers_can_be_unmixed_by_hand():
    """Undo the last rotation, then the rectifier, then the first mixing."""
    table = make_nonlinear_ica(40, slope=0.2, return_bunch=True, random_state=1)
    first, last = table.mixing
    bent = table.data @ last.T
    hidden = np.where(bent < 0, bent / 0.2, bent)
    assert_allclose(hidden @ first.T, table.factors, atol=1e-12)


def test_two_layers_are_not_linear_in_the_sources():
    X, sources = make_nonlinear_ica(500, random_state=0)
    fit = sources @ np.linalg.lstsq(sources, X, rcond=None)[0]
    assert np.var(X - fit) > 0.01 * np.var(X)


def test_tables_of_one_seed_share_the_mixing_whatever_their_size_and_law():
    tables = [
        make_nonlinear_ica(
            n, source=source, noise=noise, return_bunch=True, random_state=7
        )
        for n, source, noise in [(5, "uniform", 0), (9, "laplace", 0.1)]
    ]
    for one, other in zip(*(table.mixing for table in tables), strict=True):
        assert_array_equal(one, other)


def test_segments_scale_the_sources_by_half_to_three():
    table = make_nonlinear_ica(
        60_000, source="gaussian", n_segments=4, return_bunch=True, random_state=0
    )
    assert set(table.segments) == {0, 1, 2, 3}
    deviations = np.array(
        [table.factors[table.segments == u].std(axis=0) for u in range(4)]
    )
    assert deviations.min() > 0.49
    assert deviations.max() < 3.06
    assert np.ptp(deviations, axis=0).min() > 0.1


def test_stationary_sources_are_all_of_segment_zero():
    table = make_nonlinear_ica(5, return_bunch=True)
    assert_array_equal(table.segments, np.zeros(5, dtype=int))


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"n_features": 3}, ValueError, "n_features must be >= n_sources; got n_fea"),
        ({"source": "cauchy"}, ValueError, "source must be one of 'uniform', 'lap"),
        ({"n_layers": 0}, ValueError, "n_layers must be an integer >= 1; got 0. Pass"),
        ({"slope": 0}, ValueError, "slope must be a number > 0 and <= 1; got 0. Pass"),
        ({"n_segments": -1}, ValueError, "n_segments must be an integer >= 0; got -1"),
        ({"n_segments": 2, "factors": np.ones((3, 4))}, ValueError, "rescale yours"),
        ({"n_sources": "four"}, TypeError, "n_sources must be an integer"),
    ],
)
def test_a_bad_mixture_parameter_is_told_what_to_do(parameters, error, message):
    with pytest.raises(error, match=message):
        make_nonlinear_ica(**parameters)


def test_each_sensor_column_is_of_its_type():
    table = make_sensor_table(2000, return_bunch=True, random_state=0)
    columns = dict(zip(table.feature_names, table.data.T, strict=True))
    of_type = {
        kind: [
            columns[n]
            for n, k in zip(columns, table.feature_types, strict=True)
            if k == kind
        ]
        for kind in table.feature_types
    }
    assert len(columns) == len(table.feature_types) == 13
    assert all((c > 0).all() for c in of_type["positive"])
    assert all(set(c) == {0, 1} for c in of_type["binary"])
    assert all(set(c) == {0, 1, 2} for c in of_type["categorical"])
    assert all(set(c) == {0, 1, 2, 3, 4} for c in of_type["ordinal"])
    assert all((c >= 0).all() and (c == c.round()).all() for c in of_type["count"])
    assert set(of_type) == {
        "real",
        "positive",
        "binary",
        "categorical",
        "ordinal",
        "count",
    }


def test_without_noise_the_measured_columns_are_their_formulas():
    """Half load, 30 degrees, wear .4, second gear, worked by hand."""
    X, _ = make_sensor_table(noise=0, as_frame=True, factors=[[0.5, 30.0, 0.4, 1]])
    reading = X.iloc[0]
    assert reading["current"] == pytest.approx(5.25)
    assert reading["power"] == pytest.approx(np.exp(1.25))
    assert reading["case_temp"] == pytest.approx(39.1)
    assert reading["inlet_temp"] == pytest.approx(30)
    assert reading["humidity"] == pytest.approx(55)
    assert reading["vib_rms"] == pytest.approx(np.exp(-0.05))
    assert reading["vib_peak"] == pytest.approx(np.exp(0.45))
    assert reading["rpm"] == 1500
    assert reading["quality"] == 2  # 5 s(0) = 2.5


def test_the_rates_of_the_random_columns():
    """Full load at wear 1/3 alarms half the time with 6w + 3l - 5 = 0."""
    factors = np.tile([1.0, 20.0, 1 / 3, 2.0], (20_000, 1))
    X, _ = make_sensor_table(factors=factors, as_frame=True, random_state=0)
    assert X["alarm"].mean() == pytest.approx(0.5, abs=0.02)
    assert X["door_open"].mean() == pytest.approx(0.1, abs=0.01)
    assert (X["mode"] == 2).mean() == pytest.approx(0.95 + 0.05 / 3, abs=0.01)
    mean = np.exp(-1 + 2.5 / 3 + 0.5)
    assert X["errors"].mean() == pytest.approx(mean, rel=0.03)
    assert X["errors"].var() == pytest.approx(mean, rel=0.05)


def test_the_open_door_is_independent_of_everything():
    X, factors = make_sensor_table(20_000, as_frame=True, random_state=0)
    others = np.column_stack([X.drop(columns="door_open"), factors])
    correlation = np.corrcoef(X["door_open"], others, rowvar=False)[0, 1:]
    assert np.abs(correlation).max() < 0.03


def test_missing_entries_have_their_rate_and_leave_the_others_as_they_were():
    whole, factors = make_sensor_table(3000, random_state=0)
    X, same = make_sensor_table(3000, missing_rate=0.2, random_state=0)
    assert_array_equal(factors, same)
    missing = np.isnan(X)
    assert_allclose(missing.mean(axis=0), 0.2, atol=0.03)
    assert_array_equal(X[~missing], whole[~missing])
    assert not np.isnan(whole).any()


def test_a_missing_rate_above_one_is_refused():
    with pytest.raises(ValueError, match=r"missing_rate must be .* >= 0 and <= 1; got"):
        make_sensor_table(missing_rate=1.5)
