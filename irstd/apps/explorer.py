"""Any prediction under a slider: a scene, its truth, the score map, and what a threshold makes of it, in JupyterLab."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import ipywidgets as widgets
import numpy as np
from jaxtyping import Bool, Float, UInt8, UInt16
from matplotlib.figure import Figure
from numpy import ndarray

from irstd.analysis import walk
from irstd.data.prepared import Prepared
from irstd.metrics.conventions import ours
from irstd.metrics.counts import Pair, Scored, count
from irstd.metrics.levels import TOP
from irstd.plots import scenes, style

DRAWN = "drawn scenes, top-hat"
MARGIN_PX = 16  # around what is looked at


@dataclass(frozen=True, slots=True)
class View:
    """One scene. image: grey levels. mask: true on targets. levels: 16-bit scores, or None. points: (N, 3) of row,
    col (px) and score, or None.
    """

    image: UInt8[ndarray, "H W"]
    mask: Bool[ndarray, "H W"]
    levels: UInt16[ndarray, "H W"] | None = None
    points: Float[ndarray, "N 3"] | None = None

    def judged(self, threshold: float) -> Scored:
        """Under our convention at a threshold; a method with map and points is judged by its map."""
        return count(Pair(self.mask, self.levels, self.points if self.levels is None else None), ours(threshold))


@dataclass(frozen=True, slots=True)
class Source:
    """Scenes and predictions of one kind. view: of a scene by name. threshold: what counts as predicted."""

    names: list[str]
    view: Callable[[str], View]
    threshold: float = 0.5


def drawn(count: int = 12, scr: float = 4.0) -> Source:
    """Scenes drawn from seeds 0, 1, …, each with four targets, and the white top-hat's answer: needs no data."""
    wanted = {f"seed {seed}": seed for seed in range(count)}

    def view(name: str) -> View:
        scene = walk.draw(wanted[name], targets=4, scr=scr)
        return View(scene.image, scene.mask, walk.pair(scene.mask, walk.respond(scene.image)).levels)

    return Source(list(wanted), view)


def _of_cell(prepared: Path, predicted: Path, results: Path) -> Source:
    data, scores, points = Prepared(prepared), *(np.load(predicted / f"{k}.npz") for k in ("scores", "points"))
    numbers = {data.names[n]: n for n in range(len(data.names)) if data.names[n] in {*scores.files, *points.files}}

    def view(name: str) -> View:
        number = numbers[name]
        return View(data.image(number), data.mask(number), scores.get(name), points.get(name))

    written = results / "metrics.json"
    stated = json.loads(written.read_text())["threshold"] if written.exists() else None
    return Source(list(numbers), view, 0.5 if stated is None else float(stated))


def found(root: Path | str) -> dict[str, Callable[[], Source]]:
    """Every prediction that the pipeline left below `root`, by dataset, method and seed; each is opened when asked for.

    Drawn scenes come last, so that there is always something to look at.
    """
    root, opened = Path(root), {}
    for path in sorted((root / "runs/predict").glob("*/*/*/test/scores.npz")):
        cell = path.parents[1].relative_to(root / "runs/predict")
        prepared = root / "data/prepared" / cell.parts[0]
        if (prepared / "scenes.csv").exists():
            opened[" · ".join(cell.parts)] = lambda p=prepared, c=cell: _of_cell(
                p, root / "runs/predict" / c / "test", root / "runs/results" / c
            )
    return {**opened, DRAWN: drawn}


def folders(images: Path | str, masks: Path | str, predictions: Path | str) -> dict[str, Callable[[], Source]]:
    """Predictions of anyone's: folders of images, of truth masks, and whatever `irstd score` reads.

    Raises:
        InputError: a folder has nothing, or something that cannot be read.
    """
    from irstd.formats import predictions as reader  # noqa: PLC0415
    from irstd.formats.names import listing, own_names  # noqa: PLC0415
    from irstd.inference import sources  # noqa: PLC0415
    from irstd.metrics.levels import encode  # noqa: PLC0415
    from irstd.scoring import submission  # noqa: PLC0415 - loads torch, which the rest does without

    truth = submission.of_folder(Path(masks))
    given = reader.read(Path(predictions), truth.sizes)
    given.refuse([])
    folder = Path(images)
    pictures = own_names(listing(folder).files, folder, "images", strip=str)

    def view(name: str) -> View:
        score = given.maps.get(name)
        return View(
            sources.read(pictures[name]).grey,
            truth.mask(name) > submission.WHITE // 2,
            None if score is None else encode(score),
            given.points.get(name),
        )

    names = [name for name in truth.sizes if name in pictures]
    return {Path(predictions).name: lambda: Source(names, view)}


