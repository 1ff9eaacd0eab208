"""Time a training step, and a fit to a given quality, beside JAX.

The JAX program is FactorVAE as ``FactorVAETransformer`` trains it with Adam: the same
networks, batches, noise, losses, schedule and start weights, in plain ``jax.numpy``,
compiled by ``jax.jit`` and looped over steps by ``jax.lax.scan``. It has no checks for
divergence, no stored weights and no stacks of models. It is measured with the default
generator of random numbers, threefry, and with rbg.

Each contestant is a process with one thread that trains one model in blocks of steps,
which alternate, so that other load on the machine affects all alike. Ours is a ``fit``
of the public estimator; the clock stops between blocks. Times are wall times, with CPU
times in brackets. If they differ, other processes used the CPU: use the CPU times, or
repeat the measurement on an idle machine.

- By default, the median time of a step is printed, without preparation and compilation.
- ``--to-quality`` prints the seconds until bounds on held-out samples are reached, on
  tables of ``recovery.py``: shares of the rise from the start to the lowest of the
  contestants' best bounds, which the library computes for all. Compilation counts,
  without a stored one; imports do not. JAX starts from what our preparation computes
  (scales, initialisation), whose time is added for both in the last column only.

JAX is installed in an environment of its own on first use.

    python benchmarks/jax_time.py --help
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import subprocess
import sys
import tempfile
import venv
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import step_time
from step_time import Contestant, Pace, medians, now, ratios, since, take_turns

try:
    import jax
    import jax.numpy as jnp
except ImportError:  # expected outside of JAX's own environment
    jax = jnp = None

JAX = "0.10.2"
ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "NPROC": "1",  # JAX's pool of threads
    "JAX_PLATFORMS": "cpu",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
}
OURS, GENERATORS = "skfactorvae", ("threefry2x32", "rbg")

N_ROWS, N_COMPONENTS = 5000, 10
TABLES = ("oscillator", "stellar", "sensors", "shadows")
HELD_OUT = 0.25
RECORDS = 4  # of a fit, in a block: 100 of 5,000 steps

# Constants of skfactorvae.core.
LOG_VAR_CENTRE, LOG_VAR_RADIUS = -3.0, 7.0
MIN_SCALE, SCALE_LR_MULTIPLIER = 0.01, 10.0
LOGIT_BOUND, MAX_LOGIT, LEAK = 10.0, 60.0, 0.2
ANNEALING_FRACTION, MAX_RECORDS = 0.8, 200
BETAS, EPSILON = ((0.9, 0.999), (0.5, 0.9)), 1e-8  # of the model, of the discriminator


# ----------------------------------------------------------------------- the problem
def write_problem(folder, X, options, **more):
    """Write what a fit starts from; return its job and start weights."""
    import torch
    from hooks import untrained

    from skfactorvae import FactorVAETransformer
    from skfactorvae.core._training import _Stack

    torch.set_num_threads(1)
    parameters = {"n_components": N_COMPONENTS, "weight_decay": 0.0, **more}
    parameters |= {"max_iter": options.max_iter, "device": "cpu", "n_jobs": 1}
    parameters |= {"random_state": options.seed}
    if "solver" in FactorVAETransformer().get_params():
        parameters["solver"] = options.solver
    job, schedule = untrained(X, **parameters)
    if np.ptp(job.row_weights) > 0:
        raise ValueError("The JAX program has no sample weights: choose another table.")
    stack = _Stack([job], schedule, torch.device("cpu"))
    start, max_std = stack.export(0), stack.max_input_noise_std.numpy().ravel()
    rates = dict(zip(stack.parameter_groups, (schedule, stack.adversary), strict=True))
    named = [
        (schedule, ("batch_size", "max_iter", "record_every", "warmup")),
        (job, ("temperature", "input_noise")),
        (job.objective, ("gamma", "beta")),
        (job.network, ("n_components", "activation")),
    ]
    settings = {k: getattr(owner, k) for owner, names in named for k in names}
    settings["instance_noise"] = stack.instance_noise.item()
    settings["rates"] = {
        name: rates[role].learning_rate * job.network.lr_multiplier(name)
        for role, group in stack.parameter_groups.items()
        for name in group.leaves
    }
    np.savez(folder / "start.npz", **start)
    np.savez(folder / "data.npz", X=X, rows=job.rows, max_std=max_std)
    (folder / "settings.json").write_text(json.dumps([parameters, settings]))
    return job, start


def read_problem(folder):
    """Return arrays of the data, start weights, parameters and settings."""
    parameters, settings = json.loads((folder / "settings.json").read_text())
    data, start = (dict(np.load(folder / f"{name}.npz")) for name in ("data", "start"))
    return data, start, parameters, SimpleNamespace(**settings)


# ------------------------------------------------------------------ the model in JAX
# B samples of a batch, p features, h hidden units, d latents; weights have our names.
def dense(weights, name, x, activation, *, is_final_activated=False):
    """Return the output (B, o) of the numbered layers of a network, for x (B, i)."""
    depth = sum(f"{name}.{i}.weight" in weights for i in range(len(weights)))
    for i in range(depth):
        x = x @ weights[f"{name}.{i}.weight"] + weights[f"{name}.{i}.bias"]
        if is_final_activated or i < depth - 1:
            x = activation(x)
    return x


def encode(weights, x, activation):
    """Return posterior means and log-variances, each (B, d), of x (B, p)."""
    hidden = dense(weights, "encoder", x, activation, is_final_activated=True)
    weight, bias = weights["encoder.head.weight"], weights["encoder.head.bias"]
    head = hidden @ weight.reshape(len(weight), -1) + bias.reshape(-1)  # (B, 2 d)
    mean, raw = jnp.split(head, 2, axis=1)
    mean = mean + x @ weights["encoder.linear.weight"]
    return mean, LOG_VAR_RADIUS * jnp.tanh(raw / LOG_VAR_RADIUS) + LOG_VAR_CENTRE


def decode(weights, z, activation):
    """Return the expected features (B, p) of codes (B, d)."""
    output = dense(weights, "decoder", z, activation)
    return output + z @ weights["decoder.linear.weight"]


def noise_scales(weights):
    """Return the learned noise scale of each feature, (p,), or of all, (1,)."""
    raw = SCALE_LR_MULTIPLIER * weights["likelihood.raw_scale"]
    return jax.nn.softplus(raw) + MIN_SCALE


def negative_log_likelihood(weights, output, x):
    """Return -log p(x | z) in nats, (B,), for output and x of shape (B, p)."""
    scale = jnp.broadcast_to(noise_scales(weights), x.shape[1:])  # (p,)
    squares = jnp.square((x - output) / scale).sum(1)
    return 0.5 * (squares + len(scale) * math.log(2 * math.pi)) + jnp.log(scale).sum()


def draw_codes(mean, log_var, noise):
    """Draw codes (B, d) from posteriors."""
    return mean + jnp.exp(0.5 * log_var) * noise


def discriminator_loss(adversary, codes):
    """Return the cross-entropy and the logits (2 B,) of codes (2 B, d)."""
    activation = partial(jax.nn.leaky_relu, negative_slope=LEAK)
    logits = dense(adversary, "discriminator", codes, activation)[:, 0]
    real, permuted = jnp.split(logits, 2)
    loss = 0.5 * (jax.nn.softplus(-real) + jax.nn.softplus(permuted)).mean()
    return loss, logits


def total_correlation(adversary, z, permuted):
    """Return the total correlation, gradients of the discriminator, and its scores.

    The gradient of its loss by each code, divided by the derivative by the logit and
    multiplied by that of 10 tanh(logit / 10), is the gradient for the encoder.
    """
    codes = jax.lax.stop_gradient(jnp.concatenate([z, permuted]))  # (2 B, d)
    differentiate = jax.value_and_grad(discriminator_loss, (0, 1), has_aux=True)
    (loss, logits), (gradients, by_codes) = differentiate(adversary, codes)
    real, others = jnp.split(logits, 2)
    slope = 1 - jnp.square(jnp.tanh(real / LOGIT_BOUND))  # (B,)
    factor = -2 * slope * (1 + jnp.exp(jnp.minimum(real, MAX_LOGIT)))
    surrogate = (by_codes[: len(z)] * factor[:, None] * z).sum()
    value = real.mean() + surrogate - jax.lax.stop_gradient(surrogate)
    accuracy = 0.5 * ((real > 0).mean() + (others < 0).mean())
    return value, gradients, (loss, accuracy)


def term_weights(step, settings):
    """Return the weights of reconstruction, KL divergence and total correlation."""
    annealing = jnp.minimum(1, step / max(1, ANNEALING_FRACTION * settings.max_iter))
    reconstruction = settings.temperature ** (annealing - 1)
    ramp = step / max(1, settings.warmup * settings.max_iter)
    ramp = jnp.minimum(reconstruction, ramp)
    return reconstruction, 1 + (settings.beta - 1) * ramp, settings.gamma * ramp


def loss(model, adversary, rows, max_std, draws, step, settings):
    """Return the model's loss; gradients of the adversary, and terms to record."""
    activation = getattr(jax.nn, settings.activation)
    of_reconstruction, of_kl, of_tc = term_weights(step, settings)
    x = rows[draws["rows"]]  # (2, B, p) two independent batches
    inputs = x
    if settings.input_noise:
        std = settings.input_noise * jnp.sqrt(of_reconstruction)
        unit = jnp.minimum(jax.lax.stop_gradient(noise_scales(model)), max_std)
        inputs = x + draws["input_noise"] * (std * unit)
    mean, log_var = encode(model, inputs[0], activation)
    z = draw_codes(mean, log_var, draws["noise"][0])
    output = decode(model, z, activation)  # (B, p)
    reconstruction = negative_log_likelihood(model, output, x[0]).mean()
    kl = 0.5 * (jnp.square(mean) + jnp.exp(log_var) - log_var - 1).mean(0)  # (d,)
    explained = -jnp.expm1(-2 * jax.lax.stop_gradient(kl))
    informativeness = jnp.sqrt(jnp.maximum(explained, 0))  # (d,)

    def discriminator_input(moments, noise):
        total = jnp.logaddexp(moments[1], 2 * math.log(settings.instance_noise))
        return draw_codes(moments[0], total, noise) * informativeness

    moments = encode(jax.lax.stop_gradient(model), inputs[1], activation)
    others = discriminator_input(moments, draws["noise"][1])
    permuted = jnp.take_along_axis(others, draws["order"], axis=0)
    own = discriminator_input((mean, log_var), draws["noise"][0])
    tc, gradients, scores = total_correlation(adversary, own, permuted)
    value = of_reconstruction * reconstruction + of_kl * kl.sum() + of_tc * tc
    return value, (gradients, jnp.stack([reconstruction, kl.sum(), tc, *scores]))


