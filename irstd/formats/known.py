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
        "--stretch range",
    ),
    "outside": ("places outside the image in", "give row and col in px (row is y, col is x)"),
}
LEFT_OUT = tuple(FIXES)
