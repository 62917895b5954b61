"""What a training computes, pinned by numbers: networks, losses, slopes, rates and augmentation.

Other tests ask for properties; these ask for values, so that no change of a formula goes unseen. Where a value can be
worked out by hand it is. The others were printed by these tests at a state in which tests/test_parity.py found
the networks equal to their authors'. If one changes on purpose, put in what the failed test prints, and say why in the
commit.
"""

import numpy as np
import pytest
import torch
from scipy.stats import kstest
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits as bce

from irstd import methods
from irstd.config import params
from irstd.data.augment import Augmentation
from irstd.methods import Labels, Method, Prediction, Step
from irstd.training import loop, steps
from tests.weights import fill, image

NAN = float("nan")


def close(expected, rel=1e-4):
    """Equal as far as processors agree: they differ by far less, in float64 and in the losses' sums in float32."""
    return pytest.approx(expected, rel=rel, abs=1e-7)


class TestNetworks:
    """Weights of `tests.weights`; two images of 32 x 32 px, the first with two targets, the second with none."""

    IMAGES = torch.cat([image(32, 32), image(32, 32).flip(3) ** 2])
    MASK = torch.zeros(2, 1, 32, 32, dtype=torch.float64)
    MASK[0, 0, 8:11, 9:12] = MASK[0, 0, 20:22, 20:22] = 1
    POINTS = torch.tensor([[[9.0, 10.0], [20.5, 20.5]], [[NAN, NAN], [NAN, NAN]]], dtype=torch.float64)
    # Per case: of the maps' values in inference, and in training, their sum, their norm, and their sum weighted by a
    # ramp from 0 to 1, which depends on the order; then the norm of the loss's slopes, in training.
    FORWARD = [
        ("ggl_net", {}, [1315.112, 115.592, 305.7764], [1580.298, 41.99297, 782.5225], 0.0111348),
        ("gaussian_pinwheel", {}, [-178207.2, 5092.104, -110836.4], [-2.747612, 62.55906, 233.6488], 0.3965016),
        (
            "gaussian_pinwheel",
            {"attention": "plain"},
            [-73658.43, 1807.584, -42519.24],
            [315.1441, 55.09162, 187.8983],
            0.2695371,
        ),
        ("point_regression", {}, [1482.547, 112.221, 1151.033], [476.5749, 45.56684, 389.2522], 8899.253),
        ("point_regression", {"enlarge": 2}, [4503.986, 186.4153, 3631.262], [1918.204, 92.31078, 1664.08], 7611.298),
    ]

    @staticmethod
    def sums(maps):
        flat = torch.cat([m.detach().flatten() for m in (maps if isinstance(maps, tuple) else (maps,))])
        return [float(v) for v in (flat.sum(), flat.norm(), flat @ torch.linspace(0, 1, len(flat), dtype=flat.dtype))]

    @pytest.mark.parametrize(("name", "options", "inference", "training", "slopes"), FORWARD)
    def test_forward_pass_and_slopes(self, name, options, inference, training, slopes):
        method = methods.get(name)
        options = method.options(**options)
        network = method.build(options).double()
        fill(network)

        in_use = self.sums(network.eval()(self.IMAGES))
        maps = network.train()(self.IMAGES)
        # A tenth of the maps, so that no sigmoid is near its end.
        scaled = tuple(m / 10 for m in maps) if isinstance(maps, tuple) else maps / 10
        targets = method.targets(Labels(self.MASK, self.POINTS))
        method.loss(scaled, targets, Step(9, 10, 0), options).mean().backward()
        norm = float(torch.stack([p.grad.norm() for p in network.parameters()]).norm())

        assert in_use == close(inference)
        assert self.sums(maps) == close(training)
        assert norm == close(slopes)

    # Per case: the losses of the two images.
    LOSSES = [
        ("ggl_net", {}, [0.85441172, 0.97621804]),
        ("ggl_net", {"empty": "area"}, [0.85441172, 0.62149143]),
        ("ggl_net", {"empty": "bce"}, [0.85441172, 0.041283548]),
        ("ggl_net", {"empty": "batch"}, [0.90904886, 0.90904886]),
        ("ggl_net", {"loss": "edge_hard_bce"}, [0.14217851, 0.060173709]),
        ("gaussian_pinwheel", {}, [0.95356339, 0.041380305]),
        ("gaussian_pinwheel", {"empty": "area"}, [0.95356339, 0.33254427]),
        ("gaussian_pinwheel", {"empty": "bce"}, [0.95356339, 0.042666115]),
        ("gaussian_pinwheel", {"empty": "batch"}, [1.0155962, 0.90927297]),
        ("gaussian_pinwheel", {"centroid": "pixels"}, [1.4426048, 0.041380305]),
        ("gaussian_pinwheel", {"loss": "variance"}, [0.91600513, 0.041380305]),
        ("gaussian_pinwheel", {"loss": "mobius"}, [0.9408595, 0.041380305]),
        ("gaussian_pinwheel", {"loss": "linear"}, [0.99455661, 0.041380305]),
        ("gaussian_pinwheel", {"loss": "quadratic"}, [1.0043402, 0.041380305]),
        ("gaussian_pinwheel", {"loss": "ratio"}, [0.97733277, 0.041380305]),
        ("gaussian_pinwheel", {"loss": "log_ratio"}, [1.0054474, 0.041380305]),
        ("gaussian_pinwheel", {"loss": "sd"}, [1.2676847, 0.041380305]),
        ("gaussian_pinwheel", {"loss": "soft_iou"}, [0.70980442, 0.80128729]),
        ("point_regression", {}, [1.6392761, 0.044545326]),
        ("point_regression", {"loss": "mse"}, [18.274994, 0.58353145]),
        ("point_regression", {"sigma": 1.5}, [1.6254694, 0.044545326]),
        ("point_regression", {"enlarge": 2}, [2.0663189, 0.17890667]),
    ]

    @pytest.mark.parametrize(("name", "options", "losses"), LOSSES)
    def test_losses(self, name, options, losses):
        """Of maps that are the same for all options: higher on targets, and noisy."""
        method = methods.get(name)
        options = method.options(**options)
        targets = method.targets(Labels(self.MASK, self.POINTS))

        assert method.loss(self.maps(name, options), targets, Step(9, 10, 0), options).tolist() == close(losses)

    def maps(self, name, options):
        def logits(side):
            seen = nn.functional.max_pool2d(self.MASK, 32 // side)
            return 4 * seen + 2 * nn.functional.interpolate(self.IMAGES, (side, side)) - 4

        if name == "gaussian_pinwheel":
            return tuple(logits(side) for side in (32, 32, 16, 8, 4))
        if name == "ggl_net":
            return logits(32)
        return torch.cat([logits(16 * options.enlarge), *[logits(16 * options.enlarge) / k for k in (8, 9, 10)]], 1)

    def test_losses_of_the_warm_up_and_of_known_areas(self):
        method = methods.get("gaussian_pinwheel")
        first = self.maps("gaussian_pinwheel", None)[:1]  # the full-size map alone, by IoU alone
        losses = method.loss(first, self.MASK, Step(0, 50, 0), method.options())
        assert losses.tolist() == close([0.86710137, 0.04008662])

        method = methods.get("point_regression")
        area = torch.tensor([[[9.0], [4.0]], [[NAN], [NAN]]], dtype=torch.float64)
        targets, options = torch.cat([self.POINTS, area], 2), method.options()
        losses = method.loss(self.maps("point_regression", options), targets, Step(9, 10, 0), options)
        assert losses.tolist() == close([1.6774352, 0.044545326])


class Falling(nn.Module):
    """One weight, which is its answer at each pixel, so that its mean is a loss of slope 1."""

    def __init__(self, _options=None):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(2.0))

    def forward(self, image):
        return self.weight.expand(image.shape)


