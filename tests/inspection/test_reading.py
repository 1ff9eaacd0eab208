"""Decoding through pipelines, in the user's units, and its errors."""

import numpy as np
import pytest
from _fits import small
from scipy.sparse import csr_matrix
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    OneHotEncoder,
    PowerTransformer,
    QuantileTransformer,
    StandardScaler,
)

from skfactorvae.inspection import (
    LatentTraversalDisplay,
    ReconstructionDisplay,
    edit,
    factor_table,
    loadings,
)
from skfactorvae.model_selection import SeedEnsemble


def traversal_by_hand(pipe, X, latent, positions):
    """Compute a traversal with the pipeline's transform and inverse_transform."""
    mean, std = pipe[-1].posterior(pipe[:-1].transform(X) if len(pipe) > 1 else X)
    mean, std = mean.astype(np.float64), std.astype(np.float64)
    step = np.sqrt(mean.var(axis=0) + np.square(std).mean(axis=0))[latent]
    codes = np.tile(mean.mean(axis=0), (len(positions), 1))
    codes[:, latent] += step * positions
    return pipe.inverse_transform(codes)


@pytest.mark.parametrize(
    "before",
    [
        [],
        [StandardScaler()],
        [PowerTransformer()],
        [QuantileTransformer(n_quantiles=50), StandardScaler()],
        [PCA(10, random_state=0)],
    ],
    ids=["none", "scaler", "power", "quantile", "pca"],
)
def test_traversals_are_inverted_by_the_pipeline(peaks, before):
    pipe = make_pipeline(*before, small(max_iter=40)).fit(peaks.data)
    display = LatentTraversalDisplay.from_estimator(
        pipe, peaks.data, latents=[0, 2], unit="aggregate"
    )
    for rows, latent in zip(display.rows, (0, 2), strict=True):
        expected = traversal_by_hand(pipe, peaks.data, latent, display.positions)
        np.testing.assert_allclose(rows, expected, rtol=1e-4, atol=1e-3)


def test_sparse_samples_are_shown_after_a_decomposition(peaks):
    """As the error about sparse samples recommends."""
    X = csr_matrix(np.maximum(peaks.data - 100, 0))
    pipe = make_pipeline(TruncatedSVD(5, random_state=0), small(max_iter=20)).fit(X)
    table = factor_table(pipe, X)
    assert table.effect.shape == (3, 30)
    np.testing.assert_allclose(table.feature_std, X.toarray().std(axis=0))


@pytest.mark.slow
def test_units_are_those_of_X_whatever_the_scaler(peaks):
    """1024 times the data, in a pipeline with a scaler, has 1024 times the effect."""
    tables = [
        factor_table(make_pipeline(StandardScaler(), small()).fit(X), X)
        for X in (peaks.data, 1024 * peaks.data)
    ]
    np.testing.assert_allclose(tables[1].effect, 1024 * tables[0].effect)
    np.testing.assert_allclose(tables[1].share, tables[0].share)


def test_later_steps_and_nested_pipelines_and_searches_do_not_matter(peaks):
    inner = make_pipeline(StandardScaler(), small(max_iter=20))
    y = peaks.factors[:, 0] > 0.5
    outer = Pipeline(
        [("inner", inner), ("skip", "passthrough"), ("read", LogisticRegression())]
    )
    outer.fit(peaks.data, y)
    search = GridSearchCV(outer, {"read__C": [1.0]}, cv=2).fit(peaks.data, y)
    alone = factor_table(inner.fit(peaks.data), peaks.data)
    for estimator in (outer, search):
        table = factor_table(estimator, peaks.data)
        np.testing.assert_array_equal(table.effect, alone.effect)


def test_other_decompositions_have_a_table(peaks):
    """PCA's traversals are its components, times four standard deviations."""
    pca = PCA(2).fit(peaks.data)
    table = factor_table(pca, peaks.data, unit="aggregate")
    spread = pca.transform(peaks.data).std(axis=0)
    np.testing.assert_allclose(table.effect, 4 * spread[:, None] * pca.components_)


def test_names_come_from_the_first_step(peaks):
    pd = pytest.importorskip("pandas")
    names = [f"band {i}" for i in range(30)]
    X = pd.DataFrame(peaks.data, columns=names)
    pipe = make_pipeline(StandardScaler(), small(max_iter=5)).fit(X)
    assert list(factor_table(pipe, X).layout.names) == names
    unnamed = make_pipeline(StandardScaler(), small(max_iter=5)).fit(peaks.data)
    assert list(factor_table(unnamed, peaks.data).layout.names[:2]) == ["x0", "x1"]


@pytest.mark.parametrize("step", [1, -0.5])
def test_names_that_are_numbers_are_an_axis(peaks, step):
    """scikit-learn keeps names that are text only: these are the columns of X."""
    pd = pytest.importorskip("pandas")
    wavelengths = [400 + step * i for i in range(30)]
    X = pd.DataFrame(peaks.data, columns=wavelengths)
    pipe = make_pipeline(StandardScaler(), small(max_iter=5)).fit(X)
    assert not hasattr(pipe[0], "feature_names_in_")
    text = [str(float(w)) for w in wavelengths]
    expected = factor_table(pipe, X, feature_names=text)
    table = factor_table(pipe, X)
    layouts = [
        table.layout,
        LatentTraversalDisplay.from_estimator(pipe, X).layout,
        ReconstructionDisplay.from_estimator(pipe, X).layout,
        ReconstructionDisplay.from_predictions(X, X).layout,
    ]
    for layout in layouts:
        assert layout.kind == "curve"
        np.testing.assert_allclose(layout.x, np.array(wavelengths, dtype=float))
    assert str(table) == str(expected)


