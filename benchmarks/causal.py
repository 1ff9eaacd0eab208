"""Compare interventions of CausalVAE with those of the simulator of a pendulum.

``make_pendulum_shadow`` draws a pendulum, a light, and the shadow that follows from
both: the scene of CausalVAE (Yang et al. 2021). Attributes are the angle, the light,
and length and position of the shadow. The model is fitted to 2,000 images; on 500
others, one attribute is set to that of another image, and the result is compared with

- what the simulator draws, if a cause is set: R2 of length and position of the shadow,
  both the attributes that the model returns and those measured in its images, relative
  to the images that the simulator draws;
- the image before, if the shadow is set: R2 of the pixels above the ground, where the
  pendulum and the light are. Angle and light as attributes are equal by construction.

The graph that is estimated from labels, before any step of training, is compared with
the true one by the structural Hamming distance: edges to add, to remove or to turn.

    python benchmarks/causal.py --help
"""

from __future__ import annotations

import argparse
import csv
import time
import warnings
from pathlib import Path

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import r2_score
from sklearn.utils.parallel import Parallel, delayed

from skfactorvae import CausalVAETransformer
from skfactorvae.datasets import make_pendulum_shadow

RESULTS = Path(__file__).parent / "results"
NAMES = ("angle", "light", "shadow_length", "shadow_position")
GRAPH = np.array([[0, 0, 1, 1], [0, 0, 1, 1], [0, 0, 0, 0], [0, 0, 0, 0]])
FITTED, JUDGED = 2000, 500
GROUND_ROWS = slice(-2, None)
"""Rows of an image of 16 x 16 pixels that show the shadow."""

METHODS = {
    "graph given": {"graph": GRAPH},
    "a tenth labelled": {"graph": GRAPH},
    "no graph": {"graph": None},
}
COLUMNS = (
    "method",
    "seed",
    "steps",
    "attributes",
    "length",
    "position",
    "measured_length",
    "measured_position",
    "above_ground",
    "seconds",
)
SET = {"angle": 0, "light": 1}


# ------------------------------------------------------------------------- pictures
def scene(n, seed=None, factors=None):
    """Return images (n, 256), without noise, and the four attributes (n, 4)."""
    found = make_pendulum_shadow(
        n, image_size=16, factors=factors, return_bunch=True, random_state=seed
    )
    shadow = found.shadow_length, found.shadow_position
    return found.data, np.column_stack([found.factors, *shadow])


def measured_shadow(images):
    """Return length and position of the shadow by the brightness of the ground."""
    ground = images.reshape(-1, 16, 16)[:, GROUND_ROWS].sum(axis=1)  # (n, 16)
    ground = np.clip(ground, 0, None)
    total = ground.sum(axis=1)
    centre = ground @ np.arange(16) / np.maximum(total, 1e-6)
    return np.column_stack([total, centre])


def above_ground(images):
    return images.reshape(-1, 16, 16)[:, : GROUND_ROWS.start].reshape(len(images), -1)


