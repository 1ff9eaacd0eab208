"""Random draws, with streams of each model's own, and the choice of a device."""

import numpy as np
import pytest
import torch

from skfactorvae.core._devices import resolve_device
from skfactorvae.core._sampling import CHUNK, Streams, draw_steps


def steps(seeds, widths, n_steps, batch_size=6, n_rows=50, **counts):
    cdf = torch.arange(1, n_rows + 1, dtype=torch.float64) / n_rows
    draws = draw_steps(
        [Streams.from_seed(s) for s in seeds],
        [cdf] * len(seeds),
        [n_rows * k for k in range(len(seeds))],
        widths,
        batch_size,
        **counts,
        device=torch.device("cpu"),
        dtype=torch.float32,
    )
    return [next(draws) for _ in range(n_steps)]


def test_a_models_draws_do_not_depend_on_its_stack():
    together = steps([7, 8, 9], [2, 4, 3], 2 * CHUNK + 1)
    for k, (seed, width) in enumerate(zip([7, 8, 9], [2, 4, 3], strict=True)):
        alone = steps([seed], [width], 2 * CHUNK + 1)
        for a, t in zip(alone, together, strict=True):
            assert torch.equal(a.rows[0], t.rows[k] - 50 * k)
            assert torch.equal(a.noise[0], t.noise[k, ..., :width])
            assert torch.equal(a.order[0], t.order[k, ..., :width])


def test_input_noise_does_not_change_other_draws():
    plain, noisy = (
        steps([3], [2], CHUNK + 1),
        steps([3], [2], CHUNK + 1, n_noisy_features=5),
    )
    for a, b in zip(plain, noisy, strict=True):
        for name in ("rows", "noise", "auxiliary_noise", "order"):
            assert torch.equal(getattr(a, name), getattr(b, name))
    assert plain[0].input_noise.shape == (1, 2, 6, 0)
    assert not torch.equal(noisy[0].input_noise, noisy[1].input_noise)


def test_a_models_input_noise_does_not_depend_on_its_stack():
    together = steps([7, 8], [2, 4], CHUNK + 1, n_noisy_features=5)
    for k, seed in enumerate([7, 8]):
        alone = steps([seed], [2], CHUNK + 1, n_noisy_features=5)
        for a, t in zip(alone, together, strict=True):
            assert torch.equal(a.input_noise[0], t.input_noise[k])
    noise = torch.cat([draws.input_noise.flatten() for draws in together])
    assert abs(noise.std() - 1) < 0.05  # of 3960 numbers


def test_padded_latents_have_no_noise():
    (draws,) = steps([0, 1], [2, 4], 1)
    assert not draws.noise[0, ..., 2:].any()


def test_orders_are_permutations_of_the_batch():
    (draws,) = steps([0], [3], 1)
    expected = torch.arange(6)[None, :, None].expand(1, 6, 3)
    assert torch.equal(draws.order.sort(1).values, expected)


def test_noise_is_standard_normal_and_rows_are_uniform():
    drawn = steps([0], [4], 300, batch_size=20)
    noise = torch.cat([d.noise.flatten() for d in drawn])
    assert abs(noise.mean()) < 0.02
    assert abs(noise.std() - 1) < 0.02
    counts = np.bincount(torch.cat([d.rows.flatten() for d in drawn]), minlength=50)
    assert counts.min() > 180  # 240 on average
    assert counts.max() < 300


def test_streams_of_different_seeds_differ_and_of_one_seed_agree():
    one, same, other = (Streams.from_seed(s).rows for s in (1, 1, 2))
    draw = torch.rand(4, generator=one)
    assert torch.equal(draw, torch.rand(4, generator=same))
    assert not torch.equal(draw, torch.rand(4, generator=other))


def test_a_missing_device_is_refused_or_replaced(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match="finds no such device"):
        resolve_device("cuda")
    assert resolve_device("cuda", fall_back=True) == torch.device("cpu")
    with pytest.raises(ValueError, match="not a device name"):
        resolve_device("a toaster")


def test_auto_prefers_cuda_to_mps_to_the_cpu(monkeypatch):
    for cuda, mps, best in [(1, 1, "cuda"), (0, 1, "mps"), (0, 0, "cpu")]:
        monkeypatch.setattr(torch.cuda, "is_available", lambda cuda=cuda: bool(cuda))
        monkeypatch.setattr(
            torch.backends.mps, "is_available", lambda mps=mps: bool(mps)
        )
        assert resolve_device("auto").type == best
