"""Fit small random tables with random parameters, and check what each fit leaves.

    python benchmarks/fuzz_fits.py --cases 2000   the first 2000 cases, but those stored
    python benchmarks/fuzz_fits.py --stored       print what is stored
    python benchmarks/fuzz_fits.py --case 17      repeat one case, and print it

A case is determined by its number: the estimator, a table of up to 60 x 12 of any dtype
and magnitude, with columns that are constant, repeated or missing, sample weights over
hundreds of decades, labels, and parameters at the ends of their ranges. Most tables are
hostile; some are plain. A case has a fault if

* an error is neither a ValueError nor a TypeError that this package or scikit-learn's
  validation raises;
* a number is not finite in a fitted attribute, or in what ``transform``, ``posterior``,
  ``score_samples``, ``score``, ``inverse_transform`` or ``sample`` return;
* a RuntimeWarning is shown, or any warning of torch's;
* the state of the process differs: numpy's or torch's global generators, torch's
  threads, default dtype, gradient mode or precision of products, ``warnings.filters``,
  ``os.environ``;
* it takes longer than the limit, or ends the process. Cases run in a separate one.

A case that is refused with an error of this package is no fault.
"""

from __future__ import annotations

import argparse
import linecache
import multiprocessing
import os
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy import sparse

import skfactorvae

VERSIONS = {"skfactorvae": skfactorvae.__version__, "torch": torch.__version__}
RESULTS = Path(__file__).parent / "results" / "fuzz_fits.csv"
COLUMNS = ["case", "estimator", "outcome", "seconds", "text", *VERSIONS]
LIMIT = 300.0
"""Seconds that a case may take; most take a tenth, and those of 320 steps some."""

MAX_ROWS, MAX_FEATURES = 60, 12
ESTIMATORS = [n for n in skfactorvae.__all__ if n.endswith("Transformer")]
OWN, VALIDATION = "skfactorvae", os.path.join("sklearn", "utils")
UNCHECKED = {"held_out_", "attribute_levels_"}
"""Fitted attributes that may hold NaN, by their documentation."""


@dataclass
class Case:
    """One fit: an estimator, what it is fitted to, and other samples."""

    estimator: Any
    X: Any
    y: Any = None
    sample_weight: Any = None
    others: Any = None


@dataclass
class Outcome:
    """What a case came to: "fitted", "refused" or "fault", and why."""

    name: str
    text: str = ""
    faults: list[str] = field(default_factory=list)

    @property
    def row(self) -> tuple[str, str]:
        """Return outcome and text as stored."""
        if self.faults:
            return "fault", " | ".join(dict.fromkeys(self.faults))
        return self.name, self.text


# ----------------------------------------------------------------- values at the edges
def power(rng: np.random.Generator, low: float = -320, high: float = 308) -> float:
    """Return a power of ten; its exponent is often near zero, or at an end."""
    kind = rng.integers(4)
    exponent = rng.normal(0, 3) if kind < 2 else rng.uniform(low, high)
    return float(10.0 ** np.clip(low if kind == 3 else exponent, low, high))


def amount(rng: np.random.Generator) -> Any:
    """Return a number >= 0, of one of several types."""
    kinds: list[Callable[[float], Any]] = [
        float,
        float,
        np.float32,
        np.float64,
        np.longdouble,
        lambda v: 0,
        lambda v: 1,
        lambda v: 0.0,
        lambda v: np.int8(2),
    ]
    with np.errstate(over="ignore"):
        return kinds[rng.integers(len(kinds))](power(rng, -300, 300))


def positive(rng: np.random.Generator) -> Any:
    """Return a number > 0 of any magnitude."""
    return amount(rng) or 1e-3


def integer(rng: np.random.Generator, low: int, high: int) -> Any:
    """Return an integer of one of several types."""
    kinds = (int, int, np.int8, np.uint8, np.int16, np.int64)
    return kinds[rng.integers(len(kinds))](rng.integers(low, high))


def sizes(rng: np.random.Generator) -> Any:
    """Return layer sizes."""
    found = [(), 3, (4,), (3, 4), [4], np.array([3, 2]), (np.uint8(4),), (10**11,)]
    return found[rng.integers(len(found))]


def choice(*values: Any) -> Callable[[np.random.Generator], Any]:
    """Return a function that draws one of the values."""
    return lambda rng: values[rng.integers(len(values))]


def often(value: Any, other: Callable) -> Callable[[np.random.Generator], Any]:
    """Return a function that draws the value in most cases."""
    return lambda rng: value if rng.random() < 0.7 else other(rng)


