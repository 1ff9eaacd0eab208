"""Time a training step beside pythae's FactorVAE, and count a fit's copies of its data.

Each contestant is a process with one thread that trains continuously, in blocks of
steps. The blocks of all contestants alternate, so that other load on the machine
affects all of them alike. The time of a step is the median over blocks of a block's
time divided by its steps, as wall time and as CPU time. If they differ, other processes
used the CPU: use the CPU time, or repeat the measurement on an idle machine.

- Ours is a whole ``fit`` of the public estimator, timed by a scikit-learn callback. It
  includes random draws, records, checks for divergence and stored weights.
- pythae is the body of its trainer's step only: a forward pass, two backward passes,
  two steps of Adam, three reads of a loss; no DataLoader, no logs. ``--trainer`` adds
  its real trainer as another contestant.
- The third is ``torch.mm`` on float32 matrices of the discriminator's shape, the rate
  that our step is compared with.

pythae is installed in an environment of its own on first use, with the same torch.

    python benchmarks/step_time.py --help
"""

from __future__ import annotations

import argparse
import importlib.metadata
import itertools
import json
import logging
import math
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

N_FEATURES, HIDDEN, N_COMPONENTS, BATCH = 50, (128, 128), 8, 64
PYTHAE = "0.1.2"


@dataclass(frozen=True)
class Setting:
    """A discriminator to compare, and the number of steps in about half a second."""

    discriminator: tuple[int, ...]
    steps: int
    target: float  # our step's share of pythae's, at most
    rate: float | None = None  # our share of torch.mm's rate, at least

    @property
    def name(self):
        return f"{len(self.discriminator)}x{self.discriminator[0]}"


SETTINGS = {
    "3x256": Setting((256,) * 3, 300, 0.5),
    "5x1000": Setting((1000,) * 5, 25, 0.72, 0.65),
}


# ------------------------------------------------------------------ floating point
def multiplications(discriminator):
    """Return the number of multiplications that one of our steps requires.

    B samples are encoded with gradients and decoded, another B are encoded without; the
    discriminator gets 2 B codes. A layer of i inputs and o outputs needs i * o
    multiplications per sample in the forward pass, as many for the gradient of its
    weights, and as many for the gradient of its inputs. The latter is not needed in the
    encoder's first layer, and in the discriminator's first layer only for the B codes
    of the first batch. Biases, activations, likelihood, sampling and Adam are not
    counted.
    """
    encoder = [(N_FEATURES, HIDDEN[0]), HIDDEN, (HIDDEN[1], 2 * N_COMPONENTS)]
    decoder = [(N_COMPONENTS, HIDDEN[1]), HIDDEN[::-1], (HIDDEN[0], N_FEATURES)]
    sizes = (N_COMPONENTS, *discriminator, 1)
    adversary = list(itertools.pairwise(sizes))
    e, d, a = ([i * o for i, o in layers] for layers in (encoder, decoder, adversary))
    model = 2 * sum(e) + sum(e) + sum(e[1:]) + 3 * sum(d)
    game = 2 * (2 * sum(a) + sum(a[1:])) + a[0]
    return BATCH * (model + game)


# ------------------------------------------------------------------------- workers
class Pace:
    """Run a training loop in timed blocks, each started by a line on stdin.

    The time of a step is written to the original stdout; other prints go to stderr.
    """

    def __init__(self, steps):
        self.steps = steps
        self.channel = os.fdopen(os.dup(sys.stdout.fileno()), "w")
        sys.stdout = sys.stderr
        self.restart()

    def restart(self):
        """Start the block again."""
        self.done, self.start = 0, now()

    def tick(self, steps=1):
        """Count steps; report at the end of a block, and wait for the next."""
        self.done += steps
        if self.done >= self.steps:
            self.report(since(self.start, self.done))
            self.restart()

    def report(self, value):
        """Write a value and wait for the next request; exit at the end of stdin."""
        print(json.dumps(value), file=self.channel, flush=True)
        if not sys.stdin.readline():
            raise SystemExit


