"""Health marks: each check of the training record, and agreement with the report."""

import numpy as np
import pytest
from _fits import small
from hypothesis import given
from hypothesis import strategies as st

from skfactorvae import (
    AAETransformer,
    BetaTCVAETransformer,
    InfoGANTransformer,
)
from skfactorvae._health import check_audit, check_fit, check_samples, fit_warnings
from skfactorvae._health._discriminators import (
    CHANCE_LOSS,
    HIGH_ACCURACY,
    LARGE_SELF_WEIGHT,
    STRONG_LOSS,
    WEAK_LOSS,
)
from skfactorvae._health._held_out import (
    LARGE_GAP,
    LIKELIHOOD_GAP,
    MAX_R2_LOSS,
    MAX_WEIGHTED_R2_LOSS,
    OVERFITTING_GAP,
)
from skfactorvae._health._verdict import final_value
from skfactorvae.inspection import health_marks
from skfactorvae.model_selection import latent_report

N = 100


@pytest.fixture(scope="module")
def X():
    return np.random.RandomState(0).normal(size=(40, 4))


@pytest.fixture(scope="module")
def trained(X):
    return small().fit(X)


@pytest.fixture
def model(trained):
    """A fitted model with a healthy record, which a test can change."""
    twin = type(trained)(**trained.get_params())
    twin.__dict__.update(trained.__dict__)
    twin.active_components_ = np.array([0, 1])
    return with_history(twin)


def with_history(model, **terms):
    model.history_ = {
        "step": np.linspace(1.5, 150, N),
        "reconstruction": np.full(N, 5.0),
        "discriminator_loss": np.full(N, 0.6),
        "discriminator_accuracy": np.full(N, 0.55),
        **{name: np.broadcast_to(value, N) for name, value in terms.items()},
    }
    return model


def marks_of(model):
    return {mark.name: mark for mark in health_marks(model)}


def unwell(model):
    return {mark.name for mark in health_marks(model) if not mark.is_well}


