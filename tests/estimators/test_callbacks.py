"""Progress and stopping go through scikit-learn's callbacks; verbose prints."""

import re
import warnings

import numpy as np
import pytest
import sklearn
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.fixes import parse_version

from skfactorvae import FactorVAETransformer

HAS_CALLBACKS = parse_version(sklearn.__version__) >= parse_version("1.9")


class RecordingCallback:
    """A callback that records its calls."""

    def __init__(self, stop_after=np.inf, error=None):
        self.stop_after, self.error = stop_after, error
        self.setups, self.teardowns = [], []
        self.begun, self.ended, self.data = [], [], []

    def setup(self, estimator, context):
        self.setups.append(context)

    def teardown(self, estimator, context):
        self.teardowns.append(context)

    def on_fit_task_begin(self, estimator, context, *, X, y):
        self.begun.append(context)

    def on_fit_task_end(self, estimator, context, *, X, y):
        self.ended.append(context)
        self.data.append((X, y))
        if self.error is not None and len(self.ended) >= self.stop_after:
            raise self.error
        return len(self.ended) >= self.stop_after


class PropagatedCallback(RecordingCallback):
    """A recording callback that is passed on to sub-estimators."""

    max_propagation_depth = None


class TransformingCallback(RecordingCallback):
    """A callback that transforms during the fit."""

    def __init__(self, X):
        super().__init__()
        self.X, self.codes, self.rows = X, [], []

    def on_fit_task_end(self, estimator, context, *, fitted_estimator):
        self.codes.append(fitted_estimator.transform(self.X))
        self.rows.append(fitted_estimator.inverse_transform(self.codes[-1]))


class TestSinceVersion19:
    """Callbacks of scikit-learn 1.9 and later."""

    __test__ = HAS_CALLBACKS

    @pytest.mark.one_member
    @pytest.mark.parametrize("max_iter", [1, 7, 200, 230])
    def test_each_of_at_most_200_tasks_begins_and_ends(self, small, X, max_iter):
        callback = RecordingCallback()
        small(max_iter=max_iter).set_callbacks(callback).fit(X)
        assert {id(c) for c in callback.begun} == {id(c) for c in callback.ended}
        assert len(callback.begun) == len(callback.ended)
        assert callback.ended[-1].task_name == "fit"
        (root,) = callback.setups
        assert len(callback.ended) - 1 == root.max_subtasks <= 200

    def test_tasks_get_the_data_of_the_fit(self, small, X):
        callback = RecordingCallback()
        y = np.arange(len(X))
        small().set_callbacks(callback).fit(X, y)
        assert all(np.array_equal(given, X) for given, _ in callback.data)
        assert all(given is y for _, given in callback.data)

    def test_a_callback_that_returns_true_stops_the_fit(self, small, X):
        callback = RecordingCallback(stop_after=3)
        model = small(max_iter=100).set_callbacks(callback).fit(X)
        assert model.n_iter_ == 3
        assert len(model.history_["step"]) == 3
        assert np.isfinite(model.transform(X)).all()

    def test_a_stopped_fit_equals_the_full_fit_up_to_its_last_step(self, small, X):
        """The steps that are left out have no effect on those before."""
        watched = TransformingCallback(X)
        small(max_iter=100).set_callbacks(watched).fit(X)
        stopping = RecordingCallback(stop_after=3)
        model = small(max_iter=100).set_callbacks(stopping).fit(X)
        rows = model.inverse_transform(model.transform(X))
        np.testing.assert_allclose(rows, watched.rows[2], rtol=1e-5)

    def test_a_callback_that_transforms_does_not_change_the_fit(self, small, X):
        alone = small().fit(X)
        watched = small().set_callbacks(TransformingCallback(X)).fit(X)
        for name, weight in alone.weights_.items():
            np.testing.assert_array_equal(weight, watched.weights_[name])

    def test_the_estimator_of_a_task_can_transform(self, small, X):
        callback = TransformingCallback(X)
        model = small(max_iter=20).set_callbacks(callback).fit(X)
        assert len(callback.codes) == 21
        assert all(np.isfinite(codes).all() for codes in callback.codes)
        assert not np.array_equal(callback.rows[0], callback.rows[-1])
        np.testing.assert_array_equal(callback.codes[-1], model.transform(X))

    def test_the_last_estimator_has_the_rotation_of_the_fit(self, X):
        callback = TransformingCallback(X)
        vae = FactorVAETransformer(3, init="varimax", max_iter=20, random_state=0)
        model = vae.set_callbacks(callback).fit(X)
        assert model.rotation_ is not None
        np.testing.assert_array_equal(callback.codes[-1], model.transform(X))

    def test_an_estimator_in_training_is_unfitted(self, small, X):
        model = small()

        class CheckingCallback(RecordingCallback):
            def on_fit_task_end(self, estimator, context, *, fitted_estimator):
                assert fitted_estimator is not estimator
                in_training = context.task_name == "steps"
                assert in_training != estimator.__sklearn_is_fitted__()

        model.set_callbacks(CheckingCallback()).fit(X)

    @pytest.mark.parametrize("error", [KeyboardInterrupt(), RuntimeError("mine")])
    @pytest.mark.parametrize("step", [1, 3])
    def test_a_failing_callback_keeps_the_previous_fit(self, small, X, error, step):
        model = small().fit(X)
        before = dict(vars(model))
        model.set_callbacks(RecordingCallback(stop_after=step, error=error))
        with pytest.raises(type(error)):
            model.fit(-X[:, :4])
        model.set_callbacks()
        assert vars(model) == before

    @pytest.mark.parametrize("error", [KeyboardInterrupt(), RuntimeError("mine")])
    def test_callbacks_are_torn_down_after_a_failure(self, small, X, error):
        """A progress bar that is not torn down would run on."""
        callback = RecordingCallback(stop_after=2, error=error)
        with pytest.raises(type(error)):
            small().set_callbacks(callback).fit(X)
        assert len(callback.teardowns) == len(callback.setups) == 1

    def test_a_fit_that_fails_in_validation_keeps_no_callback_state(self, small):
        model = small().set_callbacks(RecordingCallback())
        before = set(vars(model))
        with pytest.raises(ValueError, match="infinity"):
            model.fit(np.full((4, 2), np.inf))
        assert set(vars(model)) == before

    @pytest.mark.takes("early_stopping", "n_iter_no_change", "warmup")
    def test_a_fit_that_stops_early_ends_all_its_tasks(self, small, X):
        callback = RecordingCallback()
        parameters = {"early_stopping": True, "n_iter_no_change": 1, "warmup": 0.0}
        model = small(max_iter=400, learning_rate=0.1, **parameters)
        model.set_callbacks(callback).fit(X)
        assert model.n_iter_ < 400
        assert len(callback.begun) == len(callback.ended)

    def test_a_fit_that_diverges_ends_all_its_tasks(self, small, X):
        callback = RecordingCallback()
        model = small(max_iter=50, learning_rate=1e30).set_callbacks(callback)
        with pytest.warns(ConvergenceWarning, match="diverged"):
            model.fit(X)
        assert len(callback.begun) == len(callback.ended)

    def test_a_progress_bar_prints_the_name_of_the_estimator(self, small, X, capsys):
        from sklearn.callback import ProgressBar

        small().set_callbacks(ProgressBar()).fit(X)
        assert type(small()).__name__ in capsys.readouterr().out

    def test_a_scoring_monitor_logs_every_task(self, small, X):
        from sklearn.callback import ScoringMonitor

        def width(estimator, X, y):
            return float(estimator.transform(X).shape[1])

        monitor = ScoringMonitor(scoring={"width": width})
        small().set_callbacks(monitor).fit(X, np.arange(len(X)))
        log = monitor.get_logs()
        assert [row["width"] for row in log.data] == [3.0] * 7

    def test_callbacks_reach_the_fits_of_a_search(self, small, X):
        callback = PropagatedCallback()
        pipe = Pipeline([("scale", StandardScaler()), ("vae", small())])
        search = GridSearchCV(pipe, {"vae__batch_size": [8, 16]}, cv=2)
        search.set_callbacks(callback).fit(X)
        name = type(small()).__name__
        steps = [c for c in callback.ended if c.task_name == "steps"]
        assert len(steps) == 5 * 6  # four fits and the refit, of six steps
        assert {c.estimator_name for c in steps} == {name}
        assert len(callback.begun) == len(callback.ended)

    def test_clones_keep_their_callbacks(self, small, X):
        callback = RecordingCallback()
        model = small().set_callbacks(callback)
        sklearn.clone(model).fit(X)
        assert len(callback.setups) == 1

    def test_a_class_is_refused_as_a_callback(self, small):
        with pytest.raises(TypeError, match="must be instances"):
            small().set_callbacks(RecordingCallback)


