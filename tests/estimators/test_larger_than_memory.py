"""Fits to tables that are read in parts, compared with those to arrays in memory."""

from functools import partial

import h5py
import numpy as np
import pytest
import torch
from conftest import SMALL
from scipy import sparse
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler

from skfactorvae import FactorVAETransformer, SupervisedFactorVAETransformer
from skfactorvae.core._sampling import draw_blocks
from skfactorvae.datasets import make_nonlinear_ica
from skfactorvae.estimators._labelled import LabelledVAETransformer
from skfactorvae.inspection import factor_table
from skfactorvae.metrics import mean_correlation_score, mig_scorer
from skfactorvae.model_selection import BatchedGridSearchCV
from skfactorvae.preparation import _standardized
from skfactorvae.preparation._rows import stored_rows
from skfactorvae.preparation._scaling import Scaling, blocks_of
from skfactorvae.sources import RowSource, as_source, check_source

each_source = pytest.mark.parametrize("kind", ["memory map", "shards", "CSR"])


@pytest.fixture(autouse=True)
def _nothing_is_small(monkeypatch):
    monkeypatch.setattr("skfactorvae.sources._source.SMALL_BYTES", 0)


@pytest.fixture
def stored_order(monkeypatch):
    """Tables are read in the order in which they are stored."""
    monkeypatch.setattr("skfactorvae.sources._table.DIRECT_ROWS", 0)


def data(n_rows=120, dtype=np.float32):
    X, _ = make_nonlinear_ica(n_rows, random_state=0)
    X = X.astype(dtype)
    X[5], X[17] = X[4], X[16]  # equal samples
    return X


def stored(X, kind, folder):
    if kind == "CSR":
        return sparse.csr_matrix(X)
    parts = np.array_split(X, 3) if kind == "shards" else [X]
    for i, part in enumerate(parts):
        np.save(folder / f"{i}.npy", part)
    maps = [np.load(folder / f"{i}.npy", mmap_mode="r") for i in range(len(parts))]
    return maps if kind == "shards" else maps[0]


def in_hdf5(X, folder):
    with h5py.File(folder / "table.h5", "w") as file:
        file.create_dataset("X", data=X, chunks=(16, X.shape[1]))
    return h5py.File(folder / "table.h5")["X"]


def sparse_table(n, p):
    """A table of which three tenths are not zero, as coordinates."""
    rng = np.random.default_rng(0)
    values = rng.uniform(size=(n, p))
    return sparse.coo_array(np.where(rng.uniform(size=(n, p)) < 0.3, values, 0.0))


