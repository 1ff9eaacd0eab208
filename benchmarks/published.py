"""Repeat published experiments: an oscillator, single cells, sprites.

Each command prints a markdown table, and writes records and a figure to
benchmarks/results. docs/evidence/published.md lists the differences from the papers.
With ``--methods``, only these are fitted, and stored records of the others are kept.
"""

from __future__ import annotations

import argparse
import itertools
import warnings

import numpy as np
import pandas as pd
from pages import EVIDENCE, write_block
from recovery import (
    RESULTS,
    read,
    rebuilt,
    temperature,
    used_codes,
    versions,
    write,
)
from scipy.special import logsumexp
from sklearn.decomposition import PCA, FactorAnalysis
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import StandardScaler

from skfactorvae import (
    BetaTCVAETransformer,
    BetaVAETransformer,
    FactorVAETransformer,
    datasets,
    metrics,
)

PAGE = EVIDENCE / "published.md"


# ------------------------------------------------------------------------ reports
def report(name, header, rows, note, options):
    """Print a markdown table; with --page, also write it to the page."""
    lines = [f"| {' | '.join(row)} |" for row in (header, *rows)]
    lines.insert(1, f"|{'---|' * len(header)}")
    table = "\n".join([*lines, "", note])
    print(f"\n{table}")
    if options.page:
        write_block(PAGE, name, table)


def spread(values):
    """Return the mean of values and, of two or more, their standard deviation."""
    mean = f"{np.mean(values):.2f}"
    return mean if len(values) < 2 else f"{mean} ± {np.std(values, ddof=1):.2f}"


def shortened(model, max_iter):
    """Return a model with another number of gradient steps, if it has any."""
    if max_iter is None or isinstance(model, PCA | FactorAnalysis):
        return model
    return model.set_params(max_iter=max_iter)


def summary(record):
    """Return a record as a line of text."""
    return "  ".join(
        f"{k} {v:.3f}" if isinstance(v, float) else f"{k} {v}"
        for k, v in record.items()
    )


def length(options):
    """Return the number and the length of the fits behind the figures, as text."""
    steps = "numbers of steps as given below"
    if options.max_iter:
        steps = f"{options.max_iter} steps each, a short trial"
    seeds = f"{options.seeds} seed{'s' * (options.seeds > 1)}"
    return f"Ours: {seeds}, {options.rows} rows, {steps}."


def stored_others(path, methods):
    """Return the stored records of methods that are not measured now."""
    if not path.exists():
        return []
    table = pd.read_csv(path).drop(columns=list(versions()))
    return table[~table["method"].isin(methods)].to_dict("records")


def of(records, name, key):
    """Return the values of one method's records, one for each seed."""
    return [r[key] for r in records if r["method"] == name]


def canvas(n_rows, n_columns, size, **options):
    """Return pyplot, a figure and its axes, an array of shape (n_rows, n_columns)."""
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    fig, axes = plt.subplots(
        n_rows, n_columns, figsize=size, layout="constrained", squeeze=False, **options
    )
    return plt, fig, axes


# --------------------------------------------------------------------- oscillator
SCINET = {
    "hidden_layer_sizes": (500, 100),
    "activation": "elu",
    "standardize": None,
    "noise_scale": np.sqrt(50 * 1e-3 / 2),  # mean squared error of 50 points + 1e-3 KL
    "init": "random",
    "input_noise": 0.0,
    "batch_size": 64,
    "learning_rate": 1e-3,
    "max_iter": 3000,
    "warmup": 0.0,
    "temperature": 1.0,
    "weight_decay": 0.0,
}
"""Iten et al.'s encoder, its mirror image, and their weight of the KL divergence.
Neither the likelihood is annealed nor the weights decay."""

OSCILLATOR_METHODS = {
    "PCA": lambda seed: PCA(3, random_state=seed),
    "FactorAnalysis": lambda seed: FactorAnalysis(3, random_state=seed),
    "FactorAnalysis, varimax": lambda seed: FactorAnalysis(
        3, rotation="varimax", random_state=seed
    ),
    "VAE as in SciNet": lambda seed: BetaVAETransformer(
        3, beta=1.0, random_state=seed, **SCINET
    ),
    "FactorVAE, defaults": lambda seed: FactorVAETransformer(3, random_state=seed),
}


