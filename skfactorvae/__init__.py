"""Disentangled latent components with the interface of scikit-learn.

:class:`FactorVAETransformer` wraps the FactorVAE of Kim & Mnih (2018): a variational
autoencoder that penalises the total correlation of its codes.
:mod:`skfactorvae.inspection` shows what each component represents,
:mod:`skfactorvae.metrics` measures disentanglement, :mod:`skfactorvae.evaluation`
measures what codes are worth in later use, :mod:`skfactorvae.datasets` simulates tables
with known factors, :mod:`skfactorvae.identification` finds the components that known
conditions identify, and :mod:`skfactorvae.model_selection` trains searches together and
selects models without labels.

Importing the package is fast: a name is loaded, and torch with it, when it is first
used.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from ._version import __version__ as __version__

if TYPE_CHECKING:
    from . import (
        datasets,
        evaluation,
        identification,
        inspection,
        interchange,
        metrics,
        model_selection,
        runtime,
    )
    from ._checkpoints import CheckpointError, checkpoints
    from ._loading import load
    from ._pairs import pairs_to_groups, successive_pairs
    from .estimators import (
        AAETransformer,
        AuxiliaryVAETransformer,
        BetaTCVAETransformer,
        BetaVAETransformer,
        CausalVAETransformer,
        DIPVAETransformer,
        FactorVAETransformer,
        InfoGANTransformer,
        PairedVAETransformer,
        SupervisedFactorVAETransformer,
    )

__all__ = [
    "AAETransformer",
    "AuxiliaryVAETransformer",
    "BetaTCVAETransformer",
    "BetaVAETransformer",
    "CausalVAETransformer",
    "CheckpointError",
    "DIPVAETransformer",
    "FactorVAETransformer",
    "InfoGANTransformer",
    "PairedVAETransformer",
    "SupervisedFactorVAETransformer",
    "checkpoints",
    "datasets",
    "evaluation",
    "identification",
    "inspection",
    "interchange",
    "load",
    "metrics",
    "model_selection",
    "pairs_to_groups",
    "runtime",
    "successive_pairs",
]


def __getattr__(name):
    """Load a public name when it is first used (PEP 562)."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name.endswith("Transformer"):
        value = getattr(import_module(f"{__name__}.estimators"), name)
    elif name in ("CheckpointError", "checkpoints"):
        value = getattr(import_module(f"{__name__}._checkpoints"), name)
    elif name in ("pairs_to_groups", "successive_pairs"):
        value = getattr(import_module(f"{__name__}._pairs"), name)
    elif name == "load":
        value = import_module(f"{__name__}._loading").load
    else:
        value = import_module(f"{__name__}.{name}")
    globals()[name] = value
    return value


def __dir__():
    """Return the public names."""
    return sorted({*globals(), *__all__})
