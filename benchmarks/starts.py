"""Compare the initialisations on tables with known factors or published scales.

    python benchmarks/starts.py            fit what is missing, and store it
    python benchmarks/starts.py --stored   print what is stored
    python benchmarks/starts.py --draw     draw what is stored

``FactorVAETransformer`` with each ``init``, and the initialisation that ``init="auto"``
chooses on the same samples. Simulated tables are those of ``recovery.py``, with ten
components, and questionnaires those of ``simple_structure.py``, with as many components
as scales. The number is the mean absolute rank correlation of each factor, or scale,
with the component matched to it.
"""

from __future__ import annotations

import argparse
import csv
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import recovery
import simple_structure
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import StandardScaler

from skfactorvae import FactorVAETransformer, metrics
from skfactorvae.preparation._initialization import linear_start

RESULTS = Path(__file__).parent / "results" / "starts.csv"
FIGURE = RESULTS.with_suffix(".png")
FIELDS = "table", "kind", "init", "seed", "matched", "chosen"
INITS = {"ica": "FastICA", "pca": "PCA, annealed on curves", "varimax": "varimax"}
SIMULATED = {
    "layers": "mixture",
    "tanh-mixed": "mixture",
    "sensors": "mixture",
    "oscillator": "curve",
    "peaks": "curve",
    "heat": "curve",
}


def simulated(name, init, seed):
    """Return the matched correlation with the factors, and what auto chooses."""
    split = recovery.Split.of(recovery.TABLES[name]())
    X = split.X[split.train]
    model = FactorVAETransformer(
        recovery.N_COMPONENTS, init=init, random_state=seed
    ).fit(X)
    codes = model.transform(split.X[split.scored])
    truth = split.factors[split.scored]
    score = metrics.mean_correlation_score(truth, codes, over="factors")
    return score, chosen(X, recovery.N_COMPONENTS)


def published(name, init, seed):
    """Return the matched correlation with the scales, and what auto chooses."""
    table = simple_structure.TABLES[name]()
    X, d = StandardScaler().fit_transform(table.X), table.scales.shape[1]
    model = FactorVAETransformer(d, init=init, random_state=seed).fit(X)
    return simple_structure.matched(table, model.transform(X)), chosen(X, d)


def chosen(X, n_components):
    """Return the initialisation that ``init="auto"`` takes."""
    rows = StandardScaler().fit_transform(X)
    return linear_start("auto", rows, np.ones(len(rows)), n_components, 0, True).kind


def wanted(n_seeds):
    """Yield table, kind, initialisation and seed of all fits."""
    tables = dict.fromkeys(simple_structure.TABLES, "questionnaire") | SIMULATED
    for seed in range(n_seeds):
        for name, kind in tables.items():
            for init in INITS:
                yield name, kind, init, seed


def stored():
    """Return the stored results; none if there is no file."""
    return pd.read_csv(RESULTS) if RESULTS.exists() else pd.DataFrame(columns=FIELDS)


def fit_missing(n_seeds):
    """Fit what is not stored, and append each result to the file."""
    known = set(stored()[["table", "init", "seed"]].itertuples(index=False, name=None))
    for name, kind, init, seed in wanted(n_seeds):
        if (name, init, seed) in known:
            continue
        measure = simulated if name in SIMULATED else published
        score, auto = measure(name, init, seed)
        row = name, kind, init, seed, round(float(score), 4), auto
        is_new = not RESULTS.exists()
        with RESULTS.open("a", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerows([FIELDS] * is_new + [row])
        print(*row, flush=True)


def means(results):
    """Return the mean over seeds, a row for each table in the order of the fits."""
    table = results.pivot_table("matched", ["kind", "table"], "init", sort=False)
    auto = results.groupby(["kind", "table"], sort=False)["chosen"].first()
    return table[list(INITS)].assign(chosen=auto)


def draw(results):
    """Draw each table's correlation for each initialisation."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    table = means(results).iloc[::-1]
    fig, ax = plt.subplots(figsize=(7, 0.3 * len(table) + 1.2), layout="constrained")
    place = np.arange(len(table))
    ax.hlines(
        place, table[list(INITS)].min(axis=1), table[list(INITS)].max(axis=1), "0.8"
    )
    for (init, label), marker in zip(INITS.items(), "osD", strict=True):
        ax.plot(table[init], place, marker, label=label, ms=6)
    own = [row[row["chosen"]] for _, row in table.iterrows()]
    ax.plot(own, place, "o", ms=13, mfc="none", mec="k", label='chosen by init="auto"')
    ax.set_yticks(place, [f"{name} ({kind})" for kind, name in table.index])
    ax.set_xlabel("matched correlation with known factors or published scales")
    fig.legend(fontsize=8, loc="outside upper center", ncols=2)
    fig.savefig(FIGURE, dpi=100)
    plt.close(fig)


def main():
    """Parse the command line; fit, print or draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stored", action="store_true", help="print what is stored")
    parser.add_argument("--draw", action="store_true", help=f"write {FIGURE.name}")
    parser.add_argument("--seeds", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", ConvergenceWarning)
    if not (options.stored or options.draw):
        fit_missing(options.seeds)
    if options.draw:
        draw(stored())
    print(means(stored()).to_string(float_format=lambda v: f"{v:.2f}"))


if __name__ == "__main__":
    main()
