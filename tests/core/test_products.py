"""Products of large matrices in bfloat16, and what refuses them."""

import threading

import numpy as np
import pytest
import torch

import skfactorvae
from skfactorvae import FactorVAETransformer, core
from skfactorvae.core import _products
from skfactorvae.core._dense import Dense, add_product
from skfactorvae.core._products import large_products, low_type, lowered

EPSILON = float(torch.finfo(torch.bfloat16).eps)

WIDE = {
    "n_components": 2,
    "hidden_layer_sizes": (8,),
    "discriminator_hidden_layer_sizes": (16, 16),
    "max_iter": 20,
    "weight_decay": 0.0,
    "random_state": 0,
    "verbose": 0,
    "device": "cpu",
}


@pytest.fixture
def supported(monkeypatch):
    """A processor with instructions, and layers of 16 are large."""
    monkeypatch.setattr(_products, "has_bfloat16", lambda device: True)
    monkeypatch.setattr(_products, "LOW_SIDE", 16)


def numbers(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def table(n_rows=60):
    rng = np.random.default_rng(0)
    return rng.normal(size=(n_rows, 2)) @ rng.normal(size=(2, 6))


def test_large_products_have_the_digits_of_bfloat16(supported):
    x, weight, bias = numbers(2, 5, 16), numbers(2, 16, 32, seed=1), numbers(2, 1, 32)
    exact = add_product(bias, x, weight)
    with large_products("bfloat16"):
        found = add_product(bias, x, weight)
    bound = 3 * EPSILON * (x.abs() @ weight.abs())
    assert found.dtype == torch.float32
    assert ((found - exact).abs() <= bound).all()
    assert (found != exact).any()


@pytest.mark.parametrize("shape", [(15, 32), (32, 15)])
def test_products_of_small_layers_keep_all_digits(supported, shape):
    x, weight = numbers(1, 5, shape[0]), numbers(1, *shape)
    bias = numbers(1, 1, shape[1])
    exact = add_product(bias, x, weight)
    with large_products("bfloat16"):
        assert torch.equal(add_product(bias, x, weight), exact)


def test_the_setting_is_that_of_one_thread_and_one_block(supported):
    weight, elsewhere = numbers(1, 16, 16), []
    with large_products("bfloat16"):
        thread = threading.Thread(target=lambda: elsewhere.append(low_type(weight)))
        thread.start()
        thread.join()
        assert low_type(weight) is torch.bfloat16
    assert elsewhere == [None]
    assert low_type(weight) is None


def test_a_bias_is_not_converted(supported):
    with large_products("bfloat16"):
        assert lowered(numbers(16, 16)).dtype == torch.float32
        assert lowered(numbers(1, 16, 16)).dtype == torch.bfloat16


def test_explicit_gradients_are_those_of_autograd_to_rounding(supported):
    network = Dense("net", (16, 32, 16, 1), "leaky_relu")
    drawn = network.draw(torch.Generator().manual_seed(0))
    layers = [drawn[name][None].requires_grad_() for name in network.names]
    x = numbers(1, 7, 16).requires_grad_()
    with large_products("bfloat16"):
        y, _ = network.forward(layers, x)
        expected = torch.autograd.grad(y.sum(), [*layers, x])
        with torch.no_grad():
            own = [lowered(layer) for layer in layers]
            y, trace = network.forward(own, x)
            into = [torch.empty_like(layer) for layer in layers]
            by_x = network.backward(own, trace, y, torch.ones_like(y), into)
    for one, other in zip([*into, by_x], expected, strict=True):
        assert one.dtype == torch.float32
        scale = float(other.abs().max())
        torch.testing.assert_close(one, other, rtol=0, atol=8 * EPSILON * scale)


def test_a_fit_differs_by_rounding_and_is_stored_as_float32(supported):
    X = table()
    one = FactorVAETransformer(**WIDE).fit(X)
    other = FactorVAETransformer(**WIDE, precision="bfloat16").fit(X)
    name = "discriminator.1.weight"
    assert (one.weights_[name] != other.weights_[name]).any()
    assert {weight.dtype for weight in other.weights_.values()} == {np.dtype("f4")}
    np.testing.assert_allclose(one.transform(X), other.transform(X), atol=0.02)
    again = FactorVAETransformer(**WIDE, precision="bfloat16").fit(X)
    np.testing.assert_array_equal(other.transform(X), again.transform(X))


def test_a_saved_model_loads_where_there_are_no_instructions(
    supported, monkeypatch, tmp_path
):
    X = table()
    model = FactorVAETransformer(**WIDE, precision="bfloat16").fit(X)
    model.save(tmp_path / "model.safetensors")
    monkeypatch.setattr(_products, "has_bfloat16", lambda device: False)
    loaded = skfactorvae.load(tmp_path / "model.safetensors")
    np.testing.assert_array_equal(loaded.transform(X), model.transform(X))
    with pytest.raises(ValueError, match="AVX512_BF16"):
        loaded.fit(X)


def test_a_stream_takes_it(supported):
    model = FactorVAETransformer(**WIDE, precision="bfloat16")
    for seed in range(2):
        model.partial_fit(table() + seed)
    assert np.isfinite(model.transform(table())).all()


def test_small_networks_are_refused_with_the_size_that_gains(monkeypatch):
    monkeypatch.setattr(_products, "has_bfloat16", lambda device: True)
    model = FactorVAETransformer(**WIDE, precision="bfloat16")
    with pytest.raises(ValueError, match=r"at least 512 inputs.*float32"):
        model.fit(table())
    assert not hasattr(model, "weights_")


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_a_processor_without_instructions_is_refused(monkeypatch, method):
    monkeypatch.setattr(_products, "has_bfloat16", lambda device: False)
    model = FactorVAETransformer(**WIDE, precision="bfloat16")
    with pytest.raises(ValueError, match=r"AMX or AVX512_BF16.*precision='float32'"):
        getattr(model, method)(table())


def test_other_devices_than_cpu_and_cuda_have_no_instructions():
    with pytest.raises(ValueError, match="'mps' lacks"):
        core.check_products("bfloat16", torch.device("mps"))
    core.check_products("float64", torch.device("mps"))
