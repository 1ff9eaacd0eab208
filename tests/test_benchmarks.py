"""Benchmarks are run seldom; tests keep their parts and their commands working."""

import io
import itertools
import os
import re
import runpy
import shlex
from argparse import Namespace
from contextlib import redirect_stderr, redirect_stdout
from functools import cache
from pathlib import Path
from unittest.mock import patch

import cuda_time
import decay_lengths
import fuzz_fits
import images
import levers
import metric_values
import numpy as np
import pandas as pd
import published
import pytest
import real
import real_summary
import real_tables
import recovery
import simulators
import sprites
import supervised
import tables
import tables_data
import torch
from scipy import stats

from skfactorvae import FactorVAETransformer
from skfactorvae.columns import fit_table

ROOT = Path(__file__).parents[1]
PAGES = [
    page
    for pattern in ("*.md", "docs/**/*.md", "benchmarks/*.md", "examples/*.md")
    for page in sorted(ROOT.glob(pattern))
    if "_build" not in page.parts and "auto_examples" not in page.parts
]


@pytest.mark.parametrize("lever", levers.LEVERS)
def test_every_lever_of_the_default_can_be_moved(lever, X):
    model = levers.LEVERS[lever](X.shape[1], 0).set_params(max_iter=2).fit(X)
    assert np.isfinite(model.transform(X)).all()


def is_changed(model):
    """Return whether a lever changes more than a parameter of FactorVAE."""
    return type(model).__module__ == "levers"


@pytest.mark.slow
@pytest.mark.parametrize(
    "lever", [name for name, make in levers.LEVERS.items() if is_changed(make(4, 0))]
)
def test_levers_that_are_no_parameters_change_the_fit(lever, X):
    make, plain = levers.LEVERS[lever], levers.LEVERS["the default"]
    fits = [f(X.shape[1], 0).set_params(max_iter=60).fit(X) for f in (make, plain)]
    if isinstance(fits[0], levers.BestOfThree):
        assert fits[0].score(X) >= fits[1].score(X) or fits[0].SHARE < 1
    else:
        assert (fits[0].transform(X) != fits[1].transform(X)).any()


@pytest.mark.parametrize("method", recovery.METHODS)
def test_every_method_is_scored(method, X):
    model = recovery.METHODS[method](X.shape[1], 0)
    if "max_iter" in model.get_params():
        model.set_params(max_iter=2)
    split = recovery.Split.of((np.tile(X, (2, 1)), np.tile(X[:, :2], (2, 1))))
    (model,), _ = recovery.fit_all([model], split.X)
    outcome = recovery.evaluate(model, split, with_dci=False)
    known = {k: v for k, v in outcome.scores.items() if k != "dci"}
    assert np.isfinite(list(known.values())).all()
    assert 0 < known["mcc"] <= 1
    assert known["used"] == outcome.codes.shape[1]


def test_components_of_fewer_nats_do_not_count(X):
    model = recovery.METHODS["FactorVAE"](X.shape[1], 0).set_params(max_iter=50).fit(X)
    codes, held = model.transform(X), model.kl_per_component_
    nats = np.median(held[model.active_components_])
    used = recovery.used_codes(model, codes, nats)
    np.testing.assert_array_equal(used, codes[:, held >= nats])
    assert 0 < used.shape[1] < recovery.used_codes(model, codes).shape[1]


def test_dci_is_added_where_the_fit_is_the_same(X, monkeypatch):
    table = np.tile(X, (2, 1)), np.tile(X[:, :2], (2, 1))
    monkeypatch.setitem(recovery.TABLES, "peaks", lambda: table)
    methods = ["PCA", "FactorAnalysis"]
    records = list(recovery.measure(["peaks"], methods, 2, with_dci=False))
    records[2]["mcc"] += 0.5  # of a fit that cannot be made again
    assert len(list(recovery.fill_dci(records, ["peaks"], methods))) == 2
    found = [r["dci"] for r in records]
    assert 0 < found[0] <= 1
    assert np.isnan(found[1:]).all()