PARAMETERS: dict[str, Callable[[np.random.Generator], Any]] = {
    "activation": choice("silu", "relu", "tanh", "elu", "gelu", "leaky_relu"),
    "alpha": amount,
    "attribute_types": choice("auto", "discrete", "continuous"),
    "beta": amount,
    "capacity": amount,
    "components_per_attribute": choice(1, 1, 2, np.int8(1), 0),
    "dip_type": choice("I", "II"),
    "discriminator_learning_rate": positive,
    "early_stopping": choice(True, False),
    "encoder": choice("deterministic", "gaussian"),
    "gamma": amount,
    "gradient_penalty": amount,
    "groups": choice(None, (1, 1), (2,), (2, 1), np.array([1, 1, 1])),
    "init": choice("auto", "ica", "pca", "random"),
    "input_noise": often("auto", amount),
    "lambda_": amount,
    "lambda_d": amount,
    "lambda_od": amount,
    "learning_rate": often(3e-3, positive),
    "likelihood": often("gaussian", choice("bernoulli")),
    "masking": amount,
    "n_categories": choice((), (2,), [3, 2], (np.int8(2),), (1,)),
    "n_iter_no_change": lambda rng: integer(rng, 1, 5),
    "n_jobs": choice(None, 1, -1, 10**6, 0, np.int8(1)),
    "n_noise": lambda rng: integer(rng, 0, 4),
    "noise_scale": often("auto", choice("feature", "shared", 1e-30, 1e30, 0.1, 5e-324)),
    "precision": choice("float32", "float32", "float64"),
    "prior": choice("normal", "uniform"),
    "random_state": lambda rng: choice(
        0, 2**32 - 1, np.int64(3), np.random.RandomState(1)
    )(rng),
    "sensitive": choice(None, None, 0, [0], "a"),
    "standardize": choice("auto", "feature", "global", None),
    "supervision": amount,
    "temperature": often("auto", choice(1, 1.0, 1e30, 30)),
    "validation_fraction": choice(0.1, 0.5, 0.999, 1e-9),
    "warm_start": choice(False, True),
    "warmup": choice(0, 0.0, 1, 1.0, 0.1),
    "weight_decay": often("auto", amount),
    "weighting": choice("stratified", "minibatch"),
}
"""How each parameter is drawn; those that are not drawn keep their defaults."""

DRAWN_PARAMETERS = 4
"""Parameters that a case changes, on average."""


def draw_estimator(rng: np.random.Generator) -> Any:
    """Return an estimator with small networks, few steps and random parameters."""
    cls = getattr(skfactorvae, ESTIMATORS[rng.integers(len(ESTIMATORS))])
    known = cls().get_params()
    small = {
        "n_components": often(2, lambda rng: integer(rng, 1, 5))(rng),
        "hidden_layer_sizes": often((4,), sizes)(rng),
        "discriminator_hidden_layer_sizes": often((4,), sizes)(rng),
        "opponent_hidden_layer_sizes": often((4,), sizes)(rng),
        "max_iter": 320 if rng.random() < 0.05 else integer(rng, 1, 12),
        "batch_size": often(8, lambda rng: integer(rng, 2, 40))(rng),
        "random_state": 0,
    }
    share = DRAWN_PARAMETERS / len(known)
    drawn = {n: draw(rng) for n, draw in PARAMETERS.items() if rng.random() < share}
    parameters = {k: v for k, v in {**small, **drawn}.items() if k in known}
    return cls(**parameters)


# ------------------------------------------------------------------------------ tables
def draw_numbers(rng: np.random.Generator, n: int, p: int) -> np.ndarray:
    """Return a table of floats of any magnitude, with peculiar columns."""
    draws: list[Callable[[], np.ndarray]] = [
        lambda: rng.normal(size=(n, p)),
        lambda: rng.uniform(size=(n, p)),
        lambda: rng.standard_cauchy(size=(n, p)) ** 3,
        lambda: rng.integers(-3, 4, size=(n, p)).astype(float),
        lambda: rng.normal(size=(n, 2)) @ rng.normal(size=(2, p)),
    ]
    table = draws[rng.integers(len(draws))]()
    with np.errstate(over="ignore", invalid="ignore"):
        if rng.random() < 0.5:
            table = table * power(rng)
        if rng.random() < 0.3:
            table = table * [power(rng) for _ in range(p)]
        if rng.random() < 0.3:
            table = table + power(rng)
    if rng.random() < 0.3:
        table[:, rng.integers(p)] = rng.choice([0.0, 1.0, power(rng)])
    if rng.random() < 0.3:
        table[:, rng.integers(p)] = table[:, rng.integers(p)]
    if rng.random() < 0.2:
        table[rng.integers(n)] = power(rng)
    if rng.random() < 0.1:
        table[rng.integers(n), rng.integers(p)] = rng.choice([np.nan, np.inf, -np.inf])
    return np.clip(table, -1.7e308, 1.7e308) if rng.random() < 0.9 else table


