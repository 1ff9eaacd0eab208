"""Learning curves, shifts and fairness of predictions, on tables that are known."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import GroupShuffleSplit
from sklearn.neighbors import KNeighborsRegressor

from skfactorvae.evaluation import (
    count_predictions,
    sample_efficiency,
    shift_report,
    unfairness_score,
)
from skfactorvae.inspection import (
    SampleEfficiencyDisplay,
    ShiftDisplay,
    UnfairnessDisplay,
)


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plt.close("all")


def noisy_copies(n=200, p=30, noise=3.0):
    """Return a factor (n,), and columns (n, p) that are noisy copies of it."""
    rng = np.random.default_rng(0)
    factor = rng.normal(size=n)
    return factor, factor[:, None] + noise * rng.normal(size=(n, p))


class TestSampleEfficiency:
    def test_codes_that_are_the_factor_need_few_labels(self):
        factor, X = noisy_copies()
        result = sample_efficiency(factor[:, None], factor, X=X, n_repeats=2)
        assert list(result.scores) == ["codes", "principal components", "columns"]
        assert result.sizes.tolist() == [10, 20, 50, 100, 133]
        assert_allclose(result.scores["codes"], 1, atol=1e-3)
        assert result.scores["columns"][0].mean() < 0.8
        assert result.efficiency["codes"] == pytest.approx(1, abs=1e-3)
        assert result.efficiency["columns"] < 0.9

    def test_permuted_labels_explain_nothing(self):
        factor, X = noisy_copies()
        result = sample_efficiency(X, factor, sizes=[100], n_repeats=4)
        assert result.null.shape == (1, 4)
        assert result.null.max() < 0.15

    def test_a_score_is_that_of_a_fit_by_hand(self):
        """With one split and all training samples, in whatever order."""
        factor, X = noisy_copies(60, 4)
        result = sample_efficiency(
            X, factor, sizes=[40], n_repeats=1, estimator=LinearRegression()
        )
        rng = np.random.RandomState(0)
        order = rng.permutation(60)
        test = np.isin(np.arange(60), order[:20])
        model = LinearRegression().fit(X[~test], factor[~test])
        error = np.mean((model.predict(X[test]) - factor[test]) ** 2)
        assert result.scores["codes"][0, 0] == pytest.approx(1 - error / factor.var())

    def test_larger_training_sets_contain_the_smaller(self):
        seen = []

        class Recorder(LinearRegression):
            def fit(self, X, y):
                seen.append(set(X[:, 0].tolist()))
                return super().fit(X, y)

        factor, X = noisy_copies(60, 2)
        options = {"n_repeats": 2, "sizes": [30, 10], "estimator": Recorder()}
        sample_efficiency(X, factor, **options)
        for small, large in zip(seen[::4], seen[1::4], strict=True):
            assert (len(small), len(large)) == (10, 30)
            assert small < large

    def test_every_training_set_has_all_levels_in_share(self):
        y = np.repeat([0, 1, 2], [120, 60, 20])
        counts = []

        class Recorder(LogisticRegression):
            def fit(self, X, y):
                counts.append(np.bincount(y, minlength=3))
                return super().fit(X, y)

        codes = np.eye(3)[y]
        result = sample_efficiency(
            codes, y, sizes=[20, 50], n_repeats=3, estimator=Recorder()
        )
        assert result.metric == "accuracy"
        for size, count in zip([20, 50] * 6, counts, strict=False):
            assert np.abs(count / size - [0.6, 0.3, 0.1]).max() <= 2.5 / size + 0.04
        assert_array_equal(result.scores["codes"][1], 1)

    def test_groups_are_held_out_together(self):
        """Codes that are the name of the group predict nothing of other groups."""
        rng = np.random.default_rng(0)
        group = np.repeat(np.arange(40), 10)
        y = rng.normal(size=40)[group]
        options = {"sizes": [200], "estimator": KNeighborsRegressor(1), "n_repeats": 3}
        codes = group[:, None].astype(float)
        leaking = sample_efficiency(codes, y, **options)
        honest = sample_efficiency(codes, y, sample_groups=group, **options)
        assert leaking.scores["codes"].min() > 0.95
        assert honest.scores["codes"].max() < 0.3
        split = next(GroupShuffleSplit(1, random_state=0).split(codes, y, group))
        assert len(np.unique(group[split[0]])) < 40

    @pytest.mark.slow
    def test_samples_without_a_label_are_left_out_and_serve_the_components(self):
        factor, X = noisy_copies(300)
        y = factor.copy()
        y[200:] = np.nan
        result = sample_efficiency(X[:, :3], y, X=X, n_repeats=2)
        assert result.n_test == 67
        assert result.sizes[-1] == 133
        fewer = sample_efficiency(X[:200, :3], y[:200], X=X[:200], n_repeats=2)
        assert_array_equal(result.scores["columns"], fewer.scores["columns"])
        name = "principal components"
        assert not np.allclose(result.scores[name], fewer.scores[name], atol=1e-9)

    def test_frames_text_and_sparse_tables(self):
        factor, X = noisy_copies(90, 4)
        y = pd.Series(np.where(factor > 0, "high", "low"))
        options = {"n_repeats": 2, "sizes": [20]}
        plain = sample_efficiency(X, y, **options)
        frame = sample_efficiency({"codes": pd.DataFrame(X)}, y, **options)
        assert_array_equal(plain.scores["codes"], frame.scores["codes"])
        sparse = sample_efficiency(
            csr_array(X), y, estimator=LogisticRegression(), **options
        )
        assert sparse.scores["codes"].min() > 0.4

    def test_a_training_set_of_one_level_predicts_that_level(self):
        y = np.array([0] * 97 + [1, 1, 1])
        result = sample_efficiency(np.arange(100.0)[:, None], y, sizes=[2], n_repeats=3)
        assert (result.scores["codes"] >= 0.8).all()

    def test_another_score(self):
        factor, X = noisy_copies(90, 4)
        result = sample_efficiency(
            X, factor > 1, sizes=[30], scoring=balanced_accuracy_score, n_repeats=2
        )
        assert result.metric == "balanced accuracy score"

    def test_it_prints_a_table_and_counts_of_splits(self):
        factor, X = noisy_copies()
        codes = {"codes": factor[:, None], "half": X[:, :3]}
        result = sample_efficiency(codes, factor, sizes=[50], n_repeats=3)
        lines = str(result).splitlines()
        assert lines[0] == "explained variance of 67 held-out samples, 3 splits"
        assert lines[1].split() == ["labels", "codes", "half", "null"]
        assert lines[2].split()[:2] == ["50", "1.000"]
        assert lines[-1] == "splits in which codes has more than half: 3"

    @pytest.mark.parametrize(
        ("options", "error", "message"),
        [
            ({"sizes": [1000]}, ValueError, "sizes must be at most 20"),
            ({"sizes": []}, ValueError, "at least one number"),
            ({"sizes": [1]}, ValueError, "each of sizes must be an integer >= 2"),
            ({"test_size": 1}, ValueError, "test_size must be a number between"),
            ({"n_repeats": 0}, ValueError, "n_repeats must be an integer >= 1"),
            ({"scoring": "r2"}, TypeError, "scoring must be None or a function"),
            ({"estimator": "ridge"}, TypeError, "estimator must be 'auto' or have"),
            ({"target_type": "class"}, ValueError, "target_type must be one of"),
            ({"y": np.zeros(30)}, ValueError, "at least two different values"),
            ({"y": np.eye(30)}, ValueError, "y must be one column, got 30"),
            ({"y": np.arange(29.0)}, ValueError, "'codes' has 30 rows and y has 29"),
            ({"codes": {}}, ValueError, "at least one table"),
            ({"sample_groups": np.zeros(30)}, ValueError, "at least two groups"),
            ({"codes": {"columns": np.eye(30)}, "X": np.eye(30)}, ValueError, "also"),
        ],
    )
    def test_bad_input(self, options, error, message):
        given = {"codes": np.eye(30), "y": np.arange(30.0), **options}
        with pytest.raises(error, match=message):
            sample_efficiency(**given)


class TestShiftReport:
    @staticmethod
    def tables(n=400):
        """Return codes that separate target and factor, codes that add them, both."""
        rng = np.random.default_rng(0)
        y, factor = rng.uniform(size=(2, n))
        apart, added = np.column_stack([y, factor]), (y + factor)[:, None]
        return {"apart": apart, "added": added}, y, factor

    def test_codes_that_add_the_factor_pay_for_its_shift(self):
        tables, y, factor = self.tables()
        report = shift_report("auto", tables, y, factor, n_repeats=3)
        median = f"{np.quantile(factor, 0.5):.3g}"
        assert report.ranges == [f"<= {median}", f"> {median}"]
        assert np.abs(report.cost["apart"]).max() < 0.01
        assert report.cost["added"].min() > 0.5
        assert report.scores["added"]["inside"].shape == (2, 3)

    def test_the_shift_of_a_sum_is_worked_out(self):
        """Trained below 1/2, y is regressed on y + f, with f uniform below 1/2.

        Above, f is 1/2 larger, and the prediction 1/2 times the slope, 4/5, too large.
        """
        tables, y, factor = self.tables(20_000)
        report = shift_report("auto", tables["added"], y, factor, n_repeats=1)
        inside = 1 - (1 / 5)  # of the variance of y: 1/12 / (1/12 + 1/48) is explained
        assert report.scores["codes"]["inside"][0, 0] == pytest.approx(inside, abs=0.02)
        outside = inside - (0.4**2) * 12
        assert report.scores["codes"]["outside"][0, 0] == pytest.approx(
            outside, abs=0.1
        )

    def test_each_level_of_a_discrete_factor_is_left_out(self):
        rng = np.random.default_rng(0)
        batch, y = rng.integers(3, size=300), rng.normal(size=300)
        X = np.column_stack([y + batch])
        report = shift_report("auto", X, y, batch, n_repeats=2)
        assert report.ranges == ["not level 0", "not level 1", "not level 2"]
        cost = report.cost["codes"]
        assert cost[1] < min(cost[0], cost[2])  # between the others

    def test_a_pipeline_is_fitted_to_the_training_range(self):
        seen = []

        class Recorder(LinearRegression):
            def fit(self, X, y):
                seen.append(X[:, 1].max())
                return super().fit(X, y)

        tables, y, factor = self.tables()
        shift_report(Recorder(), tables["apart"], y, factor, n_repeats=2)
        median = np.quantile(factor, 0.5)
        assert max(seen[0:4:2]) <= median < min(seen[1:4:2])

    def test_missing_factors_and_targets_are_left_out(self):
        tables, y, factor = self.tables()
        y, factor = y.copy(), factor.copy()
        y[:50], factor[40:80] = np.nan, np.nan
        report = shift_report("auto", tables["apart"], y, factor, n_repeats=2)
        kept = shift_report(
            "auto", tables["apart"][80:], y[80:], factor[80:], n_repeats=2
        )
        assert_array_equal(
            report.scores["codes"]["outside"], kept.scores["codes"]["outside"]
        )

    def test_it_prints_a_table(self):
        tables, y, factor = self.tables()
        lines = str(shift_report("auto", tables, y, factor, n_repeats=1)).splitlines()
        assert lines[1].split() == ["range", "inside", "outside", "mixed", "cost"]
        assert len(lines) == 2 + 4

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"factor": np.ones(30)}, "factor must have at least two different"),
            ({"factor": np.arange(29.0)}, "factor has 29 entries and y has 30"),
            ({"quantile": 1.0}, "quantile must be a number between"),
            ({"factor": [np.nan] * 27 + [1, 2, 3]}, "both known for 3 samples"),
        ],
    )
    def test_bad_input(self, options, message):
        given = {"X": np.eye(30), "y": np.arange(30.0), "factor": np.arange(30.0)}
        with pytest.raises(ValueError, match=message):
            shift_report("auto", **{**given, **options})


class TestUnfairness:
    @staticmethod
    def by_loops(predictions, sensitive):
        """Return the mean and the largest distance, written out."""
        distances, shares = [], []
        for level in np.unique(sensitive):
            of_level = predictions[sensitive == level]
            distance = 0
            for value in np.unique(predictions):
                overall = np.mean(predictions == value)
                distance += abs(np.mean(of_level == value) - overall) / 2
            distances.append(distance)
            shares.append(len(of_level) / len(predictions))
        return np.dot(distances, shares), max(distances)

    def test_it_is_the_published_definition(self):
        rng = np.random.default_rng(0)
        sensitive = rng.integers(4, size=300)
        predictions = (rng.integers(5, size=300) + (sensitive == 2)) % 5
        mean, largest = self.by_loops(predictions, sensitive)
        assert unfairness_score(predictions, sensitive) == pytest.approx(mean)
        assert unfairness_score(predictions, sensitive, average="max") == pytest.approx(
            largest
        )

    def test_it_is_zero_for_equal_distributions_and_grows_to_one_less_the_share(self):
        assert unfairness_score([0, 1] * 6, np.repeat([0, 1, 2], 4)) == 0
        groups = np.repeat(np.arange(5), 4)
        assert unfairness_score(groups, groups) == pytest.approx(1 - 1 / 5)

    def test_names_and_order_do_not_matter(self):
        rng = np.random.default_rng(0)
        predictions, sensitive = rng.integers(3, size=(2, 80))
        score = unfairness_score(predictions, sensitive)
        names = np.array(["c", "a", "b"])
        order = rng.permutation(80)
        assert unfairness_score(names[predictions], names[sensitive]) == pytest.approx(
            score
        )
        assert unfairness_score(predictions[order], sensitive[order]) == pytest.approx(
            score
        )

    @pytest.mark.parametrize("average", ["macro", "max", None])
    def test_independent_predictions_have_an_adjusted_score_near_zero(self, average):
        rng = np.random.default_rng(0)
        predictions, sensitive = rng.integers(10, size=100), rng.integers(2, size=100)
        options = {"average": average}
        raw = np.mean(unfairness_score(predictions, sensitive, **options))
        adjusted = unfairness_score(predictions, sensitive, adjusted=True, **options)
        assert raw > 0.05
        assert np.mean(adjusted) < raw / 2

    def test_numbers_are_divided_into_bins_of_equal_counts(self):
        rng = np.random.default_rng(0)
        y = rng.normal(size=400)
        counts = count_predictions(y, y > 0, n_bins=4)
        assert counts.sum(axis=1).tolist() == [100] * 4
        assert np.count_nonzero(counts) <= 5
        assert unfairness_score(y, y > 0, n_bins=4) == pytest.approx(0.5, abs=0.05)

    def test_samples_without_an_attribute_are_left_out(self):
        sensitive = [0, 0, 1, 1, np.nan]
        assert unfairness_score([0, 1, 0, 1, 5], sensitive) == 0

    @pytest.mark.parametrize(
        ("predictions", "sensitive", "options", "message"),
        [
            ([0, 1], [0, 0], {}, "sensitive must have at least two"),
            ([0, 1], [0, 1, 2], {}, "predictions has 2 entries and sensitive has 3"),
            ([0, np.nan], [0, 1], {}, "predictions has 1 missing"),
            (np.eye(2), [0, 1], {}, "predictions must be one column; got 2"),
            ([0, 1], [0, 1], {"n_bins": 1}, "n_bins must be an integer >= 2"),
            ([0, 1], [0, 1], {"average": "mean"}, "average must be one of"),
        ],
    )
    def test_bad_input(self, predictions, sensitive, options, message):
        with pytest.raises(ValueError, match=message):
            unfairness_score(predictions, sensitive, **options)


class TestDisplays:
    def test_curves_are_drawn_for_each_representation_and_the_null(self):
        factor, X = noisy_copies(90, 4)
        display = SampleEfficiencyDisplay.from_codes(
            X, factor, X=X, sizes=[10, 40], n_repeats=2
        ).plot()
        lines = display.ax_.get_lines()
        assert len(lines) == 4
        for line, curves in zip(lines, display.result.scores.values(), strict=False):
            assert_allclose(line.get_ydata(), curves.mean(axis=1))
        assert display.ax_.get_xscale() == "log"

    def test_the_points_of_a_shift_are_its_scores(self):
        tables, y, factor = TestShiftReport.tables(90)
        display = ShiftDisplay.from_estimator("auto", tables, y, factor, n_repeats=2)
        ax = display.plot().ax_
        labels = [text.get_text() for text in ax.get_yticklabels()]
        assert len(labels) == 4
        assert labels[0].startswith("apart, <=")
        drawn = {line.get_label(): line.get_xdata() for line in ax.get_lines()}
        outside = display.report.scores["added"]["outside"].mean(axis=1)
        assert_allclose(drawn["outside"][[1, 3]], outside)

    def test_bars_are_shares_of_predictions(self):
        display = UnfairnessDisplay.from_predictions([0, 0, 1, 1], [0, 0, 0, 1])
        assert_allclose(display.shares, [[2 / 3, 0], [1 / 3, 1]])
        assert_allclose(display.distances, [1 / 6, 1 / 2])
        widths = [bar.get_width() for bar in display.plot().ax_.patches]
        assert_allclose(widths, display.shares.ravel())