class TestMarks:
    def test_a_healthy_fit_is_well(self, model):
        assert unwell(model) == set()

    @pytest.mark.parametrize(
        ("terms", "attributes", "name", "message"),
        [
            ({}, {"n_iter_": 180}, "training", "diverged at step 180"),
            ({"step": np.linspace(1, 7, N)}, {"n_iter_": 7}, "training", "7 of 150"),
            (
                {"reconstruction": np.linspace(50, 5, N)},
                {},
                "convergence",
                "still fell by 4.55 nats",
            ),
            ({}, {"active_components_": np.array([])}, "components", "collapsed"),
            ({"discriminator_accuracy": 0.93}, {}, "discriminator", "accuracy 93%"),
            ({"discriminator_loss": 0.1}, {}, "discriminator", "too strong"),
            (
                {"discriminator_loss": CHANCE_LOSS},
                {},
                "discriminator",
                "did not learn",
            ),
            ({"self_weight": 0.99}, {}, "batch_size", "99% of the density"),
        ],
        ids=[
            "diverged",
            "ended early",
            "still falling",
            "collapsed",
            "dependent",
            "too strong",
            "flat",
            "small batches",
        ],
    )
    def test_each_fault_has_one_mark(self, model, terms, attributes, name, message):
        with_history(model, **terms)
        model.__dict__.update(attributes)
        assert unwell(model) == {name}
        assert message in marks_of(model)[name].message

    def test_a_fit_that_diverged_at_once_has_no_record(self, model):
        model.history_ = {name: np.array([]) for name in model.history_}
        assert "diverged" in marks_of(model)["training"].message

    def test_divergence_counts_with_early_stopping_too(self, model):
        model.early_stopping, model.n_iter_ = True, 180
        assert not marks_of(model)["training"].is_well

    def test_early_stopping_is_well(self, model):
        with_history(model, step=np.linspace(1, 7, N))
        model.early_stopping, model.n_iter_ = True, 7
        assert marks_of(model)["training"].is_well

    def test_too_few_records_cannot_show_convergence(self, model):
        model.history_ = {name: v[-19:] for name, v in model.history_.items()}
        assert "19 records" in marks_of(model)["convergence"].message

    def test_noise_around_a_constant_is_convergence(self, model):
        noise = np.random.RandomState(0).normal(size=N)
        with_history(model, reconstruction=5 + noise)
        assert marks_of(model)["convergence"].is_well

    def test_all_components_active_is_well(self, model):
        model.active_components_ = np.arange(3)
        mark = marks_of(model)["components"]
        assert mark.is_well
        assert "Raise n_components" in mark.message

    def test_a_discriminator_without_effect_is_not_judged(self, model):
        with_history(model, discriminator_loss=0.1)
        assert "discriminator" not in marks_of(model.set_params(gamma=0.0))

    def test_a_discriminator_of_independent_codes_is_well(self, model):
        noise = 1e-3 * np.random.RandomState(0).normal(size=N)
        with_history(
            model, discriminator_loss=CHANCE_LOSS + noise, discriminator_accuracy=0.5
        )
        mark = marks_of(model)["discriminator"]
        assert mark.is_well
        assert "hardly separates" in mark.message

    def test_one_active_component_depends_on_nothing(self, model):
        with_history(model, discriminator_loss=CHANCE_LOSS)
        model.active_components_ = np.array([0])
        assert marks_of(model)["discriminator"].is_well

    def test_a_discriminator_without_recorded_accuracy_is_judged_by_its_loss(
        self, model
    ):
        for loss, is_well in ((0.1, False), (0.6, True)):
            with_history(model, discriminator_loss=loss)
            del model.history_["discriminator_accuracy"]
            assert marks_of(model)["discriminator"].is_well == is_well

    @pytest.mark.parametrize(
        ("cls", "classes"),
        [
            (AAETransformer, "codes from draws of the prior"),
            (InfoGANTransformer, "real samples from generated ones"),
        ],
    )
    def test_the_message_names_what_the_discriminator_separates(self, X, cls, classes):
        model = cls(2, max_iter=60, random_state=0).fit(X)
        model.history_["discriminator_accuracy"][:] = 0.95
        mark = marks_of(model)["discriminator"]
        assert not mark.is_well
        assert classes in mark.message

    @pytest.mark.parametrize("share", [LARGE_SELF_WEIGHT, LARGE_SELF_WEIGHT + 1e-6])
    def test_the_fit_and_the_mark_warn_of_small_batches_alike(self, X, share):
        model = BetaTCVAETransformer(2, max_iter=60, random_state=0).fit(X)
        model.history_["self_weight"][:] = share
        warning = model._objective().readout.convergence_warning(model.history_)
        assert marks_of(model)["batch_size"].is_well == (warning is None)

    def test_the_final_value_is_the_mean_of_the_last_tenth(self):
        history = {"kl": np.arange(200.0), "few": np.arange(3.0), "none": np.array([])}
        assert final_value(history, "kl") == np.arange(180, 200).mean()
        assert final_value(history, "few") == 2
        assert final_value(history, "none") is None
        assert final_value(history, "other") is None


def held_out(gap=0.1, advantage=-0.2, lost_r2=-0.3, **others):
    """Return held-out scores with differences per feature, for 4 features."""
    return {
        "n_samples": 40,
        "score": -8.0,
        "training_score": -8.0 + 4 * gap,
        "r2": 0.6,
        "first_component_r2": 0.6 + lost_r2,
        "factor_analysis_score": -8.0 + 4 * advantage,
        "max_iter": 150,
        **others,
    }


@pytest.fixture
def compared(model):
    """A healthy model whose weight decay was chosen on held-out samples."""
    model.held_out_, model.weight_decay_ = held_out(), 1.0
    return model


HELD_OUT_NAMES = {"generalisation", "likelihood", "reconstruction"}


