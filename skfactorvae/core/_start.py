"""The weights with which the training of a model begins."""

from __future__ import annotations

from ._dense import Weights
from ._job import Job
from ._sampling import Streams


def draw_weights(job: Job, streams: Streams) -> Weights:
    """Draw all weights of one model, the adversary's last.

    Parameters
    ----------
    job : Job
    streams : Streams
        Generators of the model.

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