def now():
    """Return the wall time and the CPU time."""
    return time.perf_counter(), time.process_time()


def since(start, n):
    """Return the wall and the CPU time since `start`, divided by n, in seconds."""
    return [(b - a) / n for a, b in zip(start, now(), strict=True)]


class Ticker:
    """A scikit-learn callback that counts the steps of each record of a fit.

    The first record of a fit is not timed, because it includes the preparation.
    """

    def __init__(self, pace):
        self.pace = pace

    def setup(self, estimator, context):
        self.is_first = True

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context):
        if context.parent is None:
            return
        from skfactorvae.preparation._options import FitOptions

        steps = FitOptions.of(estimator).schedule().max_iter
        if self.is_first:
            self.is_first = False
            self.pace.restart()
        else:
            self.pace.tick(math.ceil(steps / context.parent.max_subtasks))

    def teardown(self, estimator, context):
        pass


def train_ours(setting, **parameters):
    """Fit the public estimator to noise repeatedly."""
    from skfactorvae import FactorVAETransformer

    estimator = FactorVAETransformer(
        N_COMPONENTS,
        hidden_layer_sizes=HIDDEN,
        discriminator_hidden_layer_sizes=setting.discriminator,
        batch_size=BATCH,
        activation="relu",
        device="cpu",
        n_jobs=1,
        random_state=0,
        **parameters,
    )
    estimator.set_callbacks(Ticker(Pace(setting.steps)))
    table = noise(20_000, N_FEATURES)
    while True:
        estimator.fit(table)


def train_pythae(setting, batch, real_trainer=False):
    """Run pythae's training steps on batches of noise repeatedly."""
    import torch

    model = pythae_model(setting)
    pace = Pace(setting.steps)
    if real_trainer:
        run_pythae_trainer(model, batch, pace)
    lr = 1e-4  # and torch.optim.Adam: AdversarialTrainer's defaults
    vae = [*model.encoder.parameters(), *model.decoder.parameters()]
    ours, theirs = (
        torch.optim.Adam(p, lr=lr) for p in (vae, model.discriminator.parameters())
    )
    batches = [{"data": torch.randn(batch, N_FEATURES)} for _ in range(16)]
    pace.restart()
    while True:
        for inputs in batches:
            output = model(inputs, epoch=1, dataset_size=20_000, uses_ddp=False)
            ours.zero_grad()
            output.autoencoder_loss.backward(retain_graph=True)
            theirs.zero_grad()
            output.discriminator_loss.backward()
            ours.step()
            theirs.step()
            loss = output.autoencoder_loss + output.discriminator_loss
            output.autoencoder_loss.item(), output.discriminator_loss.item()
            loss.item()
            pace.tick()


def pythae_model(setting):
    """Return pythae's FactorVAE with networks of our sizes."""
    from pythae.models import FactorVAE, FactorVAEConfig
    from pythae.models.base.base_utils import ModelOutput
    from pythae.models.nn import BaseDecoder, BaseDiscriminator, BaseEncoder
    from torch import nn

    def dense(*sizes, activation=nn.ReLU):
        pairs = list(itertools.pairwise(sizes))
        layers = [part for p in pairs for part in (nn.Linear(*p), activation())]
        return nn.Sequential(*layers)

    class Encoder(BaseEncoder):
        def __init__(self):
            super().__init__()
            self.body = dense(N_FEATURES, *HIDDEN)
            self.mean = nn.Linear(HIDDEN[-1], N_COMPONENTS)
            self.log_var = nn.Linear(HIDDEN[-1], N_COMPONENTS)

        def forward(self, x):
            hidden = self.body(x)
            return ModelOutput(
                embedding=self.mean(hidden), log_covariance=self.log_var(hidden)
            )

    class Decoder(BaseDecoder):
        def __init__(self):
            super().__init__()
            self.body = dense(N_COMPONENTS, *HIDDEN[::-1])
            self.out = nn.Linear(HIDDEN[0], N_FEATURES)

        def forward(self, z):
            return ModelOutput(reconstruction=self.out(self.body(z)))

    class Discriminator(BaseDiscriminator):
        def __init__(self):
            super().__init__()
            sizes = N_COMPONENTS, *setting.discriminator
            body = dense(*sizes, activation=lambda: nn.LeakyReLU(0.2))
            self.layers = nn.Sequential(body, nn.Linear(sizes[-1], 2))

        def forward(self, z):
            return self.layers(z)

    config = FactorVAEConfig(
        input_dim=(N_FEATURES,), latent_dim=N_COMPONENTS, reconstruction_loss="mse"
    )
    model = FactorVAE(config, encoder=Encoder(), decoder=Decoder())
    if setting.name != "5x1000":  # pythae's default
        model.set_discriminator(Discriminator())
    return model.train()