def oscillations(damping, stiffness):
    """Return curves of given factors, and their frequency and decay rate."""
    factors = np.column_stack([damping, stiffness])
    X, _ = datasets.make_damped_oscillator(factors=factors)
    frequency = np.sqrt(stiffness - damping**2 / 4)  # radian per unit of time
    return X, np.column_stack([frequency, damping / 2])


def oscillator_record(name, model, seed, X, X_new, truth):
    """Fit a model; return the correlations of its codes with frequency and damping."""
    model.fit(X)
    codes = model.transform(X_new)
    active = getattr(model, "active_components_", np.arange(3))
    used = codes[:, active]
    match = metrics.match_codes(used, truth)
    others = [  # correlation of a code with the factor that it is not matched with
        metrics.match_codes(used[:, [code]], truth[:, [1 - factor]]).correlation[0]
        for factor, code in enumerate(match.order)
        if code >= 0
    ]
    error = np.sqrt(np.mean((X_new - rebuilt(model, codes)) ** 2))
    record = {
        "method": name,
        "seed": seed,
        "active": len(active),
        "frequency": match.correlation[0],
        "damping": match.correlation[1],
        "other": max(others, default=0.0),
        "error": error,
    }
    print(summary(record), flush=True)
    return record


def draw_oscillator(models, path):
    """Plot each component of each model over damping and stiffness, as in the paper."""
    plt, fig, axes = canvas(len(models), 3, (8, 2.2 * len(models)), sharex=True)
    damping, stiffness = np.meshgrid(np.linspace(0.5, 1, 40), np.linspace(5, 10, 40))
    X, _ = oscillations(damping.ravel(), stiffness.ravel())
    for row, (name, model) in zip(axes, models.items(), strict=True):
        for i, (ax, z) in enumerate(zip(row, model.transform(X).T, strict=True)):
            surface = ax.contourf(damping, stiffness, z.reshape(40, 40), 15)
            fig.colorbar(surface, ax=ax)
            ax.set_title(f"{name}, component {i}", fontsize=7)
        row[0].set_ylabel("kappa")
    for ax in axes[-1]:
        ax.set_xlabel("b")
    fig.savefig(path, dpi=100)
    plt.close(fig)


def run_oscillator(options):
    X, _ = datasets.make_damped_oscillator(options.rows, random_state=0)
    rng = np.random.default_rng(1)
    X_new, truth = oscillations(rng.uniform(0.5, 1, 2000), rng.uniform(5, 10, 2000))
    path = RESULTS / "published_oscillator.csv"
    records, drawn = stored_others(path, options.methods), {}
    for seed, name in itertools.product(range(options.seeds), options.methods):
        model = shortened(OSCILLATOR_METHODS[name](seed), options.max_iter)
        records.append(oscillator_record(name, model, seed, X, X_new, truth))
        if seed == 0 and not isinstance(model, PCA | FactorAnalysis):
            drawn[name] = model
        write(records, path)
    if drawn:
        draw_oscillator(drawn, path.with_suffix(".png"))
    paper = ["SciNet, Iten et al. 2020", "2", *2 * ["one component"], "", "< 2"]
    rows = [
        [name, "/".join(str(a) for a in of(records, name, "active"))]
        + [spread(of(records, name, key)) for key in ("frequency", "damping", "other")]
        + [spread(100 * np.array(of(records, name, "error")))]
        for name in OSCILLATOR_METHODS
    ]
    header = ["model", "active of 3", "frequency", "damping", "cross-correlation"]
    header += ["error, %"]
    report("oscillator", header, [paper, *rows], length(options), options)


