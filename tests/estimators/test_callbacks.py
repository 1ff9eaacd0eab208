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

HAS_CALLBACKS = parse_version(sklearn.__version__) >= parse_version("1.9")


class Witness:
    """A callback that remembers what it was told."""

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


class PropagatedWitness(Witness):
    """A witness that follows into sub-estimators."""

    max_propagation_depth = None


class Student(Witness):
    """A callback that transforms in mid-fit."""

    def __init__(self, X):
        super().__init__()
        self.X, self.codes, self.rows = X, [], []

    def on_fit_task_end(self, estimator, context, *, fitted_estimator):
        self.codes.append(fitted_estimator.transform(self.X))
        self.rows.append(fitted_estimator.inverse_transform(self.codes[-1]))


class TestSinceVersion19:
    """What scikit-learn's own callbacks do with a fit."""

    __test__ = HAS_CALLBACKS

    @pytest.mark.one_member
    @pytest.mark.parametrize("max_iter", [1, 7, 200, 230])
    def test_every_task_of_200_at_most_begins_and_ends(self, small, X, max_iter):
        witness = Witness()
        small(max_iter=max_iter).set_callbacks(witness).fit(X)
        assert {id(c) for c in witness.begun} == {id(c) for c in witness.ended}
        assert len(witness.begun) == len(witness.ended)
        assert witness.ended[-1].task_name == "fit"
        (root,) = witness.setups
        assert len(witness.ended) - 1 == root.max_subtasks <= 200

    def test_tasks_are_told_the_data_of_the_fit(self, small, X):
        witness = Witness()
        y = np.arange(len(X))
        small().set_callbacks(witness).fit(X, y)
        assert all(np.array_equal(told, X) for told, _ in witness.data)
        assert all(told is y for _, told in witness.data)

    def test_a_callback_that_returns_true_stops_the_fit(self, small, X):
        witness = Witness(stop_after=3)
        model = small(max_iter=100).set_callbacks(witness).fit(X)
        assert model.n_iter_ == 3
        assert len(model.history_["step"]) == 3
        assert np.isfinite(model.transform(X)).all()

    def test_a_stopped_fit_is_the_fit_up_to_there(self, small, X):
        """The other half of the budget leaves no trace in the steps already made."""
        watched = Student(X)
        small(max_iter=100).set_callbacks(watched).fit(X)
        model = small(max_iter=100).set_callbacks(Witness(stop_after=3)).fit(X)
        rows = model.inverse_transform(model.transform(X))
        np.testing.assert_allclose(rows, watched.rows[2], rtol=1e-5)

    def test_watching_changes_nothing(self, small, X):
        alone = small().fit(X)
        watched = small().set_callbacks(Student(X)).fit(X)
        for name, weight in alone.weights_.items():
            np.testing.assert_array_equal(weight, watched.weights_[name])

    def test_a_half_fitted_estimator_transforms(self, small, X):
        student = Student(X)
        model = small(max_iter=20).set_callbacks(student).fit(X)
        assert len(student.codes) == 21
        assert all(np.isfinite(codes).all() for codes in student.codes)
        assert not np.array_equal(student.rows[0], student.rows[-1])
        np.testing.assert_array_equal(student.codes[-1], model.transform(X))

    def test_a_half_fitted_estimator_leaves_the_one_in_training_unfitted(
        self, small, X
    ):
        model = small()

        class Onlooker(Witness):
            def on_fit_task_end(self, estimator, context, *, fitted_estimator):
                assert fitted_estimator is not estimator
                in_training = context.task_name == "steps"
                assert in_training != estimator.__sklearn_is_fitted__()

        model.set_callbacks(Onlooker()).fit(X)

    @pytest.mark.parametrize("error", [KeyboardInterrupt(), RuntimeError("mine")])
    @pytest.mark.parametrize("step", [1, 3])
    def test_a_failing_callback_leaves_the_fit_before(self, small, X, error, step):
        model = small().fit(X)
        before = dict(vars(model))
        model.set_callbacks(Witness(stop_after=step, error=error))
        with pytest.raises(type(error)):
            model.fit(-X[:, :4])
        model.set_callbacks()
        assert vars(model) == before

    @pytest.mark.parametrize("error", [KeyboardInterrupt(), RuntimeError("mine")])
    def test_callbacks_are_torn_down_after_a_failure(self, small, X, error):
        """Else a progress bar goes on for ever."""
        witness = Witness(stop_after=2, error=error)
        with pytest.raises(type(error)):
            small().set_callbacks(witness).fit(X)
        assert len(witness.teardowns) == len(witness.setups) == 1

    def test_a_fit_that_fails_at_once_leaves_nothing_of_its_callbacks(self, small):
        model = small().set_callbacks(Witness())
        before = set(vars(model))
        with pytest.raises(ValueError, match="NaN"):
            model.fit(np.full((4, 2), np.nan))
        assert set(vars(model)) == before

    @pytest.mark.takes("early_stopping", "n_iter_no_change", "warmup")
    def test_a_fit_that_stops_early_ends_all_its_tasks(self, small, X):
        witness = Witness()
        parameters = {"early_stopping": True, "n_iter_no_change": 1, "warmup": 0.0}
        model = small(max_iter=400, learning_rate=0.1, **parameters)
        model.set_callbacks(witness).fit(X)
        assert model.n_iter_ < 400
        assert len(witness.begun) == len(witness.ended)

    def test_a_fit_that_diverges_ends_all_its_tasks(self, small, X):
        witness = Witness()
        model = small(max_iter=50, learning_rate=1e30).set_callbacks(witness)
        with pytest.warns(ConvergenceWarning, match="diverged"):
            model.fit(X)
        assert len(witness.begun) == len(witness.ended)

    def test_a_progress_bar_can_watch(self, small, X, capsys):
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
        witness = PropagatedWitness()
        pipe = Pipeline([("scale", StandardScaler()), ("vae", small())])
        search = GridSearchCV(pipe, {"vae__batch_size": [8, 16]}, cv=2)
        search.set_callbacks(witness).fit(X)
        name = type(small()).__name__
        steps = [c for c in witness.ended if c.task_name == "steps"]
        assert len(steps) == 5 * 6  # four fits and the refit, of six steps
        assert {c.estimator_name for c in steps} == {name}
        assert len(witness.begun) == len(witness.ended)

    def test_clones_keep_their_callbacks(self, small, X):
        witness = Witness()
        model = small().set_callbacks(witness)
        sklearn.clone(model).fit(X)
        assert len(witness.setups) == 1

    def test_a_class_is_no_callback(self, small):
        with pytest.raises(TypeError, match="must be instances"):
            small().set_callbacks(Witness)


class TestBelowVersion19:
    """What stands in for callbacks where scikit-learn has none."""

    __test__ = not HAS_CALLBACKS

    def test_callbacks_are_refused_with_a_way_out(self, small):
        with pytest.raises(NotImplementedError, match=r"1\.9.*verbose=1"):
            small().set_callbacks(Witness())

    def test_fits_go_on_without(self, small, X):
        assert small().fit(X).n_iter_ == 6


# ----------------------------------------------------------------------- printing
def printed(capsys):
    out = capsys.readouterr()
    assert not out.err
    return out.out.splitlines()


@pytest.mark.parametrize("verbose", [0, False])
def test_a_fit_is_silent_by_default(small, X, capsys, verbose):
    small(verbose=verbose).fit(X)
    small().fit(X)
    assert printed(capsys) == []


@pytest.mark.one_member
@pytest.mark.parametrize(
    ("max_iter", "verbose"), [(1, 1), (6, True), (30, 1), (230, True)]
)
def test_verbose_prints_a_handful_of_lines(small, X, capsys, max_iter, verbose):
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
    for i, line in enumerate(printed(capsys)):
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