class TestHeldOutSamples:
    def test_a_healthy_fit_is_well(self, compared):
        assert unwell(compared) == set()
        assert set(marks_of(compared)) >= HELD_OUT_NAMES
        assert fit_warnings(compared) == []

    def test_without_held_out_samples_there_is_no_such_mark(self, model):
        model.held_out_ = {}
        assert not HELD_OUT_NAMES & set(marks_of(model))

    def test_steps_that_held_out_samples_chose_are_well(self, compared):
        compared.max_iter, compared.weight_decay_ = 5000, 3.0
        mark = marks_of(compared)["training"]
        assert mark.is_well
        assert mark.message.startswith("150 of at most 5000 steps")
        assert "weight_decay_ = 3" in mark.message

    def test_a_fit_that_ended_before_them_is_not(self, compared):
        with_history(compared, step=np.linspace(1, 7, N))
        compared.max_iter, compared.n_iter_ = 5000, 7
        mark = marks_of(compared)["training"]
        assert not mark.is_well
        assert "7 of 150 steps" in mark.message

    @pytest.mark.parametrize(
        ("attributes", "is_well"),
        [
            ({"weight_decay_": 1.0}, True),
            ({"weight_decay_": 0.0, "max_iter": 5000}, True),
            ({"weight_decay_": 0.0}, False),
            ({"weight_decay_": 1.0, "held_out_": {}}, False),
        ],
        ids=["decay", "fewer steps", "all steps", "decay of the user"],
    )
    def test_more_steps_are_advised_only_where_held_out_samples_do_not_limit_them(
        self, compared, attributes, is_well
    ):
        with_history(compared, reconstruction=np.linspace(50, 5, N))
        compared.__dict__.update(attributes)
        mark = marks_of(compared)["convergence"]
        assert "still fell by 4.55 nats" in mark.message
        assert mark.is_well == is_well
        assert ("Raise max_iter" in mark.message) != is_well

    @given(gap=st.floats(-5, 5))
    def test_the_gap_has_one_set_of_levels_for_fit_and_new_samples(self, trained, gap):
        model = type(trained)(**trained.get_params())
        model.__dict__.update(trained.__dict__)
        model.held_out_ = held_out(gap)
        (verdict,) = (v for v in check_fit(model) if v.name == "generalisation")
        model.fit_score_ = model.held_out_["training_score"]
        of_samples = check_samples(model, model.held_out_["score"])
        assert of_samples.level == verdict.level
        exact = (model.fit_score_ - model.held_out_["score"]) / 4
        rank = int(exact > LARGE_GAP) + int(exact > OVERFITTING_GAP)
        assert verdict.level == ("fine", "note", "warning")[rank]
        assert bool(verdict.advice) == (verdict.level != "fine")

    def test_overfitting_has_numbers_and_advice(self, compared):
        compared.held_out_ = held_out(0.5)
        assert unwell(compared) == {"generalisation"}
        message = marks_of(compared)["generalisation"].message
        assert "of -8.0 nats" in message
        assert "of -6.0, a difference of 0.50 nats per feature" in message
        assert "larger weight_decay (now 1)" in message

    @given(advantage=st.floats(-3, 3), lost_r2=st.floats(-0.5, 0.4))
    def test_fit_warns_as_the_marks_do(self, trained, advantage, lost_r2):
        model = type(trained)(**trained.get_params())
        model.__dict__.update(trained.__dict__)
        model.active_components_ = np.array([0, 1])
        model.held_out_ = scores = held_out(advantage=advantage, lost_r2=lost_r2)
        found = {mark.name: mark for mark in health_marks(model)}
        names = [n for n in ("likelihood", "reconstruction") if not found[n].is_well]
        assert fit_warnings(model) == [found[name].message for name in names]
        gap = (scores["factor_analysis_score"] - scores["score"]) / 4
        assert ("likelihood" in names) == (gap > LIKELIHOOD_GAP)
        allowed = MAX_R2_LOSS if gap > LIKELIHOOD_GAP else MAX_WEIGHTED_R2_LOSS
        is_worse = scores["r2"] < scores["first_component_r2"] - allowed
        assert ("reconstruction" in names) == is_worse

    def test_scores_that_were_not_compared_have_no_mark(self, compared):
        nan = float("nan")
        compared.held_out_ = held_out(
            factor_analysis_score=nan, r2=nan, training_score=nan
        )
        assert not HELD_OUT_NAMES & set(marks_of(compared))

    def test_a_large_beta_is_named_first(self, compared):
        compared.beta, compared.held_out_ = 4.0, held_out(advantage=0.3, lost_r2=0.2)
        for name in ("likelihood", "reconstruction"):
            assert "Lower beta (now 4), " in marks_of(compared)[name].message


