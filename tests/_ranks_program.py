"""Fit models in one of several processes, and write what they are fitted to.

    torchrun --nproc-per-node=2 tests/_ranks_program.py family torchrun RESULT

The name of a file is that of the result, followed by the rank. ``test_torchrun.py``
starts the processes.
"""

import os
import pickle
import signal
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
from conftest import TRANSFORMERS, small_one, takes

from skfactorvae import FactorVAETransformer, checkpoints

RNG = np.random.default_rng(0)
TABLE = RNG.normal(size=(60, 2)) @ RNG.normal(size=(2, 5)) + 0.1 * RNG.normal(
    size=(60, 5)
)
INCOMPLETE = np.where(RNG.uniform(size=TABLE.shape) < 0.1, np.nan, TABLE)
IMAGES = RNG.uniform(size=(40, 64))

EXACT = {"precision": "float64", "weight_decay": 0.0, "batch_size": 33}
KILLED_AT = 150


def small(**parameters):
    return small_one(FactorVAETransformer, **{**EXACT, **parameters})


class Interruption:
    """Callback of a fit that kills its process at a step, by a signal."""

    def __init__(self, rank):
        self.is_killed = os.environ.get("RANK") == str(rank)

    def __call__(self, record):
        if self.is_killed and record.step >= KILLED_AT:
            os.kill(os.getpid(), signal.SIGKILL)
        return [False]


def family(device):
    """Fit every transformer for one step and for 20."""
    found = {}
    for cls in TRANSFORMERS:
        own = {k: v for k, v in EXACT.items() if takes(cls, {k: None})}
        for steps in (1, 20):
            model = small_one(cls, **own, max_iter=steps, device=device)
            found[f"{cls.__name__}, {steps} steps"] = model.fit(TABLE)
    return found


def variants(device):
    """Fit networks, solvers and tables of several kinds."""
    own = {"max_iter": 20, "device": device}
    image = {"network": "conv", "image_shape": (1, 8, 8)}
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{i}.npy" for i in range(2)]
        for path, rows in zip(paths, np.split(TABLE, 2), strict=True):
            np.save(path, rows)
        shards = small(**own).fit([np.load(path, mmap_mode="r") for path in paths])
    return {
        "missing values": small(**own).fit(INCOMPLETE),
        "known errors": small(**own).fit(TABLE, error_scale=np.full_like(TABLE, 0.1)),
        "SOAP": small(**own, solver="soap").fit(TABLE),
        "images": small(**own, **image).fit(IMAGES),
        "chosen weight decay": small(**{**own, "weight_decay": "auto"}).fit(TABLE),
        "early stopping": small(
            **{**own, "max_iter": 200}, early_stopping=True, n_iter_no_change=20
        ).fit(TABLE),
        "columns of several types": small(**own, likelihood="auto").fit(
            np.column_stack([TABLE, TABLE[:, 0] > 0])
        ),
        "shards": shards,
    }


def printing(device):
    """Print the progress of a fit, and warn of a column without values."""
    warnings.simplefilter("always")
    empty = np.column_stack([TABLE, np.full(len(TABLE), np.nan)])
    return {"fit": small(device=device, verbose=1).fit(empty)}


def different(device):
    """Fit a table that differs between processes."""
    shift = float(os.environ.get("RANK", 0))
    return {"fit": small(device=device).fit(TABLE + shift * TABLE**2)}


def unseeded(device):
    return {"fit": small(device=device, random_state=None).fit(TABLE)}


def failing(device):
    """Fit a table that one process cannot read."""
    X = TABLE * (np.inf if os.environ.get("RANK") == "1" else 1)
    return {"fit": small(device=device).fit(X)}


def killed(device, rank="1"):
    """Kill one of the processes in the middle of a fit."""
    from skfactorvae.estimators import _base

    interruption = Interruption(rank)
    stage = _base.FitProgress.stage
    _base.FitProgress.stage = lambda *_: interruption
    folder = Path(os.environ["CHECKPOINTS"]) / os.environ.get("RANK", "0")
    try:
        with checkpoints(folder, every=0):
            return {"fit": small(device=device, max_iter=400).fit(TABLE)}
    finally:
        _base.FitProgress.stage = stage


def resumed(device):
    """Fit the same without being killed."""
    return killed(device, rank=None)


PROGRAMS = {
    f.__name__: f
    for f in (
        family,
        variants,
        printing,
        different,
        unseeded,
        failing,
        killed,
        resumed,
    )
}


def fitted(models):
    """Return the fitted attributes of models, by name."""
    names = "weights_", "history_", "kl_per_component_", "n_iter_", "active_components_"
    return {
        key: {name: getattr(model, name) for name in names}
        for key, model in models.items()
    }


def main():
    """Run the command line."""
    name, device, path = sys.argv[1:]
    warnings.simplefilter("ignore")
    found = fitted(PROGRAMS[name](device))
    Path(path + os.environ.get("RANK", "")).write_bytes(pickle.dumps(found))


if __name__ == "__main__":
    main()
