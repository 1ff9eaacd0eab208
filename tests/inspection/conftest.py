"""Fixtures: a browser, datasets and fitted models."""

import shutil

import numpy as np
import pandas as pd
import pytest
from _browser import Browser
from _fits import small
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skfactorvae.datasets import make_gaussian_peaks

CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "chrome")


@pytest.fixture(scope="session")
def chromium(tmp_path_factory):
    """Chromium; tests that need it are skipped without it."""
    found = [path for name in CHROMIUM if (path := shutil.which(name))]
    if not found:
        pytest.skip(f"None of {', '.join(CHROMIUM)} is installed.")
    browser = Browser(found[0], tmp_path_factory.mktemp("chromium"))
    yield browser
    browser.close()


@pytest.fixture
def browser(chromium):
    """Chromium for one test, after which no page may have logged an error."""
    yield chromium
    assert not chromium.errors()


@pytest.fixture(autouse=True)
def no_figures_are_left(monkeypatch):
    """Close the figures of a test."""
    monkeypatch.setenv("MPLBACKEND", "Agg")
    yield
    import matplotlib.pyplot as plt

    plt.close("all")


@pytest.fixture(scope="session")
def peaks():
    """Spectra of one peak, with an offset and a scale."""
    bunch = make_gaussian_peaks(300, n_features=30, return_bunch=True, random_state=0)
    bunch.data = 5 + 200 * bunch.data
    return bunch


@pytest.fixture(scope="session")
def vae(peaks):
    return small().fit(peaks.data)


@pytest.fixture(scope="session")
def mixed():
    """A model of a table whose first column is categorical, and the table."""
    rng = np.random.default_rng(0)
    common = rng.normal(size=60)
    X = pd.DataFrame(
        {
            "kind": np.array(["a", "b", "c"])[np.digitize(common, [-0.5, 0.5])],
            "size": 10 + 3 * common,
            "weight": np.exp(common + 0.1 * rng.normal(size=60)),
            "is_old": rng.normal(size=60) > 0,
        }
    )
    likelihood = {"weight": "lognormal"}
    return small(n_components=2, likelihood=likelihood, max_iter=30).fit(X), X


@pytest.fixture(scope="session")
def pipe(peaks):
    return make_pipeline(StandardScaler(), small()).fit(peaks.data)


@pytest.fixture(scope="session")
def images():
    """Forty images of 1 x 6 x 5 pixels."""
    rng = np.random.RandomState(0)
    return rng.uniform(size=(40, 2)) @ rng.uniform(size=(2, 30)) / 2
