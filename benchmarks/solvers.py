r"""Compare optimisers and schedules: recovery, held-out bound and CPU time of a fit.

    python benchmarks/solvers.py --tables oscillator peaks --seeds 5 \
        --settings solver=adam solver=soap,max_iter=2500

Without ``--settings``, SOAP is compared with Adam, the default; ``--page`` writes that
comparison to ``docs/evidence/optimiser.md``.

    python benchmarks/solvers.py --to-quality --seeds 6

prints for each stored setting on how many tables fits are as good as by default, in
held-out bound and correlation with the factors, and in which share of the time of
Adam's fit with steps as they are, not recorded. ``--time`` measures the times, of
single fits one after the other.

A setting is a list of parameters of ``FactorVAETransformer``, or of constants of a
module of this package (``core._soap.REFRESH_EVERY=20``). The first setting is the one
that the others are compared with, seed by seed. All seeds of a table are one stack.
Weight decay is zero unless a setting states another, so that all steps are made.
Results are kept in ``results/solvers.csv``; what is stored is not measured again.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import importlib
import time
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import recovery
import torch
from pages import EVIDENCE, write_block
from recording_time import no_recording
from scipy import stats

from skfactorvae import FactorVAETransformer

RESULTS = Path(__file__).parent / "results" / "solvers.csv"
ADAM = "solver=adam,weight_decay=auto"
SOAP = "solver=soap,weight_decay=auto"
SECONDS = RESULTS.with_name("solvers_seconds.csv")
PLAIN = "steps as they are"
"""Adam's fit, of which no step is recorded."""

SAME_BOUND, SAME_CORRELATION = 0.01, 0.01
"""Held-out bound, nats per column, and correlation that may be missing from those of
Adam's fit; means over seeds."""

SCORES = ["mcc", "bound", "reconstruction", "used", "seconds"]
CURVES = ("oscillator", "peaks", "heat", "stellar")


def parse(setting: str) -> tuple[dict, dict]:
    """Split a setting into parameters and constants of modules."""
    parameters, constants = {}, {}
    for part in filter(None, setting.split(",")):  # ";" stands for a comma in a value
        name, _, text = part.partition("=")
        with contextlib.suppress(ValueError):
            text = ast.literal_eval(text.replace(";", ","))
        (constants if "." in name else parameters)[name] = text
    return parameters, constants


@contextlib.contextmanager
def with_constants(constants: dict) -> Iterator[None]:
    """Change constants of this package's modules for a while."""
    before = []
    for name, value in constants.items():
        path, _, attribute = name.rpartition(".")
        module = importlib.import_module(f"skfactorvae.{path}")
        before.append((module, attribute, getattr(module, attribute)))
        setattr(module, attribute, value)
    try:
        yield
    finally:
        for module, attribute, value in before:
            setattr(module, attribute, value)


def measure(table: str, setting: str, n_seeds: int) -> pd.DataFrame:
    """Return one row for each seed of a table and a setting."""
    parameters, constants = parse(setting)
    split = recovery.Split.of(recovery.TABLES[table]())
    models = [
        FactorVAETransformer(
            recovery.N_COMPONENTS,
            random_state=seed,
            **{"weight_decay": 0.0} | parameters,
        )
        for seed in range(n_seeds)
    ]
    start = time.process_time()
    with with_constants(constants):
        models, _ = recovery.fit_all(models, split.X[split.train])
    seconds = (time.process_time() - start) / n_seeds
    rows = []
    for seed, model in enumerate(models):
        scores = recovery.evaluate(model, split, with_dci=False).scores
        scores |= {"bound": model.score(split.X[split.test]), "seconds": seconds}
        found = {name: scores[name] for name in SCORES}
        rows.append({"table": table, "setting": setting, "seed": seed, **found})
    return pd.DataFrame(rows)


