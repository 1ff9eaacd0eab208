"""Long fits in terminals and notebooks have a progress bar, which always closes."""

import io
import pickle
import re
import sys
import threading
import types
from importlib.util import find_spec

import numpy as np
import pytest
from joblib import Parallel, delayed
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV

from skfactorvae import core
from skfactorvae.estimators import _progress
from skfactorvae.model_selection import batched_fits
from skfactorvae.preparation import _weight_decay

pytestmark = [pytest.mark.one_member, pytest.mark.takes("early_stopping")]


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self):
        return True


class RecordingBar:
    """Records what tqdm would show."""

    made: list

    def __init__(self, desc, total, initial, **options):
        self.desc, self.total, self.n = desc, total, initial
        self.options, self.steps, self.status = options, [initial], []
        self.is_closed = False
        self.made.append(self)

    def set_postfix_str(self, status, refresh):
        self.status.append(status)

    def update(self, n):
        assert not self.is_closed
        self.n += n
        self.steps.append(self.n)

    def close(self):
        self.is_closed = True


def show_on(monkeypatch, stream):
    """Take a stream as standard error; pytest replaces that of ``sys`` itself."""
    own = types.SimpleNamespace(stderr=stream, modules=sys.modules)
    monkeypatch.setattr(_progress, "sys", own)
    return stream


@pytest.fixture
def terminal(monkeypatch):
    return show_on(monkeypatch, Terminal())


@pytest.fixture
def clock(monkeypatch):
    """A clock on which every look takes a second; set ``step`` for another time."""
    state = types.SimpleNamespace(now=0.0, step=1.0)

    def tick():
        state.now += state.step
        return state.now

    monkeypatch.setattr(_progress, "clock", tick)
    return state


@pytest.fixture
def bars(monkeypatch, clock):
    """The bars that are made, as if tqdm were installed."""
    made = []
    bar_class = type("Bar", (RecordingBar,), {"made": made})
    monkeypatch.setattr(_progress, "_bar_class", lambda: bar_class)
    return made


@pytest.fixture(autouse=True)
def short_comparison(monkeypatch):
    """Compare weight decays in fits of 40 steps, too."""
    monkeypatch.setattr(_weight_decay, "MIN_STEPS", 40)
    monkeypatch.setitem(_weight_decay.MIN_EPOCHS, "adam", 1)


def assert_same_weights(a, b):
    for name, weight in a.weights_.items():
        np.testing.assert_array_equal(weight, b.weights_[name])


# ------------------------------------------------------------------ where bars appear
def test_a_long_fit_in_a_terminal_has_a_bar(small, X, bars, terminal, capsys):
    model = small(max_iter=39).fit(X)
    (bar,) = bars
    assert (bar.desc, bar.total, bar.n) == ("fitting", 39, 39)
    assert bar.steps == sorted(bar.steps)
    assert bar.is_closed
    last = model.history_["reconstruction"][-1]
    assert bar.status[-1] == f"reconstruction {last:.4g}"
    assert capsys.readouterr().out == ""


def test_a_short_fit_has_none(small, X, bars, clock, terminal):
    clock.step = 1e-3
    small(max_iter=39).fit(X)
    assert bars == []


def test_a_bar_appears_once_the_estimate_is_long(small, X, bars, clock, terminal):
    """0.2 seconds of a record, of 39: after 0.5 seconds, not after three."""
    clock.step = 0.1
    small(max_iter=39).fit(X)
    (bar,) = bars
    assert 1 < bar.steps[0] < 10


def test_the_comparison_of_weight_decays_has_a_bar(small, X, bars, terminal):
    model = small(max_iter=40, weight_decay="auto").fit(X)
    assert model.held_out_
    comparison, fit = bars
    assert (comparison.desc, comparison.total) == ("choosing weight decay", 40)
    assert (fit.desc, fit.total) == ("fitting", 40)
    assert all(bar.is_closed and bar.n == 40 for bar in bars)


def test_longer_fits_have_bars_too(small, X, bars, terminal, monkeypatch):
    monkeypatch.setattr(_weight_decay, "CLEAR_LOSS", -1.0)
    monkeypatch.setattr(_weight_decay, "largest_loss", lambda *_: 0.0)
    monkeypatch.setattr(_weight_decay, "COMPARISON_STEPS", 40)
    small(max_iter=60, weight_decay="auto").fit(X)
    assert [bar.desc for bar in bars] == [
        "choosing weight decay",
        "choosing the number of steps",
        "fitting",
    ]
    assert bars[1].total == 60


