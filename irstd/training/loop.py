"""The one training loop, for every method.

What a run does depends on its inputs alone: each epoch draws from generators seeded with the run's seed and
the epoch's number, so a killed run that starts again from the last finished epoch ends, on the CPU, with
weights equal to the bit. Needs torch, lightning, numpy, scipy and kornia only.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from lightning.fabric import Fabric
from numpy import ndarray
from torch import Tensor, nn
from tqdm import tqdm

from irstd.data.augment import Augmentation
from irstd.data.batches import Resident, epoch, seed_of
from irstd.data.clicks import Clicks, PointView
from irstd.data.prepared import Prepared
from irstd.errors import InputError
from irstd.inference.predict import predict
from irstd.methods import Labels, Method, Step
from irstd.training.selection import score

SHOW_EVERY_S = 1.0  # the loss is read from the device so often, for the progress bar
LOG_EVERY_S = 10.0  # a line of progress so often where there is no terminal


@dataclass(frozen=True, slots=True)
class Fitted:
    """What a training leaves.

    best, last: weights of the chosen and of the last epoch. best_epoch: counted from 1.
    threshold: that scores must exceed: the method's own, or chosen together with the epoch.
    history: a row an epoch: epoch (from 1), lr, loss, score (None where not validated), and watched, what the
        method's `watch` gives.
    wall_s: time spent, in all the processes that a killed run took.
    """

    best: dict[str, Tensor]
    last: dict[str, Tensor]
    best_epoch: int
    threshold: float
    history: list[dict[str, Any]]
    wall_s: float


def precision(name: str, on: torch.device) -> str:
    """Lightning's name of the precision; `auto` is bf16 on a CUDA device that has it.

    Raises:
        InputError: 16 on a CPU.
    """
    if name == "16" and on.type == "cpu":
        raise InputError("params.yaml: train.precision: a CPU has no 16; use auto, 32 or bf16")
    if name == "auto":
        name = "bf16" if on.type == "cuda" and torch.cuda.is_bf16_supported() else "32"
    return {"32": "32-true", "bf16": "bf16-mixed", "16": "16-mixed"}[name]


def optimiser(network: nn.Module, wanted: Any, *, fused: bool = True) -> torch.optim.Optimizer:
    """The optimiser of a recipe; fused where that exists, unless `fused` is false."""
    decay = {"lr": wanted.lr, "weight_decay": wanted.weight_decay}
    parameters = list(network.parameters())
    match wanted.name:
        case "adam":
            return torch.optim.Adam(parameters, **decay, fused=fused)
        case "adamw":
            return torch.optim.AdamW(parameters, **decay, fused=fused)
        case "adagrad":
            return torch.optim.Adagrad(parameters, **decay)
        case _:
            return torch.optim.SGD(parameters, **decay, momentum=wanted.momentum, fused=fused)


def learning_rate(at: float, epochs: int, lr: float, schedule: Any) -> float:
    """Learning rate at `at` epochs into a training: linear warm-up, then constant or half a cosine to zero."""
    if at < schedule.warmup_epochs:
        return lr * at / schedule.warmup_epochs
    if schedule.name == "constant":
        return lr
    done = (at - schedule.warmup_epochs) / max(epochs - schedule.warmup_epochs, 1e-9)
    return lr * (1 + math.cos(math.pi * min(done, 1.0))) / 2


def save(path: Path, write: Callable[[Path], object]) -> None:
    """Writes a file whole or not at all: beside its place, then into it.

    Raises:
        InputError: it could not be written, as when the disk is full; what was there stays.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f"{path.name}.tmp")
    try:
        write(beside)
        beside.replace(path)
    except (OSError, RuntimeError) as error:  # torch.save hides the OSError in a RuntimeError
        beside.unlink(missing_ok=True)
        raise InputError(
            f"{path.name} cannot be written ({_first_line(error)}); make room on the disk and run again, "
            "the training goes on from its last checkpoint"
        ) from None


def _first_line(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error).splitlines()[0]