def draw(view: View, judged: Scored, threshold: float, window: tuple[slice, slice]) -> bytes:
    """The picture: the scene with its targets, the scores, and what became of targets and regions, as PNG."""
    figure = Figure(figsize=(11, 4.1), layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    image, truth = view.image[window], judged.truth.labels[window].astype(int)
    every = [(number, 0) for number in range(len(judged.truth))]
    scenes.outlined(image, truth, 0 * truth, left, pairs=every).set_title("scene, targets outlined")
    if view.levels is not None:
        scenes.score_map(view.levels[window] / TOP, middle, threshold=threshold).set_title(
            f"score, above {threshold:g}"
        )
        labels = judged.found.labels[window].astype(int)
    else:
        scenes.scattered(image, view.points, middle, window=window, threshold=threshold).set_title("points, by score")
        labels = 0 * truth
    pairs = [(target, region) for target, region, _ in judged.matches]
    scenes.outlined(image, truth, labels, right, pairs=pairs).set_title("found, missed, false")
    if view.levels is None:
        right_points = {region for _, region in pairs}
        scenes.crosses(judged.points, right, window=window, right=right_points)
    scenes.outline_legend(right)
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=90)
    return buffer.getvalue()


class Explorer:
    """The widgets, and what happens when one is moved; `box` is what a notebook shows."""

    def __init__(self, sources: Mapping[str, Callable[[], Source]], threshold: float | None = None) -> None:
        style.theme()
        self.sources, self.wanted, self.busy = sources, threshold, False
        wide = {"layout": widgets.Layout(width="34em"), "style": {"description_width": "7em"}}
        self.source = widgets.Dropdown(options=list(sources), description="predictions", **wide)
        self.scene = widgets.Dropdown(description="scene", **wide)
        self.place = widgets.Dropdown(description="look at", **wide)
        self.threshold = widgets.FloatSlider(
            0.5,
            min=0,
            max=1,
            step=0.005,
            readout_format=".3f",
            description="threshold",
            continuous_update=False,
            **wide,
        )
        self.picture, self.words = widgets.Image(format="png"), widgets.HTML()
        controls = widgets.VBox([self.source, self.scene, self.place, self.threshold])
        self.box = widgets.VBox([controls, self.words, self.picture])
        self.source.observe(self._opened, "value")
        self.scene.observe(self._chosen, "value")
        self.threshold.observe(self._chosen, "value")
        self.place.observe(self._drawn, "value")
        self._opened(None)

    @contextmanager
    def _quiet(self) -> Iterator[None]:
        """Widgets are set together, and drawn once."""
        self.busy = True
        try:
            yield
        finally:
            self.busy = False

    def _opened(self, _change: Any) -> None:
        """Another source: its scenes, the worst first, and its own threshold."""
        self.current: Source = self.sources[self.source.value]()
        threshold = self.current.threshold if self.wanted is None else self.wanted
        options = []
        for name in self.current.names:
            counts = self.current.view(name).judged(threshold).counts
            missed = counts.targets - counts.detected
            options.append(
                (
                    -missed,
                    -counts.false_regions,
                    name,
                    f"{name}: {missed} missed, {counts.false_regions} false above {threshold:g}",
                )
            )
        with self._quiet():
            self.threshold.value = threshold
            self.scene.options = [(text, name) for *_, name, text in sorted(options)]
            self.scene.index = 0 if options else None
            self.place.index = None
        self._chosen(None)

    def _chosen(self, _change: Any) -> None:
        """Another scene or threshold: what is found, and where one may look."""
        if self.busy or self.scene.value is None:
            return
        self.view = self.current.view(self.scene.value)
        self.judged = self.view.judged(self.threshold.value)
        hits, right = ({pair[k] for pair in self.judged.matches} for k in (0, 1))
        places = [("the whole scene", None)]
        for number, (row, col) in enumerate(self.judged.truth.centroids.tolist()):
            places.append((f"target {number}, {'found' if number in hits else 'missed'}", (row, col)))
        for number, (row, col) in enumerate(self.judged.points.tolist()):
            if number not in right:
                places.append((f"false alarm {number}", (row, col)))
        counts = self.judged.counts
        self.words.value = (
            f"<b>{counts.detected} of {counts.targets}</b> targets found, <b>{counts.false_regions}</b> of "
            f"{counts.regions} {'points' if self.view.levels is None else 'regions'} false"
            + ("" if self.view.levels is None else f" ({counts.false_pixels} px), IoU {counts.iou:.1%}")
        )
        kept = (self.place.index or 0) if (self.place.index or 0) < len(places) else 0
        with self._quiet():
            self.place.options = places
            self.place.index = kept
        self._drawn(None)

    def _drawn(self, _change: Any) -> None:
        """The picture of the scene, or of what is looked at."""
        if self.busy:
            return
        window = (slice(None), slice(None))
        if self.place.value is not None:
            window = tuple(slice(max(0, round(x) - MARGIN_PX), round(x) + MARGIN_PX + 1) for x in self.place.value)
        self.picture.value = draw(self.view, self.judged, self.threshold.value, window)
