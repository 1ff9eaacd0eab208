"""Networks: shapes, declared parameters, initial values and the axis of latents."""

import numpy as np
import pytest
import torch

from skfactorvae import core
from skfactorvae.core._axes import narrow, reorder, widen
from skfactorvae.core._networks import bound_log_var

NETWORKS = {
    "mlp": core.MLP(12, 3, (8, 7), "relu", linear_path=False),
    "mlp with a linear path": core.MLP(12, 3, (8,), "tanh", linear_path=True),
    "linear": core.MLP(12, 3, (), "relu", linear_path=False),
    "conv": core.ConvNet(128, 3, (), "relu", False, (2, 8, 8)),
    "conv with a linear path": core.ConvNet(128, 3, (), "silu", True, (2, 8, 8)),
    "modules": core.Modules(
        12, 3, lambda p, d: (torch.nn.Linear(p, 2 * d), torch.nn.Linear(d, p))
    ),
}
every_network = pytest.mark.parametrize(
    "network", NETWORKS.values(), ids=NETWORKS.keys()
)


def draw_weights(network, seed=0, noise=0.0):
    generator = torch.Generator().manual_seed(seed)
    weights = network.draw(generator)
    return {
        k: v
        if k in network.fixed
        else v + noise * torch.randn(v.shape, generator=generator)
        for k, v in weights.items()
    }


def stacked(weights):
    return {k: v[None] for k, v in weights.items()}


@every_network
def test_encoding_and_decoding_have_the_documented_shapes(network):
    weights = stacked(draw_weights(network))
    x = torch.rand(1, 5, network.n_features)
    mean, log_var = network.encode(weights, x)
    assert mean.shape == log_var.shape == (1, 5, 3)
    assert network.decode(weights, mean).shape == x.shape


@every_network
def test_every_drawn_weight_is_declared_with_its_axes(network):
    drawn = draw_weights(network)
    assert drawn.keys() == network.parameters.keys()
    for name, axes in network.parameters.items():
        assert drawn[name].ndim == len(axes)
        assert all(
            size == 3
            for size, axis in zip(drawn[name].shape, axes, strict=True)
            if axis == "d"
        )
    assert network.fixed <= drawn.keys()


@every_network
def test_drawing_does_not_change_torchs_global_generator(network):
    before = torch.get_rng_state()
    draw_weights(network)
    assert torch.equal(before, torch.get_rng_state())


@every_network
def test_the_same_generator_draws_the_same_weights(network):
    for name, weight in draw_weights(network, 3).items():
        assert torch.equal(weight, draw_weights(network, 3)[name])


@every_network
def test_reordered_weights_permute_and_negate_the_codes_exactly(network):
    weights = {k: v.double() for k, v in draw_weights(network, noise=0.3).items()}
    order, sign = torch.tensor([2, 0, 1]), torch.tensor([1.0, -1.0, -1.0]).double()
    axes = network.parameters
    changed = {
        k: torch.from_numpy(reorder(axes[k], v.numpy(), order.numpy(), sign.numpy()))
        for k, v in weights.items()
    }
    x = torch.rand(1, 5, network.n_features).double()
    mean, log_var = network.encode(stacked(weights), x)
    new_mean, new_log_var = network.encode(stacked(changed), x)
    torch.testing.assert_close(new_mean, mean[..., order] * sign)
    torch.testing.assert_close(new_log_var, log_var[..., order])
    torch.testing.assert_close(
        network.decode(stacked(changed), new_mean),
        network.decode(stacked(weights), mean),
    )


@pytest.mark.parametrize("name", [n for n in NETWORKS if n != "modules"])
def test_a_widened_network_is_the_same_function(name):
    network = NETWORKS[name]
    wide = type(network)(**{**vars_of(network), "n_components": 5})
    weights = {k: v.double() for k, v in draw_weights(network, noise=0.3).items()}
    axes = network.parameters
    padded = {k: widen(axes[k], v, 5) for k, v in weights.items()}
    x = torch.rand(1, 4, network.n_features).double()
    mean, _ = network.encode(stacked(weights), x)
    wide_mean, _ = wide.encode(stacked(padded), x)
    torch.testing.assert_close(wide_mean[..., :3], mean)
    assert not wide_mean[..., 3:].any()
    torch.testing.assert_close(
        wide.decode(stacked(padded), wide_mean), network.decode(stacked(weights), mean)
    )
    for key, value in padded.items():
        assert torch.equal(narrow(axes[key], value, 3), weights[key])


def vars_of(network):
    return {f: getattr(network, f) for f in network.__dataclass_fields__}


