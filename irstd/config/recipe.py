"""How a method trains, as frozen, validated objects; and the kinds of values that params.yaml is made of."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

Count = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")]

record = dataclass(frozen=True, config={"extra": "forbid", "strict": True})


@record
class Optimiser:
    """Optimiser and learning rate."""

    name: Literal["adam", "adamw", "adagrad", "sgd"]
    lr: Positive
    weight_decay: NonNegative = 0.0
    momentum: Share = 0.9  # sgd only


@record
class Schedule:
    """Learning rate over the training: linear rise over `warmup_epochs`, then constant or cosine to zero."""

    name: Literal["constant", "cosine"] = "constant"
    warmup_epochs: NonNegative = 0.0


@record
class Augment:
    """Random changes of a training crop; `irstd.data.augment` says what each does."""

    flip: Share = 0.5
    transpose: Share = 0.5
    affine: Share = 0.0  # probability of rotation, shift and scale together
    rotate_deg: NonNegative = 45.0
    shift: Share = 0.1  # of the crop's side
    scale: Annotated[float, Field(ge=0, lt=1)] = 0.2
    colour: Share = 0.0  # probability of brightness and contrast together
    brightness: NonNegative = 0.2
    contrast: Annotated[float, Field(ge=0, lt=1)] = 0.2
    noise: Share = 0.0  # probability of sensor noise
    noise_std: tuple[NonNegative, NonNegative] = (0.0124, 0.0277)  # grey levels of 1, least and most
    border: Literal["zeros", "reflection"] = "zeros"  # what a warp brings in from outside
    paste: Share = 0.0  # probability that a crop also gets the targets of another of its batch; needs masks


@record
class Phase:
    """An early part of a training, on crops and batches of its own."""

    until: Share  # of the epochs
    size: Annotated[int, Field(ge=32, le=4096)]  # px
    batch: Count


@record
class Recipe:
    """How a method trains."""

    epochs: Annotated[int, Field(ge=0)]  # 0: nothing is trained, only a threshold chosen; for `baselines`
    batch: Count
    optimiser: Optimiser
    schedule: Schedule = Schedule()
    augment: Augment = Augment()
    # crop: crops in training, whole images in use. tiles: crops in training, overlapping tiles of their side in use.
    # resize: images squeezed to a square in both.
    geometry: Literal["crop", "tiles", "resize"] = "crop"
    size: Annotated[int, Field(ge=32, le=4096)] = 256  # px: side of a crop, a tile, or the resized square
    target_share: Share = 0.5  # of the crops, at least so many contain a target
    mined: Share = 0.0  # of the other crops, placed where the network fired wrongly at the last `validate_every`
    crops: Count = 1  # from each image in an epoch
    validate_every: Count = 1  # epochs
    selection: Literal["validation", "last", "test"] = "validation"
    grad_clip: NonNegative = 0.0  # norm; 0 for none
    threads: Annotated[int, Field(ge=0)] = 0  # of torch on a CPU, if other than train.threads; 0: as train.threads
    phases: tuple[Phase, ...] = ()  # before `size` and `batch` hold, in order of `until`; of crops
    average_epochs: NonNegative = 0.0  # memory of the running average of weights that replaces `best`; 0: no average
    jitter: NonNegative = 0.0  # deviation of point labels from centroids, in halves of the target's box
