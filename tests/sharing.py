"""A few epochs in float64, alone or as one of several ranks: METHOD SCENES OUT [KILL_AFTER]; see test_ranks.py."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import torch

from irstd import methods
from irstd.config import params
from irstd.data.prepared import Prepared
from irstd.training import loop, ranks

OPTIONS = {"ggl_net": {"width": 8}, "gaussian_pinwheel": {"warm_epochs": 1}, "point_regression": {}}
RECIPE = params.Recipe(
    epochs=3,
    batch=4,
    size=32,
    # Not Adam, which divides slopes by their own size: of one that is all rounding it makes a whole step.
    optimiser=params.Optimiser("sgd", 1e-3),
    schedule=params.Schedule("cosine", 0.5),
    augment=params.Augment(flip=0.5, transpose=0.5, affine=0.5, colour=0.5, noise=0.5),
    mined=0.5,
    validate_every=1,
)


single = torch.Tensor.float


def main(name, scenes, out, kill_after=None):
    torch.set_num_threads(1)
    # Losses want single precision at least; here they are to have double, which they do not lower.
    torch.Tensor.float = lambda tensor: tensor if tensor.dtype == torch.float64 else single(tensor)
    method = methods.get(name)
    options = method.options(**OPTIONS[name])
    folder = Path(out)
    torch.manual_seed(5)
    network = method.build(options).double()

    def told(row):
        if kill_after and row["epoch"] == int(kill_after):
            raise KeyboardInterrupt

    # The loss pools over the batch, so that parts of it would not do.
    if name == "gaussian_pinwheel":
        options = replace(options, empty="batch")
    fitted = loop.fit(
        method, options, network, RECIPE, Prepared(Path(scenes)), training=range(8), validation=[8, 9], seed=1,
        on=torch.device("cpu"), in_precision="64-true", checkpoint=folder / "run.pt", checkpoint_s=0.0, on_epoch=told,
    )  # fmt: skip
    if ranks.first(1):
        torch.save({"best": fitted.best, "last": fitted.last}, folder / "fitted.pt")
        history = [{k: row[k] for k in ("epoch", "lr", "loss", "score", "watched")} for row in fitted.history]
        (folder / "history.json").write_text(json.dumps({"rows": history, "threshold": fitted.threshold}))


if __name__ == "__main__":
    main(*sys.argv[1:])
