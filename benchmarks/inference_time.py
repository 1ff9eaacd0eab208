"""Time of a fitted model: one sample beside plain torch, and many samples.

    python benchmarks/inference_time.py
    python benchmarks/inference_time.py --rows 1000000

Milliseconds of wall-clock time for one sample, the fifth percentile of many calls;
seconds of the processor for many samples. One thread, networks of default sizes.
"""

import argparse
import itertools
import time

import numpy as np
import torch

from skfactorvae import FactorVAETransformer

METHODS = ("transform", "score_samples", "posterior", "inverse_transform")


def make_model(n_features, n_components):
    """Return an estimator fitted for one step, and its training samples."""
    X = np.random.default_rng(0).normal(size=(2000, n_features))
    model = FactorVAETransformer(
        n_components, max_iter=1, weight_decay=0.0, random_state=0
    )
    return model.fit(X), X


def milliseconds(function, *arguments, repeats=300):
    """Return the fifth percentile of the wall-clock time of calls."""
    found = []
    for _ in range(repeats):
        start = time.perf_counter()
        function(*arguments)
        found.append(time.perf_counter() - start)
    return 1e3 * float(np.percentile(found, 5))


def seconds(function, *arguments):
    """Return the processor's time of a call."""
    start = time.process_time()
    function(*arguments)
    return time.process_time() - start


def plain_encoder(n_features, n_components):
    """Return an encoder of the same sizes in plain torch, as a function of arrays."""
    sizes = (n_features, 128, 128)
    layers = [
        layer
        for a, b in itertools.pairwise(sizes)
        for layer in (torch.nn.Linear(a, b), torch.nn.SiLU())
    ]
    encoder = torch.nn.Sequential(*layers, torch.nn.Linear(128, 2 * n_components))

    def encode(X):
        with torch.inference_mode():
            return encoder(torch.from_numpy(X.astype(np.float32))).numpy()

    return encode


def main():
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--features", type=int, default=50)
    parser.add_argument("--components", type=int, default=10)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    sizes = arguments.features, arguments.components
    model, X = make_model(*sizes)
    many = np.resize(X, (arguments.rows, arguments.features))
    print(f"| | one sample, ms | {arguments.rows} samples, s |\n|---|---|---|")
    plain = plain_encoder(*sizes)
    one, all_of = milliseconds(plain, X[:1]), seconds(plain, many)
    print(f"| encoder in plain torch | {one:.3f} | {all_of:.2f} |")
    codes = model.transform(many)
    for name in METHODS:
        given = codes if name == "inverse_transform" else many
        method = getattr(model, name)
        one, all_of = milliseconds(method, given[:1]), seconds(method, given)
        print(f"| {name} | {one:.3f} | {all_of:.2f} |")


if __name__ == "__main__":
    main()
