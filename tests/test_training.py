"""The loop: bit-equal after a kill, honest about what it learns from, and clear when it cannot go on."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import nn

from irstd import params, training
from irstd.data.augment import Augmentation, inside
from irstd.data.batches import Resident, epoch
from irstd.errors import InputError
from irstd.losses.overlap import soft_iou
from irstd.methods import Method, Prediction
from irstd.metrics.regions import regions
from irstd.prediction import Predicted
from irstd.validation import score

RECIPE = params.Recipe(
    epochs=4,
    batch=3,
    size=32,
    optimiser=params.Optimiser("adamw", 1e-2),
    schedule=params.Schedule("cosine", 0.5),
    augment=params.Augment(affine=0.5, colour=0.5, noise=0.5),
    validate_every=2,
)
CPU = torch.device("cpu")


@dataclass(frozen=True)
class NoOptions:
    pass


class Blob(nn.Sequential):
    """Two convolutions, with batch normalisation and dropout, which draw and remember."""

    def __init__(self, _options=None):
        super().__init__(
            nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout(0.1), nn.Conv2d(8, 1, 3, padding=1)
        )


BLOB = Method(
    "Blob",
    "none",
    "mask",
    NoOptions,
    Blob,
    lambda out, mask, *_: soft_iou(out.sigmoid(), mask),
    lambda out, _: Prediction(out.sigmoid()),
)


def fit(prepared, *, recipe=RECIPE, method=BLOB, seed=0, **more):
    torch.manual_seed(seed)
    network = method.build(None)
    given = {"training": range(8), "validation": [8, 9]} | more
    return training.fit(method, None, network, recipe, prepared, seed=seed, on=CPU, **given)


class Killed(Exception):
    pass


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


PHASED = replace(RECIPE, average_epochs=1.0, phases=(params.Phase(until=0.5, size=64, batch=2),))


@pytest.mark.parametrize("recipe", [RECIPE, PHASED], ids=["plain", "averaged"])
@pytest.mark.parametrize("after", [1, 3])
def test_a_killed_run_ends_with_weights_equal_to_the_bit(prepared, tmp_path, after, recipe):
    whole = fit(prepared, recipe=recipe)

    def kill(row):
        if row["epoch"] == after:
            raise Killed

    checkpoint = tmp_path / "run.pt"
    with pytest.raises(Killed):
        fit(prepared, recipe=recipe, checkpoint=checkpoint, checkpoint_s=0.0, on_epoch=kill)
    rest = []
    again = fit(prepared, recipe=recipe, checkpoint=checkpoint, on_epoch=rest.append)

    assert list(range(after + 1, 5)) == [row["epoch"] for row in rest]
    assert same(whole.last, again.last) and same(whole.best, again.best)
    assert (untimed(whole.history), whole.best_epoch) == (untimed(again.history), again.best_epoch)


def untimed(history):
    return [{k: v for k, v in row.items() if k != "cpu_s"} for row in history]


def test_a_seed_fixes_the_run_and_another_changes_it(prepared):
    first, second, other = (fit(prepared, seed=s).last for s in (0, 0, 1))

    assert same(first, second) and not same(first, other)


def test_training_learns(prepared):
    history = fit(
        prepared, recipe=replace(RECIPE, epochs=40, batch=4, size=64, validate_every=40, augment=params.Augment())
    ).history

    assert history[-1]["loss"] < history[0]["loss"] - 0.15


def test_the_best_epoch_is_the_one_with_the_best_score(prepared):
    fitted = fit(prepared, recipe=replace(RECIPE, epochs=6))
    scores = {row["epoch"]: row["score"] for row in fitted.history if row["score"] is not None}

    assert list(scores) == [2, 4, 6]
    assert max(scores, key=scores.get) == fitted.best_epoch


def test_the_average_of_weights_replaces_the_best_epoch(prepared):
    fitted = fit(prepared, recipe=replace(RECIPE, average_epochs=1.0))
    plain = fit(prepared)

    assert same(fitted.last, plain.last)  # what is trained is untouched
    assert fitted.best_epoch == 4 and not same(fitted.best, fitted.last)
    assert int(fitted.best["1.num_batches_tracked"]) == 8


def test_the_average_forgets_the_start_and_holds_buffers():
    network = nn.Sequential(nn.Linear(1, 1), nn.BatchNorm1d(1))
    average = training._Average(network, memory=4.0)
    for value in range(1, 101):
        for tensor in (network[0].weight.data, network[1].running_mean):
            tensor.fill_(value)
        average.update()

    # An exponential average lags a ramp by its memory, but for the present step.
    torch.testing.assert_close(torch.tensor([[97.0]]), average.own[0].weight.data, atol=1e-3, rtol=0)
    torch.testing.assert_close(torch.tensor([97.0]), average.own[1].running_mean, atol=1e-3, rtol=0)


def test_both_weights_are_predicted_for_who_asks(prepared):
    seen = []
    fit(
        prepared,
        recipe=replace(RECIPE, average_epochs=1.0),
        on_validation=lambda row, by: seen.append((row["epoch"], *by)),
    )

    assert seen == [(2, "raw", "averaged"), (4, "raw", "averaged")]


def test_crops_grow_in_phases_and_pixels_are_counted(prepared):
    sizes = []
    watch = lambda _network, outputs, _targets: sizes.append(tuple(outputs.shape)) or {}  # noqa: E731
    fitted = fit(prepared, recipe=PHASED, method=replace(BLOB, watch=watch), validation=[])

    assert [(2, 1, 64, 64)] * 8 + [(3, 1, 32, 32)] * 4 == sizes
    each = [8 * 64**2] * 2 + [6 * 32**2] * 2
    assert [sum(each[: n + 1]) for n in range(4)] == [row["pixels"] for row in fitted.history]


def test_one_device_does_not_ask_a_cluster_how_many_tasks_there_are(prepared, monkeypatch):
    for name, value in (("SLURM_NTASKS", "4"), ("SLURM_JOB_NAME", "train"), ("SLURM_PROCID", "0")):
        monkeypatch.setenv(name, value)

    assert fit(prepared, recipe=replace(RECIPE, epochs=1), validation=[]).best_epoch == 1


def test_pasting_needs_masks(prepared):
    with pytest.raises(InputError, match=r"^augment\.paste cuts targets out by their masks, which Blob never sees"):
        fit(
            prepared,
            method=replace(BLOB, supervision="point"),
            recipe=replace(RECIPE, augment=params.Augment(paste=0.5)),
        )


def test_without_validation_the_last_epoch_is_taken(prepared):
    fitted = fit(prepared, validation=[])

    assert fitted.best_epoch == 4 and same(fitted.best, fitted.last)


def test_a_method_of_points_is_never_handed_a_mask(prepared):
    seen = []

    def targets(labels):
        seen.append(labels)
        return labels.points

    def loss(out, points, *_):
        return out.mean((1, 2, 3)) + 0 * points.nan_to_num().sum((1, 2))

    def decode(out, _options):
        return Prediction(points=[torch.tensor([[5.0, 5.0, 0.9]]) for _ in out])

    point = replace(BLOB, supervision="point", loss=loss, decode=decode, targets=targets)
    fitted = fit(prepared, method=point)

    assert seen and all(labels.mask is None for labels in seen)
    assert any(labels.points.isfinite().any() for labels in seen)
    assert fitted.history[-1]["score"] is not None


def test_what_a_method_watches_is_averaged_over_each_epoch(prepared):
    seen = []

    def watch(network, outputs, targets):
        seen.append((type(network).__name__, float(targets.sum())))
        return {"true pixels": targets.sum()}

    fitted = fit(prepared, method=replace(BLOB, watch=watch))

    assert {name for name, _ in seen} == {"Blob"}  # not what wraps it
    each = len(seen) // RECIPE.epochs
    for number, row in enumerate(fitted.history):
        part = seen[number * each : (number + 1) * each]
        assert row["watched"] == {"true pixels": pytest.approx(sum(value for _, value in part) / each)}


def test_a_loss_that_is_no_number_stops_with_a_sentence(prepared):
    broken = replace(BLOB, loss=lambda out, *_: out.mean((1, 2, 3)) * torch.nan)

    with pytest.raises(InputError) as error:
        fit(prepared, method=broken)

    assert str(error.value) == "the loss is nan in epoch 1; lower the learning rate (optimiser.lr) of this recipe"


def test_a_full_disk_is_one_sentence_and_what_was_there_stays(tmp_path):
    path = tmp_path / "best.safetensors"
    training.save(path, lambda beside: beside.write_text("old"))

    def full(beside):
        beside.symlink_to("/dev/full")
        with beside.open("wb") as file:
            file.write(b"x" * 100_000)

    with pytest.raises(InputError) as error:
        training.save(path, full)

    assert str(error.value) == (
        "best.safetensors cannot be written (No space left on device); make room on the disk and run again, "
        "the training goes on from its last checkpoint"
    )
    assert path.read_text() == "old"
    assert [path] == list(tmp_path.iterdir())


def test_a_full_disk_while_a_checkpoint_is_written_is_the_same_sentence(prepared, tmp_path, monkeypatch):
    real = torch.save
    monkeypatch.setattr(torch, "save", lambda whole, _path: real(whole, "/dev/full"))

    with pytest.raises(InputError, match=r"^run\.pt cannot be written \(.+\); make room on the disk and run again"):
        fit(prepared, checkpoint=tmp_path / "run.pt", checkpoint_s=0.0)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is CUDA here")
def test_a_device_that_is_not_there_is_one_sentence():
    with pytest.raises(InputError) as cuda:
        training.device("cuda")
    with pytest.raises(InputError) as odd:
        training.device("mps")
    with pytest.raises(InputError) as half:
        training.precision("16", CPU)

    assert str(cuda.value) == (
        "params.yaml: train.device: 'cuda' is asked for, but torch sees 0 CUDA devices here; set it to auto or cpu"
    )
    assert str(odd.value) == "params.yaml: train.device: 'mps' is no device; use auto, cpu, cuda or cuda:N"
    assert "params.yaml: train.precision: a CPU has no 16; use auto, 32 or bf16" == str(half.value)
    assert CPU == training.device("auto") == training.device("cpu")


def test_the_learning_rate_rises_then_falls_as_a_cosine():
    schedule = params.Schedule("cosine", 2.0)
    rates = [training.learning_rate(at, 10, 1.0, schedule) for at in (0.0, 1.0, 2.0, 6.0, 10.0)]

    np.testing.assert_allclose([0.0, 0.5, 1.0, 0.5, 0.0], rates, atol=1e-12)
    assert training.learning_rate(9.0, 10, 0.3, params.Schedule("constant")) == 0.3


class TestScore:
    def test_a_map_is_scored_by_pooled_iou(self):
        mask = np.zeros((8, 8), bool)
        mask[2:4, 2:4] = True
        half = np.where(mask & (np.arange(8) == 2), 1.0, 0.0).astype(np.float32)

        got = score([Predicted(half, None), Predicted(mask.astype(np.float32), None)], [(mask, np.zeros((0, 2)))] * 2)

        assert got == (6 / 8, 0.5)

    def test_points_are_scored_by_f1_one_to_one(self):
        centres = np.array([[5.0, 5.0], [5.0, 9.0], [20.0, 20.0]])
        points = np.array([[5.0, 7.0, 0.9], [5.0, 4.0, 0.9], [5.0, 5.5, 0.9], [20.0, 24.0, 0.9], [1.0, 1.0, 0.2]])

        got = score([Predicted(None, points)], [(np.zeros((30, 30), bool), centres)])

        assert got == (2 * 2 / (4 + 3), 0.5)

    def test_a_map_without_a_mask_is_scored_by_the_centroids_of_its_regions(self):
        heat = np.zeros((20, 20), np.float32)
        heat[3:6, 4:7] = heat[15, 15] = 0.8
        truth = [(None, np.array([[4.0, 5.0], [9.0, 9.0]]))]

        assert score([Predicted(heat, None)], truth) == (2 * 1 / (2 + 2), 0.5)

    def test_the_threshold_is_chosen_where_a_method_has_none(self):
        points = np.array([[5.0, 5.0, 0.62], [9.0, 9.0, 0.41]])
        mask = np.zeros((8, 8), bool)
        mask[2:4, 2:4] = True
        soft = np.where(mask, 0.3, 0.2).astype(np.float32)

        f1, of_points = score([Predicted(None, points)], [(None, np.array([[5.0, 5.0]]))], None)
        iou, of_map = score([Predicted(soft, None)], [(mask, np.array([[2.5, 2.5]]))], None)

        assert f1 == 1 and 0.41 <= of_points < 0.62
        assert iou == 1 and 0.2 <= of_map < 0.3


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


def test_a_size_that_does_not_suit_the_method_is_one_sentence(prepared):
    with pytest.raises(InputError) as error:
        fit(prepared, recipe=replace(RECIPE, size=40))

    assert "the recipe's size is 40 px, but Blob needs a multiple of 32" == str(error.value)


def test_weights_can_be_stored_whatever_their_layout_in_memory():
    network = nn.Conv2d(3, 8, 3).to(memory_format=torch.channels_last)

    packed = safetensors.torch.save(training._copy(network))

    torch.testing.assert_close(network.weight, safetensors.torch.load(packed)["weight"])
