"""Packed weights put to use: what the stages that score them share."""

from collections.abc import Iterable, Sequence

import torch
from numpy import ndarray

from irstd.config import params
from irstd.data.prepared import Prepared
from irstd.errors import InputError
from irstd.inference import devices, weights
from irstd.inference.predict import predict
from irstd.metrics.conventions import FIELD, Convention, ours
from irstd.metrics.counts import Pair
from irstd.metrics.levels import encode
from irstd.scoring import totals
from pipelines import WEIGHTS, repeatable


class Packed:
    """Weights of a dataset's row, on the device of params.yaml.

    Raises:
        InputError: they were trained on another split than params.yaml names now, whose test scenes they may know.
    """

    def __init__(self, given: params.Params, dataset: str, method: str) -> None:
        entry = given.data(dataset)
        self.device = devices.device(given.train.device)
        repeatable(given.recipe(dataset, method).threads or given.train.threads, self.device.type)
        self.loaded = weights.load(WEIGHTS / dataset / f"{method}.safetensors")
        label = self.loaded.label
        if label.split != entry.split:
            raise InputError(
                f"the published weights of {method} were trained on split {label.split} of {dataset}, but params.yaml "
                f"names {entry.split}; publish others, or name that split"
            )
        self.loaded.network.to(self.device, memory_format=torch.channels_last)  # up to twice as fast, also on a CPU
        wanted = given.evaluate
        self.convention = ours(label.threshold, wanted.match_px, wanted.connectivity)

    def score_scenes(self, prepared: Prepared, numbers: Sequence[int]) -> totals.Scored:
        """Scores on scenes of a dataset, under our convention and those of the field."""
        return self.score([prepared.image(n) for n in numbers], (prepared.mask(n) for n in numbers), FIELD)

    def score(
        self, images: Sequence[ndarray], masks: Iterable[ndarray], conventions: Sequence[Convention] = ()
    ) -> totals.Scored:
        """Scores under our convention and others; points are those above the threshold of the weights."""
        one, label = self.loaded, self.loaded.label
        found = predict(
            one.network, one.method, one.options, images, device=self.device, geometry=label.geometry, side=label.side
        )
        pairs = (
            Pair(mask, None if p.score is None else encode(p.score), p.points if p.score is None else None)
            for mask, p in zip(masks, found, strict=True)
        )
        return totals.score(pairs, (self.convention, *conventions), points_above=label.threshold)
