"""Checkpoints of fits: interrupted programs go on, and what is wrong is refused."""

import errno
import json
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import sklearn
import torch
from scipy import sparse
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.utils.fixes import parse_version

import skfactorvae
from skfactorvae import (
    CheckpointError,
    FactorVAETransformer,
    _batch_training,
    _batching,
    _checkpoints,
    _workers,
    checkpoints,
    core,
)
from skfactorvae.files import read_container, write_sealed
from skfactorvae.model_selection import (
    BatchedGridSearchCV,
    SeedEnsemble,
    gamma_path,
    select_gamma,
)

SMALL = {
    "n_components": 2,
    "hidden_layer_sizes": (8,),
    "discriminator_hidden_layer_sizes": (8,),
    "max_iter": 40,
    "init": "pca",
    "batch_size": 16,
    "weight_decay": 0.0,
    "random_state": 0,
}
"""Parameters of a fit that has one checkpoint before its end."""


HAS_CALLBACKS = parse_version(sklearn.__version__) >= parse_version("1.9")


def own_modules(n_features, n_components):
    return (
        torch.nn.Sequential(torch.nn.Linear(n_features, 2 * n_components)),
        torch.nn.Sequential(torch.nn.Linear(n_components, n_features)),
    )


def table(n_samples=40, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n_samples, 2)) @ rng.normal(size=(2, 4))


def small(**parameters):
    return FactorVAETransformer(**(SMALL | parameters))


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "run"


class KilledError(BaseException):
    """Ends a program where its process would be killed."""


def killing(monkeypatch):
    """Return a function that sets after how many checkpoints a program ends."""
    write = _checkpoints.StackFile.write

    def set_number(number):
        written = []

        def counted(self, state):
            write(self, state)
            written.append(self.path.name)
            if len(written) == number:
                raise KilledError

        monkeypatch.setattr(_checkpoints.StackFile, "write", counted)
        return written

    return set_number


@pytest.fixture
def kill_after(monkeypatch):
    return killing(monkeypatch)


def assert_equal_fits(one, other):
    assert one.n_iter_ == other.n_iter_
    assert one.held_out_ == other.held_out_
    for left, right in ((one.weights_, other.weights_), (one.history_, other.history_)):
        assert left.keys() == right.keys()
        for name, array in left.items():
            np.testing.assert_array_equal(array, right[name], err_msg=name)
            assert array.dtype == right[name].dtype
    np.testing.assert_array_equal(one.kl_per_component_, other.kl_per_component_)


def interrupt(program, folder, number, kill_after):
    """Run a program until its checkpoint of this number."""
    kill_after(number)
    with pytest.raises(KilledError), checkpoints(folder, every=0):
        program()
    assert any(path.suffix == ".safetensors" for path in folder.iterdir())


def run_again(program, folder, kill_after):
    """Run an interrupted program to its end; return its result, and what it wrote."""
    written = kill_after(0)
    with checkpoints(folder, every=0):
        result = program()
    assert not folder.exists()
    return result, written


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """Return a folder with the checkpoint of an interrupted fit to a table."""
    folder = tmp_path_factory.mktemp("template") / "run"
    with pytest.MonkeyPatch.context() as patched:
        interrupt(lambda: small().fit(table()), folder, 1, killing(patched))
    return folder


@pytest.fixture
def interrupted(template, folder):
    """Return a copy of the template."""
    shutil.copytree(template, folder)
    return folder


# ------------------------------------------------------------- going on where it was
def test_a_fit_goes_on_and_equals_the_uninterrupted_one(interrupted, kill_after):
    resumed, written = run_again(lambda: small().fit(table()), interrupted, kill_after)
    assert len(written) == 1
    assert_equal_fits(resumed, small().fit(table()))


