"""`irstd predict`: targets in anyone's pictures and videos, by published weights."""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from irstd.apps.scoring import share
from irstd.errors import InputError

MOST_ROWS = 40  # of the table that is printed


def add(commands: Any) -> None:
    """Adds the command to a parser's."""
    parser = commands.add_parser("predict", help="find targets in your own pictures, with published weights")
    parser.add_argument(
        "images",
        type=Path,
        nargs="+",
        metavar="IMAGE",
        help="pictures (PNG, TIFF, JPEG, PGM, NPY, MAT …), videos, or folders of them; of any size",
    )
    parser.add_argument(
        "--weights",
        # Of the weights in Git that draw masks: the highest Pd on the datasets they were not trained on.
        default="irstd-1k/gaussian_pinwheel",
        help="DATASET/METHOD of reports/weights, a file of published weights, or one of `irstd export`, which needs no "
        "torch; if not given %(default)s, the one in Git that draws masks (reports/transfer.md)",
    )
    parser.add_argument("--threshold", type=share, help="of the score; that of the weights if not given")
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FOLDER",
        help="where answers go, in place of those of an earlier run; runs/pictures/DATASET-METHOD if not given",
    )
    parser.add_argument(
        "--levels",
        type=float,
        nargs=2,
        metavar=("LOW", "HIGH"),
        help="of pictures of more than 8 bits, that become black and white; their lowest and highest if not given",
    )
    parser.add_argument("--key", help="name of the array in .npz and .mat files with several")
    parser.add_argument("--skip", action="store_true", help="go on without files that cannot be read")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")


def run(given: argparse.Namespace, root: Path) -> str:
    """Finds targets in anyone's pictures, and returns what was found and where it was written."""
    from irstd.inference import published, sources  # noqa: PLC0415 - without torch, so that a wrong path is named at once

    for path in given.images:
        if not path.exists():
            sources.find(given.images)
    known = published.at_hand(root)
    path = published.find(given.weights, known)
    levels = tuple(given.levels) if given.levels else None
    if levels and not -math.inf < levels[0] < levels[1] < math.inf:
        raise InputError(f"--levels {levels[0]:g} {levels[1]:g} is no range; give a lower and a higher grey level")
    dataset, _, row = given.weights.partition("/")
    named = root / "runs/pictures" / f"{dataset}-{row}" if given.weights in known else None
    return _with_weights(given, path, levels, given.out or named, root)


def _readable(
    found: Any, levels: tuple[float, float] | None, key: str | None, *, skip: bool
) -> tuple[dict[Path, str], list[str]]:
    """Files that can be read, and why others cannot.

    Raises:
        InputError: some cannot, all of which are named, and they are not to be skipped; or none is left.
    """
    from irstd.inference import sources  # noqa: PLC0415

    faults, kept = [], {}
    for path, name in found.names.items():
        try:
            sources.check(path, key)
            if not sources.is_video(path):
                sources.read(path, levels, key=key)  # so that nothing is half done when one cannot be used
        except InputError as error:
            faults.append(str(error))
        else:
            kept[path] = name
    if faults and not (skip and kept):
        many = f"\n       {len(faults)} files cannot be used; go on without them with --skip" if kept else ""
        raise InputError("\n       ".join(faults[:20]) + many)
    return kept, faults


