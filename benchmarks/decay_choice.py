"""Compare recovery on simulated tables with and without the choice of weight decay.

    python benchmarks/decay_choice.py            fit what is missing, and store it
    python benchmarks/decay_choice.py --stored   print what is stored
    python benchmarks/decay_choice.py --show wine oscillator
    python benchmarks/decay_choice.py --time
    python benchmarks/decay_choice.py --time-search

``--time`` prints the CPU time of a default fit relative to one of 5,000 steps without
weight decay, for a noisy table of 500 x 30 and one nearly without noise of 5,000 x 64.
``--time-search`` prints that of a batched search: three gammas, two folds, a refit.
``--show`` prints what the choice is made from, for simulated and real tables: each
candidate's held-out bound with the calibrated noise, and its advantage over no weight
decay with the standard error, in nats per feature; the ratio of held-out to training
residuals; the share of what it learned that is lost on held-out samples; whether the
held-out bound was still rising; and the start, with the numbers by which it was chosen.

For each table of ``recovery.py`` and each seed, the default fit is compared with that
of ``weight_decay=0``, which is what the default was before weight decay was chosen on
held-out samples. Where no weight decay is chosen and all steps are made, both fits have
equal codes, bit for bit (a test holds this), and the difference is zero: only the
choice is then computed. Matched correlation as in ``recovery.py``.

The summary gives, for each table, the mean difference over seeds with its 95 % interval
and the p-value for a loss of more than 0.03, corrected for the number of tables by
Holm's method; and the 95 % interval of the mean difference over tables.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import real
import real_tables
import recovery
import torch
from scipy import stats

from skfactorvae import FactorVAETransformer
from skfactorvae._batching import train
from skfactorvae._moments import trimmed_mean
from skfactorvae.model_selection import BatchedGridSearchCV
from skfactorvae.preparation import _weight_decay

RESULTS = Path(__file__).parent / "results" / "decay_choice.csv"
TOLERATED_LOSS = 0.03
COLUMNS = ["table", "seed", "decay", "steps", "without", "with"]


class Choice(FactorVAETransformer):
    """The default estimator, whose final fit makes one step only.

    ``final_steps_`` holds the number of steps that it would have made.
    """

    def _regularized(self, prepared, devices, progress):
        chosen = super()._regularized(prepared, devices, progress)
        self.final_steps_ = chosen.schedule.max_iter
        return replace(chosen, schedule=replace(chosen.schedule, max_iter=1))


class Shown(FactorVAETransformer):
    """The default estimator, which prints its comparison of weight decays."""

    def _regularized(self, prepared, devices, progress):
        while plans := prepared.comparisons:
            jobs = [job for plan in plans for job in plan.jobs]
            schedule = plans[0].schedule
            fits = train(jobs, schedule, devices=devices, n_jobs=self.n_jobs)
            for one, plan, own in prepared.fits_by_start(fits):
                if plan is not None:
                    print(f"  start {one.known['init_']}, {schedule.max_iter} steps")
                    self.show_candidates(plan, own, devices)
            prepared = prepared.regularized(fits, devices[0])
        return prepared

    def show_candidates(self, plan, fits, devices):
        """Print the comparison of candidates from one initialisation."""
        _, candidates = plan.evaluate(fits, devices[0])
        n_features, weight = plan.jobs[0].network.n_features, plan.held_out_weight
        best = getattr(plan, "best", None)
        reference = candidates[0] if best is None else best.compared
        for decay, found in zip(plan.decays, candidates, strict=True):
            bound, _ = trimmed_mean(found.bounds, weight)
            gain, error = trimmed_mean(found.bounds - reference.bounds, weight)
            ratio = 1.0 if found.inflation is None else np.median(found.inflation)
            lost, error_of_lost = plan.lost_share(found)
            print(
                f"  decay {decay:4g}  bound {bound / n_features:7.3f}  "
                f"advantage {gain / n_features:+.3f} +- {error / n_features:.3f}  "
                f"ratio {ratio:.2f}  lost {lost:.3f} +- {error_of_lost:.3f}  "
                f"{'rising' if found.is_rising else 'not rising'}"
            )


def show(name: str) -> None:
    """Print the comparison of weight decays on a table, and the choice."""
    if name in recovery.TABLES:
        split = recovery.Split.of(recovery.TABLES[name]())
        X, d = split.X[split.train], recovery.N_COMPONENTS
    else:
        X = real.Split.of(real_tables.load(name), 0).train
        d = real.n_factors(X)
    print(f"{name}, {X.shape[0]} x {X.shape[1]}")
    vae = Shown(min(d, X.shape[1]), random_state=0).fit(X)
    print(f"  chosen: {vae.weight_decay_:g}, {vae.n_iter_} steps")
    criteria = ", ".join(f"{k} {v:.3f}" for k, v in vae.init_criteria_.items())
    print(f"  start: {vae.init_}; {criteria}")


def noisy_and_clean() -> Iterator[np.ndarray]:
    """Yield a noisy table of 500 x 30 and one of 5,000 x 64 with little noise."""
    for n_samples, n_features, noise in ((500, 30, 1.0), (5000, 64, 0.01)):
        rng = np.random.default_rng(0)
        sources = rng.uniform(-1.7, 1.7, size=(n_samples, 4))
        hidden = np.tanh(sources @ rng.normal(size=(4, 32)))
        X = hidden @ rng.normal(size=(32, n_features)) / np.sqrt(32)
        yield X + noise * rng.normal(size=X.shape)


def print_times(*, of_search: bool) -> None:
    """Print the time of a default fit, or search, relative to no weight decay."""
    for X in noisy_and_clean():
        seconds = []
        for parameters in ({}, {"weight_decay": 0.0}):
            vae = FactorVAETransformer(random_state=0, **parameters)
            fitted = (
                BatchedGridSearchCV(vae, {"gamma": [1.0, 5.0, 20.0]}, cv=2)
                if of_search
                else vae
            )
            start = time.process_time()
            fitted.fit(X)
            seconds.append(time.process_time() - start)
            best = fitted.best_estimator_ if of_search else fitted
            print(
                f"{X.shape[0]} x {X.shape[1]}  {parameters}  {seconds[-1]:.1f} s  "
                f"decay {best.weight_decay_:g}  {best.n_iter_} steps",
                flush=True,
            )
        print(f"  ratio {seconds[0] / seconds[1]:.2f}")


def measure(name: str, n_seeds: int) -> pd.DataFrame:
    """Return a row for each seed of a table; NaN where both fits are equal."""
    split = recovery.Split.of(recovery.TABLES[name]())
    X = split.X[split.train]
    d = recovery.N_COMPONENTS
    choices = [Choice(d, random_state=seed) for seed in range(n_seeds)]
    choices, _ = recovery.fit_all(choices, X)
    rows = pd.DataFrame(
        {
            "table": name,
            "seed": range(n_seeds),
            "decay": [c.weight_decay_ for c in choices],
            "steps": [c.final_steps_ for c in choices],
            "without": np.nan,
            "with": np.nan,
        }
    )
    differs = (rows["decay"] > 0) | (rows["steps"] < choices[0].max_iter_)
    seeds = rows.index[differs]
    before = [{"weight_decay": 0.0} for _ in seeds]
    after = [
        {"weight_decay": rows["decay"][seed], "max_iter": int(rows["steps"][seed])}
        for seed in seeds
    ]
    for column, settings in (("without", before), ("with", after)):
        models = [
            FactorVAETransformer(d, random_state=int(seed), **parameters)
            for seed, parameters in zip(seeds, settings, strict=True)
        ]
        if models:
            models, _ = recovery.fit_all(models, X)
        for seed, model in zip(seeds, models, strict=True):
            scores = recovery.evaluate(model, split, with_dci=False).scores
            rows.loc[seed, column] = scores["mcc"]
    return rows


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    """Return mean differences, their intervals and corrected p-values, by table."""
    rows = rows.assign(difference=(rows["with"] - rows["without"]).fillna(0.0))
    lines = []
    for name, part in rows.groupby("table", sort=False):
        mean, half = part["difference"].mean(), 0.0
        p_value = 1.0
        if part["difference"].std() > 0:
            half = stats.sem(part["difference"]) * stats.t.ppf(0.975, len(part) - 1)
            p_value = stats.ttest_1samp(
                part["difference"], -TOLERATED_LOSS, alternative="less"
            ).pvalue
        chosen = part["decay"].value_counts().to_dict()
        lines.append((name, len(part), chosen, mean, mean - half, mean + half, p_value))
    columns = ["table", "seeds", "decays", "difference", "low", "high", "p"]
    table = pd.DataFrame(lines, columns=columns)
    order = table["p"].argsort().to_numpy()
    steps = (len(table) - np.arange(len(table))) * table["p"].to_numpy()[order]
    table.loc[order, "p"] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return table


def print_summary(rows: pd.DataFrame) -> None:
    """Print the summary, and the interval of the mean over tables."""
    table = summary(rows)
    print(table.to_string(index=False, float_format=lambda v: f"{v:.3f}"))
    means = table["difference"]
    half = stats.sem(means) * stats.t.ppf(0.975, len(means) - 1)
    print(
        f"mean over {len(means)} tables: {means.mean():+.4f} "
        f"[{means.mean() - half:+.4f}, {means.mean() + half:+.4f}]"
    )


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--tables", nargs="*", default=list(recovery.TABLES))
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--stored", action="store_true", help="print what is stored")
    parser.add_argument("--show", nargs="+", metavar="TABLE")
    parser.add_argument("--time", action="store_true")
    parser.add_argument("--time-search", action="store_true")
    parser.add_argument("--steps", type=int, help="of the comparison, with --show")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    if arguments.time or arguments.time_search:
        print_times(of_search=arguments.time_search)
        return
    if arguments.show:
        if arguments.steps:
            _weight_decay.COMPARISON_STEPS = arguments.steps
        for name in arguments.show:
            show(name)
        return
    rows = pd.read_csv(RESULTS) if RESULTS.exists() else pd.DataFrame(columns=COLUMNS)
    if not arguments.stored:
        for name in arguments.tables:
            if name not in set(rows["table"]):
                found = measure(name, arguments.seeds)
                rows = pd.concat([rows, found]) if len(rows) else found
                rows.to_csv(RESULTS, index=False, float_format="%.5g")
                print(name, flush=True)
    print_summary(rows)


if __name__ == "__main__":
    main()