def stored(path: Path, values: Sequence[str] = ("seed", *SCORES)) -> pd.DataFrame:
    """Return the stored rows."""
    if path.exists():
        return pd.read_csv(path)
    return pd.DataFrame(columns=["table", "setting", *values])


def interval(values: np.ndarray) -> tuple[float, float]:
    """Return the mean, and half the width of its 95 % interval."""
    if len(values) < 2:
        return float(np.mean(values)), np.nan
    return float(np.mean(values)), stats.sem(values) * stats.t.ppf(
        0.975, len(values) - 1
    )


def print_comparison(rows: pd.DataFrame, settings: list[str], n_seeds: int) -> None:
    """Print scores by table, and differences from the first setting."""
    rows = rows[rows["seed"] < n_seeds]
    by = rows.set_index(["setting", "table", "seed"])
    for setting in settings:
        print(f"\n{setting}")
        differences = {}
        own = rows[rows["setting"] == setting]
        for table in dict.fromkeys(own["table"]):
            part = by.loc[setting, table]
            line = f"  {table:16s}" + "".join(
                f" {name} {part[name].mean():8.3f}" for name in SCORES
            )
            if (settings[0], table) in by.index.droplevel("seed"):
                gain = part["mcc"] - by.loc[settings[0], table]["mcc"]
                mean, half = interval(gain.dropna().to_numpy())
                differences[table] = mean
                line += f"   gain {mean:+.3f} +- {half:.3f}"
            print(line)
        for name, chosen in (("all", differences), ("curves", CURVES)):
            gains = [differences[t] for t in chosen if t in differences]
            if gains:
                mean, half = interval(np.array(gains))
                print(f"  mean gain over {name} {mean:+.4f} +- {half:.4f}")


def as_markdown(rows: pd.DataFrame, n_seeds: int) -> str:
    """Return the comparison of SOAP with Adam as a table, and its means."""
    rows = rows[rows["seed"] < n_seeds]
    lines = [
        "| table | correlation, Adam | SOAP | difference | bound, Adam | SOAP "
        "| components used | SOAP | seconds, Adam | SOAP |",
        "|" + "---|" * 10,
    ]
    gains, log_ratios = {}, []
    for table in [t for t in recovery.TABLES if t in set(rows["table"])]:
        of_table = rows[rows["table"] == table].set_index("setting")
        if not {ADAM, SOAP} <= set(of_table.index):
            continue
        old, new = of_table.loc[ADAM], of_table.loc[SOAP]
        gain = new["mcc"].to_numpy() - old["mcc"].to_numpy()
        gains[table], half = interval(gain)
        a, b = (part[SCORES].mean() for part in (old, new))
        log_ratios.append(np.log(b.seconds / a.seconds))
        lines.append(
            f"| {table} | {a.mcc:.3f} | {b.mcc:.3f} | {gains[table]:+.3f} ± {half:.3f} "
            f"| {a.bound:.1f} | {b.bound:.1f} | {a.used:.1f} | {b.used:.1f} "
            f"| {a.seconds:.1f} | {b.seconds:.1f} |"
        )
    mean, half = interval(np.array(list(gains.values())))
    curves, half_of_curves = interval(
        np.array([gains[t] for t in CURVES if t in gains])
    )
    return "\n".join(lines) + (
        f"\n\nMean difference over {len(gains)} tables: {mean:+.3f} ± {half:.3f} (95 % "
        f"interval); over the curves {', '.join(CURVES)}: {curves:+.3f} ± "
        f"{half_of_curves:.3f}. A fit takes {np.exp(np.mean(log_ratios)):.2f} of "
        "Adam's time, in the geometric mean."
    )


# ------------------------------------------------------------------ time to quality
def measure_seconds(table: str, setting: str) -> float:
    """Return the CPU seconds of one fit alone."""
    parameters, constants = parse(ADAM if setting == PLAIN else setting)
    split = recovery.Split.of(recovery.TABLES[table]())
    model = FactorVAETransformer(
        recovery.N_COMPONENTS, random_state=0, **{"weight_decay": 0.0} | parameters
    )
    steps = no_recording() if setting == PLAIN else contextlib.nullcontext()
    with with_constants(constants), steps:
        start = time.process_time()
        model.fit(split.X[split.train])
        return time.process_time() - start


