"""What readers know, for help and messages: loads at once, since `--help` prints it."""

from typing import Literal

ANNOTATIONS = "a CSV of points or boxes, a COCO JSON, or a folder of YOLO, VOC or LabelMe labels"
Stretch = Literal["range", "max"]
STRETCHES: tuple[Stretch, ...] = ("range", "max")
FIXES = {  # kind of problem: what it says of the names, and the fix
    "missing": ("no prediction for", "add them"),
    "extra": ("no scene of this name for", "take them out"),
    "size": ("another size than the image in", "predict at native size, or stretch them with --fit"),
    "unreadable": ("not readable:", "replace them"),
    "nan": ("NaN or infinite scores in", "correct the method"),
    "range": (
        "scores outside [0, 1] in",
        "give probabilities (grey levels of floats over 255); of maps, logits with --logits, or responses with "
        "--stretch range; of points, scores from 0 to 1",
    ),
    "outside": (
        "places outside the image in",
        "give row and col in px (row is y, col is x), and boxes as their format has them (COCO: left, top, width, "
        "height)",
    ),
    "most": (
        "most pixels count as found in",
        "maps have 1, or 255, at targets: turn them over if they are inverted, raise --threshold if it is too low, or "
        "score them as they are with --as-given",
    ),
}
LEFT_OUT = tuple(kind for kind in FIXES if kind != "most")
STATED = {  # of a method, in a submission's card
    "paper": "address or doi of the paper",
    "code": "address of the code, with its commit",
    "authors": "who submits",
    "labels": "what it was trained with: masks, points, boxes or none",
    "trained_on": "what it was trained on, where that is not the dataset's training scenes alone",
    "parameters": "how many it learns",
    "hub_dataset": "dataset of the Hugging Face Hub whose leaderboard it enters, OWNER/NAME: scores in its format too",
    "note": "anything else",
}
