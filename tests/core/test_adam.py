"""Adam by torch's kernel is torch's Adam."""

import pytest
import torch

from skfactorvae.core._adam import Adam

BETAS = {"model": (0.9, 0.999), "adversary": (0.5, 0.9)}
SHAPES = [(2, 3, 4), (2, 4), (2, 1)]


def make_leaves(seed, dtype):
    generator = torch.Generator().manual_seed(seed)
    return [
        torch.randn(shape, generator=generator, dtype=dtype).requires_grad_()
        for shape in SHAPES
    ]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_updates_equal_those_of_torchs_optimiser_bit_for_bit(dtype):
    ours, theirs = ({k: make_leaves(0, dtype) for k in BETAS} for _ in range(2))
    parts = [Adam(ours[k], betas) for k, betas in BETAS.items()]
    reference = torch.optim.Adam(
        [{"params": theirs[k], "betas": betas} for k, betas in BETAS.items()],
        fused=True,
    )
    pairs = [pair for k in BETAS for pair in zip(ours[k], theirs[k], strict=True)]
    for number in range(20):
        gradients = [g.detach() for k in BETAS for g in make_leaves(number + 1, dtype)]
        for pair, gradient in zip(pairs, gradients, strict=True):
            for leaf in pair:
                leaf.grad = gradient.clone()
        rate = 1e-2 / (1 + number)
        for part, other in zip(parts, reference.param_groups, strict=True):
            other["lr"] = rate
            part.step(rate)
        reference.step()
        assert all(torch.equal(a, b) for a, b in pairs)
    assert not torch.equal(ours["model"][0], ours["adversary"][0])


def test_a_rate_that_is_a_tensor_gives_the_same_step():
    number, tensor = make_leaves(0, torch.float32), make_leaves(0, torch.float32)
    for leaves, rate in (number, 1e-3), (tensor, torch.tensor(1e-3)):
        for leaf in leaves:
            leaf.grad = torch.ones_like(leaf)
        Adam(leaves, (0.9, 0.999)).step(rate)
    for a, b in zip(number, tensor, strict=True):
        torch.testing.assert_close(a, b)
