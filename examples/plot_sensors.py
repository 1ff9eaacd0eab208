"""
What a machine's log knows, in sentences
========================================

A log of thirteen columns: amperes, watts, degrees, revolutions, an alarm, a mode, a
count of errors. No two columns share a unit, entries are missing, and one column has
nothing to do with the machine. Three causes and a gear are behind it. The result is a
table of sentences, and a page to send to the person who knows the machine.
"""

# %%
# The log
# -------
#
# Five entries in a hundred are missing. A pipeline fills them with medians and brings
# all columns to one scale before the model sees them; what comes back is in amperes and
# degrees again. Positive, skewed columns go in as logarithms, which the engineer can
# read too.

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
# Five factors for thirteen columns
# ---------------------------------

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
# Each sentence goes from two standard deviations below a factor's mean to two above,
# with the others held still, in the units of the columns. ``share`` is how much of a
# column's variance a factor explains on its own. Count the columns that a factor moves
# before giving it a name: a cause shows in several. The door is open at random,
# whatever the machine does, and a model with a factor to spare may spend it on that. It
# is independent of all else, as it was asked to be, and explains nothing; what else
# moves with the door does so by coincidence.

for j, share in enumerate(table.share):
    moved = [name for name, s in zip(X, share, strict=True) if s > 0.1]
    print(f"factor {j} moves {len(moved)}: {', '.join(moved)}")

# %%
# The picture to keep
# -------------------
#
# Shares of all columns, and beside them what we are in the position to check here: how
# much of the entropy of each cause the factors know. The rows are the same five; the
# matrix calls them codes.

names = list(X)
figure, axes = plt.subplots(
    1, 2, figsize=(9.5, 3.9), width_ratios=(13, 5), layout="constrained"
)
image = axes[0].imshow(table.share, vmin=0, vmax=1, cmap="cividis", aspect="auto")
axes[0].set_xticks(range(len(names)), names, rotation=55, ha="right")
axes[0].set(yticks=range(5), ylabel="factor", title="Share of a column's variance")
figure.colorbar(image, ax=axes[0])
FactorMatrixDisplay.from_codes(
    log.factors, pipe.transform(X), factor_names=list(log.factors)
).plot(axes[1])
plt.show()

# %%
# A page for the engineer
# -----------------------
#
# One file, with a slider for each factor, that needs no Python and no network. Tab and
# the arrow keys reach everything in it. It holds no rows of the log.


class Embedded:
    """A page within this page."""

    def __init__(self, path):
        self.content = Path(path).read_text("utf-8")

    def _repr_html_(self):
        safe = self.content.replace("&", "&amp;").replace('"', "&quot;")
        return (
            '<iframe title="A page with a slider for each factor" class="explored" '
            f'loading="lazy" srcdoc="{safe}"></iframe>'
        )


with tempfile.TemporaryDirectory() as folder:
    page = explore(
        pipe, X, Path(folder) / "machine.html", title="What the machine's factors do"
    )
    embedded = Embedded(page.path)
embedded
