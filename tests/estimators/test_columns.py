"""Fits to tables of columns of several types."""

import copy
import subprocess
import sys

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy.special import expit, softmax
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

import skfactorvae
from skfactorvae import (
    FactorVAETransformer,
    InfoGANTransformer,
    SupervisedFactorVAETransformer,
    load,
)
from skfactorvae.inspection import (
    LatentTraversalDisplay,
    ReconstructionDisplay,
    factor_table,
)
from skfactorvae.interchange._onnx import runtime_model
from skfactorvae.model_selection import (
    BatchedGridSearchCV,
    SeedEnsemble,
    elbo_scorer,
    explained_scorer,
    latent_report,
    select_gamma,
)

SMALL = {
    "n_components": 2,
    "hidden_layer_sizes": (8,),
    "discriminator_hidden_layer_sizes": (8,),
    "batch_size": 32,
    "max_iter": 20,
    "random_state": 0,
}


def make_table(n=120, seed=0, gaps=0.1):
    """Return columns of all types that follow two factors, some values missing."""
    rng = np.random.RandomState(seed)
    z = rng.normal(size=(n, 2))
    noisy = z + 0.3 * rng.normal(size=(n, 2))
    X = pd.DataFrame(
        {
            "real": 5 + 2 * noisy[:, 0],
            "skewed": np.exp(noisy[:, 1]),
            "tailed": z[:, 0] + 0.1 * rng.standard_t(3, n),
            "flag": noisy[:, 1] > 0,
            "mode": np.select([noisy[:, 0] < -0.5, noisy[:, 0] < 0.5], ["a", "b"], "c"),
            "grade": pd.Categorical(np.digitize(noisy[:, 1], [-1, 0, 1]), ordered=True),
            "rare": rng.poisson(np.exp(z[:, 0])),
            "many": rng.poisson(10 * rng.gamma(2, np.exp(0.5 * z[:, 1]) / 2)),
        }
    )
    return X.mask(pd.DataFrame(rng.uniform(size=X.shape) < gaps, columns=X.columns)), z


LIKELIHOOD = {
    "skewed": "lognormal",
    "tailed": "student_t",
    "rare": "poisson",
    "many": "negative_binomial",
    "flag": "bernoulli",
}


@pytest.fixture(scope="module")
def table():
    return make_table()[0]


@pytest.fixture(scope="module")
def fitted(table):
    return FactorVAETransformer(**SMALL, likelihood=LIKELIHOOD).fit(table)


def test_methods_of_a_fitted_estimator_take_the_table(fitted, table):
    codes = fitted.transform(table)
    assert codes.shape == (120, 2)
    mean, std = fitted.posterior(table)
    assert np.isfinite(mean).all()
    assert (std > 0).all()
    assert np.isfinite(fitted.score(table))
    back = fitted.inverse_transform(codes)
    assert list(back.columns) == list(table.columns)
    assert back["mode"].isin(["a", "b", "c"]).all()
    assert back["grade"].dtype == table["grade"].dtype
    numbers = fitted.expected_numbers(codes)
    assert numbers.shape == fitted.numbers(table).shape == (120, 10)
    names = list(fitted.number_names_)
    levels = [names.index(f"mode = {level}") for level in "abc"]
    np.testing.assert_allclose(numbers[:, levels].sum(axis=1), 1.0, rtol=1e-5)


def test_samples_have_the_types_of_the_table(fitted, table):
    drawn = fitted.sample(50, random_state=0)
    assert drawn["mode"].isin(["a", "b", "c"]).all()
    assert (drawn["rare"] == drawn["rare"].round()).all()
    assert (drawn["skewed"] > 0).all()
    pd.testing.assert_frame_equal(drawn, fitted.sample(50, random_state=0))


def test_gaps_are_imputed_and_nothing_else(fitted, table):
    full = fitted.impute(table)
    assert not full.isna().to_numpy().any()
    known = table.notna()
    assert (full.where(known) == table).to_numpy()[known.to_numpy()].all()
    assert full["mode"].isin(["a", "b", "c"]).all()
    drawn = fitted.impute(table, n_draws=2, random_state=0)
    assert len(drawn) == 2
    assert not drawn[1].isna().to_numpy().any()
    assert (drawn[0]["rare"] == drawn[0]["rare"].astype(float).round()).all()


def test_a_frame_of_numbers_is_fitted_as_its_array(table):
    X = table[["real", "skewed"]].fillna(0.0)
    frame, array = (
        FactorVAETransformer(**SMALL).fit_transform(data) for data in (X, X.to_numpy())
    )
    np.testing.assert_array_equal(frame, array)
    by_name = FactorVAETransformer(**SMALL, likelihood={"real": "gaussian"}).fit(X)
    np.testing.assert_array_equal(by_name.transform(X), array)


