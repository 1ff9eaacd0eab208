"""What is labelled is in components of its own, and nowhere else."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.ensemble import HistGradientBoostingRegressor as Boosting
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import r2_score, roc_auc_score
from sklearn.model_selection import GridSearchCV

from skfactorvae import SupervisedFactorVAETransformer
from skfactorvae.datasets import make_nonlinear_ica
from skfactorvae.metrics._validation import check_table
from skfactorvae.model_selection import SeedEnsemble, gamma_path, select_gamma
from skfactorvae.preparation import TrainingData, read_labels

NAN = np.nan


def make_table(n_rows=1000, seed=0):
    """Ten sensors, four sources and two sites that shift them; y of every row."""
    rng = np.random.RandomState(seed)
    sources = rng.uniform(-1.7, 1.7, size=(n_rows, 4))
    site = rng.randint(2, size=n_rows)
    X = np.tanh(sources @ rng.normal(size=(4, 10)) * 0.5)
    X += site[:, None] * rng.normal(size=10) * 0.5 + 0.05 * rng.normal(size=X.shape)
    return X, np.column_stack([sources[:, 0], sources[:, 1] > 0, site])


def make(n_components=4, **parameters):
    settings = {
        "hidden_layer_sizes": (16,),
        "discriminator_hidden_layer_sizes": (8,),
        "opponent_hidden_layer_sizes": (8,),
        "max_iter": 8,
        "batch_size": 16,
        "random_state": 0,
    }
    return SupervisedFactorVAETransformer(n_components, **(settings | parameters))


def modules(n_features, n_components):
    """Return networks of one layer, whose codes are nearly silent."""
    encoder = torch.nn.Linear(n_features, 2 * n_components)
    with torch.no_grad():
        encoder.weight.mul_(0.1)
        encoder.bias.zero_()
    return encoder, torch.nn.Linear(n_components, n_features)


@pytest.fixture
def table():
    X, y = make_table(60)
    y[30:, 0] = y[20:, 1] = NAN
    return X, y


def weights_of(X, y, sample_weight=None, **parameters):
    return make(**parameters).fit(X, y, sample_weight).weights_


def assert_same(a, b):
    assert list(a) == list(b)
    for name in a:
        np.testing.assert_array_equal(a[name], b[name], err_msg=name)


class TestReading:
    """What a column of y is."""

    def read(self, y, n_rows=6, kinds="auto", sensitive=None):
        X = np.arange(float(n_rows))[:, None]
        return read_labels(X, y, np.ones(n_rows), kinds, sensitive)

    @pytest.mark.parametrize(
        ("column", "levels"),
        [
            ([0, 1, 2, 0, 1, 2], [0, 1, 2]),
            ([0.0, 5.0, NAN, 0.0, 5.0, NAN] * 3, [0, 5]),
            ([True, False, True, True, True, False], [False, True]),
            (["b", "a", None, "b", "a", NAN], ["a", "b"]),
            ([True, None, False, None, None, None], [False, True]),
            ([0.1, 0.2, 0.3, 0.1, 0.2, NAN], None),
            ([0.0, 1.0, 2.0, 3.0, 4.0, NAN], None),
        ],
    )
    def test_integers_frequent_whole_numbers_booleans_and_strings_are_levels(
        self, column, levels
    ):
        (attribute,) = self.read(column, len(column))
        if levels is None:
            assert attribute.levels is None
        else:
            assert attribute.levels.tolist() == levels
            known = ~np.isnan(attribute.labels)
            found = attribute.levels[attribute.labels[known].astype(int)].tolist()
            assert found == [c for c in column if c is not None and c == c]

    @pytest.mark.parametrize(
        "column",
        [
            np.arange(3000) % 30,
            np.arange(3000) % 1200,
            np.arange(3000) % 2000,
            np.arange(3000.0) % 30,
            np.arange(3000.0) % 51,
            np.arange(3000.0) % 7 + 0.5,
            np.where(np.arange(3000) < 2900, np.nan, np.arange(3000) % 20),
            np.where(np.arange(3000) < 2950, np.nan, np.arange(3000) % 20),
            np.arange(3000) % 2 == 0,
            pd.Series(np.arange(3000) % 30 / 8, dtype="category"),
            pd.Series(np.arange(3000) % 40, dtype="Int64"),
            np.array([*range(21), None] * 100, dtype=object),
            np.array(list("abc") * 1000),
        ],
        ids=lambda column: f"{column.dtype}-{len(set(column))}",
    )
    def test_fits_and_metrics_agree_on_what_is_discrete(self, column):
        """One rule: a column of labels is of one kind to a fit and to its score."""
        n_rows = len(column)
        (attribute,) = self.read(column, n_rows)
        (kind,) = check_table(column, np.zeros(n_rows)).kinds
        assert kind == ("continuous" if attribute.levels is None else "discrete")

    def test_its_kind_can_be_said(self):
        y = np.column_stack([[0, 1, 2, 0, 1, 2], [0.5, 1.5, 2.5, 0.5, 1.5, 2.5]])
        first, second = self.read(y, kinds=["continuous", "discrete"])
        assert first.levels is None
        assert second.levels.tolist() == [0.5, 1.5, 2.5]

    @pytest.mark.parametrize("y", [np.arange(6.0), np.arange(30)])
    def test_the_kind_depends_neither_on_repetition_nor_on_weights(self, y):
        X = np.arange(float(len(y)))[:, None]
        count = np.full(len(y), 9)
        (once,) = read_labels(X, y, np.ones(len(y)), "auto", None)
        (weighted,) = read_labels(X, y, count.astype(float), "auto", None)
        often = np.repeat(X, count, axis=0), np.repeat(y, count)
        (repeated,) = read_labels(*often, np.ones(count.sum()), "auto", None)
        assert once.levels is weighted.levels is repeated.levels is None

    def test_samples_of_no_weight_do_not_count(self):
        y = np.array([0, 1, 0, 1, "none", 0.5], dtype=object)
        X, weight = np.arange(6.0)[:, None], np.array([1.0, 1, 1, 1, 0, 0])
        (attribute,) = read_labels(X, y, weight, "auto", None)
        assert attribute.levels.tolist() == [0, 1]
        np.testing.assert_array_equal(attribute.labels, [0, 1, 0, 1, NAN, NAN])

    def test_categories_keep_their_order_and_those_that_are_missing_are_no_levels(self):
        values = ["low", "mid", "high"]
        column = pd.Categorical(["mid", "low", None] * 2, values, ordered=True)
        for y in (column, pd.Series(column), pd.DataFrame({"dose": column})):
            (attribute,) = self.read(y)
            assert attribute.levels.tolist() == ["low", "mid"]
            np.testing.assert_array_equal(attribute.labels, [1, 0, NAN] * 2)

    def test_masked_labels_are_unknown(self):
        mask = np.array([False, False, True] * 2)
        (attribute,) = self.read(np.ma.masked_array([1, 0, -999] * 2, mask))
        assert attribute.levels.tolist() == [0, 1]
        np.testing.assert_array_equal(attribute.labels, [1, 0, NAN] * 2)

    def test_integers_too_large_for_floats_keep_their_levels_and_values(self):
        base = 2**60
        y = np.array([base, base + 1] * 3)
        assert self.read(y)[0].levels.tolist() == [base, base + 1]
        (attribute,) = self.read(base + 10**6 * np.arange(30), 30)
        assert attribute.levels is None
        np.testing.assert_array_equal(attribute.labels, base + 10.0**6 * np.arange(30))

    def test_frames_name_attributes_and_sensitive_ones_come_first(self):
        frame = pd.DataFrame({"dose": [0.1, 0.2, NAN] * 2, "site": list("aab") * 2})
        attributes = self.read(frame, sensitive="site")
        assert [a.name for a in attributes] == ["site", "dose"]
        assert self.read(frame["dose"])[0].name == "dose"
        for same in (1, -1, [1], ["site"], np.array([1])):
            assert self.read(frame, sensitive=same)[0].name == "site"

    @pytest.mark.parametrize(
        ("y", "options", "message"),
        [
            (np.zeros(5), {}, "5 rows and X has 6"),
            (np.zeros((6, 2, 2)), {}, "got shape"),
            (np.full(6, NAN), {}, "no label"),
            ([None] * 6, {}, "no label"),
            ([1.0, NAN, NAN, 1.0, NAN, NAN], {}, "one level"),
            ([1.5, NAN, NAN, np.inf, NAN, NAN], {}, "infinity"),
            ([0, 1, np.inf, 0, 1, 0], {}, "infinity"),
            ([0.5, 1, -1e308, 0, 1e308, 0], {}, r"magnitude 1e\+308.*Divide it"),
            (["a", 1, "b", 2, "a", 1], {}, "all of one kind.*objects such as 'a'"),
            (np.array(["a", "b", NAN, "a", "b", "a"]), {}, "as strings, such as 'nan'"),
            ([1j, 2, 3, 4, 5, 6], {}, "complex numbers; expected real"),
            (np.arange(6).astype("M8[D]"), {}, "got dates.*to numbers, such as days"),
            (list("ababab"), {"kinds": "continuous"}, "cannot be 'continuous'"),
            (np.arange(6), {"kinds": ["continuous"] * 2}, "attribute_types"),
            (np.arange(6), {"kinds": ["real"]}, "one of .*'discrete', 'continuous'"),
            (np.arange(6), {"kinds": ["nominal"]}, "attribute_types"),
            (np.arange(6), {"sensitive": 1}, "sensitive=1"),
            (np.arange(6), {"sensitive": ["site"]}, "must be positions or names"),
            (np.arange(6), {"sensitive": True}, "sensitive=True"),
        ],
    )
    def test_what_cannot_be_read_is_refused_with_a_reason(self, y, options, message):
        with pytest.raises(ValueError, match=message):
            self.read(y, **options)

    def test_numbers_that_numpy_has_made_strings_are_refused(self):
        y = np.column_stack([np.linspace(0, 1, 21), list("abc" * 7)])
        with pytest.raises(ValueError, match="numbers, or NaN, as strings, such as '0"):
            self.read(y, 21)
        assert self.read(y[:, 1], 21)[0].levels.tolist() == ["a", "b", "c"]
        digits = np.array(list("0123456789"))  # the names of classes
        assert len(self.read(digits, 10)[0].levels) == 10

    def test_moments_and_shares_are_those_of_weighted_labelled_rows(self):
        y = np.column_stack([[0.0, 0, 1, 2, 1, NAN], [1.5, 2.5, NAN, 4.5, NAN, 9.5]])
        weight = np.array([1.0, 2, 3, 4, 5, 0])
        X = np.arange(6.0)[:, None]
        kinds = ["discrete", "continuous"]
        attributes = read_labels(X, y, weight, kinds, None)
        targets = TrainingData.from_arrays(X, weight, attributes).targets
        np.testing.assert_allclose(targets.marginals[0], [3 / 15, 8 / 15, 4 / 15])
        values = targets.labels[[0, 1, 3], 1]
        assert np.average(values, weights=[1, 2, 4]) == pytest.approx(0)
        assert np.average(values**2, weights=[1, 2, 4]) == pytest.approx(1)

    def test_equal_rows_with_different_labels_stay_apart(self):
        X, y = np.ones((4, 2)), np.array([0.5, 0.5, 1.5, NAN])
        attributes = read_labels(X, y, np.ones(4), "auto", None)
        weight = TrainingData.from_arrays(X, np.ones(4), attributes).weight
        assert sorted(weight) == [1, 1, 2]


class TestRefusals:
    @pytest.mark.parametrize(
        ("names", "message"),
        [([], "at least one column"), (["a", "a", "b"], "same name.*'a'")],
    )
    def test_columns_of_y_need_names_of_their_own(self, table, names, message):
        X, y = table
        frame = pd.DataFrame(y[:, : len(names)], columns=names)
        with pytest.raises(ValueError, match=message):
            make().fit(X, frame)

    def test_a_real_attribute_is_called_continuous(self, table):
        with pytest.raises(ValueError, match=r"attribute_types.*'continuous'.*'real'"):
            make(attribute_types="real").fit(*table)

    def test_thirty_integers_are_thirty_levels(self):
        y = np.arange(3000) % 30
        X = np.random.RandomState(0).normal(size=(3000, 3)) + y[:, None]
        (levels,) = make(max_iter=2).fit(X, y).attribute_levels_
        assert levels.tolist() == list(range(30))

    def test_y_is_required(self, table):
        with pytest.raises(ValueError, match=r"requires y to be passed.*NaN"):
            make().fit(table[0])

    def test_attributes_need_components(self, table):
        X, y = table
        with pytest.raises(ValueError, match=r"take 3 components.*Raise n_components"):
            make(2).fit(X, y)
        with pytest.raises(ValueError, match="one number for each of the 3 columns"):
            make(components_per_attribute=[1, 2]).fit(X, y)

    def test_labels_that_are_all_held_out_are_missed(self, table):
        X, y = table
        y[1:, 0] = NAN
        y[0, 0], y[1, 0] = 0.5, 1.5
        model = make(early_stopping=True, validation_fraction=0.97)
        with pytest.raises(ValueError, match="held out for early stopping"):
            model.fit(X, y)

    def test_a_fit_that_goes_on_keeps_the_units_of_labels(self, table):
        X, y = table
        model = make(max_iter=40, warm_start=True).fit(X, y[:, :1])
        before = model.predict_attributes(X)[:, 0]
        some = (y[:, 0] > 0.5) & np.isfinite(y[:, 0])
        model.set_params(max_iter=1, learning_rate=1e-9).fit(X[some], y[some, :1])
        np.testing.assert_allclose(model.predict_attributes(X)[:, 0], before, atol=1e-3)

    @pytest.mark.slow
    def test_modules_of_ones_own_are_not_said_to_be_silent(self, table):
        X, y = table
        strong = {"beta": 50.0, "gamma": 0.0, "masking": 0.0, "learning_rate": 0.03}
        own = make(max_iter=300, network=modules, temperature=1.0, **strong)
        mean, std = own.fit(X, y[:, :1]).posterior(X)
        kl = 0.5 * (mean**2 + std**2 - 2 * np.log(std) - 1)
        np.testing.assert_allclose(own.kl_per_component_, kl.mean(axis=0), rtol=1e-3)
        assert (own.kl_per_component_[1:] > 0).all()
        assert (own.kl_per_component_[1:] < 0.2).all()

    def test_other_levels_are_no_continuation(self, table):
        X, y = table
        model = make(warm_start=True).fit(X, y)
        y[5, 2] = 7
        with pytest.raises(ValueError, match=r"did not have: 7\.0"):
            model.fit(X, y)


class TestExactness:
    """Rows count by their values and labels, not by their number or order."""

    def test_integer_weights_are_repeated_rows(self, table):
        X, y = table
        count = np.arange(len(X)) % 3
        repeated = np.repeat(X, count, axis=0), np.repeat(y, count, axis=0)
        weighted = weights_of(X, y, count, sensitive=2)
        assert_same(weighted, weights_of(*repeated, sensitive=2))

    def test_the_order_of_rows_is_without_effect(self, table):
        X, y = table
        X[7], X[40] = X[0], X[0]  # of the same site or not, labelled or not
        order = np.random.RandomState(0).permutation(len(X))
        assert_same(weights_of(X, y), weights_of(X[order], y[order]))

    def test_how_a_label_is_missing_is_without_effect(self, table):
        X, y = table
        as_objects = y.astype(object)
        as_objects[np.isnan(y)] = None
        assert_same(weights_of(X, y), weights_of(X, as_objects))

    def test_labels_have_no_unit(self, table):
        X, y = table
        scaled = y * [1024.0, 1, 1]
        assert_same(weights_of(X, y), weights_of(X, scaled))


class TestWhatIsShown:
    def test_components_are_those_of_attributes_and_then_the_rest(self, table):
        X, y = table
        frame = pd.DataFrame(y, columns=["dose", "ill", "site"])
        model = make(5, sensitive=["site"], components_per_attribute=[2, 1, 3])
        model.fit(X, frame)
        assert model.attribute_names_ == ("dose", "ill", "site")
        assert model.attribute_levels_[0] is None
        assert [len(own) for own in model.attribute_components_] == [2, 1, 0]
        assert np.concatenate(model.attribute_components_).tolist() == [0, 1, 2]
        assert model.transform(X).shape == (60, 5)
        assert len(model.kl_per_component_) == 5
        assert len(model.get_feature_names_out()) == 5

    def test_rows_come_back_with_hidden_components_at_zero(self, table):
        X, y = table
        model = make(sensitive=2, max_iter=60, activation="relu").fit(X, y)
        codes = model.transform(X)
        first, *others = model.decoder_layers()
        assert first["weight"].shape[0] == 4
        h = np.maximum(codes @ first["weight"] + first["bias"], 0)
        output = h @ others[0]["weight"] + others[0]["bias"]
        output += codes @ others[1]["weight"]
        np.testing.assert_allclose(
            output * others[2]["scale"] + others[2]["mean"],
            model.inverse_transform(codes),
            rtol=1e-4,
            atol=1e-4,
        )

    @pytest.mark.slow
    def test_predictions_have_the_units_and_the_levels_of_y(self, table):
        X, y = table
        names = np.where(y[:, 1] > 0, "ill", "well").astype(object)
        names[np.isnan(y[:, 1])] = None
        mixed = np.column_stack([1000 + 5 * y[:, 0], names, y[:, 2]])
        model = make(sensitive=2, max_iter=300, learning_rate=1e-2).fit(X, mixed)
        predicted = model.predict_attributes(X)
        assert predicted.shape == (60, 2)
        assert set(predicted[:, 1]) <= {"ill", "well"}
        known = ~np.isnan(y[:, 0])
        errors = predicted[known, 0].astype(float) - (1000 + 5 * y[known, 0])
        assert np.abs(errors).mean() < 2
        chances = model.predict_attributes_proba(X)
        assert list(chances) == ["1"]
        np.testing.assert_allclose(chances["1"].sum(axis=1), 1)
        best = model.attribute_levels_[1][chances["1"].argmax(axis=1)]
        np.testing.assert_array_equal(best, predicted[:, 1])

    def test_there_is_nothing_to_predict_where_all_attributes_are_sensitive(
        self, table
    ):
        X, y = table
        vae = make(sensitive=[0, 1, 2]).fit(X, y)
        assert vae.predict_attributes(X).shape == (len(X), 0)
        assert vae.predict_attributes_proba(X) == {}


class TestMetaEstimators:
    def test_searches_and_ensembles_pass_labels_on(self, table):
        X, y = table
        search = GridSearchCV(make(), {"masking": [0.0, 3.0]}, cv=2).fit(X, y[:, [2]])
        assert np.isfinite(search.cv_results_["mean_test_score"]).all()
        ensemble = SeedEnsemble(make(), n_seeds=2, random_state=0).fit(X, y)
        assert ensemble.transform(X).shape == (60, 4)

    def test_gamma_is_selected_and_followed_with_labels(self, table):
        X, y = table
        y = y[:, 2]
        options = {"y": y, "test_size": 0.5, "random_state": 0}
        path = gamma_path(make(), X, [0, 10], **options)
        assert path.codes.shape[2] == 4
        chosen = select_gamma(make(), X, [0, 10], n_seeds=2, **options)
        assert chosen.best_estimator.attribute_names_ == ("0",)

    @pytest.mark.slow
    def test_a_clone_is_fitted_to_the_same(self, table):
        X, y = table
        model = make(sensitive=[2]).fit(X, y)
        assert_same(model.weights_, clone(model).fit(X, y).weights_)


# ---------------------------------------------------------------------- what it is for
def linear_and_bent(labels, codes):
    """Return scores of fresh probes on rows that neither they nor the fit saw."""
    is_class = len(np.unique(labels)) < 5
    options = {"random_state": 0, "max_iter": 60}
    probes = (
        (LogisticRegression(), HistGradientBoostingClassifier(**options))
        if is_class
        else (LinearRegression(), Boosting(**options))
    )
    for probe in probes:
        probe.fit(codes[2000:3000], labels[2000:3000])
        if not is_class:
            yield r2_score(labels[3000:], probe.predict(codes[3000:]))
            continue
        chance = probe.predict_proba(codes[3000:])
        chance = chance[:, 1] if chance.shape[1] == 2 else chance
        yield roc_auc_score(labels[3000:], chance, multi_class="ovr")


@pytest.mark.slow
def test_a_hundred_labels_of_2000_are_enough():
    rng = np.random.RandomState(0)
    X, sources = make_nonlinear_ica(4000, n_sources=4, n_features=20, random_state=0)
    site = rng.randint(3, size=len(X))
    X = X + rng.normal(size=(3, 20))[site] * 0.5 * X.std(axis=0)
    truth = np.column_stack([sources[:, 0], sources[:, 1] > 0, site])
    y = truth[:2000].copy()
    y[rng.permutation(2000)[100:], :2] = NAN
    vae = SupervisedFactorVAETransformer(
        8, sensitive=2, max_iter=3000, random_state=0
    ).fit(X[:2000], y)
    codes = vae.transform(X)
    assert np.corrcoef(codes[2000:, 0], truth[2000:, 0])[0, 1] > 0.9
    for j, most in ((0, 0.05), (1, 0.60)):
        masked = [*linear_and_bent(truth[:, j], np.delete(codes, j, axis=1))]
        own = [*linear_and_bent(truth[:, j], codes[:, [j]])]
        everything = [*linear_and_bent(truth[:, j], codes)]
        assert max(masked) <= most, masked
        assert min(own) >= 0.95 * max(everything), (own, everything)
    assert max(linear_and_bent(site, codes)) <= 0.60
