"""Classical detectors: against SciPy and plain loops, and on what each must and must not respond to."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from irstd import methods
from irstd.layers.contrast import shifted, stretched
from irstd.methods import pstnn

NAMES = ("top_hat", "max_median", "mpcm", "pstnn")


def response(name, image, **options):
    method = methods.get(name)
    chosen = method.options(**options)
    with torch.no_grad():
        outputs = method.build(chosen)(torch.from_numpy(image)[None, None].float())
        return outputs[0, 0].numpy(), method.decode(outputs, chosen).score[0, 0].numpy()


def sky(rng, size=80, noise=0.004):
    """A smooth gradient with faint noise."""
    rows, cols = np.mgrid[:size, :size] / size
    return 0.3 + 0.15 * rows + 0.1 * cols * cols + rng.normal(0, noise, (size, size))


def spot(image, row, col, height=0.25, sigma=1.2):
    rows, cols = np.mgrid[: image.shape[0], : image.shape[1]]
    return image + height * np.exp(-((rows - row) ** 2 + (cols - col) ** 2) / (2 * sigma**2))


@pytest.mark.parametrize("name", NAMES)
class TestAll:
    def test_a_spot_is_the_largest_response_wherever_it_is(self, name, rng):
        for row, col in ((40, 40), (12, 61), (70, 9)):
            _, score = response(name, spot(sky(rng), row, col))

            peak = np.unravel_index(score.argmax(), score.shape)
            assert np.hypot(peak[0] - row, peak[1] - col) < 1.5
            assert score.max() == 1 and score.min() >= 0

    def test_a_flat_image_has_no_response(self, name):
        _, score = response(name, np.full((64, 64), 0.4))

        assert not score.any()

    def test_images_of_a_batch_do_not_touch_each_other(self, name, rng):
        method = methods.get(name)
        images = torch.from_numpy(np.stack([spot(sky(rng), 30, 30), spot(sky(rng), 50, 20)]))[:, None].float()
        network = method.build(method.options())

        both = method.decode(network(images), method.options()).score
        alone = method.decode(network(images[1:]), method.options()).score
        assert torch.allclose(both[1:], alone, atol=1e-5)

    def test_any_size_is_taken(self, name, rng):
        for shape in ((31, 45), (96, 33)):
            _, score = response(name, spot(sky(rng, 96), 15, 15)[: shape[0], : shape[1]])
            assert score.shape == shape

    def test_nothing_is_learnt(self, name):
        method = methods.get(name)

        assert list(method.build(method.options()).parameters()) == []
        assert method.threshold is None


def test_top_hat_is_scipys_away_from_the_border(rng):
    image = sky(rng, noise=0.05)

    mine, _ = response("top_hat", image, side=7)

    inner = np.s_[7:-7, 7:-7]
    assert np.allclose(mine[inner], ndimage.white_tophat(image, size=7)[inner], atol=1e-6)


def test_max_median_is_a_plain_loops_and_keeps_lines(rng):
    image = sky(rng, 24, noise=0.05)
    mine, _ = response("max_median", image, length=5)
    padded = np.pad(image, 2, mode="reflect")
    for row, col in ((0, 0), (5, 9), (23, 12), (12, 23)):
        medians = [
            np.median([padded[row + 2 + k * dr, col + 2 + k * dc] for k in range(-2, 3)])
            for dr, dc in ((0, 1), (1, 0), (1, 1), (1, -1))
        ]
        assert mine[row, col] == pytest.approx(image[row, col] - max(medians), abs=1e-6)

    line = np.full((40, 40), 0.3)
    line[20] = 0.9
    assert np.abs(response("max_median", line)[0]).max() < 1e-6
    assert response("top_hat", line)[0].max() > 0.5  # which a top-hat does not


def test_mpcm_of_one_pixel_size_is_the_least_product_of_opposite_differences(rng):
    image = sky(rng, 20, noise=0.05)
    mine, _ = response("mpcm", image, sides=(3,))
    mean = ndimage.uniform_filter(image, 3)
    for row, col in ((8, 8), (10, 13)):
        products = []
        for dr, dc in ((-3, -3), (-3, 0), (-3, 3), (0, 3)):
            apart = [mean[row, col] - mean[row + s * dr, col + s * dc] for s in (1, -1)]
            products.append(apart[0] * apart[1])
        assert mine[row, col] == pytest.approx(min(products), abs=1e-6)


def test_mpcm_answers_an_edge_with_nothing_and_a_dark_spot_if_asked(rng):
    edge = np.full((40, 40), 0.2)
    edge[:, 20:] = 0.8
    dark = spot(np.full((40, 40), 0.5), 20, 20, height=-0.2)

    assert response("mpcm", edge)[1].max() == 0
    assert response("mpcm", dark)[1][20, 20] == 1
    assert response("mpcm", dark, dark=False)[0][20, 20] <= 0


class TestPSTNN:
    def test_only_the_small_singular_values_are_lowered(self, rng):
        tensor = torch.from_numpy(rng.normal(size=(5, 6, 6)))

        shrunk = pstnn._shrunk(tensor, 2, 0.7)

        slices, after = torch.fft.fft(tensor, dim=0), torch.fft.fft(shrunk, dim=0)
        for before, now in zip(slices, after, strict=True):
            values = torch.linalg.svdvals(before)
            wanted = torch.cat([values[:2], (values[2:] - 0.7).clamp(min=0)])
            assert torch.allclose(torch.linalg.svdvals(now), wanted, atol=1e-8)

    def test_patches_cover_the_image_and_end_at_its_border(self):
        assert pstnn.starts(100, 40, 40) == [0, 40, 60]
        assert pstnn.starts(80, 40, 40) == [0, 40]
        assert pstnn.starts(30, 40, 40) == [0]

    def test_the_target_is_sparse(self, rng):
        found, score = response("pstnn", spot(sky(rng, 120), 57, 83))

        near = np.zeros(found.shape, bool)
        near[50:65, 76:91] = True
        assert score[~near].max() < 0.3
        assert (found[~near] != 0).mean() < 0.02


def test_an_image_is_seen_from_beside_mirrored_at_the_border():
    image = torch.arange(16.0).reshape(1, 1, 4, 4)

    assert torch.equal(shifted(image, 1, 0)[0, 0, :3], image[0, 0, 1:])
    assert shifted(image, 0, -1)[0, 0, 2].tolist() == [9, 8, 9, 10]


def test_a_response_is_a_share_of_the_largest():
    assert stretched(torch.tensor([[[[-1.0, 0, 2, 4]]]]))[0, 0, 0].tolist() == [0, 0, 0.5, 1]
    assert not stretched(-torch.ones(1, 1, 2, 2)).any()