def test_what_was_trained_is_not_trained_again(interrupted, kill_after):
    fits = []

    def program():
        fits.append(small().fit(table()))
        if len(fits) == 1:
            raise ValueError("after the fit")

    with pytest.raises(ValueError, match="after the fit"), checkpoints(interrupted):
        program()
    _, written = run_again(program, interrupted, kill_after)
    assert written == []
    assert_equal_fits(*fits)


def cv_results(search):
    return {k: v for k, v in search.cv_results_.items() if not k.endswith("_time")}


def assert_equal_searches(one, other):
    left, right = cv_results(one), cv_results(other)
    assert left.keys() == right.keys()
    for name, values in left.items():
        assert list(values) == list(right[name]), name
    assert one.best_params_ == other.best_params_


def search_of(gammas, **options):
    grid = {"gamma": gammas}
    return BatchedGridSearchCV(small(), grid, **({"cv": 2, "refit": False} | options))


@pytest.mark.slow
def test_a_batched_search_goes_on_and_has_the_same_results(folder, kill_after):
    X = table()

    def program():
        return search_of([1.0, 9.0]).fit(X)

    interrupt(program, folder, 1, kill_after)
    resumed, written = run_again(program, folder, kill_after)
    assert len(set(written)) == 1
    assert_equal_searches(resumed, program())


@pytest.mark.slow
def test_finished_and_running_stacks_of_a_search_survive(folder, kill_after):
    """Candidates of two budgets form two stacks, and the best one is fitted last."""
    X = table()

    def program():
        grid = {"gamma": [1.0, 9.0], "max_iter": [40, 70]}
        return BatchedGridSearchCV(small(), grid, cv=2).fit(X)

    whole = kill_after(0)
    with checkpoints(folder, every=0):
        first = program()
    for number in range(1, len(whole) + 1):
        interrupt(program, folder, number, kill_after)
        resumed, written = run_again(program, folder, kill_after)
        assert written == whole[number:]
        assert_equal_searches(resumed, first)
        assert_equal_fits(resumed.best_estimator_, first.best_estimator_)


@pytest.mark.slow
def test_a_pipeline_and_an_interrupted_block_of_several_fits(folder, kill_after):
    X = table()

    def program():
        first = make_pipeline(PCA(3), small()).fit(X)
        return first[-1], small(random_state=1).fit(X)

    interrupt(program, folder, 3, kill_after)
    resumed, written = run_again(program, folder, kill_after)
    assert len(written) == 1
    for one, other in zip(resumed, program(), strict=True):
        assert_equal_fits(one, other)


@pytest.mark.slow
def test_the_stack_of_an_older_fit_is_used_once_more(folder, kill_after):
    """The same fit twice in one block is trained once."""
    written = kill_after(0)
    with checkpoints(folder):
        one, other = small().fit(table()), small().fit(table())
    assert len(written) == 1
    assert_equal_fits(one, other)


# -------------------------------------------------------------------- what is wrong
def only_file(folder):
    (path,) = folder.glob("*.safetensors")
    return path


def content_of(folder):
    names = (path for path in folder.iterdir() if path.name != ".lock")
    return {path.name: path.read_bytes() for path in names}


def weights():
    return {"sample_weight": np.arange(1.0, 41.0)}


OTHERS = {
    "X": (small(), table(seed=1), {}),
    "number of samples": (small(), table(41), {}),
    "sample_weight": (small(), table(), weights()),
    "the objective": (small(gamma=3.0), table(), {}),
    "the network": (small(activation="tanh"), table(), {}),
    "the schedule": (small(max_iter=41), table(), {}),
    "weight_decay": (small(weight_decay=1.0), table(), {}),
    "random_state": (small(random_state=1), table(), {}),
    "noise levels": (small(input_noise=0.3), table(), {}),
    "the initialisation": (small(temperature=7.0), table(), {}),
    "the likelihood": (small(noise_scale="shared"), table(), {}),
    "another class": (
        skfactorvae.BetaVAETransformer(
            **{k: v for k, v in SMALL.items() if "discriminator" not in k}
        ),
        table(),
        {},
    ),
}
NAMES = {"number of samples": "X", "another class": "the objective"}


