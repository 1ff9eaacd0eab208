"""Time the metrics beside plain reference loops, in one run, on one thread.

Run it as ``python benchmarks/metrics_time.py``. Each row times our function and a loop
that computes the same for one pair, one vote or one factor at a time, on 10,000
samples, 10 codes and 5 factors; the last column is the largest difference of the
results. Votes are random, so that their results are compared in distribution: the
difference is also given in binomial standard errors. ``--memory`` (default;
``--no-memory`` to omit) then measures the mutual-information family on 1,000,000
samples, 50 codes and 10 factors.
"""

# ruff: noqa: E402  (the number of threads must be set before numpy loads)

import os

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"

import argparse
import time
import tracemalloc

import numpy as np
from sklearn.feature_selection import mutual_info_classif
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import mutual_info_score

from skfactorvae import metrics
from skfactorvae.metrics._infomec import neighbor_information
from skfactorvae.metrics._validation import check_table

N, D, K, N_BINS = 10_000, 10, 5, 20
N_TRAIN, N_EVAL, BATCH = 10_000, 5_000, 64
TARGETS = {"mutual information": 15, "votes": 8, "InfoMEC": 6}


def make_table(levels, n=N, n_codes=D, seed=0):
    """Return factors with the given levels, and codes half informative, half noise."""
    rng = np.random.default_rng(seed)
    factors = np.column_stack([rng.integers(v, size=n) for v in levels])
    codes = rng.normal(size=(n, n_codes))
    for d in range(min(len(levels), n_codes)):
        codes[:, d] += 3.0 * factors[:, d] / levels[d]
    return factors, codes


# The references: scikit-learn and plain loops.


def loop_bins(codes):
    binned = np.zeros(codes.shape, dtype=int)
    for d in range(codes.shape[1]):
        edges = np.histogram(codes[:, d], N_BINS)[1][:-1]
        binned[:, d] = np.digitize(codes[:, d], edges)
    return binned


def loop_matrix(left, right):
    matrix = np.zeros((left.shape[1], right.shape[1]))
    for d in range(left.shape[1]):
        for k in range(right.shape[1]):
            matrix[d, k] = mutual_info_score(left[:, d], right[:, k])
    return matrix


def loop_mig(factors, codes):
    matrix = loop_matrix(loop_bins(codes), factors)
    entropy = [mutual_info_score(factors[:, k], factors[:, k]) for k in range(K)]
    ordered = np.sort(matrix, axis=0)
    return np.mean((ordered[-1] - ordered[-2]) / entropy)


def loop_modularity(factors, codes):
    matrix = loop_matrix(loop_bins(codes), factors)
    scores = []
    for row in matrix:
        others = np.delete(row, row.argmax())
        scores.append(1 - (others**2).sum() / (row.max() ** 2 * len(others)))
    return np.mean(scores)


def loop_code_information(factors, codes):
    binned = loop_bins(codes)
    matrix = loop_matrix(binned, binned)
    np.fill_diagonal(matrix, 0)
    return matrix.sum() / (D * (D - 1))


def loop_factor_vae(factors, codes):
    rng = np.random.RandomState(0)
    spread = codes.var(axis=0, ddof=1)
    counts = np.zeros((D, K))
    for _ in range(N_TRAIN):
        k, rows = loop_batch(factors, rng)
        counts[(codes[rows].var(axis=0, ddof=1) / spread).argmin(), k] += 1
    rule = counts.argmax(axis=1)
    hits = 0
    for _ in range(N_EVAL):
        k, rows = loop_batch(factors, rng)
        hits += rule[(codes[rows].var(axis=0, ddof=1) / spread).argmin()] == k
    return hits / N_EVAL


def loop_batch(factors, rng):
    k = rng.randint(K)
    value = factors[rng.randint(len(factors)), k]
    return k, rng.choice(ROWS_OF[k][value], BATCH)


def loop_beta_vae(factors, codes):
    rng = np.random.RandomState(0)
    unit = codes / codes.std(axis=0)
    x, y = loop_points(factors, unit, N_TRAIN, rng)
    model = LogisticRegression(max_iter=1000, tol=1e-3).fit(x, y)
    return model.score(*loop_points(factors, unit, N_EVAL, rng))


def loop_points(factors, unit, n_points, rng):
    points, fixed = np.zeros((n_points, D)), np.zeros(n_points, dtype=int)
    for i in range(n_points):
        k = fixed[i] = rng.randint(K)
        left = rng.randint(len(factors), size=BATCH)
        padded, size = PADDED[k]
        value = factors[left, k]
        right = padded[value, (rng.random_sample(BATCH) * size[value]).astype(int)]
        points[i] = np.abs(unit[left] - unit[right]).mean(axis=0)
    return points, fixed


def loop_neighbors(factors, codes):
    matrix = np.zeros((D, K))
    for k in range(K):
        for d in range(D):
            matrix[d, k] = mutual_info_classif(
                codes[:, [d]], factors[:, k], n_neighbors=10, random_state=0
            )[0]
    entropy = [mutual_info_score(factors[:, k], factors[:, k]) for k in range(K)]
    return np.clip(matrix / entropy, 0, 1)


def ours_neighbors(factors, codes):
    rng = np.random.RandomState(0)
    return neighbor_information(check_table(factors, codes), 10, 20, "uniform", rng)


