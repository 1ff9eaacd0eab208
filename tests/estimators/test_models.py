"""Each transformer has the property that its objective is named after."""

import numpy as np
import pytest
from scipy import stats
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

import skfactorvae
from skfactorvae._health import fit_warnings
from skfactorvae.datasets import make_gaussian_peaks, make_nonlinear_ica


@pytest.fixture(scope="module")
def table():
    return make_nonlinear_ica(600, n_sources=3, n_features=8, random_state=0)


class TestGroups:
    """Components of one group may depend on each other."""

    @pytest.fixture(params=["FactorVAETransformer", "BetaTCVAETransformer"])
    def Grouped(self, request):
        return getattr(skfactorvae, request.param)

    @pytest.mark.parametrize("groups", [(2, 2), (5,), (3, 0, 1), "22", 4.0])
    def test_invalid_group_sizes_are_refused(self, Grouped, groups):
        vae = Grouped(n_components=3, groups=groups, max_iter=2)
        with pytest.raises(ValueError, match="groups"):
            vae.fit(np.eye(9, 4))

    def test_groups_keep_their_place_and_are_ordered_inside(self, Grouped, table):
        X, _ = table
        vae = Grouped(4, groups=[2, 2], max_iter=30, batch_size=32, random_state=0)
        kl = vae.fit(X).kl_per_component_
        assert kl[0] >= kl[1]
        assert kl[2] >= kl[3]


class TestMembers:
    @pytest.mark.slow
    def test_all_transformers_can_be_compared_in_one_search(self, table):
        X, sources = table
        members = [
            getattr(skfactorvae, name)(max_iter=20, random_state=0)
            for name in skfactorvae.__all__
            if name.endswith("Transformer")
        ]
        pipe = Pipeline([("scale", StandardScaler()), ("vae", members[0])])
        grid = {"vae": members, "vae__n_components": [2, 3]}
        search = GridSearchCV(pipe, grid, cv=2).fit(X, sources[:, 0])
        assert len(search.cv_results_["params"]) == 2 * len(members)
        assert np.isfinite(search.cv_results_["mean_test_score"]).all()

    def test_beta_one_without_capacity_is_factor_vae_without_gamma(self, table):
        X, _ = table
        options = {"n_components": 3, "max_iter": 50, "random_state": 0}
        vae = skfactorvae.BetaVAETransformer(beta=1.0, **options).fit(X)
        factor_vae = skfactorvae.FactorVAETransformer(gamma=0.0, **options).fit(X)
        np.testing.assert_array_equal(vae.transform(X), factor_vae.transform(X))

    @pytest.mark.slow
    def test_the_kl_divergence_reaches_the_capacity(self, table):
        X, _ = table
        vae = skfactorvae.BetaVAETransformer(
            5, beta=100, capacity=4.0, warmup=0.5, max_iter=800, random_state=0
        ).fit(X)
        assert vae.history_["kl"][-20:].mean() == pytest.approx(4.0, abs=0.3)

    @pytest.mark.slow
    def test_beta_tcvae_warns_of_batches_that_are_too_small(self, table):
        X, _ = table
        vae = skfactorvae.BetaTCVAETransformer(
            5, beta=0.0, batch_size=8, max_iter=400, random_state=0
        )
        with pytest.warns(ConvergenceWarning, match="Raise batch_size"):
            vae.fit(X)

    def test_a_fit_warns_of_a_collapse_once(self):
        X = np.random.RandomState(0).normal(size=(100, 4))
        vae = skfactorvae.BetaVAETransformer(3, beta=30, max_iter=100, random_state=0)
        with pytest.warns(ConvergenceWarning, match="collapsed") as caught:
            vae.fit(X)
        assert len(caught) == 1
        assert "ower beta (now 30)" in str(caught[0].message)
        assert caught[0].filename == __file__

    @pytest.mark.slow
    def test_a_fit_warns_where_a_linear_model_is_better(self, table):
        X, _ = table
        vae = skfactorvae.BetaVAETransformer(
            3, beta=30.0, hidden_layer_sizes=8, max_iter=300, random_state=0
        )
        with pytest.warns(ConvergenceWarning) as caught:
            vae.fit(X)
        messages = [str(warning.message) for warning in caught]
        assert messages == fit_warnings(vae)
        assert messages

    @pytest.mark.slow
    def test_dip_vae_makes_codes_white(self, table):
        X, _ = table
        off_diagonal = {}
        for lambda_od in (0.0, 50.0):
            vae = skfactorvae.DIPVAETransformer(
                3,
                init="random",
                lambda_od=lambda_od,
                lambda_d=lambda_od,
                max_iter=1000,
                random_state=0,
            )
            covariance = np.cov(vae.fit_transform(X), rowvar=False)
            off_diagonal[lambda_od] = np.abs(covariance - np.diag(np.diag(covariance)))
        assert off_diagonal[50.0].max() < 0.1
        assert off_diagonal[50.0].max() < off_diagonal[0.0].max()

    @pytest.mark.slow
    @pytest.mark.parametrize("prior", ["normal", "uniform"])
    def test_aae_gives_codes_the_priors_distribution(self, prior, table):
        X, _ = table
        aae = skfactorvae.AAETransformer(3, prior=prior, max_iter=1500, random_state=0)
        codes = aae.fit_transform(X)
        exact = stats.norm() if prior == "normal" else stats.uniform(-(3**0.5), 12**0.5)
        for code in codes.T:
            assert stats.ks_1samp(code, exact.cdf).statistic < 0.12
        assert np.abs(np.corrcoef(codes.T) - np.eye(3)).max() < 0.15

    @pytest.mark.slow
    def test_samples_of_a_uniform_prior_stay_inside_it(self, table):
        X, _ = table
        aae = skfactorvae.AAETransformer(
            3, prior="uniform", max_iter=400, random_state=0
        ).fit(X)
        new = aae.sample(300, noise=False, random_state=0)
        assert np.abs(aae.transform(new)).max() < 2.5

    @pytest.mark.slow
    @pytest.mark.parametrize("maker", [make_nonlinear_ica, make_gaussian_peaks])
    def test_infogan_recovers_the_codes_of_generated_rows(self, maker):
        X, _ = maker(1000, random_state=0)
        gan = skfactorvae.InfoGANTransformer(3, max_iter=600, random_state=0).fit(X)
        codes = np.random.RandomState(0).normal(size=(500, 3))
        back = gan.transform(gan.inverse_transform(codes))
        order, read = (stats.rankdata(c, axis=0) for c in (codes, back))
        own = np.corrcoef(order.T, read.T)[:3, 3:].diagonal()
        assert own.min() > 0.9
        assert 0.5 < gan.history_["discriminator_accuracy"][-1] < 0.95