def test_polars_and_arrays_of_objects_are_fitted_alike(table):
    X = table[["real", "mode", "rare"]].dropna().astype({"rare": int})
    frames = X, pl.DataFrame(X.to_dict("list")), X.to_numpy()
    models = [FactorVAETransformer(**SMALL).fit(frame) for frame in frames]
    codes = [m.transform(f) for m, f in zip(models, frames, strict=True)]
    np.testing.assert_array_equal(codes[0], codes[1])
    np.testing.assert_array_equal(codes[0], codes[2])
    for model, frame, z in zip(models, frames, codes, strict=True):
        assert type(model.inverse_transform(z)) is type(frame)


def test_arrays_of_booleans_come_back_as_booleans():
    X = np.random.RandomState(0).normal(size=(40, 3)) > 0
    vae = FactorVAETransformer(**SMALL).fit(X)
    gap = X.astype(object)
    gap[3, 1] = None
    tables = vae.inverse_transform(vae.transform(X)), vae.sample(4), vae.impute(gap)
    assert [table.dtype for table in tables] == [np.bool_] * 3
    np.testing.assert_array_equal(tables[2][:3], X[:3])


def test_an_integer_weight_equals_repetition(table):
    weight = np.random.RandomState(0).randint(0, 3, len(table))
    repeated = table.loc[np.repeat(table.index, weight)].reset_index(drop=True)
    one = FactorVAETransformer(**SMALL).fit(table, sample_weight=weight)
    two = FactorVAETransformer(**SMALL).fit(repeated)
    np.testing.assert_array_equal(one.transform(table), two.transform(table))


def test_levels_of_samples_without_weight_are_as_if_these_were_absent(table):
    more = pd.concat([table, table.iloc[:3].assign(mode="new")], ignore_index=True)
    weight = np.arange(len(more)) < len(table)
    weighted = FactorVAETransformer(**SMALL).fit(more, sample_weight=weight)
    plain = FactorVAETransformer(**SMALL).fit(table)
    np.testing.assert_array_equal(weighted.transform(table), plain.transform(table))
    with pytest.raises(ValueError, match="levels that the fit did not see: 'new'"):
        weighted.transform(more)


def test_the_order_of_the_samples_does_not_matter(table):
    order = np.random.RandomState(0).permutation(len(table))
    one = FactorVAETransformer(**SMALL).fit(table)
    two = FactorVAETransformer(**SMALL).fit(table.iloc[order])
    np.testing.assert_array_equal(one.transform(table), two.transform(table))


def test_the_unit_of_a_column_shifts_the_score_by_its_logarithm(fitted, table):
    scaled = table.assign(real=table["real"] * 1000, skewed=table["skewed"] * 10)
    other = copy.deepcopy(fitted)
    real, skewed = 0, 1  # the order of features
    other.mean_[real] *= 1000
    other.scale_[real] *= 1000
    other.mean_[skewed] += np.log(10)
    counts = table[["real", "skewed"]].notna().to_numpy() @ np.log([1000, 10])
    np.testing.assert_allclose(
        fitted.score_samples(table) - other.score_samples(scaled), counts, atol=1e-3
    )


def test_levels_that_the_fit_did_not_see(table):
    other = table.assign(mode="z")
    strict = FactorVAETransformer(**SMALL).fit(table)
    with pytest.raises(ValueError, match=r"'mode'.*'z'"):
        strict.transform(other)
    lenient = FactorVAETransformer(**SMALL, handle_unknown="missing").fit(table)
    missing = table.assign(mode=pd.Series([None] * len(table), dtype=object))
    with pytest.warns(UserWarning, match=r"'mode'.*'z'.*None of its levels") as caught:
        codes = lenient.transform(other)
    assert [message.filename for message in caught] == [__file__]
    np.testing.assert_array_equal(codes, lenient.transform(missing))
    lenient.transform(pd.concat([other, table]))  # without a warning


