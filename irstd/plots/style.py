"""One look for all figures: palette by position, sizes, and saving that gives the same bytes every time."""

from __future__ import annotations

from binascii import b2a_base64
from collections.abc import Iterable, Sequence
from io import BytesIO
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from IPython.display import display
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

WIDTH_IN = 7.0  # of a full-width figure
SCREEN_DPI = 110
PALETTE = "colorblind"
LINES = ("-", "--", ":", "-.")  # beside colour, so that print without colours can be read
TRUTH, HIT, MISS, FALSE = "#009E73", "#56B4E9", "#D55E00", "#E69F00"
GREYS = {
    "top_hat": "0.0",
    "max_median": "0.28",
    "mpcm": "0.44",
    "pstnn": "0.58",
}  # classical detectors, out of the palette; the lightest is 3 to 1 on white
OUTCOMES = {"hit": HIT, "miss": MISS, "false alarm": FALSE}


def theme() -> None:
    """Sets fonts, sizes and grid for all figures made after."""
    sns.set_theme(context="paper", style="whitegrid", palette=PALETTE)
    mpl.rcParams.update(
        {
            "figure.dpi": SCREEN_DPI,
            "savefig.dpi": 130,  # of pictures within an SVG; what is drawn has none
            "path.simplify_threshold": 0.5,  # px by which a line may be straightened: curves of hundreds of levels
            "savefig.bbox": "tight",
            "svg.hashsalt": "irstd",  # else ids in an SVG are random
            "svg.fonttype": "none",  # text stays text: light, and can be searched
            "axes.titlesize": 10,
            "legend.frameon": True,
            "image.cmap": "gray",
            "image.interpolation": "none",  # an SVG holds pictures at their own size
        }
    )


def colours(methods: Sequence[str]) -> dict[str, tuple[float, float, float] | str]:
    """A colour for each method by its place in params.yaml: a list that only grows keeps its colours.

    Classical detectors are grey, wherever they stand in the list.
    """
    palette = sns.color_palette(PALETTE, 10)
    learnt = [method for method in methods if method not in GREYS]
    return GREYS | {method: palette[place % len(palette)] for place, method in enumerate(learnt)}


def plain_log(axis: Axis) -> None:
    """Ticks of a logarithmic axis as numbers, few enough to be read: 1, 2, 5 within a decade or two, else powers."""
    low, high = axis.get_view_interval()
    decades = np.log10(high / low) if low > 0 else 9.0
    axis.set_major_locator(LogLocator(10, (1, 2, 5) if decades < 1 else (1, 3) if decades < 2 else (1,)))
    if decades < 4:
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


UNITS = ("px", "%", "°", "ms", "min", "MB", "1e6", "1e9", "per million", "grey levels", "halves of", "no unit")
COUNTED = ("0 to 1", "sum 1", "number", "epoch", "1 is best", "rank", "share", "ratio", "/", "rate", "slope", "score")


def unlabelled(figure: Figure) -> list[str]:
    """What a reader could not tell: axes with ticks but without a label, or with numbers but without a unit.

    Args:
        figure: drawn.

    Returns:
        A sentence for each; empty for a figure that may be published.
    """
    faults = []
    for ax in figure.axes:
        for name, axis in (("x", ax.xaxis), ("y", ax.yaxis)):
            ticks = [t.get_text() for t in axis.get_ticklabels() if t.get_visible() and t.get_text()]
            if not ax.axison or not ticks:
                continue
            label = axis.get_label_text()
            numbers = all(t.lstrip("−-+").replace(".", "").replace(",", "").isdigit() for t in ticks)
            if not label:
                faults.append(f"the {name} axis of {ax.get_title()!r} has no label")
            elif numbers and not any(word in label for word in UNITS + COUNTED):
                faults.append(f"the {name} axis {label!r} has no unit")
    return faults


def described(figure: Figure, name: str) -> str:
    """What a figure shows, in words: its axes, the titles of its panels, and the series of its legends."""
    axes = [ax for ax in figure.axes if ax.axison]
    over, of = (_unlike(getattr(ax, f"get_{a}label")() for ax in axes) for a in "xy")
    titles = _unlike([figure.get_suptitle(), *(ax.get_title() for ax in figure.axes)])
    legends = [legend for ax in figure.axes if (legend := ax.get_legend())]
    series = _unlike(text.get_text() for legend in legends for text in legend.get_texts())
    words = [" over ".join(filter(None, [", ".join(of), ", ".join(over)])), ", ".join(titles), ", ".join(series)]
    said = "; ".join(filter(None, [name.replace("-", " "), *words]))
    return said.replace("[", "(").replace("]", ")").replace("$", "")


def _unlike(words: Iterable[str]) -> list[str]:
    """Each once, in a line, without those that say nothing."""
    return list(dict.fromkeys(" ".join(word.split()) for word in words if word.strip() and not word.startswith("_")))


def save(figure: Figure, folder: Path | str, name: str) -> None:
    """Writes `name.svg` to `folder`, without a date, and shows the figure in a notebook.

    The picture shown knows the file's name, so that an export to Markdown links to it.

    Raises:
        ValueError: an axis does not say what it shows, or in which unit.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    figure.savefig(folder / f"{name}.svg", metadata={"Date": None})
    if faults := unlabelled(figure):
        raise ValueError(f"{name}: {'; '.join(faults)}; label them before the figure is saved")
    show(figure, name, (folder / f"{name}.svg").as_posix())


def show(figure: Figure, name: str, link: str | None = None) -> None:
    """Shows a figure in a notebook without keeping a file, and closes it.

    Args:
        name: of the figure, with which the text for readers who cannot see it begins.
        link: a file with the figure, which an export to Markdown links to.
    """
    said = described(figure, name)
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=130, metadata={"Software": None})
    width = round(figure.get_figwidth() * SCREEN_DPI)
    plt.close(figure)
    about = {"alt": said, "width": width}
    metadata = {"image/png": about, **({"filenames": {"image/png": link}} if link else {})}
    display({"image/png": b2a_base64(buffer.getvalue(), newline=False).decode()}, metadata=metadata, raw=True)