@pytest.mark.parametrize("name", OTHERS)
def test_a_checkpoint_of_another_fit_is_refused_and_kept(interrupted, name):
    estimator, X, options = OTHERS[name]
    before = content_of(interrupted)
    state = dict(vars(estimator))
    expected = f"differs in .*{NAMES.get(name, name)}.* random_state"
    with pytest.raises(CheckpointError, match=expected), checkpoints(interrupted):
        estimator.fit(X, **options)
    assert content_of(interrupted) == before
    assert vars(estimator) == state


@pytest.mark.slow
def test_labels_of_another_fit_are_named(folder, kill_after):
    vae = skfactorvae.SupervisedFactorVAETransformer(**(SMALL | {"n_components": 3}))
    y = table()[:, :1] > 0
    interrupt(lambda: clone(vae).fit(table(), y), folder, 1, kill_after)
    with pytest.raises(CheckpointError, match="differs in X, y, "), checkpoints(folder):
        clone(vae).fit(table(), ~y)


@pytest.mark.slow
def test_another_number_of_models_is_named(folder, kill_after):
    X = table()
    interrupt(lambda: search_of([1.0, 9.0]).fit(X), folder, 1, kill_after)
    expected = r"number of models trained together \(4, not 6"
    with pytest.raises(CheckpointError, match=expected), checkpoints(folder):
        search_of([1.0, 9.0, 3.0]).fit(X)


def flipped(raw, place):
    return raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :]