@dataclass(frozen=True, slots=True)
class _Run:
    """What stays the same from epoch to epoch; `steps` in each."""

    method: Method
    options: Any
    recipe: Any
    network: nn.Module  # as the caller has it
    model: nn.Module  # as Fabric wraps it
    optim: Any
    fabric: Fabric
    resident: Resident
    augmentation: Augmentation
    seed: int
    steps: int


@dataclass
class _State:
    """What a checkpoint holds besides network and optimiser."""

    epoch: int = 0  # finished
    best_epoch: int = 0
    best_score: float = -math.inf
    threshold: float | None = None
    best: dict[str, Tensor] | None = None
    history: list[dict[str, Any]] = field(default_factory=list)
    wall_s: float = 0.0


def fit(
    method: Method,
    options: Any,
    network: nn.Module,
    recipe: Any,
    prepared: Prepared,
    *,
    training: Sequence[int],
    validation: Sequence[int],
    seed: int,
    on: torch.device,
    clicks: Mapping[str, ndarray] | None = None,
    in_precision: str = "32-true",
    checkpoint: Path | None = None,
    checkpoint_s: float = 20.0,
    on_epoch: Callable[[dict[str, Any]], None] = lambda _row: None,
    progress: bool = False,
) -> Fitted:
    """Trains `network`.

    Args:
        options: of the method, as `network` was built with.
        recipe: how; an `irstd.config.params.Recipe`, not named here since training does not need pydantic.
        training: numbers of the scenes to learn from.
        validation: numbers of the scenes that choose the epoch; empty to take the last.
        seed: of everything drawn here; the network's own initialisation is the caller's.
        clicks: for a method supervised by points, the points of each scene by name, instead of centroids.
        in_precision: Lightning's name.
        checkpoint: a file to go on from if it exists, and to save to meanwhile; the caller deletes it. It
            must be keyed by whatever determines the run.
        checkpoint_s: a checkpoint is saved after the epoch that ends so long after the last.
        on_epoch: called with each new row of the history.
        progress: whether to show a bar with loss, images/s and time left.

    Raises:
        InputError: the size does not suit the method, the loss is no longer finite, or a checkpoint cannot be
            written.
    """
    if recipe.size % method.multiple:
        raise InputError(
            f"the recipe's size is {recipe.size} px, but {method.title} needs a multiple of {method.multiple}"
        )
    square = recipe.size if recipe.geometry == "resize" else None
    # From here on a method supervised by points cannot come by a mask.
    by_points = method.supervision == "point"
    scenes = PointView(prepared, Clicks(prepared, recipe.jitter, seed, clicks)) if by_points else prepared
    resident = Resident(scenes, training, on, least=recipe.size, square=square)
    images = [scenes.image(n) for n in validation]
    truth = [(None if by_points else scenes.mask(n), scenes.points[n]) for n in validation]
    fabric = Fabric(
        accelerator="cuda" if on.type == "cuda" else "cpu",
        devices=[on.index or 0] if on.type == "cuda" else 1,
        precision=in_precision,
    )
    if on.type == "cuda" or in_precision != "32-true":  # half precision's convolutions want it on a CPU as well
        network = network.to(memory_format=torch.channels_last)
    # A fused step undoes half precision's loss scale itself, too late for clipping.
    fused = not (recipe.grad_clip and in_precision == "16-mixed")
    model, optim = fabric.setup(network, optimiser(network, recipe.optimiser, fused=fused))
    state = _State()
    if checkpoint is not None and checkpoint.exists():
        saved = torch.load(checkpoint, map_location="cpu", weights_only=True)
        network.load_state_dict(saved["network"])
        optim.load_state_dict(saved["optimiser"])
        state = _State(**saved["state"])
    batch = min(recipe.batch, len(resident) * recipe.crops)
    steps = len(resident) * recipe.crops // batch
    run = _Run(
        method, options, recipe, network, model, optim, fabric, resident, Augmentation(recipe.augment), seed, steps
    )
    saved_at = since = time.monotonic()
    with tqdm(
        total=recipe.epochs * steps * batch, initial=state.epoch * steps * batch,
        unit="img", desc=f"epoch {state.epoch + 1}/{recipe.epochs}", disable=not progress,
        mininterval=SHOW_EVERY_S if sys.stderr.isatty() else LOG_EVERY_S,
    ) as bar:  # fmt: skip
        while state.epoch < recipe.epochs:
            bar.set_description(f"epoch {state.epoch + 1}/{recipe.epochs}")
            row = _train_epoch(run, state.epoch, bar)
            state.epoch += 1
            last = state.epoch == recipe.epochs
            if validation and (last or state.epoch % recipe.validate_every == 0):
                predicted = predict(
                    model, method, options, images, device=on, geometry=recipe.geometry, side=recipe.size
                )
                row["score"], threshold = score(predicted, truth, method.threshold)
                if row["score"] > state.best_score:
                    state.best_score, state.best_epoch, state.best = row["score"], state.epoch, _copy(network)
                    state.threshold = threshold
            state.history.append(row)
            state.wall_s, since = state.wall_s + time.monotonic() - since, time.monotonic()
            if checkpoint is not None and (last or time.monotonic() - saved_at > checkpoint_s):
                # Kept also at the end, until the caller has the weights in place.
                _save_checkpoint(checkpoint, network, optim, state)
                saved_at = time.monotonic()
            on_epoch(row)
    final = _copy(network)
    threshold = method.threshold if state.threshold is None else state.threshold
    # Choice: without validation scenes there is nothing to choose by, and one half it is.
    threshold = 0.5 if threshold is None else threshold
    return Fitted(state.best or final, final, state.best_epoch or state.epoch, threshold, state.history, state.wall_s)


