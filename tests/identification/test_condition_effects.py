"""Effects of several conditions on codes: shifts, spreads, tests and removal."""

import numpy as np
import pandas as pd
import pytest

from skfactorvae.identification import condition_effects

SHIFTS = np.array([-1.0, 0.0, 0.4, 0.6])
"""Of the second component, at each dose."""


def table(n=1200, seed=0):
    """Return codes of four components, and an unbalanced design of doses and sites.

    They vary with neither condition, with the dose, in spread with the site, and with
    both.
    """
    rng = np.random.RandomState(seed)
    site = rng.randint(3, size=n)
    dose = np.minimum(rng.randint(4, size=n), 1 + site)  # no dose 3 at site 0
    Z = rng.normal(size=(n, 4))
    Z[:, 1] += SHIFTS[dose]
    Z[:, 2] *= np.array([0.5, 1.0, 2.0])[site]
    Z[:, 3] += SHIFTS[dose] + 1.5 * site
    return Z, pd.DataFrame({"dose": dose, "site": np.array(["a", "b", "c"])[site]})


class TestEffects:
    def test_each_condition_has_the_components_that_vary_with_it(self):
        Z, aux = table()
        effects = condition_effects(Z, aux)
        assert effects.varies("dose").tolist() == [False, True, False, True]
        assert effects.varies("site").tolist() == [False, False, True, True]
        assert str(effects).splitlines()[2] == "none of them: component 0"

    @pytest.mark.slow
    def test_shifts_are_those_within_levels_of_the_other_conditions(self):
        Z, aux = table(6000)
        effects = condition_effects(Z, aux, n_permutations=99)
        for component in (1, 3):
            found = effects.shift[0][:, component]
            np.testing.assert_allclose(found - found[1], SHIFTS, atol=0.15)
        np.testing.assert_allclose(np.diff(effects.shift[1][:, 3]), 1.5, atol=0.15)
        alone = condition_effects(Z, aux["dose"], n_permutations=99).shift[0][:, 3]
        assert np.abs(alone - alone[1] - SHIFTS).max() > 0.5  # sites have other doses

    def test_shifts_are_least_squares_of_indicators(self):
        Z, aux = table(200, 1)
        effects = condition_effects(Z, aux, n_permutations=99)
        design = pd.get_dummies(aux.astype(str), drop_first=True).to_numpy(float)
        design = np.column_stack([np.ones(len(Z)), design])
        weights = np.linalg.lstsq(design, Z, rcond=None)[0]
        own = effects.shift[0]
        np.testing.assert_allclose(own[1:] - own[0], weights[1:4], atol=1e-8)
        sizes = aux["dose"].value_counts(sort=False).sort_index().to_numpy()
        np.testing.assert_allclose(sizes @ own, 0, atol=1e-8)

    @pytest.mark.slow
    def test_spreads_are_ratios_to_the_spread_of_all_samples(self):
        Z, aux = table(6000)
        spread = condition_effects(Z, aux, n_permutations=99).spread[1][:, 2]
        np.testing.assert_allclose(spread / spread[1], [0.5, 1, 2], rtol=0.08)
        shares = aux["site"].value_counts(normalize=True).sort_index().to_numpy()
        assert shares @ np.square(spread) == pytest.approx(1, abs=1e-6)

    def test_information_of_a_shift_is_that_of_two_normal_distributions(self):
        rng = np.random.RandomState(0)
        dose = np.arange(4000) % 2
        Z = rng.normal(size=(4000, 1)) + dose[:, None]
        found = condition_effects(Z, dose, n_permutations=99).information[0, 0]
        assert found == pytest.approx(0.5 * np.log(1.25), abs=0.02)

    def test_linear_maps_of_a_component_change_its_units_alone(self):
        Z, aux = table(300)
        scale, mean = np.array([2.0, -1.0, 0.1, 5.0]), 7.0
        one = condition_effects(Z, aux, n_permutations=99)
        other = condition_effects(Z * scale + mean, aux, n_permutations=99)
        np.testing.assert_allclose(other.information, one.information, atol=1e-9)
        np.testing.assert_array_equal(other.p_value, one.p_value)
        np.testing.assert_allclose(other.shift[1], one.shift[1] * scale, atol=1e-9)

    def test_a_dose_that_is_mostly_zero_is_cut_into_intervals_that_have_samples(self):
        rng = np.random.RandomState(0)
        dose = np.where(rng.uniform(size=400) < 0.6, 0.0, rng.exponential(size=400))
        Z = rng.normal(size=(400, 2)) + np.c_[dose, 0 * dose]
        effects = condition_effects(Z, dose, n_permutations=99)
        assert effects.varies(0).tolist() == [True, False]
        assert effects.levels[0][0] == "0 to 0"
        assert len(set(effects.levels[0])) == len(effects.levels[0])
        mostly_high = condition_effects(Z, 5 - dose, n_permutations=99)
        assert mostly_high.levels[0][-1].endswith(" to 5")
        assert mostly_high.varies(0).tolist() == [True, False]

    def test_long_integers_that_differ_in_the_last_digit_are_levels_of_their_own(self):
        plate = 2**53 + np.arange(300) % 3
        Z = np.random.RandomState(0).normal(size=(300, 2))
        Z[:, 0] += np.arange(300) % 3
        effects = condition_effects(Z, plate, n_permutations=99)
        assert effects.levels[0] == tuple(map(str, range(2**53, 2**53 + 3)))
        assert np.diff(effects.shift[0][:, 0]) == pytest.approx(1, abs=0.5)

    def test_samples_with_a_missing_condition_are_left_out(self):
        Z, aux = table(300)
        extra = aux.astype(object).iloc[:20].copy()
        extra["site"] = None
        both = pd.concat([aux.astype(object), extra], ignore_index=True)
        more = condition_effects(np.r_[Z, Z[:20] + 50], both, n_permutations=99)
        plain = condition_effects(Z, aux.astype(object), n_permutations=99)
        np.testing.assert_allclose(more.shift[0], plain.shift[0])
        np.testing.assert_array_equal(more.p_value, plain.p_value)

    def test_a_frame_has_one_row_per_level_and_component(self):
        Z, aux = table(300)
        effects = condition_effects(Z, aux, n_permutations=99)
        frame = effects.to_frame()
        assert len(frame) == (4 + 3) * 4
        row = frame.query("condition == 'site' and level == 'b' and component == 3")
        assert row["shift"].item() == effects.shift[1][1, 3]
        assert row["p_value"].item() == effects.p_value[1, 3]

    @pytest.mark.slow
    def test_one_in_twenty_components_without_effect_has_a_p_of_one_in_twenty(self):
        """The other condition has an effect; p is corrected for two components."""
        rng = np.random.RandomState(0)
        n_small = 0
        for _ in range(200):
            site = np.arange(60) % 3
            dose = rng.randint(2, size=60)
            Z = rng.normal(size=(60, 2)) * (1 + site)[:, None] + 2 * site[:, None]
            effects = condition_effects(Z, np.c_[dose, site], n_permutations=99)
            n_small += effects.p_value[0].min() <= 0.05
        assert 2 <= n_small <= 22


