"""COCO JSON: boxes, polygons and run-length codes, of truth or of detections."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool
from numpy import ndarray

from irstd.errors import InputError
from irstd.formats import text
from irstd.formats.marks import Mark, Marks, Size, same, stated
from irstd.formats.names import Names, stem_of

AS_NAMES = "names"  # of `--coco-images`: an image_id is the number that the scene's name is
FAR = 4  # times the longer side of an image: no polygon reaches further


def read(
    path: Path, sizes: Mapping[str, Size] | None, names: Names | None = None, images: Path | str | None = None
) -> Marks:
    """The annotations of a COCO file, or a list of detections as detectors write it.

    Args:
        sizes: of scenes, px; None to take those the file gives.
        names: of scenes; None to take file names as they are written, without suffix.
        images: a COCO file whose `images` give the names of integer `image_id`s; or `AS_NAMES`.

    Raises:
        InputError: it is no COCO JSON, an annotation cannot be used, or ids are numbers of unknown images.
    """
    content = _json(path)
    try:
        annotations = content if isinstance(content, list) else content["annotations"]
        listed = {} if isinstance(content, list) else _images(content)
        ids = [one["image_id"] for one in annotations]
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path.name} is no COCO JSON ({error!r}); it needs a list of annotations") from None
    if images is not None and images != AS_NAMES:
        other = _json(Path(images))
        try:
            listed = _images(other)
        except (KeyError, TypeError, AttributeError):
            listed = {}
        if not listed:
            raise InputError(
                f"{Path(images).name} has no images with id and file_name; give the annotations' COCO JSON"
            )
    numbers = [one for one in ids if isinstance(one, int) and one not in listed]
    if numbers and images != AS_NAMES:
        raise InputError(
            f"{path.name}: image_id {numbers[0]} is a number without a name; give the JSON that names the images with "
            f"--coco-images annotations.json, or --coco-images {AS_NAMES} where the numbers are the scenes' names"
        )
    found = Marks(classes=_classes(content, annotations))
    _take_images(listed, found, names, path.name, sizes or {})
    for number, one in enumerate(annotations):
        if not isinstance(one["image_id"], (int, float, str)):
            raise InputError(
                f"{path.name}: annotation {number} has image_id {one['image_id']!r}; give a number or a name"
            )
        image = listed.get(one["image_id"])
        written = str(one["image_id"] if image is None else image["file_name"])
        scene = stem_of(written) if names is None else names.find(written)
        if scene is None:
            found.strangers.append(written)
            continue
        size = sizes.get(scene) if sizes is not None else found.sizes.get(scene)
        found.scored |= "score" in one
        try:
            found.every.append(_mark(one, scene, size, f"annotation {number}"))
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise InputError(f"{path.name}: annotation {number} cannot be used ({error}); correct it") from None
    _refuse_shares(found.every, path.name)
    return found


def _refuse_shares(marks: list[Mark], file: str) -> None:
    """Raises InputError where all boxes are shares of the sides, which would be the first pixel of each image."""
    boxes = [mark.box for mark in marks if mark.mask is None]
    sides = [v for a, b, c, d in boxes for v in (a + 0.5, b + 0.5, c - a, d - b)]
    if sides and all(0 <= v <= 1 for v in sides) and any(v % 1 for v in sides):
        raise InputError(
            f"{file}: every bbox is from 0 to 1, shares of the image's sides; give left, top, width, height in px"
        )


def _json(path: Path) -> Any:
    if not path.is_file():
        raise InputError(f"{path} does not exist; give a COCO JSON")
    try:
        return json.loads(text.read(path))
    except (ValueError, RecursionError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path.name} is no COCO JSON ({error!r}); it needs a list of annotations") from None


def _images(content: Any) -> dict[Any, dict[str, Any]]:
    return {one["id"]: {**one, "file_name": str(one["file_name"])} for one in content.get("images", [])}


def _classes(content: Any, annotations: list[Mapping[str, Any]]) -> set[str]:
    """Names of the categories that annotations are of, or their numbers where there are no names."""
    listed = content.get("categories") if isinstance(content, dict) else None
    names = {
        str(one["id"]): str(one["name"]) for one in listed or [] if isinstance(one, dict) and {"id", "name"} <= set(one)
    }
    return {names.get(kind, kind) for one in annotations if (kind := str(one.get("category_id", "")))}


def _take_images(
    listed: Mapping[Any, Mapping[str, Any]], found: Marks, names: Names | None, file: str, sizes: Mapping[str, Size]
) -> None:
    """Sizes of the images a file lists; those that no annotation is of are without target.

    Raises:
        InputError: a size is no number, or not that of `sizes`.
    """
    for image in listed.values():
        scene = stem_of(image["file_name"]) if names is None else names.find(image["file_name"])
        if scene is not None:
            found.empty.append(scene)
            if image.get("height") and image.get("width"):
                try:
                    found.sizes[scene] = same(stated(image["height"], image["width"]), sizes.get(scene))
                except ValueError as error:
                    raise InputError(f"{file}: the image {image['file_name']}: {error}") from None


def _mark(one: Mapping[str, Any], scene: str, size: Size | None, where: str) -> Mark:
    """An annotation: left, top, width and height of its box, edges in px from the image's corner.

    Raises:
        ValueError: it has neither a box nor a segmentation, or one that is damaged.
    """
    score, segmentation, given = float(one.get("score", 1.0)), one.get("segmentation"), one.get("bbox") or ()
    if not segmentation and not given:
        raise ValueError("no bbox and no segmentation")
    mask = None
    if segmentation:
        if size is None:
            raise ValueError("a segmentation of an image whose size the file does not say")
        mask = filled(segmentation, size)
    if given:
        left, top, wide, tall = (float(x) for x in given)
        if wide < 0 or tall < 0:
            raise ValueError("a box of negative width or height")
        box = (top - 0.5, left - 0.5, top - 0.5 + tall, left - 0.5 + wide)
    else:
        assert mask is not None
        rows, cols = np.nonzero(mask)
        if not len(rows):
            raise ValueError("an empty segmentation")
        top, left, bottom, right = (float(x) for x in (rows.min(), cols.min(), rows.max(), cols.max()))
        box = (top - 0.5, left - 0.5, bottom + 0.5, right + 0.5)
    return Mark(scene, box, score, mask, where)


def _refuse_far(polygons: Any, size: Size) -> None:
    """Raises ValueError for a polygon that reaches far out of the image: it would be drawn, in much memory."""
    furthest = FAR * max(size)
    for polygon in polygons:
        if not all(-furthest <= float(value) <= furthest for value in polygon):
            raise ValueError("a polygon reaches far out of the image, or holds what is no number")


def filled(segmentation: Any, size: Size) -> Bool[ndarray, "H W"]:
    """A COCO polygon or run-length code as a mask.

    Raises:
        ValueError: it is damaged, or of another size.
    """
    from pycocotools import mask  # noqa: PLC0415 - only COCO files need it

    if isinstance(segmentation, dict):
        counts, given = segmentation["counts"], segmentation["size"]
        if not isinstance(given, list) or len(given) != 2:
            raise ValueError(f"the size of a mask is height and width, px, and not {given!r}")
        if tuple(given) != tuple(size):
            raise ValueError(f"a mask of {given[1]}×{given[0]} px for an image of {size[1]}×{size[0]}")
        if isinstance(counts, list) and sum(counts) != size[0] * size[1]:
            raise ValueError("its runs do not add up to the image")
    else:
        _refuse_far(segmentation, size)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # its arrays do not know NumPy 2's `copy` yet
        try:
            if isinstance(segmentation, list):
                code = mask.merge(mask.frPyObjects(segmentation, *size))
            else:
                packed = isinstance(segmentation["counts"], (str, bytes))
                code = segmentation if packed else mask.frPyObjects(segmentation, *size)
            return mask.decode(code) > 0
        except Exception as error:  # noqa: BLE001 - what the library raises
            raise ValueError(str(error)) from None


def content(
    scenes: Mapping[str, list[Mark]], sizes: Mapping[str, Size], files: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """A COCO file of marks; regions with their run-length codes.

    Args:
        files: name of each scene's picture; its name and `.png` if not given.
    """
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, (scene, (height, width)) in enumerate(sizes.items(), 1):
        name = (files or {}).get(scene, f"{scene}.png")
        images.append({"id": number, "file_name": name, "height": height, "width": width})
        for mark in scenes.get(scene, []):
            top, left, bottom, right = mark.box
            one = {
                "id": len(annotations) + 1,
                "image_id": number,
                "category_id": 1,
                "bbox": [left + 0.5, top + 0.5, right - left, bottom - top],
                "area": (right - left) * (bottom - top),
                "iscrowd": 0,
                "score": mark.score,
            }
            if mark.mask is not None:
                one |= {"area": int(mark.mask.sum()), "segmentation": _runs(mark.mask)}
            annotations.append(one)
    return {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "target"}]}


def _runs(mask: Bool[ndarray, "H W"]) -> dict[str, Any]:
    """Lengths of runs down the columns, of background first, as COCO's uncompressed code has them."""
    along = mask.ravel(order="F")
    edges = np.flatnonzero(np.diff(along)) + 1
    counts = np.diff([0, *edges, len(along)]).tolist()
    return {"size": list(mask.shape), "counts": [0, *counts] if along[0] else counts}
