"""The latent 2.5D heatmap network, its read-out, and its multiply-adds."""

import math

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from handssl.errors import InputError
from handssl.models import (
    EncoderConfig,
    HeadConfig,
    HeatmapHead,
    HeatmapNetwork,
    SoftArgmaxProjection,
    build_encoder,
    initialise,
    projection_head,
)
from handssl.models.latent_maps import heatmaps, soft_argmax
from handssl.models.multiply_adds import equal_resnet, multiply_adds

SHAPE = (42, 3, 4)


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


def head_with_weights(dtype=torch.float64):
    """A head whose parameters are all away from their start, and maps."""
    torch.manual_seed(2)
    head = HeatmapHead(SHAPE).to(dtype)
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.normal_(0.0, 0.3)
    return head, torch.randn(2, math.prod(SHAPE), dtype=dtype)


def naive_pose(head, maps):
    """One hand's pose by loops over joints, pixels and maps, maps as (42, h, w)."""
    rows, columns = len(maps[0]), len(maps[0][0])
    change, offset, log_beta = (p.tolist() for p in (head.change, head.offset, head.log_beta))

    def mixed(output, i, j):
        own = maps[output][i][j] + sum(
            a * m[i][j] for a, m in zip(change[output], maps, strict=True)
        )
        return own + offset[output]

    uv, depth = [], []
    for joint in range(21):
        beta = 10.0 * math.exp(log_beta[joint])
        weights = {
            (i, j): math.exp(beta * mixed(joint, i, j)) for i in range(rows) for j in range(columns)
        }
        total = sum(weights.values())
        u = sum(w * ((j + 0.5) / columns - 0.5) for (i, j), w in weights.items()) / total
        v = sum(w * ((i + 0.5) / rows - 0.5) for (i, j), w in weights.items()) / total
        uv.append([u, v])
        depth.append(sum(w * mixed(21 + joint, *p) for p, w in weights.items()) / total)
    return uv, [d - depth[0] for d in depth]


def test_keypoints_and_depths_equal_naive_loops():
    head, features = head_with_weights()
    with torch.no_grad():
        uv, z = head(features)
    for n, maps in enumerate(features.reshape(2, *SHAPE).tolist()):
        naive_uv, naive_z = naive_pose(head, maps)
        torch.testing.assert_close(uv[n], torch.tensor(naive_uv, dtype=torch.float64))
        torch.testing.assert_close(z[n], torch.tensor(naive_z, dtype=torch.float64))


def test_the_wrist_has_depth_zero_whatever_the_maps():
    head, features = head_with_weights()
    assert bool((head(features)[1][:, 0] == 0).all())


def test_a_new_head_reads_latent_maps_as_the_reference_does():
    torch.manual_seed(0)
    maps = torch.randn(2, *SHAPE)
    uv, z = HeatmapHead(SHAPE)(maps.flatten(1))
    heat = (10.0 * maps[:, :21]).flatten(2).softmax(-1).reshape(2, 21, 3, 4)
    depth = (heat * maps[:, 21:]).flatten(2).sum(-1)
    torch.testing.assert_close(z, depth - depth[:, :1])
    torch.testing.assert_close(uv, soft_argmax(heat))


@pytest.mark.parametrize(("down", "right"), [(0, 1), (3, 0), (-2, 4)])
def test_a_peak_that_moves_by_pixels_moves_the_keypoint_by_as_much(down, right):
    side, beta = 32, torch.full((1,), 10.0)
    y, x = torch.meshgrid(*(torch.arange(float(side)),) * 2, indexing="ij")

    def keypoint(row, column):
        blob = -((y - row) ** 2 + (x - column) ** 2) / 50.0
        return soft_argmax(heatmaps(blob[None, None], beta))[0, 0] * side

    moved = keypoint(14 + down, 15 + right) - keypoint(14, 15)
    torch.testing.assert_close(moved, torch.tensor([float(right), float(down)]), atol=1e-4, rtol=0)


def test_a_single_pixel_lies_at_its_own_centre():
    peak = torch.zeros(1, 1, 4, 8)
    peak[0, 0, 0, 7] = 1.0
    assert soft_argmax(peak).flatten().tolist() == pytest.approx([7.5 / 8 - 0.5, 0.5 / 4 - 0.5])


@pytest.mark.parametrize(("channels", "stages"), [(8, 1), (16, 2), (24, 3)])
def test_the_number_of_parameters_is_that_of_the_formula(channels, stages):
    c, s = channels, stages
    formula = 149 * c + s * (198 * c**2 + 78 * c + 42) + (s - 1) * (c**2 + 44 * c)
    assert count(HeatmapNetwork(channels, stages=stages, input_px=32)) == formula


