"""What a fit reports on each column of its table."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from skfactorvae import FactorVAETransformer, InfoGANTransformer, load

SMALL = {
    "n_components": 2,
    "hidden_layer_sizes": (8,),
    "discriminator_hidden_layer_sizes": (8,),
    "random_state": 0,
    "verbose": 0,
}


def make_table(n=300):
    """Return columns that follow one factor, and one of noise, some values missing."""
    rng = np.random.RandomState(0)
    z = rng.normal(size=n)
    X = pd.DataFrame(
        {
            "size": 5 + 2 * z + 0.3 * rng.normal(size=n),
            "weight": np.exp(1.2 * z + 0.2 * rng.normal(size=n)),
            "tailed": z + 0.1 * rng.standard_t(3, n),
            "kind": pd.Categorical(
                np.where(z + 0.3 * rng.normal(size=n) > 0, "a", "b")
            ),
            "visits": rng.negative_binomial(2, 0.3, n),
            "noise": rng.choice(["x", "y", "z"], n),
        }
    )
    X.loc[:29, "size"] = np.nan
    return X


@pytest.fixture(scope="module")
def fitted():
    likelihood = {"tailed": "student_t", "visits": "negative_binomial"}
    return FactorVAETransformer(**SMALL, likelihood=likelihood, max_iter=20).fit(
        make_table()
    )


def test_there_is_a_row_for_each_column(fitted):
    frame = fitted.column_report_.to_frame().set_index("name")
    assert list(frame.index) == list(make_table())
    assert frame.loc["size", "missing"] == pytest.approx(0.1)
    assert frame.loc["kind", "dtype"] == "category"
    assert list(frame.n_levels) == [0, 0, 0, 2, 0, 3]
    assert list(frame.likelihood) == [
        "gaussian",
        "gaussian",
        "student_t",
        "categorical",
        "negative_binomial",
        "categorical",
    ]
    has_scale = [True, True, True, False, False, False]
    assert frame.noise_scale.notna().tolist() == has_scale
    assert frame.dispersion.notna().sum() == frame.degrees_of_freedom.notna().sum() == 1
    assert frame.gain.isna().all()  # no sample was held out


def test_a_likelihood_is_suggested_with_its_reason(fitted):
    report = fitted.column_report_
    assert report.suggested == {"weight": "lognormal"}
    assert "skewness" in report.reason[1]
    assert "consider 'lognormal'" in str(report)
    assert "10 % missing" in repr(report)


def test_it_is_in_files(fitted, tmp_path):
    fitted.save(tmp_path / "model")
    back = load(tmp_path / "model").column_report_.to_frame()
    pd.testing.assert_frame_equal(back, fitted.column_report_.to_frame())


def test_noise_is_in_the_unit_of_the_column(fitted):
    raw = fitted.weights_["likelihood.raw_scale"].astype(float)
    relative = np.log1p(np.exp(10 * raw)) + 0.01
    expected = relative * fitted.scale_[: len(raw)]
    np.testing.assert_allclose(
        fitted.column_report_.noise_scale[:2], expected, rtol=1e-5
    )


def test_tables_of_numbers_have_one_too():
    X = make_table()[["weight", "visits"]]
    models = [
        FactorVAETransformer(**SMALL, max_iter=2).fit(t) for t in (X, X.to_numpy())
    ]
    frame, array = (m.column_report_ for m in models)
    assert list(frame.name) == ["weight", "visits"]
    assert list(array.name) == ["x0", "x1"]
    assert list(frame.dtype) == ["float64", "int64"]
    assert list(frame.suggestion) == ["lognormal", "negative_binomial"]
    np.testing.assert_array_equal(frame.noise_scale, array.noise_scale)


def test_the_sign_of_a_gain_is_said_in_words(fitted):
    report = fitted.column_report_
    p = len(report)
    lines = str(replace(report, predicted=np.ones(p), independent=np.zeros(p)))
    assert lines.count("predicted 1.00 nats better from other columns than alone") == p
    lines = str(replace(report, predicted=np.zeros(p), independent=np.ones(p)))
    assert lines.count("predicted 1.00 nats worse from other columns than alone") == p


def test_a_report_without_gains_says_when_there_are_some():
    numbers = np.random.RandomState(0).normal(size=(60, 3))
    report = FactorVAETransformer(**SMALL, max_iter=1).fit(numbers).column_report_
    lines = str(report).splitlines()
    assert len(lines) == 4
    assert "several types or likelihoods" in lines[-1]
    gains = replace(report, predicted=np.ones(3), independent=np.zeros(3))
    assert len(str(gains).splitlines()) == 3


def test_zeros_and_ones_are_suggested_to_be_probabilities():
    rng = np.random.RandomState(0)
    X = np.c_[rng.normal(size=(60, 2)), rng.rand(60, 2) > 0.5]
    X[:3, 3] = np.nan
    X[:, 1] = X[:, 1] > 9  # a column of one value
    report = FactorVAETransformer(**SMALL, max_iter=1).fit(X).column_report_
    assert report.suggested == {"x2": "bernoulli", "x3": "bernoulli"}
    assert report.reason[2] == f"zeros, and {100 * X[:, 2].mean():.3g} % ones"
    again = FactorVAETransformer(**SMALL, max_iter=1, likelihood=report.suggested)
    found = again.fit(X).column_report_
    assert found.suggested == {}
    assert list(found.likelihood) == ["gaussian"] * 2 + ["bernoulli"] * 2


def test_a_generator_without_a_likelihood_has_one_too():
    X = make_table()[["weight", "visits"]]
    report = InfoGANTransformer(2, max_iter=2, random_state=0).fit(X).column_report_
    assert list(report.missing) == [0, 0]


@pytest.mark.slow
def test_other_columns_tell_of_a_value_unless_it_is_noise():
    X = make_table(600)
    likelihood = {"weight": "lognormal", "tailed": "student_t"}
    model = FactorVAETransformer(**SMALL, likelihood=likelihood, max_iter=300).fit(X)
    gain = model.column_report_.to_frame().set_index("name").gain
    assert (gain[["size", "weight", "tailed", "kind"]] > 0.3).all()
    assert (gain[["visits", "noise"]].abs() < 0.1).all()
