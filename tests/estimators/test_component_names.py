"""Names of components: set by the user, and used wherever a component is shown."""

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from skfactorvae import FactorVAETransformer, InfoGANTransformer, load, runtime
from skfactorvae.inspection import (
    FactorMatrixDisplay,
    LatentPairsDisplay,
    LatentTraversalDisplay,
    StabilityDisplay,
    edit,
    factor_table,
)
from skfactorvae.model_selection import latent_report


@pytest.fixture(scope="module")
def table():
    rng = np.random.RandomState(0)
    X = rng.normal(size=(60, 2)) @ rng.normal(size=(2, 4))
    return pd.DataFrame(X, columns=list("abcd"))


@pytest.fixture(scope="module")
def fitted(table):
    vae = FactorVAETransformer(
        3, hidden_layer_sizes=(4,), max_iter=20, gamma=0, random_state=0
    )
    return vae.fit(table)


@pytest.fixture
def vae(fitted):
    return pickle.loads(pickle.dumps(fitted))


def test_names_are_those_of_output_columns(vae, table):
    vae.set_component_names({0: "size"}).set_output(transform="pandas")
    names = ["size", "factorvaetransformer1", "factorvaetransformer2"]
    assert list(vae.transform(table)) == names
    assert vae.component_names_.tolist() == ["size", "component 1", "component 2"]


def test_names_can_be_added_changed_and_removed(vae):
    vae.set_component_names({0: "size"}).set_component_names({2: "shape"})
    assert vae.component_names_.tolist() == ["size", "component 1", "shape"]
    vae.set_component_names({0: "shape", 2: None})
    assert vae.component_names_.tolist() == ["shape", "component 1", "component 2"]
    vae.set_component_names(["u", "v", None])
    assert vae.component_names_.tolist() == ["u", "v", "component 2"]
    vae.set_component_names(None)
    assert vae.get_feature_names_out()[0] == "factorvaetransformer0"


@pytest.mark.parametrize(
    ("names", "error", "message"),
    [
        ({3: "size"}, ValueError, "3 is not the index of a component.*from 0 to 2"),
        ({"size": 0}, ValueError, "'size' is not the index.*'component 0', 'kept'"),
        ({0: "u", "component 0": "v"}, ValueError, "two names for component 0"),
        ({"component_3": "u"}, ValueError, "not the index of a component, nor its na"),
        ({0: 1}, TypeError, "component 0 is 1, of type int"),
        ({0: " "}, ValueError, "component 0 is empty"),
        ({0: "size", 1: "size"}, ValueError, "Two components would be called 'size'"),
        ({0: "component 2"}, ValueError, "Two components would be called"),
        (["size"], ValueError, "1 names, but there are 3 components"),
        ("size", TypeError, r"expected a dict.*\{0: 'size'\}"),
    ],
)
def test_bad_names_change_nothing(vae, names, error, message):
    vae.set_component_names({1: "kept"})
    with pytest.raises(error, match=message):
        vae.set_component_names(names)
    assert vae.component_names_.tolist() == ["component 0", "kept", "component 2"]


@pytest.mark.parametrize(
    "key", [0, "component 0", "component_0", "factorvaetransformer0", "size"]
)
def test_a_component_can_be_given_by_each_name_that_is_shown(vae, table, key):
    vae.set_component_names({0: "size"})
    pd.testing.assert_frame_equal(edit(vae, table, {key: 1}), edit(vae, table, {0: 1}))
    vae.set_component_names({key: "length"})
    assert vae.component_names_.tolist() == ["length", "component 1", "component 2"]


def test_a_column_of_kept_components_is_edited_by_its_name(vae, table):
    vae.keep, vae.active_components_ = "active", np.array([2])
    vae.set_component_names({2: "shape"})
    for key in ("shape", "factorvaetransformer2"):
        expected = edit(vae, table, {2: 1.0})
        pd.testing.assert_frame_equal(edit(vae, table, {key: 1.0}), expected)


def test_files_and_pickles_hold_names_and_clones_do_not(vae, tmp_path):
    vae.set_component_names({1: "shape"}).save(tmp_path / "named.safetensors")
    loaded = load(tmp_path / "named.safetensors")
    assert loaded.component_names_.tolist() == vae.component_names_.tolist()
    model = runtime.load(tmp_path / "named.safetensors")
    assert model.component_names_.tolist() == vae.component_names_.tolist()
    assert pickle.loads(pickle.dumps(vae)).component_names_[1] == "shape"
    with pytest.raises(NotFittedError):
        clone(vae).component_names_  # noqa: B018


def test_a_new_fit_removes_names(vae, table):
    vae.set_component_names({0: "size"}).fit(table)
    assert vae.component_names_[0] == "component 0"


def test_columns_of_categories_can_be_named(table):
    gan = InfoGANTransformer(
        2, n_categories=3, hidden_layer_sizes=(4,), max_iter=5, random_state=0
    )
    gan.fit(table).set_component_names({4: "third level"})
    assert len(gan.component_names_) == 5
    assert gan.get_feature_names_out()[4] == "third level"


def test_tables_and_displays_show_names(vae, table):
    vae.set_component_names({0: "size", 1: "shape"})
    found = factor_table(vae, table)
    assert found.summary[0].startswith("size ")
    assert set(found.to_frame()["component"]) == {"size", "shape", "component 2"}
    traversal = LatentTraversalDisplay.from_estimator(vae, table, latents=[1])
    assert traversal.plot().ax_[0].get_title("left") == "shape"
    pairs = LatentPairsDisplay.from_estimator(vae, table, latents=[1, 0]).plot()
    assert pairs.ax_[0].get_xlabel() == "shape"
    matrix = FactorMatrixDisplay.from_estimator(vae, table, table[["a"]])
    assert matrix.code_names.tolist() == ["size", "shape", "component 2"]
    stability = StabilityDisplay.from_estimators([vae, vae], table, reference=0)
    assert stability.names[0] == "size"


def test_reports_show_names(vae, table):
    gaps = table.assign(a=table["a"].where(vae.transform(table)[:, 0] > 0))
    vae.set_component_names({0: "size", 2: "a much longer name"})
    report = latent_report(vae, gaps)
    frame = report.to_frame()
    assert frame["component"].tolist() == ["size", "component 1", "a much longer name"]
    rows = str(report).splitlines()[2 : 2 + report.active.sum()]
    for name, row in zip(frame["component"][report.active], rows, strict=True):
        assert row.startswith(f"{name} ")
    assert "Size follows the pattern of missing values" in str(report)


def test_columns_of_a_frame_of_codes_are_names():
    codes = pd.DataFrame(
        np.random.RandomState(0).normal(size=(9, 2)), columns=["u", "v"]
    )
    assert LatentPairsDisplay.from_codes(codes).plot().ax_[0].get_ylabel() == "v"
    matrix = FactorMatrixDisplay.from_codes(codes["u"], codes, method="correlation")
    assert matrix.code_names.tolist() == ["u", "v"]
