"""Which of two initialisations is used, by what held-out samples say of them."""

from types import SimpleNamespace

import numpy as np
import pytest

from skfactorvae.preparation._comparison import Comparison
from skfactorvae.preparation._job import Prepared
from skfactorvae.preparation._length import LengthComparison

FEW, ALL = 500, 5000


class Longer(LengthComparison):
    """A longer fit that is still to be made."""

    held_out_weight = np.ones(3)


class Short(Comparison):
    """The short fits of a start."""

    decays = (0.0,)
    choose = None
    held_out_weight = np.ones(3)


def schedule(steps):
    return SimpleNamespace(max_iter=steps)


def longer():
    return Longer([], schedule(1500), schedule(ALL), None, None, None, None)


N_SAMPLES = 40
CURVES = np.random.default_rng(0).normal(size=(N_SAMPLES, 3))
ANSWERS = np.arange(N_SAMPLES)[:, None] % np.array([2, 3, 4]) - 1.0


def job_of(rows):
    """Return a job with these samples."""
    weight = np.ones(N_SAMPLES)
    return SimpleNamespace(values=rows, row_weights=weight, seed=0)


def prepared(name, *, steps=FEW, comparison=None, bound=0.0, rows=CURVES):
    """Return the preparation of a start that makes some steps, or is pending."""
    return Prepared(
        job=job_of(rows),
        spec=SimpleNamespace(n_features=1),
        scaling=None,
        known={"init_": name, "init_criteria_": {}},
        schedule=schedule(ALL if comparison else steps),
        comparison=comparison,
        evaluation=SimpleNamespace(bounds=np.full(3, bound)),
    )


def short_fits(rows=CURVES):
    """Return the preparation whose short fits are compared."""
    comparison = Short([], schedule(FEW), schedule(ALL), None)
    return prepared("ica", comparison=comparison, rows=rows)


class TestAfterFewSteps:
    @pytest.mark.parametrize(
        ("own_steps", "pca_steps", "gain", "chosen"),
        [
            (FEW, FEW, 0.01, "ica"),
            (FEW, FEW, 0.0, "pca"),
            (FEW, FEW, np.nan, "pca"),
            (ALL, ALL, 0.1, "pca"),
            (FEW, ALL, 0.1, "pca"),
            (ALL, FEW, 0.1, "pca"),
            (ALL, ALL, 0.3, "ica"),
        ],
    )
    def test_a_fit_of_all_steps_needs_a_clear_gain(
        self, own_steps, pca_steps, gain, chosen
    ):
        own, pca = prepared("ica", steps=own_steps), prepared("pca", steps=pca_steps)
        found = short_fits()._after_few_steps(own, pca, gain)
        assert found.known["init_"] == chosen
        assert not found.comparisons

    @pytest.mark.parametrize(
        ("gain", "names"), [(0.1, ["ica", "pca"]), (0.3, ["ica"]), (-0.1, ["pca"])]
    )
    def test_both_stay_where_longer_fits_decide(self, gain, names):
        own, pca = (prepared(name, comparison=longer()) for name in ("ica", "pca"))
        found = short_fits()._after_few_steps(own, pca, gain)
        assert [one.known["init_"] for one in found.starts] == names
        assert [plan.competes for plan in found.comparisons] == len(names) * [
            len(names) == 2
        ]

    @pytest.mark.parametrize(
        ("steps", "gain", "chosen"),
        [
            (FEW, -0.01, "ica"),
            (FEW, -0.03, "pca"),
            (FEW, np.nan, "pca"),
            (ALL, 0.1, "pca"),
        ],
    )
    def test_pca_has_to_be_better_where_columns_have_few_levels(
        self, steps, gain, chosen
    ):
        own, pca = prepared("ica"), prepared("pca", steps=steps)
        found = short_fits(ANSWERS)._after_few_steps(own, pca, gain)
        assert found.known["init_"] == chosen

    def test_a_start_of_few_steps_waits_for_the_other(self):
        own, pca = prepared("ica"), prepared("pca", comparison=longer())
        found = short_fits()._after_few_steps(own, pca, 0.1)
        assert len(found.starts) == 2
        assert len(found.comparisons) == 1


class TestAfterLongerFits:
    def test_nothing_is_decided_while_one_is_pending(self):
        own = prepared("ica", bound=9.0)
        pca = prepared("pca", comparison=longer())
        found = pca._after_longer_fits(own, pca)
        assert len(found.starts) == 2

    @pytest.mark.parametrize(
        ("bound", "chosen"),
        [(1.0, "ica"), (0.06, "ica"), (0.04, "pca"), (-1.0, "pca"), (np.nan, "pca")],
    )
    def test_pca_is_used_where_bounds_are_about_equal(self, bound, chosen):
        own, pca = prepared("ica", bound=bound), prepared("pca")
        before = prepared("ica", comparison=longer())
        found = before._after_longer_fits(own, pca)
        assert found.known["init_"] == chosen
        assert found.known["init_criteria_"] == {
            "gain_over_pca": pytest.approx(bound, nan_ok=True)
        }

    @pytest.mark.parametrize(("bound", "chosen"), [(-0.01, "ica"), (-0.03, "pca")])
    def test_pca_has_to_be_better_where_columns_have_few_levels(self, bound, chosen):
        own, pca = prepared("ica", bound=bound), prepared("pca")
        before = prepared("ica", comparison=longer(), rows=ANSWERS)
        assert before._after_longer_fits(own, pca).known["init_"] == chosen
