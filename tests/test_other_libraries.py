"""Libraries that take any scikit-learn transformer take ours."""

import numpy as np
import pytest

from skfactorvae import FactorVAETransformer
from skfactorvae.datasets import make_nonlinear_ica


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:config_dataclass is not available")
def test_ituna_measures_the_consistency_of_seeds():
    ituna = pytest.importorskip("ituna", reason="iTuna is not installed")
    from ituna.metrics import PairwiseConsistency, Permutation

    X, _ = make_nonlinear_ica(
        300, n_sources=2, n_features=6, n_layers=1, random_state=0
    )
    model = FactorVAETransformer(
        2, hidden_layer_sizes=16, discriminator_hidden_layer_sizes=16, max_iter=100
    )
    ensemble = ituna.ConsistencyEnsemble(
        model, PairwiseConsistency(Permutation()), random_states=3
    ).fit(X)
    seeds = [member.random_state for member in ensemble.estimators_]
    assert len(set(seeds)) == 3
    aligned = np.asarray(ensemble.transform(X))
    assert aligned.shape == (300, 2)
    assert ensemble.score(X) > 0.9
    codes = ensemble.estimators_[0].transform(X)
    correlations = np.abs(np.corrcoef(aligned.T, codes.T)[:2, 2:])
    assert (correlations.max(axis=1) > 0.95).all()