def _with_weights(
    given: argparse.Namespace, path: Path, levels: tuple[float, float] | None, folder: Path | None, root: Path
) -> str:
    import pandas as pd  # noqa: PLC0415 - slow to load, and `--help` needs none of these
    from tqdm import tqdm  # noqa: PLC0415

    from irstd.formats import pixels  # noqa: PLC0415
    from irstd.inference import sources  # noqa: PLC0415

    found = sources.find(given.images, folder)
    if given.key is not None and not any(one.suffix.lower() in pixels.BY_NAME for one in found.names):
        raise InputError("--key names the array in .npz and .mat files, and there is none; leave it out")
    kept, faults = _readable(found, levels, given.key, skip=given.skip)
    from irstd.inference import pictures  # noqa: PLC0415

    network, title, label = _network(path, given.device)
    folder = folder or root / "runs/pictures" / f"{label.dataset}-{label.row}"
    pictures.make_room(folder)
    threshold = label.threshold if given.threshold is None else given.threshold
    start, rows = time.perf_counter(), []
    with (
        tqdm(
            desc="predict", total=None if any(map(sources.is_video, kept)) else len(kept), unit="img", leave=False
        ) as bar,
        tqdm(desc="tiles", unit="tile", leave=False, disable=None, delay=1, position=1) as inner,
    ):

        def progress(done: int, of: int) -> None:
            inner.total, inner.n = of, done
            inner.refresh()

        every = pictures.answers(network, _pictures(kept, levels, given.key), threshold, progress)
        for one in pictures.write(every, folder):
            rows.append(_row(one))
            bar.update()
    took = (time.perf_counter() - start) / len(rows)
    table = pd.DataFrame(rows[:MOST_ROWS])
    table = table if table["note"].any() else table.drop(columns="note")
    more = f"\n… and {len(rows) - MOST_ROWS} more, see points.csv" if len(rows) > MOST_ROWS else ""
    maps = (
        "overlays/, masks/, scores/, points.csv and boxes.json (COCO)"
        if one.mask is not None
        else "overlays/ and points.csv"
    )
    trained = f"trained on {label.dataset}, split {label.split}, seed {label.seed}, budget {label.budget}"
    card = path.with_suffix(".md")
    said = [
        f"{title}, {trained}; a target is what scores above {threshold:g}.",
        table.to_markdown(index=False, disable_numparse=True) + more,
        *found.notes,
        *([f"Left out, not readable: {'; '.join(faults)}"] if faults else []),
        f"{took:.2f} s a picture. Written to {folder}: {maps}."
        + (f"\nWhat these weights can and cannot do: {card}" if card.is_file() else ""),
    ]
    return "\n\n".join(said)


def _network(path: Path, device: str) -> tuple[Any, str, Any]:
    """What says where targets are, the method's title, and the label of the weights."""
    if path.suffix == ".onnx":
        if device not in ("auto", "cpu"):
            raise InputError(f"--device {device}: files of ONNX run on the CPU here; name weights instead")
        from irstd.inference import in_onnx  # noqa: PLC0415

        network = in_onnx.InOnnx(path)
        return network, network.label["title"], SimpleNamespace(**network.label)
    try:
        from irstd.inference import devices, in_torch, weights  # noqa: PLC0415 - torch, only when all else is right
    except ModuleNotFoundError as error:
        raise InputError(
            f"{error.name} is not installed, which weights need; pip install 'irstd-workbench[train]', or name a file "
            "of `irstd export`"
        ) from None
    loaded = weights.load(path)
    try:
        on = devices.device(device)
    except InputError as error:
        raise InputError(str(error).replace("params.yaml: train.device", "--device")) from None
    return in_torch.InTorch(loaded, on), loaded.method.title, loaded.label


def _pictures(kept: dict[Path, str], levels: tuple[float, float] | None, key: str | None) -> Iterator[Any]:
    from irstd.inference import sources  # noqa: PLC0415

    for path, name in kept.items():
        if sources.is_video(path):
            yield from sources.frames(path, name)
        else:
            yield sources.read(path, levels, name, key)


def _score(value: float) -> str:
    """Four digits; what is not quite 1 is not shown as 1.

    >>> _score(0.99996), _score(1.0), _score(0.0003)
    ('0.9999', '1.0000', '0.0003')
    """
    return f"{value if value == 1 else min(value, 0.9999):.4f}"


def _row(one: Any) -> dict[str, object]:
    """A picture's row of the table that is printed."""
    places = "; ".join(f"({row:.1f}, {col:.1f}) {_score(score)}" for row, col, score in one.points[:3].tolist())
    more = f" and {len(one.points) - 3} more" if len(one.points) > 3 else ""
    notes = [one.picture.note] if one.picture.note else []
    if one.tiles > 1:
        notes.append(f"in {one.tiles} overlapping tiles")
    title = one.picture.title
    name = one.picture.path.name if title == one.picture.path.stem else title
    return {"picture": name, "found": len(one.points), "(row, col) px, score": places + more, "note": ", ".join(notes)}