def to_integers(table: np.ndarray, dtype: Any = np.int64) -> np.ndarray:
    """Return a table of integers of the same magnitude, within the dtype's range."""
    limits = np.iinfo(dtype)
    bounded = np.clip(np.nan_to_num(table), 0.9 * limits.min, 0.9 * limits.max)
    return bounded.astype(dtype)


def read_only(table: np.ndarray) -> np.ndarray:
    """Return the table, which then cannot be written to."""
    table.flags.writeable = False
    return table


FORMS: list[Callable[[np.ndarray], Any]] = [
    lambda t: t,
    lambda t: t,
    lambda t: t,
    lambda t: t.astype(np.float32),
    lambda t: t.astype(np.float32),
    lambda t: t.astype(np.float16),
    lambda t: t.astype(np.longdouble) * np.longdouble(1e10),
    to_integers,
    lambda t: to_integers(t, np.uint8),
    lambda t: t > 0,
    lambda t: t.tolist(),
    lambda t: t.astype(object),
    lambda t: pd.DataFrame(t, columns=[f"c{j}" for j in range(t.shape[1])]),
    lambda t: pd.DataFrame(t).astype("Float64"),
    np.asfortranarray,
    lambda t: t[::-1, ::-1],
    read_only,
    lambda t: t.astype(">f8"),
    sparse.csr_matrix,
    np.ma.masked_invalid,
    torch.tensor,
]
"""Ways to pass a table."""


def draw_weight(rng: np.random.Generator, n: int) -> Any:
    """Return sample weights of any magnitude; None in most cases."""
    draws: list[Callable[[], Any]] = [
        lambda: np.ones(n),
        lambda: rng.integers(0, 3, size=n),
        lambda: 10.0 ** rng.uniform(-300, 300, size=n),
        lambda: 10.0 ** rng.uniform(-323, -310, size=n),
        lambda: rng.uniform(size=n).astype(np.float16),
        lambda: rng.uniform(size=n).tolist(),
        lambda: rng.uniform(0, 1e6, size=n),
        lambda: 3,
        lambda: np.full(n, 1e308),
        lambda: np.where(np.arange(n) == 0, 1.0, 0.0),
        lambda: rng.normal(size=n),
        lambda: np.full(n, np.nan),
        lambda: [10**400] * n,
        lambda: rng.uniform(size=n) > 0.5,
        lambda: pd.Series(rng.uniform(size=n), index=np.arange(n) + 5),
        lambda: np.longdouble("1e4000") * np.ones(n, dtype=np.longdouble),
    ]
    return draws[rng.integers(len(draws))]() if rng.random() < 0.4 else None


def draw_labels(rng: np.random.Generator, n: int) -> Any:
    """Return labels of any type."""
    draws: list[Callable[[], Any]] = [
        lambda: rng.normal(size=n),
        lambda: rng.normal(size=n) * power(rng),
        lambda: rng.integers(0, 3, size=n),
        lambda: np.array(["a", "b", "c"])[rng.integers(0, 3, size=n)],
        lambda: rng.normal(size=n) > 0,
        lambda: np.where(rng.uniform(size=n) < 0.7, np.nan, rng.normal(size=n)),
        lambda: np.column_stack([rng.normal(size=n), rng.integers(0, 2, size=n)]),
        lambda: pd.DataFrame({"a": rng.normal(size=n), "b": (["x", None] * n)[:n]}),
        lambda: np.zeros(n),
        lambda: np.full(n, np.nan),
        lambda: np.array([1e300, -1e300] * n)[:n],
        lambda: rng.normal(size=n) * 1e-320,
        lambda: [10**400] * n,
        lambda: None,
    ]
    return draws[rng.integers(len(draws))]()


