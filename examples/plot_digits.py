"""
Six numbers for a handwritten digit
===================================

Scikit-learn's digits are real: 1,797 images of 8 by 8 pixels, written by 13 people.
Nobody knows their true factors, so there is nothing to score a representation against,
except what one wants it for. Here: six numbers that keep the image, that can be moved
one by one, and that a classifier can use.
"""

# %%
# A convolutional FactorVAE
# -------------------------
#
# Rows are flattened images, so the network is told their shape. All pixels share one
# scale: pixels in the corners are almost always blank, and ``standardize="feature"``
# would blow up the few grey levels they have. A Gaussian noise scale that is learned
# kept more of the image than a Bernoulli likelihood, for which a grey pixel is a coin
# toss.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from skfactorvae import FactorVAETransformer

X, y = load_digits(return_X_y=True)
X /= 16
X, X_test, y, y_test = train_test_split(X, y, test_size=0.3, stratify=y, random_state=0)

vae = FactorVAETransformer(
    n_components=6,
    network="conv",
    image_shape=(1, 8, 8),
    standardize="global",
    noise_scale="shared",
    activation="silu",
    discriminator_hidden_layer_sizes=(64, 64),
    max_iter=1500,
    random_state=0,
).fit(X)
pca = PCA(n_components=6, random_state=0).fit(X)

print("nats per component:", vae.kl_per_component_.round(2))

# %%
# What six numbers keep
# ---------------------
#
# The images below were not among those either method was fitted to: above the digit
# as it was written, then what is left of it after six principal components and after
# six codes.


def draw(ax, image):
    """Draw a flattened image without axes."""
    ax.imshow(image.reshape(8, 8), cmap="gray_r", vmin=0, vmax=1)
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)


def through(model, rows):
    """Return rows as they come back from their codes."""
    return model.inverse_transform(model.transform(rows))


shown = [np.flatnonzero(y_test == digit)[0] for digit in range(10)]
rows = {
    "written": X_test[shown],
    "PCA": through(pca, X_test[shown]),
    "FactorVAE": through(vae, X_test[shown]),
}
fig, axes = plt.subplots(3, 10, figsize=(8, 2.9), layout="constrained")
fig.suptitle("Ten digits as written, and after six numbers")
for line, (name, images) in zip(axes, rows.items(), strict=True):
    for ax, image in zip(line, images, strict=True):
        draw(ax, image)
    line[0].set_ylabel(name)
plt.show()

for name, model in {"PCA": pca, "FactorVAE": vae}.items():
    error = through(model, X_test) - X_test
    print(f"{name:10} error per pixel {np.sqrt(np.mean(error**2)):.3f}")

# %%
# What each of them does
# ----------------------
#
# Each row moves one code from its 3rd to its 97th percentile and leaves the others as
# they are. The middle of all codes is no digit in particular, so we start from one that
# was written. A code has no name of its own; look before giving it one, and fit again
# with another seed before believing in it.

codes = vae.transform(X_test)
start = codes[shown[3]]

fig, axes = plt.subplots(6, 9, figsize=(6, 4.5), layout="constrained")
fig.suptitle("A written 3, and one code moved at a time")
for j, line in enumerate(axes):
    path = np.tile(start, (9, 1))
    path[:, j] = np.percentile(codes[:, j], np.linspace(3, 97, 9))
    for ax, image in zip(line, vae.inverse_transform(path), strict=True):
        draw(ax, image)
    line[0].set_ylabel(f"code {j}", rotation=0, ha="right", va="center")
plt.show()

# %%
# What a classifier makes of them
# -------------------------------
#
# A fitted transformer is a pipeline's first step, frozen so that it is not fitted again
# for every classifier. Neither it nor PCA has seen a label.

classifiers = {
    "logistic": LogisticRegression(max_iter=1000),
    "5 neighbours": KNeighborsClassifier(5),
}
representations = {
    "64 pixels": [],
    "6 of PCA": [("codes", FrozenEstimator(pca))],
    "6 of FactorVAE": [("codes", FrozenEstimator(vae))],
}

print(f"\n{'held-out accuracy':18}", *(f"{name:>13}" for name in classifiers))
for name, steps in representations.items():
    accuracies = []
    for classifier in classifiers.values():
        steps_after = [("scale", StandardScaler()), ("classify", classifier)]
        pipe = Pipeline([*steps, *steps_after]).fit(X, y)
        accuracies.append(pipe.score(X_test, y_test))
    print(f"{name:18}", *(f"{accuracy:13.3f}" for accuracy in accuracies))