class TestCollapse:
    """The message has the reason, and the advice follows from it."""

    @pytest.fixture
    def collapsed(self, compared):
        compared.active_components_ = np.array([], dtype=int)
        compared.n_iter_ = compared.max_iter = 600
        compared.history_["step"] = np.linspace(3, 600, N)
        return compared

    def test_what_follows_from_it_has_no_mark(self, collapsed):
        collapsed.held_out_ = held_out(advantage=0.3, lost_r2=0.2)
        assert unwell(collapsed) == {"components"}
        assert fit_warnings(collapsed) == [marks_of(collapsed)["components"].message]

    def test_related_features(self, collapsed):
        collapsed.held_out_ = held_out(advantage=0.3)
        (message,) = fit_warnings(collapsed)
        assert "features are related" in message
        assert "better, by 0.30 nats per feature" in message
        assert "noise_scale='shared'" not in message

    def test_unrelated_features(self, collapsed):
        collapsed.held_out_ = held_out(advantage=0.01)
        (message,) = fit_warnings(collapsed)
        assert "nearly uncorrelated" in message
        assert "standardize='global' and noise_scale='shared'" in message

    def test_a_short_training(self, collapsed):
        collapsed.n_iter_, collapsed.held_out_ = 150, {}
        (message,) = fit_warnings(collapsed)
        assert "Training was short: 150 steps. Raise max_iter." in message

    @pytest.mark.parametrize(
        ("attributes", "advice"),
        [
            ({"beta": 4.0}, "Lower beta (now 4), "),
            ({"gamma": 20.0}, "ower gamma (now 20), "),
            ({"noise_scale": 2.0}, "ower noise_scale (now 2), "),
            ({"init_": "ica"}, "et init='pca', "),
            ({"input_noise": "auto"}, "et input_noise=0, "),
            ({"max_iter": 900}, "set weight_decay=0 (it makes all 900 steps), "),
            ({"held_out_": {}}, "raise max_iter, or use more samples."),
        ],
        ids=lambda value: "-".join(value) if isinstance(value, dict) else None,
    )
    def test_advice_depends_on_the_parameters(self, collapsed, attributes, advice):
        collapsed.held_out_ = held_out(advantage=0.3, max_iter=600)
        collapsed.__dict__.update(attributes)
        assert advice in fit_warnings(collapsed)[0]


LOSSES = (0.05, STRONG_LOSS, 0.4, 0.6, WEAK_LOSS + 0.01, CHANCE_LOSS)
ACCURACIES = (0.5, HIGH_ACCURACY, 0.95)
CHANGES = [
    {"discriminator_loss": loss, "discriminator_accuracy": accuracy}
    for loss in LOSSES
    for accuracy in ACCURACIES
]
CHANGES += [
    {"reconstruction": np.linspace(50, 5, N)},
    {"reconstruction": 5 + np.random.RandomState(0).normal(size=N)},
    {"self_weight": 0.5},
    {"self_weight": 0.95},
    {"step": np.linspace(1, 7, N)},
    {"prior_mismatch": 0.7, "discriminator_accuracy": 0.95},
    {"generator_loss": 0.7, "discriminator_loss": 0.1},
]