def test_what_is_run_anew_takes_the_place_of_what_is_stored(tmp_path):
    def record(table, method, seed, mcc):
        return {"table": table, "method": method, "seed": seed, "mcc": mcc}

    path = tmp_path / "stored.csv"
    older = [record("peaks", m, s, 0.5) for m in ("PCA", "VAE") for s in (0, 1)]
    recovery.write([r | {"torch": "1.0"} for r in older], path)
    newer = [record("peaks", "VAE", 0, 0.25), record("oscillator", "PCA", 0, 0.75)]
    recovery.write(recovery.joined(recovery.read(path), newer), path)
    found = recovery.read(path)
    assert [(r["table"], r["method"], r["seed"], r["mcc"]) for r in found] == [
        ("oscillator", "PCA", 0, 0.75),
        ("peaks", "PCA", 0, 0.5),
        ("peaks", "PCA", 1, 0.5),
        ("peaks", "VAE", 0, 0.25),
    ]
    assert [r["torch"] == "1.0" for r in found] == [False, True, True, False]


@pytest.mark.slow
@pytest.mark.parametrize("stack", ["24 of them in a stack", "2 of them in a stack"])
def test_stacks_are_timed(stack):
    kind, n_models, parameters = cuda_time.STACKS[stack]
    jobs, plan = cuda_time.jobs_of(kind, n_models, parameters)
    one = cuda_time.Contestant(jobs[:2], plan, torch.device("cpu"))
    one.block(1)
    assert len(jobs) == n_models
    assert one.n_steps == cuda_time.WARM_UP + 1
    assert one.milliseconds > 0


@pytest.mark.slow
@pytest.mark.parametrize("network", images.NETWORKS)
def test_images_are_fitted_hot_and_cold(network, monkeypatch, tmp_path, capsys):
    maker, _, ordered = images.TABLES["pendulum"]
    monkeypatch.setitem(images.TABLES, "pendulum", (maker, 800, ordered))
    monkeypatch.setattr(images, "N_NEW", 200)
    path = tmp_path / "images.csv"
    records = [
        images.measure("pendulum", network, asked, 0, 2) for asked in (1.0, "auto")
    ]
    assert records[0]["temperature"] == 1 < records[1]["temperature"]
    recovery.write(records, path)
    images.print_table(recovery.read(path))
    rows = capsys.readouterr().out.splitlines()
    assert sum(row.startswith(f"| pendulum | {network} |") for row in rows) == 2


def test_sprites_have_means_with_intervals():
    """Means over seeds of one method; two fits have no interval."""
    values = np.array([0.1, 0.2, 0.3])
    half = stats.sem(values) * stats.t.ppf(0.975, 2)
    expected = f"0.20 [{0.2 - half:.2f}, {0.2 + half:.2f}]"
    assert sprites.interval(values, 2) == expected
    assert sprites.interval(values[:2], 2) == "0.15"
    rows = pd.DataFrame(
        [
            {"size": 32, "method": method, "seed": seed, "steps": 7.0}
            | dict.fromkeys(sprites.MEASURES, seed / 10)
            for method, seed in [("PCA", 1), *(("annealed", k) for k in (1, 2, 3))]
        ]
    )
    lines = sprites.table(rows).splitlines()
    assert len({line.count("|") for line in lines}) == 1
    assert lines[2].startswith("| 32 | annealed, 7 steps | 3 | 0.20 [")
    assert lines[3].startswith("| 32 | PCA | 1 | 0.10 | ")
    assert lines[4].startswith("| 64 | FactorVAE, published | 10 | 0.83 | ")
    assert sprites.is_stored(rows, "annealed", 32, 2)
    assert not sprites.is_stored(rows, "annealed", 64, 2)


def test_codes_reach_an_aim_if_no_other_representation_has_a_lower_error():
    """The better kernel of the others counts, and all codes' intervals."""
    errors = {("codes", "each"): 0.2, ("PCA", "one"): 0.3, ("columns", "each"): 0.25}
    own = {
        (name, *case): np.array([error * factor, coverage, 0.1])
        for name, coverage in (("mass", 0.88), ("age", 0.93))
        for case, error in errors.items()
        for factor in [2.0 if name == "age" and case[0] == "codes" else 1.0]
    }
    told = simulators.aim(own, "codes")
    assert "error lower for 1 of 2" in told
    assert "88.0% to 93.0%" in told


