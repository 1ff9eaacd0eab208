"""The benchmark of published scales: its measure, and its methods on small tables."""

import numpy as np
import pandas as pd
import pytest
import simple_structure


@pytest.fixture
def table():
    """Twelve items of three scales, of which one item counts down."""
    rng = np.random.default_rng(0)
    factors = rng.normal(size=(150, 3))
    items = factors[:, np.arange(12) % 3] + 0.3 * rng.normal(size=(150, 12))
    items[:, 0] *= -1
    frame = pd.DataFrame(items, columns=[f"i{j}" for j in range(12)])
    frame.loc[3, "i4"] = np.nan
    keys = {str(s): [f"i{j}" for j in range(s, 12, 3)] for s in range(3)}
    keys["0"][0] = "-i0"
    return simple_structure.keyed(frame, keys)


def test_scales_are_sums_of_keyed_items_of_complete_samples(table):
    assert table.X.shape == (149, 12)
    unit = (table.X - table.X.mean(axis=0)) / table.X.std(axis=0, ddof=1)
    unit[:, 0] *= -1
    np.testing.assert_allclose(table.scales, unit.reshape(-1, 4, 3).sum(axis=1))


def test_scales_are_matched_one_to_one_whatever_the_number_of_components(table):
    rng = np.random.default_rng(1)
    codes = np.column_stack([rng.normal(size=(149, 2)), -table.scales])
    assert simple_structure.matched(table, codes) == pytest.approx(1)
    assert simple_structure.matched(table, codes[:, :3]) < 0.6


def test_tables_have_one_role():
    assert not simple_structure.TUNING.keys() & simple_structure.SET_ASIDE.keys()
    assert len(simple_structure.SET_ASIDE) >= 2


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:FastICA did not converge")
@pytest.mark.parametrize("name", simple_structure.METHODS | simple_structure.HOLDING)
def test_every_method_is_measured(name, table):
    model = (simple_structure.METHODS | simple_structure.HOLDING)[name](3, 0)
    if "max_iter" in model.get_params() and "VAE" in type(model).__name__:
        model.set_params(max_iter=2, hidden_layer_sizes=8)
    codes = model.fit(table.X).transform(table.X)
    assert 0 < simple_structure.matched(table, codes) <= 1


def test_stored_results_are_those_that_can_be_measured():
    columns = ["table", "method", "components", "seed"]
    found = set(map(tuple, simple_structure.stored()[columns].to_numpy()))
    assert found
    assert found <= set(simple_structure.wanted())
