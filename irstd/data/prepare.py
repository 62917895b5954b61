"""From a raw dataset to a prepared one: grey levels, bit masks, targets; every oddity handled and counted.

Native sizes are kept: resizing and cropping belong to a method.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float64, UInt8
from numpy import ndarray
from PIL import Image
from tqdm import tqdm

from irstd.data import raw
from irstd.errors import InputError
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


@dataclass(frozen=True, slots=True)
class Pair:
    """One scene, decoded: grey levels, mask, and its oddities."""

    name: str
    image: UInt8[ndarray, "H W"]
    mask: Bool[ndarray, "H W"]
    colour: bool
    mask_size: bool
    mask_grey: bool


def read_pair(name: str, image_path: Path, mask_path: Path) -> Pair:
    """Decodes an image and its mask.

    Raises:
        InputError: a file is damaged, or the sizes differ by more than one pixel.
    """
    colours, mask = raw.decode(image_path), raw.decode(mask_path)
    grey = bool((colours[..., :1] == colours).all())
    image = colours[..., 0] if grey else np.asarray(Image.fromarray(colours).convert("L"))
    levels = mask[..., 0]
    shape, got = image.shape, levels.shape
    if max(abs(a - b) for a, b in zip(shape, got, strict=True)) > 1:
        raise InputError(
            f"{name}: the mask is {got[1]}×{got[0]} px but the image {shape[1]}×{shape[0]}; replace the mask"
        )
    fitted = np.zeros(shape, np.uint8)
    height, width = (min(a, b) for a, b in zip(shape, got, strict=True))
    fitted[:height, :width] = levels[:height, :width]
    odd = bool(((levels != 0) & (levels != 255)).any())
    return Pair(name, image, fitted > 127, not grey, shape != got, odd)


def measure(pair: Pair) -> list[dict[str, object]]:
    """A row for each target: place, size, brightness, signal-to-clutter ratio.

    `scr` is (mean of the target - mean around) / deviation around, the surroundings being the box of 20 px
    to each side without any target (Gao et al., IPI, TIP 2013); its sign tells dark targets.
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


def prepare(source: Path, folder: Path, *, progress: bool = False) -> None:
    """Makes the prepared dataset `folder` from the raw one `source`.

    Args:
        folder: made whole, or not at all; see `irstd.data.prepared` for its files. `quirks.csv` counts each
            kind of oddity; a synthetic dataset keeps its `truth.csv`, and boxes become `boxes.csv`.

    Raises:
        InputError: as `raw.pairs` and `read_pair`.
    """
    files = raw.pairs(source)
    building = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir(parents=True)
    scenes, targets, thumbnails, images, masks = [], [], [], [], []
    with ThreadPoolExecutor() as pool:
        decoded: Iterable[Pair] = pool.map(lambda name: read_pair(name, *files[name]), files)
        for pair in tqdm(decoded, "prepare", len(files), unit="scene", leave=False, disable=not progress):
            height, width = pair.image.shape
            found = measure(pair)
            scenes.append(
                {
                    "name": pair.name,
                    "height": height,
                    "width": width,
                    "targets": len(found),
                    "colour": int(pair.colour),
                    "mask_size": int(pair.mask_size),
                    "mask_grey": int(pair.mask_grey),
                }
            )
            targets += found
            thumbnails.append(thumbnail(pair.image))
            images.append(pair.image.ravel())
            masks.append(np.packbits(pair.mask))
    np.save(building / "images.npy", np.concatenate(images))
    np.save(building / "masks.npy", np.concatenate(masks))
    table = pd.DataFrame(scenes)
    table["group"] = [scenes[number]["name"] for number in groups(np.array(thumbnails))]
    table.to_csv(building / "scenes.csv", index=False)
    columns = list(measure(Pair("", np.ones((3, 3), np.uint8), np.eye(3, dtype=bool), False, False, False))[0])
    found_targets = pd.DataFrame(targets, columns=columns)
    found_targets.to_csv(building / "targets.csv", index=False)
    _count_quirks(table, found_targets).to_csv(building / "quirks.csv", index=False)
    shutil.copyfile(source / "splits.csv", building / "splits.csv")
    if (source / "truth.csv").exists():
        shutil.copyfile(source / "truth.csv", building / "truth.csv")
    if (source / "labels").is_dir():
        _boxes(source / "labels", table).to_csv(building / "boxes.csv", index=False)
    shutil.rmtree(folder, ignore_errors=True)
    building.rename(folder)


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
        for line in path.read_text().splitlines() if path.exists() else []:
            try:
                kind, x, y, w, h = line.split()
                row, col = float(y) * scene.height, float(x) * scene.width
                tall, wide = float(h) * scene.height, float(w) * scene.width
            except ValueError:
                raise InputError(
                    f"labels/{path.name}: {line!r} is not `class x y width height`; mend the line"
                ) from None
            rows.append((scene.name, int(kind), row - tall / 2 - 0.5, col - wide / 2 - 0.5, tall, wide))
    return pd.DataFrame(rows, columns=["name", "class", "top", "left", "height", "width"])