def method_of(loss, **more):
    return Method("Golden", "none", "mask", object, Falling, loss, lambda out, _: Prediction(out.sigmoid()), **more)


def fit(method, network, recipe, prepared):
    return loop.fit(
        method, None, network, recipe, prepared, training=range(8), validation=[], seed=0, on=torch.device("cpu")
    )


# Of 8 scenes twice: 4 batches of 4 of 64 px, then 3 of 5 of 32 px, one image being left out.
RECIPE = {
    "epochs": 2,
    "crops": 2,
    "batch": 5,
    "size": 32,
    "phases": (params.Phase(until=0.5, size=64, batch=4),),
    "schedule": params.Schedule("cosine", 1.0),
}
# Rising through the first epoch; then (1 + cos 60°) / 2, (1 + cos 120°) / 2, (1 + cos 180°) / 2.
RATES = [0.25, 0.5, 0.75, 1.0, 0.75, 0.25, 0.0]


class TestTraining:
    @pytest.fixture
    def rates(self, monkeypatch):
        """The rate of each step, as the optimiser takes it."""
        seen = []

        def spied(*given, **named):
            made = steps.optimiser(*given, **named)
            made.register_step_pre_hook(lambda optim, *_: seen.append([group["lr"] for group in optim.param_groups]))
            return made

        monkeypatch.setattr(loop, "optimiser", spied)
        return seen

    @pytest.mark.parametrize(("clip", "slope"), [(0.0, 1.0), (0.5, 0.5)])
    def test_two_epochs_by_hand(self, prepared, rates, clip, slope):
        at = []

        def loss(out, _mask, step, _options):
            at.append(step)
            return out.mean((1, 2, 3))

        method = method_of(loss, at_epoch=lambda _network, step, _options: at.append(step))
        recipe = params.Recipe(**RECIPE, optimiser=params.Optimiser("sgd", 0.4, momentum=0.0), grad_clip=clip)
        fitted = fit(method, Falling(), recipe, prepared)

        assert [lr for (lr,) in rates] == close([0.4 * r for r in RATES])
        # Each step takes its rate times the slope off the weight, which is the loss of the next one.
        weights = [2 - 0.4 * slope * sum(RATES[:k]) for k in range(8)]
        rows = [{k: row[k] for k in ("epoch", "lr", "loss", "pixels", "score")} for row in fitted.history]
        first, second = sum(weights[:4]) / 4, sum(weights[4:7]) / 3
        assert rows == [
            {"epoch": 1, "lr": close(0.4), "loss": close(first), "pixels": 16 * 64**2, "score": None},
            {"epoch": 2, "lr": close(0), "loss": close(second), "pixels": 16 * 64**2 + 15 * 32**2, "score": None},
        ]
        assert float(fitted.last["weight"]) == close(weights[7])
        each = [Step(0, 2, 0), *(Step(0, 2, n) for n in range(4)), Step(1, 2, 4), *(Step(1, 2, n) for n in (4, 5, 6))]
        assert at == each

    def test_two_epochs_of_a_small_network(self, prepared, rates):
        """All that a step is made of: crops, turns, every augmentation, loss and optimiser."""
        network = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 1, 3, padding=1))
        fill(network)
        augment = params.Augment(affine=0.5, colour=0.5, noise=0.5, paste=0.5, border="reflection")
        recipe = params.Recipe(**RECIPE, optimiser=params.Optimiser("adamw", 1e-2, 0.1), augment=augment)
        method = method_of(lambda out, mask, *_: bce(out, mask, reduction="none").mean((1, 2, 3)))
        fitted = fit(method, network, recipe, prepared)

        assert [lr for (lr,) in rates] == close([0.01 * r for r in RATES])
        assert [row["loss"] for row in fitted.history] == close([0.851844847, 0.626101931])
        assert float(torch.cat([t.flatten() for t in fitted.last.values()]).norm()) == close(3.14552093)

    def test_schedule(self):
        # Three epochs, of which half of one is warm-up; the cosine then takes 2.5.
        at = (0.125, 0.25, 0.5, 0.5 + 2.5 / 3, 1.75, 3.0)
        for name, expected in (("cosine", [0.25, 0.5, 1, 0.75, 0.5, 0]), ("constant", [0.25, 0.5, 1, 1, 1, 1])):
            schedule = params.Schedule(name, 0.5)
            assert [steps.learning_rate(one, 3, 2.0, schedule) / 2 for one in at] == close(expected)

    @pytest.mark.parametrize(
        ("wanted", "after"),
        # Of a weight of 1, a slope of 2, a rate of 0.1 and a decay of 0.5:
        [
            # 1 - 0.1 * (2 + 0.5), then 0.75 - 0.1 * (0.9 * 2.5 + 2 + 0.375);
            (("sgd", 0.1, 0.5, 0.9), (0.75, 0.2875)),
            # 1 - 0.1, then 0.9 - 0.1 m / sqrt(v), m = (0.9 * 0.25 + 0.245) / 0.19, v = (0.999 * 6.25 + 2.45²) / 1.999;
            (("adam", 0.1, 0.5), (0.9, 0.8000578)),
            # 0.95 - 0.1, then 0.95 * 0.85 - 0.1;
            (("adamw", 0.1, 0.5), (0.85, 0.7075)),
            # 1 - 0.1, then 0.9 - 0.1 * 2.45 / sqrt(2.5² + 2.45²).
            (("adagrad", 0.1, 0.5), (0.9, 0.8300072)),
        ],
    )
    def test_two_steps_of_each_optimiser(self, wanted, after):
        network = nn.Linear(1, 1, bias=False)
        network.weight.data.fill_(1.0)
        optim, weights = steps.optimiser(network, params.Optimiser(*wanted)), []
        for _ in after:
            network.weight.grad = torch.full((1, 1), 2.0)
            optim.step()
            weights.append(float(network.weight.detach()))
        assert weights == close(list(after), rel=1e-6)


