"""FastICA and factor analysis are scikit-learn's, without warnings."""

import warnings

import numpy as np
import pytest
from sklearn.decomposition import PCA, FactorAnalysis, FastICA
from sklearn.exceptions import ConvergenceWarning

from skfactorvae._linear_models import fit_factor_analysis, ica_rotation

RNG = np.random.RandomState(0)
SOURCES = {
    "uniform": RNG.uniform(-1, 1, size=(500, 4)),
    "normal": RNG.normal(size=(500, 4)),
}


def whitened(X):
    return PCA(whiten=True).fit_transform(X)


def mixture(n_features=7, noise=0.5):
    rng = np.random.RandomState(1)
    mixed = SOURCES["uniform"][:, :2] @ rng.normal(size=(2, n_features))
    return mixed + noise * rng.normal(size=mixed.shape) + 3


@pytest.mark.parametrize("kind", SOURCES)
@pytest.mark.parametrize("max_iter", [2, 200])
def test_the_rotation_is_fasticas_bit_for_bit(kind, max_iter):
    """Whether it converges or, for normal sources in two steps, does not."""
    white = whitened(SOURCES[kind])
    reference = FastICA(
        whiten=False, tol=1e-3, max_iter=max_iter, random_state=np.random.RandomState(3)
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        reference.fit(white)
    found = ica_rotation(white, np.random.RandomState(3), tol=1e-3, max_iter=max_iter)
    np.testing.assert_array_equal(found, reference.components_)


@pytest.mark.parametrize("n_components", [1, 2])
@pytest.mark.parametrize("n_rows", [30, 500])
def test_factor_analysis_has_scikit_learns_likelihood(n_rows, n_components):
    inside, outside = mixture()[:n_rows], mixture()[-100:] + 0.1
    ours = fit_factor_analysis(inside, n_components)
    theirs = FactorAnalysis(n_components, svd_method="lapack").fit(inside)
    np.testing.assert_allclose(
        ours.score_samples(outside), theirs.score_samples(outside), rtol=1e-6
    )


def test_factor_analysis_ends_after_the_last_step_without_a_warning():
    few = fit_factor_analysis(mixture(), 2, max_iter=2)
    many = fit_factor_analysis(mixture(), 2)
    scores = [model.score_samples(mixture()).mean() for model in (few, many)]
    assert scores[0] < scores[1]


def test_as_many_components_as_columns_describe_the_sample_as_well():
    """scikit-learn's criterion of convergence is exact for fewer components only."""
    ours = fit_factor_analysis(mixture(), 7).score_samples(mixture()).mean()
    theirs = FactorAnalysis(7, svd_method="lapack").fit(mixture()).score(mixture())
    assert ours > theirs - 1e-3


def test_constant_columns_have_the_least_noise():
    X = mixture()
    X[:, 0] = 3.0
    model = fit_factor_analysis(X, 2)
    assert model.noise[0] == pytest.approx(1e-12)
    assert np.isfinite(model.score_samples(X)).all()
