"""The contract that every method keeps, written once for all of them; and GGL-Net's own figures."""

import pytest
import torch

from irstd import methods
from irstd.errors import InputError
from irstd.inference.profiling import gmac, parameters
from irstd.methods import Labels, Step
from tests.conftest import EXTRAS, needs

START = Step(0, 10, 0)


@pytest.fixture(params=methods.available())
def method(request):
    if request.param in EXTRAS:
        needs(EXTRAS[request.param])
    return methods.get(request.param)


@pytest.fixture
def network(method):
    torch.manual_seed(0)
    return method.build(method.options())


def labels(method, mask):
    points = torch.full((len(mask), 3, 2), torch.nan)
    for number, one in enumerate(mask):
        if one.any():
            points[number, 0] = one[0].nonzero().float().mean(0)
    return Labels(mask if method.supervision == "mask" else None, points)


def side_of(method):
    return max(2 * method.multiple, 48)


def scene(side, count=2):
    mask = torch.zeros(count, 1, side, side)
    mask[0, :, 10:13, 20:23] = 1
    return (0.2 + 0.6 * mask), mask


def test_a_method_says_what_it_is(method):
    assert method.title and method.paper
    assert method.supervision in ("mask", "point")
    assert method.build.__doc__ or method.build.__init__.__doc__


def test_a_prediction_covers_the_image(method, network):
    side = side_of(method)

    with torch.no_grad():
        prediction = method.decode(network.eval()(torch.rand(2, 1, side, side)), method.options())

    assert prediction.score is not None or prediction.points is not None
    if prediction.score is not None:
        assert (2, 1, side, side) == tuple(prediction.score.shape)
        assert 0 <= prediction.score.min() <= prediction.score.max() <= 1


def test_the_loss_reaches_every_parameter_with_finite_gradients(method, network):
    image, mask = scene(side_of(method))

    loss = method.loss(network(image), method.targets(labels(method, mask)), START, method.options())

    assert tuple(loss.shape) == (2,)
    if not parameters(network):
        return  # a classical detector has nothing to reach
    loss.mean().backward()
    learnt = [(n, p) for n, p in network.named_parameters() if p.requires_grad]
    without = [n for n, p in learnt if p.grad is None or not p.grad.isfinite().all()]
    assert without == []


def test_the_loss_is_finite_without_any_target(method, network):
    image = torch.rand(2, 1, side_of(method), side_of(method))

    loss = method.loss(network(image), method.targets(labels(method, torch.zeros_like(image))), START, method.options())

    assert loss.isfinite().all()


def test_a_seed_fixes_the_weights(method):
    states = []
    for _ in range(2):
        torch.manual_seed(5)
        states.append(method.build(method.options()).state_dict())

    assert all(torch.equal(a, b) for a, b in zip(states[0].values(), states[1].values(), strict=True))


def test_one_scene_can_be_learnt(method, network):
    if method.title in ("RetinaNet", "YOLOv8n"):
        pytest.skip("tests/test_detectors.py asks more of them, for longer")
    if not parameters(network):
        return  # tests/test_baselines.py asks what classical detectors find as they are
    image, mask = scene(side_of(method))
    optimiser = torch.optim.AdamW(network.parameters(), 2e-3)
    losses: list[float] = []
    for step in range(120):  # a narrow network needs some; most end after a few
        loss = method.loss(
            network(image), method.targets(labels(method, mask)), Step(0, 1, step), method.options()
        ).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
        if losses[-1] < 0.8 * losses[0]:
            return

    pytest.fail(f"120 steps on one scene lower the loss from {losses[0]:.3g} to {min(losses):.3g} only")


def test_an_unknown_method_is_refused_with_a_suggestion():
    with pytest.raises(InputError) as error:
        methods.get("ggl_ney")

    assert str(error.value) == "there is no method 'ggl_ney'; did you mean 'ggl_net'?"


class TestGGLNet:
    BY_MODULE = {  # of the authors' network, module by module
        "stages.0": 2_832 + 4_704 + 2 * 4_832 + 10_096,
        "stages.1": 18_720 + 2 * 19_136 + 39_136,
        "stages.2": 74_304 + 2 * 76_160 + 154_048,
        "stages.3": 296_064 + 2 * 303_872 + 611_200,
        "stages.4": 1_181_952 + 2 * 1_213_952 + 2_434_816,
        "lateral": 2_592 + 10_304 + 41_088 + 164_096 + 655_872,
        "fusions": 37_347 + 9_507 + 2_499 + 723,
        "head": 289,
    }

    @pytest.fixture
    def ggl(self):
        method = methods.get("ggl_net")
        return method.build(method.options())

    def test_parameters_are_those_of_the_authors_module_by_module(self, ggl):
        assert {name: parameters(ggl.get_submodule(name)) for name in self.BY_MODULE} == self.BY_MODULE
        assert parameters(ggl) == 8_988_093

    def test_multiply_adds_at_256_are_those_of_its_convolutions(self, ggl):
        assert pytest.approx(gmac(ggl), abs=0.001) == 9.693  # 9.689 of convolutions, the rest linear

    def test_stages_halve_and_double(self, ggl):
        shapes = []
        hooks = [s.register_forward_hook(lambda _m, _i, out: shapes.append(tuple(out.shape[1:]))) for s in ggl.stages]
        ggl.eval()(torch.rand(1, 1, 64, 64))
        for hook in hooks:
            hook.remove()

        assert shapes == [(16, 64, 64), (32, 32, 32), (64, 16, 16), (128, 8, 8), (256, 4, 4)]

    @pytest.mark.parametrize(
        ("options", "smaller"),
        [
            ({"gradient": "none"}, True),
            ({"squeeze": False}, True),
            ({"fusion": "add"}, True),
            ({"gradient": "sobel"}, False),
        ],
    )
    def test_ablations_are_options(self, options, smaller):
        method = methods.get("ggl_net")
        network = method.build(method.options(width=8, **options))

        assert (parameters(network) < parameters(method.build(method.options(width=8)))) == smaller
        assert tuple(network.eval()(torch.rand(1, 1, 32, 32)).shape) == (1, 1, 32, 32)


