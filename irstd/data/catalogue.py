"""The datasets of the field: sources, checksums, licences, citations, splits, known quirks.

What is verified is the decoded pixels, file by file, against `manifests/NAME.csv`; so any lossless copy
serves, and a broken one is named by its file.
"""

from __future__ import annotations

import csv
import hashlib
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files

from irstd.errors import InputError, hint


@dataclass(frozen=True, slots=True)
class Source:
    """One place that holds a dataset, as one archive.

    kind: `url` (a direct link), `drive` (a Google Drive id), `hand` (a page where a person clicks).
    images, masks: regular expressions that match a member's whole path; group `name` is the scene's name.
    page: how a person obtains it; for `hand`, with the access code.
    """

    kind: str
    where: str
    page: str
    images: str = r"(?:.*/)?images/(?P<name>[^/]+)\.(?:png|bmp|jpe?g|tiff?)"
    masks: str = r"(?:.*/)?masks/(?P<name>[^/]+?)(?:_pixels0)?\.(?:png|bmp|jpe?g|tiff?)"


@dataclass(frozen=True, slots=True)
class Entry:
    """What is known about one dataset.

    archive: file name in a mirror or when placed by hand.
    images: number of image-mask pairs, and `targets` of 8-connected regions brighter than 127 in the masks.
    splits: name to who uses it; sizes follow from the manifest.
    patches: single files that replace a broken one of the official source: name of the mask to link.
    parts: of a union, dataset to its split that is taken; it has no sources of its own.
    """

    name: str
    title: str
    archive: str
    images: int
    targets: int | None
    sizes: str
    licence: str
    cite: str
    splits: dict[str, str]
    quirks: tuple[str, ...]
    sources: tuple[Source, ...] = ()
    patches: dict[str, str] = field(default_factory=dict)
    parts: dict[str, str] = field(default_factory=dict)


PUBLIC_COPY = (
    "https://codeload.github.com/Cavalry5245/Grounding-DINO-IRSTD/zip/e1555ef9110a5757db3d4f6de09a3bd81b3b6153"
)
COPY_PAGE = "github.com/Cavalry5245/Grounding-DINO-IRSTD (a third party's copy)"
ALL_THREE = Source(
    "drive", "1LscYoPnqtE32qxv5v_dB4iOF4dW3bxL2", "drive.google.com/file/d/1LscYoPnqtE32qxv5v_dB4iOF4dW3bxL2"
)
ALL_THREE_BAIDU = "pan.baidu.com/s/1df4LagRRjyNeZSfoIqOuHg (code 1113; NUAA-SIRST, NUDT-SIRST and IRSTD-1K together)"


def _inside(folder: str) -> dict[str, str]:
    """Patterns for one dataset within an archive of several."""
    return {
        "images": rf"(?:.*/)?{folder}/images/(?P<name>[^/]+)\.(?:png|bmp)",
        "masks": rf"(?:.*/)?{folder}/masks/(?P<name>[^/]+?)(?:_pixels0)?\.(?:png|bmp)",
    }


