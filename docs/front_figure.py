"""Draw the figure of the front page and of the README: ``python docs/front_figure.py``.

Runs the code of the front page, prints its output, and writes
``docs/_static/front.png``.
"""

import re
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from scipy.stats import spearmanr

HERE = Path(__file__).parent


def run_front_page():
    """Run the front page's code; return its names."""
    page = (HERE / "index.md").read_text("utf-8")
    names = {}
    exec(re.search(r"```python\n(.*?)```", page, re.S)[1], names)
    return names


def heat(ax, values, columns, fmt=None):
    """Draw a matrix with a row per component; print its values if a format is given."""
    image = ax.imshow(values, vmin=0, vmax=1, cmap="Blues", aspect="auto")
    ax.set_xticks(range(len(columns)), columns, rotation=50, ha="right")
    ax.set_yticks(range(len(values)), [f"component {j}" for j in range(len(values))])
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)
    for (j, k), value in np.ndenumerate(values) if fmt else ():
        shade = "white" if value > 0.6 else "0.3"
        ax.text(k, j, format(value, fmt), ha="center", va="center", color=shade, size=8)
    return image


def draw(X, causes, vae, table):
    """Return the figure."""
    n = vae.n_components
    truth = np.abs(spearmanr(vae.transform(X), causes).statistic)[:n, n:]
    plt.rcParams.update({"font.size": 9, "axes.titlesize": 9.5})
    figure, axes = plt.subplots(
        1, 2, figsize=(9, 2.9), width_ratios=(13, 6), layout="constrained"
    )
    image = heat(axes[0], table.share, list(X))
    axes[0].set_title("Fitted model: share of each column's variance")
    heat(axes[1], truth, list(causes), ".2f")
    axes[1].set_title("Rank correlation with the known quantities")
    figure.colorbar(image, ax=axes[1], shrink=0.8)
    return figure


if __name__ == "__main__":
    front = run_front_page()
    table = front["factor_table"](front["vae"], front["X"])
    figure = draw(front["X"], front["causes"], front["vae"], table)
    figure.savefig(HERE / "_static" / "front.png", dpi=130)
