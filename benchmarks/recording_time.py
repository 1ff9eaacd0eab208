"""Time recorded training steps beside the same steps run as they are.

    python benchmarks/recording_time.py           steps of several models and stacks
    python benchmarks/recording_time.py --fits    whole default fits

On the CPU the operations of a step are recorded, and later steps repeat them. Both
kinds of steps alternate in blocks, in one process with one thread, so that other load
on the machine affects both alike: take the ratio, which is the median over blocks.
After all blocks, every weight and every moment of the optimiser must be equal, bit for
bit; the benchmark fails if one is not.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import time
import warnings
from collections.abc import Iterator
from dataclasses import replace
from unittest import mock

import numpy as np
import torch

import skfactorvae
from skfactorvae.core import _training
from skfactorvae.core._replay import run_eagerly

TABLES = {"500 x 13": (500, 13), "5,000 x 64": (5000, 64)}
"""Rows and columns of the tables of the whole fits."""

WIDTHS = (20, 64, 200)
"""Columns of the tables whose steps are timed."""

STACKS = (4, 16)
"""Models of the stacks whose steps are timed, on the first of the tables."""

MEMBERS = (
    "BetaVAETransformer",
    "BetaTCVAETransformer",
    "DIPVAETransformer",
    "AAETransformer",
)


def table(n_rows, n_features):
    """Return rows (n, p): five factors, a smooth map, and noise."""
    rng = np.random.default_rng(0)
    factors = rng.laplace(size=(n_rows, 5))
    signal = np.tanh(factors @ rng.normal(size=(5, n_features)))
    return signal + 0.1 * rng.normal(size=signal.shape)


def incomplete(rows):
    """Return rows with a tenth of their values missing."""
    hidden = np.random.default_rng(1).uniform(size=rows.shape) < 0.1
    return np.where(hidden, np.nan, rows)


def cases() -> Iterator[tuple[str, object, np.ndarray, int]]:
    """Yield a name, an estimator, its rows, and the number of models in a stack."""
    default = skfactorvae.FactorVAETransformer
    for p in WIDTHS:
        yield f"FactorVAE, {p} columns", default(5), table(3000, p), 1
    rows = table(3000, WIDTHS[0])
    for k in STACKS:
        yield f"FactorVAE, stack of {k}", default(5), rows, k
    yield "FactorVAE, SOAP", default(5, solver="soap"), rows, 1
    yield "FactorVAE, missing values", default(5), incomplete(rows), 1
    for name in MEMBERS:
        yield name, getattr(skfactorvae, name)(5), rows, 1


def prepared(estimator, rows):
    """Return the jobs and the schedule with which an estimator trains."""
    found = []
    begin = _training._Stack.__init__

    def keep(stack, jobs, schedule, device):
        begin(stack, jobs, schedule, device)
        found.append((jobs, schedule))

    own = {"max_iter": 1, "weight_decay": 0.0, "random_state": 0, "verbose": 0}
    with mock.patch.object(_training._Stack, "__init__", keep):
        estimator.set_params(**own).fit(rows)
    return found[-1]


def compare(estimator, rows, n_models, n_blocks, n_steps):
    """Return seconds of a step as it is, of a recorded one, and their ratio."""
    jobs, schedule = prepared(estimator, rows)
    jobs, schedule = list(jobs) * n_models, replace(schedule, max_iter=10**6)
    stacks = [_training._Stack(jobs, schedule, torch.device("cpu")) for _ in range(2)]
    stacks[0].run = run_eagerly
    times = [[], []]
    number = 0
    with _training.undisturbed():
        for block in range(n_blocks + 1):
            for stack, own in zip(stacks, times, strict=True):
                start = time.perf_counter()
                for step in range(number, number + n_steps):
                    stack.step(step)
                if block:  # the first one records
                    own.append((time.perf_counter() - start) / n_steps)
            number += n_steps
    if not stacks[1].run.calls:
        raise AssertionError("the step was not recorded")
    for name, tensor in stacks[0]._tensors.items():
        if not torch.equal(tensor, stacks[1]._tensors[name]):
            raise AssertionError(f"{name} differs")
    ratios = [b / a for a, b in zip(*times, strict=True)]
    return min(times[0]), min(times[1]), statistics.median(ratios)


def print_steps(n_blocks, n_steps):
    """Print the times of a step, milliseconds."""
    print(f"{'':28}{'as it is':>9}{'recorded':>9}{'ratio':>7}")
    for name, estimator, rows, n_models in cases():
        plain, recorded, ratio = compare(estimator, rows, n_models, n_blocks, n_steps)
        print(f"{name:28}{plain * 1e3:9.2f}{recorded * 1e3:9.2f}{ratio:7.2f}")


@contextlib.contextmanager
def no_recording():
    """Run every step as it is."""
    with mock.patch.object(_training, "can_replay", return_value=False):
        yield


def print_fits(n_rounds):
    """Print the seconds of default fits, the shortest of all rounds."""
    print(f"{'':28}{'as it is':>9}{'recorded':>9}{'ratio':>7}")
    for name, shape in TABLES.items():
        rows, times, codes = table(*shape), ([], []), []
        for _ in range(n_rounds):
            for own, context in zip(
                times, (no_recording(), contextlib.nullcontext()), strict=True
            ):
                model = skfactorvae.FactorVAETransformer(5, random_state=0, verbose=0)
                with context:
                    start = time.perf_counter()
                    model.fit(rows)
                    own.append(time.perf_counter() - start)
                codes.append(model.transform(rows))
        if any(not np.array_equal(codes[0], other) for other in codes):
            raise AssertionError("codes differ")
        ratio = statistics.median(b / a for a, b in zip(*times, strict=True))
        print(f"{name:28}{min(times[0]):9.2f}{min(times[1]):9.2f}{ratio:7.2f}")


def main():
    """Parse the command line and print the times."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fits", action="store_true", help="time whole fits")
    parser.add_argument("--rounds", type=int, default=3, help="of whole fits")
    parser.add_argument("--blocks", type=int, default=30, help="of steps")
    parser.add_argument("--steps", type=int, default=10, help="of a block")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    if options.fits:
        print_fits(options.rounds)
    else:
        print_steps(options.blocks, options.steps)


if __name__ == "__main__":
    main()