def run_pythae_trainer(model, batch, pace):
    """Train with pythae's AdversarialTrainer, timed by a callback."""
    import torch
    from pythae.data.datasets import BaseDataset
    from pythae.trainers import AdversarialTrainer, AdversarialTrainerConfig
    from pythae.trainers.training_callbacks import TrainingCallback

    class Tick(TrainingCallback):
        def on_epoch_begin(self, *args, **kwargs):
            pace.restart()

        def on_train_step_end(self, *args, **kwargs):
            pace.tick()

    logging.disable(logging.CRITICAL)
    sys.stderr = open(os.devnull, "w")  # noqa: SIM115  (a progress bar per step)
    n_rows = batch * pace.steps * 2
    data = BaseDataset(torch.randn(n_rows, N_FEATURES), torch.ones(n_rows))
    with tempfile.TemporaryDirectory() as folder:
        config = AdversarialTrainerConfig(
            output_dir=folder, per_device_train_batch_size=batch, num_epochs=10_000
        )
        AdversarialTrainer(
            model, data, training_config=config, callbacks=[Tick()]
        ).train()


def multiply_matrices(setting):
    """Time torch.mm: forward, gradients of weights and inputs, and a large square."""
    import torch

    rows, width = 2 * BATCH, setting.discriminator[0]
    x, w = torch.randn(rows, width), torch.randn(width, width)
    gradient, square = torch.randn(rows, width), torch.randn(1024, 1024)
    products = [(x, w), (x.T, gradient), (gradient, w.T), (square, square)]
    pace = Pace(0)
    while True:
        pace.report([seconds_per_operation(*pair) for pair in products])


def seconds_per_operation(a, b):
    """Time the product of two matrices for about a tenth of a second."""
    import torch

    def repeat(n):
        start = now()
        for _ in range(n):
            torch.mm(a, b)
        return since(start, n)

    n = max(5, round(0.1 / repeat(5)[0]))
    operations = 2 * a.shape[0] * a.shape[1] * b.shape[1]
    return [seconds / operations for seconds in repeat(n)]


def measure_memory(n_rows, n_features):
    """Report the size of a table and the peak memory that a fit adds, in bytes."""
    from skfactorvae import FactorVAETransformer

    estimator = FactorVAETransformer(device="cpu", n_jobs=1, max_iter=100)
    estimator.fit(noise(1000, n_features))  # libraries allocate memory once
    table = noise(n_rows, n_features)
    before = resident_bytes()
    estimator.fit(table)
    Pace(0).report([table.nbytes, peak_bytes() - before])


def noise(n_rows, n_features):
    """Return a float32 table of standard normal noise."""
    import numpy as np

    return np.random.default_rng(0).standard_normal((n_rows, n_features), np.float32)