class TestPointRegression:
    BUDGET = {  # parameters, module by module
        "stem": 10_688,
        "stage1": 25_398,
        "down1": 14_874,
        "stage2.0": 22_266,
        "stage2.1": 10_890,
        "fuse1": 9_916,
        "down2": 7_562,
        "stage3.0": 25_398,
        "stage3.1": 12_402,
        "stage3.2": 6_298,
        "fuse2": 27_185,
        "stage4.0": 22_266,
        "stage4.1": 10_890,
        "stage4.2": 5_546,
        "fuse3": 7_299,
        "head": 20_800,
        "outputs": 132,
    }

    @pytest.fixture
    def point(self):
        return methods.get("point_regression")

    def test_parameters_module_by_module(self, point):
        network = point.build(point.options())

        assert {name: parameters(network.get_submodule(name)) for name in self.BUDGET} == self.BUDGET
        assert parameters(network) == sum(self.BUDGET.values()) == 239_810

    @pytest.mark.parametrize(("side", "expected"), [(256, 1.5293), (512, 6.117)])
    def test_multiply_adds(self, point, side, expected):
        assert pytest.approx(gmac(point.build(point.options()), side), abs=0.001) == expected

    def test_the_budget_is_the_papers(self, point):
        network = point.build(point.options())

        assert round(parameters(network) / 1e6, 2) == 0.24 and round(gmac(network), 2) == 1.53

    def test_the_head_starts_with_nearly_everything_background(self, point):
        torch.manual_seed(0)
        heat = point.build(point.options()).eval()(torch.rand(1, 1, 64, 64))[:, 0].sigmoid()

        assert 0.005 < float(heat.detach().mean()) < 0.02

    @pytest.mark.parametrize(
        "options",
        [{"attention_norm": "batch"}, {"standardise": False}, {"loss": "mse"}, {"kernels": 1}, {"enlarge": 2}],
    )
    def test_ablations_are_options(self, point, options):
        chosen = point.options(widths=(16, 8, 8), **options)
        maps = point.build(chosen)(torch.rand(2, 1, 32, 32))

        assert point.loss(maps, torch.tensor([[[9.0, 9.0, torch.nan]]] * 2), START, chosen).isfinite().all()

    @pytest.mark.parametrize("enlarge", [1, 2])
    def test_a_perfect_map_decodes_to_the_points_it_was_made_of(self, point, enlarge):
        options = point.options(widths=(16, 8, 8), enlarge=enlarge)
        maps = point.build(options)(torch.rand(1, 1, 32, 32))
        assert tuple(maps.shape) == (1, 4, 16 * enlarge, 16 * enlarge)
        truth = torch.tensor([[[9.2, 20.7, torch.nan]]])
        stride = 2 / enlarge
        cell = (truth[0, 0, :2] + 0.5) / stride - 0.5
        perfect = torch.zeros_like(maps)
        perfect[:, 0] = -8
        row, col = cell.round().long()
        perfect[0, 0, row, col] = 8
        perfect[0, 1:3] = (cell - cell.round())[:, None, None]

        (found,) = point.decode(perfect, options).points

        torch.testing.assert_close(truth[0, :, :2], found[:, :2])

    @pytest.mark.parametrize("standardise", [True, False])
    def test_brightness_and_contrast_of_a_scene_change_little_if_it_is_standardised(self, point, standardise):
        torch.manual_seed(0)
        network = point.build(point.options(widths=(16, 8, 8), standardise=standardise)).eval()
        seen, image = [], torch.rand(1, 1, 64, 64)
        network.stem.register_forward_hook(lambda _module, _given, features: seen.append(features.detach()))
        for change in (image, 0.5 * image + 0.4):
            network(change)

        changed = float((seen[0] - seen[1]).abs().mean() / seen[0].abs().mean())
        assert changed < 0.1 if standardise else changed > 0.2

    def test_masks_tell_the_variant_each_targets_area(self):
        mask = torch.zeros(1, 1, 32, 32)
        mask[..., 4:7, 4:6] = 1
        mask[..., 20:24, 20:25] = 1
        points = torch.tensor([[[5.0, 4.5], [21.5, 22.0], [torch.nan, torch.nan]]])

        told = methods.get("point_regression_mask").targets(Labels(mask, points))

        assert told[0, :2, 2].tolist() == [6, 20] and told[0, 2].isnan().all()
        assert methods.get("point_regression").targets(Labels(None, points))[..., 2].isnan().all()