# -------------------------------------------------------------------------- cells
MICHIGAN = {
    "hidden_layer_sizes": (512, 256),
    "activation": "leaky_relu",
    "standardize": None,
    "noise_scale": 1.0,
    "init": "random",
    "input_noise": 0.0,
    "batch_size": 128,
    "learning_rate": 1e-3,
    "max_iter": 1500,
    "warmup": 0.0,
    "temperature": 1.0,
    "weight_decay": 0.0,
}
"""Yu & Welch's VAE, without its dropout and batch normalization. Neither the likelihood
is annealed nor the weights decay."""

CELLS_METHODS = {
    "PCA": lambda seed: PCA(10, random_state=seed),
    "FactorAnalysis": lambda seed: FactorAnalysis(10, random_state=seed),
    "FactorAnalysis, varimax": lambda seed: FactorAnalysis(
        10, rotation="varimax", random_state=seed
    ),
    "VAE": lambda seed: BetaVAETransformer(beta=1.0, random_state=seed, **MICHIGAN),
    "beta-TCVAE": lambda seed: BetaTCVAETransformer(
        beta=11.0, random_state=seed, **MICHIGAN
    ),
    "FactorVAE, same networks": lambda seed: FactorVAETransformer(
        gamma=10.0, random_state=seed, **MICHIGAN
    ),
    "FactorVAE, defaults": lambda seed: FactorVAETransformer(random_state=seed),
}
CELLS_ON_PAPER = {
    ("PCA", "linear"): (".54", ".35"),
    ("VAE", "linear"): (".48 ± .13", ".40"),
    ("beta-TCVAE", "linear"): (".72 ± .02", ".48"),
    ("PCA", "nonlinear"): (".55", ".35"),
    ("VAE", "nonlinear"): (".43 ± .08", ".41"),
    ("beta-TCVAE", "nonlinear"): (".66 ± .16", ".51"),
}
"""MIG and FactorVAE score of Yu & Welch (2021), Table 1."""


def cell_levels(factors):
    """Return batch, path, tenth of the step and quarter of the depth, as integers."""
    batch, path, step, depth = factors.T
    quarter = np.searchsorted(np.quantile(depth, [0.25, 0.5, 0.75]), depth)
    return np.column_stack([batch, path, np.minimum(10 * step, 9), quarter]).astype(int)


def posterior(model, X):
    """Return means and standard deviations of codes; for PCA, probabilistic PCA's."""
    if isinstance(model, FactorAnalysis):
        loadings = model.components_
        precision = (
            np.eye(len(loadings)) + loadings / model.noise_variance_ @ loadings.T
        )
        std = np.sqrt(np.diag(np.linalg.inv(precision)))
        return model.transform(X), np.tile(std, (len(X), 1))
    if not isinstance(model, PCA):
        return model.posterior(X)
    noise, kept = model.noise_variance_, model.explained_variance_
    shrunk = np.sqrt(np.maximum(kept - noise, 0)) / kept  # Tipping & Bishop 1999, Eq. 9
    std = np.sqrt(noise / kept)
    return model.transform(X) * shrunk, np.tile(std, (len(X), 1))


def entropies(mean, std, z):
    """Return the entropy of each q(z_j), a mixture of a normal per sample, in nats."""
    columns = zip(mean.T, std.T, z.T, strict=True)
    return np.array([entropy(*moments) for moments in columns])


def entropy(mean, std, z):
    log_q = logsumexp(-0.5 * ((z[:, None] - mean) / std) ** 2 - np.log(std), axis=1)
    return 0.5 * np.log(2 * np.pi) + np.log(len(mean)) - log_q.mean()


def posterior_mig(levels, mean, std, rng):
    """Return the gap of each factor from posterior draws, as Chen et al. (2018)."""
    z = mean + std * rng.standard_normal(mean.shape)
    marginal, gaps = entropies(mean, std, z), []
    for factor in levels.T:
        inside = [factor == level for level in np.unique(factor)]
        given = sum(r.mean() * entropies(mean[r], std[r], z[r]) for r in inside)
        second, first = np.sort(marginal - given)[-2:]
        gaps.append((first - second) / np.log(len(inside)))
    return gaps