def test_numbers_that_are_not_finite_are_an_error(tmp_path):
    z = np.random.RandomState(0).normal(size=60)
    X = pd.DataFrame({"a": z, "b": np.rint(np.exp(z + 2))})
    options = SMALL | {"n_components": 1, "weight_decay": 0.0}
    model = FactorVAETransformer(**options, likelihood={"b": "lognormal"}).fit(X)
    far = pd.DataFrame({"a": [0.0, 1e5, -1e5], "b": [np.nan] * 3})
    with pytest.raises(ValueError, match=r"column 'b' of \d of 3 samples.*not finite"):
        model.impute(far)
    with pytest.raises(ValueError, match=r"column 'b' of \d of 3 samples.*not finite"):
        model.impute(far, n_draws=2, random_state=0)
    codes = np.array([[0.0], [1e5], [-1e5]])
    model.save(tmp_path / "model")
    for reader in (model, skfactorvae.runtime.load(tmp_path / "model")):
        for method in (reader.inverse_transform, reader.expected_numbers):
            with pytest.raises(ValueError, match=r"column 'b' of \d of 3 samples, the"):
                method(codes)
    assert np.isfinite(model.expected_numbers(codes[:1])).all()


@pytest.mark.parametrize("change", ["order", "absent", "another"])
def test_other_columns_are_refused(fitted, table, change):
    other = {
        "order": table[table.columns[::-1]],
        "absent": table.drop(columns="flag"),
        "another": table.rename(columns={"flag": "flags"}),
    }[change]
    with pytest.raises(ValueError, match=r"feature|columns"):
        fitted.transform(other)


def test_a_failed_fit_leaves_the_estimator_as_it_was(table):
    model = FactorVAETransformer(**SMALL).fit(table)
    before = model.transform(table)
    with pytest.raises(ValueError, match="'when' of X holds times"):
        model.fit(table.assign(when=pd.Timestamp("2020-01-01")))
    np.testing.assert_array_equal(model.transform(table), before)


def test_warm_start_keeps_the_encoding(table):
    model = FactorVAETransformer(**SMALL, warm_start=True).fit(table)
    names = model.number_names_
    model.fit(table.iloc[:60])
    assert list(model.number_names_) == list(names)


def test_files_hold_the_columns(fitted, table, tmp_path):
    fitted.save(tmp_path / "model")
    again = load(tmp_path / "model")
    codes = fitted.transform(table)
    np.testing.assert_array_equal(again.transform(table), codes)
    pd.testing.assert_frame_equal(
        again.inverse_transform(codes), fitted.inverse_transform(codes)
    )
    with pytest.raises(ValueError, match=r"columns of several types.*runtime"):
        runtime_model(fitted)


def test_the_runtime_computes_the_same(fitted, table, tmp_path):
    fitted.save(tmp_path / "model")
    model = skfactorvae.runtime.load(tmp_path / "model")
    codes = fitted.transform(table)
    np.testing.assert_allclose(model.transform(table), codes, atol=1e-4)
    np.testing.assert_array_equal(model.number_names_, fitted.number_names_)
    np.testing.assert_allclose(
        model.expected_numbers(codes), fitted.expected_numbers(codes), rtol=1e-4
    )
    np.testing.assert_allclose(
        model.score_samples(table), fitted.score_samples(table), rtol=1e-4
    )
    back = model.inverse_transform(codes)
    assert list(back.dtypes) == list(fitted.inverse_transform(codes).dtypes)
    with pytest.raises(ValueError, match="the fit had others"):
        model.transform(table[table.columns[::-1]])
    with pytest.raises(ValueError, match="levels that the fit did not see: 'z'"):
        model.transform(table.assign(mode="z"))


WITHOUT_TORCH = """
import sys
import numpy as np
import pandas as pd
sys.modules.update(dict.fromkeys(["torch", "sklearn", "scipy", "joblib"]))
from skfactorvae import runtime
model = runtime.load(sys.argv[1])
np.save(sys.argv[3], model.transform(pd.read_pickle(sys.argv[2])))
"""


