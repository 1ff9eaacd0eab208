"""Fits to streams: one pass over each block, and what is kept between blocks."""

import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError

from skfactorvae import (
    AuxiliaryVAETransformer,
    FactorVAETransformer,
    SupervisedFactorVAETransformer,
    core,
    load,
)
from skfactorvae.core._sampling import pass_rows
from skfactorvae.inspection import health_marks
from skfactorvae.preparation import drift


def table(n=300, seed=0):
    rng = np.random.RandomState(seed)
    mixing = np.random.RandomState(7).normal(size=(3, 6))
    return np.tanh(rng.uniform(-1.7, 1.7, size=(n, 3)) @ mixing)


def small_vae(**parameters):
    sizes = {"hidden_layer_sizes": 8, "discriminator_hidden_layer_sizes": 8}
    return FactorVAETransformer(3, random_state=0, batch_size=32, **sizes, **parameters)


def assert_same(a, b):
    assert vars(a).keys() == vars(b).keys()
    for name, weight in a.weights_.items():
        np.testing.assert_array_equal(weight, b.weights_[name], err_msg=name)


# ----------------------------------------------------------------------- the schedule
def test_a_pass_takes_each_row_as_often_as_its_weight_requires():
    weights = torch.tensor([1.0, 2.0, 5.0], dtype=torch.float64)
    cdf = weights.cumsum(0) / weights.sum()
    rows = pass_rows(torch.Generator().manual_seed(0), cdf, (5, 2, 16))
    for batch in range(2):
        counts = torch.bincount(rows[:, batch].flatten(), minlength=3)
        assert counts.tolist() == [10, 20, 50]


def test_without_an_end_rates_and_weights_are_constant():
    common = {"max_iter": 7, "batch_size": 4, "learning_rate": 1.0, "warmup": 0.5}
    free = core.StreamSchedule(**common, first=3, horizon=None)
    assert (free.n_pass_steps, free.record_every) == (4, 7)
    assert [f(6) for f in (free.ramp, free.annealing, free.decay)] == [1, 1, 1]
    whole = core.Schedule(**{**common, "max_iter": 10})
    ended = core.StreamSchedule(**common, first=3, horizon=10)
    for step in (0, 3, 6):
        assert ended.ramp(step) == whole.ramp(step)
        assert ended.annealing(step) == whole.annealing(step)
        assert ended.decay(step) == whole.decay(step)
    assert ended.decay(20) == whole.decay(10)


def test_drift_is_the_difference_in_standard_errors():
    rng = np.random.RandomState(0)
    newest, earlier = rng.normal(size=400) - 1, rng.normal(size=100)
    found = drift(newest, earlier)
    assert found["difference"] == pytest.approx(newest.mean() - earlier.mean())
    expected = np.sqrt(newest.var(ddof=1) / 400 + earlier.var(ddof=1) / 100)
    assert found["standard_error"] == pytest.approx(expected)
    assert drift(newest[:1], earlier) == {}


# ------------------------------------------------------------------ between the blocks
def test_blocks_add_up_and_what_the_first_one_fixed_stays():
    X = table()
    vae = small_vae().partial_fit(X[:150])
    first = vae.mean_.copy(), vae.scale_.copy(), vae.init_
    assert (vae.n_samples_seen_, vae.drift_) == (150, {})
    vae.partial_fit(5 * X[150:] + 1)
    np.testing.assert_array_equal(vae.mean_, first[0])
    np.testing.assert_array_equal(vae.scale_, first[1])
    assert vae.init_ == first[2]
    assert vae.n_samples_seen_ == 300
    assert vae.n_iter_ == vae.history_["step"][-1] <= 10
    assert vae.drift_["difference"] < -5 * vae.drift_["standard_error"]


@pytest.mark.slow
def test_a_pickle_goes_on_and_a_clone_begins_anew():
    X = table(100)
    vae = small_vae().partial_fit(X)
    copy = pickle.loads(pickle.dumps(vae))
    assert_same(copy.partial_fit(X), vae.partial_fit(X))
    with pytest.raises(NotFittedError):
        clone(vae).transform(X)


