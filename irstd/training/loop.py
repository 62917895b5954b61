"""The one training loop, for every method.

What a run does depends on its inputs alone: each epoch draws from generators seeded with the run's seed and
the epoch's number, so a killed run that starts again from the last finished epoch ends, on the CPU, with
weights equal to the bit. Needs torch, lightning-fabric, numpy, scipy and kornia only.
"""

from __future__ import annotations

import copy
import math
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from numpy import ndarray
from torch import Tensor, nn
from tqdm import tqdm

from irstd.data.augment import Augmentation
from irstd.data.batches import Resident, epoch, phase, seed_of, steps
from irstd.data.clicks import Clicks, PointView
from irstd.data.prepared import Prepared
from irstd.errors import InputError
from irstd.inference.predict import Predicted, predict
from irstd.methods import Labels, Method, Step
from irstd.training import checks, mining, ranks
from irstd.training.selection import score
from irstd.training.steps import learning_rate, optimiser

SHOW_EVERY_S = 1.0  # the loss is read from the device so often, for the progress bar
LOG_EVERY_S = 10.0  # a line of progress so often where there is no terminal


@dataclass(frozen=True, slots=True)
class Fitted:
    """What a training leaves.

    best, last: weights of the chosen and of the last epoch; `best` is the running average of all weights where the
        recipe asks for one, and is then of the last epoch. best_epoch: counted from 1.
    threshold: that scores must exceed: the method's own, or chosen together with the epoch.
    history: one row per epoch: epoch (from 1), lr, loss, score (None where not validated; of the average where there is
        one), pixels (seen so far), cpu_s (of all threads so far, s), and watched, what the method's `watch` gives.
    wall_s: time spent, in all the processes that a killed run took.
    """

    best: dict[str, Tensor]
    last: dict[str, Tensor]
    best_epoch: int
    threshold: float
    history: list[dict[str, Any]]
    wall_s: float


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
    average: _Average | None


class _Average:
    """Running average of a network's weights and buffers over its steps: an exponential one, whose memory grows with
    the steps taken until it reaches `memory`, so that the first weights are soon forgotten.
    """

    def __init__(self, network: nn.Module, memory: float) -> None:
        self.network, self.memory = network, memory
        self.own, self.steps = copy.deepcopy(network), 0

    def update(self) -> None:
        self.steps += 1
        share = 1 / min(self.memory, 1 + self.steps / 8)
        pairs = [(a, b) for a, b in zip(_tensors(self.own), _tensors(self.network), strict=True)]
        real = [(a, b) for a, b in pairs if a.dtype.is_floating_point]
        torch._foreach_lerp_([a for a, _ in real], [b.detach() for _, b in real], share)
        for a, b in pairs:
            if not a.dtype.is_floating_point:
                a.copy_(b)

    def synchronised(self) -> nn.Module:
        """The averaged network, in the state besides tensors that the trained one is in, such as a warm-up."""
        extra = {n: v for n, v in self.network.state_dict().items() if n.endswith("_extra_state")}
        self.own.load_state_dict(self.own.state_dict() | extra)
        return self.own


