"""Damage and bad input, one at a time: each must end in one sentence that names the file or parameter.

    python -m tests.faults.damages [NAME...]     all, or those whose names begin so

A fault falls if its command ends well, says no `error:`, does not name what is wrong, prints a traceback, or takes more
than two minutes or 2 GB. What had been computed before must be there afterwards.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

import irstd
from tests import test_records
from tests.test_pipeline import TINY, copy, dvc, environment, set_params

LONGEST_S, MOST_BYTES = 120, 2 << 30
Change = Callable[[Path], None]  # to a folder, the world
RUN = "runs/results/synthetic/ggl_net/0"
WEIGHTS = "runs/weights/synthetic/ggl_net.safetensors"
SCORE = ("irstd", "score", "given", "--truth", "truth", "--out", "runs/out")
REPORT = ("pipelines.reports", "synthetic")
PREDICT = ("irstd", "predict", "images/a.png", "--out", "runs/seen", "--weights")


@dataclass(frozen=True)
class Fault:
    """What is wrong (a change of a folder in which all is well), what is called then, and words that must be said."""

    change: Change
    words: Sequence[str]
    said: Sequence[str]
    limits: tuple[int, int] | None = None  # of the process: which, and how much


def text(path: str, change: Callable[[str], str]) -> Change:
    """Changes a file of text."""

    def done(folder: Path) -> None:
        before = (folder / path).read_text()
        after = change(before)
        assert after != before, f"{path} is as it was"
        (folder / path).write_text(after)

    return done


def data(path: str, change: Callable[[bytes], bytes] | bytes) -> Change:
    """Changes a file of bytes, or writes one."""

    def done(folder: Path) -> None:
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(change if isinstance(change, bytes) else change(place.read_bytes()))

    return done


def told(name: str, **changes: object) -> Change:
    """Changes what a record of JSON says; "absent" takes a key out."""
    return text(f"{RUN}/{name}", test_records.told(**changes))


def cell(path: str, column: str, value: str) -> Change:
    """Changes a table's first value of a column."""
    return text(path, test_records.cell(column, value))


def gone(path: str) -> Change:
    """Takes a file or folder away."""

    def done(folder: Path) -> None:
        place = folder / path
        shutil.rmtree(place) if place.is_dir() else place.unlink()

    return done


def array(path: str, values: np.ndarray) -> Change:
    """Writes an array as NumPy does; pickled if its values are objects."""

    def done(folder: Path) -> None:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        np.save(folder / path, values, allow_pickle=values.dtype == object)

    return done


def picture(path: str, values: np.ndarray) -> Change:
    """Writes a picture."""
    return lambda folder: Image.fromarray(values).save(folder / path)


def options(**changes: object) -> Change:
    """Changes params.yaml."""
    return lambda folder: set_params(folder, changes)


def all_of(*changes: Change) -> Change:
    """Several changes."""

    def done(folder: Path) -> None:
        for change in changes:
            change(folder)

    return done


def first(pattern: str, change: Callable[[str], Change]) -> Change:
    """A change of the first file that a pattern finds."""
    return lambda folder: change(str(min(folder.glob(pattern)).relative_to(folder)))(folder)


def only(path: str, content: bytes, folder: str = "given") -> Change:
    """One file in place of a folder's."""
    return all_of(gone(folder), data(path, content))


class Evil:
    """Whoever unpickles it makes a folder."""

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, ("pwned",)


def huge_png(side: int) -> bytes:
    """The head of a PNG that claims to be a large square."""
    head = b"IHDR" + side.to_bytes(4, "big") * 2 + b"\x08\x00\x00\x00\x00"
    body = b"IDAT" + zlib.compress(bytes(1000))
    chunks = [len(one[4:]).to_bytes(4, "big") + one + zlib.crc32(one).to_bytes(4, "big") for one in (head, body)]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def zipped(name: str) -> bytes:
    """An archive of one file."""
    path = Path(tempfile.mkdtemp()) / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(name, "x")
    made = path.read_bytes()
    shutil.rmtree(path.parent)
    return made