raw = {"average": "macro", "adjusted": False}
PAIRS = [
    (
        "MIG",
        "mutual information",
        metrics.mutual_info_gap_score,
        loop_mig,
        11,
        None,
    ),
    (
        "modularity",
        "mutual information",
        lambda y, z: metrics.modularity_score(y, z, **raw),
        loop_modularity,
        11,
        None,
    ),
    (
        "code mutual information",
        "mutual information",
        lambda y, z: metrics.code_mutual_info(z),
        loop_code_information,
        11,
        None,
    ),
    ("FactorVAE", "votes", metrics.factor_vae_score, loop_factor_vae, 5, N_EVAL),
    ("BetaVAE", "votes", metrics.beta_vae_score, loop_beta_vae, 3, N_EVAL),
    ("InfoMEC information", "InfoMEC", ours_neighbors, loop_neighbors, 3, None),
]
ROWS_OF: list[dict] = []
PADDED: list[
    tuple
] = []  # per factor, the samples of each level, padded, and their numbers


def best_time(function, factors, codes, repeats):
    """Return (minimum of the seconds, last result): other load only adds time."""
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        result = function(factors, codes)
        seconds.append(time.perf_counter() - start)
    return min(seconds), result


def difference(ours, loop, n_votes):
    """Return the largest difference, in standard errors too if results are votes."""
    gap = np.max(np.abs(np.asarray(ours) - np.asarray(loop)))
    if n_votes is None:
        return f"{gap:.0e}"
    p = (ours + loop) / 2
    error = np.sqrt(2 * max(p * (1 - p), 1e-12) / n_votes)
    return f"{gap:.4f} ({gap / error:.1f} s.e.)"


def pad(rows_of):
    """Return the samples of each level, padded with zeros, and their numbers."""
    size = np.array([len(rows_of[v]) for v in sorted(rows_of)])
    padded = np.zeros((len(size), size.max()), dtype=int)
    for v, rows in enumerate(rows_of[v] for v in sorted(rows_of)):
        padded[v, : len(rows)] = rows
    return padded, size


def compare(levels):
    factors, codes = make_table(levels)
    ROWS_OF[:] = [
        {v: np.flatnonzero(column == v) for v in np.unique(column)}
        for column in factors.T
    ]
    PADDED[:] = [pad(rows_of) for rows_of in ROWS_OF]
    print(f"\n{N} samples, {D} codes, {K} factors of {levels} levels")
    print(
        f"{'metric':<26}{'loop ms':>10}{'ours ms':>10}{'ratio':>8}{'target':>8}  equal"
    )
    for name, family, ours, loop, repeats, n_votes in PAIRS:
        our_time, our_value = best_time(ours, factors, codes, repeats)
        loop_time, loop_value = best_time(loop, factors, codes, min(repeats, 3))
        print(
            f"{name:<26}{1e3 * loop_time:>10.1f}{1e3 * our_time:>10.1f}"
            f"{loop_time / our_time:>8.1f}{TARGETS[family]:>8}"
            f"  {difference(our_value, loop_value, n_votes)}"
        )


def time_dci(levels):
    """Time the estimators of DCI on 3,000 samples; their scores are not comparable."""
    factors, codes = make_table(levels, n=3000)
    print("\nDCI on 3,000 samples: scores of different estimators are not comparable")
    for name in ("gradient_boosting", "random_forest", "extra_trees", "mutual_info"):
        start = time.perf_counter()
        found = metrics.dci_scores(factors, codes, estimator=name)
        seconds = time.perf_counter() - start
        print(
            f"{name:<26}{seconds:>8.1f} s   D {found.disentanglement:.3f}"
            f"  C {found.completeness:.3f}  I {found.informativeness:.3f}"
        )


def measure(name, *data):
    """Return (name, seconds, peak of the allocated memory in bytes)."""
    start = time.perf_counter()
    getattr(metrics, name)(*data)
    seconds = time.perf_counter() - start
    tracemalloc.start()
    getattr(metrics, name)(*data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return name, seconds, peak


def memory():
    """Print the time and memory of the mutual-information family on a large table."""
    rng = np.random.default_rng(0)
    codes = rng.normal(size=(1_000_000, 50))
    factors = rng.integers(10, size=(1_000_000, 10)).astype(float)
    factors[:, 0] += rng.normal(size=1_000_000)
    size = codes.nbytes + factors.nbytes
    print(
        "\n1,000,000 samples, 50 codes, 10 factors: memory in multiples of the input,"
    )
    print(f"which is {size / 2**20:.0f} MiB")
    print(f"{'metric':<30}{'seconds':>8}{'added':>12}{'total':>9}")
    names = ("mutual_information_matrix", "mutual_info_gap_score", "modularity_score")
    for name in (*names, "mig_sup_score", "dcimig_score", "jemmig_score"):
        show(*measure(name, factors, codes), size)
    show(*measure("code_mutual_info", codes), size)


def show(name, seconds, peak, size):
    print(f"{name:<30}{seconds:>8.1f}{peak / size:>12.2f}{1 + peak / size:>9.2f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--memory", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--dci", action=argparse.BooleanOptionalAction, default=False)
    options = parser.parse_args()
    for levels in ([10] * 5, [3, 6, 40, 32, 32]):
        compare(levels)
    if options.dci:
        time_dci([3, 4, 5])
    if options.memory:
        memory()


if __name__ == "__main__":
    main()