@pytest.mark.parametrize(
    "shape", [(1, 8, 8), (3, 64, 64), (1, 28, 28), (2, 9, 31), (1, 5, 2), (1, 16, 48)]
)
def test_convolutions_restore_every_image_shape(shape):
    network = core.ConvNet(int(np.prod(shape)), 4, (), "relu", False, shape)
    weights = stacked(draw_weights(network))
    x = torch.rand(1, 2, network.n_features)
    mean, _ = network.encode(weights, x)
    assert network.decode(weights, mean).shape == x.shape


def test_at_64_pixels_the_convolutions_are_those_of_the_paper():
    """Kim & Mnih (2018), Appendix A: 32, 32, 64, 64 channels, 128, and 1024."""
    network = core.ConvNet(64 * 64, 10, (), "relu", False, (1, 64, 64))
    shapes = {k: tuple(v.shape) for k, v in draw_weights(network).items()}
    assert [shapes[f"encoder.conv.{i}.weight"][0] for i in range(4)] == [32, 32, 64, 64]
    assert shapes["encoder.0.weight"] == (1024, 128)
    assert shapes["decoder.0.weight"] == (10, 128)
    assert shapes["decoder.1.weight"] == (128, 1024)
    assert [shapes[f"decoder.conv.{i}.weight"][1] for i in (3, 2, 1, 0)] == [
        64,
        32,
        32,
        1,
    ]


def test_training_starts_at_the_model_of_the_linear_path():
    network = NETWORKS["mlp with a linear path"]
    weights = draw_weights(network)
    rng = torch.Generator().manual_seed(0)
    a, b = torch.randn((12, 3), generator=rng), torch.randn((3, 12), generator=rng)
    start = network.linear_start(a.numpy(), b.numpy())
    weights |= {name: torch.from_numpy(array) for name, array in start.items()}
    x = torch.rand(1, 5, 12)
    mean, _ = network.encode(stacked(weights), x)
    torch.testing.assert_close(mean, x @ a)
    torch.testing.assert_close(network.decode(stacked(weights), mean), mean @ b)


def test_the_log_variance_is_bounded_and_initially_minus_two():
    raw = torch.linspace(-1e6, 1e6, 101, requires_grad=True)
    bounded = bound_log_var(raw)
    assert bounded.min() >= -10
    assert bounded.max() <= 4
    assert torch.isfinite(torch.autograd.grad(bounded.sum(), raw)[0]).all()
    network = NETWORKS["mlp"]
    _, log_var = network.encode(stacked(draw_weights(network)), torch.rand(1, 4, 12))
    torch.testing.assert_close(log_var, torch.full_like(log_var, -2.0))


class TestLearningRateMultipliers:
    """Weights that multiply many features have a smaller learning rate."""

    def multipliers(self, network):
        every = {name: network.lr_multiplier(name) for name in draw_weights(network)}
        return {name: value for name, value in every.items() if value != 1}

    @every_network
    def test_the_default_is_one_for_every_weight(self, network):
        assert not self.multipliers(network)

    @pytest.mark.parametrize(
        ("sizes", "slow"),
        [((8, 7), "encoder.0.weight"), ((), "encoder.head.weight")],
    )
    def test_it_is_inversely_proportional_to_the_number_of_features(self, sizes, slow):
        network = core.MLP(
            2400, 3, sizes, "silu", linear_path=True, scale_input_lr=True
        )
        expected = {slow: 0.25, "encoder.linear.weight": 0.25}
        assert self.multipliers(network) == expected
        assert self.multipliers(core.PointPosterior(network)) == expected

    @pytest.mark.parametrize("n_features", [60, 600])
    def test_it_is_one_for_up_to_600_features(self, n_features):
        sizes = n_features, 3, (8,)
        network = core.MLP(*sizes, "silu", linear_path=True, scale_input_lr=True)
        assert not self.multipliers(network)


class TestModulesOfTheUser:
    def test_batch_normalisation_is_refused(self):
        def build(p, d):
            encoder = torch.nn.Sequential(
                torch.nn.BatchNorm1d(p), torch.nn.Linear(p, 2 * d)
            )
            return encoder, torch.nn.Linear(d, p)

        with pytest.raises(ValueError, match=r"keeps buffers.*LayerNorm"):
            core.Modules(4, 2, build).draw(torch.Generator())

    def test_a_wrong_width_is_named(self):
        network = core.Modules(
            4, 2, lambda p, d: (torch.nn.Linear(p, d), torch.nn.Linear(d, p))
        )
        weights = stacked(draw_weights(network))
        with pytest.raises(ValueError, match=r"expected \(5, 4\)"):
            network.encode(weights, torch.rand(1, 5, 4))
