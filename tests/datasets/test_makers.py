"""What holds for every maker: one parametrised family over ``__all__``."""

import inspect
import re
import sys
import tracemalloc

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from sklearn import config_context

from skfactorvae import datasets

COMMON = ["noise", "factors", "as_frame", "return_bunch", "random_state"]
MAKERS = [
    getattr(datasets, name) for name in datasets.__all__ if name.startswith("make_")
]
every_maker = pytest.mark.parametrize("make", MAKERS, ids=lambda make: make.__name__)
CASES = {  # small tables of each kind
    "make_cell_counts": [{}, {"steps": "nonlinear"}],
    "make_gaussian_peaks": [{}],
    "make_damped_oscillator": [{}, {"variant": "full"}],
    "make_heat_profiles": [{}],
    "make_nonlinear_ica": [{}, {"source": "laplace"}, {"n_layers": 1}],
    "make_dsprites_like": [{}, {"antialias": 1.0, "image_size": 32}],
    "make_pendulum_shadow": [{}, {"antialias": 0}],
    "make_sensor_table": [{}],
    "make_stellar_spectra": [{}],
    "make_toy_shapes3d": [{"image_size": 16}],
    "make_xy_squares": [{"image_size": 16, "spacing": 2}],
}
HAS_RANDOM_COLUMNS = {  # random even without noise
    datasets.make_cell_counts,
    datasets.make_sensor_table,
}
ALL_CASES = [(make, case) for make in MAKERS for case in CASES[make.__name__]]
every_case = pytest.mark.parametrize(("make", "options"), ALL_CASES)
every_deterministic_case = pytest.mark.parametrize(
    ("make", "options"),
    [case for case in ALL_CASES if case[0] not in HAS_RANDOM_COLUMNS],
)


@every_case
def test_the_same_seed_gives_the_same_table(make, options):
    first = make(20, random_state=3, **options)
    again = make(20, random_state=3, **options)
    assert_array_equal(first[0], again[0])
    assert_array_equal(first[1], again[1])


@every_case
def test_different_seeds_give_different_tables(make, options):
    one, other = (make(20, random_state=seed, **options) for seed in (0, 1))
    assert not np.array_equal(one[0], other[0])
    assert not np.array_equal(one[1], other[1])


@every_maker
def test_a_random_state_instance_advances_and_replays_its_int(make):
    rng = np.random.RandomState(5)
    first, second = make(10, random_state=rng), make(10, random_state=rng)
    assert_array_equal(first[0], make(10, random_state=5)[0])
    assert not np.array_equal(first[1], second[1])


@every_maker
def test_an_int_seed_leaves_the_global_generator_alone(make):
    before = np.random.get_state()[1].copy()
    make(10, random_state=0)
    assert_array_equal(before, np.random.get_state()[1])


@every_case
def test_shapes_dtypes_and_finiteness(make, options):
    X, factors = make(7, random_state=0, **options)
    is_image = "image_shape" in make(1, return_bunch=True, random_state=0)
    assert X.dtype == (np.float32 if is_image else np.float64)
    assert X.ndim == factors.ndim == 2
    assert len(X) == len(factors) == 7
    assert np.isfinite(X).all()
    assert np.isfinite(factors).all()


@every_case
def test_drawn_factors_lie_in_their_ranges_and_discrete_ones_are_integers(
    make, options
):
    table = make(500, return_bunch=True, random_state=0, **options)
    low, high = table.factor_ranges.T
    assert (table.factors >= low).all()
    assert (table.factors <= high).all()
    discrete = table.factors[:, table.discrete_factors]
    assert_array_equal(discrete, np.round(discrete))


@every_case
def test_drawn_factors_fill_their_ranges(make, options):
    """Every bounded range is covered to within 15 %, and no factor is constant."""
    table = make(500, return_bunch=True, random_state=0, **options)
    spread = np.ptp(table.factors, axis=0)
    width = np.diff(table.factor_ranges, axis=1).ravel()
    bounded = np.isfinite(width)
    assert (spread[bounded] > 0.85 * width[bounded]).all()
    assert (spread > 0).all()


