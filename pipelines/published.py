"""Published weights put to use: what the stages that score them share."""

from collections.abc import Iterable, Sequence

import torch
from numpy import ndarray

from irstd import params, scoring, training, weights
from irstd.metrics.conventions import Convention, ours
from irstd.metrics.counts import Pair
from irstd.prediction import encode, predict
from pipelines import WEIGHTS, repeatable


class Published:
    """Weights of a dataset's row, on the device of params.yaml."""

    def __init__(self, given: params.Params, dataset: str, method: str) -> None:
        self.device = training.device(given.train.device)
        repeatable(given.recipe(dataset, method).threads or given.train.threads, self.device.type)
        self.loaded = weights.load(WEIGHTS / dataset / f"{method}.safetensors")
        self.loaded.network.to(self.device, memory_format=torch.channels_last)
        self.convention = ours(self.loaded.label.threshold)  # at the threshold that belongs to the weights

    def score(
        self, images: Sequence[ndarray], masks: Iterable[ndarray], conventions: Sequence[Convention] = ()
    ) -> scoring.Scored:
        """Scores of images under our convention, and under others besides."""
        one, label = self.loaded, self.loaded.label
        found = predict(
            one.network, one.method, one.options, images, device=self.device, geometry=label.geometry, side=label.side
        )
        pairs = (
            Pair(mask, None if p.score is None else encode(p.score), p.points if p.score is None else None)
            for mask, p in zip(masks, found, strict=True)
        )
        return scoring.score(pairs, (self.convention, *conventions))
