"""Record what small fits of every estimator come to, and compare two records.

Meant for changes that should change nothing: record before, compare after.

    python benchmarks/fingerprint.py --save before.npz
    python benchmarks/fingerprint.py --compare before.npz

For each public estimator and each case (dense, convolutional, Bernoulli, weighted,
early stopping, warm start, groups, labels, user modules, double precision, a batched
search, several seeds) the values of codes, posterior standard deviations,
reconstruction, score and history are hashed. Names do not enter a hash: a renamed
history key or attribute leaves the record as it is. The hashes depend on the processor
and on the version of torch, so that records are compared on one machine and are not
stored in the repository.
"""

import argparse
import hashlib
import inspect
import sys
import warnings
from functools import partial

import numpy as np
import torch
from sklearn.base import TransformerMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import KFold
from torch import nn

import skfactorvae
from skfactorvae.model_selection import BatchedGridSearchCV, SeedEnsemble

N_ROWS, N_FEATURES = 120, 6
IMAGE_SHAPE = (1, 8, 8)


def make_table(n_features=N_FEATURES):
    """Return rows (n, p) and labels (n, 2): a discrete and a continuous attribute."""
    rng = np.random.RandomState(0)
    sources = rng.uniform(-1, 1, size=(N_ROWS, 3))
    rows = np.tanh(sources @ rng.normal(size=(3, n_features)))
    rows += 0.1 * rng.normal(size=rows.shape)
    labels = np.column_stack([sources[:, 0] > 0, sources[:, 1]]).astype(float)
    labels[::3, 0] = labels[1::3, 1] = np.nan
    return rows * np.arange(1, n_features + 1) + 5, labels


def make_images():
    """Return images in [0, 1], flattened, (n, 64)."""
    rows, _ = make_table(int(np.prod(IMAGE_SHAPE)))
    low, high = rows.min(axis=0), rows.max(axis=0)
    return np.clip((rows - low) / (high - low), 0, 1)


def own_modules(n_features, n_components):
    """Return an encoder and a decoder as a user would write them."""
    encoder = nn.Sequential(
        nn.Linear(n_features, 8), nn.Tanh(), nn.Linear(8, 2 * n_components)
    )
    decoder = nn.Sequential(
        nn.Linear(n_components, 8), nn.Tanh(), nn.Linear(8, n_features)
    )
    return encoder, decoder


def estimators():
    """Return the public transformers by name."""
    found = {name: getattr(skfactorvae, name) for name in skfactorvae.__all__}
    return {
        name: cls
        for name, cls in found.items()
        if inspect.isclass(cls) and issubclass(cls, TransformerMixin)
    }


def small(cls, **parameters):
    """Return a small estimator, or None if it does not take a parameter."""
    common = {
        "n_components": 4,
        "hidden_layer_sizes": (16,),
        "discriminator_hidden_layer_sizes": (16,),
        "max_iter": 60,
        "batch_size": 32,
        "random_state": 0,
        "verbose": 0,
    }
    known = inspect.signature(cls).parameters
    if not set(parameters) <= set(known):
        return None
    if callable(parameters.get("network")) and not takes_modules(cls):
        return None
    common = {k: v for k, v in common.items() if k in known}
    return cls(**{**common, **parameters})


def takes_modules(cls):
    """Tell whether ``network`` may be a function of the user's own."""
    return callable in cls._parameter_constraints["network"]


CASES = {
    "dense": {},
    "ica start": {"init": "ica"},
    "pca start": {"init": "pca"},
    "random start": {"init": "random"},
    "shared noise": {"noise_scale": "shared", "standardize": "global"},
    "fixed noise": {"noise_scale": 0.3},
    "annealed": {"temperature": 5.0},
    "input noise": {"input_noise": 0.5},
    "wide": {},
    "bernoulli": {"likelihood": "bernoulli"},
    "convolutional": {"network": "conv", "image_shape": IMAGE_SHAPE},
    "convolutional bernoulli": {
        "network": "conv",
        "image_shape": IMAGE_SHAPE,
        "likelihood": "bernoulli",
    },
    "own modules": {"network": own_modules},
    "early stopping": {"early_stopping": True, "n_iter_no_change": 10},
    "warm start": {"warm_start": True},
    "weighted": {},
    "float64": {"precision": "float64"},
    "groups": {"groups": (2, 1, 1)},
    "minibatch": {"weighting": "minibatch"},
    "capacity": {"beta": 50.0, "capacity": 3.0},
    "type I": {"dip_type": "I"},
    "uniform prior": {"prior": "uniform", "encoder": "gaussian"},
    "categories": {"n_categories": (3, 2)},
    "sensitive": {"sensitive": 0},
}
"""Parameters of each case; estimators that do not take them are left out of it."""

NEEDS_IMAGES = {"bernoulli", "convolutional", "convolutional bernoulli"}


def rows_of(case):
    """Return the table of a case."""
    if case in NEEDS_IMAGES:
        return make_images()
    return make_table(700 if case == "wide" else N_FEATURES)[0]


