"""Searches whose stacks are divided between several devices, by a thread for each."""

import threading

import numpy as np
import pytest
import torch
from sklearn.exceptions import FitFailedWarning

import skfactorvae
from skfactorvae import FactorVAETransformer, _batch_training, _checkpoints, core
from skfactorvae.model_selection import BatchedGridSearchCV

TWO = ["cpu", "cpu:0"]
GRID = {"gamma": [0.5, 1.0, 2.0, 4.0, 8.0]}


@pytest.fixture(scope="module")
def X():
    rng = np.random.default_rng(0)
    return rng.normal(size=(60, 2)) @ rng.normal(size=(2, 5))


@pytest.fixture
def trained(monkeypatch):
    """Device, thread and number of models of each stack that is trained."""
    found, fit_stack = [], core.fit_stack

    def recorded(jobs, schedule, *, device, **options):
        found.append((str(device), threading.get_ident(), len(jobs)))
        return fit_stack(jobs, schedule, device=device, **options)

    monkeypatch.setattr(core, "fit_stack", recorded)
    return found


def model(**parameters):
    return FactorVAETransformer(
        **{
            "n_components": 2,
            "hidden_layer_sizes": (8,),
            "discriminator_hidden_layer_sizes": (8,),
            "max_iter": 40,
            "init": "pca",
            "batch_size": 16,
            "weight_decay": 0.0,
            "random_state": 0,
            "verbose": 0,
            **parameters,
        }
    )


def search(**parameters):
    return BatchedGridSearchCV(model(**parameters), GRID, cv=2, refit=False)


def test_stacks_are_divided_between_the_devices(X, trained):
    ours = search(device=TWO).fit(X).cv_results_["mean_test_score"]
    assert {device: n for device, _, n in trained} == dict.fromkeys(TWO, 5)
    threads = {thread for _, thread, _ in trained}
    assert len(threads) == 2
    assert threading.get_ident() not in threads
    alone = search(device="cpu").fit(X).cv_results_["mean_test_score"]
    np.testing.assert_allclose(ours, alone, rtol=1e-5)


def test_a_single_fit_uses_the_first_device(X, trained):
    one = model(device=TWO[::-1]).fit(X)
    assert [(device, n) for device, _, n in trained] == [(TWO[1], 1)]
    other = model(device="cpu").fit(X)
    np.testing.assert_array_equal(one.transform(X), other.transform(X))


def test_fits_that_print_stay_in_the_thread_of_the_search(X, trained):
    search(device=TWO, verbose=1).fit(X)
    assert {(d, t) for d, t, _ in trained} == {(TWO[0], threading.get_ident())}


@pytest.mark.filterwarnings("ignore:One or more of the test scores:UserWarning")
def test_a_candidate_that_fails_has_the_error_score(X, monkeypatch):
    fit_stack = core.fit_stack

    def failing(jobs, schedule, **options):
        if any(float(job.objective.gamma) == 2.0 for job in jobs):
            raise RuntimeError("out of memory")
        return fit_stack(jobs, schedule, **options)

    monkeypatch.setattr(core, "fit_stack", failing)
    with pytest.warns(FitFailedWarning, match="2 fits failed"):
        found = search(device=TWO).fit(X).cv_results_["mean_test_score"]
    assert np.isnan(found[2])
    assert np.isfinite(np.delete(found, 2)).all()


def test_an_error_of_one_thread_ends_the_others(X, monkeypatch):
    train, seen = _batch_training._train_here, []

    def broken(stack, storage, show, device):
        if str(device) == TWO[0]:
            raise KeyboardInterrupt
        try:
            while True:  # until it is stopped
                train(stack, storage, show, device)
        except _batch_training._Stopped:
            seen.append(device)

    monkeypatch.setattr(_batch_training, "_train_here", broken)
    with pytest.raises(KeyboardInterrupt):
        search(device=TWO).fit(X)
    assert [str(device) for device in seen] == [TWO[1]]


def test_checkpoints_hold_the_stacks_of_all_devices(X, monkeypatch, tmp_path):
    expected = search(device=TWO).fit(X).cv_results_["mean_test_score"]
    train = _batch_training._train_here

    def killed(stack, storage, show, device):
        train(stack, storage, show, device)
        if str(device) == TWO[1]:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(_batch_training, "_train_here", killed)
        with (
            pytest.raises(KeyboardInterrupt),
            skfactorvae.checkpoints(tmp_path / "run"),
        ):
            search(device=TWO).fit(X)
    assert list((tmp_path / "run").glob(f"*{_checkpoints.SUFFIX}"))
    with skfactorvae.checkpoints(tmp_path / "run"):
        found = search(device=TWO).fit(X).cv_results_["mean_test_score"]
    np.testing.assert_array_equal(found, expected)


def test_a_model_that_was_saved_keeps_its_devices(X, tmp_path):
    fitted = model(device=TWO, max_iter=2).fit(X)
    fitted.save(tmp_path / "model.safetensors")
    loaded = skfactorvae.load(tmp_path / "model.safetensors")
    assert loaded.device == TWO
    np.testing.assert_array_equal(loaded.transform(X), fitted.transform(X))


@pytest.mark.parametrize(
    ("device", "message"),
    [
        ([], "at least one name"),
        (["cpu", 1], "at least one name"),
        (["cpu", "gpu"], "not a device name"),
        pytest.param(
            ["cpu", "cuda:0"],
            "no such device",
            marks=pytest.mark.skipif(
                torch.cuda.is_available(), reason="torch finds a CUDA device"
            ),
        ),
    ],
)
def test_devices_that_cannot_be_used_are_refused(X, device, message):
    with pytest.raises(ValueError, match=message):
        model(device=device).fit(X)
