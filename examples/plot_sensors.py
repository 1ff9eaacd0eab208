"""
Sensor log: describing components in the units of the columns
=============================================================

A simulated log of a machine has thirteen columns: amperes, watts, degrees, revolutions,
an alarm, a mode, a count of errors. The units differ, entries are missing, and one
column is independent of the machine. Four factors generate the rest: load, ambient
temperature, wear and gear. The example describes five components in sentences, and
writes an interactive page for readers who do not use Python.
"""

# %%
# The log
# -------
#
# Five percent of the entries are missing. A pipeline imputes medians and standardizes
# all columns before the model; descriptions are in the original units again. Positive,
# skewed columns are replaced by their logarithms.

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skfactorvae import FactorVAETransformer
from skfactorvae.datasets import make_sensor_table
from skfactorvae.inspection import FactorMatrixDisplay, explore, factor_table

log = make_sensor_table(
    1500, missing_rate=0.05, return_bunch=True, as_frame=True, random_state=0
)
X = log.data.astype(float)
for column in ("power", "vib_rms", "vib_peak", "rpm"):
    X[f"log_{column}"] = np.log(X.pop(column))
print(X.head(3).round(2).T.to_string())

# %%
# Five components of thirteen columns
# -----------------------------------

pipe = make_pipeline(
    SimpleImputer(strategy="median"),
    StandardScaler(),
    FactorVAETransformer(
        n_components=5,
        hidden_layer_sizes=(64, 64),
        discriminator_hidden_layer_sizes=(64, 64),
        max_iter=1200,
        random_state=0,
    ),
).set_output(transform="default")
pipe.fit(X)
table = factor_table(pipe, X)
print(table)

# %%
# Each sentence gives the change of the columns, in their units, when a component goes
# from the 2.5 % to the 97.5 % quantile of its codes and the others stay constant.
# ``share`` is the share of a column's variance that a component explains on its own. A
# component that represents a factor of the machine changes several columns. The door is
# opened at random, independently of everything else, and a model with more components
# than needed may use one for that column alone; other columns then follow it by chance.

for j, share in enumerate(table.share):
    moved = [name for name, s in zip(X, share, strict=True) if s > 0.1]
    print(f"component {j} changes {len(moved)} columns: {', '.join(moved)}")

# %%
# Explained variance, and the known factors
# -----------------------------------------
#
# Left: the explained share of each column's variance. Right, possible in a simulation
# only: the normalised mutual information of each component with each factor. The rows
# of both are the five components.

names = list(X)
figure, axes = plt.subplots(
    1, 2, figsize=(9.5, 3.9), width_ratios=(13, 5), layout="constrained"
)
image = axes[0].imshow(table.share, vmin=0, vmax=1, cmap="cividis", aspect="auto")
axes[0].set_xticks(range(len(names)), names, rotation=55, ha="right")
axes[0].set(yticks=range(5), ylabel="component", title="Share of a column's variance")
figure.colorbar(image, ax=axes[0])
FactorMatrixDisplay.from_codes(
    log.factors, pipe.transform(X), factor_names=list(log.factors)
).plot(axes[1])
plt.show()

# %%
# An interactive page
# -------------------
#
# One file with a slider for each component, which needs neither Python nor a network
# connection and can be operated by keyboard (Tab and the arrow keys). It contains no
# samples of the log.


class Embedded:
    """Show a page inside this page."""

    def __init__(self, path):
        self.content = Path(path).read_text("utf-8")

    def _repr_html_(self):
        safe = self.content.replace("&", "&amp;").replace('"', "&quot;")
        return (
            '<iframe title="A page with a slider for each component" class="explored" '
            f'loading="lazy" srcdoc="{safe}"></iframe>'
        )


with tempfile.TemporaryDirectory() as folder:
    page = explore(
        pipe, X, Path(folder) / "machine.html", title="Components of the machine's log"
    )
    embedded = Embedded(page.path)
embedded
