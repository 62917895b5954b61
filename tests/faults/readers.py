"""Mutated files for each reader: it takes them or refuses them in a sentence; anything else is a fault.

    python -m tests.faults.readers [SECONDS]            every reader, each for its share of SECONDS (600)
    python -m tests.faults.readers --one NAME SECONDS   one reader; its corpus and what it failed on lie in runs/fuzz/NAME

A fault is an exception that is no refusal, a file that takes more than 10 s, or more than 1 GB of memory beside the
200 MB of what reads it. Atheris (libFuzzer, guided by the branches of this package) mutates small valid files; see `SEEDS`.
"""

from __future__ import annotations

import hashlib
import io
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import scipy.io
import tifffile
from PIL import Image

OUT = Path("runs/fuzz")
SECONDS, LONGEST_S, MOST_MB = 600, 10, 1024
SIZES = {"a": (8, 12), "b": (8, 12)}
MASK = np.zeros((8, 12), np.uint8)
MASK[2:4, 3:6] = 255


def _saved(save: Callable[[io.BytesIO], object]) -> bytes:
    file = io.BytesIO()
    save(file)
    return file.getvalue()


def _picture(kind: str, mode: str = "L") -> bytes:
    return _saved(lambda file: Image.fromarray(MASK).convert(mode).save(file, kind))


def _zipped(packed: int) -> bytes:
    """An archive of a picture and its mask."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", packed) as archive:
        for kind in ("images", "masks"):
            archive.writestr(f"{kind}/a.png", _picture("PNG"))
    return made.getvalue()


def _recorded(name: str) -> bytes:
    return Path(__file__).parents[1].joinpath("fixtures/results", name).read_bytes()


def _safetensors() -> bytes:
    """A file of weights, written by hand: the length of its head, the head, and a tensor's bytes."""
    label = {
        "method": "m", "row": "m", "dataset": "d", "split": "s", "seed": 0, "epoch": 1, "budget": "b", "options": {},
        "threshold": 0.5, "geometry": "crop", "side": None, "commit": None, "hardware": None,
    }  # fmt: skip
    tensor = {"dtype": "F16", "shape": [2, 2], "data_offsets": [0, 8]}
    head = json.dumps({"__metadata__": {"irstd": json.dumps(label)}, "w": tensor}).encode()
    return len(head).to_bytes(8, "little") + head + bytes(8)