def resident_bytes():
    """Return the current memory of the process, or its peak where unavailable."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return peak_bytes()
    return pages * os.sysconf("SC_PAGE_SIZE")


def peak_bytes():
    """Return the peak memory of the process, in bytes."""
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


WORKERS = {
    "ours": lambda setting, _: train_ours(setting, init="random"),
    "ours-ica": lambda setting, _: train_ours(setting, init="ica"),
    "pythae": train_pythae,
    "pythae-trainer": lambda setting, batch: train_pythae(setting, batch, True),
    "mm": lambda setting, _: multiply_matrices(setting),
    "memory": lambda _, n_rows: measure_memory(n_rows, 200),
}


# -------------------------------------------------------------------- the comparison
class Contestant:
    """A worker process that runs one block per request.

    Entering the context waits for the first block, which is a warm-up.
    """

    def __init__(self, python, worker, setting="3x256", batch=BATCH):
        self.command = [str(python), __file__, "--worker", worker]
        self.command += ["--setting", setting, "--batch", str(batch)]
        self.values = []

    def __enter__(self):
        one_thread = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            self.command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **one_thread},
        )
        self.first = self._read()
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()

    def block(self):
        """Run a block and store its result."""
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        self.values.append(self._read())

    def _read(self):
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{' '.join(self.command)} ended; see its error above.")
        return json.loads(line)


def take_turns(contestants, rounds):
    """Run one block of each contestant per round, in alternating order."""
    with ExitStack() as stack:
        for contestant in contestants:
            stack.enter_context(contestant)
        for number in range(rounds):
            for contestant in contestants[:: -1 if number % 2 else 1]:
                contestant.block()


def pythae_environment(cache):
    """Return the interpreter of pythae's environment, creating it if necessary."""
    torch = importlib.metadata.version("torch").partition("+")[0]
    python = "{}.{}".format(*sys.version_info[:2])
    home = Path(cache) / f"pythae-{PYTHAE}-torch-{torch}-python-{python}"
    interpreter = home / ("Scripts" if os.name == "nt" else "bin") / "python"
    complete = home / "complete"
    if not complete.exists():
        print(
            f"Installing pythae {PYTHAE} in an environment of its own ...", flush=True
        )
        venv.create(home, clear=True, with_pip=True)
        install = [str(interpreter), "-m", "pip", "install", "--quiet"]
        # pythae requires more than its FactorVAE needs, hence --no-deps.
        for wanted in (
            [f"torch=={torch}", "pydantic", "cloudpickle", "numpy", "scipy", "tqdm"],
            ["--no-deps", f"pythae=={PYTHAE}"],
        ):
            subprocess.run([*install, *wanted], check=True, stdin=subprocess.DEVNULL)
        complete.touch()
    return interpreter