def _train_epoch(run: _Run, number: int, bar: tqdm) -> dict[str, Any]:
    method, recipe, model, optim = run.method, run.recipe, run.model, run.optim
    model.train()
    method.at_epoch(model, Step(number, recipe.epochs, number * run.steps), run.options)
    # Augmentation and dropout draw from the global generators.
    torch.manual_seed(seed_of("augmentation", run.seed, number))
    total = torch.zeros((), device=run.resident.device)
    watched: dict[str, Tensor] = {}
    shown = time.monotonic()
    for step, batch in enumerate(epoch(run.resident, recipe, run.seed, number)):
        lr = learning_rate(number + (step + 1) / run.steps, recipe.epochs, recipe.optimiser.lr, recipe.schedule)
        for group in optim.param_groups:
            group["lr"] = lr
        image, mask, points = run.augmentation(batch.image, batch.mask, batch.points)
        outputs = model(image)
        at = Step(number, recipe.epochs, number * run.steps + step)
        targets = method.targets(Labels(mask, points))
        loss = method.loss(outputs, targets, at, run.options).mean()
        for name, value in method.watch(run.network, outputs, targets).items():
            watched[name] = watched.get(name, 0) + value
        optim.zero_grad(set_to_none=True)
        run.fabric.backward(loss)
        if recipe.grad_clip:
            run.fabric.clip_gradients(model, optim, max_norm=recipe.grad_clip, error_if_nonfinite=False)
        optim.step()
        total += loss.detach()
        bar.update(len(image))
        if not bar.disable and time.monotonic() - shown > SHOW_EVERY_S:
            bar.set_postfix(loss=f"{float(loss.detach()):.3f}", refresh=False)
            shown = time.monotonic()
    mean = float(total) / run.steps
    if not math.isfinite(mean):
        raise InputError(
            f"the loss is {mean} in epoch {number + 1}; lower the learning rate (optimiser.lr) of this recipe"
        )
    means = {name: float(value) / run.steps for name, value in watched.items()}
    return {"epoch": number + 1, "lr": lr, "loss": mean, "score": None, "watched": means}


def _copy(network: nn.Module) -> dict[str, Tensor]:
    return {
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, tensor in network.state_dict().items()
    }


def _save_checkpoint(path: Path, network: nn.Module, optim: torch.optim.Optimizer, state: _State) -> None:
    whole = {"network": network.state_dict(), "optimiser": optim.state_dict(), "state": vars(state)}
    save(path, lambda beside: torch.save(whole, beside))
