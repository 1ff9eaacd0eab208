"""Calls as a user writes them: a type checker finds no error in this file.

It is checked, not run: ``mypy`` reads it, and ``tests/test_typing.py`` does in a test.
"""

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from skfactorvae import (
    AAETransformer,
    AuxiliaryVAETransformer,
    BetaTCVAETransformer,
    BetaVAETransformer,
    CausalVAETransformer,
    DIPVAETransformer,
    FactorVAETransformer,
    InfoGANTransformer,
    PairedVAETransformer,
    SupervisedFactorVAETransformer,
    pairs_to_groups,
    successive_pairs,
)
from skfactorvae.datasets import (
    fetch_mpi3d,
    make_dsprites_like,
    make_gaussian_peaks,
    make_nonlinear_ica,
)
from skfactorvae.evaluation import (
    sample_efficiency,
    shift_report,
    unfairness_score,
)
from skfactorvae.inspection import (
    FactorMatrixDisplay,
    LatentPairsDisplay,
    LatentTraversalDisplay,
    ReconstructionDisplay,
    SearchDisplay,
    StabilityDisplay,
    TrainingDisplay,
    edit,
    explore,
    factor_table,
    loadings,
)
from skfactorvae.metrics import (
    benchmark_report,
    dci_scores,
    disentanglement_report,
    make_disentanglement_scorer,
    mean_correlation_score,
    mig_scorer,
    mutual_info_gap_score,
    sap_score,
    total_correlation_audit,
)
from skfactorvae.model_selection import (
    BatchedGridSearchCV,
    BatchedRandomizedSearchCV,
    SeedEnsemble,
    batched_fits,
    best_under_constraint,
    elbo_scorer,
    gamma_path,
    latent_report,
    select_gamma,
)


def build(n_features: int, n_components: int) -> tuple[nn.Module, nn.Module]:
    return nn.Linear(n_features, 2 * n_components), nn.Linear(n_components, n_features)


def estimators() -> list[object]:
    """Return each estimator, first by default, then with parameters of its own."""
    FactorVAETransformer()
    FactorVAETransformer(5)
    FactorVAETransformer(n_components=5, gamma=10, beta=1, groups=[2, 3])
    FactorVAETransformer("auto")
    FactorVAETransformer(5, gamma=10.0, network="conv", image_shape=(1, 16, 16))
    FactorVAETransformer(5, network=build, likelihood="bernoulli", max_iter=100)
    FactorVAETransformer(
        5,
        hidden_layer_sizes=(64, 64),
        discriminator_hidden_layer_sizes=[256, 256],
        discriminator_learning_rate=1e-4,
        activation="tanh",
        noise_scale="shared",
        input_noise=0.5,
        init="pca",
        temperature=1.0,
        standardize=None,
        learning_rate=1e-3,
        batch_size=64,
        warmup=0.1,
        early_stopping=True,
        validation_fraction=0.2,
        n_iter_no_change=20,
        warm_start=True,
        precision="float64",
        device="cpu",
        n_jobs=1,
        random_state=np.random.RandomState(0),
        verbose=1,
    )
    BetaVAETransformer()
    BetaVAETransformer(5, beta=4, capacity=10.0, random_state=0)
    BetaTCVAETransformer()
    BetaTCVAETransformer(5, beta=6.0, alpha=1, lambda_=1, weighting="mss")
    DIPVAETransformer()
    DIPVAETransformer(5, lambda_od=10, lambda_d=None, dip_type="ii")
    AAETransformer()
    AAETransformer(5, gamma=10, prior="uniform", encoder="stochastic")
    InfoGANTransformer()
    InfoGANTransformer(5, lambda_=1, n_categories=[3, 2], n_noise=4, random_state=None)
    AuxiliaryVAETransformer()
    AuxiliaryVAETransformer(5, encoder_share=0.2, beta=2, random_state=None)
    CausalVAETransformer()
    CausalVAETransformer(5, graph="learn", supervision=2, beta=1, random_state=None)
    PairedVAETransformer()
    PairedVAETransformer(5, n_changed=1, average="geometric", gamma=10)
    SupervisedFactorVAETransformer()
    SupervisedFactorVAETransformer(
        5, supervision=10, sensitive="site", components_per_attribute=2, masking=1
    )
    return [FactorVAETransformer(), InfoGANTransformer(3)]