@pytest.mark.filterwarnings("ignore:The optimal value")  # one length: interpolation
def test_a_length_scale_for_each_column_finds_the_one_that_matters():
    """Of six columns one determines the parameter, up to noise."""
    rng = np.random.default_rng(0)
    Z = rng.normal(size=(160, 6))
    y = np.sin(2 * Z[:, 0]) + 0.02 * rng.normal(size=160)
    errors = {
        lengths: np.abs(
            simulators.posterior(Z[:60], y[:60], Z[60:], lengths)[0] - y[60:]
        ).mean()
        for lengths in simulators.LENGTHS
    }
    assert errors["each"] < errors["one"] / 2


@pytest.mark.slow
def test_fits_of_a_length_are_compared_without_weight_decay():
    """The shares follow from the bounds: more is lost where the bounds differ more."""
    found = decay_lengths.measure("laplace", 0, 30)
    assert found["training"] > found["held_out"]
    assert found["lost"] > 0
    assert found["ratio"] >= 1
    assert 0 < found["r2"] < 1


@pytest.mark.slow
def test_sprites_are_scored_by_the_protocol(monkeypatch):
    """A model of random weights and principal components get every measure."""
    monkeypatch.setattr(sprites, "N_IMAGES", 500)
    for method in sprites.METHODS:
        found = sprites.measure(method, 16, 0, 2)
        assert np.isfinite([found[name] for name in sprites.MEASURES]).all()
        assert np.isnan(found["steps"]) == (method == "PCA")


def test_fits_of_another_temperature_stay_where_they_are_added_to(tmp_path):
    def fit(gamma, temperature, steps):
        return {"gamma": gamma, "temperature": temperature, "steps": steps}

    path = tmp_path / "stored.csv"
    recovery.write([fit(10.0, 1.0, 5), fit(35.0, 1.0, 5)], path)
    newer = [fit(10.0, 200.0, 6), fit(35.0, 1.0, 7)]
    found = published.with_stored(newer, path, Namespace(add=True))
    assert [(*published.fit_of(r), r["steps"]) for r in found] == [
        (10.0, 1.0, 5),
        (10.0, 200.0, 6),
        (35.0, 1.0, 7),
    ]
    assert published.with_stored(newer, path, Namespace(add=False)) == newer


def test_tables_are_measured_with_a_supervised_network():
    scores = supervised.explained_variance(supervised.TABLES["peaks"], 300)
    assert list(scores) == ["position", "width", "amplitude", "slope"]
    assert all(-1 < r2 <= 1 for r2 in scores.values())


def test_scores_are_printed_by_table(capsys):
    levers.print_all(recovery.read(levers.RESULTS), ["used", "mcc"])
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line.startswith("| the default")] == [
        "| the default | 4.000 | 6.000 | 2.000 | 5.000 |",
        "| the default | 0.994 | 0.967 | 0.917 | 0.800 |",
    ]


def test_stored_levers_are_those_that_can_be_measured():
    stored = {record["lever"] for record in recovery.read(levers.RESULTS)}
    assert stored == set(levers.LEVERS)


def test_metric_values_have_the_names_of_the_page():
    page = (ROOT / "docs" / "metrics.md").read_text("utf-8")
    names = [name.partition(",")[0] for name in metric_values.TABLE]
    assert [name for name in names if f"| `{name}`" not in page] == []
    assert [name for name in metric_values.CLAIMS if f"\n**{name}" not in page] == []
    found = [*metric_values.mcc(), *metric_values.irs_noise()]
    assert all(line.rpartition(" ")[2].rstrip("0") in page for line in found)


