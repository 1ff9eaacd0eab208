"""
How many numbers does a swing have?
===================================

A mass on a spring, pulled once and let go, is filmed at fifty moments. The film has
fifty numbers; the physics has two, a damping and a stiffness, and no one tells the
model so. Iten et al. (2020) asked a neural network this question and let it have one
latent too many. Here it has three too many, and the question is which stay silent.
"""

# %%
# The data
# --------
#
# Motions with a little noise. The factors are kept for the end; no fit sees them.

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
# Five latents for two numbers
# ----------------------------
#
# All moments are in one unit, so they share one scale (``standardize="global"``) and
# one level of noise. Each latent costs the nats that it holds. One that explains
# next to nothing is not worth its price, and falls back towards the prior.
# ``active_components_`` names those that do not: they hold more than .05 nats, and more
# than noise would by chance, and their means vary over the rows, with a variance above
# .01.

vae = FactorVAETransformer(
    n_components=5,
    standardize="global",
    noise_scale="shared",
    hidden_layer_sizes=(64, 64),
    discriminator_hidden_layer_sizes=(64, 64),
    max_iter=1500,
    random_state=0,
).fit(X)
kl = vae.kl_per_component_
active = vae.active_components_
train_codes = vae.transform(X)

print("nats held by each latent:   ", kl.round(2))
print("variance of each one's mean:", train_codes.var(axis=0).round(3))
print("active latents:", len(active))

# %%
# The last three hold next to nothing, and their means are much the same for every
# motion.

# %%
# The picture to keep
# -------------------
#
# Left: the price list. Right: where the motions lie in the plane of the two latents
# that hold most, coloured by the damping and by the stiffness. If the plane is a map
# of the physics, each colour changes steadily across it, be it along an axis, or around
# a centre, as on a map of the pole.

codes = vae.transform(X_test)
figure, axes = plt.subplots(1, 3, figsize=(9.5, 3), layout="constrained")
axes[0].bar(range(5), kl, color=["C0" if j in active else "0.75" for j in range(5)])
axes[0].set(xlabel="latent", ylabel="nats held", title="The price list")
for ax, name, values in zip(axes[1:], swings.factor_names, factors_test.T, strict=True):
    dots = ax.scatter(*codes[:, :2].T, c=values, s=9)
    ax.set(xlabel="latent 0", ylabel="latent 1", title=f"coloured by {name}")
    figure.colorbar(dots, ax=ax)
plt.show()

# %%
# What a latent does to a motion
# ------------------------------
#
# One latent moves, the others stay at their mean; the titles call it a factor. A latent
# of frequency stretches the motion in time; one of damping lets it die sooner. The
# third, a silent one, moves next to nothing.

display = LatentTraversalDisplay.from_estimator(
    vae, X, latents=[0, 1, 2], x=swings.grid
)
display.plot(x_label="time", y_label="position")
plt.show()

# %%
# Is all of it there, and is it on axes?
# --------------------------------------
#
# These are two questions. A reader that may bend, here the fifteen nearest rows, is
# asked whether the two first latents hold the factors at all; a reader that may only
# use one latent, in a straight line, whether each factor has a latent to itself.

print(f"\n{'held-out R2 of':14}{'both, bent':>12}{'best single':>13}")
for k, name in enumerate(swings.factor_names):
    bent = KNeighborsRegressor(15).fit(train_codes[:, :2], factors[:, k])
    single = [
        LinearRegression()
        .fit(train_codes[:, [j]], factors[:, k])
        .score(codes[:, [j]], factors_test[:, k])
        for j in range(2)
    ]
    both = bent.score(codes[:, :2], factors_test[:, k])
    print(f"{name:14}{both:12.2f}{max(single):13.2f}")

# %%
# The count can be trusted further than the axes. How many numbers a row has is a
# property of the data; which two coordinates describe the plane is not, and independent
# latents are one choice out of many. Where the second column is well below the first,
# the plane is right and its axes are not the physicist's: a radius and an angle, say,
# are two numbers that no single axis of the plane gives.
