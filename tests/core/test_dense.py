"""Dense networks: the explicit backward pass equals automatic differentiation."""

import pytest
import torch

from skfactorvae.core._dense import ACTIVATIONS, Dense


@pytest.mark.parametrize("final_activation", [False, True])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_gradients_equal_automatic_differentiation(activation, final_activation):
    chain = Dense("chain", (4, 6, 5, 2), activation, final_activation)
    generator = torch.Generator().manual_seed(0)
    models = [chain.draw(generator) for _ in range(3)]
    layers = [
        torch.stack([m[name] + 0.1 for m in models]).double().requires_grad_()
        for name in chain.names
    ]
    x = torch.randn(3, 7, 4, generator=generator).double().requires_grad_()
    y, trace = chain.forward(layers, x)
    slope = torch.randn(y.shape, generator=generator).double()
    expected = torch.autograd.grad(y, [x, *layers], slope)
    with torch.no_grad():
        into = [torch.full_like(layer, torch.nan) for layer in layers]
        by_x = chain.backward(layers, trace, y, slope, into)
    for result, truth in zip([by_x, *into], expected, strict=True):
        torch.testing.assert_close(result, truth)


def test_the_multiplications_of_a_row_are_counted():
    assert Dense("chain", (4, 6, 2), "relu").multiplications == 4 * 6 + 6 * 2


def test_an_activated_layer_keeps_the_variance_of_its_input():
    """He initialisation has variance 2 / fan-in, since relu removes half of it."""
    chain = Dense("chain", (400, 400, 400, 400), "relu", final_activation=True)
    weights = chain.draw(torch.Generator().manual_seed(0))
    x = torch.randn(1, 200, 400, generator=torch.Generator().manual_seed(1))
    y = chain({k: v[None] for k, v in weights.items()}, x)
    assert y.square().mean().item() == pytest.approx(1.0, rel=0.15)
