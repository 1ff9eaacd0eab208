"""Threads and forked processes: nothing global is left changed, and nothing waits."""

import os
import subprocess
import sys
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from joblib import Parallel, cpu_count, delayed, parallel_config
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from skfactorvae import FactorVAETransformer, _batching
from skfactorvae._locks import ProcessLock
from skfactorvae.core import _devices
from skfactorvae.core._devices import one_thread, thread_limit

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork"),
    # Python 3.12 warns of a fork beside other threads, which is what is tested.
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded"),
]


def in_child(function):
    """Return what a function returns, as a number, in a forked process."""
    child = os.fork()
    if child == 0:
        os._exit(int(function()))
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.fixture
def three_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


class Elsewhere:
    """Another thread that is in the middle of a block."""

    def __init__(self, block):
        self.block, self.entered, self.end = block, threading.Event(), threading.Event()
        self.thread = threading.Thread(target=self._live)

    def _live(self):
        with self.block:
            self.entered.set()
            self.end.wait()

    def __enter__(self):
        self.thread.start()
        self.entered.wait()

    def __exit__(self, *_):
        self.end.set()
        self.thread.join()


# ------------------------------------------------------------------------- forks
def number_inside():
    with thread_limit(2, 0, torch.device("cpu")):
        return torch.get_num_threads()


def in_thread(function):
    """Return what a function returns in a new thread."""
    with ThreadPoolExecutor(1) as executor:
        return executor.submit(function).result()


def test_a_fork_during_another_threads_work_begins_without_it(three_threads):
    with Elsewhere(one_thread()):
        assert in_thread(torch.get_num_threads) == 1
        assert in_child(lambda: in_thread(torch.get_num_threads)) == 3
        assert in_child(lambda: _devices._depth) == 0
        assert in_child(number_inside) == 1
    assert in_thread(torch.get_num_threads) == 3


def test_a_forked_process_has_one_thread_however_many_are_asked_for(three_threads):
    assert number_inside() == 2
    assert in_child(number_inside) == 1


def test_a_block_that_ends_in_a_forked_process_leaves_the_number_to_later_ones(
    three_threads,
):
    def fork_and_leave():
        with one_thread():
            if child := os.fork():
                return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        os._exit(10 * number_inside() + torch.get_num_threads())

    assert fork_and_leave() == 13


def test_a_lock_that_another_thread_holds_is_free_in_a_forked_process():
    lock = ProcessLock()

    def enter():
        with lock:
            return 7

    with Elsewhere(lock):
        assert in_child(enter) == 7


FORKED = """
import faulthandler, multiprocessing, os
import numpy as np, torch
from skfactorvae import FactorVAETransformer

torch.set_num_threads(2)
torch.ones(1500, 1500) @ torch.ones(1500, 1500)  # starts a thread
X = np.random.RandomState(0).normal(size=(300, 6))
make = lambda n_jobs: FactorVAETransformer(
    3, max_iter=20, hidden_layer_sizes=8, random_state=0, n_jobs=n_jobs
)
model = make(None).fit(X)
codes, weights = model.transform(X), model.weights_

def fit():
    found = make(2).fit(X).weights_
    return all((found[name] == w).all() for name, w in weights.items())

TASKS = {
    "transform": lambda: (model.transform(X) == codes).all(),
    "inverse_transform": lambda: model.inverse_transform(codes).any(),
    "sample": lambda: model.sample(50000).any(),
    "score": lambda: np.isfinite(model.score(X)),
    "fit": fit,
}

def child(task):
    faulthandler.dump_traceback_later(60, exit=True)
    os._exit(0 if task() else 1)

for name, task in TASKS.items():
    process = multiprocessing.get_context("fork").Process(target=child, args=(task,))
    process.start()
    process.join()
    assert process.exitcode == 0, name
"""


@pytest.mark.slow
def test_a_forked_process_fits_and_transforms_after_work_in_two_threads():
    command = [sys.executable, "-c", FORKED]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


# ------------------------------------------------------------------------ threads
def test_each_thread_has_the_limit_in_its_blocks_and_its_number_after_them(
    three_threads,
):
    def both():
        return number_inside(), torch.get_num_threads()

    elsewhere = Elsewhere(one_thread())
    with one_thread():
        elsewhere.__enter__()
        assert in_thread(both) == (2, 3)
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 3  # before the other thread's block ends
    assert both() == (2, 3)
    elsewhere.__exit__()
    assert in_thread(both) == (2, 3)


def own_modules(n_features, n_components):
    encoder = nn.Sequential(nn.Linear(n_features, 8), nn.Tanh())
    encoder.append(nn.Linear(8, 2 * n_components))
    return encoder, nn.Linear(n_components, n_features)


class Numbers(TorchDispatchMode):
    """Record the number of threads at each operation on the CPU."""

    def __init__(self):
        super().__init__()
        self.seen = {}

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        if getattr(result, "is_meta", False):  # nothing is computed
            return result
        self.seen.setdefault(torch.get_num_threads(), set()).add(str(function))
        return result


@pytest.mark.one_member
@pytest.mark.takes({"network": own_modules}, "early_stopping")
@pytest.mark.parametrize(
    "parameters",
    [{}, {"network": own_modules}, {"network": "conv", "image_shape": (1, 2, 4)}],
    ids=["mlp", "own", "conv"],
)
def test_every_operation_of_torch_is_made_with_the_limited_number(
    small, three_threads, parameters
):
    X = np.random.RandomState(0).normal(size=(60, 8))
    with Numbers() as numbers:
        model = small(early_stopping=True, **parameters)
        model.fit(X)
        model.inverse_transform(model.transform(X))
        model.score(X)
        model.sample(5)
    without_work = {"aten.detach.default", "aten.alias.default"}
    assert numbers.seen.keys() >= {1}
    assert numbers.seen.get(3, set()) <= without_work


@pytest.mark.slow
def test_fits_in_threads_leave_the_filters_of_warnings():
    X = np.random.RandomState(0).normal(size=(1000, 8))
    before = list(warnings.filters)

    def fit(seed):
        return FactorVAETransformer(
            6, max_iter=10, batch_size=16, hidden_layer_sizes=8, random_state=seed
        ).fit(X)

    with ThreadPoolExecutor(4) as executor:
        list(executor.map(fit, range(12)))
    assert warnings.filters == before


@pytest.mark.slow
@pytest.mark.skipif(cpu_count() < 2, reason="needs two cores")
def test_a_process_of_joblib_uses_its_share_of_the_cores():
    """joblib sets the share; without the limit, n_jobs in both would multiply."""
    n_cores = cpu_count()
    assert _batching._n_threads(-1) == n_cores
    shares = Parallel(n_jobs=n_cores)(
        delayed(_batching._n_threads)(-1) for _ in range(n_cores)
    )
    assert shares == [1] * n_cores
    with parallel_config("loky", inner_max_num_threads=2):
        assert Parallel(n_jobs=2)([delayed(_batching._n_threads)(2)]) == [2]
