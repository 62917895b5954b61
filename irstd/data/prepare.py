"""From a raw dataset to a prepared one: grey levels, bit masks, targets; every oddity handled and counted.

Native sizes are kept: resizing and cropping belong to a method.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float64, UInt8
from numpy import ndarray
from PIL import Image
from tqdm import tqdm

from irstd.data import own, raw
from irstd.errors import InputError
from irstd.formats import images, labels, marks, masks, text
from irstd.formats.names import listing, own_names
from irstd.formats.pixels import UnreadableError
from irstd.metrics.regions import regions

NEAR = 0.99  # correlation of thumbnails above which two scenes are of one group
THUMBNAIL_PX = 16
NEIGHBOURHOOD_PX = 20  # half side of the box around a target in which clutter is measured (IPI, TIP 2013)

QUIRKS = {
    "colour": "images whose channels differ; read as ITU-601 luma",
    "mask_size": "masks one pixel larger or smaller than their image; cut, or continued with background",
    "mask_grey": "masks with values other than 0 and 255; a pixel counts above 127",
    "odd_size": "images whose sides are no multiple of 32; kept, methods pad them",
    "no_target": "images without a target; kept",
    "border": "targets that touch the image border; kept",
    "single_pixel": "targets of one pixel; kept",
    "dark": "targets darker than their surroundings; kept",
}
DEEP = "of more than 8 bits; stretched to 0 to 255 from their own lowest and highest level, or the levels given"


@dataclass(frozen=True, slots=True)
class Pair:
    """One scene, decoded: grey levels, mask, and its oddities. notes: what the image was taken for."""

    name: str
    image: UInt8[ndarray, "H W"]
    mask: Bool[ndarray, "H W"]
    colour: bool
    mask_size: bool
    mask_grey: bool
    deep: bool = False
    notes: tuple[str, ...] = ()


def read_image(path: Path, levels: images.Levels | None = None) -> images.Grey:
    """Decodes an image.

    Raises:
        InputError: it is damaged.
    """
    try:
        return images.read(path, levels)
    except (UnreadableError, OSError) as error:
        raise InputError(f"{'/'.join(path.parts[-3:])} is damaged or no image ({error}); replace the file") from None


def read_pair(
    name: str, image_path: Path, mask_path: Path, meaning: masks.Meaning, levels: images.Levels | None = None
) -> Pair:
    """Decodes an image and its mask.

    Args:
        meaning: of the values of masks, decided for the whole dataset.
        levels: that become black and white in images of more than 8 bits; each image's own if not given.

    Raises:
        InputError: a file is damaged, or the sizes differ by more than one pixel.
    """
    grey = read_image(image_path, levels)
    layer = _layer(mask_path)
    shape, got = grey.levels.shape, layer.codes.shape
    if max(abs(a - b) for a, b in zip(shape, got, strict=True)) > 1:
        raise InputError(
            f"{name}: the mask is {got[1]}×{got[0]} px but the image {shape[1]}×{shape[0]}; replace the mask"
        )
    fitted = masks.cut(meaning.grey(layer), shape)
    odd = layer.colour or bool(((layer.codes != 0) & (layer.codes != 255)).any())
    return Pair(name, grey.levels, fitted > 127, grey.colour, shape != got, odd, grey.stretched is not None, grey.notes)


def _layer(path: Path) -> masks.Layer:
    try:
        return masks.load(path)
    except (UnreadableError, OSError) as error:
        raise InputError(f"{'/'.join(path.parts[-3:])} is no readable mask ({error}); replace the file") from None


def survey(files: Mapping[str, tuple[Path, Path]], where: str) -> masks.Meaning:
    """What the values of a dataset's masks mean.

    Raises:
        InputError: masks cannot be read, all of which are named; or as `masks.Survey.decide`.
    """
    counted, faults = masks.Survey(where), []

    def load(path: Path) -> masks.Layer | str:
        try:
            return masks.load(path)
        except (UnreadableError, OSError) as error:
            return str(error)

    named = {masks.shown_as(name, mask): mask for name, (_, mask) in files.items()}
    with ThreadPoolExecutor() as pool:
        for name, layer in zip(named, pool.map(load, named.values()), strict=True):
            why = layer if isinstance(layer, str) else counted.add(name, layer)
            faults += [f"{name} ({why})"] if why else []
    masks.refuse(faults, where)
    return counted.decide()


def measure(pair: Pair) -> list[dict[str, object]]:
    """A row for each target: place, size, brightness, signal-to-clutter ratio.

    `scr` is (mean of the target - mean around) / deviation around, the surroundings being the box of 20 px
    to each side without any target (Gao et al., IPI, TIP 2013); it is negative for dark targets.
    """
    found = regions(pair.mask)
    rows: list[dict[str, object]] = []
    height, width = pair.mask.shape
    for number, (centre, area, box) in enumerate(zip(found.centroids, found.areas, found.boxes, strict=True)):
        top, left, tall, wide = (int(x) for x in box)
        bottom, right = top + tall, left + wide
        window = np.s_[
            max(0, top - NEIGHBOURHOOD_PX) : bottom + NEIGHBOURHOOD_PX,
            max(0, left - NEIGHBOURHOOD_PX) : right + NEIGHBOURHOOD_PX,
        ]
        around = pair.image[window][~pair.mask[window]].astype(float)
        inside = pair.image[found.labels == number + 1].astype(float)
        contrast = inside.mean() - around.mean() if around.size else np.nan
        rows.append(
            {
                "name": pair.name,
                "target": number,
                "row": round(float(centre[0]), 4),
                "col": round(float(centre[1]), 4),
                "area_px": int(area),
                "top": top,
                "left": left,
                "height": tall,
                "width": wide,
                "border_px": min(top, left, height - bottom, width - right),
                "contrast": round(contrast, 3),
                "scr": round(contrast / around.std(), 3) if around.size and around.std() else np.nan,
            }
        )
    return rows


def thumbnail(image: UInt8[ndarray, "H W"]) -> Float64[ndarray, "P"]:
    """The image shrunk to 16×16, zero mean, unit length: the product of two is their correlation."""
    small = np.asarray(Image.fromarray(image).resize((THUMBNAIL_PX, THUMBNAIL_PX), Image.Resampling.BOX), float).ravel()
    small = small - small.mean()
    return small / max(float(np.linalg.norm(small)), 1e-12)


def groups(thumbnails: Float64[ndarray, "N P"]) -> list[int]:
    """For each scene the number of the first one of its group: scenes linked by near-equal thumbnails."""
    close = thumbnails @ thumbnails.T > NEAR
    group = np.arange(len(close))
    while True:  # the least number spreads along links until nothing changes
        spread = np.where(close | np.eye(len(close), dtype=bool), group[None], len(close)).min(1)
        if (spread == group).all():
            return group.tolist()
        group = spread


def prepare(source: Path, folder: Path, *, progress: bool = False) -> list[str]:
    """Makes the prepared dataset `folder` from the raw one `source`; returns what values were taken for.

    Args:
        folder: made whole, or not at all; see `irstd.data.prepared` for its files. `quirks.csv` counts each
            kind of oddity; a synthetic dataset keeps its `truth.csv`, and boxes become `boxes.csv`.

    Raises:
        InputError: as `raw.pairs`, `survey` and `read_pair`.
    """
    copied = own.notes(source)
    levels = tuple(float(level) for level in copied["levels"]) if copied.get("levels") else None
    with_masks = copied.get("labels", "masks") == "masks"
    if with_masks:
        files = raw.pairs(source)
        every, meaning = {}, survey(files, f"{source.name}/masks")
    else:
        every = own.read_marks(source / own.MARKS)
        files = own_names(listing(source / "images").files, source / "images", "images", strip=str)
        meaning = masks.Meaning()

    def made(name: str) -> Pair:
        if with_masks:
            return read_pair(name, *files[name], meaning, levels)
        return _of_marks(name, files[name], every.get(name, []), levels)

    building = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir(parents=True)
    scenes, targets, thumbnails, images_, masks_ = [], [], [], [], []
    told_of: Counter[str] = Counter()
    with ThreadPoolExecutor() as pool:
        decoded: Iterable[Pair] = pool.map(made, sorted(files))
        for pair in tqdm(decoded, "prepare", len(files), unit="scene", leave=False, disable=not progress):
            height, width = pair.image.shape
            found = measure(pair) if with_masks else _measured(pair, every.get(pair.name, []))
            scenes.append(
                {
                    "name": pair.name,
                    "height": height,
                    "width": width,
                    "targets": len(found),
                    "colour": int(pair.colour),
                    "mask_size": int(pair.mask_size),
                    "mask_grey": int(pair.mask_grey),
                    **({"deep": 1} if pair.deep else {}),
                }
            )
            told_of.update([*pair.notes, *[DEEP] * pair.deep])
            targets += found
            thumbnails.append(thumbnail(pair.image))
            images_.append(pair.image.ravel())
            masks_.append(np.packbits(pair.mask))
    np.save(building / "images.npy", np.concatenate(images_))
    np.save(building / "masks.npy", np.concatenate(masks_))
    notes = [*meaning.notes, *(f"{count} images: {note}" for note, count in told_of.items())]
    # Where masks are no grey levels, what their values are taken for is another rule than that of the field's datasets.
    soft = all(rule.top for rule in meaning.groups.values())
    odd = "" if soft else "; ".join(meaning.notes) or "every value above 0 counts"
    _write_tables(building, scenes, targets, thumbnails, odd)
    for name in ("splits.csv", "truth.csv", raw.PARTS):
        if (source / name).exists():
            shutil.copyfile(source / name, building / name)
    if not with_masks:
        (building / "labels.json").write_text(json.dumps({"labels": copied["labels"]}) + "\n", encoding="utf-8")
    elif (source / "labels").is_dir():
        _boxes(source / "labels", pd.DataFrame(scenes)).to_csv(building / "boxes.csv", index=False)
    shutil.rmtree(folder, ignore_errors=True)
    building.rename(folder)
    return notes


def _write_tables(
    building: Path,
    scenes: list[dict[str, object]],
    targets: list[dict[str, object]],
    thumbnails: list[ndarray],
    odd: str,
) -> None:
    table = pd.DataFrame(scenes)
    deep = int(table["deep"].sum()) if "deep" in table else 0
    table = table.drop(columns="deep", errors="ignore")
    table["group"] = [scenes[number]["name"] for number in groups(np.array(thumbnails))]
    table.to_csv(building / "scenes.csv", index=False)
    columns = list(measure(Pair("", np.ones((3, 3), np.uint8), np.eye(3, dtype=bool), False, False, False))[0])
    found_targets = pd.DataFrame(targets, columns=columns)
    found_targets.to_csv(building / "targets.csv", index=False)
    quirks = _count_quirks(table, found_targets)
    if odd and table["mask_grey"].any():
        quirks.loc[quirks["quirk"] == "mask_grey", "handling"] = f"masks with values other than 0 and 255; {odd}"
    if deep:
        quirks.loc[len(quirks)] = ["deep", deep, f"images {DEEP}"]
    quirks.to_csv(building / "quirks.csv", index=False)


def _of_marks(name: str, path: Path, found: list[marks.Mark], levels: images.Levels | None) -> Pair:
    """An image with a mask that stands in for boxes or points."""
    grey = read_image(path, levels)
    mask = marks.drawn(found, grey.levels.shape)
    return Pair(name, grey.levels, mask, grey.colour, False, False, grey.stretched is not None, grey.notes)


def _measured(pair: Pair, found: list[marks.Mark]) -> list[dict[str, object]]:
    """As `measure`, of boxes or points instead of regions: one row for each, where it was marked."""
    rows = []
    for number, mark in enumerate(found):
        alone = Pair(pair.name, pair.image, marks.drawn([mark], pair.image.shape), False, False, False)
        measured = measure(alone)
        if measured:
            row, col = mark.centre
            rows.append({**measured[0], "target": number, "row": round(float(row), 4), "col": round(float(col), 4)})
    return rows


def _count_quirks(scenes: pd.DataFrame, targets: pd.DataFrame) -> pd.DataFrame:
    counts = {kind: int(scenes[kind].sum()) for kind in ("colour", "mask_size", "mask_grey")}
    counts["odd_size"] = int(((scenes["height"] % 32 != 0) | (scenes["width"] % 32 != 0)).sum())
    counts["no_target"] = int((scenes["targets"] == 0).sum())
    counts["border"] = int((targets["border_px"] == 0).sum())
    counts["single_pixel"] = int((targets["area_px"] == 1).sum())
    counts["dark"] = int((targets["contrast"] < 0).sum())
    return pd.DataFrame([{"quirk": kind, "count": counts[kind], "handling": QUIRKS[kind]} for kind in QUIRKS])


def _boxes(folder: Path, scenes: pd.DataFrame) -> pd.DataFrame:
    """YOLO label files (class, centre x, centre y, width, height; shares of the sides) as px boxes."""
    rows = []
    for scene in scenes.itertuples():
        path = folder / f"{scene.name}.txt"
        if not path.exists():
            continue
        kinds = [line.split()[0] for line in text.read(path).split("\n") if line.strip()]
        try:
            found = labels.yolo(path, scene.name, (scene.height, scene.width), marks.Marks())
            numbers = [int(float(kind)) for kind in kinds]
        except ValueError as error:
            raise InputError(f"labels/{path.name}: {error}; correct the line") from None
        for kind, mark in zip(numbers, found, strict=True):
            top, left, bottom, right = mark.box
            rows.append((scene.name, kind, top, left, bottom - top, right - left))
    return pd.DataFrame(rows, columns=["name", "class", "top", "left", "height", "width"])