# --------------------------------------------------------------------- measurements
def fitted(method, seed, steps):
    """Return the model that is fitted to noisy images and their attributes."""
    images, attributes = scene(FITTED, seed=seed)
    rng = np.random.default_rng(seed)
    X = images + rng.normal(scale=0.02, size=images.shape)
    labels = attributes.copy()
    if method == "a tenth labelled":
        labels[rng.permutation(FITTED)[FITTED // 10 :]] = np.nan
    model = CausalVAETransformer(random_state=seed, max_iter=steps, **METHODS[method])
    return model.fit(X, labels)


def measure(method, seed, steps):
    """Return one row of results."""
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = fitted(method, seed, steps)
    seconds = time.perf_counter() - start
    X, attributes = scene(JUDGED, seed=10_000 + seed)
    X = X + np.random.default_rng(seed).normal(scale=0.02, size=X.shape)
    own = r2_score(attributes, model.predict_attributes(X), multioutput="raw_values")
    found = {"attributes": own.min(), **causes_set(model, X, attributes)}
    found["above_ground"] = effects_set(model, X, attributes)
    return {
        "method": method,
        "seed": seed,
        "steps": steps,
        **found,
        "seconds": round(seconds, 1),
    }


def causes_set(model, X, attributes):
    """Return R2 of the shadow after angle or light was set, the lower of both."""
    r2 = []
    for j in SET.values():
        values = np.roll(attributes[:, j], 1)
        factors = attributes[:, :2].copy()
        factors[:, j] = values
        images, expected = scene(len(X), factors=factors)
        after, found = model.intervene({j: values}, X, return_attributes=True)
        each = {"multioutput": "raw_values"}
        by_attributes = r2_score(expected[:, 2:], found[:, 2:], **each)
        by_images = r2_score(measured_shadow(images), measured_shadow(after), **each)
        r2.append([*by_attributes, *by_images])
    names = "length", "position", "measured_length", "measured_position"
    return dict(zip(names, np.min(r2, axis=0), strict=True))


def effects_set(model, X, attributes):
    """Return R2 of the pixels above the ground after the shadow was set, the lower."""
    before = above_ground(model.inverse_transform(model.transform(X)))
    r2 = []
    for j in (2, 3):
        after = model.intervene({j: np.roll(attributes[:, j], 1)}, X)
        error = ((above_ground(after) - before) ** 2).sum()
        r2.append(1 - error / ((before - before.mean(axis=0)) ** 2).sum())
    return min(r2)


def learned_distance(seed):
    """Return how far the graph that is estimated from labels is from the true one."""
    images, attributes = scene(FITTED, seed=seed)
    model = CausalVAETransformer(4, graph="learn", max_iter=1, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return hamming_distance(model.fit(images, attributes).graph_, GRAPH)


def hamming_distance(found, true):
    """Return how many edges of one graph are absent, added or turned in another."""
    differs = (found != true) | (found.T != true.T)
    return int((np.triu(differs | differs.T, 1)).sum())


# -------------------------------------------------------------------------- results
def read(path):
    """Return the stored rows, numbers as floats."""
    with path.open(newline="") as file:
        return [
            {k: v if k == "method" else float(v) for k, v in row.items()}
            for row in csv.DictReader(file)
        ]


def write(rows, path):
    order = list(METHODS)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        for row in sorted(rows, key=lambda r: (order.index(r["method"]), r["seed"])):
            writer.writerow(
                {
                    k: v if isinstance(v, str) else float(f"{v:.4g}")
                    for k, v in row.items()
                }
            )


def report(rows):
    """Print means over seeds, and the least value in brackets."""
    shown = COLUMNS[3:-1]
    print("| method | seeds | " + " | ".join(shown) + " |")
    print("|---" * (len(shown) + 2) + "|")
    for method in METHODS:
        own = [row for row in rows if row["method"] == method]
        cells = [cell([row[name] for row in own]) for name in shown if own]
        if own:
            print(f"| {method} | {len(own)} | " + " | ".join(cells) + " |")


def cell(values):
    return f"{np.mean(values):.3f} ({np.min(values):.3f})"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=METHODS)
    parser.add_argument("--seeds", type=int, default=5, help="tables and fits")
    parser.add_argument("--steps", type=int, default=5000, help="max_iter")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--out", type=Path, default=RESULTS / "causal.csv")
    parser.add_argument("--learned", action="store_true", help="estimate the graph")
    parser.add_argument("--stored", action="store_true", help="print what is stored")
    options = parser.parse_args()
    if options.learned:
        distances = [learned_distance(seed) for seed in range(options.seeds)]
        print(f"structural Hamming distances of {options.seeds} tables: {distances}")
        return
    if not options.stored:
        rows = read(options.out) if options.out.exists() else []
        tasks = [(m, s) for m in options.methods for s in range(options.seeds)]
        results = Parallel(n_jobs=options.jobs, return_as="generator_unordered")(
            delayed(measure)(method, seed, options.steps) for method, seed in tasks
        )
        for new in results:
            key = new["method"], new["seed"]
            rows = [r for r in rows if (r["method"], r["seed"]) != key] + [new]
            write(rows, options.out)
            print(new, flush=True)
    report(read(options.out))


if __name__ == "__main__":
    main()