def draw(key, n_rows, n_features, settings):
    """Draw the random numbers of a step."""
    batch, d = settings.batch_size, settings.n_components
    keys = jax.random.split(key, 4)
    uniform = jax.random.uniform(keys[2], (batch, d))
    return {
        "rows": jax.random.randint(keys[0], (2, batch), 0, n_rows),
        "noise": jax.random.normal(keys[1], (2, batch, d)),
        "order": jnp.argsort(uniform, axis=0),  # a permutation for each latent
        "input_noise": jax.random.normal(keys[3], (2, batch, n_features)),
    }


def adam(state, gradients, settings):
    """Return weights and moments after a step of Adam."""
    step = state["step"]
    decay = 0.51 + 0.49 * jnp.cos(jnp.pi * step / settings.max_iter)
    after = {"step": step + 1, "weights": {}, "first": {}, "second": {}}
    for name, gradient in gradients.items():
        a, b = BETAS[name.startswith("discriminator.")]
        first = a * state["first"][name] + (1 - a) * gradient
        second = b * state["second"][name] + (1 - b) * jnp.square(gradient)
        size = settings.rates[name] * decay / (1 - a ** (step + 1))
        root = jnp.sqrt(second / (1 - b ** (step + 1))) + EPSILON
        after["weights"][name] = state["weights"][name] - size * first / root
        after["first"][name], after["second"][name] = first, second
    return after