ENTRIES = {
    e.name: e
    for e in (
        Entry(
            name="nuaa-sirst",
            title="NUAA-SIRST",
            archive="NUAA-SIRST.zip",
            images=427,
            targets=533,
            sizes="135×96 to 456×388",
            licence="none stated; the authors ask to cite their three papers",
            cite="Dai et al., Asymmetric Contextual Modulation for Infrared Small Target Detection, WACV 2021; "
            "Dai et al., Attentional Local Contrast Networks, TGRS 2021; Dai et al., One-Stage Cascade Refinement "
            "Networks, TGRS 2023",
            splits={
                "213-214": "DNANet, BasicIRSTD, LESPS, SCTransNet, PAL",
                "341-86": "ACM (training and validation together), MSDA-Net, GGL-Net",
                "256-85-86": "ACM",
                "224-96": "MSDA-Net, GGL-Net; 320 of the images",
            },
            quirks=(
                "Misc_111: the published mask is 592×400 for an image of 325×220; the authors' corrected mask "
                "(open-sirst-v2) replaces it. It is in every test list, so published figures used the bad one.",
                "159 images are not exactly grey (channels differ by up to 47 grey levels); they are read as "
                "ITU-601 luma.",
                "The mean 101.06385 and deviation 34.619606 that BasicIRSTD gives for it are those of three "
                "datasets together; its own are 111.978 and 27.627.",
            ),
            sources=(
                Source(
                    "url",
                    "https://codeload.github.com/YimianDai/sirst/zip/84302ab351af09dde227aa13ee9887f081bc3d4f",
                    "github.com/YimianDai/sirst",
                ),
                Source(ALL_THREE.kind, ALL_THREE.where, ALL_THREE.page, **_inside("NUAA-SIRST")),
                Source("hand", ALL_THREE_BAIDU, ALL_THREE_BAIDU),
            ),
            patches={
                "Misc_111": "https://raw.githubusercontent.com/YimianDai/open-sirst-v2/"
                "a927e5c67a7d2e22c7c96b54703ffe9ae01a1f35/annotations/masks/Misc_111_pixels0.png"
            },
        ),
        Entry(
            name="nudt-sirst",
            title="NUDT-SIRST",
            archive="NUDT-SIRST.zip",
            images=1327,
            targets=1863,
            sizes="256×256",
            licence="MIT on the repository; nothing said about the data",
            cite="Li et al., Dense Nested Attention Network for Infrared Small Target Detection, TIP 2022",
            splits={"663-664": "DNANet, BasicIRSTD, LESPS, SCTransNet, PAL", "1061-266": "IRSAM"},
            quirks=(
                "Synthesised on shared backgrounds: about 6 % of the test images have a training neighbour whose "
                "thumbnail correlates above 0.99. Validation images are held out in such groups.",
                "Targets of one pixel in 000911 and 000928; 18 targets touch the border.",
                "7 images are not exactly grey (channels differ by up to 7); they are read as ITU-601 luma.",
            ),
            sources=(
                Source(ALL_THREE.kind, ALL_THREE.where, ALL_THREE.page, **_inside("NUDT-SIRST")),
                Source("url", PUBLIC_COPY, COPY_PAGE, **_inside("dataset/NUDT-SIRST")),
                Source("hand", "", "pan.baidu.com/s/1WdA_yOHDnIiyj4C9SbW_Kg (code nudt)"),
                Source("hand", "", ALL_THREE_BAIDU),
            ),
        ),
        Entry(
            name="irstd-1k",
            title="IRSTD-1k",
            archive="IRSTD-1k.zip",
            images=1001,
            targets=1492,
            sizes="512×512",
            licence="MIT (“Dataset Release Agreement”)",
            cite="Zhang et al., ISNet: Shape Matters for Infrared Small Target Detection, CVPR 2022",
            splits={"800-201": "ISNet and nearly everyone; IRSAM's test list lacks XDU997"},
            quirks=(
                "85 masks have 140 pixels that are neither 0 nor 255; a mask pixel counts above 127.",
                "13 specks of one pixel above 0; 3 targets at the border.",
                "3 images are not exactly grey (channels differ by 1); they are read as ITU-601 luma.",
            ),
            sources=(
                Source(
                    "drive",
                    "1JoGDGF96v4CncKZprDnoIor0k1opaLZa",
                    "drive.google.com/file/d/1JoGDGF96v4CncKZprDnoIor0k1opaLZa",
                    images=r"(?:.*/)?(?:IRSTD1k_Img|images)/(?P<name>[^/]+)\.png",
                    masks=r"(?:.*/)?(?:IRSTD1k_Label|masks)/(?P<name>[^/]+)\.png",
                ),
                Source(
                    "url",
                    PUBLIC_COPY,
                    COPY_PAGE,
                    images=r"(?:.*/)?dataset/IRSTD-1k/IRSTD1k_Img/(?P<name>[^/]+)\.png",
                    masks=r"(?:.*/)?dataset/IRSTD-1k/IRSTD1k_Label/(?P<name>[^/]+)\.png",
                ),
                Source("hand", "", "caiyun.139.com/m/i?0K5CIsRSEZZiU (code VZtn)"),
                Source("hand", "", ALL_THREE_BAIDU),
            ),
        ),
        Entry(
            name="sirst3",
            title="SIRST3",
            archive="",
            images=2755,
            targets=3888,
            sizes="135×96 to 512×512",
            licence="those of its three parts",
            cite="Ying et al., Mapping Degeneration Meets Label Evolution, CVPR 2023, and those of its three parts",
            splits={"1676-1079": "LESPS, BasicIRSTD, SCTransNet, PAL"},
            quirks=(
                "The union of NUAA-SIRST (213-214), NUDT-SIRST (663-664) and IRSTD-1k (800-201), made here from these: "
                "the lists of BasicIRSTD (38f9076) name the same scenes. Its figures are mostly NUDT-SIRST's, which has "
                "664 of 1079 test scenes; scores of each part stand beside them.",
                "Misc_111 has the authors' corrected mask, as in NUAA-SIRST.",
            ),
            parts={"nuaa-sirst": "213-214", "nudt-sirst": "663-664", "irstd-1k": "800-201"},
        ),
        Entry(
            name="sirst-uavb",
            title="SIRST-UAVB",
            archive="SIRST-UAVB.zip",
            images=3000,
            targets=None,
            sizes="not verified here",
            licence="as IEEE DataPort states it; not verified here",
            cite="Yang et al., Pinwheel-shaped Convolution and Scale-based Dynamic Loss for Infrared Small Target "
            "Detection, AAAI 2025",
            splits={"published": "PConv (the archive's own train.txt and val.txt; val is the test split)"},
            quirks=(
                "Images and masks are JPEG; a mask pixel counts above 127.",
                "Boxes: 2955 of class 0 (UAV) and 1742 of class 1 (bird).",
                "No copy could be verified yet: there is no manifest, and pixels are taken as they come.",
            ),
            sources=(
                Source(
                    "drive",
                    "1hANdynk5C3fUQ1z2CqLRhAqUAfEsaWq8",
                    "drive.google.com/file/d/1hANdynk5C3fUQ1z2CqLRhAqUAfEsaWq8",
                ),
                Source("hand", "", "pan.baidu.com/s/1FIg6BU8jlZogEQYWx_-ubQ (code 0558)"),
                Source(
                    "hand",
                    "",
                    "ieee-dataport.org: sirst-uavb-single-frame-infrared-small-target-dataset-uav-and-birds",
                ),
            ),
        ),
        Entry(
            name="synthetic",
            title="Synthetic",
            archive="",
            images=0,
            targets=None,
            sizes="as params.yaml says",
            licence="Apache-2.0, as this project",
            cite="this project; the model and its sources are in irstd/data/synthetic.py",
            splits={"made": "the quick start and the tests"},
            quirks=("Truth is sub-pixel; the mask holds the pixels with at least half of the target's peak.",),
        ),
    )
}


