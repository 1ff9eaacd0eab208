"""Health marks: each check of the training record, and agreement with the report."""

import numpy as np
import pytest
from _fits import small

from skfactorvae import (
    AAETransformer,
    BetaTCVAETransformer,
    InfoGANTransformer,
)
from skfactorvae._health import (
    CHANCE_LOSS,
    HIGH_ACCURACY,
    LARGE_SELF_WEIGHT,
    STRONG_LOSS,
    WEAK_LOSS,
    check_audit,
    final_value,
)
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
                "at chance level throughout",
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
