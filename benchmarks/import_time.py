"""Time imports of the package beside those of scikit-learn, in fresh processes.

Run it as ``python benchmarks/import_time.py``. Each line is the median of several
processes, the start of Python subtracted; ``--repeats`` sets their number. The package
without an estimator should take at most .5 s more than ``sklearn.decomposition``; the
first estimator imports torch.
"""

import argparse
import statistics
import subprocess
import sys
import time

STATEMENTS = (
    "import sklearn",
    "import sklearn.decomposition",
    "import torch",
    "import skfactorvae",
    "import skfactorvae.metrics",
    "import skfactorvae.datasets",
    "import skfactorvae.inspection",
    "import skfactorvae.model_selection",
    "from skfactorvae import FactorVAETransformer",
)
BASELINE = "import sklearn.decomposition"


def seconds(statement):
    """Return the wall-clock time of one process that runs a statement."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", statement], check=True)
    return time.perf_counter() - start


def measure(statements, repeats):
    """Return each statement's median time in seconds, without that of Python's start.

    The statements take turns, so that a busy period does not fall on one of them.
    """
    times = {statement: [] for statement in ("pass", *statements)}
    for _ in range(repeats + 1):
        for statement, found in times.items():
            found.append(seconds(statement))
    # The first round reads the files from disk.
    medians = {s: statistics.median(found[1:]) for s, found in times.items()}
    start = medians.pop("pass")
    return {statement: value - start for statement, value in medians.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--repeats", type=int, default=5, help="processes a line")
    found = measure(STATEMENTS, parser.parse_args().repeats)
    print("| statement | seconds | beyond scikit-learn |\n|---|---|---|")
    for statement, value in found.items():
        print(f"| `{statement}` | {value:.2f} | {value - found[BASELINE]:+.2f} |")


if __name__ == "__main__":
    main()