DAMAGES = {
    "empty": lambda raw: b"",
    "cut at the beginning": lambda raw: raw[:5],
    "cut in the header": lambda raw: raw[:500],
    "cut in the arrays": lambda raw: raw[:-1],
    "with more bytes": lambda raw: raw + b"0",
    "a bit of the length": lambda raw: flipped(raw, 1),
    "a bit of the header": lambda raw: flipped(raw, 900),
    "a bit of the arrays": lambda raw: flipped(raw, len(raw) - 1),
    "a bit in the middle": lambda raw: flipped(raw, len(raw) // 2),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_checkpoint_is_refused(interrupted, damage):
    path = only_file(interrupted)
    path.write_bytes(damage(path.read_bytes()))
    before = content_of(interrupted)
    expected = "cannot be continued: .*Delete this file"
    with pytest.raises(CheckpointError, match=expected), checkpoints(interrupted):
        small().fit(table())
    assert content_of(interrupted) == before


@pytest.mark.slow
def test_a_damaged_checkpoint_can_be_deleted(interrupted):
    only_file(interrupted).unlink()
    with checkpoints(interrupted):
        resumed = small().fit(table())
    assert_equal_fits(resumed, small().fit(table()))


def edited(path, **metadata):
    """Write a checkpoint again, with other metadata and a digest that is right."""
    found = read_container(path)
    kept = {k: v for k, v in found.metadata.items() if k != "digest"} | metadata
    write_sealed(path, found.arrays, {k: v for k, v in kept.items() if v is not None})


EDITS = {
    "another program": ({"format": "pt"}, "another kind"),
    "a later format": ({"format_version": "2"}, "was written by version"),
    "another version": ({"version": "9.9"}, "was written by version '9.9'"),
    "without values": ({"values": None}, "it lacks values"),
    "values without names": ({"values": "[]"}, "its values are not named"),
    "values that are not JSON": ({"values": "{"}, "its values is not JSON"),
    "no stack": ({"identity": "[]"}, "of another stack"),
}


@pytest.mark.parametrize(("metadata", "expected"), EDITS.values(), ids=EDITS)
def test_a_checkpoint_of_another_kind_is_refused(interrupted, metadata, expected):
    edited(only_file(interrupted), **metadata)
    with pytest.raises(CheckpointError, match=expected), checkpoints(interrupted):
        small().fit(table())


def test_a_checkpoint_without_a_description_of_its_stack_is_refused(interrupted):
    edited(only_file(interrupted), identity="[]")
    with (
        pytest.raises(CheckpointError, match="of its stack is not complete"),
        checkpoints(interrupted),
    ):
        small().fit(table(seed=1))


def test_the_state_of_another_network_is_refused(interrupted):
    path = only_file(interrupted)
    found = read_container(path)
    values = json.loads(found.metadata["values"]) | {"step": "many"}
    edited(path, values=json.dumps(values))
    expected = "cannot be continued: 'step' is not a number of steps"
    with pytest.raises(CheckpointError, match=expected), checkpoints(interrupted):
        small().fit(table())


def test_a_fit_without_a_seed_is_refused(folder):
    expected = "random_state to an integer"
    with pytest.raises(CheckpointError, match=expected), checkpoints(folder):
        small(random_state=None).fit(table())
    assert not folder.exists()


@pytest.mark.slow
def test_an_error_that_a_search_catches_is_raised_at_the_end(folder):
    """One candidate has a seed, and the other has none."""
    grid = {"random_state": [0, None]}
    search = GridSearchCV(small(), grid, cv=2, refit=False)
    with (
        pytest.raises(CheckpointError, match="random_state to an integer"),
        pytest.warns(match=r"fits failed|non-finite"),
        checkpoints(folder),
    ):
        search.fit(table())
    assert np.isnan(search.cv_results_["mean_test_score"]).tolist() == [False, True]


@pytest.mark.parametrize("every", [-1, float("nan"), "60", None])
def test_an_interval_must_be_a_number_of_seconds(folder, every):
    with (
        pytest.raises(ValueError, match="every must be"),
        checkpoints(folder, every=every),
    ):
        pass
    assert not folder.exists()


@pytest.mark.slow
def test_no_checkpoint_is_written_before_its_time(folder, kill_after):
    written = kill_after(0)
    with checkpoints(folder, every=1000):
        small().fit(table())
    assert len(written) == 1  # the result


# ------------------------------------------------------------------------- folders
def test_a_folder_with_other_files_is_refused_and_kept(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with (
        pytest.raises(CheckpointError, match=r"holds 'notes.txt', which is no"),
        checkpoints(tmp_path),
    ):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_a_file_is_no_folder(tmp_path):
    path = tmp_path / "file"
    path.write_text("mine")
    expected = "cannot be used as a folder"
    with pytest.raises(CheckpointError, match=expected), checkpoints(path):
        pass
    assert path.read_text() == "mine"


def test_a_read_only_folder_is_refused_before_the_fit(tmp_path, monkeypatch):
    def refuse(self, *_, **__):
        raise PermissionError(errno.EACCES, "Permission denied", str(self))

    monkeypatch.setattr(Path, "mkdir", refuse)
    expected = r"Permission denied.*can be written to"
    with pytest.raises(CheckpointError, match=expected), checkpoints(tmp_path / "run"):
        pass


@pytest.mark.skipif(os.name != "posix", reason="locks of POSIX")
def test_a_folder_is_used_by_one_block_at_a_time(folder):
    with checkpoints(folder):
        with (
            pytest.raises(CheckpointError, match="used by another"),
            checkpoints(folder),
        ):
            pass
        assert folder.exists()
    assert not folder.exists()


def test_a_file_that_was_not_written_to_its_end_is_removed(interrupted):
    (interrupted / f".{'0' * 16}.tmp").write_bytes(b"half")
    with checkpoints(interrupted):
        small().fit(table())
    assert not interrupted.exists()


def test_a_block_that_fits_nothing_leaves_nothing(folder):
    with checkpoints(folder):
        PCA(2).fit(table())
    assert not folder.exists()


@pytest.mark.slow
def test_an_inner_block_has_a_folder_of_its_own(tmp_path, kill_after):
    written = kill_after(0)
    with checkpoints(tmp_path / "outer"):
        with checkpoints(tmp_path / "inner"):
            small().fit(table())
        assert not list((tmp_path / "outer").glob("*.safetensors"))
    assert len(written) == 1
    assert list(tmp_path.iterdir()) == []


def test_stacks_are_cut_alike_whatever_memory_is_free(folder, monkeypatch):
    monkeypatch.setattr(_batching, "_free_memory", lambda: 4)
    workers = _workers.Workers.active(1)
    assert _batching.Scheduler(2, workers).budget == 4 * _batching.MEMORY_SHARE
    with checkpoints(folder):
        assert _batching.Scheduler(2, workers).budget > 2**20


def test_without_locks_of_the_system_a_folder_can_be_used(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "fcntl", None)
    with checkpoints(folder):
        assert folder.exists()
    assert not folder.exists()


# ----------------------------------------------------------------- faults while fitting
@pytest.mark.parametrize("call", ["fsync", "replace", "open"])
def test_a_full_disk_ends_the_fit_and_keeps_the_checkpoint(
    interrupted, monkeypatch, call
):
    before, vae = content_of(interrupted), small()
    expected = r"after step 40.*No space left"
    with pytest.raises(CheckpointError, match=expected), checkpoints(interrupted):
        fit_on_a_full_disk(vae, call, monkeypatch)
    assert content_of(interrupted) == before
    assert not hasattr(vae, "weights_")


@pytest.mark.slow
def test_a_full_disk_ends_a_search_and_not_one_candidate(
    folder, kill_after, monkeypatch
):
    def program():
        return search_of([1.0, 9.0], refit=True).fit(table())

    interrupt(program, folder, 1, kill_after)
    before = content_of(folder)
    with monkeypatch.context() as patched:
        patched.setattr(_checkpoints, "write_sealed", full_disk)
        with (
            pytest.raises(CheckpointError, match=r"after step 40.*No space left"),
            checkpoints(folder, every=0),
        ):
            program()
    assert content_of(folder) == before
    resumed, _ = run_again(program, folder, kill_after)
    assert_equal_searches(resumed, program())


def fit_on_a_full_disk(vae, call, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(os, call, full_disk)
        vae.fit(table())


def full_disk(*_, **__):
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize(
    "error", [MemoryError("not enough"), KeyboardInterrupt(), ValueError("mine")]
)
def test_an_error_in_the_loop_leaves_estimator_and_checkpoint(
    interrupted, monkeypatch, error
):
    def fail(*_):
        raise error

    vae, before = small(), content_of(interrupted)
    state = dict(vars(vae))
    with monkeypatch.context() as patched:
        patched.setattr("skfactorvae.core._training._Stack._is_healthy", fail)
        with pytest.raises(type(error)), checkpoints(interrupted):
            vae.fit(table())
    assert vars(vae) == state
    assert content_of(interrupted) == before


@pytest.mark.slow
def test_an_interrupted_removal_leaves_what_can_be_continued(
    folder, kill_after, monkeypatch
):
    def program():
        return [small(random_state=seed).fit(table()) for seed in range(3)]

    unlink, removed = Path.unlink, []

    def interrupted_unlink(path, **options):
        unlink(path, **options)
        removed.append(path)
        raise KilledError

    with monkeypatch.context() as patched:
        patched.setattr(Path, "unlink", interrupted_unlink)
        with pytest.raises(KilledError), checkpoints(folder):
            program()
    assert len(removed) == 1
    fits, written = run_again(program, folder, kill_after)
    assert len(set(written)) == 1
    for one, other in zip(fits, program(), strict=True):
        assert_equal_fits(one, other)


# ------------------------------------------------------- processes, members, callbacks
@pytest.mark.slow
def test_stacks_that_other_processes_train_have_checkpoints(
    folder, kill_after, monkeypatch
):
    monkeypatch.setattr(_batch_training, "PROCESS_EFFORT", 0)
    searches = []

    def program():
        searches.append(search_of([1.0, 9.0], n_jobs=2).fit(table()))
        if len(searches) == 1:
            raise ValueError("after the search")

    with pytest.raises(ValueError, match="after the search"), checkpoints(folder):
        program()
    before = content_of(folder)
    assert len(before) == 2
    expected = r"\(2, not 4; n_jobs, max_models\)"
    with pytest.raises(CheckpointError, match=expected), checkpoints(folder):
        search_of([1.0, 9.0]).fit(table())
    assert content_of(folder) == before
    run_again(program, folder, kill_after)
    program()
    assert_equal_searches(searches[0], searches[1])
    assert_equal_searches(searches[0], searches[2])


@pytest.mark.slow
def test_damage_that_another_process_finds_ends_the_search(folder, monkeypatch):
    monkeypatch.setattr(_batch_training, "PROCESS_EFFORT", 0)

    def program():
        search_of([1.0, 9.0], n_jobs=2).fit(table())
        raise ValueError("after the search")

    with pytest.raises(ValueError, match="after the search"), checkpoints(folder):
        program()
    path = next(folder.glob("*.safetensors"))
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(CheckpointError, match="Delete this file"), checkpoints(folder):
        program()


@pytest.mark.slow
def test_halves_of_a_stack_that_fails_as_a_whole_survive(
    folder, kill_after, monkeypatch
):
    fit_stack = core.fit_stack

    def fragile(jobs, schedule, **options):
        if len(jobs) > 2:
            raise MemoryError("too many models")
        return fit_stack(jobs, schedule, **options)

    monkeypatch.setattr(core, "fit_stack", fragile)

    def program():
        return search_of([1.0, 9.0]).fit(table())

    for number in (1, 2, 3):
        interrupt(program, folder, number, kill_after)
        resumed, written = run_again(program, folder, kill_after)
        assert len(written) == 4 - number
        assert_equal_searches(resumed, program())


@pytest.mark.slow
def test_every_transformer_goes_on(small_family, folder, kill_after):
    """With a weight decay that held-out samples choose, where there is one."""
    for vae in small_family:
        known = vae.get_params()
        more = {"early_stopping": True} if "early_stopping" in known else {}
        vae.set_params(max_iter=70, **more)
        X = table(60)

        def program(vae=vae, X=X):
            return clone(vae).fit(X)

        interrupt(program, folder, 1, kill_after)
        resumed, _ = run_again(program, folder, kill_after)
        assert_equal_fits(resumed, program())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("network", "parameters"),
    [
        ("conv", {"image_shape": (1, 2, 2)}),
        (own_modules, {}),
        ("mlp", {"precision": "float64", "solver": "soap"}),
        ("mlp", {"hidden_fraction": 0.3}),
    ],
    ids=["conv", "own modules", "double precision", "missing values"],
)
def test_every_network_goes_on(network, parameters, folder, kill_after):
    X = table()
    if "hidden_fraction" in parameters:
        X[::3, 0] = np.nan

    def program():
        return small(network=network, init="auto", **parameters).fit(X)

    interrupt(program, folder, 1, kill_after)
    resumed, _ = run_again(program, folder, kill_after)
    assert_equal_fits(resumed, program())


@pytest.mark.slow
def test_ensembles_paths_and_selections_go_on(folder, kill_after):
    X = table(80)

    def program():
        seeds = SeedEnsemble(small(), n_seeds=2, random_state=0).fit(X)
        path = gamma_path(small(), X, [0.0, 5.0], random_state=0, max_iter=40)
        selection = select_gamma(small(), X, [0.0, 5.0], n_seeds=2, random_state=0)
        return *seeds.estimators_, *path.estimators, selection.best_estimator

    whole = program()
    for number in (1, 2, 3, 5, 7, 9):
        interrupt(program, folder, number, kill_after)
        resumed, _ = run_again(program, folder, kill_after)
        for one, other in zip(whole, resumed, strict=True):
            assert_equal_fits(one, other)


class Tasks:
    """A callback that counts tasks."""

    def __init__(self):
        self.n_begun = self.n_ended = 0

    def setup(self, estimator, context):
        pass

    def teardown(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        self.n_begun += 1

    def on_fit_task_end(self, estimator, context):
        self.n_ended += 1


@pytest.mark.skipif(not HAS_CALLBACKS, reason="scikit-learn 1.9")
def test_callbacks_get_the_tasks_of_the_steps_that_are_left(interrupted):
    def program(tasks):
        small().set_callbacks(tasks).fit(table())
        raise ValueError("after the fit")

    for expected in (1 + 8, 1 + 1):  # the fit, and its records
        tasks = Tasks()
        with pytest.raises(ValueError, match="after"), checkpoints(interrupted):
            program(tasks)
        assert (tasks.n_begun, tasks.n_ended) == (expected, expected)


class RaisingCallback(Tasks):
    """A callback that raises an error after some tasks."""

    def on_fit_task_end(self, estimator, context):
        super().on_fit_task_end(estimator, context)
        if self.n_ended == 36:
            raise RuntimeError("in the callback")


@pytest.mark.slow
@pytest.mark.skipif(not HAS_CALLBACKS, reason="scikit-learn 1.9")
def test_a_callback_that_raises_leaves_estimator_and_checkpoint(folder, kill_after):
    vae = small().set_callbacks(RaisingCallback())
    with (
        pytest.raises(RuntimeError, match="in the callback"),
        checkpoints(folder, every=0),
    ):
        vae.fit(table())
    assert not hasattr(vae, "weights_")
    resumed, written = run_again(lambda: small().fit(table()), folder, kill_after)
    assert len(written) == 1
    assert_equal_fits(resumed, small().fit(table()))


@pytest.mark.slow
def test_a_checkpoint_under_another_name_is_refused(interrupted):
    path = only_file(interrupted)
    path.rename(path.with_name(f"{'0' * 32}.safetensors"))
    expected = "differs in the name of its file"
    with pytest.raises(CheckpointError, match=expected), checkpoints(interrupted):
        small().fit(table())


def test_arrays_that_jobs_share_are_hashed_once(monkeypatch):
    hashed, array_digest = [], _checkpoints.array_digest
    monkeypatch.setattr(
        _checkpoints, "array_digest", lambda a: hashed.append(a) or array_digest(a)
    )
    rows, weights = table(), np.ones(40)
    parts = {
        "network": core.MLP(4, 2, (8,), "relu", linear_path=False),
        "likelihood": core.Gaussian("feature"),
        "objective": core.VAE(beta=1.0),
    }
    jobs = [
        core.Job(**parts, rows=rows, row_weights=weights, seed=seed)
        for seed in range(5)
    ]
    schedule = core.Schedule(40, 16, 1e-3, 0.1)
    one = _checkpoints.identity_of(jobs, schedule)
    assert len(hashed) == 2
    assert one == _checkpoints.identity_of(jobs, schedule)
    assert one != _checkpoints.identity_of(jobs[::-1], schedule)


# -------------------------------------------------------- tables larger than memory
@pytest.fixture
def nothing_is_small(monkeypatch):
    monkeypatch.setattr("skfactorvae.sources._source.SMALL_BYTES", 0)


@pytest.fixture(params=["any order", "stored order"])
def order(request, monkeypatch):
    if request.param == "stored order":
        monkeypatch.setattr("skfactorvae.sources._table.DIRECT_ROWS", 0)
        monkeypatch.setattr("skfactorvae.preparation._standardized.START_ROWS", 50)


def in_parts(X, kind, folder):
    """Return a table that is read in parts."""
    if kind == "CSR":
        return sparse.csr_matrix(X)
    if kind == "HDF5":
        h5py = pytest.importorskip("h5py")
        with h5py.File(folder / "table.h5", "w") as file:
            file.create_dataset("X", data=X, chunks=(16, X.shape[1]))
        return h5py.File(folder / "table.h5")["X"]
    np.save(folder / "table.npy", X)
    name = folder / "table.npy"
    return [name] if kind == "shards" else np.load(name, mmap_mode="r")


@pytest.mark.slow
@pytest.mark.usefixtures("nothing_is_small", "order")
@pytest.mark.parametrize("kind", ["memory map", "shards", "CSR", "HDF5"])
def test_a_fit_to_a_table_larger_than_memory_goes_on(
    kind, folder, tmp_path, kill_after
):
    X = in_parts(table(150), kind, tmp_path)

    def program():
        return small(max_iter=80).fit(X)

    expected = program()
    interrupt(program, folder, 2, kill_after)
    found, written = run_again(program, folder, kill_after)
    assert len(written) == 1
    assert_equal_fits(found, expected)


@pytest.mark.slow
@pytest.mark.usefixtures("nothing_is_small", "order")
@pytest.mark.parametrize(
    "parameters", [{"weight_decay": "auto"}, {"early_stopping": True}]
)
def test_a_fit_with_held_out_rows_of_such_a_table_goes_on(
    parameters, folder, tmp_path, kill_after
):
    X = in_parts(table(150), "memory map", tmp_path)

    def program():
        return small(max_iter=80, **parameters).fit(X)

    expected = program()
    interrupt(program, folder, 2, kill_after)
    assert_equal_fits(run_again(program, folder, kill_after)[0], expected)


@pytest.mark.usefixtures("nothing_is_small", "order")
def test_a_value_that_the_start_did_not_use_is_recognised(folder, tmp_path, kill_after):
    """With stored order, the start uses a sample of the rows only."""
    X = table(150)
    for name, values in (("one", X), ("other", X.copy())):
        (tmp_path / name).mkdir()
        if name == "other":
            values[149, 0] += 1e-3
        in_parts(values, "memory map", tmp_path / name)
    one, other = (
        np.load(tmp_path / name / "table.npy", mmap_mode="r")
        for name in ("one", "other")
    )
    interrupt(lambda: small().fit(one), folder, 1, kill_after)
    kill_after(0)
    with (
        pytest.raises(CheckpointError, match="differs in X"),
        checkpoints(folder, every=0),
    ):
        small().fit(other)


@pytest.mark.usefixtures("nothing_is_small", "order")
def test_recognising_a_table_reads_none_of_its_rows(tmp_path, monkeypatch):
    X, jobs = in_parts(table(150), "memory map", tmp_path), []
    fit_stack = core.fit_stack

    def kept(stack, *args, **options):
        jobs.extend(stack)
        return fit_stack(stack, *args, **options)

    monkeypatch.setattr(core, "fit_stack", kept)
    model = small().fit(X)
    monkeypatch.setattr("skfactorvae.sources.RowSource.read", None)
    monkeypatch.setattr("skfactorvae.sources.RowSource.read_at", None)
    rows = jobs[0].rows
    assert isinstance(rows, core.RowTable)
    assert _checkpoints.array_digest(rows) == _checkpoints.array_digest(
        rows.at(np.arange(len(rows)))
    )
    assert _checkpoints.array_digest(rows) != _checkpoints.array_digest(
        rows.at(np.arange(len(rows))[::-1])
    )
    assert model.n_iter_ == SMALL["max_iter"]


@pytest.mark.slow
@pytest.mark.usefixtures("nothing_is_small")
def test_an_ensemble_of_a_table_larger_than_memory_goes_on(
    folder, tmp_path, kill_after
):
    X = in_parts(table(150), "memory map", tmp_path)

    def program():
        return SeedEnsemble(small(), n_seeds=3, random_state=0).fit(X)

    expected = program()
    interrupt(program, folder, 1, kill_after)
    found, _ = run_again(program, folder, kill_after)
    np.testing.assert_array_equal(found.agreement_, expected.agreement_)
