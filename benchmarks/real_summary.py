"""Summarise the stored results of ``real.py``: a table, the comparisons, a figure.

    python benchmarks/real_summary.py
    python benchmarks/real_summary.py --role tuning
    python benchmarks/real_summary.py --page    update docs/evidence/real_tables.md
    python benchmarks/real_summary.py --draw    write benchmarks/results/real.png, too

Values are means over splits. Differences are paired by split. Their standard error is
corrected for the overlap of training samples between splits (Nadeau & Bengio 2003,
"Inference for the generalization error", Eq. 9), and p-values of single tables for the
number of tables (Holm 1979). Intervals of a mean over tables are those of Student's t
over the tables.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
import real
import real_tables
from pages import EVIDENCE, write_block
from scipy import stats

FIGURE = Path(__file__).parent / "results" / "real.png"
PAGE = EVIDENCE / "real_tables.md"
README = Path(__file__).parents[1] / "README.md"
OURS = "FactorVAE"
LINEAR = ("PCA", "FastICA", "FactorAnalysis", "FactorAnalysis, varimax")
LEVEL = 0.05
NAMES = {
    "test": "log-likelihood, nats per column",
    "r2": "R2",
    "agreement": "agreement of bootstrap samples",
    "linear": "accuracy, logistic regression",
    "neighbours": "accuracy, 5 nearest neighbours",
    "seconds": "seconds",
}
"""What the measures are called on the page."""


# ------------------------------------------------------------------------ statistics
def holm(p_values: np.ndarray) -> np.ndarray:
    """Return p-values adjusted for their number by Holm's method."""
    order = np.argsort(p_values)
    steps = (len(p_values) - np.arange(len(p_values))) * p_values[order]
    adjusted = np.empty_like(p_values)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted


def loss_p_value(differences: np.ndarray) -> float:
    """Return the one-sided p-value of a loss, given the differences of splits."""
    n_splits = len(differences)
    if n_splits < 2 or differences.std() == 0:
        return float(differences.mean() >= 0) if n_splits else 1.0
    overlap = 1 / n_splits + real.HELD_OUT / (1 - real.HELD_OUT)
    error = np.sqrt(overlap * differences.var(ddof=1))
    return float(stats.t.cdf(differences.mean() / error, n_splits - 1))


def interval(values: pd.Series) -> str:
    """Return a mean with its 95 % interval."""
    values = values.dropna()
    if len(values) < 2:
        return "too few tables"
    half = stats.sem(values) * stats.t.ppf(0.975, len(values) - 1)
    mean = values.mean()
    return f"{mean:+.3f} [{mean - half:+.3f}, {mean + half:+.3f}], {len(values)} tables"


# --------------------------------------------------------------------------- tables
def by_split(results: pd.DataFrame, measure: str) -> pd.DataFrame:
    """Return a measure of every method, a row for each table and split."""
    return results.pivot_table(
        index=["table", "split"], columns="method", values=measure, sort=False
    )


def differences(results: pd.DataFrame, measure: str, others) -> pd.Series:
    """Return ours less the best of others (by the mean of a table), by split."""
    values = by_split(results, measure)
    known = [name for name in others if name in values]
    means = values[known].groupby("table", sort=False).mean()
    usable = means.dropna(how="all")
    parts = [
        (values[OURS] - values[means.loc[table].idxmax()]).loc[[table]]
        for table in usable.index
    ]
    return pd.concat(parts).dropna() if parts else pd.Series(dtype=float)


def overview(results: pd.DataFrame) -> pd.DataFrame:
    """Return the means over splits that the page shows, a row for each table."""
    means = {
        name: by_split(results, name).groupby("table", sort=False).mean()
        for name in real.MEASURES
    }
    shape = results.groupby("table", sort=False)[["samples", "features", "components"]]
    ours = results[results["method"] == OURS].groupby("table", sort=False)
    best = {
        name: means[name].reindex(columns=list(LINEAR)).max(axis=1)
        for name in ("linear", "neighbours")
    }
    gap = means["train"] - means["test"]
    return shape.first().assign(
        decay=ours["decay"].agg(lambda v: " ".join(f"{x:g}" for x in v)),
        steps=ours["steps"].median(),
        likelihood=means["test"][OURS],
        FA=means["test"]["FactorAnalysis"],
        gap=gap[OURS],
        FA_gap=gap["FactorAnalysis"],
        R2=means["r2"][OURS],
        FA_R2=means["r2"]["FactorAnalysis"],
        PCA_R2=means["r2"]["PCA"],
        agreement=means["agreement"][OURS],
        PCA_agreement=means["agreement"]["PCA"],
        linear=means["linear"][OURS],
        best_linear=best["linear"],
        neighbours=means["neighbours"][OURS],
        best_neighbours=best["neighbours"],
        seconds=means["seconds"][OURS],
    )


