"""
Cell nuclei: five components of thirty measurements
===================================================

Ten properties of cell nuclei, such as radius, texture and concavity, were measured in
images of 569 breast tumours (Street, Wolberg & Mangasarian 1993), each as a mean, a
standard error and a worst value. Which few quantities do these thirty columns measure?
The example describes the components in the units of the columns, and compares their use
with that of PCA, FastICA and rotated factor analysis.
"""

# %%
# The table
# ---------
#
# Most columns are positive and skewed, so that their square roots are taken first. The
# pipeline inverts this step: sentences and plots are in the original units. Three
# tenths of the tumours are held out.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.decomposition import PCA, FactorAnalysis, FastICA
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import r2_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from skfactorvae import FactorVAETransformer
from skfactorvae.inspection import OverviewDisplay, factor_table

nuclei = load_breast_cancer()
X, X_test, is_benign, is_benign_test = train_test_split(
    nuclei.data, nuclei.target, test_size=0.3, random_state=0
)
print(f"{len(X)} tumours to fit, {len(X_test)} held out, {X.shape[1]} columns")


def with_roots(*steps):
    """Return a pipeline that begins with square roots of all columns."""
    roots = FunctionTransformer(np.sqrt, inverse_func=np.square)
    return make_pipeline(roots, StandardScaler(), *steps)


# %%
# Five components
# ---------------
#
# The model is fitted without the diagnosis.

vae = FactorVAETransformer(n_components=5, random_state=0)
pipe = with_roots(vae).fit(X)
print(factor_table(pipe, X, feature_names=nuclei.feature_names))
print("share of the variance:", vae.explained_variance_ratio_.round(2))
print("weight decay, chosen on held-out tumours:", vae.weight_decay_)

# %%
# The map of the first two components is coloured by diagnosis.

diagnosis = np.array(["malignant", "benign"])[is_benign]
display = OverviewDisplay.from_estimator(
    pipe, X, hue=diagnosis, feature_names=nuclei.feature_names
)
display.plot()
plt.show()

# %%
# Beside linear methods
# ---------------------
#
# With five components each: the share of the variance of held-out tumours that the
# reconstruction explains (R2, in square roots), and the accuracy of the diagnosis by a
# logistic regression on the codes.


class Varimax(FactorAnalysis):
    """Factor analysis with varimax rotation, and reconstructions."""

    def inverse_transform(self, codes):
        return codes @ self.components_ + self.mean_


methods = {
    "PCA": with_roots(PCA(5)),
    "FastICA": with_roots(FastICA(5, random_state=0, max_iter=1000)),
    "factor analysis, varimax": with_roots(Varimax(5, rotation="varimax")),
    "FactorVAE": pipe,
}
print(f"{'':26}    R2  accuracy")
for name, model in methods.items():
    if model is not pipe:
        model.fit(X)
    codes, codes_test = model.transform(X), model.transform(X_test)
    rows = model[:2].transform(X_test)
    r2 = r2_score(rows, model[-1].inverse_transform(codes_test))
    classifier = make_pipeline(StandardScaler(), LogisticRegression())
    accuracy = classifier.fit(codes, is_benign).score(codes_test, is_benign_test)
    print(f"{name:26} {r2:5.3f}  {accuracy:8.3f}")

# %%
# Sentences describe the components of a linear method as well:

varimax = methods["factor analysis, varimax"]
print(factor_table(varimax, X, feature_names=nuclei.feature_names))

# %%
# The columns are nearly linear functions of few quantities, for which ``fit`` chose a
# weight decay that makes the networks nearly linear, too. PCA reconstructs as well, and
# rotated factor analysis has components that are as readable, in no time: for this
# table, linear methods are the better choice.