def cells_record(name, model, steps, seed, X, X_new, factors_new):
    """Fit a model; return the scores of its codes of held-out cells."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # self_weight
        model.fit(X)
    codes, levels = model.transform(X_new), cell_levels(factors_new)
    mean, std = (moment[:1000] for moment in posterior(model, X_new))
    gaps = posterior_mig(levels[:1000], mean, std, np.random.default_rng(seed))
    matched = metrics.match_codes(codes, factors_new).correlation
    factors = ("batch", "path", "step", "depth")
    record = {
        "steps": steps,
        "method": name,
        "seed": seed,
        "mig": float(np.mean(gaps)),
        "binned_mig": metrics.mutual_info_gap_score(levels, codes),
        "factor_vae": metrics.factor_vae_score(
            levels, used_codes(model, codes), batch_size=40, n_train=8000, n_eval=2000
        ),
        "mcc": float(matched.mean()),
        **{f"gap_{f}": float(g) for f, g in zip(factors, gaps, strict=True)},
        **{f"rank_{f}": float(m) for f, m in zip(factors, matched, strict=True)},
    }
    print(summary(record), flush=True)
    return record


def draw_cells(records, kinds, path):
    """Plot the published and our mean gaps side by side."""
    plt, fig, axes = canvas(1, len(kinds), (9, 3), sharey=True)
    for ax, steps in zip(axes[0], kinds, strict=True):
        here = [r for r in records if r["steps"] == steps]
        names = list(CELLS_METHODS)
        ours = [np.mean(of(here, name, "mig")) for name in names]
        published = [
            float(CELLS_ON_PAPER.get((name, steps), ("nan",))[0].split()[0])
            for name in names
        ]
        places = np.arange(len(names))
        ax.barh(places - 0.2, published, 0.35, color="0.75", label="published")
        ax.barh(places + 0.2, ours, 0.35, color="black", label="ours")
        ax.set(title=f"{steps} steps", xlabel="mutual information gap")
        ax.set_yticks(places, names)
    axes[0, 0].invert_yaxis()
    handles = axes[0, 0].get_legend_handles_labels()
    fig.legend(*handles, loc="outside lower center", ncols=2, frameon=False)
    fig.savefig(path, dpi=100)
    plt.close(fig)


def cells_row(records, steps, name):
    here = [r for r in records if r["steps"] == steps]
    mig, score = CELLS_ON_PAPER.get((name, steps), ("", ""))
    keys = ("mig", "factor_vae", "binned_mig", "mcc")
    ours = [spread(of(here, name, key)) for key in keys]
    return [steps, name, mig, ours[0], score, *ours[1:]]


def run_cells(options):
    path = RESULTS / "published_cells.csv"
    records = stored_others(path, options.methods)
    for seed, steps in itertools.product(range(options.seeds), options.steps):
        X, X_new, factors_new = cell_tables(steps, options.rows)
        for name in options.methods:
            model = shortened(CELLS_METHODS[name](seed), options.max_iter)
            records.append(
                cells_record(name, model, steps, seed, X, X_new, factors_new)
            )
            write(records, path)
    draw_cells(records, options.steps, path.with_suffix(".png"))
    header = ["steps", "model", "MIG published", "ours", "FactorVAE score published"]
    rows = [
        cells_row(records, steps, name)
        for steps, name in itertools.product(options.steps, CELLS_METHODS)
    ]
    header += ["ours", "binned MIG", "correlation"]
    report("cells", header, rows, length(options), options)


def cell_tables(steps, n_rows):
    """Return log counts to fit, log counts to score, and the factors of the latter."""
    counts, factors = datasets.make_cell_counts(
        n_rows + 2000, steps=steps, random_state=0
    )
    X, X_new = np.split(np.log1p(counts), [n_rows])
    scaler = StandardScaler().fit(X)
    return scaler.transform(X), scaler.transform(X_new), factors[n_rows:]


# ------------------------------------------------------------------------ sprites
SPRITES_ON_PAPER = [
    ["beta-VAE, beta = 4, Kim & Mnih 2018, Fig. 4", "about .73", "", "about 45", ""],
    ["FactorVAE, gamma = 35, the same", "about .82", "", "about 45", ""],
]
KIM_MNIH = {
    "network": "conv",
    "activation": "relu",
    "image_shape": (1, 64, 64),
    "likelihood": "bernoulli",
}
"""Their networks; the discriminator and the learning rates are in the protocols."""

SHORT = {
    "gammas": (0.0, 10.0, 35.0),
    "rows": 5000,
    "steps": 1200,
    "model": {"batch_size": 32},
}
"""A protocol for a quarter of an hour on a CPU; the rest are defaults."""

FULL = {
    "gammas": (10.0, 35.0),
    "rows": 100_000,
    "steps": 300_000,
    "model": {
        "batch_size": 64,
        "learning_rate": 1e-4,
        "discriminator_hidden_layer_sizes": (1000,) * 6,
        "discriminator_learning_rate": 1e-4,
        "warmup": 0.0,
    },
}
"""Kim & Mnih's protocol, with random images instead of all 737,280."""