LEVELS = _saved(lambda file: Image.fromarray(MASK.astype(np.uint16) * 200).save(file, "PNG"))
CARD = {
    "format": 1, "name": "n", "dataset": "d", "split": "s", "checksum": "0" * 64, "points_above": 0.5, "parameters": 3,
    "scores": {"irstd": {"iou": 1.0, "niou": 1.0, "pd": 1.0, "f1": 1.0, "fa_per_million": 0.0}},
    "files": {f"predictions/{name}.png": hashlib.sha256(LEVELS).hexdigest() for name in SIZES},
}  # fmt: skip
COCO = {
    "images": [{"id": 1, "file_name": "a.png", "height": 8, "width": 12}],
    "annotations": [
        {"image_id": 1, "bbox": [1, 2, 3, 4], "score": 0.5, "segmentation": [[1, 1, 4, 1, 4, 4]]},
        {"image_id": 1, "bbox": [1, 2, 3, 4], "segmentation": {"size": [8, 12], "counts": [20, 3, 73]}},
        {"image_id": 1, "bbox": [1, 2, 3, 4], "segmentation": {"size": [8, 12], "counts": "d03Y2"}},
    ],
}
DETECTIONS = [{"image_id": "a", "category_id": 1, "bbox": [1, 2, 3, 4], "score": 0.5}]
LABELME = {
    "version": "5.0", "imagePath": "a.png", "imageHeight": 8, "imageWidth": 12,
    "shapes": [
        {"label": "t", "shape_type": "rectangle", "points": [[1, 1], [3, 4]]},
        {"label": "t", "shape_type": "polygon", "points": [[1, 1], [3, 4], [1, 4]]},
        {"label": "t", "shape_type": "point", "points": [[1, 1]]},
    ],
}  # fmt: skip
VOC = (
    "<annotation><filename>a.png</filename><size><width>12</width><height>8</height></size><object><name>t</name>"
    "<bndbox><xmin>1</xmin><ymin>2</ymin><xmax>3</xmax><ymax>4</ymax></bndbox></object></annotation>"
)
SEEDS: dict[str, tuple[str, list[bytes]]] = {  # reader: the file's name, and valid files
    "png": ("a.png", [_picture("PNG"), _picture("PNG", "P"), _picture("PNG", "RGBA"), _picture("PNG", "1")]),
    "bmp": ("a.bmp", [_picture("BMP"), _picture("BMP", "RGB")]),
    "gif": ("a.gif", [_picture("GIF")]),
    "jpeg": ("a.jpg", [_picture("JPEG"), _picture("JPEG", "RGB")]),
    "tiff": (
        "a.tif",
        [
            _picture("TIFF"),
            _saved(lambda f: tifffile.imwrite(f, MASK.astype(np.float32) / 255)),
            _saved(lambda f: tifffile.imwrite(f, np.stack([MASK, MASK]).astype(np.uint16))),
        ],
    ),
    "npy": ("a.npy", [_saved(lambda f: np.save(f, MASK / 255)), _saved(lambda f: np.save(f, MASK > 0))]),
    "npz": ("a.npz", [_saved(lambda f: np.savez(f, a=MASK)), _saved(lambda f: np.savez_compressed(f, a=MASK, b=MASK))]),
    "mat": (
        "a.mat",
        [_saved(lambda f, packed=packed: scipy.io.savemat(f, {"T": MASK / 255, "x": 1, "s": {"a": "b"}}, do_compression=packed)) for packed in (False, True)],
    ),
    "coco": ("a.json", [json.dumps(COCO).encode(), json.dumps(DETECTIONS).encode()]),
    "labelme": ("a.json", [json.dumps(LABELME).encode()]),
    "voc": ("a.xml", [VOC.encode()]),
    "yolo": ("a.txt", [b"0 0.5 0.5 0.1 0.1\n0 0.2 0.2 0.1 0.1 0.9\n", b""]),
    "table": (
        "p.csv",
        [b"name,row,col,score\na,1,2,0.5\nb,3,4.5,1\n", b"name;top;left;bottom;right\na;1,5;2;3;4\n", "\ufeffname\trow\tcol\na\t1\t2\n".encode("utf-16")],
    ),
    "lists": ("train.txt", [b"a\n", b"# x\r\na.png\r\n\r\n", "a\nb\n".encode("utf-16")]),
    "metrics": ("metrics.json", [b'{"convention": "x", "threshold": 0.5, "iou": null, "pd": 0.5, "interval": {"pd": [0, 1]}}']),
    "records": ("history.csv", [b"epoch,lr,loss,score,pixels\n1,0.1,0.5,,100\n"]),
    "pgm": ("a.pgm", [_picture("PPM")]),
    "webp": ("a.webp", [_saved(lambda f: Image.fromarray(MASK).save(f, "WEBP", lossless=True))]),
    "zip": ("a.zip", [_zipped(kind) for kind in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)]),
    "provenance": ("provenance.json", [_recorded("nuaa-sirst/ggl_net/0/provenance.json")]),
    "summary": ("summary.json", [_recorded("nuaa-sirst/ggl_net/0/summary.json")]),
    "submission": ("submission.json", [json.dumps(CARD).encode()]),
    "weights": ("a.safetensors", [_safetensors()]),
    "params": ("params.yaml", [Path(__file__).parents[2].joinpath("params.yaml").read_bytes()]),
}  # fmt: skip