def train_step(state, key, rows, max_std, settings):
    """Update all weights once; return them and the terms to record, (5,)."""
    weights = state["weights"]
    adversary = {k: w for k, w in weights.items() if k.startswith("discriminator.")}
    model = {k: w for k, w in weights.items() if k not in adversary}
    draws = draw(key, *rows.shape, settings)
    of_model, (of_adversary, terms) = jax.grad(loss, has_aux=True)(
        model, adversary, rows, max_std, draws, state["step"], settings
    )
    return adam(state, of_model | of_adversary, settings), terms


# ------------------------------------------------------------------------- workers
class Clock:
    """Report the time of the preparation, then of each block, and store weights."""

    def __init__(self, folder, name):
        self.folder, self.name, self.n_blocks = folder, name, 0
        self.pace, self.start = Pace(0), now()

    def stop(self, get_weights=None):
        """Report the time since the last report, and wait for the next request."""
        seconds = since(self.start, 1)
        if get_weights:
            np.savez(self.folder / f"{self.name}-{self.n_blocks}.npz", **get_weights())
            self.n_blocks += 1
        self.pace.report(seconds)
        self.start = now()


def train_ours(options):
    """Fit the public estimator, without its held-out samples."""
    from hooks import Hooked

    class Timed(Hooked):
        def change_job(self, job):
            return replace(job, held_out=None)

        def train(self, jobs, schedule, **arguments):
            clock.stop()
            return super().train(jobs, schedule, **arguments | {"watch": watch})

    def watch(record):
        if record.step % (RECORDS * settings.record_every) == 0:
            clock.stop(lambda: record.weights(0))
        return [False]

    data, _, parameters, settings = read_problem(options.folder)
    clock = Clock(options.folder, options.name)
    Timed(**parameters).fit(data["X"])