def make_case(number: int) -> Case:
    """Return the case of this number."""
    rng = np.random.default_rng(number)
    n = int(rng.choice([1, 2, 3, 20, 40, MAX_ROWS], p=[0.02, 0.08, 0.1, 0.3, 0.3, 0.2]))
    p = int(rng.choice([1, 2, 5, MAX_FEATURES]))
    estimator, table = draw_estimator(rng), draw_numbers(rng, n, p)
    form = FORMS[rng.integers(len(FORMS))]
    weight, labels = draw_weight(rng, n), draw_labels(rng, n)
    with np.errstate(over="ignore", invalid="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        others = table[:5] * power(rng)
        return Case(estimator, form(table), labels, weight, others)


# ---------------------------------------------------------------------------- checks
def process_state() -> dict[str, Any]:
    """Return what a fit may not change."""
    kind, keys, *rest = np.random.get_state()  # noqa: NPY002  the legacy state is checked
    return {
        "numpy's generator": (kind, keys.tobytes(), *rest),
        "torch's generator": torch.get_rng_state().numpy().tobytes(),
        "torch's threads": torch.get_num_threads(),
        "default dtype": torch.get_default_dtype(),
        "gradient mode": torch.is_grad_enabled(),
        "precision of products": torch.get_float32_matmul_precision(),
        "warning filters": list(warnings.filters),
        "numpy's error state": np.geterr(),
        "environment": dict(os.environ),
    }


def run_case(case: Case) -> Outcome:
    """Fit, use all methods, and return what is wrong."""
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("always")
        before = process_state()
        outcome = attempt(case)
        after = process_state()
    changed = [name for name in before if before[name] != after[name]]
    outcome.faults += [f"{name} changed" for name in changed]
    outcome.faults += [
        f"{w.category.__name__} in {Path(w.filename).name}: {w.message}"
        for w in shown
        if issubclass(w.category, RuntimeWarning) or "torch" in w.filename
    ]
    return outcome


def attempt(case: Case) -> Outcome:
    """Fit the case's table, and use the fitted estimator."""
    model = case.estimator
    try:
        model.fit(case.X, case.y, sample_weight=case.sample_weight)
        if model.warm_start:
            model.fit(case.X, case.y, sample_weight=case.sample_weight)
    except Exception as error:
        return refused("fit", error)
    outcome = Outcome("fitted")
    outcome.faults += [
        f"{name} is not finite" for name in not_finite(attributes(model))
    ]
    for name, is_needed, call in uses(case):
        try:
            found = call()
        except Exception as error:
            outcome.faults += refused(name, error).faults
            if is_needed and not outcome.faults:
                outcome.text += f"{name}: {first_line(error)}; "
            continue
        outcome.faults += [f"{name} is not finite"] if not_finite({name: found}) else []
    return outcome


def uses(case: Case) -> Iterator[tuple[str, bool, Callable[[], Any]]]:
    """Yield each method's name, whether it should work, and a call of it."""
    model = case.estimator
    for rows, is_own in ((case.X, True), (case.others, False)):
        suffix = "" if is_own else " of other samples"
        yield f"transform{suffix}", is_own, lambda r=rows: model.transform(r)
        yield f"posterior{suffix}", is_own, lambda r=rows: model.posterior(r)
        yield f"score_samples{suffix}", is_own, lambda r=rows: model.score_samples(r)
        yield f"score{suffix}", is_own, lambda r=rows: model.score(r)
        yield (
            f"inverse_transform{suffix}",
            is_own,
            lambda r=rows: model.inverse_transform(model.transform(r)),
        )
    yield "sample", True, lambda: model.sample(4, random_state=0)
    yield (
        "sample without noise",
        True,
        lambda: model.sample(4, noise=False, random_state=0),
    )
    if hasattr(model, "predict_attributes"):
        yield "predict_attributes", True, lambda: model.predict_attributes(case.X)
    if hasattr(model, "predict_attributes_proba"):
        yield (
            "predict_attributes_proba",
            True,
            lambda: list(model.predict_attributes_proba(case.X).values()),
        )
    if hasattr(model, "intervene"):
        yield "intervene", True, lambda: model.intervene({0: 0.0}, case.X)


def attributes(model: Any) -> dict[str, Any]:
    """Return the fitted attributes by name."""
    return {
        name: value
        for name, value in vars(model).items()
        if name.endswith("_") and not name.startswith("_") and name not in UNCHECKED
    }


def not_finite(values: dict[str, Any]) -> list[str]:
    """Return the names of values that hold NaN or infinity, parts included."""
    return [name for name, value in values.items() if not is_finite(value)]


def is_finite(value: Any) -> bool:
    """Return whether all numbers in a value are finite."""
    if isinstance(value, dict):
        return all(map(is_finite, value.values()))
    if isinstance(value, list | tuple):
        return all(map(is_finite, value))
    array = np.asarray(value)
    return array.dtype.kind not in "fc" or bool(np.isfinite(array).all())


def refused(where: str, error: Exception) -> Outcome:
    """Return the outcome of an error: a fault, unless it is a clear one."""
    text = f"{where}: {first_line(error)}"
    if isinstance(error, ValueError | TypeError) and is_raised_on_purpose(error):
        return Outcome("refused", text)
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return Outcome("fault", faults=[f"{text} ({Path(frame.filename).name})"])


def first_line(error: Exception) -> str:
    """Return an error's type and the start of its message."""
    return f"{type(error).__name__}: {str(error).splitlines()[0][:80]}"


def is_raised_on_purpose(error: Exception) -> bool:
    """Return whether this package, or scikit-learn's validation, raised the error."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    if VALIDATION in frame.filename:
        return True
    line = linecache.getline(frame.filename, frame.lineno or 0)
    return OWN in frame.filename and line.strip().startswith("raise")


# --------------------------------------------------------------------------- processes
def import_all() -> None:
    """Make a fit, since torch's first one in a process changes the environment."""
    skfactorvae.BetaVAETransformer(1, max_iter=1).fit(np.eye(3))


def serve(connection: Any) -> None:
    """Run the cases whose numbers arrive, and send their outcomes."""
    torch.set_num_threads(1)
    import_all()
    while True:
        number = connection.recv()
        case = make_case(number)
        start = time.perf_counter()
        outcome = run_case(case)
        seconds = time.perf_counter() - start
        connection.send((type(case.estimator).__name__, *outcome.row, seconds))


class Worker:
    """A process that runs cases, and is replaced when one takes too long."""

    def __init__(self) -> None:
        self.start()

    def start(self) -> None:
        """Start a new process."""
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=serve, args=(theirs,), daemon=True)
        self.process.start()
        theirs.close()

    def run(self, number: int, limit: float) -> tuple[str, str, str, float]:
        """Return a case's estimator, outcome, text and seconds."""
        self.connection.send(number)
        try:
            if self.connection.poll(limit):
                return self.connection.recv()
            text = f"no result after {limit:g} s"
        except EOFError:
            text = "the process died"
        self.end()
        self.start()
        return type(make_case(number).estimator).__name__, "fault", text, limit

    def end(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.join()


def stored() -> pd.DataFrame:
    """Return the stored results."""
    return pd.read_csv(RESULTS) if RESULTS.exists() else pd.DataFrame(columns=COLUMNS)


def run_cases(numbers: list[int], limit: float) -> None:
    """Run cases, and append each result to the file as it comes."""
    worker = Worker()
    for number in numbers:
        name, outcome, text, seconds = worker.run(number, limit)
        row = (number, name, outcome, f"{seconds:.2f}", text, *VERSIONS.values())
        line = pd.DataFrame([row], columns=COLUMNS)
        line.to_csv(RESULTS, mode="a", header=not RESULTS.exists(), index=False)
        if outcome == "fault":
            print(f"{number}  {name}  {text}", flush=True)
    worker.end()


def print_summary(rows: pd.DataFrame) -> None:
    """Print the number of cases by estimator and outcome, and the faults."""
    print(rows.groupby(["estimator", "outcome"]).size().to_string())
    for _, row in rows[rows["outcome"] == "fault"].iterrows():
        print(f"{row['case']}  {row['estimator']}  {row['text']}")
    print(f"{len(rows)} cases, {(rows['outcome'] == 'fault').sum()} with a fault")


def print_case(number: int) -> None:
    """Repeat one case in this process, and print all about it."""
    import_all()
    case = make_case(number)
    print(f"{case.estimator}\nX: {case.X!r}\ny: {case.y!r}")
    print(f"sample_weight: {case.sample_weight!r}")
    print(*run_case(case).row, sep=": ")


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--cases", type=int, default=500, help="number of cases")
    parser.add_argument("--limit", type=float, default=LIMIT, help="seconds of a case")
    parser.add_argument("--stored", action="store_true", help="print what is stored")
    parser.add_argument("--case", type=int, help="number of one case to repeat")
    arguments = parser.parse_args()
    if arguments.case is not None:
        print_case(arguments.case)
        return
    if not arguments.stored:
        known = set(stored()["case"])
        run_cases(
            [n for n in range(arguments.cases) if n not in known], arguments.limit
        )
    print_summary(stored())


if __name__ == "__main__":
    main()
