"""
Digits: six components of an image
==================================

Scikit-learn's digits are real data: 1,797 images of 8 by 8 pixels, written by 13
people. Their true factors are not known, so that a representation can be judged only by
its use. This example evaluates six components in three ways: the reconstruction of
held-out images, traversals of single components, and the accuracy of a classifier.
"""

# %%
# A convolutional FactorVAE
# -------------------------
#
# Samples are flattened images, so the convolutional network needs ``image_shape``. All
# pixels share one scale: pixels in the corners are almost always blank, and
# ``standardize="feature"`` would amplify their few grey levels. A Gaussian likelihood
# with a learned noise scale reconstructed the images better than a Bernoulli
# likelihood, for which a grey pixel is a probability between two outcomes.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA, FactorAnalysis
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


class Factors(FactorAnalysis):
    """Factor analysis with reconstructions."""

    def inverse_transform(self, codes):
        return codes @ self.components_ + self.mean_


factors = Factors(6, random_state=0).fit(X)
rotated = Factors(6, rotation="varimax", random_state=0).fit(X)

print("nats per component:", vae.kl_per_component_.round(2))

# %%
# Reconstruction
# --------------
#
# Held-out images, and their reconstructions from six principal components and from six
# components of FactorVAE.


def draw(ax, image):
    """Draw a flattened image without axes."""
    ax.imshow(image.reshape(8, 8), cmap="gray_r", vmin=0, vmax=1)
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)


def through(model, rows):
    """Return the reconstructions of samples."""
    return model.inverse_transform(model.transform(rows))


shown = [np.flatnonzero(y_test == digit)[0] for digit in range(10)]
rows = {
    "written": X_test[shown],
    "PCA": through(pca, X_test[shown]),
    "FactorVAE": through(vae, X_test[shown]),
}
fig, axes = plt.subplots(3, 10, figsize=(8, 2.9), layout="constrained")
fig.suptitle("Ten digits, and their reconstructions from six components")
for line, (name, images) in zip(axes, rows.items(), strict=True):
    for ax, image in zip(line, images, strict=True):
        draw(ax, image)
    line[0].set_ylabel(name)
plt.show()

models = {
    "PCA": pca,
    "FactorAnalysis": factors,
    "FactorAnalysis, varimax": rotated,
    "FactorVAE": vae,
}
for name, model in models.items():
    error = through(model, X_test) - X_test
    print(f"{name:23} error per pixel {np.sqrt(np.mean(error**2)):.3f}")

# %%
# Traversals
# ----------
#
# Each row varies one component from its 3rd to its 97th percentile and keeps the others
# constant. The mean of all codes does not correspond to any digit, so the traversals
# start from a digit of the test set. Before a component is interpreted, it should be
# found again with another seed.

codes = vae.transform(X_test)
start = codes[shown[3]]

fig, axes = plt.subplots(6, 9, figsize=(6, 4.5), layout="constrained")
fig.suptitle("A 3, with one component varied at a time")
for j, line in enumerate(axes):
    path = np.tile(start, (9, 1))
    path[:, j] = np.percentile(codes[:, j], np.linspace(3, 97, 9))
    for ax, image in zip(line, vae.inverse_transform(path), strict=True):
        draw(ax, image)
    line[0].set_ylabel(f"component {j}", rotation=0, ha="right", va="center")
plt.show()

# %%
# Classification
# --------------
#
# The fitted transformer is the first step of a pipeline, frozen so that it is not
# fitted again for every classifier. No transformer was fitted with labels.

classifiers = {
    "logistic": LogisticRegression(max_iter=1000),
    "5 neighbours": KNeighborsClassifier(5),
}
representations = {
    "64 pixels": [],
    **{
        f"6 of {name}": [("codes", FrozenEstimator(model))]
        for name, model in models.items()
    },
}

print(f"\n{'held-out accuracy':28}", *(f"{name:>13}" for name in classifiers))
for name, steps in representations.items():
    accuracies = []
    for classifier in classifiers.values():
        steps_after = [("scale", StandardScaler()), ("classify", classifier)]
        pipe = Pipeline([*steps, *steps_after]).fit(X, y)
        accuracies.append(pipe.score(X_test, y_test))
    print(f"{name:28}", *(f"{accuracy:13.3f}" for accuracy in accuracies))
