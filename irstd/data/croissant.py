"""A dataset described in Croissant 1.0, the vocabulary by which catalogues and loaders of datasets agree.

The description names files beside it, in the layout that `irstd convert --to croissant` writes; see
docs.mlcommons.org/croissant/docs/croissant-spec.html (read 2026-11).
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from irstd.data import catalogue

SPLITS = "splits.csv"
NAME = r"([^\/]+?)(?:\.png)?$"  # of a scene, in the name of its file; some readers cut the ending off
CONTEXT = {
    "@language": "en", "@vocab": "https://schema.org/", "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/", "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/", "conformsTo": "dct:conformsTo",
    "citeAs": "cr:citeAs", "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"}, "examples": {"@id": "cr:examples", "@type": "@json"},
    **{
        name: f"cr:{name}"
        for name in (
            "column", "equivalentProperty", "extract", "field", "fileObject", "fileProperty", "fileSet", "format",
            "includes",
            "isLiveDataset", "jsonPath", "key", "md5", "parentField", "path", "recordSet", "references", "regex",
            "repeated", "replace", "samplingRate", "separator", "source", "subField", "transform",
        )
    },
}  # fmt: skip


def known(names: Iterable[str]) -> catalogue.Entry | None:
    """The catalogue's dataset that has just these scenes, if there is one."""
    wanted = set(names)
    return next(
        (e for name, e in catalogue.ENTRIES.items() if wanted and wanted == set(catalogue.manifest(name))), None
    )


def describe(folder: Path) -> dict[str, Any]:
    """The description of `folder`, as JSON-LD.

    Args:
        folder: with `images/NAME.png`, `masks/NAME.png` and `splits.csv`, whose columns are `name` and the splits.
    """
    data = (folder / SPLITS).read_bytes()
    rows = list(csv.DictReader(data.decode().splitlines()))
    splits = [name for name in rows[0] if name != "name"]
    entry = known(row["name"] for row in rows)
    facts: dict[str, Any] = {"name": folder.name, "description": "Images of infrared small targets, with their masks."}
    if entry:
        facts = {
            "name": entry.title,
            "description": " ".join((f"{entry.title}: infrared small targets, {entry.sizes} px.", *entry.quirks)),
            "license": entry.licence,
            "citeAs": entry.cite,
            "url": f"https://{entry.sources[0].page}" if entry.sources else None,
        }
    table = {
        "@type": "cr:FileObject",
        "@id": SPLITS,
        "name": SPLITS,
        "contentUrl": SPLITS,
        "encodingFormat": "text/csv",
    }
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        **{key: value for key, value in facts.items() if value},
        "distribution": [
            {**table, "sha256": hashlib.sha256(data).hexdigest()},
            *(
                {
                    "@type": "cr:FileSet", "@id": f"{kind}-files", "name": f"{kind}-files",
                    "encodingFormat": "image/png", "includes": f"{kind}/*.png",
                }
                for kind in ("images", "masks")
            ),
        ],
        "recordSet": [_scenes(splits), *(_pictures(kind) for kind in ("images", "masks"))],
    }  # fmt: skip


def _scenes(splits: list[str]) -> dict[str, Any]:
    return {
        "@type": "cr:RecordSet", "@id": "scenes", "name": "scenes", "key": {"@id": "scenes/name"},
        "description": "Every scene, and its role in each split: train, val, test, or none.",
        "field": [
            {
                "@type": "cr:Field", "@id": f"scenes/{column}", "name": column, "dataType": "sc:Text",
                "source": {"fileObject": {"@id": SPLITS}, "extract": {"column": column}},
            }
            for column in ("name", *splits)
        ],
    }  # fmt: skip


def _pictures(kind: str) -> dict[str, Any]:
    files = {"fileSet": {"@id": f"{kind}-files"}}
    one = kind.removesuffix("s")
    return {
        "@type": "cr:RecordSet", "@id": kind, "name": kind, "key": {"@id": f"{kind}/name"},
        "description": "Grey levels." if kind == "images" else "255 on targets, 0 elsewhere.",
        "field": [
            {
                "@type": "cr:Field", "@id": f"{kind}/name", "name": "name", "dataType": "sc:Text",
                "source": {**files, "extract": {"fileProperty": "filename"}, "transform": {"regex": NAME}},
                "references": {"field": {"@id": "scenes/name"}},
            },
            {
                "@type": "cr:Field", "@id": f"{kind}/{one}", "name": one, "dataType": "sc:ImageObject",
                "source": {**files, "extract": {"fileProperty": "content"}},
            },
        ],
    }  # fmt: skip
