"""Inference with trained weights: arrays in, arrays out.

Rows are processed in blocks, so that memory use does not grow with their number. The
result for a row equals the one computed alone, to rounding: the last block is padded to
a power of two, since libraries multiply matrices of few rows in another order.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping

import numpy as np
import torch
from torch import Tensor

from ._dense import PLAIN, Weights
from ._devices import one_thread, process_settings, undisturbed
from ._likelihoods import Likelihood
from ._missing import Observations, split_errors
from ._networks import Network
from ._priors import PRIORS

Arrays = Mapping[str, np.ndarray]

N_POSTERIOR_POINTS = 128
"""Codes by which the posterior of a row with missing values is represented."""

POSTERIOR_ROWS = 32
"""Rows whose codes are decoded at once for that."""

MIN_BLOCK = 32
"""Rows to which smaller blocks are padded.

With 16, some sums of products are rounded otherwise than in larger blocks, by more than
the 1e-7 that scikit-learn's own check of single samples allows.
"""


def encode(
    network: Network, weights: Arrays, rows: np.ndarray, *, device: torch.device
) -> tuple[np.ndarray, np.ndarray]:
    """Return posterior means and standard deviations of the codes, (n, n_columns)."""

    def moments(w: Weights, x: Tensor) -> Tensor:
        mean, log_var = network.components_of(w, *network.encode(w, x))
        return torch.cat([mean, torch.exp(0.5 * log_var)], dim=-1)

    names = network.encoder_parameters
    both = map_blocks(moments, network, _chosen(weights, names), rows, device)
    return both[:, : network.n_columns], both[:, network.n_columns :]


def decode(
    network: Network,
    likelihood: Likelihood,
    weights: Arrays,
    codes: np.ndarray,
    *,
    device: torch.device,
) -> np.ndarray:
    """Return E[x | z], (n, p)."""

    def expect(w: Weights, z: Tensor) -> Tensor:
        output = network.decode(w, network.latents_of(w, z))
        return likelihood.mean(w, output)

    own = [name for name in likelihood.parameters if name in weights]
    names = [*network.decoder_parameters, *own]
    return map_blocks(expect, network, _chosen(weights, names), codes, device)


def elbo(
    network: Network,
    likelihood: Likelihood,
    weights: Arrays,
    rows: np.ndarray,
    *,
    n_directions: int | None = None,
    prior: str = "normal",
    device: torch.device,
) -> np.ndarray:
    """Return each row's evidence lower bound in nats, float64, (n,).

    The expectation over the posterior is a cubature whose points are the same for
    every row. With all directions it is exact for a reconstruction error that is a
    cubic polynomial of the code, as under a linear decoder. One direction is cheap, and
    accurate enough to compare the steps of a fit. Bounds that overflow in the precision
    of the rows are computed in double precision.
    """
    d = network.n_components
    points = cubature_points(d, n_directions)
    size = network.block_size if n_directions else network.scored_block_size
    # The points of few rows are decoded together, which saves the time of calls.
    n_at_once = max(1, size // MIN_BLOCK) if len(rows) <= MIN_BLOCK else 1

    def bound(w: Weights, x: Tensor) -> Tensor:
        mean, log_var = network.encode(w, x)
        p = network.n_features
        parts_of_x = Observations.of(x, p).known if network.takes_missing else [x]
        nll = torch.zeros_like(mean[..., 0])
        for some in points.to(x).split(n_at_once):
            mean_of, log_var_of, *x_of = (
                t.unsqueeze(1).expand(-1, len(some), -1, -1)
                for t in (mean, log_var, *parts_of_x)
            )  # (K, points, B, .)
            z = network.draw_codes(mean_of, log_var_of, some.unsqueeze(1))
            output = network.decode(w, z.flatten(1, 2))
            parts = likelihood.nll(w, output, *(t.flatten(1, 2) for t in x_of))
            nll = nll + parts.unflatten(1, (len(some), -1)).sum(1)
        kl = PRIORS[prior].kl(mean[..., :d], log_var[..., :d]).sum(-1)
        return -(nll / len(points) + kl + network.categorical_kl).unsqueeze(-1)

    chosen = _chosen(weights, [*network.parameters, *likelihood.parameters])

    def bounds(some: np.ndarray) -> np.ndarray:
        found = map_blocks(bound, network, chosen, some, device, size=size)
        return found[:, 0].astype(np.float64)

    found = bounds(rows)
    lost = ~np.isfinite(found)
    if lost.any() and rows.dtype != np.float64 and device.type != "mps":
        found[lost] = bounds(rows[lost].astype(np.float64))
    return found


def residual_squares(
    network: Network,
    likelihood: Likelihood,
    weights: Arrays,
    rows: np.ndarray,
    *,
    device: torch.device,
) -> np.ndarray:
    """Return the expected squared residual of each value under its posterior, (n, p).

    It is NaN where a value is missing.

    Its mean over rows is the noise variance that maximises the Gaussian ELBO. The
    cubature is that of :func:`elbo`.
    """
    points = cubature_points(network.n_components)

    def squares(w: Weights, x: Tensor) -> Tensor:
        mean, log_var = network.encode(w, x)
        values, _ = split_errors(x, network.n_features)
        total = torch.zeros_like(values)  # what is added is NaN where values are
        for point in points.to(x):
            z = network.draw_codes(mean, log_var, point)
            back = likelihood.mean(w, network.decode(w, z))
            total += (values - back).square()
        return total / len(points)

    return map_blocks(squares, network, weights, rows, device)


def impute(
    network: Network,
    likelihood: Likelihood,
    weights: Arrays,
    rows: np.ndarray,
    *,
    n_draws: int | None = None,
    prior: str = "normal",
    seed: int = 0,
    device: torch.device,
) -> np.ndarray:
    r"""Return values of incomplete rows given the observed ones, (n, p) or (n, k, p).

    Codes are drawn from the posterior of a row and weighted by

    .. math:: w \propto p(x_o | z)\, p(z) / q(z | x_o)

    normalised to sum to one (Mattei & Frellsen 2019, "MIWAE"). Their standard normal
    noise is the same for every row.

    Parameters
    ----------
    rows : ndarray of shape (n, p)
        NaN where missing.
    n_draws : int or None
        Draws, k, from p(x | x_o), each by one of the codes; None returns its mean.
    prior : str
    seed : int
        Seed of the draws.

    Returns
    -------
    ndarray of shape (n, p) or (n, k, p)
        For all values, those that are observed included.
    """
    points = posterior_points(network.n_components)
    generator = torch.Generator().manual_seed(seed)

    def expect(w: Weights, x: Tensor) -> Tensor:
        b = x.shape[1]
        output, log_weight = weighted_outputs(network, likelihood, w, x, points, prior)
        shares = log_weight.softmax(1)  # (K, L, B)
        if n_draws is None:
            expected = likelihood.mean(w, output).unflatten(1, (len(points), b))
            return (shares.unsqueeze(-1) * expected).sum(1)
        chosen = torch.multinomial(
            shares[0].mT.cpu(), n_draws, replacement=True, generator=generator
        ).to(x.device)  # (B, k)
        drawn = output.unflatten(1, (len(points), b))[0][
            chosen, torch.arange(b, device=x.device)[:, None]
        ]  # (B, k, p)
        return likelihood.sample(w, drawn.flatten(0, 1)[None], generator).view(1, b, -1)

    found = map_blocks(expect, network, weights, rows, device, size=POSTERIOR_ROWS)
    return found if n_draws is None else found.reshape(len(rows), n_draws, -1)


def weighted_outputs(
    network: Network,
    likelihood: Likelihood,
    weights: Weights,
    x: Tensor,
    points: Tensor,
    prior: str,
) -> tuple[Tensor, Tensor]:
    """Return what codes of the posterior of rows are decoded to, with log-weights.

    Parameters
    ----------
    x : Tensor of shape (K, B, p)
        NaN where missing.
    points : Tensor of shape (L, d)
        Noise of the codes.

    Returns
    -------
    output : Tensor of shape (K, L * B, p)
        Of the decoder.
    log_weight : Tensor of shape (K, L, B)
        Importance weights of :func:`impute`, up to a constant for each row.
    """
    d = network.n_components
    mean, log_var = network.encode(weights, x)
    known = Observations.of(x, network.n_features).known
    noise = points.to(x).unsqueeze(1)  # (L, 1, d)
    k, b = x.shape[:2]
    mean_of, log_var_of, *known_of = (
        t.unsqueeze(1).expand(-1, len(points), -1, -1) for t in (mean, log_var, *known)
    )  # (K, L, B, .)
    z = network.draw_codes(mean_of, log_var_of, noise)
    output = network.decode(weights, z.flatten(1, 2))
    nll = likelihood.nll(weights, output, *(t.flatten(1, 2) for t in known_of))
    own = -0.5 * (noise.square() + log_var_of[..., :d]).sum(-1)  # log q + constant
    log_density = PRIORS[prior].log_density(z[..., :d])
    return output, log_density - own - nll.view(k, -1, b)


def sample(
    network: Network,
    likelihood: Likelihood,
    weights: Arrays,
    n_samples: int,
    *,
    noise: bool,
    seed: int,
    prior: str = "normal",
    precision: str = "float32",
    codes_of: Callable[[np.ndarray], np.ndarray] = np.asarray,
    device: torch.device,
) -> np.ndarray:
    """Draw codes from the prior, and rows from the likelihood, (n_samples, p).

    Normal numbers have single precision; ``precision`` is that of the computation.
    ``codes_of`` maps standard normal draws to codes of the same shape, (n_samples, d).
    """
    generator = torch.Generator().manual_seed(seed)
    d, a = network.n_components, network.n_auxiliary
    with one_thread():
        draws = torch.randn((n_samples, d + a), generator=generator, **PLAIN)
        draws[:, :d] = torch.from_numpy(codes_of(draws[:, :d].numpy()))

    def draw(w: Weights, u: Tensor) -> Tensor:
        latents, auxiliary_noise = u.split([d, a], dim=-1)
        z = PRIORS[prior].draw(latents)
        output = network.generate(w, z, auxiliary_noise, noise=noise)
        if not noise:
            return likelihood.mean(w, output)
        return likelihood.sample(w, output, generator)

    rows = draws.numpy().astype(precision, copy=False)
    return map_blocks(draw, network, weights, rows, device)


def posterior_points(n_dims: int, n_points: int = N_POSTERIOR_POINTS) -> Tensor:
    """Return standard normal points in antithetic pairs, (L, d), float64."""
    generator = torch.Generator().manual_seed(0)
    shape = n_points // 2, n_dims
    with one_thread():
        half = torch.randn(
            shape, generator=generator, dtype=torch.float64, device="cpu"
        )
    return torch.cat([half, -half])


def cubature_points(n_dims: int, n_directions: int | None = None) -> Tensor:
    r"""Return points whose mean replaces an expectation over standard normal noise.

    The spherical-radial rule of degree three: :math:`\pm\sqrt{d}\,u_i` for orthonormal
    directions :math:`u_i`, of which the first has entries of equal size.

    Parameters
    ----------
    n_dims : int
        Dimensions, d.
    n_directions : int or None
        Directions to use; None takes all d, which makes the rule exact for polynomials
        of degree three.

    Returns
    -------
    Tensor of shape (2 * n_directions, d), float64
    """
    generator = torch.Generator().manual_seed(0)
    with one_thread():
        basis = torch.randn(
            (n_dims, n_dims), generator=generator, dtype=torch.float64, device="cpu"
        )
        basis[:, 0] = basis[:, 0].sign()
        directions = torch.linalg.qr(basis)[0].T[:n_directions]
        return math.sqrt(n_dims) * torch.cat([directions, -directions])


def map_blocks(
    function: Callable[[Weights, Tensor], Tensor],
    network: Network,
    weights: Arrays,
    rows: np.ndarray,
    device: torch.device,
    *,
    size: int | None = None,
) -> np.ndarray:
    """Apply a row-wise function of (1, block, .) to all rows, block by block."""
    work = network.block_size * network.multiplications
    is_short = len(rows) <= MIN_BLOCK
    out: np.ndarray | None = None
    with undisturbed(), torch.inference_mode(), process_settings(None, work, device):
        stacked = _as_stack(weights, rows.dtype, device, copy=not is_short)
        for start, x in _blocks(rows, size or network.block_size):
            y = function(stacked, torch.from_numpy(x).to(device).unsqueeze(0))[0]
            block = y.cpu().numpy()[: len(rows) - start]
            if out is None:
                out = np.empty((len(rows), block.shape[1]), dtype=rows.dtype)
            out[start : start + len(block)] = block
    assert out is not None
    return out


def _blocks(rows: np.ndarray, size: int) -> Iterator[tuple[int, np.ndarray]]:
    """Yield the first row of each block, and the block, padded to a power of two."""
    for start in range(0, len(rows), size):
        block = rows[start : start + size]
        power = 1 << (len(block) - 1).bit_length()
        padded = min(size, max(MIN_BLOCK, power))
        yield start, np.pad(block, ((0, padded - len(block)), (0, 0)))


def _chosen(weights: Arrays, names: Iterable[str]) -> Arrays:
    """Return the weights of these names."""
    return {name: weights[name] for name in names}


def _as_stack(
    weights: Arrays, dtype: np.dtype, device: torch.device, *, copy: bool
) -> Weights:
    """Return arrays, which may be read-only, as a stack of one model.

    For few rows, copies of the weights would take most of the time. For many, they give
    sums of products the same rounding wherever the arrays lie in memory.
    """
    stacked = {}
    for name, array in weights.items():
        typed = array.astype(dtype, copy=False)
        is_usable = typed.flags.writeable and typed.flags.c_contiguous
        if copy or not is_usable:
            stacked[name] = torch.tensor(typed, device=device)[None]
        else:
            stacked[name] = torch.from_numpy(typed).to(device)[None]
    return stacked