@every_case
def test_drawn_factors_are_uncorrelated(make, options):
    _, factors = make(2000, random_state=0, **options)
    off_diagonal = np.corrcoef(factors.T) - np.eye(factors.shape[1])
    assert np.abs(off_diagonal).max() < 0.1


@every_deterministic_case
def test_without_noise_the_table_is_a_function_of_the_factors(make, options):
    """Rendering the drawn factors gives back the drawn table, row by row."""
    X, factors = make(12, noise=0, random_state=2, **options)
    again, same = make(noise=0, factors=factors, random_state=2, **options)
    assert_array_equal(again, X)
    assert_array_equal(same, factors)
    assert same.dtype == factors.dtype
    backwards, _ = make(noise=0, factors=factors[::-1], random_state=2, **options)
    np.testing.assert_allclose(backwards[::-1], X, rtol=0, atol=1e-12)


@every_deterministic_case
def test_noise_does_not_change_the_factors_and_has_the_stated_deviation(make, options):
    clean, factors = make(50, noise=0, random_state=0, **options)
    noisy, same = make(50, noise=0.3, random_state=0, **options)
    assert_array_equal(factors, same)
    assert np.std(noisy - clean) == pytest.approx(0.3, rel=0.1)


@every_deterministic_case
def test_a_table_costs_little_more_memory_than_itself(make, options):
    """Temporaries are those of a few rows, whatever the number of rows."""
    _, factors = make(1500, noise=0, random_state=0, **options)
    tracemalloc.start()
    X, _ = make(noise=0, factors=factors, random_state=0, **options)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    of_factors = 10 * factors.nbytes
    few_rows = 64 * 8 * X.shape[1] * 24
    assert peak < 1.1 * X.nbytes + of_factors + few_rows


@every_maker
def test_factors_given_as_a_frame_are_taken_and_not_written_to(make):
    _, factors = make(6, as_frame=True, random_state=0)
    before = factors.copy()
    X, rendered = make(factors=factors, random_state=0)
    assert X.shape[0] == 6
    assert_array_equal(rendered, before)
    pd.testing.assert_frame_equal(factors, before)


@every_maker
def test_columns_of_a_frame_of_factors_are_taken_by_name(make):
    _, factors = make(6, as_frame=True, random_state=0)
    X, ordered = make(factors=factors, noise=0, random_state=0)
    backwards = factors[factors.columns[::-1]]
    again, found = make(factors=backwards, noise=0, random_state=0)
    assert_array_equal(again, X)
    assert_array_equal(found, ordered)
    without_names = factors.set_axis(range(factors.shape[1]), axis=1)
    assert_array_equal(make(factors=without_names, random_state=0)[1], ordered)
    other = factors.rename(columns={factors.columns[-1]: "other"})
    with pytest.raises(ValueError, match=r"must have the columns .*'other'.*Rename"):
        make(factors=other)


def test_factors_of_nan_are_refused_as_such():
    factors = make_of_levels(3)
    factors[0, 0] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        datasets.make_xy_squares(factors=factors)
    with config_context(assume_finite=True), pytest.raises(ValueError, match="got NaN"):
        datasets.make_xy_squares(factors=factors)
    factors[0, 0] = np.iinfo(np.int64).min  # NaN that numpy converted
    with pytest.raises(ValueError, match="NaN converted to integers"):
        datasets.make_xy_squares(factors=factors.astype(np.int64))


def make_of_levels(n_samples):
    """Return factors of squares as floating-point numbers."""
    return datasets.make_xy_squares(n_samples, random_state=0)[1].astype(np.float64)


