"""Small jobs for the tests of the training loop."""

import numpy as np
import torch

from skfactorvae import core

CPU = torch.device("cpu")


def make_rows(n_rows=200, n_features=6, seed=0, dtype=np.float64):
    rng = np.random.default_rng(seed)
    sources = rng.uniform(-1.7, 1.7, size=(n_rows, 3))
    rows = np.tanh(sources @ rng.normal(size=(3, n_features)))
    return (rows + 0.05 * rng.normal(size=rows.shape)).astype(dtype)


def make_objective(
    gamma, beta=1.0, hidden_layer_sizes=(24, 24), learning_rate=1e-3, groups=None
):
    return core.FactorVAE(
        gamma=gamma,
        beta=beta,
        hidden_layer_sizes=hidden_layer_sizes,
        learning_rate=learning_rate,
        groups=groups,
    )


def make_labels(rows):
    """Return a discrete and a continuous label of each row; half the second unknown."""
    labels = np.column_stack([rows[:, 0] > 0, rows[:, 1]]).astype(float)
    labels[::2, 1] = np.nan
    return labels


def make_pairs(n_rows):
    """Return groups of two, three and one; the last fifth of the rows has none."""
    groups = np.arange(n_rows) * 2 // 5
    groups[-n_rows // 5 :] = -1
    return groups[:, None]


def make_conditions(n_rows):
    """Return three conditions, (n, 1), unknown for the last fifth of the rows."""
    labels = np.arange(n_rows, dtype=float) % 3
    labels[-n_rows // 5 :] = np.nan
    return labels[:, None]


def make_job(
    *,
    gamma=5.0,
    beta=1.0,
    seed=0,
    n_components=3,
    rows=None,
    objective=None,
    network=None,
    likelihood=None,
    **job,
):
    rows = make_rows() if rows is None else rows
    objective = objective or make_objective(gamma, beta)
    if network is None:
        sizes = rows.shape[1], n_components, (16,)
        network = core.MLP(*sizes, "relu", linear_path=False)
        if isinstance(objective, core.InfoGAN):
            network = core.GAN(network, n_noise=2, levels=(3, 2))
    if isinstance(objective, core.SupervisedFactorVAE | core.CausalVAE):
        job.setdefault("labels", make_labels(rows))
    if isinstance(objective, core.AuxiliaryVAE):
        job.setdefault("labels", make_conditions(len(rows)))
    if isinstance(objective, core.PairedVAE):
        job.setdefault("pairs", make_pairs(len(rows)))
    return core.Job(
        network=network,
        likelihood=likelihood or core.Gaussian("feature"),
        objective=objective,
        rows=rows,
        row_weights=job.pop("row_weights", np.ones(len(rows))),
        seed=seed,
        **job,
    )


def make_schedule(max_iter=40, **schedule):
    settings = {
        "batch_size": 16,
        "learning_rate": 1e-2,
        "warmup": 0.2,
    }
    return core.Schedule(max_iter=max_iter, **(settings | schedule))


def fit(jobs, schedule=None, **options):
    return core.fit_stack(jobs, schedule or make_schedule(), device=CPU, **options)
