"""A browser, and fitted models to look at."""

import shutil

import numpy as np
import pytest
from _browser import Browser
from _fits import small
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skfactorvae.datasets import make_gaussian_peaks

CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "chrome")


@pytest.fixture(scope="session")
def chromium(tmp_path_factory):
    """Chromium, where there is one."""
    found = [path for name in CHROMIUM if (path := shutil.which(name))]
    if not found:
        pytest.skip(f"There is none of {', '.join(CHROMIUM)} on this machine.")
    browser = Browser(found[0], tmp_path_factory.mktemp("chromium"))
    yield browser
    browser.close()


@pytest.fixture
def browser(chromium):
    """Chromium for one test, in which no page may complain."""
    yield chromium
    assert not chromium.complaints()


@pytest.fixture(autouse=True)
def no_figures_are_left(monkeypatch):
    """Close what a test drew."""
    monkeypatch.setenv("MPLBACKEND", "Agg")
    yield
    import matplotlib.pyplot as plt

    plt.close("all")


@pytest.fixture(scope="session")
def peaks():
    """Spectra of one peak, in units of their own."""
    bunch = make_gaussian_peaks(300, n_features=30, return_bunch=True, random_state=0)
    bunch.data = 5 + 200 * bunch.data
    return bunch


@pytest.fixture(scope="session")
def vae(peaks):
    return small().fit(peaks.data)


@pytest.fixture(scope="session")
def pipe(peaks):
    return make_pipeline(StandardScaler(), small()).fit(peaks.data)


@pytest.fixture(scope="session")
def images():
    """Forty images of 1 x 6 x 5 pixels."""
    rng = np.random.RandomState(0)
    return rng.uniform(size=(40, 2)) @ rng.uniform(size=(2, 30)) / 2