def test_a_comparison_in_several_stacks_has_one_bar(
    small, X, bars, terminal, monkeypatch
):
    monkeypatch.setattr(core, "stack_width", lambda *_: 3)
    small(max_iter=40, weight_decay="auto").fit(X)  # eight jobs
    assert [(bar.total, bar.n) for bar in bars] == [(120, 120), (40, 40)]
    assert bars[0].steps == sorted(bars[0].steps)


def test_a_notebook_has_bars(small, X, bars, monkeypatch):
    shell = types.SimpleNamespace(config={"IPKernelApp": {}})
    ipython = types.SimpleNamespace(get_ipython=lambda: shell)
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    small().fit(X)
    assert len(bars) == 1


@pytest.mark.parametrize("shell", [None, types.SimpleNamespace(config={})])
def test_ipython_without_a_kernel_is_no_notebook(small, X, bars, monkeypatch, shell):
    ipython = types.SimpleNamespace(get_ipython=lambda: shell)
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    small().fit(X)
    assert bars == []


@pytest.mark.parametrize("stream", [None, io.StringIO(), object()])
def test_without_a_terminal_nothing_is_watched(small, X, bars, monkeypatch, stream):
    watches, fit_stack = [], core.fit_stack

    def recorded(jobs, schedule, *, watch, **options):
        watches.append(watch)
        return fit_stack(jobs, schedule, watch=watch, **options)

    monkeypatch.setattr(core, "fit_stack", recorded)
    show_on(monkeypatch, stream)
    small(max_iter=40, weight_decay="auto").fit(X)
    assert watches == [None, None]
    assert bars == []


def test_a_closed_terminal_has_none(small, X, bars, terminal):
    terminal.close()
    small().fit(X)
    assert bars == []


@pytest.mark.parametrize("verbose", [0, 1, 2, False, True])
def test_a_number_asks_for_no_bar(small, X, bars, terminal, verbose, capsys):
    small(verbose=verbose).fit(X)
    assert bars == []
    assert bool(capsys.readouterr().out) == bool(verbose)


@pytest.mark.slow
def test_batched_fits_have_one_together(small, X, bars, terminal):
    """Both fits choose a weight decay first: a bar for each stage."""
    alone = small(max_iter=40, weight_decay="auto", random_state=1).fit(X)
    bars.clear()
    models = [small(max_iter=40, weight_decay="auto", random_state=s) for s in range(2)]
    with batched_fits():
        fits = Parallel()(delayed(model.fit)(X) for model in models)
    assert [bar.desc for bar in bars] == [
        "choosing weight decay, 16 models",
        "fitting, 2 models",
    ]
    assert all(bar.is_closed and bar.n == bar.total for bar in bars)
    np.testing.assert_allclose(
        fits[1].transform(X), alone.transform(X), rtol=1e-3, atol=1e-3
    )


def test_stacks_of_a_batch_have_one_bar(small, X, bars, terminal):
    models = [small(max_iter=n) for n in (20, 39)]
    with batched_fits():
        Parallel()(delayed(model.fit)(X) for model in models)
    (bar,) = bars
    assert (bar.total, bar.n) == (59, 59)
    assert bar.steps == sorted(bar.steps)


def test_quiet_batched_fits_have_none(small, X, bars, terminal):
    with batched_fits():
        Parallel()(delayed(small(random_state=s, verbose=0).fit)(X) for s in range(2))
    assert bars == []


