"""`irstd export`: published weights for ONNX Runtime or OpenVINO, compared with torch, and in 8 bits if asked for."""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from irstd.errors import InputError

if TYPE_CHECKING:
    from numpy import ndarray

    from irstd.inference.export import Scores

SIDE_PX = 256
RUNS = 10  # timed, of each form
MOST_COMPARED = 32  # pictures
NEAR_PX = 3.0  # what two forms find nearer than this is of one target
FORMS = {".onnx": "ONNX Runtime", ".xml": "OpenVINO"}  # what runs files of this ending
SAME = 1e-3  # by how much outputs may differ from torch's


def add(commands: Any) -> None:
    """Adds the command to a parser's."""
    parser = commands.add_parser(
        "export", help="published weights as a file of ONNX or OpenVINO, compared with torch and timed"
    )
    parser.add_argument("weights", help="DATASET/METHOD of reports/weights, or a file of published weights")
    parser.add_argument(
        "--out", type=Path, required=True, metavar="FILE", help="ending in .onnx, or in .xml for OpenVINO"
    )
    parser.add_argument(
        "--size",
        type=int,
        nargs=2,
        metavar=("HEIGHT", "WIDTH"),
        help="of images, px; 256 256, or a tile's of the recipe",
    )
    parser.add_argument(
        "--int8",
        type=Path,
        nargs="+",
        metavar="PICTURE",
        help="write FILE.int8.onnx as well, beside an .onnx; ranges are of these pictures",
    )


def run(given: argparse.Namespace, _root: Path) -> str:
    """Writes the file, and returns what it takes, what it gives, and how it compares.

    Raises:
        InputError: there are no such weights, the size does not suit them, or the file does not say what torch says.
    """
    plain = FORMS.get(given.out.suffix)
    if plain is None:
        raise InputError(f"--out {given.out.name} does not end in .onnx or .xml; name a file that does")
    if given.int8 and given.out.suffix != ".onnx":
        raise InputError("--int8 writes a file of ONNX; let --out end in .onnx")
    from irstd.apps import api  # noqa: PLC0415 - `--help` needs no torch

    network = api.load(given.weights, device="cpu").loaded
    in_tiles = network.label.geometry == "tiles"
    height, width = given.size or [network.label.side if in_tiles else SIDE_PX] * 2
    multiple = network.method.multiple
    if min(height, width) < multiple or height % multiple or width % multiple:
        raise InputError(f"--size {height} {width}: sides of {network.method.title} are multiples of {multiple} px")
    import numpy as np  # noqa: PLC0415
    import tabulate  # noqa: PLC0415
    import torch  # noqa: PLC0415

    from irstd.inference import export, in_onnx  # noqa: PLC0415
    from irstd.metrics import points  # noqa: PLC0415

    scores = export.Scores(network.method, network.options, network.network).eval()
    given.out.parent.mkdir(parents=True, exist_ok=True)
    calls = {plain: (given.out, _written(scores, (height, width), given.out))}
    label = {**asdict(network.label), "title": network.method.title, "maps": scores.maps}
    if given.out.suffix == ".onnx":
        in_onnx.write_label(given.out, label)
    pictures = _pictures(given.int8, height, width) if given.int8 else np.zeros((0, 1, height, width), np.float32)
    if given.int8:
        small = given.out.with_suffix(".int8.onnx")
        export.quantise(given.out, small, pictures)
        in_onnx.write_label(small, label)
        calls[f"{plain}, 8 bits"] = (small, export.load(small))
    noise = np.random.default_rng(0).random((1, 1, height, width), np.float32)
    every = pictures[:MOST_COMPARED] if len(pictures) else noise
    above = network.label.threshold
    with torch.inference_mode():
        expected = [scores(torch.from_numpy(one[None])).numpy() for one in every]
        known = [scores.points(one, above) for one in expected]
        many = sum(map(len, known))
        rows = [("torch", "", "", f"{many} found", _median_ms(lambda: scores(torch.from_numpy(noise))))]
        for name, (path, call) in calls.items():
            got = [call(one[None]) for one in every]
            off = max(float(np.abs(a - b).max()) for a, b in zip(got, expected, strict=True))
            if name == plain and off > SAME:
                raise InputError(f"{path} differs from torch by {off:.2g}; it is not to be used, please report this")
            here = [scores.points(one, above) for one in got]
            both = sum(len(points.pairs(a, b, NEAR_PX)) for a, b in zip(known, here, strict=True))
            said = f"{both} of {many} found, {sum(map(len, here)) - both} others"
            rows.append((name, path.name, f"{off:.2g}", said, _median_ms(lambda call=call: call(noise))))
    heads = ("form", "file", "outputs differ by", f"in {len(every)} images", "median ms of one")
    shown = tabulate.tabulate([(*row[:-1], f"{row[-1]:.1f}") for row in rows], heads, tablefmt="pipe")
    what = "scores in [0, 1], (1, 1, H, W)" if scores.maps else "the network's own maps, in which torch finds points"
    intended = f" It was trained to be used in tiles of {network.label.side} px." if in_tiles else ""
    return (
        f"{network.label.row} of {network.label.dataset}: `images` (1, 1, {height}, {width}), grey levels in [0, 1]; "
        f"`outputs`: {what}.{intended}\n\n{shown}"
    )


def _written(scores: Scores, sides: tuple[int, int], out: Path) -> Callable[[ndarray], ndarray]:
    """Writes the file, and returns what it maps images to."""
    from irstd.inference import export  # noqa: PLC0415

    if out.suffix == ".onnx":
        export.export(scores, (1, 1, *sides), out)
        return export.load(out)
    with tempfile.TemporaryDirectory() as folder:
        between = Path(folder) / "network.onnx"
        export.export(scores, (1, 1, *sides), between)
        export.to_openvino(between, out)
    return export.load_openvino(out)


def _median_ms(call: Callable[[], object]) -> float:
    times = []
    for number in range(RUNS + 2):
        start = time.perf_counter()
        call()
        if number >= 2:
            times.append(time.perf_counter() - start)
    return 1e3 * statistics.median(times)


def _pictures(paths: list[Path], height: int, width: int) -> ndarray:
    """Windows of pictures, (N, 1, H, W) in [0, 1]; smaller ones are continued by their mirror image."""
    import numpy as np  # noqa: PLC0415

    from irstd.inference import sources, tiles  # noqa: PLC0415

    found = []
    for path in sources.files(paths)[:100]:
        grey = sources.read(path).grey
        padded = tiles.continued(grey, (height, width))
        found.append(padded[None, :height, :width].astype(np.float32) / 255)
    return np.stack(found)