def labels_for(estimator):
    """Return labels where an estimator requires them, else None."""
    required = estimator.__sklearn_tags__().target_tags.required
    return make_table()[1] if required else None


def fitted(estimator, case):
    """Fit an estimator as its case asks for."""
    X, y = rows_of(case), labels_for(estimator)
    weight = np.arange(N_ROWS) % 4 if case == "weighted" else None
    if case == "weighted" and y is not None:
        y = y.copy()
        y[:8] = y[8:16]
    estimator.fit(X, y, sample_weight=weight)
    if case == "warm start":
        estimator.fit(X, y)
    return estimator, X


def values_of(estimator, X):
    """Return named arrays that say what a fitted estimator does."""
    codes, std = estimator.posterior(X)
    history = {  # in an order that does not depend on names
        f"history {i}": column
        for i, column in enumerate(
            sorted((np.asarray(c) for c in estimator.history_.values()), key=digest)
        )
    }
    return {
        "codes": codes,
        "std": std,
        "reconstruction": estimator.inverse_transform(codes),
        "score": estimator.score_samples(X),
        "kl": estimator.kl_per_component_,
        "active": estimator.active_components_,
        "sample": estimator.sample(5, random_state=0),
        **history,
    }


def digest(array):
    """Return a hash of an array's values, shape and type."""
    array = np.ascontiguousarray(array)
    head = f"{array.shape} {array.dtype.str} ".encode()
    return hashlib.blake2b(head + array.tobytes(), digest_size=8).hexdigest()


def record_case(cls, case):
    """Return the values of one estimator in one case; nothing if it has no such."""
    estimator = small(cls, **CASES[case])
    return {} if estimator is None else values_of(*fitted(estimator, case))


def record_search(cls):
    """Return what a batched search over latent sizes and a weight comes to."""
    estimator = small(cls)
    weight = next(
        name
        for name in ("gamma", "beta", "lambda_od", "lambda_")
        if name in estimator.get_params()
    )
    grid = {"n_components": [2, 4], weight: [1.0, 8.0]}
    search = BatchedGridSearchCV(estimator, grid, cv=KFold(3))
    X = rows_of("dense")
    search.fit(X, labels_for(estimator))
    best = values_of(search.best_estimator_, X)
    return {"scores": search.cv_results_["mean_test_score"], **best}


def record_ensemble(cls):
    """Return what several seeds of an estimator, fitted as one stack, come to."""
    ensemble = SeedEnsemble(small(cls), n_seeds=3, random_state=0)
    X = rows_of("dense")
    ensemble.fit(X, labels_for(small(cls)))
    return {"codes": ensemble.transform(X), "all": np.hstack(ensemble.transform_all(X))}


def record(only=""):
    """Return all values, by "estimator / case / quantity"."""
    found = {}
    for name, cls in estimators().items():
        makers = {case: partial(record_case, cls, case) for case in CASES}
        makers["batched search"] = partial(record_search, cls)
        makers["seed ensemble"] = partial(record_ensemble, cls)
        for case, make in makers.items():
            if only in f"{name} / {case}":
                made = make()
                found |= {f"{name} / {case} / {k}": v for k, v in made.items()}
    return found


def compare(before, after):
    """Print what differs between two records, and return the number of differences."""
    missing, new = before.keys() - after.keys(), after.keys() - before.keys()
    for key in sorted(missing | new):
        print(f"{'missing' if key in missing else 'new':8s} {key}")
    n_different = 0
    for key in sorted(before.keys() & after.keys()):
        a, b = before[key], after[key]
        if digest(a) == digest(b):
            continue
        n_different += 1
        if a.shape != b.shape or a.dtype.kind not in "iuf":
            print(f"differs  {key}: {a.dtype} {a.shape} -> {b.dtype} {b.shape}")
            continue
        scale = max(float(np.abs(a).max(initial=0)), np.finfo(float).tiny)
        change = float(np.abs(a.astype(float) - b.astype(float)).max(initial=0))
        print(f"differs  {key}: by {change:.3g}, {change / scale:.3g} of the largest")
    n_equal = len(before.keys() & after.keys()) - n_different
    print(f"{n_equal} equal, {n_different} different, {len(missing)} missing, ", end="")
    print(f"{len(new)} new")
    return n_different + len(missing) + len(new)


def main():
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--save", metavar="FILE", help="write the record there")
    parser.add_argument("--compare", metavar="FILE", help="compare with this record")
    parser.add_argument(
        "--only", default="", help='cases whose "estimator / case" holds this text'
    )
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    torch.set_num_threads(1)
    found = record(arguments.only)
    if arguments.save:
        np.savez_compressed(arguments.save, **found)
    if arguments.compare:
        with np.load(arguments.compare) as stored:
            before = {k: stored[k] for k in stored.files if arguments.only in k}
        sys.exit(bool(compare(before, found)))
    for key, values in found.items():
        print(f"{digest(values)}  {key}")
    print(f"{digest(np.array(sorted(map(digest, found.values()))))}  all")


if __name__ == "__main__":
    main()
