"""The experiments with other latents keep working, and their page quotes results."""

from pathlib import Path

import latents
import numpy as np
import pytest

PAGE = Path(__file__).parents[1] / "docs" / "evidence" / "latents.md"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "term"), [("quantised", "commitment"), ("interactions", "interaction")]
)
def test_an_experiment_changes_the_fit(method, term, X):
    fits = [
        latents.METHODS[name](3, random_state=0, max_iter=40, weight_decay=0.0)
        for name in ("VAE", method)
    ]
    plain, other = (model.fit(X).transform(X) for model in fits)
    assert np.isfinite(other).all()
    assert np.abs(plain - other).max() > 1e-3
    assert fits[1].history_.keys() - fits[0].history_.keys() == {term}


@pytest.mark.slow
def test_the_generator_has_a_bottleneck(X):
    """Its divergence is part of the loss, and smaller with a larger weight."""
    weak, strong = (
        latents.METHODS[name](3, random_state=0, max_iter=60).fit(X)
        for name in ("IB-GAN", "IB-GAN, weight 1")
    )
    plain = latents.METHODS["InfoGAN"](3, random_state=0, max_iter=60).fit(X)
    assert weak.history_.keys() - plain.history_.keys() == {"bottleneck"}
    last = [model.history_["bottleneck"][-1] for model in (weak, strong)]
    assert 0 < last[1] < last[0]
    assert np.isfinite(weak.transform(X)).all()


@pytest.mark.slow
def test_a_table_is_measured_once_and_stored(monkeypatch, tmp_path, X):
    monkeypatch.setattr(latents, "RESULTS", tmp_path / "stored.csv")
    monkeypatch.setitem(latents.TABLES, "layers", lambda: (X, X[:, :2]))
    for _ in range(2):
        latents.measure(["layers"], ["VAE"], [0, 1], n_steps=2)
    assert [r["seed"] for r in latents.stored()] == ["0", "1"]
    assert all(0 < float(r["correlation"]) <= 1 for r in latents.stored())


def test_the_page_has_the_stored_numbers(capsys):
    latents.show()
    for line in capsys.readouterr().out.splitlines():
        assert line in PAGE.read_text("utf-8")