def test_a_block_that_fails_leaves_the_estimator_as_it_was():
    X = table(100)
    vae = small_vae().partial_fit(X)
    before = dict(vars(vae))
    spoiled = X.copy()
    spoiled[3, 2] = np.inf
    for block, message in [
        (spoiled, "inf"),
        (X[:1], "minimum of 2"),
        (X[:, :5], "5 features"),
        (np.full_like(X, 1e30), "overflow|diverged|not finite|finite"),
    ]:
        with pytest.raises(ValueError, match=message):
            vae.partial_fit(block)
        assert vars(vae) == before


@pytest.mark.parametrize(
    ("parameters", "options", "message"),
    [
        ({"early_stopping": True}, {}, "does not support early_stopping"),
        ({}, {"total_samples": 1}, "total_samples must be"),
        ({}, {"validation_fraction": 1.0}, r"validation_fraction must be .* \[0, 1\)"),
    ],
)
def test_arguments_that_a_stream_cannot_use_are_refused(parameters, options, message):
    with pytest.raises(ValueError, match=message):
        small_vae(**parameters).partial_fit(table(50), **options)


@pytest.mark.slow
def test_the_number_of_samples_of_a_stream_cannot_change():
    vae = small_vae().partial_fit(table(50), total_samples=1000)
    with pytest.raises(ValueError, match="differs from that of the first call"):
        vae.partial_fit(table(50), total_samples=2000)
    vae.partial_fit(table(50), total_samples=1000).partial_fit(table(50))
    assert vae.n_samples_seen_ == 150


@pytest.mark.slow
def test_a_fit_is_continued_and_begins_anew(tmp_path):
    X = table()
    fitted = small_vae(max_iter=50, weight_decay=0).fit(X)
    codes, mean = fitted.transform(X), fitted.mean_
    fitted.partial_fit(X[:64])
    assert np.abs(fitted.transform(X) - codes).max() < 0.5
    assert fitted.mean_ is mean
    loaded = load(
        fitted.save(tmp_path / "a.safetensors") and tmp_path / "a.safetensors"
    )
    assert loaded.n_samples_seen_ == 64
    loaded.partial_fit(X[:64])
    again = fitted.fit(X)
    assert "n_samples_seen_" not in vars(again)
    np.testing.assert_array_equal(again.transform(X), codes)


@pytest.mark.slow
def test_the_components_keep_their_order_and_signs_over_a_stream():
    rng = np.random.RandomState(0)
    loadings = np.kron(np.eye(3), [1.0, 1.1, 0.9])
    X = rng.normal(size=(3000, 3)) @ loadings + rng.normal(size=(3000, 9))
    vae = small_vae(init="varimax").partial_fit(X[:500])
    first, rotation = vae.transform(X[:500]), vae.rotation_
    active = vae.kl_per_component_ > 0.5
    assert active.sum() >= 2
    for start in range(500, 3000, 500):
        vae.partial_fit(X[start : start + 500])
        codes = vae.transform(X[:500])
        pairs = zip(first.T, codes.T, strict=True)
        together = [np.corrcoef(a, b)[0, 1] for a, b in pairs]
        assert np.min(np.array(together)[active]) > 0.8
    np.testing.assert_array_equal(vae.rotation_, rotation)


@pytest.mark.slow
@pytest.mark.takes("max_iter")
def test_every_member_takes_streams(small):
    X = np.random.RandomState(0).normal(size=(80, 5))
    y = np.arange(80) % 2
    vae = small()
    for start in (0, 40):
        vae.partial_fit(X[start : start + 40], y[start : start + 40])
    assert vae.n_samples_seen_ == 80
    assert np.isfinite(vae.transform(X)).all()
    copy = pickle.loads(pickle.dumps(vae))
    np.testing.assert_array_equal(copy.transform(X), vae.transform(X))


@pytest.mark.slow
def test_weights_of_samples_count_as_repetitions_of_a_block():
    X = table(64)
    weighted = small_vae().partial_fit(X, sample_weight=np.full(64, 2.0))
    np.testing.assert_allclose(
        weighted.transform(X), small_vae().partial_fit(X).transform(X), atol=1e-5
    )