def uniform(drawn, least, most):
    """Asserts that `drawn`, thousands, are as if drawn uniformly between `least` and `most`, ends and moments alike."""
    drawn = np.asarray(drawn, float)
    width = most - least
    assert least - 1e-4 * width <= drawn.min() <= least + 0.01 * width
    assert most - 0.01 * width <= drawn.max() <= most + 1e-4 * width
    assert drawn.mean() == pytest.approx((least + most) / 2, abs=0.03 * width)
    assert drawn.std() == pytest.approx(width / 12**0.5, rel=0.05)
    assert kstest(drawn, "uniform", (least, width)).statistic < 0.04


class TestAugmentation:
    """Each change is measured by what it does to images and points, 2000 at a time."""

    COUNT = 2000

    @pytest.fixture(autouse=True)
    def _seeded(self):
        torch.manual_seed(5)

    def changed(self, image, wanted, points=None, mask=None):
        points = torch.zeros(len(image), 1, 2) if points is None else points
        return Augmentation(params.Augment(**wanted))(image.clone(), mask, points.clone())

    def flat(self, height=4, width=4, level=0.5):
        return torch.full((self.COUNT, 1, height, width), level)

    def test_rotation_scale_and_shift(self):
        # The centre, and the point a column to its right, tell everything of a rotation, a scale and a shift.
        centre = torch.tensor([4.5, 9.5])
        pair = torch.stack([centre, centre + torch.tensor([0.0, 1.0])]).expand(self.COUNT, 2, 2)
        wanted = {"affine": 1.0, "rotate_deg": 30.0, "shift": 0.2, "scale": 0.3}
        _, _, moved = self.changed(self.flat(10, 20), wanted, pair)
        row, col = (moved[:, 1] - moved[:, 0]).double().T
        down, along = (moved[:, 0] - centre).double().T

        drawn = [torch.rad2deg(torch.atan2(row, col)), torch.hypot(row, col), down, along]
        # The shift is a share of the side along it: of 10 and 20 px.
        for values, (least, most) in zip(drawn, [(-30, 30), (0.7, 1.3), (-2, 2), (-4, 4)], strict=True):
            uniform(values, least, most)
        apart = np.abs(np.corrcoef(np.stack(drawn)) - np.eye(4))
        assert apart.max() < 0.1

    def test_brightness(self):
        out, _, _ = self.changed(self.flat(), {"colour": 1.0, "brightness": 0.3, "contrast": 0.0})
        assert float(out.std((1, 2, 3)).max()) < 1e-6
        uniform(out.mean((1, 2, 3)) - 0.5, -0.3, 0.3)

    def test_contrast(self):
        # Contrast here is a factor of all grey levels.
        image = self.flat()
        image[:, :, 0] = 0.25
        out, _, _ = self.changed(image, {"colour": 1.0, "brightness": 0.0, "contrast": 0.4})
        factor = out / image
        assert float(factor.std((1, 2, 3)).max()) < 1e-6
        uniform(factor.mean((1, 2, 3)), 1 - 0.4, 1 + 0.4)

    def test_strength_of_noise(self, monkeypatch):
        # With a noise of ones, what is added is the strength.
        monkeypatch.setattr(torch, "randn_like", torch.ones_like)
        out, _, _ = self.changed(self.flat(), {"noise": 1.0, "noise_std": (0.02, 0.1)})
        uniform(out.mean((1, 2, 3)) - 0.5, 0.02, 0.1)

    def test_noise_is_white_and_normal(self):
        out, _, _ = self.changed(self.flat(16, 16)[:400], {"noise": 1.0, "noise_std": (0.1, 0.1)})
        noise = (out - 0.5)[:, 0]
        assert float(noise.mean()) == pytest.approx(0, abs=2e-3)
        assert float(noise.std()) == pytest.approx(0.1, rel=0.02)
        assert float((noise[:, 1:] * noise[:, :-1]).mean() / 0.01) == pytest.approx(0, abs=0.02)
        assert float((noise.abs() < 0.1).float().mean()) == pytest.approx(0.6827, abs=0.01)

    @pytest.mark.parametrize("share", [0.2, 0.7])
    def test_shares(self, share):
        image = self.flat(8, 8)
        image[:, :, 2:6, 1:3] = 0.25

        def touched(before, **wanted):
            return (self.changed(before, wanted)[0] != before).flatten(1).any(1)

        brighter = touched(image, colour=share, contrast=0.0)
        starker = touched(image, colour=share, brightness=0.0)
        for one in (touched(image, affine=share), brighter, starker, touched(image, noise=share)):
            assert float(one.float().mean()) == pytest.approx(share, abs=0.04)

    def test_brightness_and_contrast_are_drawn_apart(self):
        # Of two levels 0.25 apart the contrast changes the difference, and brightness alone leaves it.
        image = self.flat()
        image[:, :, 0] = 0.25
        out, _, _ = self.changed(image, {"colour": 0.4})
        starker = ((out[..., 1, 0] - out[..., 0, 0])[:, 0] - 0.25).abs() > 1e-6
        changed = (out != image).flatten(1).any(1)
        assert float(starker.float().mean()) == pytest.approx(0.4, abs=0.04)
        assert float(changed.float().mean()) == pytest.approx(0.4 + 0.6 * 0.4, abs=0.04)

    def test_share_of_pasting(self):
        # Neighbours have their target at other places, so that each can always be pasted.
        image, mask = self.flat(24, 24, 0.2), torch.zeros(self.COUNT, 1, 24, 24)
        mask[::2, :, 7, 7] = mask[1::2, :, 16, 16] = 1
        _, drawn, moved = self.changed(image, {"paste": 0.3}, torch.zeros(self.COUNT, 1, 2), mask)
        pasted = drawn.sum((1, 2, 3)) == 2
        assert float(pasted.float().mean()) == pytest.approx(0.3, abs=0.04)
        assert torch.equal(pasted, moved[:, 1].isfinite().all(-1))