def fits() -> np.ndarray:
    X, factors = make_nonlinear_ica(200, 12, n_sources=3, noise=0.1, random_state=0)
    vae = FactorVAETransformer(3, random_state=0).fit(X)
    weighted = FactorVAETransformer(3).fit(X, sample_weight=np.ones(200))
    streamed = FactorVAETransformer(3).partial_fit(X[:100], total_samples=200)
    print(streamed.partial_fit(X[100:]).n_samples_seen_)
    codes = vae.transform(X)
    rows = vae.inverse_transform(codes)
    mean, std = vae.posterior(X)
    new = weighted.sample(10, noise=False, random_state=0)
    score = vae.score(X) + vae.score_samples(X).mean()
    print(rows.shape, mean + std, new.mean(), score)
    print(vae.kl_per_component_, vae.history_["kl"], vae.get_feature_names_out())
    named = vae.set_output(transform="pandas").fit(X).transform(X)
    told = SupervisedFactorVAETransformer(3, random_state=0).fit(X, factors[:, :1])
    pairs = successive_pairs(np.arange(200))
    paired = PairedVAETransformer(3, random_state=0).fit(X, pairs=pairs)
    print(paired.fit_transform(X, pairs=pairs_to_groups([[0, 1], [2, 3]], 200)))
    causal = CausalVAETransformer(3, graph=[[0, 1], [0, 0]]).fit(X, factors[:, :2])
    print(causal.intervene({0: 1.0}, X), causal.structural_noise_, causal.graph_)
    site = np.arange(200) % 4
    auxiliary = AuxiliaryVAETransformer(3, random_state=0).fit(X, aux=site)
    print(auxiliary.transform(X, aux=site), auxiliary.conditional_prior_.to_frame())
    print(named, told.fit_transform(X, factors[:, 0]), vae.get_params()["gamma"])
    return FactorVAETransformer(3).set_params(gamma=1.0).fit(X).transform(X)


def searches() -> None:
    X, factors = make_gaussian_peaks(n_samples=200, noise=0.1, random_state=0)
    pipe = Pipeline(
        [
            ("scale", StandardScaler()),
            ("vae", FactorVAETransformer(n_components=5, random_state=0)),
        ]
    )
    grid = {"vae__gamma": [1, 10, 40], "vae__n_components": [2, 5]}
    search = GridSearchCV(pipe, grid, scoring=mig_scorer, cv=3).fit(X, factors)
    print(search.best_estimator_.transform(X))
    batched = BatchedGridSearchCV(pipe, grid, scoring=mig_scorer, n_jobs=2)
    print(batched.fit(X, factors).best_params_)
    random = BatchedRandomizedSearchCV(pipe, grid, n_iter=2, scoring=elbo_scorer)
    print(random.fit(X).cv_results_)
    constrained = BatchedGridSearchCV(
        pipe, grid, scoring="r2", refit=best_under_constraint("mig", {"mcc": 0.5})
    )
    print(constrained)
    with batched_fits(n_jobs=2, max_models=16):
        search.fit(X, factors)
    selection = select_gamma(
        FactorVAETransformer(3), X, gammas=[1.0, 10.0], n_seeds=3, random_state=0
    )
    print(selection.best_estimator.transform(X), selection.gammas[0])
    path = gamma_path(FactorVAETransformer(3), X, (0, 10), test_size=0.5)
    print(path.codes.shape, path.scores["elbo"])
    ensemble = SeedEnsemble(FactorVAETransformer(3), n_seeds=3, keep="all").fit(X)
    print(ensemble.transform(X), latent_report(ensemble, X, random_state=0).findings)
    model = make_pipeline(FactorVAETransformer(3), LogisticRegression())
    print(model.fit(X, factors[:, 0] > 0).predict(X))


def scores(factors: np.ndarray, codes: np.ndarray) -> None:
    print(mutual_info_gap_score(factors, codes, n_bins=10, factor_types="auto"))
    print(mean_correlation_score(factors, codes, method="pearson"))
    print(sap_score(factors, codes, random_state=0))
    print(dci_scores(factors, codes, estimator="lasso", n_jobs=2).disentanglement)
    print(disentanglement_report(factors, codes, metrics="fast", random_state=0))
    print(total_correlation_audit(codes, random_state=0))
    print(benchmark_report(FactorVAETransformer(3), (codes, factors), metrics=["mig"]))
    print(sample_efficiency(codes, factors[:, 0], sizes=[20], n_repeats=3).scores)
    print(shift_report("auto", codes, factors[:, 0], factors[:, 1]).cost)
    print(unfairness_score(codes[:, 0] > 0, factors[:, 0], adjusted=True))
    scorer = make_disentanglement_scorer(sap_score, classifier="threshold")
    print(scorer(FactorVAETransformer(3), codes, factors))


def pictures() -> None:
    bunch = make_dsprites_like(200, image_size=16, return_bunch=True, random_state=0)
    X = bunch.data
    vae = FactorVAETransformer(3, network="conv", image_shape=(1, 16, 16)).fit(X)
    LatentTraversalDisplay.from_estimator(vae, X).plot()
    ReconstructionDisplay.from_estimator(vae, X).plot()
    TrainingDisplay.from_estimator(vae).plot()
    LatentPairsDisplay.from_estimator(vae, X).plot()
    FactorMatrixDisplay.from_codes(bunch.target, vae.transform(X)).plot()
    search = BatchedGridSearchCV(vae, {"gamma": [1, 10]}).fit(X)
    SearchDisplay.from_estimator(search).plot()
    StabilityDisplay.from_estimators([vae, FactorVAETransformer(3).fit(X)], X).plot()
    print(factor_table(vae, X).to_frame())
    print(edit(vae, X[:1], {"component_0": 1.0}, reference=X), loadings(vae, X))
    print(vae.components_.shape, fetch_mpi3d(variant="real").data.shape)
    print(explore(vae, X, "factors.html", title="Sprites").n_bytes)
