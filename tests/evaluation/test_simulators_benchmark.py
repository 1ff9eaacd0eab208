"""The benchmark of simulators scores posteriors rightly, and its page is up to date."""

from pathlib import Path

import numpy as np
import pytest
import simulators

PAGE = (Path(__file__).parents[2] / "docs" / "evaluation.md").read_text("utf-8")


def test_a_calibrated_posterior_covers_as_it_should():
    rng = np.random.default_rng(0)
    mean, std = rng.normal(size=4000), rng.uniform(0.5, 1, size=4000)
    found = simulators.scores(mean + std * rng.normal(size=4000), mean, std)
    assert found["coverage"] == pytest.approx(0.9, abs=0.02)
    assert found["calibration"] < 0.03
    narrow = simulators.scores(mean + std * rng.normal(size=4000), mean, std / 3)
    assert narrow["coverage"] < 0.5
    assert narrow["calibration"] > 0.15


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_the_parameters_of_a_simulator_are_inferred():
    runs = simulators.SIMULATORS["oscillator"](400)
    Z, y = runs.factors[:, :2], runs.factors[:, 0]
    mean, std = simulators.posterior(Z[:100], y[:100], Z[100:], "each")
    found = simulators.scores(y[100:], mean, std)
    assert found["error"] < 0.05
    assert (std > 0).all()


def test_the_page_has_what_is_stored(capsys):
    simulators.report(simulators.read())
    printed = capsys.readouterr().out.splitlines()
    rows = [line for line in printed if " | test | " in line]
    assert len(rows) == 2 * 4 * 2  # simulators, parameters, kinds of length scales
    assert [row for row in rows if row.replace(" | test | ", " | ") not in PAGE] == []