def npy_of(shape: tuple[int, ...]) -> bytes:
    """An array that claims a shape and holds nothing."""
    head = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}".encode()
    head += b" " * (-(len(head) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head


LAUGHS = (
    '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "ha">'
    + "".join(f'<!ENTITY b{n} "{f"&b{n - 1 or chr(0)};" * 10}">'.replace("\0", "") for n in range(1, 12))
    + "]><annotation><filename>&b11;</filename></annotation>"
).encode()
COCO = {"images": [{"id": 1, "file_name": "a.png", "height": 64, "width": 64}]}
OUTSIDE = {**COCO, "annotations": [{"image_id": 7, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 0.5}]}
BAD_BOX = {**COCO, "annotations": [{"image_id": 1, "category_id": 1, "bbox": [1, 2, "x", 4], "score": 0.5}]}
AT = ("--truth", "truth", "--out", "runs/out")

FAULTS: dict[str, Fault] = {
    # Records, which pages are made of.
    "record: Pd 2": Fault(told("metrics.json", pd=2.0), REPORT, ("metrics.json is damaged: pd",)),
    "record: Pd is no number": Fault(told("metrics.json", pd=float("nan")), REPORT, ("metrics.json is damaged: pd",)),
    "record: no Pd": Fault(told("metrics.json", pd="absent"), REPORT, ("metrics.json is damaged: pd",)),
    "record: another IoU than its counts give": Fault(told("metrics.json", iou=0.987), REPORT, ("metrics.json says iou 0.987",)),
    "record: metrics cut": Fault(text(f"{RUN}/metrics.json", lambda t: t[: len(t) // 2]), REPORT, ("metrics.json",)),
    "record: metrics empty": Fault(data(f"{RUN}/metrics.json", b""), REPORT, ("metrics.json",)),
    "record: no threshold": Fault(told("provenance.json", threshold="absent"), REPORT, ("provenance.json", "threshold")),
    "record: threshold is no number": Fault(told("provenance.json", threshold=float("nan")), REPORT, ("provenance.json",)),
    "record: provenance gone": Fault(gone(f"{RUN}/provenance.json"), REPORT, ("provenance.json", "missing")),
    "record: a word for a count": Fault(cell(f"{RUN}/per_image.csv", "targets", "two"), REPORT, ("per_image.csv is damaged: targets in row 1, 'two'",)),
    "record: a negative count": Fault(cell(f"{RUN}/per_image.csv", "false_pixels", "-3"), REPORT, ("per_image.csv is damaged: false_pixels in row 1, -3",)),
    "record: an infinite count": Fault(cell(f"{RUN}/per_image.csv", "pixels", "inf"), REPORT, ("per_image.csv is damaged: pixels in row 1, inf",)),
    "record: a share above 1": Fault(cell(f"{RUN}/conventions.csv", "pd", "1.5"), REPORT, ("conventions.csv is damaged: pd in row 1, 1.5",)),
    "record: a column less": Fault(text(f"{RUN}/history.csv", lambda t: t.replace("loss", "lost", 1)), REPORT, ("history.csv", "loss")),
    "record: curves empty": Fault(data(f"{RUN}/sweep.csv", b""), REPORT, ("sweep.csv",)),
    "record: bytes that are no text": Fault(data(f"{RUN}/watched.csv", b"\xff\xfe\x00\x01"), REPORT, ("watched.csv",)),
    "record: a scene of no height": Fault(cell("reports/results/nuaa-sirst/scenes.csv", "height", "nan?"), REPORT, ("scenes.csv", "was changed")),
    "record: a method's card gone": Fault(all_of(gone("runs/results/methods"), gone("reports/results/methods/ggl_net.json")), REPORT, ("ggl_net.json", "missing")),
    "record: a method's card cut": Fault(text("runs/results/methods/ggl_net.json", lambda t: t[:50]), REPORT, ("ggl_net.json",)),
    "record: a number that is missing": Fault(cell(f"{RUN}/per_image.csv", "targets", "nan"), REPORT, ("per_image.csv is damaged: targets in row 1 is empty",)),
    "record: another Pd than its convention counts": Fault(cell(f"{RUN}/conventions.csv", "pd", "0.5"), REPORT, ("conventions.csv says pd 0.5 of irstd",)),
    "record: a target turned found": Fault(cell(f"{RUN}/per_target.csv", "detected", "7"), REPORT, ("per_target.csv and per_image.csv differ in detected",)),
    "record: targets gone": Fault(gone(f"{RUN}/per_target.csv"), REPORT, ("per_target.csv is missing",)),
    "record: an area under a curve above 1": Fault(told("summary.json", roc_auc=1.2), REPORT, ("summary.json is damaged: roc_auc",)),
    # What one stage leaves and the next reads.
    "stage: a bit of a prediction turned": Fault(data("runs/predict/synthetic/ggl_net/0/test/scores.npz", lambda b: b[:99] + bytes([b[99] ^ 1]) + b[100:]), ("pipelines.score", "synthetic", "ggl_net", "0"), ("test/scores.npz is not what sha256.json beside it names",)),
    "stage: a prediction more": Fault(data("runs/predict/synthetic/ggl_net/0/test/boxes.npz", b"PK"), ("pipelines.score", "synthetic", "ggl_net", "0"), ("test/boxes.npz is not what sha256.json beside it names",)),
    "stage: a bit of trained weights turned": Fault(data("runs/train/synthetic/ggl_net/0/best.safetensors", lambda b: b[:-1] + bytes([b[-1] ^ 1])), ("pipelines.pack_weights", "synthetic", "ggl_net", "0"), ("best.safetensors is not what its provenance.json names",)),
    # Weights.
    "weights: a byte turned": Fault(data("reports/weights/nudt-sirst/point_regression.safetensors", lambda b: b[:-1] + bytes([b[-1] ^ 1])), (*PREDICT, "nudt-sirst/point_regression"), ("point_regression.safetensors", "card")),
    "weights: cut": Fault(data(WEIGHTS, lambda b: b[: len(b) // 2]), (*PREDICT, WEIGHTS), ("ggl_net.safetensors",)),
    "weights: head damaged": Fault(data(WEIGHTS, lambda b: b[:8] + b"\x00" * 40 + b[48:]), (*PREDICT, WEIGHTS), ("ggl_net.safetensors",)),
    "weights: empty": Fault(data(WEIGHTS, b""), (*PREDICT, WEIGHTS), ("ggl_net.safetensors",)),
    "weights: pickled": Fault(data(WEIGHTS, b"\x80\x04\x8c\x02os\x8c\x05mkdir\x93\x8c\x05pwned\x85R."), (*PREDICT, WEIGHTS), ("ggl_net.safetensors",)),
    "weights: of nobody": Fault(all_of(), (*PREDICT, "nudt-sirst/yolov9"), ("nudt-sirst/yolov9",)),
    "weights: not there": Fault(gone(WEIGHTS), (*PREDICT, WEIGHTS), ("ggl_net.safetensors",)),
    "weights: ONNX that is none": Fault(data("runs/net.onnx", b"nothing"), (*PREDICT, "runs/net.onnx"), ("net.onnx",)),
    # Pictures to look at.
    "picture: cut": Fault(data("images/a.png", lambda b: b[: len(b) // 2]), (*PREDICT, WEIGHTS), ("a.png",)),
    "picture: empty": Fault(data("images/a.png", b""), (*PREDICT, WEIGHTS), ("a.png",)),
    "picture: claims 50,000 px a side": Fault(data("images/a.png", huge_png(50_000)), (*PREDICT, WEIGHTS), ("a.png",)),
    "picture: not there": Fault(gone("images/a.png"), (*PREDICT, WEIGHTS), ("a.png",)),
    "picture: a text": Fault(data("images/a.png", b"hello"), (*PREDICT, WEIGHTS), ("a.png",)),
    # Predictions and truth.
    "prediction: cut": Fault(data("given/a.png", lambda b: b[: len(b) // 2]), SCORE, ("a.png",)),
    "prediction: claims 50,000 px a side": Fault(data("given/a.png", huge_png(50_000)), SCORE, ("a.png",)),
    "truth: claims 50,000 px a side": Fault(data("truth/a.png", huge_png(50_000)), SCORE, ("a.png",)),
    "prediction: an array that claims 40 billion values": Fault(all_of(gone("given/a.png"), data("given/a.npy", npy_of((200_000, 200_000)))), SCORE, ("a.npy",)),
    "prediction: a zip named .npy": Fault(all_of(gone("given/a.png"), data("given/a.npy", zipped("a"))), SCORE, ("a.npy",)),
    "prediction: pickled": Fault(all_of(gone("given/a.png"), array("given/a.npy", np.array([Evil()], dtype=object))), SCORE, ("a.npy",)),
    "prediction: not a number": Fault(all_of(gone("given/a.png"), array("given/a.npy", np.full((64, 64), np.nan, np.float32))), SCORE, ("NaN or infinite scores in a.npy",)),
    "prediction: beyond 1": Fault(all_of(gone("given/a.png"), array("given/a.npy", np.linspace(-9, 9, 4096, dtype=np.float32).reshape(64, 64))), SCORE, ("scores outside [0, 1] in a.npy",)),
    "prediction: of another size": Fault(picture("given/a.png", np.zeros((32, 48), np.uint8)), SCORE, ("another size than the image in a.png", "--fit")),
    "prediction: two of one scene": Fault(array("given/a.npy", np.zeros((64, 64), np.float32)), SCORE, ("a.npy",)),
    "prediction: one missing": Fault(gone("given/a.png"), SCORE, ("no prediction for a;",)),
    "prediction: of a stranger": Fault(picture("given/stranger.png", np.zeros((64, 64), np.uint8)), SCORE, ("stranger",)),
    "prediction: none": Fault(gone("given"), SCORE, ("given does not exist",)),
    "prediction: a folder of nothing": Fault(only("given/notes.md", b"later"), SCORE, ("given has no file that can be read as a prediction",)),
    "points: no column": Fault(data("p.csv", b"name,row\na,1\n"), ("irstd", "score", "p.csv", *AT), ("p.csv has no column 'col'",)),
    "points: a word for a place": Fault(data("p.csv", b"name,row,col\na,one,2\n"), ("irstd", "score", "p.csv", *AT), ("p.csv, line 2",)),
    "points: outside the image": Fault(data("p.csv", b"name,row,col\na,500,2\nb,1,1\n"), ("irstd", "score", "p.csv", *AT), ("places outside the image in line 2 (a)",)),
    "points: bytes that are no text": Fault(data("p.csv", b"name,row,col\n\xe9\x9b,1,2\n"), ("irstd", "score", "p.csv", *AT), ("p.csv",)),
    "boxes: JSON cut": Fault(data("p.json", b'[{"image_id": 1, "bbox": [1,'), ("irstd", "score", "p.json", *AT), ("p.json",)),
    "boxes: of an image that is not there": Fault(data("p.json", json.dumps(OUTSIDE).encode()), ("irstd", "score", "p.json", *AT), ("p.json: image_id 7 is a number without a name",)),
    "boxes: a word for a side": Fault(data("p.json", json.dumps(BAD_BOX).encode()), ("irstd", "score", "p.json", *AT), ("p.json: annotation 0 cannot be used", "'x'")),
    "labels: YOLO beyond the image": Fault(only("given/a.txt", b"0 1.5 0.5 0.1 0.1\n"), SCORE, ("a.txt", "line 1")),
    "labels: XML that unfolds into gigabytes": Fault(only("given/a.xml", LAUGHS), SCORE, ("a.xml",)),
    # Data.
    "data: a mask gone": Fault(gone("data/raw/synthetic/masks"), ("pipelines.prepare", "synthetic"), ("synthetic: the folder masks/ is missing",)),
    "data: an archive that is none": Fault(all_of(data("data/archives/SIRST-UAVB.zip", b"PK\x03\x04 no"), options(dataset={"sirst-uavb": {"source": "catalogue", "split": "published", "validation": 0.1, "budget": "full"}})), ("pipelines.download", "sirst-uavb"), ("SIRST-UAVB.zip",)),
    "data: a folder of one's own is not there": Fault(options(dataset={"mine": {"source": {"folder": "no/where"}, "split": "x", "validation": 0.1, "budget": "full"}}), ("pipelines.download", "mine"), ("no/where",)),
    # Options.
    "options: an unknown key": Fault(options(train={"devise": "cpu"}), ("pipelines.train", "synthetic", "ggl_net", "0"), ("params.yaml", "devise", "device")),
    "options: no YAML": Fault(data("params.yaml", b"datasets: [\n"), ("pipelines.plan",), ("params.yaml",)),
    "options: not UTF-8": Fault(data("params.yaml", b"datasets: [\x9b]\n"), ("pipelines.plan",), ("params.yaml",)),
    "options: a word for a number": Fault(options(method={"ggl_net": {"budgets": {"quick": {"epochs": "many"}}}}), ("pipelines.train", "synthetic", "ggl_net", "0"), ("params.yaml", "epochs")),
    "options: a negative rate": Fault(options(method={"ggl_net": {"budgets": {"quick": {"optimiser": {"name": "adamw", "lr": -1}}}}}), ("pipelines.train", "synthetic", "ggl_net", "0"), ("params.yaml", "lr")),
    "options: a dataset that is not there": Fault(all_of(), ("pipelines.train", "moon", "ggl_net", "0"), ("moon",)),
    "options: a GPU that is not there": Fault(options(train={"device": "cuda:9"}), ("pipelines.train", "synthetic", "ggl_net", "0"), ("params.yaml", "cuda:9")),
    # Submissions.
    "submission: a prediction changed": Fault(first("entry/predictions/*.png", lambda path: picture(path, np.zeros((64, 64), np.uint16))), ("irstd", "verify", "entry"), ("predictions/", "changed since it was scored")),
    "submission: a score changed": Fault(text("entry/submission.json", lambda t: json.dumps((c := json.loads(t)) | {"scores": c["scores"] | {"irstd": c["scores"]["irstd"] | {"iou": 0.123}}})), ("irstd", "verify", "entry"), ("iou is stated",)),
    "submission: no card": Fault(gone("entry/submission.json"), ("irstd", "verify", "entry"), ("submission.json",)),
    # Surroundings.
    "disk: full": Fault(all_of(), ("pipelines.train", "synthetic", "ggl_net", "0"), (".pt",), (resource.RLIMIT_FSIZE, 4096)),
    "surroundings: few files may be open": Fault(all_of(), ("pipelines.reports",), ("ulimit -n",), (resource.RLIMIT_NOFILE, 64)),
    "disk: a file where a folder should be": Fault(data("runs/out", b"mine"), SCORE, ("out",)),
}  # fmt: skip


def world(folder: Path) -> Path:
    """A folder in which all is well: tiny trainings done, predictions and truth, a submission, published weights."""
    copy(folder)
    set_params(folder, TINY)
    set_params(folder, {"baselines": [], "method": {"ggl_net": {"budgets": {"quick": {"epochs": 3}}}}})
    done = dvc(folder, "repro", "score@synthetic-ggl_net-0", "summarise-dataset@synthetic", "method-card@ggl_net")
    assert done.returncode == 0, done.stderr
    packed = called(folder, Fault(all_of(), ["pipelines.pack_weights", "synthetic", "ggl_net", "0"], ()))
    assert packed.returncode == 0, packed.stderr
    mask = np.zeros((64, 64), np.uint8)
    mask[20:23, 30:34] = 255
    for place in ("truth", "given"):
        (folder / place).mkdir()
        for name in ("a", "b"):
            Image.fromarray(mask).save(folder / place / f"{name}.png")
    (folder / "images").mkdir()
    Image.fromarray(mask // 2 + 60).save(folder / "images/a.png")
    dataset = irstd.datasets.load("synthetic", folder=folder / "data/prepared/synthetic")
    (folder / "maps").mkdir()
    for name in dataset.names("test"):
        np.save(folder / f"maps/{name}.npy", dataset.mask(name).astype(np.float32))
    words = ["irstd", "submit", "maps", "--dataset", "synthetic", "--out", "entry"]
    assert called(folder, Fault(all_of(), words, ())).returncode == 0
    return folder


def called(folder: Path, fault: Fault) -> subprocess.CompletedProcess[str]:
    """Runs a fault's command where it was made."""

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_DATA, (MOST_BYTES, MOST_BYTES))
        if fault.limits:
            which, most = fault.limits
            resource.setrlimit(which, (most, most))

    return subprocess.run(
        [sys.executable, "-m", *fault.words], cwd=folder, capture_output=True, text=True, errors="replace",
        env=environment(OMP_NUM_THREADS="1"), preexec_fn=limited, timeout=LONGEST_S,
    )  # fmt: skip


def why_it_fell(folder: Path, name: str) -> str | None:
    """Tries a fault in a copy of the folder, so that none is touched by another; None if it held."""
    fault = FAULTS[name]
    with tempfile.TemporaryDirectory(prefix="irstd-fault-") as temporary:
        place = Path(temporary) / "a place"
        shutil.copytree(folder, place, symlinks=True, ignore=shutil.ignore_patterns(".git", ".dvc"))
        fault.change(place)
        # But the view of record and runs, which is made again by whoever reads it.
        before = {p for p in (place / "runs").rglob("*") if p.is_file() and place / "runs/view" not in p.parents}
        try:
            done = called(place, fault)
        except subprocess.TimeoutExpired:
            return f"nothing within {LONGEST_S} s"
        said = done.stderr
        if done.returncode == 0:
            return "ended well, in silence" if "error" not in said else "ended well, though it said: " + last(said)
        if "Traceback" in said or done.returncode < 0:
            return f"a traceback, or a crash ({done.returncode}): {last(said)}"
        if "error: " not in said:
            return f"no sentence: {last(said)}"
        absent = [word for word in fault.said if word not in said]
        if absent:
            return f"does not name {absent}: {last(said)}"
        if lost := sorted(str(path.relative_to(place)) for path in before if not path.exists()):
            return f"lost what had been computed: {lost[:3]}"
        if (place / "pwned").exists():
            return "code of the file was run"
    return None


def last(said: str) -> str:
    """The end of what was said."""
    return " | ".join(said.strip().splitlines()[-3:])[-400:]


def main(*beginnings: str) -> int:
    """Tries faults, prints what held and what fell, and returns how many fell."""
    names = [name for name in FAULTS if not beginnings or name.startswith(beginnings)]
    fell = 0
    with tempfile.TemporaryDirectory(prefix="irstd-faults-") as temporary:
        folder = world(Path(temporary) / "world")
        for name in names:
            why = why_it_fell(folder, name)
            fell += why is not None
            print(f"{'held' if why is None else 'FELL'}  {name}{'' if why is None else ': ' + why}", flush=True)
    print(f"{len(names) - fell} of {len(names)} kinds of damage and bad input: a sentence each", flush=True)
    return fell


if __name__ == "__main__":
    sys.exit(min(main(*sys.argv[1:]), 1))