class TestBelowVersion19:
    """Earlier versions of scikit-learn have no callbacks."""

    __test__ = not HAS_CALLBACKS

    def test_callbacks_are_refused_and_the_error_names_an_alternative(self, small):
        with pytest.raises(NotImplementedError, match=r"1\.9.*verbose=1"):
            small().set_callbacks(RecordingCallback())

    def test_fits_work_without_callbacks(self, small, X):
        assert small().fit(X).n_iter_ == 6


# ----------------------------------------------------------------------- printing
def printed(capsys):
    out = capsys.readouterr()
    assert not out.err
    return out.out.splitlines()


@pytest.mark.parametrize("verbose", [0, False])
def test_a_fit_prints_nothing_by_default(small, X, capsys, verbose):
    small(verbose=verbose).fit(X)
    small().fit(X)
    assert printed(capsys) == []


@pytest.mark.one_member
@pytest.mark.parametrize(
    ("max_iter", "verbose"), [(1, 1), (6, True), (30, 1), (230, True)]
)
def test_verbose_prints_at_most_twelve_lines(small, X, capsys, max_iter, verbose):
    small(max_iter=max_iter, verbose=verbose).fit(X)
    lines = printed(capsys)
    assert 1 <= len(lines) <= 12
    name = type(small()).__name__
    for line in lines:
        assert re.match(rf"\[{name}\] step +\d+/{max_iter}  reconstruction ", line)
        assert len(line) <= 200
    assert f"{max_iter}/{max_iter}" in lines[-1]


def test_verbose_2_prints_every_record(small, X, capsys):
    model = small(max_iter=30, verbose=2).fit(X)
    assert len(printed(capsys)) == len(model.history_["step"]) == 30


def test_printed_numbers_are_those_of_the_history(small, X, capsys):
    model = small(verbose=2).fit(X)
    lines = printed(capsys)
    assert len(lines) == len(model.history_["step"])
    for i, line in enumerate(lines):
        for name in set(model.history_) - {"step"}:
            assert f"{name} {model.history_[name][i]:.4g}" in line


def test_printing_changes_nothing(small, X, capsys):
    silent, loud = small().fit(X), small(verbose=2).fit(X)
    for name, weight in silent.weights_.items():
        np.testing.assert_array_equal(weight, loud.weights_[name])


def test_a_good_fit_warns_of_nothing(small, X):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        small(max_iter=50).fit(X)