def train_jax(options):
    """Run the JAX program; the preparation is its compilation."""
    data, start, _, settings = read_problem(options.folder)
    clock = Clock(options.folder, options.name)

    def between_records(state, key, rows, max_std):
        keys = jax.random.split(key, settings.record_every)
        state, terms = jax.lax.scan(
            lambda s, k: train_step(s, k, rows, max_std, settings), state, keys
        )
        return state, terms.mean(0)

    key = jax.random.key(options.seed, impl=options.name)
    state = {
        part: {k: jnp.array(scale * w) for k, w in start.items()}
        for part, scale in (("weights", 1), ("first", 0), ("second", 0))
    } | {"step": jnp.zeros(())}
    tables = [jnp.asarray(data[name]) for name in ("rows", "max_std")]
    run = jax.jit(between_records, donate_argnums=0)
    run = run.lower(state, key, *tables).compile()
    clock.stop()
    while True:
        for _ in range(RECORDS):
            key, own = jax.random.split(key)
            state, terms = run(state, own, *tables)
            np.asarray(terms)  # waits for the end of the steps
        weights = state["weights"]
        clock.stop(lambda w=weights: {k: np.asarray(v) for k, v in w.items()})


# ------------------------------------------------------------------- the comparisons
class Trainer(Contestant):
    """A process that trains a model; `first` is the time of its preparation."""

    def __init__(self, name, python, folder, seed):
        self.name, self.folder, self.values = name, folder, []
        self.label = OURS if name == OURS else f"JAX, {name}"
        self.command = [str(python), __file__, "--name", name]
        self.command += ["--folder", str(folder), "--seed", str(seed)]

    def find_bounds(self, job, start):
        """Compute the bound of held-out samples at the start, and after each block."""
        import torch

        from skfactorvae.core import elbo

        paths = [self.folder / f"{self.name}-{i}.npz" for i in range(len(self.values))]
        model, rows = (job.network, job.likelihood), job.held_out.rows
        place = {"n_directions": 1, "device": torch.device("cpu")}
        every = [start, *(dict(np.load(path)) for path in paths)]
        self.bounds = [elbo(*model, weights, rows, **place).mean() for weights in every]


