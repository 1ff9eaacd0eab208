"""SOAP: bases follow the gradients, and models of a stack stay independent."""

import numpy as np
import pytest
import torch

from skfactorvae.core import _soap
from skfactorvae.core._adam import Adam
from skfactorvae.core._soap import Soap


def quadratic(n_models, rows, columns, seed=0):
    """Return weights, and the ill-conditioned factors of a quadratic loss."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape):
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    spread = torch.logspace(-2, 0, rows, dtype=torch.float64)
    turn = torch.linalg.qr(draw(n_models, rows, rows))[0]
    weight = draw(n_models, rows, columns).requires_grad_()
    return weight, turn * spread


def descend(optimiser, weight, factors, n_steps):
    """Make steps on the squared norm of the factors times the weights."""
    for number in range(n_steps):
        loss = (factors.mT @ weight).square().sum()
        (weight.grad,) = torch.autograd.grad(loss, weight)
        optimiser.step(0.05 * (1 - number / n_steps))
        optimiser.refresh()
    return (factors.mT @ weight).detach().square().sum(dim=(1, 2))


def test_an_ill_conditioned_loss_falls_further_than_with_adam(monkeypatch):
    """Of equal decay rates, as short as the loss is simple."""
    monkeypatch.setattr(_soap, "BETAS", (0.95, 0.95))
    losses = []
    for kind in (lambda w: Adam([w], _soap.BETAS)), (lambda w: Soap([w])):
        weight, factors = quadratic(3, 12, 12)
        losses.append(descend(kind(weight), weight, factors, 400))
    assert (losses[1] < 0.2 * losses[0]).all(), losses


def test_bases_are_orthogonal_and_become_the_eigenvectors_of_the_average():
    weight, _ = quadratic(2, 6, 4)
    optimiser = Soap([weight])
    generator = torch.Generator().manual_seed(1)

    def draw(*shape):
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    scales = torch.tensor([1.0, 3, 9, 27, 81, 243], dtype=torch.float64)
    turn = torch.linalg.qr(draw(6, 6))[0]
    for _ in range(400):
        weight.grad = turn @ (scales[:, None] * draw(2, 6, 4))
        optimiser.step(1e-3)
        optimiser.refresh()
    for side in optimiser.matrices[0].rows, optimiser.matrices[0].columns:
        eye = torch.eye(side.basis.shape[-1], dtype=torch.float64)
        torch.testing.assert_close(
            side.basis.mT @ side.basis, eye.expand_as(side.average)
        )
    rows = optimiser.matrices[0].rows
    inside = rows.basis.mT @ rows.average @ rows.basis
    diagonal = torch.diag_embed(inside.diagonal(dim1=1, dim2=2))
    assert (inside - diagonal).norm() < 0.05 * diagonal.norm()


def test_the_first_step_is_that_of_adam():
    """Before the first gradient is known, the bases are those of the axes."""
    after = []
    for kind in (lambda w: Adam([w], _soap.BETAS)), (lambda w: Soap([w])):
        weight, _ = quadratic(2, 3, 4)
        weight.grad = torch.ones_like(weight)
        kind(weight).step(0.1)
        after.append(weight.detach())
    torch.testing.assert_close(*after)


def test_models_of_a_stack_do_not_affect_each_other():
    """Even if one of them has gradients that are not finite."""
    weight, factors = quadratic(3, 7, 4)
    alone, own = weight[:1].detach().clone().requires_grad_(), factors[:1]
    with torch.no_grad():
        weight[1] = np.nan
    descend(Soap([weight]), weight, factors, 25)
    descend(Soap([alone]), alone, own, 25)
    torch.testing.assert_close(weight[:1], alone, rtol=1e-9, atol=1e-12)
    assert weight[2].isfinite().all()
    assert not weight[1].isfinite().any()


@pytest.mark.parametrize("padded", [(9, 4), (7, 6), (9, 6)])
def test_padding_with_zeros_changes_nothing(padded):
    """Gradients of padding are zero, so that the averages have no full rank."""
    weight, factors = quadratic(2, 7, 4)
    wide = torch.zeros(2, *padded, dtype=torch.float64)
    wide[:, :7, :4] = weight.detach()
    wide.requires_grad_()
    wide_factors = torch.zeros(2, padded[0], 7, dtype=torch.float64)
    wide_factors[:, :7] = factors
    descend(Soap([weight]), weight, factors, 40)
    descend(Soap([wide]), wide, wide_factors, 40)
    torch.testing.assert_close(wide[:, :7, :4], weight, rtol=1e-6, atol=1e-9)
    assert not wide[:, 7:].any()
    assert not wide[:, :, 4:].any()


def test_padding_changes_nothing_where_a_gradient_has_no_full_rank():
    """Directions without a gradient must not mix with those of the padding."""
    weight, _ = quadratic(1, 6, 3)
    wide = torch.zeros(1, 8, 3, dtype=torch.float64)
    wide[:, :6] = weight.detach()
    wide.requires_grad_()
    pair = Soap([weight]), Soap([wide])
    for number in range(30):
        generator = torch.Generator().manual_seed(number)
        gradient = torch.zeros_like(weight)
        gradient[:, :2] = torch.randn(1, 2, 3, generator=generator, dtype=torch.float64)
        weight.grad = gradient
        wide.grad = torch.nn.functional.pad(gradient, (0, 0, 0, 2))
        for optimiser in pair:
            optimiser.step(0.05)
            optimiser.refresh()
    torch.testing.assert_close(wide[:, :6], weight, rtol=1e-6, atol=1e-9)
    assert not wide[:, 6:].any()


def test_long_sides_and_vectors_have_no_basis(monkeypatch):
    monkeypatch.setattr(_soap, "MAX_SIDE", 5)
    leaves = [torch.ones(2, *shape).requires_grad_() for shape in [(7, 5), (1, 7)]]
    for leaf in leaves:
        leaf.grad = torch.ones_like(leaf)
    optimiser = Soap(leaves)
    assert optimiser.matrices[0].rows is None
    assert optimiser.matrices[0].columns.basis.shape == (2, 5, 5)
    assert optimiser.matrices[1].rows is None
    assert optimiser.matrices[1].columns is None
    for _ in range(3):
        optimiser.step(0.1)
        optimiser.refresh()
    assert all((leaf < 1).all() for leaf in leaves)


def test_trailing_axes_count_as_one():
    """The head for means and log-variances has the axes (h, 2, d)."""
    generator = torch.Generator().manual_seed(0)
    flat = torch.randn(2, 5, 6, generator=generator, dtype=torch.float64)
    pair = [
        flat.clone().requires_grad_(),
        flat.view(2, 5, 2, 3).clone().requires_grad_(),
    ]
    optimisers = [Soap([leaf]) for leaf in pair]
    for _ in range(12):
        gradient = torch.randn(2, 5, 6, generator=generator, dtype=torch.float64)
        for leaf, optimiser in zip(pair, optimisers, strict=True):
            leaf.grad = gradient.view(leaf.shape).clone()
            optimiser.step(0.1)
            optimiser.refresh()
    assert torch.equal(pair[1].flatten(2), pair[0])