def test_the_reference_has_thirteen_million_parameters_in_one_stage_of_256_channels():
    with torch.device("meta"):
        network = HeatmapNetwork(256)
    assert count(network) == pytest.approx(13.0e6, rel=0.01)


def test_heads_have_the_parameters_of_their_formulas():
    assert count(HeatmapHead((50, 4, 4))) == 42 * 50 + 63
    m, h, p = 42, 12, 6
    assert count(SoftArgmaxProjection((m, 4, 4), h, 2 * p)) == 9 * m * h + 2 * h + 9 * h * p + p
    maps = (42, 32, 32)
    with torch.device("meta"):
        projection = projection_head(math.prod(maps), HeadConfig(), maps)
    assert projection[0].weight.numel() == 88_080_384


@pytest.mark.parametrize(("px", "stride"), [(32, 4), (48, 2), (33, 1), (64, 2)])
def test_maps_of_every_size_have_a_side_of_the_input_over_the_stride(px, stride):
    network = HeatmapNetwork(8, stages=2, map_stride=stride, input_px=px)
    side = math.ceil(px / stride)
    assert network.map_shape == (42, side, side)
    images = torch.rand(2, 3, px, px)
    assert network(images).shape == (2, network.dim)
    assert network(images, all_stages=True).shape == (2, 2 * network.dim)


def test_the_features_are_the_maps_of_the_last_stage():
    network = HeatmapNetwork(8, stages=2, map_stride=4, input_px=32).eval()
    images = torch.rand(2, 3, 32, 32)
    both = network(images, all_stages=True)
    assert torch.equal(network(images), both[:, network.dim :])


@pytest.mark.parametrize("stages", [1, 2])
def test_the_gradient_reaches_every_parameter_of_network_and_heads(stages):
    network = HeatmapNetwork(8, stages=stages, map_stride=2, input_px=32)
    heads = torch.nn.ModuleList(HeatmapHead(network.map_shape) for _ in range(stages))
    initialise(network, seed=1)
    parts = network(torch.rand(4, 3, 32, 32), all_stages=True).chunk(stages, 1)
    poses = [head(part) for head, part in zip(heads, parts, strict=True)]
    sum((uv - 0.1).abs().sum() + (z - 0.3).abs().sum() for uv, z in poses).backward()
    for name, parameter in (*network.named_parameters(), *heads.named_parameters()):
        assert bool(parameter.grad.abs().sum() > 0), name


def test_points_of_the_soft_argmax_projection_lie_within_the_view():
    torch.manual_seed(1)
    head = projection_head(0, HeadConfig(projection="soft_argmax", projection_out=6), (42, 8, 8))
    z = head(100 * torch.randn(5, 42 * 64))
    assert z.shape == (5, 6)
    assert 0.3 < float(z.detach().abs().max()) <= 1.0


@pytest.mark.parametrize(
    "config",
    [EncoderConfig(width=8), EncoderConfig(name="heatmap", width=8, stages=2, input_px=64)],
)
def test_multiply_adds_are_half_the_operations_that_torch_counts(config):
    encoder = build_encoder(config)
    with FlopCounterMode(display=False) as counter:
        encoder.eval()(torch.zeros(1, 3, config.input_px, config.input_px))
    assert 2 * multiply_adds(encoder, config.input_px) == counter.get_total_flops()


def test_the_regressor_of_equal_multiply_adds_is_the_nearest_resnet():
    heat = EncoderConfig(name="heatmap", width=16, map_stride=2, input_px=64)
    found = equal_resnet(heat)
    aim = multiply_adds(build_encoder(heat), 64)

    def off(width):
        there = multiply_adds(build_encoder(EncoderConfig(width=width)), 64)
        return abs(math.log(there / aim))

    assert found.input_px == 64
    assert off(found.width) < min(off(found.width - 8), off(found.width + 8))


def test_mistakes_say_what_was_expected():
    with pytest.raises(InputError, match="'resnet18' does not read stages"):
        EncoderConfig.parse({"stages": 2})
    with pytest.raises(InputError, match=r"resnet18, heatmap or package\.module"):
        EncoderConfig.parse({"name": "hourglass"})
    with pytest.raises(InputError, match="needs an encoder of maps"):
        projection_head(64, HeadConfig(projection="soft_argmax"))
    with pytest.raises(InputError, match="expected an even size, got 5"):
        SoftArgmaxProjection(SHAPE, 8, 5)
    with pytest.raises(InputError, match="at least 42 maps, got 21"):
        HeatmapHead((21, 4, 4))
