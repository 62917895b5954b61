"""One look for all figures: palette by position, sizes, and saving that gives the same bytes every time."""

from __future__ import annotations

from binascii import b2a_base64
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import seaborn as sns
from IPython.display import display
from matplotlib.figure import Figure

WIDTH_IN = 7.0  # of a full-width figure
PALETTE = "colorblind"
LINES = ("-", "--", ":", "-.")  # beside colour, so that print without colours can be read
TRUTH, HIT, MISS, FALSE = "#009E73", "#56B4E9", "#D55E00", "#E69F00"
GREYS = {
    "top_hat": "0.15",
    "max_median": "0.4",
    "mpcm": "0.6",
    "pstnn": "0.75",
}  # classical detectors, out of the palette
OUTCOMES = {"hit": HIT, "miss": MISS, "false alarm": FALSE}


def theme() -> None:
    """Sets fonts, sizes and grid for all figures made after."""
    sns.set_theme(context="paper", style="whitegrid", palette=PALETTE)
    mpl.rcParams.update(
        {
            "figure.dpi": 110,
            "savefig.dpi": 200,
            "savefig.bbox": "tight",
            "svg.hashsalt": "irstd",  # else ids in an SVG are random
            "svg.fonttype": "none",  # text stays text: light, and can be searched
            "axes.titlesize": 10,
            "legend.frameon": True,
            "image.cmap": "gray",
            "image.interpolation": "nearest",
        }
    )


def colours(methods: Sequence[str]) -> dict[str, tuple[float, float, float] | str]:
    """A colour for each method by its place in params.yaml: a list that only grows keeps its colours.

    Classical detectors are grey, wherever they stand in the list.
    """
    palette = sns.color_palette(PALETTE, 10)
    learnt = [method for method in methods if method not in GREYS]
    return GREYS | {method: palette[place % len(palette)] for place, method in enumerate(learnt)}


def save(figure: Figure, folder: Path | str, name: str) -> None:
    """Writes `name.svg` and `name.png` to `folder`, without dates, and shows the figure in a notebook.

    The picture shown knows the file's name, so that an export to Markdown links to it.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    figure.savefig(folder / f"{name}.svg", metadata={"Date": None})
    figure.savefig(folder / f"{name}.png", metadata={"Software": None})
    show(figure, name, f"figures/{folder.name}/{name}.png")


def show(figure: Figure, name: str, link: str | None = None) -> None:
    """Shows a figure in a notebook and closes it.

    Args:
        name: what a reader is told who cannot see it.
        link: the file that an export to Markdown names in its stead.
    """
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=130, metadata={"Software": None})
    plt.close(figure)
    metadata = {"image/png": {"alt": name.replace("-", " ")}, **({"filenames": {"image/png": link}} if link else {})}
    display({"image/png": b2a_base64(buffer.getvalue(), newline=False).decode()}, metadata=metadata, raw=True)
