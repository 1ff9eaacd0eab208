"""ONNX: graphs of their own, whole pipelines, and what cannot be converted."""

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

import skfactorvae
from skfactorvae.interchange import register_onnx_converters, to_onnx
from skfactorvae.model_selection import SeedEnsemble


@pytest.fixture(scope="module")
def X():
    X = np.random.RandomState(0).normal(size=(60, 6)) * [1, 2, 3, 1, 1, 1]
    return X.astype(np.float32)


def run(model, X):
    onnxruntime = pytest.importorskip("onnxruntime")
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return session.run(None, {session.get_inputs()[0].name: X})


def vae(**parameters):
    settings = {"hidden_layer_sizes": 8, "max_iter": 6, "random_state": 0}
    return skfactorvae.FactorVAETransformer(3, **(settings | parameters))


class TestGraph:
    def test_it_states_its_operators_and_a_symbolic_number_of_samples(self, X):
        pytest.importorskip("onnx")
        model = to_onnx(vae().fit(X), "posterior")
        assert [(o.domain, o.version) for o in model.opset_import] == [("", 17)]
        assert [value.name for value in model.graph.output] == ["mean", "std"]
        for value in (*model.graph.input, *model.graph.output):
            first, second = value.type.tensor_type.shape.dim
            assert first.dim_param == "n_samples"
            assert second.dim_value in (6, 3)

    def test_any_number_of_samples_is_computed(self, X):
        pytest.importorskip("onnx")
        fitted = vae().fit(X)
        model = to_onnx(fitted)
        for n in (1, 7, 60):
            np.testing.assert_allclose(
                run(model, X[:n])[0], fitted.transform(X[:n]), rtol=1e-5, atol=1e-5
            )

    def test_components_that_are_kept_are_selected(self, X):
        pytest.importorskip("onnx")
        fitted = vae(keep="active").fit(X)
        fitted.active_components_ = np.array([0, 2])
        codes = run(to_onnx(fitted), X)[0]
        np.testing.assert_allclose(codes, fitted.transform(X), rtol=1e-5, atol=1e-5)
        assert codes.shape == (60, 2)

    @pytest.mark.parametrize("kept", [[0, 2], [1], [0, 1, 2]])
    @pytest.mark.parametrize("precision", ["float32", "float64"])
    def test_codes_of_kept_components_are_decoded(self, kept, precision, X):
        pytest.importorskip("onnx")
        fitted = vae(keep="active", precision=precision).fit(X)
        fitted.active_components_ = np.array(kept)
        rows = X.astype(precision)
        codes = run(to_onnx(fitted), rows)[0]
        graph = to_onnx(fitted, "inverse_transform")
        width = graph.graph.input[0].type.tensor_type.shape.dim[1].dim_value
        assert width == codes.shape[1] == len(kept)
        back = run(graph, codes.astype(precision))[0]
        expected = fitted.inverse_transform(codes)
        np.testing.assert_allclose(back, expected, rtol=1e-5, atol=1e-4)

    def test_features_far_from_zero_are_standardised_in_double_precision(self, X):
        pytest.importorskip("onnx")
        far = X + np.float32(1e4)
        fitted = vae().fit(far)
        found = run(to_onnx(fitted), far)[0]
        np.testing.assert_allclose(found, fitted.transform(far), rtol=1e-5, atol=1e-5)

    def test_it_changes_nothing_in_the_estimator(self, X):
        pytest.importorskip("onnx")
        fitted = vae().fit(X)
        before = {name: weight.copy() for name, weight in fitted.weights_.items()}
        to_onnx(fitted, "inverse_transform")
        for name, weight in fitted.weights_.items():
            np.testing.assert_array_equal(weight, before[name])


class TestPipeline:
    def test_scaler_transformer_and_classifier_become_one_graph(self, X):
        skl2onnx = pytest.importorskip("skl2onnx")
        assert "FactorVAETransformer" in register_onnx_converters()
        pipeline = make_pipeline(StandardScaler(), vae(), LogisticRegression())
        pipeline.fit(X, X[:, 0] > 0)
        model = skl2onnx.to_onnx(pipeline, X[:1], options={"zipmap": False})
        labels, probabilities = run(model, X)
        np.testing.assert_array_equal(labels, pipeline.predict(X))
        np.testing.assert_allclose(probabilities, pipeline.predict_proba(X), atol=1e-5)

    def test_a_pipeline_that_ends_with_a_transformer_gives_codes(self, small, X):
        skl2onnx = pytest.importorskip("skl2onnx")
        register_onnx_converters()
        pipeline = make_pipeline(StandardScaler(), small())
        if type(pipeline[-1]).__module__ == "_labelled":  # a class of the tests
            pipeline = make_pipeline(
                StandardScaler(),
                skfactorvae.SupervisedFactorVAETransformer(3, max_iter=6),
            )
        pipeline.fit(X, X[:, 0])
        for rows in (X, X.astype(np.float64)):
            found = run(skl2onnx.to_onnx(pipeline, rows[:1]), rows)[0]
            np.testing.assert_allclose(found, pipeline.transform(rows), atol=1e-5)


# ------------------------------------------------------------------------- refusals
def own_modules(n_features, n_components):
    return nn.Linear(n_features, 2 * n_components), nn.Linear(n_components, n_features)


def test_what_cannot_be_converted_is_refused_by_name(X):
    with pytest.raises(ValueError, match=r"own_modules.*torch\.onnx"):
        to_onnx(vae(network=own_modules).fit(X))
    with pytest.raises(ValueError, match=r"'score_samples'.*'transform'"):
        to_onnx(vae().fit(X), "score_samples")
    with pytest.raises(TypeError, match=r"A PCA.*skl2onnx"):
        to_onnx(PCA(2).fit(X))
    with pytest.raises(TypeError, match=r"A Pipeline.*register_onnx_converters"):
        to_onnx(make_pipeline(vae()).fit(X))
    with pytest.raises(TypeError, match=r"SeedEnsemble.*estimator_"):
        to_onnx(SeedEnsemble(vae(), n_seeds=2, random_state=0).fit(X))
    with pytest.raises(NotFittedError):
        to_onnx(vae())