def cross_entropy(X, model):
    """Return the Bernoulli cross entropy per image, in nats, given the mean codes."""
    chance = np.clip(rebuilt(model, model.transform(X)), 1e-6, 1 - 1e-6)
    return -(X * np.log(chance) + (1 - X) * np.log1p(-chance)).sum(1).mean()


def sprites_record(gamma, X, X_new, factors_new, steps, parameters):
    """Fit one model; return its scores on held-out images, and the model."""
    model = FactorVAETransformer(
        gamma=gamma, max_iter=steps, random_state=0, **KIM_MNIH, **parameters
    ).fit(X)
    codes = model.transform(X_new)
    record = {
        "gamma": gamma,
        "temperature": float(model.temperature_),
        "rows": len(X),
        "steps": steps,
        "batch_size": model.batch_size,
        "factor_vae": metrics.factor_vae_score(factors_new, used_codes(model, codes)),
        "mig": metrics.mutual_info_gap_score(factors_new, codes),
        "mcc": metrics.mean_correlation_score(
            factors_new[:, [1, 3, 4]], codes, over="factors"
        ),
        "reconstruction": float(cross_entropy(X_new, model)),
        "kl": float(model.kl_per_component_.sum()),
        "total_correlation": float(model.history_["total_correlation"][-1]),
        "active": len(model.active_components_),
    }
    print(summary(record), flush=True)
    return record, model


def curves(models):
    """Return the histories of all models as records."""
    return [
        {
            "gamma": model.gamma,
            "temperature": float(model.temperature_),
            **dict(zip(model.history_, line, strict=True)),
        }
        for model in models
        for line in zip(*model.history_.values(), strict=True)
    ]


def fit_of(record):
    """Return the settings that distinguish fits of one protocol."""
    return record["gamma"], record["temperature"]


def with_stored(records, path, options):
    """Return records, preceded with --add by the stored ones of other fits."""
    anew = set(map(fit_of, records))
    stored = read(path) if options.add and path.exists() else []
    return [r for r in stored if fit_of(r) not in anew] + records


def called(gamma, temperature):
    """Return the name of a fit in figures and tables."""
    return f"gamma = {gamma:g}, T = {temperature:.0f}"


def draw_sprites(records, models, X, path):
    """Plot the learning curves, and images above their reconstructions."""
    plt, fig, axes = canvas(1, 2, (9, 3.2))
    lines, pictures = axes[0]
    strips = [X[:8]] + [m.inverse_transform(m.transform(X[:8])) for m in models]
    for fit in dict.fromkeys(map(fit_of, records)):
        own = [r for r in records if fit_of(r) == fit]
        lines.plot(
            [r["step"] for r in own],
            [r["reconstruction"] for r in own],
            label=called(*fit),
        )
    lines.set(xlabel="step", ylabel="nats per image", yscale="log")
    lines.legend(frameon=False)
    strips = [np.hstack(list(strip.reshape(-1, 64, 64))) for strip in strips]
    pictures.imshow(np.vstack(strips), cmap="gray", vmin=0, vmax=1)
    names = ["images", *(f"gamma = {m.gamma:g}" for m in models)]
    pictures.set(xticks=[], yticks=32 + 64 * np.arange(len(names)), yticklabels=names)
    fig.savefig(path, dpi=100)
    plt.close(fig)


