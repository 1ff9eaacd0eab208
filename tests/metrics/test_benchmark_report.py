"""The table of the literature: its protocol, and what it is compared with."""

import numpy as np
import pandas as pd
import pytest
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import Bunch

from skfactorvae.metrics import _benchmark as benchmark
from skfactorvae.metrics import (
    benchmark_report,
    factor_vae_score,
    interventional_robustness_score,
    mutual_info_gap_score,
    sap_score,
)

FAST = ["mig", "sap", "irs"]


def grid(n_repeats=40):
    """Return a table of three factors of bytes, one of which is not studied."""
    levels = np.stack(np.unravel_index(np.arange(24), (2, 3, 4)), axis=1)
    factors = np.tile(levels, (n_repeats, 1))
    noise = np.random.default_rng(0).integers(6, size=factors.shape)
    return Bunch(
        data=(factors * 60 + noise).astype(np.uint8),
        factors=factors,
        factor_names=["a", "b", "c"],
        study_factors=np.array([True, False, True]),
        pixel_max=255,
    )


class TestProtocol:
    def test_scores_are_those_of_the_published_variants(self):
        table = grid()
        report = benchmark_report(lambda X: X, table, metrics=[*FAST, "factor_vae"])
        rows = np.random.RandomState(0).permutation(960)
        codes = table.data[rows] / np.float32(255)
        factors = table.factors[rows][:, [0, 2]]
        train = slice(0, 640)
        expected = {
            "mig": mutual_info_gap_score(
                factors[train], codes[train], strategy="uniform"
            ),
            "irs": interventional_robustness_score(
                factors[train], codes[train], strategy="published"
            ),
            "sap": sap_score(factors, codes, chance_floor=False, shuffle=False),
            "factor_vae": factor_vae_score(factors, codes, min_std=0.05),
        }
        assert report.scores == pytest.approx(expected)
        assert report.factor_names == ["a", "c"]
        assert report.n_samples == {
            "all": 960,
            "votes": 960,
            "train": 640,
            "test": 320,
        }

    def test_large_tables_give_ten_thousand_and_five_thousand_samples(self):
        table = grid(700)
        report = benchmark_report(lambda X: X, table, metrics=["mig"])
        assert report.n_samples == {
            "all": 16_800,
            "votes": 16_800,
            "train": 10_000,
            "test": 5_000,
        }

    def test_fewer_samples_are_encoded_in_blocks_and_in_their_order(self, monkeypatch):
        monkeypatch.setattr(benchmark, "ENCODED_AT_ONCE", 7)
        table, seen = grid(), []

        def encode(X):
            seen.append(X)
            return X

        benchmark_report(encode, table, metrics=["mig"], max_samples=20)
        assert [len(X) for X in seen] == [7, 7, 6]
        rows = np.random.RandomState(0).permutation(960)[:20]
        np.testing.assert_allclose(np.concatenate(seen) * 255, table.data[rows])

    def test_estimators_pipelines_and_tuples(self):
        table = grid()
        X, factors = table.data / 255.0, table.factors[:, [0, 2]]
        pipe = make_pipeline(StandardScaler(), PCA(2)).fit(X)
        report = benchmark_report(pipe, (X, factors), metrics=FAST)
        by_function = benchmark_report(pipe.transform, (X, factors), metrics=FAST)
        assert report.scores == by_function.scores
        assert report.factor_names == ["factor0", "factor1"]

    @pytest.mark.slow
    def test_every_metric_is_computed(self):
        report = benchmark_report(lambda X: X, grid(), dci_estimator="random_forest")
        assert set(report.scores) == set(benchmark.METRICS)
        assert min(report.scores.values()) > 0

    def test_each_factor_keeps_its_type(self):
        """An integer beside a float is discrete, and dates are numbers."""
        rng = np.random.default_rng(0)
        factors = pd.DataFrame(
            {
                "count": rng.integers(60, size=200),
                "size": rng.uniform(size=200),
                "day": pd.to_datetime("2026-01-01") + pd.to_timedelta(range(200), "D"),
            }
        )
        codes = rng.normal(size=(200, 3)) + factors[["count"]].to_numpy() / 20
        report = benchmark_report(lambda X: X, (codes, factors), metrics=["mig"])
        rows = np.random.RandomState(0).permutation(200)[:134]
        expected = mutual_info_gap_score(
            factors.iloc[rows], codes[rows], strategy="uniform"
        )
        assert report.scores["mig"] == pytest.approx(expected)

    def test_what_a_score_leaves_out_is_a_note(self):
        table = grid()
        factors = pd.DataFrame({"a": table.factors[:, 0], "fixed": 1})
        report = benchmark_report(lambda X: X, (table.data, factors), metrics=["mig"])
        assert report.notes["mig"].endswith("which are left out: fixed.")
        assert f"mig: {report.notes['mig']}" in str(report).splitlines()

    def test_what_is_undefined_is_skipped_with_a_reason(self):
        table = grid()
        one = (table.data, table.factors[:, :1])
        report = benchmark_report(lambda X: X, one, metrics=["factor_vae", "mig"])
        assert list(report.scores) == ["mig"]
        assert "factor_vae: skipped" in str(report)


class TestPublished:
    @staticmethod
    def report(**changes):
        table = grid(700)
        table.update({"name": "dsprites", **changes})
        return benchmark_report(lambda X: X, table, metrics=FAST)

    def test_values_are_beside_those_of_the_same_data_with_their_source(self):
        report = self.report()
        assert report.published == {"mig": 0.40, "sap": 0.57}
        assert report.comparable["mig"].startswith("with care")
        assert report.comparable["irs"] == "no: none published"
        text = str(report)
        assert text.splitlines()[-1].startswith("published: Lin et al. (2020)")
        assert "0.400" in text

    def test_other_data_are_not_compared(self):
        report = self.report(name="dsprites_like")
        assert set(report.comparable.values()) == {"no: other data"}
        assert report.published == {}
        assert "published:" not in str(report)

    def test_fewer_samples_and_other_estimators_are_not_compared(self):
        table = grid()
        table["name"] = "shapes3d"
        report = benchmark_report(
            lambda X: X, table, metrics=["mig", "dci"], dci_estimator="mutual_info"
        )
        assert report.comparable["mig"] == "no: 640 samples in place of 10000"
        table = grid(700)
        table["name"] = "shapes3d"
        report = benchmark_report(
            lambda X: X, table, metrics=["dci"], dci_estimator="mutual_info"
        )
        assert report.comparable["dci"] == "no: another estimator"

    def test_every_published_value_has_a_source_and_a_range(self):
        for source, values in benchmark.PUBLISHED.values():
            assert "Table" in source
            for name, value in values.items():
                assert name in benchmark.COMPARABLE
                assert 0 < value < 1


class TestInput:
    @pytest.mark.parametrize(
        ("estimator", "dataset", "options", "error", "message"),
        [
            (np.abs, np.eye(3), {}, ValueError, "dataset must be a Bunch"),
            (np.abs, Bunch(data=np.eye(3)), {}, ValueError, "data and factors"),
            (np.abs, (np.eye(3), np.eye(4)), {}, ValueError, "data has 3 rows"),
            (np.abs, grid(), {"metrics": ["tc"]}, ValueError, "unknown metrics"),
            (np.abs, grid(), {"max_samples": 2}, ValueError, "max_samples must be"),
            (object(), grid(), {}, TypeError, "estimator must have transform"),
        ],
    )
    def test_bad_input(self, estimator, dataset, options, error, message):
        with pytest.raises(error, match=message):
            benchmark_report(estimator, dataset, **options)