@pytest.mark.parametrize("names", [range(30), ["nan", "inf", *map(str, range(28))]])
def test_columns_without_a_name_and_names_of_no_number_are_no_axis(peaks, names):
    pd = pytest.importorskip("pandas")
    X = pd.DataFrame(peaks.data, columns=list(names))
    layout = factor_table(small(max_iter=2).fit(X), X).layout
    assert layout.kind == "bars"
    expected = [f"x{i}" for i in range(30)] if names == range(30) else names
    assert list(layout.names) == expected


def test_one_name_for_each_feature_is_needed(peaks):
    with pytest.raises(ValueError, match="feature_names has 2 names, but X has 30"):
        ReconstructionDisplay.from_predictions(
            peaks.data, peaks.data, feature_names=["a", "b"]
        )


def test_pandas_between_the_steps_is_fine(peaks):
    pd = pytest.importorskip("pandas")
    X = pd.DataFrame(peaks.data, columns=[f"band {i}" for i in range(30)])
    pipe = make_pipeline(StandardScaler(), small(max_iter=5))
    pipe.set_output(transform="pandas").fit(X)
    assert np.isfinite(factor_table(pipe, X).effect).all()


def test_imputed_values_leave_units_unchanged(peaks):
    X = peaks.data.copy()
    X[::7, 3] = np.nan
    pipe = make_pipeline(SimpleImputer(), small(max_iter=20)).fit(X)
    table = factor_table(pipe, X)
    filled = pipe[0].transform(X)
    alone = factor_table(pipe[1], filled)
    np.testing.assert_allclose(table.effect, alone.effect, rtol=1e-12)
    np.testing.assert_allclose(table.feature_std[3], np.nanstd(X[:, 3]))


@pytest.mark.parametrize(
    "step",
    [
        FunctionTransformer(np.log),
        ColumnTransformer([("all", StandardScaler(), slice(0, 30))]),
    ],
    ids=["function", "columns"],
)
def test_a_step_that_cannot_be_inverted_is_named(peaks, step):
    X = peaks.data + 1000
    pipe = Pipeline([("first", step), ("vae", small(max_iter=2))]).fit(X)
    with pytest.raises(ValueError, match=r"'first' .\w+. cannot be inverted"):
        factor_table(pipe, X)


def test_a_step_that_encodes_text_is_named(peaks):
    pd = pytest.importorskip("pandas")
    X = pd.DataFrame(peaks.data[:, :4], columns=list("abcd"))
    X["s"] = np.resize(["x", "y", "z"], len(X))
    numbers = make_column_selector(dtype_include=float)
    step = ColumnTransformer(
        [("numbers", StandardScaler(), numbers), ("text", OneHotEncoder(), ["s"])],
        sparse_threshold=0,
    )
    pipe = Pipeline([("first", step), ("vae", small(max_iter=2))]).fit(X)
    for inspect in (
        lambda: factor_table(pipe, X),
        lambda: loadings(pipe, X),
        lambda: edit(pipe, X[:2], {0: 1.0}),
        lambda: ReconstructionDisplay.from_estimator(pipe, X),
    ):
        with pytest.raises(ValueError, match=r"'first' .\w+. cannot .*pipe\[k:\]"):
            inspect()
    assert np.isfinite(factor_table(pipe[1:], step.transform(X)).effect).all()


def test_the_error_of_a_failing_inverse_is_quoted(peaks):
    def refuse(X):
        raise ArithmeticError("not today")

    step = FunctionTransformer(np.negative, inverse_func=refuse, check_inverse=False)
    pipe = Pipeline([("first", step), ("vae", small(max_iter=2))]).fit(peaks.data)
    with pytest.raises(ValueError, match=r"'first'.*not today"):
        factor_table(pipe, peaks.data)


def test_a_model_without_components_is_refused(peaks):
    model = LogisticRegression().fit(peaks.data, peaks.factors[:, 0] > 0.5)
    with pytest.raises(TypeError, match="LogisticRegression has no components"):
        factor_table(model, peaks.data)


def test_chunks_change_nothing(peaks, pipe, monkeypatch):
    whole = factor_table(pipe, peaks.data)
    monkeypatch.setattr("skfactorvae.inspection._reading.VALUES_AT_ONCE", 30 * 7)
    pieces = factor_table(pipe, peaks.data)
    for name in ("effect", "share", "feature_std", "step"):
        np.testing.assert_allclose(
            getattr(pieces, name), getattr(whole, name), rtol=1e-6, atol=1e-6
        )


@pytest.mark.parametrize(
    "show",
    [factor_table, loadings, LatentTraversalDisplay.from_estimator],
    ids=["factor_table", "loadings", "traversal"],
)
def test_an_ensemble_without_stable_components_shows_none(show):
    X = np.random.default_rng(0).normal(size=(60, 3))
    quick = small(n_components=2, max_iter=5, weight_decay=0.0)
    ensemble = SeedEnsemble(
        quick, n_seeds=2, keep="stable", threshold=1.0, min_stability=1.0
    ).fit(X)
    assert ensemble.transform(X).shape == (60, 0)
    with pytest.raises(ValueError, match="no component to show"):
        show(ensemble, X)
