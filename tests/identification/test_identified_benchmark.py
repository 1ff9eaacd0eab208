"""Benchmarks of conditions keep working, and their page quotes what is stored."""

import re
from pathlib import Path

import grids
import identified
import numpy as np
import pytest

from skfactorvae.identification import condition_effects

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "evidence" / "identified.md").read_text("utf-8")
GUIDE = (ROOT / "docs" / "guide" / "known.md").read_text("utf-8")


def small(rng):
    """Return 200 samples of two sources with conditional spreads."""
    aux = np.repeat(np.arange(4), 50)
    sources = rng.standard_normal((200, 2)) * rng.uniform(0.1, 3, (4, 2))[aux]
    return identified.Conditioned(sources @ rng.normal(size=(2, 5)), aux, sources)


@pytest.mark.slow
def test_a_set_is_measured_once_and_stored(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(identified, "RESULTS", tmp_path / "stored.csv")
    monkeypatch.setitem(identified.SETS, "mild-var", small)
    model = identified.BetaVAETransformer(beta=1.0, max_iter=30, weight_decay=0)
    monkeypatch.setitem(identified.METHODS, "VAE", identified.rotated(model, "VAE"))
    for _ in range(2):
        identified.measure(["mild-var"], ["linear", "VAE"], [0])
    assert len(identified.stored()) == 7
    assert all(0 < float(r["correlation"]) <= 1 for r in identified.stored())
    capsys.readouterr()
    identified.show()
    assert capsys.readouterr().out.count("\n| ") == 7


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [name for name in identified.SETS if name != "moebius"]
)
def test_conditions_of_a_set_differ_in_spread(name):
    one = identified.SETS[name](np.random.default_rng(0))
    assert len(one.X) == len(one.aux) == len(one.sources)
    spreads = [one.sources[one.aux == k].std(axis=0) for k in np.unique(one.aux)]
    assert np.log(spreads).std(axis=0).min() > 0.2


def test_an_inversion_keeps_angles():
    """Derivatives by the sources are orthogonal and of equal length, everywhere."""
    rng = np.random.default_rng(0)
    sources, point = rng.uniform(-0.5, 0.5, (20, 2)), np.array([0.8, -1.3])
    steps = 1e-5 * np.eye(2)
    above, below = (
        np.stack([identified.inverted(sources + sign * step, point) for step in steps])
        for sign in (1, -1)
    )
    derivatives = (above - below) / 2e-5  # (2, n, 2)
    gram = np.einsum("inp,jnp->nij", derivatives, derivatives)
    np.testing.assert_allclose(gram[:, 0, 1], 0, atol=1e-8)
    np.testing.assert_allclose(gram[:, 0, 0], gram[:, 1, 1], rtol=1e-6)


def test_a_set_without_conditions_is_fitted_by_methods_that_need_none():
    one = identified.moebius(np.random.default_rng(0), 200)
    assert list(identified.linear(one, 0)) == ["columns", "PCA", "FastICA"]
    assert identified.conditional(one, 0) == {}
    assert identified.METHODS["noise"](one, 0) == {}


def test_the_correlation_is_one_for_permuted_and_scaled_sources():
    sources = np.random.default_rng(0).normal(size=(50, 3))
    codes = sources[:, [2, 0, 1]] * [-1, 2, 3]
    assert identified.correlation(sources, codes) == pytest.approx(1)


def test_the_page_has_the_stored_numbers(capsys):
    identified.show()
    for line in capsys.readouterr().out.splitlines():
        assert line in PAGE


@pytest.mark.slow
def test_a_grid_is_measured_once_and_stored(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(grids, "RESULTS", tmp_path / "stored.csv")
    monkeypatch.setattr(grids, "N_SAMPLES", 3000)
    for _ in range(2):
        grids.measure(["linear"], [0])
    rows = grids.stored()
    assert [r["method"] for r in rows] == ["columns", "PCA", "PCA + align_codes"]
    assert all(0 <= float(r[key]) <= 1 for r in rows for key in grids.NUMBERS)
    capsys.readouterr()
    grids.show()
    assert capsys.readouterr().out.count("\n| ") == len(grids.NUMBERS)


@pytest.mark.slow
def test_sources_of_a_grid_vary_with_the_conditions_that_it_states():
    one = grids.grid(0)
    effects = condition_effects(one.sources, one.aux)
    for name, varies in grids.VARIES.items():
        assert effects.varies(name).tolist() == varies.tolist()
    np.testing.assert_allclose(one.by_site[:, ~grids.VARIES["site"]], 0)


def test_the_page_has_the_stored_numbers_of_grids(capsys):
    grids.show()
    for line in capsys.readouterr().out.splitlines():
        assert line in PAGE


@pytest.mark.slow
def test_the_examples_of_the_guide_run():
    """Later ones go on with the table of the first."""
    blocks = re.findall(r"```python\n(.*?)```", GUIDE, re.S)
    assert len(blocks) == 3
    exec(compile("\n".join(blocks), "known.md", "exec"), {})
