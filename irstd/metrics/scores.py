"""The scores: what each is called, in which unit it is shown, and which way is better."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Score:
    """title: in words. heading: of a column of a table, with its unit. axis: of a figure, with its unit. factor: from a
    value as records hold it to that unit. least: whether the least is the best.
    """

    title: str
    heading: str
    axis: str
    factor: float = 100.0
    least: bool = False


def _share(title: str, rule: str = "") -> Score:
    """A share, shown in %; `rule` says by which it is counted."""
    return Score(title + rule, f"{title} %{rule}", f"{title}{rule}, %")


SCORES: dict[str, Score] = {
    "iou": _share("IoU"),
    "niou": _share("nIoU"),
    "pd": _share("Pd"),
    "fa_per_million": Score("Fa", "Fa ×1e-6", "Fa, false pixels per million", 1.0, least=True),
    "pixel_f1": _share("pixel F1"),
    "target_f1": Score("target F1, as scored there", "target F1 %, as scored there", "target F1, %"),
    "f1": _share("target F1"),
    "point_f1": _share("point F1"),
    "point_f1_3px": _share("point F1", " at 3 px"),
    "point_f1_5px": _share("point F1", " at 5 px"),
}