def assert_equal_fits(one, other):
    for name, value in one.weights_.items():
        np.testing.assert_array_equal(value, other.weights_[name], err_msg=name)
    for name in ("mean_", "scale_", "kl_per_component_", "active_components_"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    for name, value in one.history_.items():
        np.testing.assert_array_equal(value, other.history_[name], err_msg=name)
    assert (one.held_out_, one.init_) == (other.held_out_, other.init_)
    if hasattr(one, "fit_score_"):
        assert one.fit_score_ == other.fit_score_


# --------------------------------------------------------------------- equal fits
@each_source
def test_a_fit_equals_that_to_the_array(kind, tmp_path):
    """Bit for bit, and so do codes and scores."""
    X = data()
    table = stored(X, kind, tmp_path)
    one, other = (FactorVAETransformer(**SMALL).fit(x) for x in (X, table))
    assert_equal_fits(one, other)
    assert other.n_features_in_ == X.shape[1]
    np.testing.assert_array_equal(one.transform(X), other.transform(table))
    np.testing.assert_array_equal(one.score_samples(X), other.score_samples(table))
    assert one.score(X) == other.score(table)


@pytest.mark.slow
@each_source
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_fit_of_each_transformer_equals_that_to_the_array(
    Transformer, small, kind, dtype, tmp_path
):
    X = data(dtype=dtype)
    y = (X[:, :1] > np.median(X[:, 0])).astype(float)
    weight = np.arange(len(X)) % 3
    table = stored(X, kind, tmp_path)
    is_labelled = issubclass(Transformer, LabelledVAETransformer)
    labels = (y,) if is_labelled else ()
    one, other = (small().fit(x, *labels, sample_weight=weight) for x in (X, table))
    assert_equal_fits(one, other)
    np.testing.assert_array_equal(one.transform(X), other.transform(table))


@pytest.mark.slow
@pytest.mark.parametrize(
    "parameters",
    [
        {"likelihood": "bernoulli"},
        {"standardize": "global"},
        {"standardize": None},
        {"init": "pca"},
        {"init": "varimax"},
        {"early_stopping": True},
        {"precision": "float64"},
        {"max_iter": 320, "weight_decay": "auto"},
    ],
    ids=str,
)
def test_fits_with_other_parameters_are_equal(parameters, tmp_path):
    X = data(330)
    if parameters.get("likelihood"):
        X = (np.median(X, axis=0) < X).astype(np.float32)
    table = stored(X, "memory map", tmp_path)
    model = partial(FactorVAETransformer, **SMALL | parameters)
    assert_equal_fits(model().fit(X), model().fit(table))


@pytest.mark.slow
def test_whitened_features_are_recognised(tmp_path):
    X = data(400, np.float64)
    X = np.linalg.svd(X - X.mean(axis=0), full_matrices=False)[0]
    fits = []
    for table in (X, stored(X, "memory map", tmp_path)):
        with pytest.warns(UserWarning, match="as after whitening"):
            fits.append(FactorVAETransformer(**SMALL).fit(table))
    assert_equal_fits(*fits)


@pytest.mark.slow
def test_incomplete_tables_are_fitted(tmp_path):
    """To rounding: moments are summed in another order."""
    X = data()
    X[np.random.RandomState(0).uniform(size=X.shape) < 0.1] = np.nan
    X[3] = np.nan
    one, other = (
        FactorVAETransformer(**SMALL).fit(x)
        for x in (X, stored(X, "memory map", tmp_path))
    )
    np.testing.assert_allclose(one.mean_, other.mean_, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(one.scale_, other.scale_, rtol=1e-5)
    np.testing.assert_allclose(one.transform(X), other.transform(X), atol=2e-3)
    table = stored(X, "CSR", tmp_path)
    np.testing.assert_array_equal(other.transform(X), other.transform(table))


# ------------------------------------------------------------------- stored order
def test_a_table_that_has_slices_alone_is_fitted(tmp_path):
    X = data()
    table = in_hdf5(X, tmp_path)
    model = FactorVAETransformer(**SMALL).fit(table)
    np.testing.assert_allclose(model.mean_, X.mean(axis=0), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(model.scale_, X.std(axis=0), rtol=1e-4)
    np.testing.assert_array_equal(model.transform(table), model.transform(X))
    assert model.score(table) == model.score(X)


def test_rows_of_blocks_are_drawn_in_proportion_to_their_weights():
    weight = np.arange(1.0, 51.0) % 7
    cdf = torch.from_numpy(np.cumsum(weight) / weight.sum())
    generator = torch.Generator().manual_seed(0)
    rows = draw_blocks(generator, cdf, 8, (3000, 2, 16), 4)
    assert rows.shape == (3000, 2, 16)
    found = np.bincount(rows.ravel(), minlength=50) / rows.numel()
    assert not found[weight == 0].any()
    np.testing.assert_allclose(found, weight / weight.sum(), atol=2e-3)


def test_rows_of_a_few_steps_come_from_a_few_blocks():
    cdf = torch.arange(1, 100_001, dtype=torch.float64) / 100_000
    rows = draw_blocks(torch.Generator().manual_seed(0), cdf, 10, (8, 2, 128), 4)
    for some in (rows[:4], rows[4:]):
        assert 20 < len(np.unique(some // 10)) <= 32
    assert len(np.unique(rows // 10)) > 40


@pytest.mark.slow
@pytest.mark.usefixtures("stored_order")
def test_recovery_is_equal_in_stored_order(tmp_path, monkeypatch):
    """Of samples that are sorted by a factor, which is the worst order."""
    monkeypatch.setattr(_standardized, "START_ROWS", 1000)
    X, factors = make_nonlinear_ica(6000, random_state=0)
    order = np.argsort(factors[:, 0])
    X, factors = X[order].astype(np.float32), factors[order]
    small = {**SMALL, "hidden_layer_sizes": 32, "batch_size": 128}
    small |= {"n_components": factors.shape[1], "max_iter": 400, "weight_decay": 0.0}
    table = stored(X, "memory map", tmp_path)
    found = [FactorVAETransformer(**small).fit(x) for x in (X, table)]
    scores = [mean_correlation_score(factors, m.transform(X)) for m in found]
    assert min(scores) > 0.97
    assert abs(found[0].score(X) - found[1].score(X)) < 1.5
    np.testing.assert_allclose(found[0].mean_, found[1].mean_, rtol=1e-5)
    np.testing.assert_allclose(found[0].scale_, found[1].scale_, rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("library", ["zarr", "dask"])
def test_arrays_of_zarr_and_dask_are_read_in_parts(library, tmp_path):
    X = data()
    if library == "zarr":
        import zarr

        table = zarr.create_array(
            str(tmp_path / "z"), shape=X.shape, chunks=(32, X.shape[1]), dtype="f4"
        )
        table[:] = X
    else:
        import dask.array

        table = dask.array.from_array(X, chunks=(32, X.shape[1]))
    one, other = (
        FactorVAETransformer(**SMALL).fit(x) for x in (in_hdf5(X, tmp_path), table)
    )
    assert other.n_features_in_ == X.shape[1]
    np.testing.assert_allclose(one.mean_, other.mean_)
    np.testing.assert_array_equal(other.transform(table), other.transform(X))


@pytest.mark.slow
@pytest.mark.usefixtures("stored_order")
def test_labels_and_weights_in_stored_order(tmp_path):
    X = data(400)
    y = (X[:, :1] > np.median(X[:, 0])).astype(float)
    y[::3] = np.nan
    weight = np.where(np.arange(400) < 200, 1.0, 0.0)
    model = SupervisedFactorVAETransformer(**SMALL | {"max_iter": 60})
    model.fit(stored(X, "memory map", tmp_path), y, sample_weight=weight)
    np.testing.assert_allclose(model.mean_, X[:200].mean(axis=0), rtol=1e-4, atol=1e-5)
    assert model.predict_attributes(X).shape == (400, 1)


# ------------------------------------------------------------------- other methods
@pytest.mark.slow
def test_small_tables_are_read_as_a_whole(tmp_path, monkeypatch):
    monkeypatch.setattr("skfactorvae.sources._source.SMALL_BYTES", 2**20)
    X = data()
    one, other = (
        FactorVAETransformer(**SMALL).fit(x) for x in (X, in_hdf5(X, tmp_path))
    )
    assert_equal_fits(one, other)


@pytest.mark.slow
def test_scorers_tables_and_searches_take_them(tmp_path):
    X, factors = make_nonlinear_ica(120, random_state=0)
    table = stored(X.astype(np.float32), "memory map", tmp_path)
    model = FactorVAETransformer(**SMALL).fit(table)
    assert mig_scorer(model, table, factors) == mig_scorer(model, X, factors)
    expected = factor_table(model, np.array(table))
    for source in (table, [tmp_path / "0.npy"], sparse.csr_array(table)):
        found = factor_table(model, source)
        np.testing.assert_allclose(found.effect, expected.effect, rtol=1e-6)
        np.testing.assert_allclose(found.feature_std, expected.feature_std, rtol=1e-6)
    search = BatchedGridSearchCV(
        FactorVAETransformer(**SMALL), {"gamma": [0, 5]}, cv=2
    ).fit(table)
    assert search.cv_results_["mean_test_score"].shape == (2,)


@pytest.mark.slow
def test_a_stack_reads_its_table_once(tmp_path):
    """Fits of several seeds to one table, each as when it is alone."""
    from skfactorvae.model_selection import SeedEnsemble

    X = data()
    table = stored(X, "CSR", tmp_path)
    one, other = (
        SeedEnsemble(FactorVAETransformer(**SMALL), n_seeds=3, random_state=0).fit(x)
        for x in (X, table)
    )
    np.testing.assert_allclose(one.agreement_, other.agreement_, atol=1e-6)


@pytest.mark.slow
def test_sparse_tables_pass_through_pipelines():
    X = sparse_table(150, 12)
    pipe = make_pipeline(MaxAbsScaler(), FactorVAETransformer(**SMALL)).fit(X)
    codes = pipe.transform(X)
    np.testing.assert_array_equal(codes, pipe.transform(X.tocsc()))
    dense = FactorVAETransformer(**SMALL).fit(pipe[0].transform(X).toarray())
    np.testing.assert_array_equal(codes, dense.transform(pipe[0].transform(X)))


def test_a_sparse_table_is_never_dense_as_a_whole(monkeypatch):
    largest = []
    original = sparse.csr_array.toarray

    def toarray(self, *args, **options):
        largest.append(self.shape[0])
        return original(self, *args, **options)

    monkeypatch.setattr(sparse.csr_array, "toarray", toarray)
    monkeypatch.setattr("skfactorvae.sources._table.BLOCK_VALUES", 2**13)
    monkeypatch.setattr("skfactorvae.preparation._scaling.CHUNK", 1024)
    monkeypatch.setattr("skfactorvae.core._latents.ROWS_AT_ONCE", 1024)
    X = sparse_table(3000, 8)
    model = FactorVAETransformer(**SMALL | {"init": "random", "temperature": 1.0})
    model.fit(X.astype(np.float32)).transform(X)
    assert largest
    assert max(largest) <= 2000  # the sample of the input noise


# -------------------------------------------------------------------------- errors
def test_a_table_that_changes_during_a_fit_leaves_the_estimator_as_it_was(tmp_path):
    np.save(tmp_path / "table.npy", data())
    table = np.load(tmp_path / "table.npy", mmap_mode="r+")
    model = FactorVAETransformer(**SMALL).fit(data())
    before = model.weights_
    original = FactorVAETransformer._training_data

    def changed(self, *args):
        table[7] += 1
        return original(self, *args)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FactorVAETransformer, "_training_data", changed)
        with pytest.raises(ValueError, match="Sample 7 of X has other values"):
            model.fit(table)
    assert model.weights_ is before


def test_known_errors_and_columns_of_types_need_memory(tmp_path):
    table = stored(data(), "memory map", tmp_path)
    with pytest.raises(ValueError, match="error_scale cannot be used with X"):
        FactorVAETransformer(**SMALL).fit(table, error_scale=np.ones(table.shape))
    typed = FactorVAETransformer(**SMALL, likelihood={0: "lognormal"})
    with pytest.raises(ValueError, match=r"read in parts, but.*several types"):
        typed.fit(table)


def test_another_number_of_features_is_refused(tmp_path):
    model = FactorVAETransformer(**SMALL).fit(data())
    table = stored(data()[:, :3], "memory map", tmp_path)
    with pytest.raises(ValueError, match="X has 3 features"):
        model.transform(table)


# ---------------------------------------------------------------- few slices are read
class Counted:
    """A table with slices, which are counted."""

    def __init__(self, rows):
        self.rows, self.shape, self.dtype = rows, rows.shape, rows.dtype
        self.n_slices = 0

    def __getitem__(self, some):
        self.n_slices += 1
        return self.rows[some]


@pytest.fixture
def far_apart(monkeypatch):
    """Rows of the random sample are far apart, and few are read at once."""
    monkeypatch.setattr("skfactorvae.sources._source.MAX_GAP", 64)
    for module in ("preparation._scaling", "estimators._column_report"):
        monkeypatch.setattr(f"skfactorvae.{module}.READ_ROWS", 20)
    monkeypatch.setattr("skfactorvae.preparation._scaling.CHUNK", 20)
    monkeypatch.setattr("skfactorvae.preparation._standardized.START_ROWS", 100)


@pytest.mark.usefixtures("far_apart")
def test_training_reads_the_random_sample_from_memory():
    table = Counted(data(3000))
    checked = check_source(as_source(table), "Model", allow_nan=False)
    index, n_leading = stored_rows(np.ones(3000), 100)
    scaling = Scaling(np.zeros(table.shape[1]), np.full(table.shape[1], 2.0))
    rows = _standardized.StandardizedRows(
        checked, index, scaling, np.float32, n_leading
    )
    numbers = np.array([0, n_leading + 5, n_leading - 1, 3, n_leading + 6])
    expected = (table.rows[index[numbers]] / 2.0).astype(np.float32)
    np.testing.assert_array_equal(rows[numbers], expected)
    table.n_slices = 0
    np.testing.assert_array_equal(rows[numbers], expected)
    assert table.n_slices == 1


@pytest.mark.usefixtures("far_apart")
def test_moments_need_few_slices_in_stored_order():
    """The random sample is sorted, so that it is read once, and not in each block."""
    table = Counted(data(3000))
    checked = check_source(as_source(table), "Model", allow_nan=False)
    index, _ = stored_rows(np.ones(3000), 100)
    share = np.random.RandomState(0).uniform(size=len(index))
    leading, table.n_slices = slice(100), 0
    list(blocks_of(checked, index[leading], share[leading]))
    assert table.n_slices < 20
    blocks = list(blocks_of(checked, index, share))
    weighted = sum(part @ rows for rows, part in blocks)
    np.testing.assert_allclose(weighted, share @ table.rows[index], rtol=1e-5)


@pytest.mark.usefixtures("far_apart")
def test_a_fit_in_stored_order_reads_the_random_sample_few_times():
    table = Counted(data(3000))
    FactorVAETransformer(**SMALL).fit(table)
    assert table.n_slices < 600  # 672 where blocks of the sample are not sorted


@each_source
@pytest.mark.parametrize("sensitive", [None, [0, 1]])
def test_attributes_are_predicted_of_a_table_in_parts(kind, sensitive, tmp_path):
    X = data()
    y = np.column_stack([X[:, 0], X[:, 1] > np.median(X[:, 1])])
    table = stored(X, kind, tmp_path)
    model = SupervisedFactorVAETransformer(**SMALL, sensitive=sensitive).fit(table, y)
    predicted = model.predict_attributes(table)
    assert predicted.shape == (len(X), 2 if sensitive is None else 0)
    np.testing.assert_array_equal(predicted, model.predict_attributes(X))
    chances = model.predict_attributes_proba(table)
    for name, expected in model.predict_attributes_proba(X).items():
        np.testing.assert_array_equal(chances[name], expected)


# ------------------------------------------------------------------------- streams
def assert_equal_streams(one, other):
    assert_equal_fits(one, other)
    assert one.n_samples_seen_ == other.n_samples_seen_
    assert one.drift_ == other.drift_
    for name in ("held_out", "keys"):
        np.testing.assert_array_equal(one._stream[name], other._stream[name])


@each_source
@pytest.mark.parametrize("validation_fraction", [0, 0.3])
def test_blocks_of_a_stream_equal_those_of_the_array(
    kind, validation_fraction, tmp_path
):
    """Bit for bit, with and without held-out samples."""
    X = data()
    one, other = FactorVAETransformer(**SMALL), FactorVAETransformer(**SMALL)
    for block in (X, 2 * X[::2]):
        table = stored(block, kind, tmp_path)
        one.partial_fit(block, validation_fraction=validation_fraction)
        other.partial_fit(table, validation_fraction=validation_fraction)
        assert_equal_streams(one, other)


@each_source
def test_blocks_with_labels_equal_those_of_the_array(kind, tmp_path):
    X = data()
    y = (X[:, 0] > np.median(X[:, 0])).astype(float)
    one, other = (SupervisedFactorVAETransformer(**SMALL) for _ in range(2))
    for block, labels in ((X, y), (X[::2], y[::2])):
        one.partial_fit(block, labels)
        other.partial_fit(stored(block, kind, tmp_path), labels)
        assert_equal_streams(one, other)


@pytest.mark.usefixtures("stored_order")
def test_blocks_are_read_in_stored_order(monkeypatch, tmp_path):
    """Their moments are those of a random sample, and of held-out samples."""
    monkeypatch.setattr(_standardized, "START_ROWS", 40)
    X = data()
    vae = FactorVAETransformer(**SMALL)
    for block in (X, X[::2]):
        vae.partial_fit(in_hdf5(block, tmp_path), validation_fraction=0.3)
        (tmp_path / "table.h5").unlink()
    assert vae.n_samples_seen_ == 180
    assert np.isfinite(vae.drift_["difference"])
    held_out = vae._stream["held_out"] * vae.scale_ + vae.mean_
    distance = np.abs(held_out[:, None] - X).max(axis=2).min(axis=1)
    assert 0 < len(held_out) == len(vae._stream["keys"])
    assert distance.max() < 1e-5


@pytest.mark.parametrize("validation_fraction", [0.1, 0.9])
def test_few_samples_of_a_block_are_read_at_once(validation_fraction, monkeypatch):
    """Neither those that are trained on nor the held-out ones are read as a whole."""
    monkeypatch.setattr("skfactorvae.core._latents.ROWS_AT_ONCE", 64)
    X, sizes = sparse_table(6000, 40).tocsr(), []
    read_at = RowSource.read_at

    def counted(source, index):
        sizes.append(len(index))
        return read_at(source, index)

    vae = FactorVAETransformer(**SMALL | {"batch_size": 128})
    vae.partial_fit(X, validation_fraction=validation_fraction)
    monkeypatch.setattr(RowSource, "read_at", counted)
    vae.partial_fit(X)
    assert max(sizes) < 3000