# ----------------------------------------------------------------------------- labels
def labelled_vae(**parameters):
    sizes = {"hidden_layer_sizes": 8, "opponent_hidden_layer_sizes": 8}
    sizes |= {"discriminator_hidden_layer_sizes": 8, "batch_size": 32}
    return SupervisedFactorVAETransformer(3, random_state=0, **sizes, **parameters)


class TestLabels:
    X, later = table(60), table(60, seed=1)
    letters = np.array(list("abc"))[np.arange(60) % 3]

    @pytest.mark.parametrize(
        "labels",
        [
            np.array(list("ab"))[np.arange(60) % 2],
            np.full(60, "b"),
            np.array(["c"] + [None] * 59, dtype=object),
        ],
    )
    def test_later_blocks_may_lack_levels(self, labels):
        vae = labelled_vae(sensitive=0).partial_fit(self.X, self.letters)
        vae.partial_fit(self.later, labels)
        assert vae.attribute_levels_[0].tolist() == ["a", "b", "c"]
        assert vae.n_samples_seen_ == 120
        assert all(np.isfinite(values).all() for values in vae.history_.values())

    def test_levels_are_those_of_the_first_block(self):
        vae = labelled_vae().partial_fit(self.X, self.letters)
        same = clone(vae).partial_fit(self.X, self.letters)
        numbers = {"a": 0, "b": 1, "c": 2}
        coded = labelled_vae().partial_fit(self.X, np.arange(60) % 3)
        few = np.array(list("cb"))[np.arange(60) % 2]
        vae.partial_fit(self.later, few)
        coded.partial_fit(self.later, np.array([numbers[level] for level in few]))
        for name, weight in vae.weights_.items():
            np.testing.assert_array_equal(weight, coded.weights_[name], err_msg=name)
        with pytest.raises(ValueError, match=r"'d'; expected some of 'a', 'b', 'c'"):
            same.partial_fit(self.later, np.full(60, "d"))
        with pytest.raises(ValueError, match=r"has 2 columns, .* continued had 1"):
            same.partial_fit(self.later, np.zeros((60, 2)))
        with pytest.raises(ValueError, match="join the block with others"):
            same.partial_fit(self.later, np.full(60, None))

    def test_continuous_attributes_stay_continuous(self):
        vae = labelled_vae().partial_fit(self.X, self.X[:, 0])
        vae.partial_fit(self.later, np.full(60, 1.0))
        vae.partial_fit(self.later, np.arange(60) % 3)
        assert vae.attribute_levels_ == (None,)
        assert np.isfinite(vae.predict_attributes(self.X)).all()

    def test_the_only_label_is_not_held_out(self):
        labels = np.full(60, np.nan)
        labels[7] = 1.0
        vae = labelled_vae().partial_fit(self.X, self.X[:, 0], validation_fraction=0.9)
        for _ in range(3):  # held out in one of them but for a chance of .001
            vae.partial_fit(self.later, labels)
        assert np.isfinite(vae.predict_attributes(self.X)).all()


def test_a_model_of_conditions_is_not_continued_without_them():
    X = table(60)
    vae = AuxiliaryVAETransformer(2, hidden_layer_sizes=8, max_iter=5, random_state=0)
    with pytest.warns(ConvergenceWarning):
        vae.fit(X, aux=np.arange(60) % 3)
    with pytest.raises(ValueError, match="partial_fit takes none"):
        vae.partial_fit(X)
    assert vae.transform(X, aux=np.arange(60) % 3).shape == (60, 2)


def test_unknown_levels_of_a_later_block_count_as_missing_values():
    X = pd.DataFrame(
        {"a": table(60)[:, 0], "c": np.array(list("uv"))[np.arange(60) % 2]}
    )
    vae = small_vae(handle_unknown="missing").partial_fit(X)
    with pytest.raises(ValueError, match=r"count as missing included.*hidden_fraction"):
        vae.partial_fit(X.assign(c=X["c"].replace("v", "w")))


def test_the_health_of_a_stream_is_not_judged_by_max_iter():
    vae = small_vae().partial_fit(table()).partial_fit(table(seed=1))
    marks = {mark.name: mark for mark in health_marks(vae)}
    assert marks["training"].level == "fine"
    assert "on 600 samples" in marks["training"].message
    assert "convergence" not in marks
