"""
Damped oscillator: finding the number of components
===================================================

The position of a mass on a spring is recorded at fifty times. The fifty columns depend
on two factors, a damping and a stiffness. Iten et al. (2020) trained a network with one
component more than there are factors. Here the model has five, three more than there
are factors, and the question is whether the additional ones become inactive.
"""

# %%
# The data
# --------
#
# Trajectories with a little noise. The factors are used for the evaluation only.

import matplotlib.pyplot as plt
from sklearn.linear_model import LinearRegression
from sklearn.neighbors import KNeighborsRegressor

from skfactorvae import FactorVAETransformer
from skfactorvae.datasets import make_damped_oscillator
from skfactorvae.inspection import LatentTraversalDisplay

swings = make_damped_oscillator(1500, noise=0.02, return_bunch=True, random_state=0)
X, X_test = swings.data[:1000], swings.data[1000:]
factors, factors_test = swings.factors[:1000], swings.factors[1000:]

# %%
# Five components for two factors
# -------------------------------
#
# All columns have one unit, so they share one scale (``standardize="global"``) and one
# noise level. The KL divergence of each component is part of the loss. The posterior of
# a component that explains almost nothing therefore returns to the prior, a standard
# normal distribution.
# ``active_components_`` lists the others: their KL divergence exceeds .05 nats and that
# of noise, and their means vary over the samples with a variance above .01.

fits = [
    FactorVAETransformer(
        n_components=5,
        standardize="global",
        noise_scale="shared",
        hidden_layer_sizes=(64, 64),
        discriminator_hidden_layer_sizes=(64, 64),
        max_iter=1500,
        random_state=seed,
    ).fit(X)
    for seed in range(4)
]
for seed, fit in enumerate(fits):
    n_active = len(fit.active_components_)
    print(f"seed {seed}: {n_active} active components, ELBO {fit.score(X):.2f} nats")
vae = max(fits, key=lambda fit: fit.score(X))

# %%
# Single fits may use a component more than is needed. Of the four seeds we keep the one
# with the largest evidence lower bound (ELBO) on the training samples.

kl = vae.kl_per_component_
active = vae.active_components_
train_codes = vae.transform(X)

print("KL divergence, nats:  ", kl.round(2))
print("variance of the means:", train_codes.var(axis=0).round(3))
print("active components:", len(active))

# %%
# The inactive components have almost no KL divergence, and their means are almost the
# same for every trajectory.

# %%
# The plane of the active components
# ----------------------------------
#
# Left: the KL divergence of each component. Right: the codes of the trajectories in the
# plane of the first two components, coloured by damping and by stiffness. If the plane
# represents both factors, each colour changes smoothly across it, along an axis or
# around a centre.

codes = vae.transform(X_test)
figure, axes = plt.subplots(1, 3, figsize=(9.5, 3), layout="constrained")
axes[0].bar(range(5), kl, color=["C0" if j in active else "0.75" for j in range(5)])
axes[0].set(xlabel="component", ylabel="nats", title="KL divergence")
for ax, name, values in zip(axes[1:], swings.factor_names, factors_test.T, strict=True):
    dots = ax.scatter(*codes[:, :2].T, c=values, s=9)
    ax.set(xlabel="component 0", ylabel="component 1", title=f"coloured by {name}")
    figure.colorbar(dots, ax=ax)
plt.show()

# %%
# Traversals
# ----------
#
# One component varies, the others stay at their mean. A component of the frequency
# stretches the trajectory in time; one of the damping changes how fast it decays. The
# third component is inactive and changes almost nothing.

display = LatentTraversalDisplay.from_estimator(
    vae, X, latents=[0, 1, 2], x=swings.grid
)
display.plot(x_label="time", y_label="position")
plt.show()

# %%
# Information and alignment
# -------------------------
#
# Two properties are measured. A nonlinear regression on both active components (fifteen
# nearest neighbours) measures whether they contain the factors at all. A linear
# regression on a single component measures whether each factor has a component of its
# own.

print(f"\n{'held-out R2 of':14}{'both, k-NN':>12}{'best single':>13}")
for k, name in enumerate(swings.factor_names):
    neighbors = KNeighborsRegressor(15).fit(train_codes[:, :2], factors[:, k])
    single = [
        LinearRegression()
        .fit(train_codes[:, [j]], factors[:, k])
        .score(codes[:, [j]], factors_test[:, k])
        for j in range(2)
    ]
    both = neighbors.score(codes[:, :2], factors_test[:, k])
    print(f"{name:14}{both:12.2f}{max(single):13.2f}")

# %%
# The number of active components is more reliable than their axes. The dimension is a
# property of the data; the coordinates of the plane are not, and independent components
# are one choice out of many. Where the second column is well below the first, the plane
# contains the factors, but its axes are not the physical ones: a radius and an angle,
# for example, are not linear in any single axis.