def _tensors(network: nn.Module) -> list[Tensor]:
    """Parameters and buffers, those not stored included, without gradients."""
    return [t.data for t in (*network.parameters(), *network.buffers())]


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
    cpu_s: float = 0.0
    pixels: int = 0
    average_steps: int = 0
    places: Tensor | None = None  # that `recipe.mined` places crops at


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
    devices: int = 1,
    on_epoch: Callable[[dict[str, Any]], None] = lambda _row: None,
    on_validation: Callable[[dict[str, Any], dict[str, list[Predicted]]], None] | None = None,
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
        devices: that share each batch; more than one start this program again for each, and each returns from here.
            The first alone validates, saves, reports, and returns what was chosen.
        on_epoch: called with each new row of the history.
        on_validation: called after each validation with the row so far and the predictions of the `raw` weights and,
            if there are, the `averaged` ones; without it only those that are scored are predicted.
        progress: whether to show a bar with loss, images/s and time left.

    Raises:
        InputError: the size does not suit the method, the loss is no longer finite, or a checkpoint cannot be
            written.
    """
    checks.suits(method, recipe)
    fabric = ranks.fabric(on, in_precision, devices)
    first = fabric.is_global_zero
    if fabric.world_size > 1:
        checks.shared_evenly(recipe, len(training), fabric.world_size)
        on, network = fabric.device, ranks.synchronised(network, on)
    square = recipe.size if recipe.geometry == "resize" else None
    # From here on a method supervised by points cannot come by a mask.
    by_points = method.supervision == "point"
    scenes = PointView(prepared, Clicks(prepared, recipe.jitter, seed, clicks)) if by_points else prepared
    least = max(recipe.size, *(p.size for p in recipe.phases), 1)
    resident = Resident(scenes, training, on, least=least, square=square)
    images = [scenes.image(n) for n in validation]
    truth = [(None if by_points else scenes.mask(n), scenes.points[n]) for n in validation]
    network = network.to(memory_format=torch.channels_last)  # up to a fifth faster, also on a CPU
    # A fused step undoes half precision's loss scale itself, too late for clipping.
    fused = not (recipe.grad_clip and in_precision == "16-mixed")
    model, optim = fabric.setup(network, optimiser(network, recipe.optimiser, fused=fused))
    average = None
    if recipe.average_epochs:
        per_epoch = steps(len(resident), recipe, recipe.epochs - 1)[0]
        average = _Average(network, max(1.0, recipe.average_epochs * per_epoch))
    state = _resumed(checkpoint, network, optim, average)
    run = _Run(
        method, options, recipe, network, model, optim, fabric, resident, Augmentation(recipe.augment), seed, average
    )
    counts = [math.prod(steps(len(resident), recipe, number)) for number in range(recipe.epochs)]
    saved_at = since = time.monotonic()
    cpu = time.process_time()
    with tqdm(
        total=sum(counts), initial=sum(counts[: state.epoch]),
        unit="img", desc=f"epoch {state.epoch + 1}/{recipe.epochs}", disable=not (progress and first),
        mininterval=SHOW_EVERY_S if sys.stderr.isatty() else LOG_EVERY_S,
    ) as bar:  # fmt: skip
        while state.epoch < recipe.epochs:
            bar.set_description(f"epoch {state.epoch + 1}/{recipe.epochs}")
            row = _train_epoch(run, state.epoch, bar, _places(run, state, scenes))
            state.epoch += 1
            state.pixels += counts[state.epoch - 1] * phase(recipe, state.epoch - 1)[0] ** 2
            state.cpu_s, cpu = state.cpu_s + ranks.total(time.process_time() - cpu, fabric), time.process_time()
            row |= {"pixels": state.pixels, "cpu_s": state.cpu_s}
            last = state.epoch == recipe.epochs
            if first and validation and (last or state.epoch % recipe.validate_every == 0):
                predicted = _validate(run, state, row, images, truth, both=on_validation is not None)
                if on_validation:
                    on_validation(row, predicted)
                cpu = time.process_time()  # what is judged beside the training is no part of it
            state.history.append(row)
            state.wall_s, since = state.wall_s + time.monotonic() - since, time.monotonic()
            if first and checkpoint is not None and (last or time.monotonic() - saved_at > checkpoint_s):
                # Kept also at the end, until the caller has the weights in place.
                _save_checkpoint(checkpoint, network, optim, state, average)
                saved_at = time.monotonic()
            if first:
                on_epoch(row)
            fabric.barrier()  # what the first does alone, the others wait for
    return _finished(run, state)


def _resumed(checkpoint: Path | None, network: nn.Module, optim: Any, average: _Average | None) -> _State:
    """The state that a checkpoint holds, its tensors put in place; a new one where there is none."""
    if checkpoint is None or not checkpoint.exists():
        return _State()
    saved = torch.load(checkpoint, map_location="cpu", weights_only=True)
    network.load_state_dict(saved["network"])
    optim.load_state_dict(saved["optimiser"])
    state = _State(**saved["state"])
    if average is not None:
        average.own.load_state_dict(saved["average"])
        average.steps = state.average_steps
    return state


def _validate(
    run: _Run, state: _State, row: dict[str, Any], images: list[ndarray], truth: list[tuple[Any, Any]], *, both: bool
) -> dict[str, list[Predicted]]:
    """Scores the weights of this epoch, or their average, and keeps what that chooses; the predictions by weights.

    Args:
        both: predict with the raw weights too where the average is scored.
    """
    judged = {"raw": run.model} if run.average is None or both else {}
    if run.average is not None:
        judged["averaged"] = run.average.synchronised()
    predicted = {kind: _predicted(run, network, images) for kind, network in judged.items()}
    row["score"], threshold = score(predicted[list(judged)[-1]], truth, run.method.threshold)
    if run.average is not None:
        state.threshold = threshold
    elif row["score"] > state.best_score:
        state.best_score, state.best_epoch, state.best = row["score"], state.epoch, _copy(run.network)
        state.threshold = threshold
    return predicted


def _places(run: _Run, state: _State, scenes: Any) -> Tensor | None:
    """Where weights, or their average, fired wrongly in the scenes that are learnt from; looked for again when due."""
    if not run.recipe.mined or not state.epoch or state.epoch % run.recipe.validate_every:
        return state.places
    found = []
    if run.fabric.is_global_zero:
        network = run.model if run.average is None else run.average.synchronised()
        threshold = 0.5 if run.method.threshold is None else run.method.threshold
        for number in run.resident.numbers:
            mask = None if run.method.supervision == "point" else scenes.mask(number)
            (one,) = _predicted(run, network, [scenes.image(number)])
            found.append(mining.false_alarms(one, mask, scenes.points[number], threshold))
    state.places = run.fabric.broadcast(mining.table(found))
    return state.places


def _predicted(run: _Run, network: nn.Module, images: list[ndarray]) -> list[Predicted]:
    """What a network says of each image; the average is one beside that which Fabric wraps, in the same precision."""
    with run.fabric.autocast():
        return list(
            predict(
                network, run.method, run.options, images,
                device=run.resident.device, geometry=run.recipe.geometry, side=run.recipe.size,
            )
        )  # fmt: skip


def _finished(run: _Run, state: _State) -> Fitted:
    final = _copy(run.network)
    best, epoch_of_best = state.best or final, state.best_epoch or state.epoch
    if run.average is not None:
        best, epoch_of_best = _copy(run.average.synchronised()), state.epoch
    threshold = run.method.threshold if state.threshold is None else state.threshold
    # Choice: without validation scenes there is nothing to choose by, and one half it is.
    return Fitted(best, final, epoch_of_best, 0.5 if threshold is None else threshold, state.history, state.wall_s)


def _train_epoch(run: _Run, number: int, bar: tqdm, places: Tensor | None) -> dict[str, Any]:
    method, recipe, model, optim = run.method, run.recipe, run.model, run.optim
    model.train()
    before = sum(steps(len(run.resident), recipe, n)[0] for n in range(number))
    count = steps(len(run.resident), recipe, number)[0]
    method.at_epoch(model, Step(number, recipe.epochs, before), run.options)
    # Augmentation and dropout draw from the global generators.
    torch.manual_seed(seed_of("augmentation", run.seed, number))
    total = torch.zeros((), device=run.resident.device)
    watched: dict[str, Tensor] = {}
    shown = time.monotonic()
    world = run.fabric.world_size
    ranked = None if world == 1 else (run.fabric.global_rank, world)
    for step, batch in enumerate(epoch(run.resident, recipe, run.seed, number, places)):
        lr = learning_rate(number + (step + 1) / count, recipe.epochs, recipe.optimiser.lr, recipe.schedule)
        for group in optim.param_groups:
            group["lr"] = lr
        image, mask, points = run.augmentation(batch.image, batch.mask, batch.points)
        outputs = (
            model(image)
            if ranked is None
            else ranks.whole(model(ranks.part(image, *ranked)), *ranked, len(image) // ranked[1])
        )
        at = Step(number, recipe.epochs, before + step)
        targets = method.targets(Labels(mask, points))
        loss = method.loss(outputs, targets, at, run.options).mean()
        for name, value in method.watch(run.network, outputs, targets).items():
            watched[name] = watched.get(name, 0) + value
        optim.zero_grad(set_to_none=True)
        # Ranks' gradients are averaged, and each is of its own part of the one loss: their sum is meant.
        run.fabric.backward(loss if ranked is None else loss * world)
        if recipe.grad_clip:
            run.fabric.clip_gradients(model, optim, max_norm=recipe.grad_clip, error_if_nonfinite=False)
        optim.step()
        if run.average is not None:
            run.average.update()
        total += loss.detach()
        bar.update(len(image))
        if not bar.disable and time.monotonic() - shown > SHOW_EVERY_S:
            bar.set_postfix(loss=f"{float(loss.detach()):.3f}", refresh=False)
            shown = time.monotonic()
    mean = float(total) / count
    if not math.isfinite(mean):
        raise InputError(
            f"the loss is {mean} in epoch {number + 1}; lower the learning rate (optimiser.lr) of this recipe"
        )
    means = {name: float(value) / count for name, value in watched.items()}
    return {"epoch": number + 1, "lr": lr, "loss": mean, "score": None, "watched": means}


def _copy(network: nn.Module) -> dict[str, Tensor]:
    return {
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, tensor in network.state_dict().items()
    }


def _save_checkpoint(
    path: Path, network: nn.Module, optim: torch.optim.Optimizer, state: _State, average: _Average | None
) -> None:
    whole = {"network": network.state_dict(), "optimiser": optim.state_dict(), "state": vars(state)}
    if average is not None:
        state.average_steps = average.steps
        whole["average"] = average.own.state_dict()
    save(path, lambda beside: torch.save(whole, beside))
