"""Scoring beside a straightforward implementation on scikit-image's regionprops, one thread, interleaved; and a split
of 664 scenes under every convention with all levels, two threads: `python -m tests.bench.scoring`.

The straightforward one is what the field's repositories do: label both masks, measure all regions, compare every
target with every region in loops, and count the pixels of those left over.
"""

import statistics
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter
from skimage import measure

from irstd.formats import predictions
from irstd.metrics import curves
from irstd.metrics.conventions import CONVENTIONS, ours
from irstd.metrics.counts import Pair, count
from irstd.metrics.levels import TOP
from irstd.scoring import totals

ROUNDS, SCENES = 15, 664


def straightforward(mask, levels):
    """Pd, Fa and IoU of one image, the usual way."""
    predicted = levels / TOP > 0.5
    truth = measure.regionprops(measure.label(mask, connectivity=2))
    found = measure.regionprops(measure.label(predicted, connectivity=2))
    left, detected = list(found), 0
    for target in truth:
        for region in left:
            if np.linalg.norm(np.array(region.centroid) - np.array(target.centroid)) < 3:
                left.remove(region)
                detected += 1
                break
    false = np.zeros(mask.shape)
    for region in left:
        false[region.coords[:, 0], region.coords[:, 1]] = 1
    intersection, union = (mask * predicted).sum(), ((mask + predicted) > 0).sum()
    return detected, len(truth), int(false.sum()), int(intersection), int(union)


def mine(mask, levels):
    counts = count(Pair(mask, levels), ours()).counts
    union = counts.predicted + counts.true - counts.intersection
    return counts.detected, counts.targets, counts.false_pixels, counts.intersection, union


def scene(rng, noisy):
    """256×256 px with five targets; predictions a pixel off, or 200 specks besides."""
    mask = np.zeros((256, 256), bool)
    for number in range(5):
        row, col = 20 + 45 * number, int(rng.integers(10, 240))
        mask[row : row + int(rng.integers(3, 7)), col : col + int(rng.integers(3, 7))] = True
    score = np.roll(mask, 1, 0) * 0.9
    if noisy:
        score[rng.integers(0, 256, 205), rng.integers(0, 256, 205)] = 0.8
    return mask, np.rint(score * TOP).astype(np.uint16)


def beside(noisy, images=20):
    """Medians of rounds in which the two take turns, ms an image."""
    rng = np.random.default_rng(0)
    scenes = [scene(rng, noisy) for _ in range(images)]
    assert all(mine(*one) == straightforward(*one) for one in scenes)
    took = {mine: [], straightforward: []}
    for _ in range(ROUNDS):
        for way, times in took.items():
            start = time.perf_counter()
            for one in scenes:
                way(*one)
            times.append((time.perf_counter() - start) / images * 1e3)
    fast, slow = (statistics.median(times) for times in took.values())
    ratio = statistics.median(b / a for a, b in zip(*took.values(), strict=True))
    print(
        f"{'200 specks and ' if noisy else ''}5 targets: {fast:.3f} ms, straightforward {slow:.2f} ms: {ratio:.1f} times"
    )


def split():
    """664 scenes of 256×256 px with 1 to 3 targets, scores smooth around them and noise everywhere."""
    rng = np.random.default_rng(1)
    pairs = []
    for _ in range(SCENES):
        mask = np.zeros((256, 256), bool)
        for row, col in rng.integers(5, 245, (rng.integers(1, 4), 2)):
            mask[row : row + 4, col : col + 4] = True
        score = 1.6 * gaussian_filter(mask.astype(np.float32), 1.2) + 0.01 * rng.random(mask.shape, np.float32)
        specks = rng.integers(0, 256, (2, 20))
        score[specks[0], specks[1]] += 0.4
        pairs.append(Pair(mask, np.rint(score.clip(0, 1) * TOP).astype(np.uint16)))
    start = time.perf_counter()
    totals.score(pairs)
    took = time.perf_counter() - start
    print(f"{SCENES} scenes under {len(CONVENTIONS)} conventions and at {curves.LEVELS} levels: {took:.1f} s")


def reading():
    """Masks and maps of a split, read as `irstd score` reads them, beside their decoders alone, interleaved."""
    rng = np.random.default_rng(2)
    with tempfile.TemporaryDirectory() as place:
        sizes = {f"{number:04d}": (256, 256) for number in range(SCENES)}
        folders = {kind: Path(place, kind) for kind in ("png", "npy")}
        for folder in folders.values():
            folder.mkdir()
        for name in sizes:
            mask = np.zeros((256, 256), np.uint8)
            row, col = rng.integers(5, 245, 2)
            mask[row : row + 4, col : col + 4] = 255
            Image.fromarray(mask).save(folders["png"] / f"{name}.png")
            np.save(folders["npy"] / f"{name}.npy", (mask / 255).astype(np.float32))
        plain = {"png": lambda path: np.asarray(Image.open(path)), "npy": np.load}
        for kind, folder in folders.items():
            took = {"ours": [], "alone": []}
            for _ in range(ROUNDS // 3):
                start = time.perf_counter()
                predictions.read(folder, sizes)
                middle = time.perf_counter()
                for path in sorted(folder.iterdir()):
                    plain[kind](path).astype(float)
                took["ours"].append(middle - start)
                took["alone"].append(time.perf_counter() - middle)
            ours, alone = (statistics.median(times) for times in took.values())
            print(f"{SCENES} .{kind} of 256×256 px read in {ours:.2f} s, by their decoder alone in {alone:.2f} s")


if __name__ == "__main__":
    cv2.setNumThreads(1)
    beside(noisy=False)
    beside(noisy=True)
    split()
    reading()