def time_settings(rows: pd.DataFrame, tables: list[str]) -> None:
    """Measure the seconds of each stored setting of each table, and store them."""
    for table in tables:
        settings = rows.loc[rows["table"] == table, "setting"]
        for setting in [PLAIN, *dict.fromkeys(settings)]:
            known = stored(SECONDS, ["seconds"])
            if ((known["table"] == table) & (known["setting"] == setting)).any():
                continue
            seconds = measure_seconds(table, setting)
            known.loc[len(known)] = [table, setting, seconds]
            known.to_csv(SECONDS, index=False, float_format="%.4g")
            print(f"{table:16s} {setting}  {seconds:.1f} s", flush=True)


def print_time_to_quality(rows: pd.DataFrame, n_seeds: int) -> None:
    """Print which settings reach the scores of Adam's fits, and in which time."""
    seconds = stored(SECONDS, ["seconds"]).set_index(["table", "setting"])["seconds"]
    scores = rows[rows["seed"] < n_seeds].groupby(["table", "setting"])[SCORES].mean()
    for setting in dict.fromkeys(rows["setting"]):
        shares, reached = [], []
        for table in [t for t in recovery.TABLES if (t, PLAIN) in seconds.index]:
            if (table, setting) not in seconds.index:
                continue
            width = recovery.TABLES[table]()[0].shape[1]
            own, least = scores.loc[(table, setting)], scores.loc[(table, ADAM)]
            shares.append(seconds[table, setting] / seconds[table, PLAIN])
            reached.append(
                (
                    own["bound"] >= least["bound"] - SAME_BOUND * width,
                    own["mcc"] >= least["mcc"] - SAME_CORRELATION,
                )
            )
        if shares:
            bounds, correlations = np.sum(reached, axis=0)
            print(
                f"{setting:48s} time {np.exp(np.mean(np.log(shares))):.2f} of "
                f"{PLAIN}; of {len(shares)} tables, {bounds} reach the bound, "
                f"{correlations} the correlation, {np.all(reached, axis=1).sum()} both"
            )


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--tables", nargs="*", default=list(recovery.TABLES))
    parser.add_argument("--settings", nargs="+", default=[ADAM, SOAP])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--page", action="store_true", help="update the page, too")
    parser.add_argument("--output", type=Path, default=RESULTS)
    parser.add_argument("--stored", action="store_true", help="print what is stored")
    parser.add_argument("--time", action="store_true", help="measure times of fits")
    parser.add_argument(
        "--to-quality", action="store_true", help="print the time to Adam's scores"
    )
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    rows = stored(arguments.output)
    if arguments.time:
        time_settings(rows, arguments.tables)
    if arguments.to_quality:
        print_time_to_quality(rows, arguments.seeds)
    if arguments.time or arguments.to_quality:
        return
    for table in () if arguments.stored else arguments.tables:
        for setting in arguments.settings:
            known = (rows["table"] == table) & (rows["setting"] == setting)
            if known.sum() >= arguments.seeds:
                continue
            found = measure(table, setting, arguments.seeds)
            rows = pd.concat([stored(arguments.output), found]).drop_duplicates(
                ["table", "setting", "seed"], keep="last"
            )
            rows.to_csv(arguments.output, index=False, float_format="%.5g")
            means = "  ".join(f"{name} {found[name].mean():.3f}" for name in SCORES)
            print(f"{table:16s} {setting}  {means}", flush=True)
    print_comparison(rows, arguments.settings, arguments.seeds)
    if arguments.page:
        table = as_markdown(rows, arguments.seeds)
        write_block(EVIDENCE / "optimiser.md", "solvers", table)


if __name__ == "__main__":
    main()