def compare(setting, python, rounds, trainer):
    """Print the table of one setting."""
    here, batches = sys.executable, (BATCH, 2 * BATCH)
    ours = Contestant(here, "ours", setting.name)
    shipped = Contestant(here, "ours-ica", setting.name)
    peers = [Contestant(python, "pythae", setting.name, b) for b in batches]
    trained = [
        Contestant(python, "pythae-trainer", setting.name, b)
        for b in (batches if trainer else ())
    ]
    products = Contestant(here, "mm", setting.name)
    take_turns([ours, *peers, *trained, shipped, products], rounds)

    hidden = "-".join(map(str, HIDDEN))
    print(
        f"\n### Discriminator {setting.name}: {N_FEATURES} features, hidden layers "
        f"{hidden}, {N_COMPONENTS} latents\n\n"
        "| | samples for the VAE + for the discriminator | ms per step | CPU time | "
        + " | ".join(f"relative to pythae, batch {b}" for b in batches)
        + " |\n|---|---|---|---|---|---|"
    )
    lines = [(f"**skfactorvae**, batch {BATCH}", BATCH, ours)]
    lines += [(f"the same with init='ica', batch {BATCH}", BATCH, shipped)]
    for name, contestants in [("step", peers), ("trainer", trained)]:
        for b, contestant in zip(batches, contestants, strict=False):
            lines.append((f"pythae's {name}, batch {b}", b // 2, contestant))
    for name, rows, contestant in lines:
        times = [f"{1e3 * t:.2f}" for t in medians(contestant.values)]
        shares = [
            "{:.2f} ({:.2f})".format(*ratios(contestant.values, p.values))
            for p in peers
        ]
        print("|", " | ".join([name, f"{rows} + {rows}", *times, *shares]), "|")

    operations = 2 * multiplications(setting.discriminator)
    rates = [
        [1 / t / 1e9 for t in medians([block[i] for block in products.values])]
        for i in range(4)
    ]
    ideal = [[operations * t for t in block[0]] for block in products.values]
    shares = ratios(ideal, ours.values)
    print(
        f"\n- Ratios are medians over rounds: wall time (CPU time). Relative to "
        f"pythae's step at batch {BATCH}: **"
        + "{:.2f} ({:.2f})".format(*ratios(ours.values, peers[0].values))
        + f"**; target: {setting.target}.\n"
        f"- Our step's {operations / 1e9:.3f} GFLOP reach **"
        + "{:.0%} ({:.0%})".format(*shares)
        + f"** of torch.mm's float32 rate at the discriminator's shape, {2 * BATCH} "
        "samples"
        + (f"; target: {setting.rate:.0%}.\n" if setting.rate else ".\n")
        + "- torch.mm, GFLOP/s: "
        + ", ".join(
            "{} {:.0f} ({:.0f})".format(name, *pair)
            for name, pair in zip(
                ["forward", "gradient of weights", "gradient of inputs", "1024 square"],
                rates,
                strict=True,
            )
        )
        + ".",
        flush=True,
    )


def medians(values):
    """Return the medians of the columns."""
    return [statistics.median(column) for column in zip(*values, strict=True)]


def ratios(ones, others):
    """Return medians over rounds of the ratios of two blocks of the same round."""
    rounds = zip(ones, others, strict=True)
    return medians([[a / b for a, b in zip(*pair, strict=True)] for pair in rounds])


def weigh():
    """Print the number of copies of its table that a fit adds to the process."""
    print("\n### Memory that a fit to a float32 table adds, at its peak\n")
    print("| table | its size | added | copies of the table |\n|---|---|---|---|")
    points = []
    for n_rows in (100_000, 300_000):
        memory = Contestant(sys.executable, "memory", batch=n_rows)
        take_turns([memory], 0)
        table, added = (value / 2**20 for value in memory.first)
        points.append((table, added))
        print(f"| {n_rows} x 200 | {table:.0f} MiB | {added:.0f} MiB", end="")
        print(f" | {added / table:.2f} |")
    (small, less), (large, more) = points
    slope = (more - less) / (large - small)
    print(
        f"\nThat is **{slope:.2f} copies** and {less - slope * small:.0f} MiB for any "
        "table; target: 1 copy."
    )


def default_cache():
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "skfactorvae" / "benchmarks"


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15, help="blocks of each")
    parser.add_argument(
        "--trainer", action="store_true", help="also time pythae's real trainer"
    )
    parser.add_argument(
        "--cache",
        type=Path,
        default=default_cache(),
        help="folder of pythae's environment",
    )
    parser.add_argument(
        "--setting", choices=SETTINGS, help="discriminator; default: both"
    )
    parser.add_argument(
        "--no-memory", action="store_true", help="do not measure the memory of a fit"
    )
    parser.add_argument("--worker", choices=WORKERS, help=argparse.SUPPRESS)
    parser.add_argument("--batch", type=int, default=BATCH, help=argparse.SUPPRESS)
    return parser.parse_args()


def main():
    options = parse()
    if options.worker:
        import torch

        torch.set_num_threads(1)
        return WORKERS[options.worker](SETTINGS[options.setting], options.batch)
    python = pythae_environment(options.cache)
    print(
        f"Python {platform.python_version()}, torch "
        f"{importlib.metadata.version('torch')}, pythae {PYTHAE}; one thread, float32; "
        f"medians of {options.rounds} alternating blocks.\n\n"
        "pythae splits a batch: one half trains the VAE, the other half is permuted "
        "for the discriminator.\nOurs trains the VAE on a whole batch and draws a "
        "second one."
    )
    for name in [options.setting] if options.setting else SETTINGS:
        compare(SETTINGS[name], python, options.rounds, options.trainer)
    if not options.no_memory:
        weigh()
    return None


if __name__ == "__main__":
    main()
