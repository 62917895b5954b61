"""Batches cut from scenes on the device, their turns and their augmentation."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from irstd.config import params
from irstd.data.augment import Augmentation, inside
from irstd.data.batches import Resident, epoch
from irstd.metrics.regions import regions
from tests.test_training import RECIPE

CPU = torch.device("cpu")


class TestBatches:
    def test_crops_are_pieces_of_their_scene_with_its_points(self, prepared):
        resident = Resident(prepared, range(6), least=32)
        generator = torch.Generator().manual_seed(0)

        corner = resident.crops(torch.arange(6), 32, 1.0, generator)
        batch = resident.cut(torch.arange(6), corner, 32)

        assert tuple(batch.image.shape) == (6, 1, 32, 32)
        for number in range(6):
            image = prepared.image(number)
            crop = (batch.image[number, 0] * 255).round().numpy().astype(np.uint8)
            windows = np.lib.stride_tricks.sliding_window_view(image, (32, 32))
            assert (windows == crop).all((2, 3)).any()
            centres = regions(batch.mask[number, 0].numpy() > 0).centroids
            found = batch.points[number][batch.points[number].isfinite().all(-1)].numpy()
            assert len(found)  # each was placed to hold a target
            inner = [c for c in centres if (c > 3).all() and (c < 28).all()]
            for centre in inner:
                assert np.abs(found - centre).sum(1).min() < 1e-3

    def test_crops_without_a_wanted_target_hold_places_that_were_mined(self, prepared):
        resident, nan = Resident(prepared, range(6), least=32), float("nan")
        places = torch.tensor([[[5.0, 50.0], [60.0, 8.0]]] * 5 + [[[nan, nan], [nan, nan]]])

        def corners(mined, **more):
            generator = torch.Generator().manual_seed(0)
            return [resident.crops(torch.arange(6), 32, 0.0, generator, mined=mined, **more) for _ in range(20)]

        drawn = torch.stack(corners(1.0, places=places))[:, :5, None]
        held = ((drawn <= places[:5]) & (places[:5] <= drawn + 31)).all(-1)
        assert held.any(-1).all() and held.any((0, 1)).all()  # always one of them, and each at times
        # Nothing else is drawn where nothing was asked for or found.
        plain = torch.stack(corners(0.0))
        assert torch.equal(plain, torch.stack(corners(0.0, places=places)))
        assert torch.equal(plain, torch.stack(corners(1.0)))

    def test_targets_come_before_places_that_were_mined(self, prepared):
        resident, places = Resident(prepared, range(6), least=32), torch.full((6, 1, 2), 1.0)
        first, second = (
            resident.crops(torch.arange(6), 32, 1.0, torch.Generator().manual_seed(0), mined=mined, places=places)
            for mined in (0.0, 1.0)
        )
        assert torch.equal(first, second)

    def test_every_scene_comes_once_an_epoch_in_a_new_order(self, prepared):
        resident = Resident(prepared, range(8), least=32)
        real, seen = resident.cut, []
        resident.cut = lambda indices, *rest: (seen.append(indices.tolist()), real(indices, *rest))[1]
        for number in range(2):
            list(epoch(resident, replace(RECIPE, batch=4, size=32), 0, number))
        first, second = sum(seen[:2], []), sum(seen[2:], [])

        assert sorted(first) == sorted(second) == list(range(8)) and first != second

    def test_a_scene_smaller_than_the_crop_is_black_beyond(self, prepared):
        resident = Resident(prepared, [0], least=96)
        corner = resident.crops(torch.tensor([0]), 96, 0.5, torch.Generator().manual_seed(0))
        batch = resident.cut(torch.tensor([0]), corner, 96)

        assert tuple(batch.image.shape[-2:]) == (96, 96)
        assert batch.image[0, 0, 64:].max() == batch.image[0, 0, :, 64:].max() == 0

    def test_resizing_moves_image_mask_and_points_together(self, prepared):
        resident = Resident(prepared, range(6), square=128)
        batch = whole(resident, 6, 128)

        for number in range(6):
            centres = regions(batch.mask[number, 0].numpy() > 0).centroids
            found = batch.points[number][batch.points[number].isfinite().all(-1)].numpy()
            assert np.abs(found[:, None] - centres[None]).sum(-1).min(1).max() < 1.0


def whole(resident, count=8, side=64, turns=None):
    """The first scenes, whole."""
    return resident.cut(torch.arange(count), torch.zeros(count, 2, dtype=torch.long), side, turns)


class TestTurns:
    def test_the_eight_orientations_are_those_of_numpy_and_points_follow(self, prepared):
        resident = Resident(prepared, [0], least=64)
        turns = torch.tensor([[a, b, c] for a in (0, 1) for b in (0, 1) for c in (0, 1)]).bool()
        batch = resident.cut(torch.zeros(8, dtype=torch.long), torch.zeros(8, 2, dtype=torch.long), 64, turns)

        seen = set()
        for (down, along, over), image, mask, points in zip(
            turns.tolist(), batch.image, batch.mask, batch.points, strict=True
        ):
            expected = prepared.image(0)
            expected = np.flip(expected, 0) if down else expected
            expected = np.flip(expected, 1) if along else expected
            expected = expected.T if over else expected
            np.testing.assert_array_equal(expected, (image[0] * 255).round().numpy())
            seen.add(expected.tobytes())
            centres = regions(mask[0].numpy() > 0).centroids
            known = points[points.isfinite().all(-1)].numpy()
            assert np.hypot(*(known[:, None] - centres[None]).transpose(2, 0, 1)).min(1).max() < 1e-3
        assert len(seen) == 8

    def test_an_epoch_turns_as_often_as_asked(self, prepared):
        resident = Resident(prepared, range(8), least=64)
        counts = torch.zeros(3)
        real = resident.cut
        resident.cut = lambda i, c, s, turns: (counts.add_(turns.sum(0)), real(i, c, s, turns))[1]
        recipe = replace(RECIPE, batch=8, crops=100, augment=params.Augment(flip=0.25, transpose=1.0))
        list(epoch(resident, recipe, 0, 0))

        np.testing.assert_allclose([0.25, 0.25, 1.0], counts / 800, atol=0.05)


class TestAugmentation:
    def test_points_stay_on_their_targets(self, prepared):
        torch.manual_seed(0)
        augmentation = Augmentation(params.Augment(affine=0.8))
        far = []
        for _ in range(6):
            batch = whole(Resident(prepared, range(8)))
            _, mask, points = augmentation(batch.image, batch.mask, batch.points)
            for one, found in zip(mask, points, strict=True):
                centres = regions(one[0].numpy() > 0).centroids
                inner = [c for c in centres if (c > 5).all() and (c < 58).all()]
                known = found[found.isfinite().all(-1)].numpy()
                far += [np.hypot(*(known - c).T).min() for c in inner]

        assert len(far) > 20
        assert np.median(far) < 0.2 and max(far) < 1.0

    def test_only_the_images_drawn_are_touched_and_by_the_share_asked(self):
        torch.manual_seed(1)
        image = torch.rand(400, 1, 8, 8)
        out, _, _ = Augmentation(params.Augment(affine=0.3))(
            image.clone(), torch.zeros_like(image), torch.zeros(400, 1, 2)
        )

        assert pytest.approx(float((out != image).flatten(1).any(1).float().mean()), abs=0.06) == 0.3

    def test_grey_levels_stay_in_range_and_masks_binary(self, prepared):
        torch.manual_seed(3)
        wanted = params.Augment(affine=1.0, colour=1.0, brightness=0.9, contrast=0.9, noise=1.0, noise_std=(0.2, 0.3))
        batch = whole(Resident(prepared, range(8)))
        image, mask, _ = Augmentation(wanted)(batch.image, batch.mask, batch.points)

        assert image.min() >= 0 and image.max() <= 1
        assert {0.0, 1.0} >= set(mask.unique().tolist())

    def test_pasted_targets_come_whole_with_their_points_at_the_level_around_them(self):
        image, mask = torch.full((2, 1, 48, 48), 0.2), torch.zeros(2, 1, 48, 48)
        image[1] = 0.5
        mask[1, 0, 20:23, 30:32] = 1
        image[1, 0, 20:23, 30:32] = 0.9
        points = torch.full((2, 1, 2), torch.nan)
        points[1, 0] = torch.tensor([21.0, 30.5])

        out, drawn, moved = Augmentation(params.Augment(paste=1.0))(image.clone(), mask.clone(), points)

        assert torch.equal(drawn[0], mask[1]) and torch.equal(drawn[1], mask[1])  # the first has nothing to give
        torch.testing.assert_close(torch.full((6,), 0.6), out[0][mask[1] > 0])
        torch.testing.assert_close(torch.full((48 * 48 - 6,), 0.2), out[0][mask[1] == 0])
        assert torch.equal(out[1], image[1])
        assert moved[0][moved[0].isfinite().all(-1)].tolist() == [[21.0, 30.5]]

    def test_a_target_is_not_pasted_over_another_nor_where_the_border_cuts_it(self):
        mask = torch.zeros(2, 1, 48, 48)
        mask[0, 0, 20, 20] = mask[1, 0, 22, 22] = 1
        border = torch.zeros(2, 1, 48, 48)
        border[1, 0, 0:3, 20] = 1
        for one in (mask, border):
            _, drawn, _ = Augmentation(params.Augment(paste=1.0))(
                torch.rand(2, 1, 48, 48), one.clone(), torch.full((2, 1, 2), torch.nan)
            )
            assert torch.equal(drawn, one)

    def test_a_mirrored_border_leaves_nothing_black(self):
        torch.manual_seed(0)
        black = {}
        for border in ("zeros", "reflection"):
            augmentation = Augmentation(params.Augment(affine=1.0, border=border))
            image = torch.ones(16, 1, 32, 32)
            out, _, _ = augmentation(image, torch.zeros_like(image), torch.full((16, 1, 2), torch.nan))
            black[border] = float((out < 0.5).float().mean())

        assert black["reflection"] == 0 < black["zeros"]

    def test_points_outside_become_nan(self):
        points = torch.tensor([[[-0.6, 3.0], [0.0, 3.0], [3.4, 4.4], [3.0, 4.6]]])

        assert inside(points, (4, 5)).isnan().all(-1)[0].tolist() == [True, False, False, True]
