"""The interfaces of an objective and of its adversary."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import fields
from typing import Any, Self

import torch
from torch import Tensor

from .._axes import Parameters
from .._dense import Weights
from .._networks import Network
from ._forward import Forward
from ._readout import Readout

Terms = dict[str, Tensor]


def warmed_up(weight: Any, ramp: Tensor) -> Any:
    """Return a weight of the KL divergence during warm-up, from one, the ELBO's."""
    return 1 + (weight - 1) * ramp


WEIGHT = {"is_weight": True}
"""Marks a field that may differ over a stack: a float, in use a tensor (K,)."""


class Adversary(ABC):
    """Networks that are trained against the model, with a loss of their own.

    The gradient of that loss is taken with respect to the adversary's weights only, so
    that none of it reaches the model.

    Attributes
    ----------
    learning_rate : float
        Adam's initial learning rate for the adversary.
    """

    learning_rate: float

    @abstractmethod
    def parameters(self, network: Network) -> Parameters:
        """Return names and axes of the weights that the adversary trains.

        These are the ones that :meth:`draw` adds, and any of the network's own that the
        adversary trains in place of the model.

        Parameters
        ----------
        network : Network
            Encoder and decoder of the model.

        Returns
        -------
        parameters : dict of str to tuple of str
            An axis name for each dimension of one model's weight.
        """

    def draw(self, n_components: int, generator: torch.Generator) -> Weights:
        """Draw the weights that the adversary adds to one model's.

        Parameters
        ----------
        n_components : int
            Number of latents, d.
        generator : torch.Generator
            Source of the random numbers.

        Returns
        -------
        weights : dict of str to Tensor
            Weights without the leading axis of models.
        """
        return {}

    def multiplications(self, n_components: int) -> int:
        """Return the multiplications of the added networks for one code.

        Parameters
        ----------
        n_components : int
            Number of latents, d.

        Returns
        -------
        multiplications : int
            Approximate number, from which threads and stack widths are chosen.
        """
        return 0

    @abstractmethod
    def run(
        self, forward: Forward, weights: Weights, gradients: Weights
    ) -> tuple[Terms, Terms]:
        """Run the adversary on one forward pass, and write its gradients.

        Parameters
        ----------
        forward : Forward
            The model's forward pass.
        weights : Weights
            The adversary's weights.
        gradients : Weights
            Where the gradients of the adversary's own loss are written.

        Returns
        -------
        terms : dict of str to Tensor of shape (K,)
            Terms that are added to the model's loss.
        record : dict of str to Tensor of shape (K,)
            Further values for the history.
        """


def write_gradients(
    loss: Tensor, weights: Weights, gradients: Weights, names: Iterable[str]
) -> None:
    """Write the gradients of an adversary's loss (K,) by some of its weights.

    The graph of the loss is kept, since terms of the model's loss share it.
    """
    chosen = list(names)
    by_weights = torch.autograd.grad(
        loss.sum(), [weights[name] for name in chosen], retain_graph=True
    )
    for name, gradient in zip(chosen, by_weights, strict=True):
        gradients[name].copy_(gradient)


class Objective(ABC):
    """Named terms whose weighted sum a fit minimises.

    Fields marked by :data:`WEIGHT` may differ over a stack; all others are structure,
    in which the models of a stack must agree.

    Attributes
    ----------
    prior : {"normal", "uniform"}
        Distribution p(z) of the codes.
    recorded_only : tuple of str
        Terms that the history records and the loss does not contain.
    """

    prior: str = "normal"
    recorded_only: tuple[str, ...] = ()

    @abstractmethod
    def weights(self, ramp: Tensor) -> Terms:
        """Return the weight of each term, (K,); terms without one have weight one.

        The loop sets the weight of a term named ``reconstruction``, which is annealed
        where the likelihood has a temperature.

        Parameters
        ----------
        ramp : Tensor of shape (K,), in [0, 1]
            Completed fraction of the warm-up, or the weight of the reconstruction if
            that is less; weights of penalties are multiplied by it.

        Returns
        -------
        weights : dict of str to Tensor of shape (K,)
            By the name of the term.
        """

    @abstractmethod
    def terms(self, forward: Forward) -> Terms:
        """Return each term of the loss, (K,), in nats per row.

        Parameters
        ----------
        forward : Forward
            The model's forward pass.

        Returns
        -------
        terms : dict of str to Tensor of shape (K,)
            By name; the history records them under these names.
        """

    @property
    def adversary(self) -> Adversary | None:
        """The adversary, if a term depends on one."""
        return None

    @property
    def readout(self) -> Readout:
        """Order, signs and inactive latents after a fit."""
        return Readout()

    @property
    def kl_weight(self) -> float:
        """Weight of the KL divergence at the end of the warm-up."""
        return 1.0

    @property
    def parameters(self) -> Parameters:
        """Names and axes of weights that the objective adds to the model."""
        return {}

    def draw(self, n_components: int) -> Weights:
        """Return the initial values of these weights, for one model.

        Parameters
        ----------
        n_components : int
            Number of latents, d.

        Returns
        -------
        weights : dict of str to Tensor
            Weights without the leading axis of models.
        """
        return {}

    @classmethod
    def stack(cls, objectives: Sequence[Self], like: Tensor) -> Self:
        """Join the objectives of K models; their weights become tensors (K,)."""
        weights = {
            f.name: like.new_tensor([getattr(o, f.name) for o in objectives])
            for f in fields(cls)  # type: ignore[arg-type] # subclasses are dataclasses
            if f.metadata.get("is_weight")
        }
        return cls(**objectives[0].structure, **weights)

    @property
    def structure(self) -> dict[str, Any]:
        """Fields in which two objectives of one class must agree to be stacked."""
        return {
            f.name: getattr(self, f.name)
            for f in fields(self)  # type: ignore[arg-type] # as above
            if not f.metadata.get("is_weight")
        }