def run_sprites(options):
    protocol = FULL if options.full else SHORT
    steps, rows = (
        options.max_iter or protocol["steps"],
        options.rows or protocol["rows"],
    )
    parameters = protocol["model"] | {"temperature": options.temperature}
    X, _ = datasets.make_dsprites_like(rows, random_state=0)
    X_new, factors_new = datasets.make_dsprites_like(3000, random_state=1)
    fits = [
        sprites_record(gamma, X, X_new, factors_new, steps, parameters)
        for gamma in options.gammas or protocol["gammas"]
    ]
    records, models = map(list, zip(*fits, strict=True))
    tell_sprites(records, models, X_new, options)


def tell_sprites(records, models, X_new, options):
    """Store, plot and print the fits of a protocol."""
    block = "sprites-full" if options.full else "sprites"
    path = RESULTS / f"published_{block.replace('-', '_')}.csv"
    path_of_curves = path.with_name(f"{path.stem}_curves.csv")
    records = with_stored(records, path, options)
    history = with_stored(curves(models), path_of_curves, options)
    write(records, path)
    write(history, path_of_curves)
    draw_sprites(history, models, X_new, path.with_suffix(".png"))
    report(
        block,
        ["model", "FactorVAE score", "MIG", "reconstruction", "scale, x, y"],
        SPRITES_ON_PAPER
        + [
            [
                f"ours, {called(*fit_of(r))}, {r['steps']} steps of {r['batch_size']}",
                f"{r['factor_vae']:.2f}",
                f"{r['mig']:.2f}",
                f"{r['reconstruction']:.0f}",
                f"{r['mcc']:.2f}",
            ]
            for r in records
        ],
        f"Ours: one seed, {records[0]['rows']} images.",
        options,
    )


# --------------------------------------------------------------------------- main
def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True)
    oscillator = commands.add_parser("oscillator", help="SciNet's damped oscillator")
    oscillator.add_argument("--seeds", type=int, default=5, help="fits of each model")
    oscillator.add_argument("--rows", type=int, default=20_000, help="curves")
    oscillator.add_argument("--max-iter", type=int, help="steps, for a short trial")
    names = list(OSCILLATOR_METHODS)
    oscillator.add_argument("--methods", nargs="+", default=names, choices=names)
    oscillator.set_defaults(run=run_oscillator)
    cells = commands.add_parser("cells", help="MichiGAN's table of disentanglement")
    cells.add_argument("--seeds", type=int, default=5, help="fits of each model")
    cells.add_argument("--rows", type=int, default=3000, help="cells to fit")
    cells.add_argument("--max-iter", type=int, help="steps, for a short trial")
    kinds = ("linear", "nonlinear")
    cells.add_argument("--steps", nargs="+", default=kinds, choices=kinds)
    names = list(CELLS_METHODS)
    cells.add_argument("--methods", nargs="+", default=names, choices=names)
    cells.set_defaults(run=run_cells)
    sprites = commands.add_parser("sprites", help="Kim & Mnih's networks, shortened")
    sprites.add_argument("--full", action="store_true", help="the paper's protocol")
    sprites.add_argument("--gammas", type=float, nargs="+", help="one fit for each")
    sprites.add_argument("--rows", type=int, help="images to fit")
    sprites.add_argument("--max-iter", type=int, help="gradient steps")
    sprites.add_argument(
        "--temperature", type=temperature, default="auto", help="1 is the paper's"
    )
    sprites.add_argument(
        "--add", action="store_true", help="keep the stored results of other fits"
    )
    sprites.set_defaults(run=run_sprites)
    for command in (oscillator, cells, sprites):
        command.add_argument(
            "--page", action="store_true", help="update docs/evidence/published.md"
        )
    return parser.parse_args()


def main():
    RESULTS.mkdir(parents=True, exist_ok=True)
    options = parse()
    options.run(options)


if __name__ == "__main__":
    main()