@pytest.mark.slow
def test_a_process_without_torch_encodes_a_table(fitted, table, tmp_path):
    fitted.save(tmp_path / "model")
    table.to_pickle(tmp_path / "table")
    arguments = [tmp_path / name for name in ("model", "table", "codes.npy")]
    command = [sys.executable, "-c", WITHOUT_TORCH, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    codes = np.load(tmp_path / "codes.npy")
    np.testing.assert_allclose(codes, fitted.transform(table), atol=1e-4)


def by_functions(layer, outputs):
    """Compute the last layer of a decoder from its description, (n, q)."""
    u = outputs * layer["scale"] + layer["mean"]
    bound = layer["bound"]
    with np.errstate(invalid="ignore"):
        u = layer["shift"] + np.where(np.isinf(bound), u, bound * np.tanh(u / bound))
    parts, start, thresholds = [], 0, iter(layer["thresholds"])
    for name, size in layer["functions"]:
        own = u[:, start : start + size]
        start += size
        if name == "exp":
            own = np.exp(own)
        elif name == "sigmoid":
            own = expit(own)
        elif name == "softmax":
            own = softmax(own, axis=1)
        elif name == "levels":
            own = expit(own - next(thresholds)).sum(axis=1, keepdims=True)
        parts.append(own)
    return np.hstack(parts)[:, layer["order"]]


def test_the_layers_of_the_decoder_return_the_numbers_of_the_table(fitted, table):
    layers = fitted.decoder_layers()
    codes = fitted.transform(table).astype(float)
    x = codes
    for layer in layers[:-1]:
        if layer["kind"] == "linear":
            x = x + codes @ layer["weight"]
        else:
            x = x @ layer["weight"] + layer["bias"]
        x = x * expit(x) if layer["activation"] == "silu" else x
    found = by_functions(layers[-1], x)
    np.testing.assert_allclose(found, fitted.expected_numbers(codes), rtol=1e-3)


def test_displays_and_reports_show_numbers_and_levels(fitted, table):
    text = str(factor_table(fitted, table))
    assert any(name in text for name in fitted.number_names_)
    LatentTraversalDisplay.from_estimator(fitted, table).plot()
    ReconstructionDisplay.from_estimator(fitted, table).plot()
    assert "components" in str(latent_report(fitted, table))
    assert 0 <= explained_scorer(fitted, table) <= 1


@pytest.mark.slow
def test_searches_and_ensembles_take_the_table(table):
    vae = FactorVAETransformer(**SMALL)
    grid = {"gamma": [0.0, 5.0]}
    one, many = (
        search(vae, grid, cv=2, scoring=elbo_scorer, refit=False).fit(table)
        for search in (GridSearchCV, BatchedGridSearchCV)
    )
    np.testing.assert_allclose(
        one.cv_results_["mean_test_score"],
        many.cv_results_["mean_test_score"],
        rtol=1e-4,
    )
    ensemble = SeedEnsemble(vae, n_seeds=2, random_state=0).fit(table)
    back = ensemble.inverse_transform(ensemble.transform(table))
    assert list(back.columns) == list(table.columns)
    assert "component" in str(factor_table(ensemble, table))
    chosen = select_gamma(vae, table, [0, 5], n_seeds=2, random_state=0)
    assert chosen.best_estimator.transform(table).shape == (120, 2)


def test_steps_before_the_model_keep_frames(table):
    drop = FunctionTransformer(lambda X: X.drop(columns="many"))
    pipe = make_pipeline(drop, FactorVAETransformer(**SMALL)).fit(table)
    assert "mode" in pipe[-1].inverse_transform(pipe.transform(table))


def test_other_members(table):
    with pytest.raises(ValueError, match="takes numbers alone, but column 'mode'"):
        InfoGANTransformer(2, max_iter=2).fit(table[["real", "mode"]])
    y = (table["real"].fillna(5) > 5).astype(int)
    options = {**SMALL, "max_iter": 4}
    model = SupervisedFactorVAETransformer(**options).fit(table, y)
    assert model.transform(table).shape == (120, 2)


@pytest.mark.slow
def test_factors_are_recovered_from_all_types():
    X, z = make_table(1500, gaps=0.1)
    options = {"n_components": 2, "max_iter": 1500, "random_state": 0}
    model = FactorVAETransformer(**options, likelihood=LIKELIHOOD).fit(X)
    codes = model.transform(X)
    found = np.abs(np.corrcoef(codes.T, z.T)[:2, 2:])
    assert max(found[0, 0] + found[1, 1], found[0, 1] + found[1, 0]) > 1.8


@pytest.mark.slow
def test_a_precise_count_does_not_hide_a_binary_factor():
    rng = np.random.RandomState(0)
    z = rng.normal(size=(1000, 2))
    X = pd.DataFrame(
        {f"big{k}": rng.poisson(1e4 * np.exp(0.3 * z[:, 0])) for k in range(2)}
        | {f"flag{k}": z[:, 1] + 0.5 * rng.normal(size=1000) > 0 for k in range(5)}
    )
    kinds = {"big0": "poisson", "big1": "poisson"}
    options = {"n_components": 3, "max_iter": 1500, "random_state": 0}
    codes = FactorVAETransformer(**options, likelihood=kinds).fit(X).transform(X)
    found = np.abs(np.corrcoef(codes.T, z.T)[:3, 3:]).max(axis=0)
    assert (found > [0.95, 0.75]).all()


def test_text_in_a_fit_of_numbers_is_named(table):
    with pytest.raises(ValueError, match=r"'mode'.*text"):
        FactorVAETransformer(**SMALL, likelihood="gaussian").fit(
            table[["real", "mode"]]
        )