# ---------------------------------------------------------------- commands in the docs
def commands(text):
    """Return the commands of a page that run our scripts, each as a list of words."""
    fenced = re.findall(r"^```\w*\n(.*?)^```", text, re.M | re.S)
    lines = "\n".join(fenced).replace("\\\n", " ").splitlines()
    outside = re.sub(r"^```\w*\n.*?^```", "", text, flags=re.M | re.S)
    spans = [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", outside)]
    ours = re.compile(r"\bpython ((?:benchmarks|examples)/\w+\.py\b.*)")
    found = [match[1] for match in map(ours.search, [*lines, *spans]) if match]
    return [shlex.split(command, comments=True) for command in found]


@cache
def help_of(script, *arguments):
    """Return what a script prints for ``--help`` after some arguments."""
    out, errors = io.StringIO(), io.StringIO()
    with (
        patch.dict(os.environ),
        patch("sys.argv", [script, *arguments, "--help"]),
        redirect_stdout(out),
        redirect_stderr(errors),
        pytest.raises(SystemExit) as ended,
    ):
        runpy.run_path(str(ROOT / script), run_name="__main__")
    assert ended.value.code == 0, errors.getvalue()
    return out.getvalue()


def complaint(script, *words):
    """Return what is wrong with a command, or None."""
    if not (ROOT / script).is_file():
        return "no such file"
    options = [word.partition("=")[0] for word in words if word.startswith("-")]
    if script.startswith("examples/"):
        return "examples have no options" if words else None
    first = next((i for i, w in enumerate(words) if w.startswith("-")), len(words))
    known = set(re.findall(r"(?<!\w)--?[a-z][\w-]*", help_of(script, *words[:first])))
    unknown = [option for option in options if option not in known]
    return f"no option {', '.join(unknown)}" if unknown else None


def sections_with_tables(text):
    """Return the sections (``##``) of a page that hold a table."""
    is_table = re.compile(r"^\|(?: *:?-+:? *\|)+$", re.M)
    return [s for s in re.split(r"^(?=## )", text, flags=re.M) if is_table.search(s)]


def test_commands_in_the_documentation_exist():
    wrong = [
        f"{page.relative_to(ROOT)}: python {shlex.join(words)}: {found}"
        for page in PAGES
        for words in commands(page.read_text("utf-8"))
        if (found := complaint(*words))
    ]
    assert not wrong, "\n".join(wrong)


def test_a_command_that_does_not_exist_is_found():
    assert complaint("benchmarks/none.py") == "no such file"
    assert complaint("benchmarks/images.py", "--stored") is None
    assert complaint("benchmarks/images.py", "--none", "1") == "no option --none"
    page = "`python\nbenchmarks/images.py --stored`\n```bash\npython \\\n x.py\n```\n"
    assert commands(page) == [["benchmarks/images.py", "--stored"]]


def test_each_table_of_evidence_has_a_command_that_prints_it():
    wrong = [
        f"{page.name}: {section.splitlines()[0]}"
        for page in sorted(ROOT.glob("docs/evidence/*.md"))
        for section in sections_with_tables(page.read_text("utf-8"))
        if not commands(section)
    ]
    assert not wrong, "\n".join(wrong)


def test_no_number_comes_from_a_script_that_is_not_in_the_repository():
    lost = re.compile(
        r"thrown[\s-]+away|throw-?away|scripts?\s+that\s+(?:was|were|is|are)|not\s+kept",
        re.I,
    )
    wrong = [
        f"{page.relative_to(ROOT)}: {match[0]!r}"
        for page in PAGES
        for match in lost.finditer(page.read_text("utf-8"))
    ]
    assert not wrong, "\n".join(wrong)


class TestRealTables:
    """Tables that ship in packages; the packages themselves are not read here."""

    def test_a_third_of_at_least_24_tables_is_set_aside(self):
        tuning, set_aside = real_tables.TUNING, real_tables.SET_ASIDE
        assert not tuning.keys() & set_aside.keys()
        assert len(real_tables.TABLES) >= 24
        assert 3 * len(set_aside) >= len(real_tables.TABLES)

    def test_tables_of_scikit_learn_are_complete_and_have_classes_where_there_are(self):
        for name in ("breast cancer", "diabetes", "digits", "iris", "wine"):
            table = real_tables.load(name)
            assert np.isfinite(table.X.to_numpy()).all()
            assert (table.X.std() > 0).all()
            assert (table.labels is None) == (name == "diabetes")
            assert table.labels is None or len(table.labels) == len(table.X)

    def test_incomplete_samples_identifiers_and_constants_are_left_out(self):
        frame = pd.DataFrame(
            {
                "id": [1, 2, 3, 4],
                "a": [0.0, 1, np.nan, 3],
                "rare": [np.nan, np.nan, np.nan, 1],
                "same": [1, 1, 1, 1],
                "name": list("abcd"),
                "kind": ["x", "y", "x", None],
            }
        )
        table = real_tables.from_frame(
            frame, drop=["id"], labels="kind", logarithms="all", max_missing=0.5
        )
        assert list(table.X) == ["a"]
        np.testing.assert_allclose(table.X["a"], np.log1p([0, 1]))
        assert table.labels.tolist() == ["x", "y"]

    def test_series_in_text_are_parsed_with_their_labels(self):
        rows, labels = real_tables.parse_ts("@x\n@data\n1.5,2:a\n-3,4e1:b\n")
        np.testing.assert_array_equal(rows, [[1.5, 2], [-3, 40]])
        assert labels.tolist() == ["a", "b"]
        with pytest.raises(ValueError, match="one series and one label"):
            real_tables.parse_ts("@data\n1,2:3,4:a\n")


class TestReal:
    """The benchmark on real tables, with a fit of few steps."""

    @pytest.mark.slow
    def test_the_importance_weighted_likelihood_is_that_of_quadrature(self):
        sources = np.random.default_rng(0).uniform(-1.7, 1.7, size=(200, 1))
        noise = np.random.default_rng(1).normal(size=(200, 4))
        X = np.tanh(sources * [[0.5, 1, 2, -1]]) + 0.3 * noise
        vae = FactorVAETransformer(1, max_iter=200, batch_size=64, random_state=0)
        vae.fit(X)
        grid = np.linspace(-8, 8, 4001)[:, None]
        decoded = vae.inverse_transform(grid)
        residuals = X - vae.inverse_transform(vae.transform(X))
        scale = noise_scale(vae)
        assert (scale / residuals.std(axis=0) < 2).all()
        log_x = stats.norm.logpdf(X[:, None], decoded, scale).sum(axis=2)  # (n, grid)
        joint = log_x + stats.norm.logpdf(grid[:, 0])
        exact = np.logaddexp.reduce(joint, axis=1) + np.log(grid[1, 0] - grid[0, 0])
        found = real.importance_weighted(vae, X, n_draws=3000)
        assert found.mean() == pytest.approx(exact.mean(), abs=0.02)
        assert found.mean() > vae.score(X)

    def test_a_fit_is_measured_stored_and_not_repeated(self, monkeypatch, tmp_path):
        path = tmp_path / "real.csv"
        for method in ("PCA", "FactorAnalysis, varimax", "FastICA", "raw columns"):
            for row in real.measure("wine", method, [0, 1], n_bootstraps=2):
                real.store(row, path)
        found = real.stored(path).query("split == 0").set_index("method")
        assert len(real.stored(path)) == 2 * len(found)
        assert found.loc["PCA", "components"] >= 2
        assert found.loc["FactorAnalysis, varimax", "test"] == pytest.approx(
            -1.17, abs=0.02
        )
        assert np.isnan(found.loc["FastICA", "test"])
        assert found.loc["FastICA", "r2"] == pytest.approx(found.loc["PCA", "r2"])
        assert (found["linear"] > 0.9).all()
        assert found.loc["PCA", "agreement"] > 0.5
        assert "FactorAnalysis, varimax" in real.summary(real.stored(path))


def made_results(gain):
    """Return results of two tables, three splits and all methods, ours better."""
    rng = np.random.default_rng(0)
    rows = []
    for table, method, split in itertools.product(
        ("wine", "crabs"), real.METHODS, range(3)
    ):
        own = gain * (method == "FactorVAE")
        values = {name: own + 0.01 * rng.normal() for name in real.MEASURES}
        values |= {"agreement": np.nan if split else 0.5}
        rows.append(
            {"table": table, "method": method, "split": split, "samples": 100}
            | {"features": 5, "components": 2, "decay": 3.0, "steps": 500}
            | values
        )
    return pd.DataFrame(rows)


class TestRealSummary:
    def test_holm_adjusts_p_values_in_steps(self):
        found = real_summary.holm(np.array([0.01, 0.04, 0.03]))
        np.testing.assert_allclose(found, [0.03, 0.06, 0.06])

    def test_a_loss_is_tested_one_sided_with_the_corrected_error(self):
        differences = np.array([-0.2, -0.1, -0.3, -0.25, -0.15])
        error = np.sqrt((1 / 5 + 0.3 / 0.7) * differences.var(ddof=1))
        expected = stats.t.cdf(-0.2 / error, 4)
        assert real_summary.loss_p_value(differences) == pytest.approx(expected)
        assert real_summary.loss_p_value(-differences) > 0.9
        assert real_summary.loss_p_value(np.zeros(3)) == 1

    @pytest.mark.parametrize(("gain", "worse"), [(0.2, "none"), (-0.2, "wine, crabs")])
    def test_the_comparisons_state_gains_and_losses(self, gain, worse):
        results = made_results(gain)
        text = real_summary.comparisons(results)
        above = "100%" if gain > 0 else "0%"
        assert f"above in {above}" in text
        assert f"significantly worse: {worse}" in text
        assert list(real_summary.overview(results)["steps"]) == [500, 500]

    def test_it_is_drawn(self, tmp_path):
        real_summary.draw(made_results(0.1), tmp_path / "real.png")
        assert (tmp_path / "real.png").stat().st_size > 1000


def noise_scale(vae):
    """Return the learned standard deviation of each feature's noise, (p,)."""
    weights = {k: torch.tensor(w)[None] for k, w in vae.weights_.items()}
    scale = vae._likelihood.scales(weights, torch.zeros(1, 1, 4))
    return scale.numpy()[0, 0] * vae.scale_


def faults_of(numbers):
    """Return the faults of the cases of these numbers, by number."""
    fuzz_fits.import_all()
    found = {n: fuzz_fits.run_case(fuzz_fits.make_case(n)).faults for n in numbers}
    return {n: faults for n, faults in found.items() if faults}


@pytest.mark.parametrize("start", range(0, 30, 10))
def test_small_random_fits_have_no_fault(start):
    assert not faults_of(range(start, start + 10))


@pytest.mark.slow
@pytest.mark.parametrize("start", range(10_000, 10_400, 50))
def test_many_small_random_fits_have_no_fault(start):
    assert not faults_of(range(start, start + 50))


def test_a_random_fit_is_determined_by_its_number():
    cases = [fuzz_fits.make_case(4) for _ in range(2)]
    assert repr(cases[0]) == repr(cases[1])
    assert repr(cases[0]) != repr(fuzz_fits.make_case(5))


class Faulty:
    """A transformer with one fault of each kind."""

    warm_start = False

    def fit(self, X, y, sample_weight):
        self.level_ = np.nan
        np.random.seed(X[0, 0])
        np.float64(X[0, 0]) / X[1, 1]
        return self

    def transform(self, X):
        return X / np.inf * np.inf

    def score(self, X):
        return {}[X.shape]


def test_a_fault_of_each_kind_is_found():
    state = np.random.get_state()
    X = np.array([[3, 0], [0, 0]])
    with np.errstate(all="warn"):
        outcome = fuzz_fits.run_case(fuzz_fits.Case(Faulty(), X, others=X))
    np.random.set_state(state)
    assert outcome.row[0] == "fault"
    for text in (
        "level_ is not finite",
        "transform is not finite",
        "score: KeyError",
        "numpy's generator changed",
        "RuntimeWarning in test_benchmarks.py: divide by zero",
    ):
        assert text in outcome.row[1]


def test_a_case_that_takes_too_long_is_a_fault(monkeypatch):
    worker = fuzz_fits.Worker()
    name, outcome, text, _ = worker.run(3, limit=0.01)
    worker.end()
    assert (outcome, text) == ("fault", "no result after 0.01 s")
    assert name == type(fuzz_fits.make_case(3).estimator).__name__


def test_columns_of_noise_have_the_likelihood_of_their_name():
    X, factors = tables_data.kinds(200, np.random.RandomState(0))
    named = tables_data.named_by_prefix(X)
    table = fit_table(X, named, np.ones(200), None, print)
    found = {c.name.rstrip("0123456789"): c.likelihood for c in table.columns}
    assert found == {kind: kind for kind in tables_data.NOISE_KINDS}
    assert factors.shape == (200, 3)


def test_gradients_are_relative_to_those_of_all_columns():
    X, _ = tables_data.kinds(200, np.random.RandomState(0))
    named = tables_data.named_by_prefix(X)
    table = fit_table(X, named, np.ones(200), None, print)
    stack = tables.stack_of(table.encode(X), table.kinds, n_components=3)
    sizes = dict(tables.gradient_sizes(stack, table))
    assert sizes.keys() == tables_data.NOISE_KINDS.keys()
    np.testing.assert_allclose(np.mean(list(sizes.values())), 1)
    assert max(sizes.values()) < 10 * min(sizes.values())
