"""Searches by other workers: threads, processes, and a Dask cluster of this machine."""

import os
import signal
import threading
import time

import numpy as np
import pytest
from joblib import parallel_config
from sklearn.model_selection import KFold
from test_batched import GRID, assert_same_table, make_vae

from skfactorvae import CheckpointError, _batch_training, _workers, checkpoints, core
from skfactorvae._batching import batched_fits
from skfactorvae.model_selection import BatchedGridSearchCV

CV = KFold(3, shuffle=True, random_state=0)

pytestmark = pytest.mark.filterwarnings(
    # Of libraries that the cluster uses.
    "ignore::DeprecationWarning:distributed",
    "ignore:unclosed:ResourceWarning",
)


@pytest.fixture
def X():
    rng = np.random.RandomState(0)
    return rng.uniform(-1, 1, size=(60, 3)) @ rng.normal(size=(3, 5)) + [0, 1, 5, 2, 3]


@pytest.fixture(autouse=True)
def every_group_is_sent(monkeypatch):
    monkeypatch.setattr(_batch_training, "PROCESS_EFFORT", 0)


@pytest.fixture
def sent(monkeypatch):
    """Numbers of stacks that are sent to workers, call by call."""
    numbers, of_workers = [], _workers.Workers.map

    def counted(self, function, calls, n_workers):
        numbers.append(len(calls))
        return of_workers(self, function, calls, n_workers)

    monkeypatch.setattr(_workers.Workers, "map", counted)
    return numbers


@pytest.fixture(scope="module")
def client():
    distributed = pytest.importorskip("distributed", reason="needs dask[distributed]")
    options = {"n_workers": 2, "threads_per_worker": 1, "processes": True}
    quiet = {"dashboard_address": None, "silence_logs": 50}
    with (
        distributed.LocalCluster(**options, **quiet) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


def search_of(X, grid=GRID, **options):
    parameters = {"cv": CV, "refit": False, **options}
    vae = make_vae(max_iter=parameters.pop("max_iter", 20), weight_decay=0)
    return BatchedGridSearchCV(vae, grid, **parameters).fit(X).cv_results_


def assert_equal_scores(ours, theirs):
    assert_same_table(ours, theirs)
    for name in theirs:
        if "test_score" in name:
            np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-5)


# ------------------------------------------------------------------ numbers of workers
def test_the_active_backend_determines_the_number_of_workers():
    active = _workers.Workers.active
    assert active(None).count(active(None).n_jobs) == 1
    assert active(None).count(10**6) == _workers.count_cores(-1)
    with parallel_config("threading", n_jobs=2):
        workers = active(None)
        assert workers.n_jobs == 2
        assert workers.count(2) == min(2, _workers.count_cores(-1))
        with batched_fits(), batched_fits(n_jobs=1):
            inner = _workers.Workers.active(None)
            assert inner.backend.scheduler.workers.backend is workers.backend
            assert inner.n_jobs == 1


def test_a_job_is_sent_without_its_tables_and_is_the_same_again():
    table = np.zeros((4, 2), dtype=np.float32)
    held_out = core.HeldOut(table, np.ones(4))
    job = core.Job(
        network=None,
        likelihood=None,
        objective=None,
        rows=table,
        row_weights=held_out.row_weights,
        seed=0,
        held_out=held_out,
    )
    jobs, tables = _workers.without_tables([job, job])
    assert [table.shape for table in tables] == [(4, 2), (4,)]
    assert (jobs[1].rows, jobs[1].held_out.rows, jobs[1].labels) == (0, 0, None)
    again = _workers.with_tables(jobs, tables)[1]
    assert again == job
    assert again.held_out.rows is table


# ----------------------------------------------------------------------------- threads
@pytest.mark.slow
def test_threads_give_the_results_of_processes(X, sent):
    by_processes = search_of(X, n_jobs=2)
    with parallel_config("threading", n_jobs=2):
        by_threads = search_of(X)
    assert sent == [2, 2]
    assert_equal_scores(by_threads, by_processes)


@pytest.mark.slow
def test_a_number_of_the_search_comes_before_that_of_the_backend(X, sent):
    with parallel_config("threading", n_jobs=2):
        search_of(X, n_jobs=1)
    assert sent == []


# ------------------------------------------------------------------------------- Dask
@pytest.mark.slow
def test_a_dask_cluster_gives_the_results_of_processes(X, sent, client):
    grid = {**GRID, "gamma": [0.0, 2.0, -1.0]}
    options = {"n_jobs": 2, "error_score": -7.0}
    with pytest.warns(match="fits failed"):
        by_processes = search_of(X, grid, **options)
    with parallel_config("dask"), pytest.warns(match="fits failed"):
        by_cluster = search_of(X, grid, error_score=-7.0)
    assert sent == [2, 2]
    assert (by_cluster["mean_test_score"] == -7.0).sum() == 2
    assert_equal_scores(by_cluster, by_processes)


def kill_the_first_that_works(client, killed):
    """Kill a worker that trains a stack."""
    pids = client.run(os.getpid)
    for _ in range(600):
        busy = [name for name, tasks in client.processing().items() if tasks]
        if busy:
            time.sleep(0.5)
            os.kill(pids[busy[0]], signal.SIGKILL)
            killed.append(busy[0])
            return
        time.sleep(0.05)


@pytest.mark.slow
def test_a_worker_that_is_killed_in_mid_search_loses_nothing(X, sent, client):
    expected = search_of(X, n_jobs=2, max_iter=1000)
    killed = []
    killer = threading.Thread(target=kill_the_first_that_works, args=(client, killed))
    with parallel_config("dask"):
        killer.start()
        found = search_of(X, max_iter=1000)
    killer.join()
    assert len(killed) == 1
    assert sent[:2] == [2, 2]
    assert_equal_scores(found, expected)


@pytest.mark.slow
def test_workers_without_the_folder_of_checkpoints_say_so(X, client, tmp_path):
    with pytest.raises(CheckpointError, match="shared by all workers"):
        storage_elsewhere(tmp_path / "absent").read()
    with checkpoints(tmp_path / "own"), parallel_config("dask"):
        found = search_of(X)
    assert_equal_scores(found, search_of(X, n_jobs=2))


def storage_elsewhere(folder):
    from skfactorvae._checkpoints import StackFile

    return StackFile(folder / "a.safetensors", {}, 1.0)


@pytest.mark.slow
def test_stacks_that_a_cluster_cannot_train_are_trained_here(X, client, monkeypatch):
    def refuse(*_):
        raise RuntimeError("cannot be imported")

    expected = search_of(X, n_jobs=2)
    monkeypatch.setattr(_workers, "delayed", lambda _: delayed_refusal)
    with (
        parallel_config("dask"),
        pytest.warns(UserWarning, match="2 of 2 stacks of models were not trained"),
    ):
        found = search_of(X)
    assert_equal_scores(found, expected)


def delayed_refusal(*_):
    from joblib import delayed

    return delayed(np.linalg.inv)(np.zeros((2, 2)))


# ------------------------------------------------------------------------------- Ray
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_ray_cluster_gives_the_results_of_processes(X, sent):
    ray = pytest.importorskip("ray", reason="needs ray, which no other test uses")
    from ray.util.joblib import register_ray

    expected = search_of(X, n_jobs=2)
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    try:
        register_ray()
        with parallel_config("ray", n_jobs=2):
            found = search_of(X)
    finally:
        ray.shutdown()
    assert sent == [2, 2]
    assert_equal_scores(found, expected)
