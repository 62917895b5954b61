"""The scale losses over the area error: weight, slope and loss, in closed form and by autograd; and over trainings."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import torch
from torch import Tensor

from irstd.losses.scale import WEIGHTS, alpha, slope

TRUE_PX = (4.0, 20.0, 80.0)  # true areas: a small, a usual and a large target
LARGEST = 6.0  # predicted areas go to so many times the true one
STEPS = 120


def _autograd(values: Tensor, at: Tensor) -> Tensor:
    (slopes,) = torch.autograd.grad(values.sum(), at)
    return slopes


def over_area(true_px: Sequence[float] = TRUE_PX) -> pd.DataFrame:
    """Each loss at many predicted areas, of a prediction that holds the target or lies in it (IoU = m / M).

    Columns: as the schema `gradients` says. Computed in double precision.
    """
    tables = []
    for true in true_px:
        areas = torch.linspace(1, STEPS, STEPS, dtype=torch.double) * (LARGEST * true / STEPS)
        for name in WEIGHTS:
            p, t = areas.clone().requires_grad_(), torch.full_like(areas, true)
            weight = alpha(name, p, t)
            by_autograd = _autograd(weight, p)
            loss = 1 - alpha(name, p, t) * torch.minimum(p, t) / torch.maximum(p, t)
            loss_slope = _autograd(loss, p)
            closed = slope(name, areas, t)
            # At the true area itself there is a corner, and no direction is wrong.
            wrong = (closed * (t - areas) < 0) & (areas != t)
            columns = {
                "weight": name, "true_px": true, "predicted_px": areas, "alpha": weight.detach(), "slope": closed,
                "slope_autograd": by_autograd, "loss": loss.detach(), "loss_slope": loss_slope, "wrong": wrong.int(),
            }  # fmt: skip
            tables.append(pd.DataFrame({k: v.numpy() if isinstance(v, Tensor) else v for k, v in columns.items()}))
    return pd.concat(tables, ignore_index=True)


def over_training(watched: pd.DataFrame) -> pd.DataFrame:
    """What each weight says at the areas that trainings went through.

    Args:
        watched: dataset, method, seed, epoch, quantity and value, with the quantities `predicted area` and
            `true area` (px, means over an epoch's images with a target).

    Returns:
        A row for each of them and each weight: as the schema `histories` says.
    """
    keys = ["dataset", "method", "seed", "epoch"]
    areas = watched[watched["quantity"].isin(["predicted area", "true area"])]
    wide = areas.pivot_table(index=keys, columns="quantity", values="value").reset_index()
    p, t = (torch.tensor(wide[name].to_numpy(float)) for name in ("predicted area", "true area"))
    named = wide.rename(columns={"predicted area": "predicted_px", "true area": "true_px"})
    return pd.concat(
        [
            named.assign(weight=name, alpha=alpha(name, p, t).numpy(), slope=slope(name, p, t).numpy())
            for name in WEIGHTS
        ],
        ignore_index=True,
    )