def get(name: str) -> Entry:
    """The entry called `name`.

    Raises:
        InputError: no such dataset.
    """
    if name not in ENTRIES:
        raise InputError(f"there is no dataset {name!r} in the catalogue; {hint(name, ENTRIES)}")
    return ENTRIES[name]


@cache
def manifest(name: str) -> dict[str, dict[str, str]]:
    """Scene name to its row: digests of `image` and `mask`, and its role in each split; empty if none exists."""
    if name in ENTRIES and ENTRIES[name].parts:
        (union,) = ENTRIES[name].splits
        return {
            scene: {"image": row["image"], "mask": row["mask"], union: row[split]}
            for part, split in ENTRIES[name].parts.items()
            for scene, row in manifest(part).items()
        }
    path = files(__package__) / "manifests" / f"{name}.csv"
    if not path.is_file():
        return {}
    rows = csv.DictReader(path.read_text().splitlines())
    return {row.pop("name"): row for row in rows}


def split_sizes(name: str) -> dict[str, dict[str, int]]:
    """Split to the number of images in each of its roles, for a dataset with a manifest."""
    rows = manifest(name)
    sizes: dict[str, dict[str, int]] = {}
    for split in get(name).splits:
        roles = [row[split] for row in rows.values() if row.get(split)]
        sizes[split] = {role: roles.count(role) for role in ("train", "val", "test") if role in roles}
    return sizes


def checksum(name: str) -> str:
    """SHA-256 of the digests of all images and masks in name order; empty without a manifest."""
    rows = manifest(name)
    if not rows:
        return ""
    lines = (f"{scene} {row['image']} {row['mask']}\n" for scene, row in sorted(rows.items()))
    return hashlib.sha256("".join(lines).encode()).hexdigest()
