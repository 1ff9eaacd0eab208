"""Run a program with checkpoints again and again, and kill it at random moments.

    python tests/_killed_program.py fit FOLDER SIGKILL 50

Processes are forked from one that has imported everything. Prints, in JSON, how many
were killed and how many reached the end, and exits with an error if a result differs
from that of the uninterrupted program.
"""

import hashlib
import json
import os
import resource
import signal
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import torch

from skfactorvae import (
    FactorVAETransformer,
    SupervisedFactorVAETransformer,
    checkpoints,
)
from skfactorvae.model_selection import BatchedGridSearchCV, SeedEnsemble, select_gamma

TINY = {
    "n_components": 2,
    "hidden_layer_sizes": (8,),
    "discriminator_hidden_layer_sizes": (8,),
    "batch_size": 32,
    "random_state": 0,
}
RNG = np.random.default_rng(0)
TABLE = RNG.normal(size=(60, 2)) @ RNG.normal(size=(2, 5)) + 0.1 * RNG.normal(
    size=(60, 5)
)
INCOMPLETE = np.where(RNG.uniform(size=TABLE.shape) < 0.1, np.nan, TABLE)
WEIGHTS = RNG.uniform(0.5, 2.0, size=len(TABLE))

INTERRUPTED, REFUSED = 3, 4
"""Exit codes: the fit raised KeyboardInterrupt, or an error about checkpoints."""


def digest(*parts):
    """Return a digest of fitted estimators, arrays and plain values."""
    found = hashlib.sha256()
    for part in parts:
        if hasattr(part, "weights_"):
            part = [*part.weights_.items(), *part.history_.items(), part.held_out_]
        if isinstance(part, list | tuple):
            found.update(digest(*part).encode())
        elif isinstance(part, np.ndarray):
            found.update(np.ascontiguousarray(part).tobytes())
        else:
            found.update(repr(part).encode())
    return found.hexdigest()


def fit():
    """Fit an incomplete, weighted table; held-out samples choose the weight decay."""
    vae = FactorVAETransformer(**TINY, max_iter=300)
    return digest(vae.fit(INCOMPLETE, sample_weight=WEIGHTS))


def early_stopping():
    """Stop where held-out samples ask for it."""
    vae = FactorVAETransformer(
        **TINY, max_iter=600, early_stopping=True, n_iter_no_change=50, weight_decay=0.0
    )
    return digest(vae.fit(TABLE), vae.n_iter_)


def supervised():
    """Fit labels with SOAP."""
    vae = SupervisedFactorVAETransformer(
        **TINY, max_iter=200, weight_decay=0.0, solver="soap"
    )
    return digest(vae.fit(TABLE, TABLE[:, :1] > 0))


def search():
    """Search 24 candidates, and fit the best one to all samples."""
    vae = FactorVAETransformer(**TINY, max_iter=100, weight_decay=0.0)
    grid = {
        "gamma": [0.0, 1.0, 5.0, 20.0],
        "random_state": [0, 1, 2],
        "beta": [1.0, 2.0],
    }
    found = BatchedGridSearchCV(vae, grid, cv=2).fit(TABLE)
    results = {k: v for k, v in found.cv_results_.items() if not k.endswith("_time")}
    values = [(name, [*map(repr, results[name])]) for name in sorted(results)]
    return digest(*values, found.best_estimator_)


def ensemble():
    """Fit an ensemble, and select gamma."""
    vae = FactorVAETransformer(**TINY, max_iter=100, weight_decay=0.0)
    seeds = SeedEnsemble(vae, n_seeds=3, random_state=0).fit(TABLE)
    options = {"n_seeds": 2, "test_size": 0.5, "random_state": 0}
    selection = select_gamma(vae, TABLE, [0.0, 5.0], **options)
    scores = [*selection.scores.items()]
    return digest(*seeds.estimators_, *scores, selection.best_estimator)


PROGRAMS = {f.__name__: f for f in (fit, early_stopping, supervised, search, ensemble)}


def start(program, folder, limit):
    """Fork a process that runs a program with checkpoints, and writes its result."""
    pid = os.fork()
    if pid:
        return pid
    try:
        if limit:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        with checkpoints(folder / "run", every=0):
            text = program()
            (folder / "result").write_text(text)
    except KeyboardInterrupt:
        os._exit(INTERRUPTED)
    except ValueError as error:
        sys.stderr.write(f"{error}\n")
        os._exit(REFUSED)
    os._exit(0)


def wait(pid, seconds):
    """Return the exit code of a process; None if it still runs after that time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.002)
    return None


def main():
    """Run the command line."""
    name, folder, kind, number, *limit = sys.argv[1:]
    program, folder = PROGRAMS[name], Path(folder)
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    expected = program()
    began = time.monotonic()
    assert wait(start(program, folder, 0), 1000) == 0
    duration = time.monotonic() - began
    rng = np.random.default_rng(int(number))
    codes, n_finished = [], 0
    while len(codes) < int(number):
        pid = start(program, folder, int(*limit or [0]))
        code = wait(pid, rng.uniform(0, duration))
        if code is None:
            os.kill(pid, getattr(signal, kind))
            code = wait(pid, 100)
        if code == 0:
            n_finished += 1
            assert (folder / "result").read_text() == expected, "another result"
            assert not (folder / "run").exists()
        else:
            codes.append(code)
    assert wait(start(program, folder, 0), 1000) == 0
    assert (folder / "result").read_text() == expected, "another result"
    print(json.dumps({"codes": codes, "finished": n_finished}))


if __name__ == "__main__":
    main()