def train_in_turns(X, python, options, n_blocks, **more):
    """Return the job and the contestants, ours first, after so many blocks of each."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        job, start = write_problem(folder, X, options, **more)
        pythons = {OURS: sys.executable} | dict.fromkeys(GENERATORS, python)
        contestants = [Trainer(*each, folder, options.seed) for each in pythons.items()]
        take_turns(contestants, n_blocks)
        if job.held_out is not None:
            for one in contestants:
                one.find_bounds(job, start)
    return job, contestants


def compare_steps(python, options):
    """Print the time of a step by number of features."""
    from skfactorvae import datasets

    print(f"\n### A step: {N_ROWS:,} samples, {N_COMPONENTS} latents, batch 128\n")
    print("| features | | ms per step | ours / it |\n|---|---|---|---|")
    n_blocks = min(options.rounds + 1, options.max_iter // options.block)
    for n_features in options.features:
        X, _ = datasets.make_stellar_spectra(N_ROWS, n_features, random_state=0)
        _, contestants = train_in_turns(X, python, options, n_blocks)
        values = [np.divide(one.values[1:], options.block / 1e3) for one in contestants]
        for one, times in zip(contestants, values, strict=True):
            cells = shown(medians(times), 3), shown(ratios(values[0], times))
            print(f"| {n_features} | {one.label} | {' | '.join(cells)} |", flush=True)


def compare_quality(python, options):
    """Print the seconds until bounds on held-out samples are reached, by table."""
    from recovery import TUNING

    block, n_blocks = options.block, options.max_iter // options.block
    more = {"early_stopping": True, "validation_fraction": HELD_OUT}
    for table in options.tables:
        X, _ = TUNING[table]()
        job, contestants = train_in_turns(X, python, options, n_blocks, **more)
        counts = f"{len(job.rows):,} samples, {len(job.held_out.rows):,} held out"
        print(
            f"\n### {table}: {counts}, {job.rows.shape[1]} features, temperature "
            f"{job.temperature:.3g}, {n_blocks * block:,} steps\n"
        )
        chosen = sorted({n_blocks * k // 10 for k in (0, 1, 2, 4, 6, 8, 10)})
        steps = " | ".join(f"step {block * i:,}" for i in chosen)
        print(f"| held-out bound, nats | {steps} |\n{'|---' * (len(chosen) + 1)}|")
        for one in contestants:
            cells = " | ".join(f"{one.bounds[i]:.2f}" for i in chosen)
            print(f"| {one.label} | {cells} |")
        print_times(contestants, block, options.shares)


def print_times(contestants, block, shares):
    """Print the seconds until each contestant reaches each bound."""
    ours = contestants[0]
    first, best = ours.bounds[0], min(max(one.bounds) for one in contestants)
    preparation = np.array(ours.first)
    print(
        f"\nPreparation: {shown(preparation)} s\n\n"
        "| bound | | step | compilation, s | training, s | ours / it | "
        "with preparation |\n|---|---|---|---|---|---|---|"
    )
    for share in shares:
        target, times = first + share * (best - first), {}
        for one in contestants:
            n = next(i for i, bound in enumerate(one.bounds) if bound >= target)
            training = np.sum(one.values[:n], axis=0)
            compilation = 0 * preparation if one is ours else np.array(one.first)
            times[one] = training + compilation
            total = (times[ours] + preparation) / (times[one] + preparation)
            cells = [f"{target:.2f} ({share:.0%})", one.label, f"{n * block:,}"]
            pairs = compilation, training, times[ours] / times[one], total
            print(f"| {' | '.join([*cells, *map(shown, pairs)])} |", flush=True)


def shown(pair, digits=2):
    """Return a wall time and a CPU time as text."""
    return "{:.{d}f} ({:.{d}f})".format(*pair, d=digits)


def jax_environment(cache):
    """Return the interpreter of JAX's environment, creating it if necessary."""
    home = Path(cache) / "jax-{}-python-{}.{}".format(JAX, *sys.version_info[:2])
    interpreter = home / ("Scripts" if os.name == "nt" else "bin") / "python"
    complete = home / "complete"
    if not complete.exists():
        print(f"Installing JAX {JAX} in an environment of its own ...", flush=True)
        venv.create(home, clear=True, with_pip=True)
        install = [str(interpreter), "-m", "pip", "install", "--quiet", f"jax=={JAX}"]
        subprocess.run(install, check=True, stdin=subprocess.DEVNULL)
        complete.touch()
    return interpreter


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--to-quality", action="store_true", help="time fits until bounds are reached")
    add("--rounds", type=int, default=15, help="blocks of each, for the time of a step")
    add("--features", type=int, nargs="+", default=[20, 64, 200])
    add("--tables", nargs="+", default=TABLES, help="tuning tables of recovery.py")
    add("--shares", type=float, nargs="+", default=[0.9, 0.99], help="of the rise")
    add("--max-iter", type=int, default=5000, help="steps of a fit, at least 200")
    add("--solver", default="adam", help="of ours, where the estimator has a choice")
    add("--seed", type=int, default=0)
    add("--cache", type=Path, default=step_time.default_cache(), help="of JAX")
    add("--name", choices=(OURS, *GENERATORS), help=argparse.SUPPRESS)
    add("--folder", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def main():
    options = parse()
    os.environ |= ONE_THREAD
    if options.name:
        return (train_ours if options.name == OURS else train_jax)(options)
    options.block = RECORDS * math.ceil(options.max_iter / MAX_RECORDS)
    python = jax_environment(options.cache)
    print(
        f"Python {platform.python_version()}, torch {version('torch')}, JAX {JAX}; one "
        "thread, float32; wall time (CPU time)."
    )
    compare = compare_quality if options.to_quality else compare_steps
    return compare(python, options)


if __name__ == "__main__":
    main()