class TestAgreement:
    """The report and the marks never differ on what a record shows."""

    def agree(self, model, X):
        marks = {mark.name: mark for mark in health_marks(model)}
        findings = [f for f in latent_report(model, X).findings if f.topic in marks]
        warned = {f.topic for f in findings if f.level == "warning"}
        assert warned == {name for name, mark in marks.items() if not mark.is_well}
        for finding in findings:
            expected = marks[finding.topic].message
            assert f"{finding.message} {finding.advice}".rstrip() == expected
        return warned

    def test_over_a_family_of_histories(self, model, X):
        faults = [self.agree(with_history(model, **terms), X) for terms in CHANGES]
        assert set() in faults
        names = {"training", "convergence", "discriminator", "batch_size"}
        assert set().union(*faults) == names

    @pytest.mark.parametrize(
        "attributes",
        [
            {"n_iter_": 180},
            {"n_iter_": 150, "max_iter": 300},
            {"n_iter_": 150, "max_iter": 300, "early_stopping": True},
            {"active_components_": np.array([], dtype=int)},
            {"active_components_": np.array([0, 2])},
            {"gamma": 0.0, "active_components_": np.arange(3)},
        ],
        ids=lambda attributes: "-".join(map(str, attributes)),
    )
    def test_over_attributes(self, model, X, attributes):
        model.__dict__.update(attributes)
        for terms in ({}, {"discriminator_loss": 0.05}):
            self.agree(with_history(model, **terms), X)

    def test_over_held_out_scores(self, model, X):
        faults = set()
        for gap, advantage, lost_r2 in [(0, 0, 0), (0.3, 0.2, 0), (0.6, 0.2, 0.2)]:
            model.held_out_ = held_out(gap, advantage, lost_r2)
            faults |= self.agree(model, X)
        assert faults == HELD_OUT_NAMES

    def test_over_short_records(self, model, X):
        for n_records in (0, 1, 19, 20):
            with_history(model)
            model.history_ = {
                name: v[N - n_records :] for name, v in model.history_.items()
            }
            self.agree(model, X)

    def test_a_strong_discriminator_is_left_to_the_record(self, model):
        """Each discriminator gets one piece of advice."""
        for loss in LOSSES:
            with_history(model, discriminator_loss=loss)
            is_strong = "too strong" in marks_of(model)["discriminator"].message
            for auc in (0.5, 0.58, 0.7):
                assert not (is_strong and check_audit(model, auc))


def test_the_convergence_mark_says_what_the_curve_shows(model):
    noisy = np.linspace(6, 5, N) + 2 * np.resize([1, -1], N)
    with_history(model, reconstruction=noisy)
    message = marks_of(model)["convergence"].message
    assert "fell by 0.101 nats" in message
    assert "which its noise can explain" in message
    with_history(model, reconstruction=5 + np.exp(-np.linspace(0, 9, N)))
    assert "hardly falls any more: by 0.000" in marks_of(model)["convergence"].message
    with_history(model, reconstruction=np.linspace(5, 6, N))
    assert "no longer falls" in marks_of(model)["convergence"].message


def test_a_noisy_fall_that_goes_on_is_found_in_the_last_two_fifths(model):
    curve = np.linspace(6, 5, N) + 0.1 * np.resize([1, -1], N)
    last, before = curve[-10:], curve[-20:-10]
    noise = np.sqrt((last.var() + before.var()) / 10)
    assert before.mean() - last.mean() < 3 * noise
    mark = marks_of(with_history(model, reconstruction=curve))["convergence"]
    assert "still fell by 0.101 nats" in mark.message
    assert mark.level == "warning"


@pytest.mark.parametrize(
    ("n_components", "level", "advised"), [("auto", "fine", False), (3, "note", True)]
)
def test_only_a_number_of_components_that_was_given_may_be_raised(
    model, n_components, level, advised
):
    model.n_components = n_components
    model.active_components_ = np.arange(3)
    mark = marks_of(model)["components"]
    assert mark.is_well
    assert mark.level == level
    assert ("Raise n_components" in mark.message) == advised


def test_more_components_than_columns_are_noted(model):
    model.n_features_in_ = 2
    (mark,) = (mark for mark in health_marks(model) if mark.name == "components")
    assert mark.is_well
    assert mark.message.startswith("There are more components (3) than columns (2)")
    assert "at most 2" in mark.message