@every_maker
def test_as_frame_names_the_columns_and_changes_no_value(make):
    table = make(5, return_bunch=True, random_state=0)
    X, factors = make(5, as_frame=True, random_state=0)
    assert list(X.columns) == table.feature_names
    assert list(factors.columns) == table.factor_names
    assert len(set(table.feature_names)) == table.data.shape[1]
    assert_array_equal(X.to_numpy(), table.data)
    assert_array_equal(factors.to_numpy(), table.factors)
    assert X.to_numpy().dtype == table.data.dtype


@every_maker
def test_a_bunch_holds_the_tuple_and_describes_every_factor(make):
    X, factors = make(5, random_state=0)
    table = make(5, return_bunch=True, random_state=0)
    assert_array_equal(table.data, X)
    assert_array_equal(table.factors, factors)
    n_factors = factors.shape[1]
    assert len(table.factor_names) == n_factors
    assert table.factor_ranges.shape == (n_factors, 2)
    assert table.discrete_factors.shape == (n_factors,)
    framed = make(5, return_bunch=True, as_frame=True, random_state=0)
    assert isinstance(framed.data, pd.DataFrame)
    assert isinstance(framed.factors, pd.DataFrame)


@every_maker
def test_the_common_parameters_come_in_the_common_order(make):
    names = list(inspect.signature(make).parameters)
    assert names[0] == "n_samples"
    assert names[-5:] == COMMON
    noise = inspect.signature(make).parameters["noise"]
    assert noise.kind is inspect.Parameter.KEYWORD_ONLY


@every_maker
def test_documented_defaults_are_the_defaults_of_the_signature(make):
    documented = dict(re.findall(r"^    (\w+) : .*default=(.+)$", make.__doc__, re.M))
    actual = {
        name: str(p.default) if not isinstance(p.default, str) else f'"{p.default}"'
        for name, p in inspect.signature(make).parameters.items()
    }
    assert documented == actual


@every_maker
def test_the_docstring_names_every_factor_and_every_field_of_the_bunch(make):
    table = make(2, return_bunch=True, random_state=0)
    for field in table:
        assert f"`{field}`" in make.__doc__
    for name in table.factor_names:
        assert re.sub(r"\d+$", "0", name) in make.__doc__
    assert ">>> " in make.__doc__


@every_maker
@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"n_samples": 0}, ValueError, r"n_samples must be an integer >= 1; got 0\. "),
        ({"n_samples": 2.0}, TypeError, r"an integer .*; got 2\.0 of type float\. "),
        ({"n_samples": True}, TypeError, "n_samples must be an integer"),
        ({"noise": -0.1}, ValueError, r"noise must be a number >= 0; got -0\.1\. Pass"),
        ({"noise": "loud"}, TypeError, "noise must be a number .* of type str"),
        ({"noise": np.nan}, ValueError, "noise must be a number"),
        ({"noise": np.inf}, ValueError, "noise must be a number"),
        ({"factors": [[0.5]]}, ValueError, r"factors must have \d+ columns, \['"),
        ({"random_state": "zero"}, ValueError, "cannot be used to seed"),
    ],
)
def test_a_bad_parameter_is_told_what_to_do(make, parameters, error, message):
    with pytest.raises(error, match=message):
        make(**parameters)


@every_case
def test_factors_out_of_range_or_between_levels_are_named(make, options):
    table = make(3, return_bunch=True, random_state=0, **options)
    for j, name in enumerate(table.factor_names):
        high = table.factor_ranges[j, 1]
        if np.isfinite(high):
            outside = table.factors.copy()
            outside[1, j] = high + 1
            with pytest.raises(ValueError, match=f"'{name}' must hold .* Clip"):
                make(factors=outside, **options)
        if table.discrete_factors[j]:
            between = table.factors.astype(float)
            between[:, j] = 0.5
            with pytest.raises(ValueError, match=f"'{name}' must hold .* Round"):
                make(factors=between, **options)


def test_frames_without_pandas_are_told_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match=r"needs pandas.*pip install pandas.*arrays"):
        datasets.make_gaussian_peaks(2, as_frame=True)
    datasets.make_gaussian_peaks(2, return_bunch=True)  # needs none
