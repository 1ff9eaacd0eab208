"""Networks made of the user's own torch modules."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn

from .._locks import ProcessLock
from ._axes import LATENT, Parameters, Shapes
from ._dense import PLAIN, Weights
from ._networks import Network, bound_log_var

Build = Callable[[int, int], tuple[nn.Module, nn.Module]]

OWN = "own"
"""Part of the names of the modules' weights, which thus never equal other names."""

FRAMES = "encoder.frame", "decoder.frame"
"""Signed permutations between the modules and the latents."""

MIXING = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)

_global_generator = ProcessLock()


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Seed torch's global generator inside the block, and restore it afterwards.

    Modules draw their weights from it, one block at a time. ``torch.manual_seed`` would
    seed all other devices, too.
    """
    with _global_generator, torch.random.fork_rng(devices=[]):
        dtype = torch.get_default_dtype()
        torch.default_generator.manual_seed(seed)
        torch.set_default_dtype(torch.float32)
        try:
            yield
        finally:
            torch.set_default_dtype(dtype)


@dataclass(frozen=True)
class Modules(Network):
    """An encoder and a decoder given by the user as ``torch.nn`` modules.

    They are called in evaluation mode and vectorised over the stack by
    :func:`torch.func.vmap`. A fixed signed permutation, the frame, is applied between
    modules and latents, so that latents can be reordered without changing the modules.

    Parameters
    ----------
    build : callable (n_features, n_components) -> (encoder, decoder)
        The encoder maps (B, p) to (B, 2 d), means first and then log-variances; the
        decoder maps (B, d) to (B, p).
    """

    n_features: int
    n_components: int
    build: Build

    @property
    def fixed(self) -> frozenset[str]:
        return frozenset(FRAMES)

    @property
    def signature(self) -> tuple[object, ...]:
        return type(self), self.n_features, self.n_components, self.build

    @property
    def multiplications(self) -> int:
        return sum(p.numel() for m in self._structure.values() for p in m.parameters())

    @property
    def encoder_parameters(self) -> Parameters:
        return {**self._own_parameters("encoder"), FRAMES[0]: ("module", LATENT)}

    @property
    def decoder_parameters(self) -> Parameters:
        return {**self._own_parameters("decoder"), FRAMES[1]: (LATENT, "module")}

    def _own_parameters(self, role: str) -> Parameters:
        """Declare a module's weights, whose axes have no names."""
        own = self._structure[role].named_parameters()
        return {f"{role}.{OWN}.{name}": ("",) * p.ndim for name, p in own}

    @property
    def shapes(self) -> Shapes:
        own = {
            f"{role}.{OWN}.{name}": tuple(p.shape)
            for role, module in self._structure.items()
            for name, p in module.named_parameters()
        }
        return {**own, **dict.fromkeys(FRAMES, (self.n_components,) * 2)}

    @cached_property
    def _structure(self) -> dict[str, nn.Module]:
        return self._build(seed=0, device="meta")

    def _build(self, seed: int, device: str) -> dict[str, nn.Module]:
        with _seeded(seed), torch.device(device):
            made = self.build(self.n_features, self.n_components)
        is_pair = isinstance(made, tuple | list) and len(made) == 2
        if not is_pair or not all(isinstance(m, nn.Module) for m in made):
            raise ValueError(
                f"network={self.build!r} must return a pair (encoder, decoder) of "
                f"torch.nn.Module; got {made!r}."
            )
        modules = dict(zip(("encoder", "decoder"), made, strict=True))
        for role, module in modules.items():
            self._check_rows_are_independent(role, module)
            module.eval()
        return modules

    def _check_rows_are_independent(self, role: str, module: nn.Module) -> None:
        is_mixing = any(isinstance(part, MIXING) for part in module.modules())
        if is_mixing or next(module.buffers(), None) is not None:
            raise ValueError(
                f"The {role} built by network={self.build!r} keeps buffers, or uses "
                "batch normalisation. Rows would then depend on each other. Use "
                "modules without buffers, for instance LayerNorm."
            )

    def draw(self, generator: torch.Generator) -> Weights:
        seed = int(torch.randint(2**62, (), generator=generator, device="cpu"))
        modules = self._build(seed, device="cpu")
        weights = {
            f"{role}.{OWN}.{name}": parameter.detach().clone()
            for role, module in modules.items()
            for name, parameter in module.named_parameters()
        }
        eye = torch.eye(self.n_components, **PLAIN)
        return {**weights, **{name: eye.clone() for name in FRAMES}}

    def encode(self, weights: Weights, x: Tensor) -> tuple[Tensor, Tensor]:
        head = self._call("encoder", weights, x, 2 * self.n_components)
        mean, raw = head.chunk(2, dim=-1)
        frame = weights[FRAMES[0]]
        return mean @ frame, bound_log_var(raw @ frame.abs())

    def decode(self, weights: Weights, z: Tensor) -> Tensor:
        codes = z @ weights[FRAMES[1]]
        return self._call("decoder", weights, codes, self.n_features)

    def _call(self, role: str, weights: Weights, x: Tensor, width: int) -> Tensor:
        module = self._structure[role]
        own = {
            name: weights[f"{role}.{OWN}.{name}"]
            for name, _ in module.named_parameters()
        }

        def call(one: Weights, rows: Tensor) -> Tensor:
            y = torch.func.functional_call(module, one, (rows,))
            if not isinstance(y, Tensor):
                raise ValueError(
                    f"The {role} built by network={self.build!r} returned a "
                    f"{type(y).__name__}; expected one tensor of shape "
                    f"{(len(rows), width)}."
                )
            return y

        if len(x) == 1:
            y = call({k: v[0] for k, v in own.items()}, x[0])[None]
        else:
            y = torch.func.vmap(call)(own, x)
        if y.shape != (*x.shape[:2], width):
            raise ValueError(
                f"The {role} built by network={self.build!r} turned {x.shape[1]} rows "
                f"of {x.shape[2]} values into an array of shape {tuple(y.shape[1:])}; "
                f"expected {(x.shape[1], width)}."
            )
        return y