def markdown(results: pd.DataFrame) -> str:
    """Return the overview as a markdown table."""
    lines = [
        "| table | n x p, d | decay; steps | log-likelihood | FA | gap | FA | R2 | FA "
        "| PCA | agreement | PCA | linear | best linear method | 5-NN "
        "| best linear method |",
        "|---" * 16 + "|",
    ]
    for row in overview(results).itertuples():
        decays = sorted({float(v) for v in row.decay.split()})
        pairs = [
            (row.likelihood, row.FA),
            (row.gap, row.FA_gap),
            (row.R2, row.FA_R2, row.PCA_R2),
            (row.agreement, row.PCA_agreement),
            (row.linear, row.best_linear),
            (row.neighbours, row.best_neighbours),
        ]
        cells = [
            str(row.Index),
            f"{row.samples:,} x {row.features:,}, {row.components}",
            f"{', '.join(f'{v:g}' for v in decays)}; {row.steps:,.0f}",
            *(short(value) for pair in pairs for value in pair),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def by_method(results: pd.DataFrame) -> str:
    """Return a markdown table of medians over tables, a column for each method.

    Factor analysis has a density without limit where a feature is nearly constant in
    the training samples, and a mean would be that of such a table.
    """
    n_tables = results.groupby("method")["table"].nunique()
    complete = set(n_tables.index[n_tables == n_tables[OURS]])
    methods = [name for name in real.METHODS if name in complete]
    header = f"| median over tables | {' | '.join(methods)} |"
    lines = [header, "|---" * (len(methods) + 1) + "|"]
    for measure, name in NAMES.items():
        means = by_split(results, measure).groupby("table", sort=False).mean()
        # A rotation does not change these, and cancels digits where noise is small.
        if measure in ("test", "r2"):
            means = means.drop(columns="FactorAnalysis, varimax", errors="ignore")
        means = means.dropna(subset=[OURS]).dropna(axis=1)  # of all tables, or not
        cells = means.median().reindex(methods)
        lines.append(f"| {name} ({len(means)}) | {' | '.join(map(short, cells))} |")
    return "\n".join(lines)


def short(value: float) -> str:
    """Return a number with two digits after the point, without a leading zero."""
    if np.isnan(value):
        return ""
    if abs(value) > 1e4:
        return f"{value:.0e}"
    text = f"{value:.2f}"
    if abs(value) < 0.995:
        text = text.replace("0.", ".")
    return "0" if text in (".00", "-.00") else text


def accuracy_lines(results: pd.DataFrame, others, name: str) -> list[str]:
    """Return the comparisons of held-out accuracies with the best of others."""
    lines = []
    for measure in ("linear", "neighbours"):
        found = differences(results, measure, others)
        if found.empty:
            continue
        tables = found.index.get_level_values("table")
        means = found.groupby(tables, sort=False).mean()
        parts = [found[tables == table].to_numpy() for table in means.index]
        p_values = holm(np.array([loss_p_value(part) for part in parts]))
        worse = [t for t, p in zip(means.index, p_values, strict=True) if p < LEVEL]
        lines.append(
            f"{NAMES[measure]}, less {name}: {interval(means)}; "
            f"significantly worse: {', '.join(worse) or 'none'}"
        )
    return lines


def comparisons(results: pd.DataFrame) -> str:
    """Return the comparisons with linear methods, one line each."""
    table = overview(results)
    likelihood = table["likelihood"] - table["FA"]
    fa, pca = table["R2"] - table["FA_R2"], table["R2"] - table["PCA_R2"]
    agreed = table["agreement"] - table["PCA_agreement"]
    is_wide = table["gap"] > 1.5 * table["FA_gap"]
    behind = pca[pca < -0.05]
    lines = [
        f"log-likelihood less FactorAnalysis', nats per column: median "
        f"{likelihood.median():+.3f} of {len(table)} tables; lowest "
        f"{likelihood.min():+.3f} "
        f"({likelihood.idxmin()}); above in {(likelihood > 0).mean():.0%}",
        f"gap of training and held-out samples above 1.5 times FactorAnalysis': "
        f"{is_wide.sum()} of {len(table)}; median {table['gap'].median():.3f} and "
        f"{table['FA_gap'].median():.3f}",
        f"R2 less FactorAnalysis': {interval(fa)}; lowest {fa.min():+.3f} "
        f"({fa.idxmin()})",
        f"R2 less PCA's: {interval(pca)}; above in {(pca > 0).mean():.0%}; lower by "
        f"more than .05: "
        + (", ".join(f"{k} {v:+.3f}" for k, v in behind.items()) or "none"),
        f"agreement of bootstrap samples less PCA's: {interval(agreed)}",
    ]
    lines += accuracy_lines(results, LINEAR, "the best linear method's")
    lines += accuracy_lines(results, ["UMAP"], "UMAP's")
    return "\n".join(lines)


def effect_of_gamma(results: pd.DataFrame) -> str:
    """Return what FactorVAE changes beside the VAE (gamma = 0), one line a measure."""
    lines = []
    for measure in ("test", "r2", "agreement", "linear", "neighbours"):
        found = differences(results, measure, ["VAE"])
        if found.empty:
            continue
        tables = found.index.get_level_values("table")
        means = found.groupby(tables, sort=False).mean()
        parts = [found[tables == table].to_numpy() for table in means.index]
        changed = [
            f"{name} {part.mean():+.3f}"
            for name, part in zip(means.index, parts, strict=True)
            if len(part) > 1
            and 2 * min(loss_p_value(part), loss_p_value(-part)) < LEVEL
        ]
        lines.append(
            f"{NAMES[measure]}, FactorVAE less VAE: {interval(means)}; "
            f"p < {LEVEL}, uncorrected: {', '.join(changed) or 'none'}"
        )
    return "\n".join(lines)


def draw(results: pd.DataFrame, path: Path = FIGURE) -> None:
    """Draw likelihood and R2 less those of linear methods, table by table."""
    import matplotlib.pyplot as plt

    table = overview(results)
    place = np.arange(len(table))
    is_aside = table.index.isin(real_tables.SET_ASIDE)
    colours = np.where(is_aside, "C1", "C0")
    figure, axes = plt.subplots(
        1, 2, figsize=(9, 0.25 * len(table) + 1.2), sharey=True, layout="constrained"
    )
    likelihood = (table["likelihood"] - table["FA"]).clip(-1, 1)
    axes[0].barh(place, likelihood, color=colours)
    axes[0].set_xlabel(
        "log-likelihood less FactorAnalysis',\nnats per column (-1 to 1)"
    )
    axes[1].barh(place, table["R2"] - table["PCA_R2"], color=colours)
    axes[1].set_xlabel("explained variance less PCA's\n")
    axes[0].set_yticks(place, table.index)
    axes[0].invert_yaxis()
    for ax in axes:
        ax.axvline(0, color="0.3", linewidth=0.8)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def update_page(results: pd.DataFrame) -> None:
    """Write the tables and comparisons between their marks on the page."""
    is_aside = results["table"].isin(real_tables.SET_ASIDE)
    blocks = {
        "set aside": markdown(results[is_aside]),
        "tuning": markdown(results[~is_aside]),
        "comparisons set aside": bullets(comparisons(results[is_aside])),
        "comparisons tuning": bullets(comparisons(results[~is_aside])),
        "gamma": bullets(effect_of_gamma(results)),
        "methods set aside": by_method(results[is_aside]),
        "methods tuning": by_method(results[~is_aside]),
    }
    for name, text in blocks.items():
        write_block(PAGE, name, text)
    write_block(README, "real tables", blocks["methods set aside"])


def bullets(lines: str) -> str:
    """Return lines as a markdown list."""
    return "\n".join(f"- {line}" for line in lines.splitlines())


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--role", choices=("tuning", "set-aside", "all"), default="all")
    parser.add_argument("--page", action="store_true", help="update the page, too")
    parser.add_argument("--draw", action="store_true", help="write the figure, too")
    arguments = parser.parse_args()
    results = real.stored()
    roles = {
        "tuning": real_tables.TUNING,
        "set-aside": real_tables.SET_ASIDE,
        "all": real_tables.TABLES,
    }
    is_wanted = results["table"].isin(list(roles[arguments.role]))
    fitted = results.loc[results["method"] == OURS, "table"]
    results = results[is_wanted & results["table"].isin(fitted)]
    table = overview(results)
    print(table.to_string(float_format=lambda v: f"{v:.3f}", na_rep=""))
    print(by_method(results))
    print(comparisons(results))
    print(effect_of_gamma(results))
    if arguments.page:
        update_page(results)
    if arguments.draw:
        draw(results)


if __name__ == "__main__":
    main()