def test_a_bar_of_a_batch_is_closed_after_an_error(
    small, X, bars, terminal, monkeypatch
):
    def fail(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(RecordingBar, "update", fail)
    with pytest.raises(KeyboardInterrupt), batched_fits():
        Parallel()(delayed(small(random_state=s).fit)(X) for s in range(2))
    assert [bar.is_closed for bar in bars] == [True]


def test_other_threads_have_none(small, X, bars, terminal):
    thread = threading.Thread(target=small().fit, args=[X])
    thread.start()
    thread.join()
    assert bars == []


def test_other_processes_have_none(small, bars, terminal, monkeypatch):
    assert _progress._suits_bar(small())
    monkeypatch.setattr(_progress.multiprocessing, "parent_process", lambda: object())
    assert not _progress._suits_bar(small())


def test_estimators_with_callbacks_have_none(small, X, bars, terminal, monkeypatch):
    monkeypatch.setattr(_progress, "has_callbacks", lambda _: True)
    small().fit(X)
    assert bars == []


def test_each_long_fit_of_a_search_closes_its_bar(small, X, bars, terminal):
    GridSearchCV(small(), {"learning_rate": [1e-3, 1e-2]}, cv=2).fit(X)
    assert len(bars) == 5
    assert all(bar.is_closed for bar in bars)


def test_without_tqdm_a_line_has_the_time_left(small, X, terminal, clock, monkeypatch):
    monkeypatch.setitem(sys.modules, "tqdm", None)
    small(max_iter=39).fit(X)
    *shown, last, end = terminal.getvalue().split("\r")
    assert re.fullmatch(
        r"fitting: \d+ of 39 steps \(\d+%\), about \d+ s left", shown[1]
    )
    assert shown[-1].startswith("fitting: 39 of 39 steps (100%), about 0 s left")
    assert last.strip() == end == ""


# ------------------------------------------------------------- nothing else changes
def test_a_bar_changes_no_result(small, X, bars, monkeypatch):
    quiet = small(max_iter=40, weight_decay="auto").fit(X)
    show_on(monkeypatch, Terminal())
    shown = small(max_iter=40, weight_decay="auto").fit(X)
    assert len(bars) == 2
    assert_same_weights(quiet, shown)
    assert pickle.loads(pickle.dumps(shown)).verbose == "auto"
    assert set(vars(quiet)) == set(vars(shown))


def test_auto_is_the_default_and_a_parameter_as_any_other(small, X):
    model = small()
    assert model.get_params()["verbose"] == clone(model).verbose == "auto"
    assert "verbose" not in repr(model)
    assert "verbose=0" in repr(model.set_params(verbose=0))
    assert type(model).__name__ in model._repr_html_()
    with pytest.raises(ValueError, match="verbose"):
        small(verbose="loud").fit(X)
    with pytest.raises(ValueError, match="verbose"):
        small(verbose=-1).fit(X)


# ------------------------------------------------------------------ a bar is closed
@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_a_bar_is_closed_after_an_error(small, X, bars, terminal, monkeypatch, error):
    def fail(*_):
        raise error

    monkeypatch.setattr(RecordingBar, "update", fail)
    with pytest.raises(error):
        small().fit(X)
    assert [bar.is_closed for bar in bars] == [True]


def test_a_bar_is_closed_after_divergence(small, X, bars, terminal):
    with pytest.warns(ConvergenceWarning, match="diverged"):
        small(max_iter=50, learning_rate=1e30).fit(X)
    assert all(bar.is_closed for bar in bars)


def test_a_bar_is_closed_by_early_stopping(small, X, bars, terminal):
    parameters = {"early_stopping": True, "n_iter_no_change": 1, "warmup": 0.0}
    model = small(max_iter=200, learning_rate=0.1, weight_decay=0.0, **parameters)
    assert model.fit(X).n_iter_ < 200
    (bar,) = bars
    assert bar.is_closed
    assert bar.n == model.n_iter_


# ----------------------------------------------------------------------- real bars
@pytest.mark.skipif(find_spec("tqdm") is None, reason="needs tqdm")
def test_tqdm_shows_steps_and_clears_its_line(small, X, clock, terminal):
    n_threads = threading.active_count()
    small(max_iter=40, weight_decay="auto").fit(X)
    text = terminal.getvalue()
    for part in ("choosing weight decay:", "fitting:", "/40 [", "reconstruction"):
        assert part in text
    assert text.rpartition("\r")[2] == ""
    assert text.split("\r")[-2].strip() == ""
    assert threading.active_count() == n_threads


@pytest.mark.skipif(find_spec("tqdm") is None, reason="needs tqdm")
def test_tqdm_shows_nothing_for_a_short_fit(small, X, clock, terminal):
    clock.step = 1e-3
    small(max_iter=40, weight_decay="auto").fit(X)
    assert terminal.getvalue() == ""