def reader(name: str) -> Callable[[Path], object]:
    """What reads the file of a target, given its path."""
    # Loaded here, so that atheris instruments them.
    from irstd.config import params
    from irstd.data import download
    from irstd.data.catalogue import Source
    from irstd.formats import annotations, coco, labels, lists, maps, masks, pixels, predictions
    from irstd.results import records, store
    from irstd.scoring import entry, truth
    from irstd.tables import board

    def picture(path: Path) -> None:
        pixels.size_of(path)
        masks.load(path)
        predictions.read(path.parent, {"a": (8, 12)})

    def array(path: Path) -> None:
        maps.load(path)
        predictions.read(path.parent, {"a": (8, 12)})

    def marks(path: Path) -> None:
        annotations.read(path, SIZES)
        annotations.read(path, None)

    def submission(path: Path) -> None:
        for name in SIZES:
            there = path.parent / f"predictions/{name}.png"
            there.parent.mkdir(exist_ok=True)
            there.write_bytes(LEVELS)
        board.of_submissions([entry.read_card(path.parent)])
        entry.verify(path.parent, truth.of_arrays(dict.fromkeys(SIZES, MASK)), "0" * 64)

    def weights(path: Path) -> None:
        from irstd.inference import weights as files  # loads torch, which takes half a GB

        files.read_label(path)

    def archive(path: Path) -> None:
        source = Source("hand", "", "")
        shutil.rmtree(path.parent / "out", ignore_errors=True)
        download.unpack(path, source, path.parent / "out")

    return {
        **dict.fromkeys(("pgm", "webp"), picture),
        "zip": archive,
        "provenance": lambda path: records.load(path, records.Provenance),
        "summary": lambda path: records.load(path, records.Summary),
        "submission": submission,
        "weights": weights,
        **dict.fromkeys(("png", "bmp", "gif", "jpeg", "tiff"), picture),
        **dict.fromkeys(("npy", "npz", "mat"), array),
        "table": marks,
        "coco": lambda path: (coco.read(path, SIZES, images=coco.AS_NAMES), coco.read(path, None)),
        "voc": lambda path: labels.read(path.parent, SIZES),
        "yolo": lambda path: labels.read(path.parent, SIZES),
        "labelme": lambda path: labels.read(path.parent, None),
        "lists": lambda path: (path.with_name("test.txt").write_text("b\n"), lists.find(path.parent, ["a", "b", "c"])),
        "metrics": lambda path: records.load(path, records.Metrics),
        "records": lambda path: store.read(path, "history"),
        "params": params.load,
    }[name]


def one(name: str, seconds: int) -> None:
    """Fuzzes one reader in this process, which libFuzzer ends."""
    import atheris

    # Whole packages; but not the libraries', whose branches are not ours to cover.
    with atheris.instrument_imports(include=["irstd"]):
        read = reader(name)
        from irstd.errors import InputError
        from irstd.formats.pixels import UnreadableError
    file, seeds = SEEDS[name]
    corpus = OUT / name / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds):
        (corpus / f"seed-{number}").write_bytes(seed)
    folder = Path(tempfile.mkdtemp(prefix="irstd-fuzz-"))

    def tried(data: bytes) -> None:
        path = folder / file
        path.write_bytes(data)
        try:
            read(path)
        except (InputError, UnreadableError) as refusal:
            words = str(refusal)
            if not words.strip() or "Traceback" in words:
                raise AssertionError(f"a refusal without words: {words!r}") from refusal

    most = MOST_MB + resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    limits = [f"-max_total_time={seconds}", f"-timeout={LONGEST_S}", f"-rss_limit_mb={most}", "-max_len=65536"]
    atheris.Setup([sys.argv[0], str(corpus), f"-artifact_prefix={OUT / name}/", "-print_final_stats=1", *limits], tried)
    atheris.Fuzz()


def main(seconds: int) -> int:
    """Fuzzes every reader, prints what held and what fell, and returns how many fell."""
    fell = 0
    for name in SEEDS:
        command = [sys.executable, "-m", "tests.faults.readers", "--one", name, str(max(seconds // len(SEEDS), 1))]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace")
        (OUT / name).mkdir(parents=True, exist_ok=True)
        (OUT / name / "log").write_text(done.stdout + done.stderr)
        tries = next((line.split()[-1] for line in done.stderr.splitlines() if "executed_units" in line), "0")
        said = [line.strip() for line in done.stderr.splitlines() if "Error" in line or "ERROR" in line]
        fell += done.returncode != 0
        print(
            f"{name:8} {tries:>8} tried  {'fell: ' + (said or ['see the log'])[0] if done.returncode else 'held'}",
            flush=True,
        )
    print(f"{len(SEEDS) - fell} of {len(SEEDS)} readers held; logs, corpora and files on which one failed: {OUT}")
    return fell


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        one(sys.argv[2], int(sys.argv[3]))
    else:
        sys.exit(min(main(int(sys.argv[1]) if sys.argv[1:] else SECONDS), 1))
