"""Weights before the first step."""

from __future__ import annotations

import torch

from ._axes import Shapes
from ._dense import Weights
from ._job import Job
from ._products import is_large
from ._sampling import Streams
from .objectives import Objective


def draw_weights(job: Job, streams: Streams) -> Weights:
    """Draw all weights of one model, the adversary's last.

    Raises
    ------
    ValueError
        If the drawn weights are not those that are declared.
    """
    d, objective = job.network.n_components, job.objective
    weights = job.network.draw(streams.network)
    weights |= job.likelihood.draw(job.network.n_features)
    weights |= objective.draw(d)
    if objective.adversary is not None:
        weights |= objective.adversary.draw(d, streams.adversary)
    if different := weights.keys() ^ job.parameters.keys():
        raise ValueError(
            f"Weights that are drawn and weights that are declared must be the same; "
            f"these are only one of both: {sorted(different)}. Declare the axes of "
            "each weight in parameters."
        )
    return weights


def has_large_layer(objective: Objective, n_components: int, shapes: Shapes) -> bool:
    """Return whether a dense layer is one whose products gain from fewer digits.

    Parameters
    ----------
    objective : Objective
        The shapes of its adversary are those of the weights that it draws.
    n_components : int
        Number of latents, d.
    shapes : dict of str to tuple of int
        Shapes of the other weights.
    """
    found = list(shapes.values())
    if objective.adversary is not None:
        drawn = objective.adversary.draw(n_components, torch.Generator("cpu"))
        found += [tuple(weight.shape) for weight in drawn.values()]
    return any(map(is_large, found))
