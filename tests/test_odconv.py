"""ODConv against its definition, image by image; the units built of it."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from irstd.errors import InputError
from irstd.inference.profiling import parameters
from irstd.layers.cross_feature import CrossFeature
from irstd.layers.odconv import ODConv2d, anneal, convolve_each, folded
from irstd.layers.shuffle import AsymmetricDynamicDown, AsymmetricDynamicUnit, DepthwiseConv2d, ShuffleUnit, shuffled


def scrambled(module):
    """With attentions and statistics that do something."""
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.5)
    for name, buffer in module.named_buffers():
        if name.endswith("running_var"):
            nn.init.uniform_(buffer, 0.5, 2.0)
    return module.eval()


def by_definition(layer, image):
    """y = a_f * sum_i a_w,i (a_s * W_i) conv (a_c * x), written out for one image (1, C, H, W)."""
    hidden = F.relu(layer.norm(layer.squeeze(image.mean((2, 3)))))[0]
    temperature = layer.temperature
    x = image * torch.sigmoid(layer.channel(hidden) / temperature)[:, None, None]
    shape = layer.shape
    taps = 1.0
    if layer.spatial is not None:
        taps = torch.sigmoid(layer.spatial(hidden) / temperature).view(shape[-2:])
    mix = torch.ones(1)
    if layer.kernel is not None:
        mix = torch.softmax(layer.kernel(hidden) / temperature, 0)
    padding = (shape[3] // 2, shape[4] // 2)
    total = sum(
        a * F.conv2d(x, w * taps, None, layer.stride, padding, 1, layer.groups)
        for a, w in zip(mix, layer.weight.view(shape), strict=True)
    )
    return total if layer.filter is None else total * torch.sigmoid(layer.filter(hidden) / temperature)[:, None, None]


SHAPES = [
    {"inputs": 6, "outputs": 4, "size": (1, 3), "kernels": 2},
    {"inputs": 6, "outputs": 8, "size": (3, 1), "kernels": 1},
    {"inputs": 6, "outputs": 9, "size": (3, 3), "kernels": 3, "groups": 3, "stride": 2},
    {"inputs": 6, "outputs": 6, "size": (3, 3), "kernels": 4, "groups": 6},
    {"inputs": 5, "outputs": 3, "size": (1, 1), "kernels": 2, "norm": "layer"},
]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("temperature", [1.0, 7.0])
def test_each_image_is_convolved_as_the_definition_says(shape, temperature):
    layer = scrambled(ODConv2d(**shape))
    layer.temperature.fill_(temperature)
    images = torch.rand(3, shape["inputs"], 9, 11)

    expected = torch.cat([by_definition(layer, image[None]) for image in images])

    torch.testing.assert_close(layer(images), expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("size", [(1, 3), (3, 1), (3, 3)])
def test_all_forms_are_one_sum(size):
    x, kernels = torch.rand(3, 5, 8, 10, requires_grad=True), torch.rand(3, 4, 5, *size, requires_grad=True)
    results = {form: convolve_each(x, kernels, form=form) for form in ("grouped", "each", "taps", "auto")}
    gradients = {form: torch.autograd.grad(y.square().sum(), (x, kernels)) for form, y in results.items()}

    for form, y in results.items():
        torch.testing.assert_close(y, results["grouped"])
        for got, expected in zip(gradients[form], gradients["grouped"], strict=True):
            torch.testing.assert_close(got, expected, atol=1e-3, rtol=1e-4)


def test_the_form_taps_refuses_what_it_cannot_do():
    with pytest.raises(ValueError, match="stride 1 and one group"):
        convolve_each(torch.rand(1, 2, 8, 8), torch.rand(1, 2, 2, 3, 3), stride=2, form="taps")


@pytest.mark.parametrize(("inputs", "outputs", "taps", "kernels"), [(36, 36, (1, 3), 2), (320, 64, (3, 3), 4)])
def test_parameters_are_those_of_the_formula(inputs, outputs, taps, kernels):
    k, a = taps[0] * taps[1], max(inputs // 16, 16)
    attention = (
        inputs * a + 2 * a + (a * inputs + inputs) + (a * outputs + outputs) + (a * k + k) + (a * kernels + kernels)
    )

    assert parameters(ODConv2d(inputs, outputs, taps, kernels=kernels)) == kernels * outputs * inputs * k + attention


def test_a_batch_of_one_is_refused_in_training_only():
    layer = ODConv2d(4, 4, (1, 3), kernels=2)

    with pytest.raises(InputError) as error:
        layer(torch.rand(1, 4, 8, 8))

    assert "cannot train on a batch of one; set the recipe's batch to 2 or more" in str(error.value)
    assert layer.eval()(torch.rand(1, 4, 8, 8)).isfinite().all()
    assert ODConv2d(4, 4, (1, 3), norm="layer")(torch.rand(1, 4, 8, 8)).isfinite().all()


def test_with_the_norm_of_the_layer_an_image_does_not_depend_on_its_batch():
    layer = scrambled(ODConv2d(4, 4, (1, 3), kernels=2, norm="layer")).train()
    images = torch.rand(3, 4, 8, 8)

    torch.testing.assert_close(layer(images)[:1], layer(images[:1]))


def test_the_temperature_falls_to_one_and_is_stored_with_the_weights():
    network = nn.Sequential(ODConv2d(4, 4, (1, 3)), nn.ReLU())
    seen = []
    for progress in (0.0, 0.5, 1.0, 2.0):
        anneal(network, progress, 31.0)
        seen.append(float(network[0].temperature))

    assert seen == [31, 16, 1, 1]
    assert "0.temperature" in network.state_dict()


@pytest.mark.parametrize("shape", [SHAPES[0], SHAPES[1], SHAPES[4]])
def test_folding_changes_nothing_but_the_number_of_operations(shape):
    layer = ODConv2d(**shape)
    network = scrambled(nn.Sequential(nn.Sequential(layer, nn.BatchNorm2d(shape["outputs"]), nn.ReLU())))
    layer.temperature.fill_(3.0)
    images = torch.rand(3, shape["inputs"], 8, 8)
    before = {name: value.clone() for name, value in network.state_dict().items()}

    fewer = folded(network)

    for form in ("grouped", "each", "taps"):
        fewer[0][0].form = form
        torch.testing.assert_close(fewer(images), network(images), atol=1e-4, rtol=1e-4)
    assert isinstance(fewer[0][1], nn.Identity)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_grouped_layers_are_left_as_they_are():
    network = nn.Sequential(ODConv2d(6, 6, (3, 3), groups=3), nn.BatchNorm2d(6))

    assert isinstance(folded(network)[0], ODConv2d)


def test_shuffling_deals_the_halves_out_in_turn_in_both_memory_formats():
    left, right = torch.rand(2, 3, 4, 5), torch.rand(2, 3, 4, 5)
    expected = torch.nn.functional.channel_shuffle(torch.cat([left, right], 1), 2)

    last = shuffled(*(t.to(memory_format=torch.channels_last) for t in (left, right)))

    assert torch.equal(shuffled(left, right), expected) and torch.equal(last, expected)
    assert last.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("unit", [ShuffleUnit(8), AsymmetricDynamicUnit(8, 2), AsymmetricDynamicDown(8, 8, 2)])
def test_units_keep_the_memory_format(unit):
    unit = unit.to(memory_format=torch.channels_last).eval()
    x = torch.rand(2, 8, 6, 6).to(memory_format=torch.channels_last)

    assert unit(x).is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("side", [8, 9])
def test_a_strided_depthwise_layer_is_one_convolution_in_bfloat16_too(side):
    layer = DepthwiseConv2d(6, stride=2)
    x = torch.randn(2, 6, side, side, requires_grad=True)
    expected = F.conv2d(x.double(), layer.weight.double(), stride=2, padding=1, groups=6)
    up = torch.randn_like(expected)
    wanted = torch.autograd.grad(expected, [x, layer.weight], up)

    with torch.autocast("cpu", torch.bfloat16):
        found = layer(x)
    grads = torch.autograd.grad(found, [x, layer.weight], up.to(found.dtype))

    assert found.dtype == torch.bfloat16 and found.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(found.double(), expected, rtol=0.02, atol=0.02)
    for one, other in zip(grads, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=0.03, atol=0.1)
    torch.testing.assert_close(layer(x), expected.float())


@pytest.mark.parametrize("unit", [ShuffleUnit(8), AsymmetricDynamicUnit(8, 2)])
def test_a_split_unit_passes_half_of_the_channels_unchanged(unit):
    x = torch.rand(2, 8, 6, 6)

    torch.testing.assert_close(unit.eval()(x)[:, ::2], x[:, :4])


def test_the_unit_of_stride_two_halves_the_sides():
    assert AsymmetricDynamicDown(6, 10, 2)(torch.rand(2, 6, 8, 12)).shape == (2, 10, 4, 6)


class TestCrossFeature:
    LEVELS = (8, 6, 4)

    def levels(self):
        return [torch.rand(2, c, 16 // 2**n, 24 // 2**n) for n, c in enumerate(self.LEVELS)]

    def test_levels_keep_their_sizes_and_every_level_hears_every_other(self):
        module, levels = scrambled(CrossFeature(self.LEVELS)), [x.requires_grad_() for x in self.levels()]

        out = module(levels)

        assert [x.shape for x in out] == [x.shape for x in levels]
        for y in out:
            assert all(g.abs().sum() > 0 for g in torch.autograd.grad(y.sum(), levels, retain_graph=True))

    def test_equal_gates_are_a_plain_sum(self):
        module = CrossFeature(self.LEVELS[:2]).eval()
        for gate in module.gates:
            nn.init.zeros_(gate[-1].weight)
            nn.init.zeros_(gate[-1].bias)
        levels = self.levels()[:2]

        fine, coarse = module(levels)

        up = F.interpolate(module.paths[0][1](levels[1]), levels[0].shape[-2:], mode="bilinear")
        torch.testing.assert_close(fine, F.relu(levels[0] + up))
        torch.testing.assert_close(coarse, F.relu(module.paths[1][0](levels[0]) + levels[1]))

    def test_only_the_finest_if_asked(self):
        assert len(CrossFeature(self.LEVELS, outputs=1)(self.levels())) == 1
