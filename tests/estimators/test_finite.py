"""No number that is not finite leaves a fitted transformer without an error."""

import warnings

import numpy as np
import pytest
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

from skfactorvae import _batching, core
from skfactorvae._compat import Interval


def normal(n_rows=40, n_features=5, seed=0):
    return np.random.RandomState(seed).normal(size=(n_rows, n_features))


def outputs(model, X):
    """Return all that a fitted transformer computes from samples, by name."""
    codes = model.transform(X)
    return {
        "codes": codes,
        "deviations": model.posterior(X)[1],
        "scores": model.score_samples(X),
        "score": model.score(X),
        "reconstructions": model.inverse_transform(codes),
        "samples": model.sample(4, random_state=0),
    }


def fitted(model):
    """Return the numbers that a fit leaves, by name."""
    own = {"kl": model.kl_per_component_, "fit score": getattr(model, "fit_score_", 0)}
    return {**own, **model.weights_, **model.history_}


def not_finite(arrays):
    return [name for name, array in arrays.items() if not np.isfinite(array).all()]


def fit_quietly(model, X):
    """Fit, whatever the fit says of its convergence; other warnings are errors."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(X)


# ------------------------------------------------------- parameters at their own limits
def ends(model):
    """Return the ends that belong to the range of a parameter, as (name, value)."""
    found = []
    for name, rules in model._parameter_constraints.items():
        for rule in rules:
            if isinstance(rule, Interval):
                found += [(name, rule.left)] * (rule.closed in ("left", "both"))
                found += [(name, rule.right)] * (rule.closed in ("right", "both"))
    return found


def test_every_parameter_can_have_the_ends_of_its_range(small):
    """The table is wide enough for every choice that depends on a parameter."""
    X, wrong = normal(n_features=12), {}
    for name, value in ends(small()):
        model = fit_quietly(small(**{name: value}), X)
        if names := not_finite({**fitted(model), **outputs(model, X)}):
            wrong[name, value] = names
    assert not wrong


def test_a_transformer_has_parameters_with_ends(small):
    names = {name for name, _ in ends(small())}
    assert {"n_components", "max_iter", "batch_size"} < names


LARGE = {
    "gamma": ({"gamma": 1e39}, r"gamma must be at most 3\.403e\+38 .*float32.*1e\+39"),
    "noise_scale": ({"noise_scale": 1e300}, "noise_scale must be at most"),
    "learning_rate": ({"learning_rate": np.longdouble("1e300")}, "learning_rate must"),
    "max_iter": ({"max_iter": 10**400}, r"max_iter must be at most 9\.223e\+18"),
}


@pytest.mark.takes(given=lambda name: LARGE[name][0])
@pytest.mark.parametrize("name", LARGE)
def test_a_parameter_that_the_precision_cannot_hold_is_refused(small, name):
    parameters, expected = LARGE[name]
    with pytest.raises(ValueError, match=expected):
        small(**parameters).fit(normal())


HUGE = {
    "n_components": {"n_components": 10**9},
    "batch_size": {"batch_size": 10**12},
    "hidden_layer_sizes": {"hidden_layer_sizes": (10**12,)},
    "discriminator_hidden_layer_sizes": {
        "discriminator_hidden_layer_sizes": (10**12, 3)
    },
    "n_noise": {"n_noise": 10**12},
    "n_categories": {"n_categories": (10**14,)},
}


@pytest.mark.takes(given=lambda name: HUGE[name])
@pytest.mark.parametrize("name", HUGE)
def test_sizes_beyond_the_memory_are_refused(small, name):
    with pytest.raises(ValueError, match=r"at least \d+ GiB of memory.*Lower n_comp"):
        small(**HUGE[name]).fit(normal())


def test_samples_beyond_the_memory_are_refused(small):
    model = small().fit(normal())
    with pytest.raises(ValueError, match=r"sample\(n_samples=10.*GiB.*fewer samples"):
        model.sample(10**14)


@pytest.mark.parametrize(
    "sizes",
    [
        {"max_iter": np.int8(5)},
        {"batch_size": np.uint8(200)},
        {"batch_size": np.int16(128), "hidden_layer_sizes": (np.int16(300),)},
        {"learning_rate": np.float32(0.01)},
    ],
    ids=repr,
)
def test_numbers_of_numpy_types_count_as_those_of_python(small, sizes):
    plain = {
        name: value.item() if isinstance(value, np.generic) else (int(value[0]),)
        for name, value in sizes.items()
    }
    np.testing.assert_array_equal(
        small(**sizes).fit_transform(normal()), small(**plain).fit_transform(normal())
    )


def test_no_more_threads_than_cores_are_used(small):
    n_cores, before = _batching.count_cores(-1), torch.get_num_threads()
    assert _batching.count_cores(10**6) == n_cores
    used = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "set_num_threads", used.append)
        small(n_jobs=10**6).fit(normal())
    assert n_cores in used
    assert set(used) <= {1, n_cores, before}


# ------------------------------------------------------------- samples of any magnitude
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_samples_of_any_magnitude_have_finite_results_or_an_error(small, precision):
    model, wrong = small(precision=precision).fit(normal()), []
    for exponent in (19, 25, 37, 38, 39, 60, 154, 200, 307):
        X = np.sign(normal(4, seed=1)) * 10.0**exponent
        for name in ("transform", "posterior", "score_samples", "score"):
            try:
                found = getattr(model, name)(X)
            except ValueError as error:
                if "not finite" not in str(error) and "too large" not in str(error):
                    wrong.append((exponent, name, str(error)))
            else:
                wrong += [(exponent, name)] * (not np.isfinite(found).all())
    assert not wrong


@pytest.mark.parametrize("exponent", [19, 30])
def test_scores_that_overflow_single_precision_are_computed_in_double(small, exponent):
    """A quadratic loss grows with the square of its residuals."""
    model, X = small().fit(normal()), normal(1, seed=1)
    scores = [model.score(X * 10.0**e) for e in (exponent, exponent + 1)]
    assert scores[1] / scores[0] == pytest.approx(100, rel=1e-2)


def test_one_sample_without_a_finite_code_is_named(small):
    model, X = small(precision="float64").fit(normal()), normal(6)
    X[4] = 1e150
    with pytest.raises(ValueError, match=r"codes of 1 of 6 samples.*number 4, are not"):
        model.transform(X)


def test_codes_whose_reconstruction_overflows_are_refused(small):
    model = small().fit(normal().astype(np.float32) * np.float32(1e37))
    with pytest.raises(ValueError, match="reconstructions of 2 of 3 samples"):
        model.inverse_transform(np.array([[0.0] * 3, [1e30] * 3, [-1e30] * 3]))


# ------------------------------------------------------ fits that diverge at the start
KEPT = {
    "large": ({"standardize": None}, normal() * 1e25),
    "large integers": ({"standardize": None}, (normal() * 1e18).astype(np.int64)),
    "subnormal": ({"standardize": None}, (normal() * 1e-42).astype(np.float32)),
    "tiny": ({"standardize": None}, normal() * 1e-40),
    "tiny noise": ({"noise_scale": 1e-25}, normal()),
    "large rate": ({"learning_rate": 1e35}, normal()),
}


@pytest.mark.takes(given=lambda name: KEPT[name][0])
@pytest.mark.parametrize("name", KEPT)
def test_a_fit_that_diverges_at_once_keeps_its_finite_start(small, name):
    parameters, X = KEPT[name]
    model = fit_quietly(small(**parameters), X)
    assert not not_finite({**fitted(model), **outputs(model, X)})


LOST = {
    "largest values": ({"standardize": None}, np.sign(normal()) * 3.4e38),
    "smallest noise": ({"noise_scale": 5e-324}, normal()),
}


@pytest.mark.takes(given=lambda name: LOST[name][0])
@pytest.mark.parametrize("name", LOST)
def test_a_fit_whose_start_is_not_finite_raises(small, name):
    parameters, X = LOST[name]
    model = small(**parameters)
    with pytest.raises(ValueError, match=r"No finite model.* step 0.*values up to \d"):
        fit_quietly(model, X)
    assert not hasattr(model, "weights_")


# ---------------------------------------------------------------------- input as arrays
def test_a_tensor_that_requires_gradients_is_refused(small):
    X = torch.tensor(normal(), requires_grad=True)
    with pytest.raises(ValueError, match=r"X cannot be read.*detach\(\)"):
        small().fit(X, np.arange(40) % 2)
    model = small().fit(normal())
    with pytest.raises(ValueError, match=r"X cannot be read.*detach\(\)"):
        model.inverse_transform(torch.zeros(2, 3, requires_grad=True))


@pytest.mark.parametrize(
    "weight",
    [[10**400] * 40, np.full(40, np.longdouble("1e4000"))],
    ids=["Python's integers", "extended precision"],
)
def test_weights_beyond_double_precision_are_refused(small, weight):
    with pytest.raises(ValueError, match="sample_weight contains NaN or infinity"):
        small().fit(normal(), sample_weight=weight)


@pytest.mark.parametrize(
    "exponents", [(-300, 300), (-323, -310), (290, 308)], ids=["any", "small", "large"]
)
def test_weights_over_hundreds_of_decades_are_used(small, exponents):
    X, weight = normal(), 10.0 ** np.random.RandomState(0).uniform(*exponents, 40)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = small().fit(X, sample_weight=weight)
    assert not not_finite({**fitted(model), **outputs(model, X)})


@pytest.mark.takes("likelihood")
def test_the_scaler_that_bernoulli_recommends_suits_new_samples(small):
    X = np.random.RandomState(0).uniform(size=(40, 4))
    X[39, 2] = 3.0  # beyond the range of the training samples of the last split
    model = small(likelihood="bernoulli")
    with pytest.raises(ValueError, match=r"MinMaxScaler\(clip=True\)"):
        model.fit(X)
    pipe = make_pipeline(MinMaxScaler(clip=True), model)
    assert np.isfinite(cross_val_score(pipe, X, cv=3)).all()


# ---------------------------------------------------------------------------- precision
def test_samples_are_computed_in_the_precision_of_the_model(small, monkeypatch):
    seen = []
    draw = core.sample
    monkeypatch.setattr(
        core, "sample", lambda *a, **k: (seen.append(rows := draw(*a, **k)), rows)[1]
    )
    for precision in ("float32", "float64"):
        model = small(precision=precision).fit(normal())
        assert model.sample(2, random_state=0).dtype == np.float64  # that of X
    assert [rows.dtype for rows in seen] == [np.float32, np.float64]
