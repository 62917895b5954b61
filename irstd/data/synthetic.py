"""Synthetic infrared scenes with sub-pixel truth, from a seed: what tests, the quick start and curves need.

The model, and why: an unresolved target is the optics' point-spread function, near its core a Gaussian,
integrated over each pixel (Zhang et al., Appl. Opt. 46, 1819, 2007); its strength is set by the
signal-to-clutter ratio |mean of target - mean around| / deviation around (Gao et al., TIP 22, 4996, 2013).
Clouds have power-law spectra (Field, JOSA A 4, 2379, 1987); sea adds waves stretched along the horizon and
sparse glint; ridge lines and buildings add edges, which filters mistake for targets. The sensor adds white
temporal noise, column-wise fixed pattern (the 3-D noise model of D'Agostino and Webb, SPIE 1488, 1991) and
dead pixels.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float32, Float64, UInt8
from numpy import ndarray
from PIL import Image
from scipy.fft import irfft2, rfftfreq
from scipy.ndimage import uniform_filter1d
from scipy.special import erf

CLUTTER = ("cloud", "sea", "ridge", "buildings")
TRUTH = ("name", "row", "col", "sigma_px", "scr", "peak")
NEIGHBOURHOOD_PX = 20  # half side of the box in which clutter is measured, as in Gao et al.


@runtime_checkable
class Wanted(Protocol):
    """What `scenes` reads of the parameters; ranges are (least, most)."""

    seed: int
    train: int
    test: int
    size: int
    targets: tuple[int, int]
    scr: tuple[float, float]
    sigma_px: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Scene:
    """One scene.

    image: grey levels. mask: pixels with at least half of a target's peak. clutter: kind of background.
    truth: one row per target: row, col (px, sub-pixel), sigma (px), signal-to-clutter ratio, peak (grey levels).
    """

    image: UInt8[ndarray, "H W"]
    mask: Bool[ndarray, "H W"]
    truth: Float64[ndarray, "T 5"]
    clutter: str


def spot(size: int, row: float, col: float, sigma: float) -> Float32[ndarray, "S S"]:
    """A Gaussian of unit mass and deviation `sigma` px at (`row`, `col`), integrated over each pixel.

    >>> float(spot(15, 7.0, 7.0, 1.0).sum().round(6))
    1.0
    """
    edges = np.arange(size + 1) - 0.5
    lines = [np.diff(erf((edges - centre) / (sigma * np.sqrt(2)))) / 2 for centre in (row, col)]
    return np.outer(*lines).astype(np.float32)


def power_law(rng: np.random.Generator, size: int, slope: float, stretch: float = 1.0) -> Float32[ndarray, "S S"]:
    """Noise of zero mean and unit deviation whose amplitude spectrum falls as 1 / frequency**slope.

    Args:
        stretch: how many times longer structures are along a row than along a column.
    """
    # In double precision: a power in single precision depends on the processor's vector instructions.
    rows = np.fft.fftfreq(size)[:, None]
    cols = rfftfreq(size)[None] * stretch
    power = rows * rows + cols * cols
    power[0, 0] = np.inf  # no mean
    spectrum = rng.standard_normal((2, size, size // 2 + 1), dtype=np.float32)
    field = irfft2((spectrum[0] + 1j * spectrum[1]) * (power ** (-slope / 2)).astype(np.float32), s=(size, size))
    return (field / field.std()).astype(np.float32)


def background(rng: np.random.Generator, size: int, clutter: str) -> Float32[ndarray, "S S"]:
    """Clutter of one kind, in grey levels of 255, before the sensor's noise."""
    level = rng.uniform(50, 120)
    slow = np.linspace(rng.uniform(-15, 15), rng.uniform(-15, 15), size, dtype=np.float32)[:, None]
    if clutter == "cloud":
        return level + slow + rng.uniform(6, 18) * power_law(rng, size, rng.uniform(1.3, 2.0))
    if clutter == "sea":
        waves = power_law(rng, size, 1.0, stretch=rng.uniform(3, 10))
        glint = np.where(rng.random((size, size), dtype=np.float32) < 0.002, rng.uniform(5, 15), 0).astype(np.float32)
        return level + slow + rng.uniform(4, 9) * waves + uniform_filter1d(glint, 3, axis=1)
    sky = level + slow + rng.uniform(2, 6) * power_law(rng, size, 1.6)
    if clutter == "ridge":
        steps = np.cumsum(rng.standard_normal(size, dtype=np.float32))
        line = size * rng.uniform(0.5, 0.8) + steps - steps.mean()
        ground = level - rng.uniform(15, 40) + rng.uniform(4, 10) * power_law(rng, size, 1.2)
        # The edge is one pixel wide, as the optics leave it.
        share = np.clip(np.arange(size, dtype=np.float32)[:, None] - line[None], 0, 1)
        return sky * (1 - share) + ground * share
    for _ in range(rng.integers(3, 8)):
        width, height = rng.integers(size // 12, size // 4, 2)
        left = rng.integers(0, size - width)
        sky[size - height :, left : left + width] = level + rng.uniform(-35, 35)
    return sky + rng.uniform(1, 3) * power_law(rng, size, 0.8)


def sensor(rng: np.random.Generator, image: Float32[ndarray, "S S"]) -> Float32[ndarray, "S S"]:
    """`image` with white noise and column stripes, both around a grey level of 255."""
    noise = rng.standard_normal(image.shape, dtype=np.float32) * np.float32(rng.uniform(0.5, 2.0))
    stripes = rng.standard_normal(image.shape[1], dtype=np.float32) * np.float32(rng.uniform(0.1, 0.8))
    return image + noise + stripes[None]


def scene(rng: np.random.Generator, wanted: Wanted) -> Scene:
    """One scene; the number, place, spread and strength of targets are drawn from the ranges of `wanted`."""
    size, clutter = wanted.size, CLUTTER[rng.integers(len(CLUTTER))]
    image = sensor(rng, background(rng, size, clutter))
    mask = np.zeros((size, size), bool)
    signal = np.zeros((size, size), np.float32)
    truth: list[tuple[float, ...]] = []
    for _ in range(rng.integers(wanted.targets[0], wanted.targets[1] + 1)):
        row, col = rng.uniform(3, size - 4, 2)
        sigma, scr = rng.uniform(*wanted.sigma_px), rng.uniform(*wanted.scr)
        # Two targets nearer than this would be one region of the mask.
        if any(np.hypot(row - r, col - c) < 4 * (sigma + s) for r, c, s, *_ in truth):
            continue
        shape = spot(size, row, col, sigma)
        inside = shape >= shape.max() / 2
        top, left = (max(0, round(x) - NEIGHBOURHOOD_PX) for x in (row, col))
        around = image[top : round(row) + NEIGHBOURHOOD_PX + 1, left : round(col) + NEIGHBOURHOOD_PX + 1]
        gain = scr * around.std() / shape[inside].mean()
        mask |= inside
        signal += gain * shape
        truth.append((row, col, sigma, scr, gain * shape.max()))
    image += signal
    dead = rng.integers(0, size, (rng.integers(0, 4), 2))
    image[dead[:, 0], dead[:, 1]] = 0
    pixels = np.clip(np.rint(image), 0, 255).astype(np.uint8)
    return Scene(pixels, mask, np.array(truth, float).reshape(-1, 5), clutter)


def scenes(wanted: Wanted) -> Iterator[tuple[str, str, Scene]]:
    """Name, role (train or test) and scene, in order; each depends on the seed and its own number alone."""
    for role, count in (("train", wanted.train), ("test", wanted.test)):
        for number in range(count):
            rng = np.random.default_rng([wanted.seed, role == "test", number])
            yield f"{role}_{number:04d}", role, scene(rng, wanted)


def write(wanted: Wanted, folder: Path) -> dict[str, dict[str, str]]:
    """Writes the scenes to `folder` as a raw dataset with `truth.csv`; returns each scene's role.

    Args:
        folder: new; gets images/ and masks/ (PNG).
    """
    for kind in ("images", "masks"):
        (folder / kind).mkdir(parents=True)
    roles = {}
    with (folder / "truth.csv").open("w", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(TRUTH)
        for name, role, made in scenes(wanted):
            Image.fromarray(made.image).save(folder / "images" / f"{name}.png")
            Image.fromarray(made.mask.astype(np.uint8) * 255).save(folder / "masks" / f"{name}.png")
            table.writerows([name, *(f"{x:.4f}" for x in row)] for row in made.truth)
            roles[name] = {"made": role}
    return roles
