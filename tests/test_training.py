"""The loop: bit-equal after a kill, honest about what it learns from, and clear when it cannot go on."""

import os
from dataclasses import dataclass, replace

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import nn

from irstd.config import params
from irstd.errors import InputError
from irstd.inference import devices
from irstd.inference.predict import Predicted
from irstd.losses.overlap import soft_iou
from irstd.methods import Method, Prediction
from irstd.training import loop, steps
from irstd.training.selection import score

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
    return loop.fit(method, None, network, recipe, prepared, seed=seed, on=CPU, **given)


class Killed(Exception):
    pass


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


PHASED = replace(RECIPE, average_epochs=1.0, phases=(params.Phase(until=0.5, size=64, batch=2),))


MINED = replace(RECIPE, mined=0.5, target_share=0.5)


@pytest.mark.parametrize("recipe", [RECIPE, PHASED, MINED], ids=["plain", "averaged", "mined"])
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
    average = loop._Average(network, memory=4.0)
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


def test_one_device_does_not_ask_a_cluster_how_many_tasks_there_are(prepared, tmp_path, monkeypatch):
    """Inside an allocation of four tasks on two nodes, where `srun` is installed and would start others."""
    allocation = {
        "JOB_ID": "7", "JOB_NAME": "train", "NTASKS": "4", "NPROCS": "4", "PROCID": "0", "LOCALID": "0", "NODEID": "0",
        "NNODES": "2", "NODELIST": "n[1-2]", "JOB_NODELIST": "n[1-2]", "NTASKS_PER_NODE": "2", "STEP_ID": "0",
    }  # fmt: skip
    for name, value in allocation.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    (tmp_path / "srun").write_text(f"#!/bin/sh\ntouch {tmp_path}/asked\nexit 1\n")
    (tmp_path / "srun").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")

    assert fit(prepared, recipe=replace(RECIPE, epochs=1), validation=[]).best_epoch == 1
    assert not (tmp_path / "asked").exists()


@pytest.mark.parametrize("name", ["adam", "adamw", "adagrad", "sgd"])
def test_a_parameter_may_have_its_first_slope_later(name):
    """As a head has that a warm-up leaves idle."""
    network = nn.ModuleList([nn.Linear(2, 1), nn.Linear(2, 1)])
    optim = steps.optimiser(network, params.Optimiser(name, 0.1))
    before = network[1].weight.detach().clone()

    for idle in (True, False, False):
        loss = network[0](torch.ones(1, 2)).sum() + (0 if idle else network[1](torch.ones(1, 2)).sum())
        optim.zero_grad(set_to_none=True)
        loss.backward()
        optim.step()

    assert (network[1].weight < before).all()


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
    loop.save(path, lambda beside: beside.write_text("old"))

    def full(beside):
        beside.symlink_to("/dev/full")
        with beside.open("wb") as file:
            file.write(b"x" * 100_000)

    with pytest.raises(InputError) as error:
        loop.save(path, full)

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
        devices.device("cuda")
    with pytest.raises(InputError) as odd:
        devices.device("mps")
    with pytest.raises(InputError) as half:
        steps.precision("16", CPU)

    assert str(cuda.value) == (
        "params.yaml: train.device: 'cuda' is asked for, but torch sees 0 CUDA devices here; set it to auto or cpu"
    )
    assert str(odd.value) == "params.yaml: train.device: 'mps' is no device; use auto, cpu, cuda or cuda:N"
    assert "params.yaml: train.precision: a CPU has no 16; use auto, 32 or bf16" == str(half.value)
    assert CPU == devices.device("auto") == devices.device("cpu")


def test_the_learning_rate_rises_then_falls_as_a_cosine():
    schedule = params.Schedule("cosine", 2.0)
    rates = [steps.learning_rate(at, 10, 1.0, schedule) for at in (0.0, 1.0, 2.0, 6.0, 10.0)]

    np.testing.assert_allclose([0.0, 0.5, 1.0, 0.5, 0.0], rates, atol=1e-12)
    assert steps.learning_rate(9.0, 10, 0.3, params.Schedule("constant")) == 0.3


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


def test_a_size_that_does_not_suit_the_method_is_one_sentence(prepared):
    with pytest.raises(InputError) as error:
        fit(prepared, recipe=replace(RECIPE, size=40))

    assert "the recipe's size is 40 px, but Blob needs a multiple of 32" == str(error.value)


def test_weights_can_be_stored_whatever_their_layout_in_memory():
    network = nn.Conv2d(3, 8, 3).to(memory_format=torch.channels_last)

    packed = safetensors.torch.save(loop._copy(network))

    torch.testing.assert_close(network.weight, safetensors.torch.load(packed)["weight"])