class TestRemoval:
    @pytest.mark.slow
    def test_shifts_of_one_condition_go_and_those_of_the_other_stay(self):
        Z, aux = table(6000)
        effects = condition_effects(Z, aux, n_permutations=99)
        after = condition_effects(
            effects.remove(Z, "site", aux["site"]), aux, n_permutations=99
        )
        np.testing.assert_allclose(after.shift[1], 0, atol=1e-9)
        np.testing.assert_allclose(after.shift[0], effects.shift[0], atol=1e-9)
        np.testing.assert_allclose(after.spread[1], effects.spread[1], atol=1e-9)

    def test_missing_values_leave_codes_as_they_are(self):
        Z, aux = table(300)
        effects = condition_effects(Z, aux, n_permutations=99)
        removed = effects.remove(Z[:4], "site", ["a", None, "c", None])
        np.testing.assert_array_equal(removed[[1, 3]], Z[[1, 3]])
        np.testing.assert_allclose(removed[2], Z[2] - effects.shift[1][2])
        assert not np.shares_memory(removed, Z)

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (("batch", ["a"] * 300), "column must be one of .*'dose', 'site'"),
            (("site", ["a"] * 299 + ["z"]), "no estimated shift, at 1 samples"),
            (("site", ["a"] * 3), "3 rows, but X has 300 samples"),
        ],
    )
    def test_values_that_cannot_be_used_are_refused(self, arguments, message):
        Z, aux = table(300)
        effects = condition_effects(Z, aux, n_permutations=99)
        with pytest.raises(ValueError, match=message):
            effects.remove(Z, *arguments)
        with pytest.raises(ValueError, match="Z has 2 components; expected those"):
            effects.remove(Z[:, :2], "site", aux["site"])


SITE = np.arange(300) % 3


class TestRefusals:
    @pytest.mark.parametrize(
        ("aux", "message"),
        [
            (np.c_[SITE, np.zeros(300)], "'1' of aux has one level, 0.0"),
            (np.c_[SITE, np.arange(300) < 4], "'1' of aux has 4 samples at level 1"),
            (np.c_[SITE, SITE > 0], "determined, at least in part, by '1'"),
            (
                np.c_[SITE, np.arange(300) // 3 % 3, (SITE + np.arange(300) // 3) % 3],
                "determined, at least in part, by '1' and '2'",
            ),
            (np.arange(200) % 2, "200 rows, but X has 300 samples"),
        ],
    )
    def test_conditions_that_cannot_be_used_are_refused(self, aux, message):
        Z, _ = table(300)
        with pytest.raises(ValueError, match=message):
            condition_effects(Z, aux)

    @pytest.mark.parametrize(
        ("Z", "options", "message"),
        [
            (np.zeros(300), {}, "must have shape"),
            (np.full((300, 2), np.nan), {}, "NaN or infinity"),
            (np.ones((300, 2)), {"n_permutations": 50}, "at least 99"),
        ],
    )
    def test_codes_and_options_that_cannot_be_used_are_refused(
        self, Z, options, message
    ):
        with pytest.raises(ValueError, match=message):
            condition_effects(Z, SITE, **options)

    def test_dates_are_refused_since_later_ones_would_have_other_numbers(self):
        days = np.datetime64("2024-01-01") + np.arange(300)
        with pytest.raises(ValueError, match="'0' of aux holds dates or durations"):
            condition_effects(np.ones((300, 2)), days)

    @pytest.mark.parametrize("value", [0.0, 3.7])
    def test_constant_components_leave_the_tests_of_others_as_they_are(self, value):
        Z, aux = table(300)
        plain = condition_effects(Z, aux, n_permutations=99)
        more = condition_effects(
            np.column_stack([Z, np.full(300, value)]), aux, n_permutations=99
        )
        np.testing.assert_array_equal(more.p_value[:, :4], plain.p_value)
        np.testing.assert_array_equal(more.p_value[:, 4], 1)
        np.testing.assert_array_equal(more.information[:, 4], 0)
        np.testing.assert_array_equal(more.spread[1][:, 4], 1)

    def test_constant_components_vary_with_nothing(self):
        Z, aux = table(300)
        Z[:, 0] = 3.0
        assert not condition_effects(Z, aux).varies("site")[0]
