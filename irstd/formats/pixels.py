"""Pictures and arrays as files hold them: one reader, which honours what a file says of its samples.

Sizes are checked before anything is decoded, and those of colours as soon as there are any. What values mean is
decided elsewhere: `masks` for truth, `maps` for scores, `irstd.inference.pictures` for images.
"""

from __future__ import annotations

import math
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy import ndarray
from PIL import Image, UnidentifiedImageError
from PIL.TiffImagePlugin import TiffImageFile

from irstd.formats import bands, matlab, tiff

SUFFIXES = (".png", ".bmp", ".jpg", ".jpeg", ".tif", ".tiff")  # of the field's datasets
PICTURES = (*SUFFIXES, ".pgm", ".ppm", ".pnm", ".pbm", ".gif", ".webp", ".jp2", ".j2k")
BY_NAME = (".npz", ".mat")  # hold several arrays
ARRAYS = (".npy", *BY_NAME)
ANY = (*PICTURES, *ARRAYS)
NUMERIC = (  # MATLAB's classes of numbers
    "double", "single", "logical", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
)  # fmt: skip
LARGEST_PX = 1 << 27  # of one picture or array, 134 million; what is larger is refused before it is decoded
MOST_BYTES = 8 * LARGEST_PX  # of all arrays of a file together, 1 GiB
LARGEST_SIDE = 1 << 20  # px
ORIENTATION = 274  # of TIFF's and EXIF's tags
COLOURS = ("CMYK", "YCbCr", "LAB", "HSV")
EIGHT_BITS = ("1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", *COLOURS)
Image.MAX_IMAGE_PIXELS = LARGEST_PX  # Pillow's own is lower than the largest scenes of the field


class UnreadableError(ValueError):
    """A file cannot be read; the text says why, without the file's name."""


class SeveralError(UnreadableError):
    """A file holds several arrays, and none is named. names: theirs."""

    def __init__(self, names: str) -> None:
        super().__init__(f"it holds {names}; say which is meant with --key")
        self.names = names


@dataclass(frozen=True, slots=True)
class Pixels:
    """What a file holds.

    values: (H, W), or (H, W, 3) of colours, or with further axes as an array has them. alpha: (H, W) of 0 to 255, or
    None where nothing is transparent. lossy: whether the file's compression changes values. notes: what was chosen.
    """

    values: ndarray
    alpha: ndarray | None = None
    lossy: bool = False
    notes: tuple[str, ...] = ()


def read(path: Path, key: str | None = None) -> Pixels:
    """What a picture or array file holds.

    Args:
        path: one of the suffixes `ANY`, in any case.
        key: of the array in an `.npz` or `.mat` with several.

    Raises:
        UnreadableError: damaged, of no known kind, too large, or with several arrays and no `key`.
    """
    suffix = path.suffix.lower()
    with _decoding(path):
        if suffix == ".npy":
            return Pixels(_npy(path))
        if suffix in ARRAYS:
            return Pixels(_only(arrays(path), key))
        return _picture(path)


@contextmanager
def _decoding(path: Path) -> Iterator[None]:
    """Refuses a file that a library cannot decode.

    Damaged files lead decoders to errors of any kind: those of tokenizers, zlib, struct and their own, besides OSError
    and ValueError.
    """
    try:
        yield
    except (UnreadableError, FileNotFoundError):
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise UnreadableError(f"more than {LARGEST_PX:,} px; cut it into pieces") from None
    except Exception as error:  # noqa: BLE001 - see above
        raise UnreadableError(_short(error, path)) from None


def size_of(path: Path, key: str | None = None) -> tuple[int, int]:
    """Height and width of a picture, px, without decoding it; `key` as `read` takes it.

    Raises:
        UnreadableError: as `read`.
    """
    if path.suffix.lower() in ARRAYS:
        values = flat(read(path, key).values)
        return tuple(values.shape[:2]) if values.ndim == 2 or values.shape[-1] in (3, 4) else tuple(values.shape[-2:])
    with _decoding(path):
        try:
            with Image.open(path) as image:
                if isinstance(image, TiffImageFile) or image.format == "JPEG":  # of others it takes decoding
                    _refuse_turned(_orientation(image))
                return image.height, image.width
        except (OSError, SyntaxError, ValueError) as error:
            if path.suffix.lower() not in (".tif", ".tiff"):
                unknown = isinstance(error, UnidentifiedImageError)
                raise UnreadableError("not an image" if unknown else _short(error, path)) from None
            values = _tiff(path).values
            return tuple(values.shape[:2]) if values.shape[-1] in (3, 4) else tuple(values.shape[-2:])


def arrays(path: Path) -> dict[str, ndarray]:
    """Numeric arrays of two or more axes in an `.npz` or `.mat` (of any version), by name.

    Raises:
        UnreadableError: damaged, or too large.
    """
    with _decoding(path):
        return _npz(path) if path.suffix.lower() == ".npz" else _mat(path)


def _short(error: Exception, path: Path) -> str:
    """What went wrong, in one line, without the path."""
    text = str(error).replace(str(path), path.name).split("\n")[0].strip().rstrip(".")
    return text or type(error).__name__


def allowed(shape: tuple[int, ...], bytes_each: int = 1) -> None:
    """Raises UnreadableError for a shape of more than `LARGEST_PX` values, or of more than half of `MOST_BYTES`."""
    most = min(LARGEST_PX, MOST_BYTES // 2 // bytes_each)
    if len(shape) == 2 and max(shape) > LARGEST_SIDE:  # decoders take their time for each row
        raise UnreadableError(f"{shape[1]}×{shape[0]} px, a side of more than {LARGEST_SIDE:,}; cut it into pieces")
    if math.prod(shape) > most:
        sides = "×".join(str(n) for n in (shape[1], shape[0])) + " px" if len(shape) == 2 else f"shape {shape}"
        raise UnreadableError(f"{sides}, more than {most:,} in all; cut it into pieces")


def _npy(path: Path) -> ndarray:
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except EOFError:
        raise UnreadableError("empty") from None
    if not isinstance(array, ndarray):
        raise UnreadableError("an archive of arrays, not one")
    return _numeric(array)


def _numeric(array: ndarray) -> ndarray:
    """The array in memory, if it is of numbers and not too large."""
    if array.dtype.kind not in "buif":
        raise UnreadableError(f"{array.dtype} of shape {array.shape} is no map")
    allowed(array.shape)
    return np.array(array, array.dtype.newbyteorder("="))


def _npz(path: Path) -> dict[str, ndarray]:
    found = {}
    with zipfile.ZipFile(path) as opened:
        total = sum(member.file_size for member in opened.infolist())
        if total > MOST_BYTES:
            raise UnreadableError(
                f"its arrays are of {total:,} bytes, more than {MOST_BYTES:,}; save them in several files"
            )
    with np.load(path, allow_pickle=False) as opened:
        for name in opened.files:
            array = opened[name]
            if array.dtype.kind in "buif" and array.ndim >= 2:
                found[name] = _numeric(array)
    return found


def _mat(path: Path) -> dict[str, ndarray]:
    with path.open("rb") as file:
        newest = b"MATLAB 7.3" in file.read(128)
    if newest:
        import h5py  # noqa: PLC0415 - only files of MATLAB 7.3 need it

        with h5py.File(path) as opened:
            found = {}
            for name, one in opened.items():
                if isinstance(one, h5py.Dataset) and one.dtype.kind in "buif" and one.ndim >= 2:
                    allowed(one.shape)
                    found[name] = np.asarray(one[()]).T  # MATLAB counts columns first
            return found
    from scipy import io  # noqa: PLC0415 - only .mat needs it

    matlab.check(path, MOST_BYTES)
    listed = io.whosmat(path)
    for name, shape, _ in listed:
        if name and math.prod(shape) > LARGEST_PX:
            allowed(shape)
    # What is no array of numbers is not decoded: less for a damaged file to lead astray.
    wanted = [name for name, _, kind in listed if name.isidentifier() and kind in NUMERIC]
    held = io.loadmat(path, variable_names=wanted) if wanted else {}
    return {k: v for k, v in held.items() if isinstance(v, ndarray) and v.dtype.kind in "buif" and v.size > 1}


def _only(held: Mapping[str, ndarray], key: str | None) -> ndarray:
    """The one array of a file, or that called `key`."""
    names = ", ".join(held) or "nothing"
    if not held:
        raise UnreadableError("no array of two or more axes in it")
    if key is not None:
        if key not in held:
            raise UnreadableError(f"it holds {names}, and no {key!r}; correct --key")
        return held[key]
    if len(held) == 1:
        return next(iter(held.values()))
    flat = [name for name, array in held.items() if np.squeeze(array).ndim == 2]
    if len(flat) == 1:
        return held[flat[0]]
    raise SeveralError(names)


def _picture(path: Path) -> Pixels:
    try:
        with Image.open(path) as image:
            allowed((image.height, image.width))
            if isinstance(image, TiffImageFile):  # which Pillow turns on decoding, though not all kinds
                _refuse_turned(image.tag_v2.get(ORIENTATION, 1))
            found = _decoded(path, image)
            _refuse_turned(_orientation(image))
            return found
    except UnidentifiedImageError:
        if path.suffix.lower() in (".tif", ".tiff"):
            return _tiff(path)  # samples that Pillow does not know: doubles, half floats, 64-bit integers
        raise UnreadableError("not an image") from None


def _orientation(image: Image.Image) -> object:
    """What EXIF says of how a decoded picture is to be turned; 1 where it says nothing, or is damaged."""
    try:
        return image.getexif().get(ORIENTATION, 1)
    except Exception:  # noqa: BLE001 - of damaged EXIF, whatever Pillow raises
        return 1


def _refuse_turned(orientation: object) -> None:
    """Raises UnreadableError for a picture that viewers turn or mirror: libraries differ in whether they do."""
    if orientation in range(2, 9):
        raise UnreadableError(f"stored turned or mirrored (orientation {orientation}); save it upright")


def _decoded(path: Path, image: Image.Image) -> Pixels:
    """Pixels of an opened picture."""
    kind, frames = image.format or "", getattr(image, "n_frames", 1)
    lossy = kind in ("JPEG", "MPO", "JPEG2000") or (kind == "WEBP" and b"VP8 " in path.read_bytes()[:64])
    notes = ["preview of a radiometric JPEG; its raw levels are not read, export them as 16-bit TIFF"] * radiometric(
        image
    )
    if isinstance(image, TiffImageFile):
        white = image.tag_v2.get(262) == 0 and image.mode not in EIGHT_BITS
        sign = image.tag_v2.get(339, (1,))[0]
        # The lowest value is white: Pillow turns only 8 bits over. And it takes 32 bits without a sign for some with,
        # and 8 with a sign for some without.
        if white or (image.mode == "I" and sign == 1) or (image.mode in EIGHT_BITS and sign == 2):
            found = _tiff(path)
            return replace(found, notes=(*notes, *found.notes))
        if frames > 1:
            return _pages(path, image, frames)
    elif frames > 1 and kind != "MPO":
        notes.append(f"the first of {frames} frames")
    deep = any(";16" in str(tile[3]) for tile in getattr(image, "tile", ())) and image.mode in ("RGB", "RGBA", "LA")
    if deep:  # Pillow keeps the upper 8 bits only
        try:
            import cv2  # noqa: PLC0415 - nothing else here needs it, and it is large
        except ModuleNotFoundError:
            raise UnreadableError("colours of 16 bits, which opencv-python-headless reads; install that") from None
        values = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        if values is None:
            raise UnreadableError("colours of 16 bits that cannot be decoded; save it as 16-bit grey")
        alpha = None if values.shape[-1] < 4 else np.rint(values[..., 3] / 257).astype(np.uint8)
        return _without(Pixels(values[..., 2::-1], alpha, lossy, tuple(notes)))
    return _without(replace(_of_mode(image), lossy=lossy, notes=tuple(notes)))


def _of_mode(image: Image.Image) -> Pixels:
    """Values and transparency of an image, by Pillow's mode."""
    mode, clear = image.mode, image.info.get("transparency")
    if mode in ("P", "PA", "LA", "La", "RGBA", "RGBa") or (clear is not None and mode in ("L", "RGB")):
        return Pixels(*bands.coloured(image, "RGBA"))
    if mode in COLOURS or mode == "RGB":
        return Pixels(*bands.coloured(image, "RGB"))
    if mode == "1":  # as an array it is of truths that hold 255, with which NumPy does not reckon
        return Pixels(np.asarray(image.convert("L")))
    if mode not in EIGHT_BITS and not mode.startswith(("I", "F")):
        raise UnreadableError(f"pixels of mode {mode} are not known; save it as grey levels")
    return Pixels(bands.grey(image))


def _without(pixels: Pixels) -> Pixels:
    """Without transparency where nothing is transparent, and grey where channels are equal."""
    values, alpha = pixels.values, pixels.alpha
    if alpha is not None and alpha.min(initial=255) == 255:
        alpha = None
    if values.ndim == 3 and values.shape[-1] == 3 and bands.is_grey(values):
        values = np.ascontiguousarray(values[..., 0])
    return replace(pixels, values=values, alpha=alpha)


def _pages(path: Path, image: Image.Image, frames: int) -> Pixels:
    """All pages of a TIFF as (N, H, W), or the first where they differ in size."""
    found, total = [], 0
    for number in range(frames):
        image.seek(number)
        total += image.height * image.width
        allowed((total,))
        try:
            found.append(_without(_of_mode(image)).values)
        except (OSError, SyntaxError):
            return _tiff(path)
    if len({(one.shape, one.dtype) for one in found}) > 1:
        return Pixels(found[0], notes=(f"the first of {frames} pages",))
    return Pixels(np.stack(found))


def _tiff(path: Path) -> Pixels:
    """A TIFF by its tags, for samples that Pillow does not decode."""
    import tifffile  # noqa: PLC0415 - only TIFFs of odd samples need it

    tiff.check(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with tifffile.TiffFile(path) as opened:
            series, page = opened.series[0], opened.pages.first
            allowed(series.shape, series.dtype.itemsize)
            values, axes, many = series.asarray(), series.axes, len(opened.series)
            turned = page.tags.get(ORIENTATION)
            _refuse_turned(1 if turned is None else int(turned.value))
            kind = tifffile.PHOTOMETRIC(page.photometric)
            palette = page.colormap if kind == tifffile.PHOTOMETRIC.PALETTE else None
    if "S" in axes:
        values = np.moveaxis(values, axes.index("S"), -1)
    if kind == tifffile.PHOTOMETRIC.MINISWHITE:
        if values.dtype.kind == "f":
            raise UnreadableError("floats whose lowest is white are not known; save it with the lowest black")
        values = np.iinfo(values.dtype).max - values
    if palette is not None:
        values = np.moveaxis((palette >> 8).astype(np.uint8)[:, values], 0, -1)
    if values.dtype.kind not in "buif":
        raise UnreadableError(f"{values.dtype} of shape {values.shape} is no map")
    notes = (f"the first of {many} series",) if many > 1 else ()
    return _without(Pixels(values, notes=notes)) if values.ndim < 4 else Pixels(values, notes=notes)


def radiometric(image: Image.Image) -> bool:
    """Whether a JPEG carries a thermal camera's measurement beside the preview that is seen."""
    segments = getattr(image, "applist", [])
    return any(name == "APP1" and data.startswith(b"FLIR\0") for name, data in segments)


def flat(values: ndarray) -> ndarray:
    """An array without its leading and trailing axes of length one, of at least two axes; a row of colours stays one.

    >>> flat(np.zeros((1, 1, 4, 5))).shape, flat(np.zeros((1, 5, 3), np.uint8)).shape
    ((4, 5), (1, 5, 3))
    """
    while values.ndim > 2 and values.shape[-1] == 1:
        values = values[..., 0]
    while values.ndim > 2 and values.shape[0] == 1:
        if values.ndim == 3 and values.shape[-1] in (3, 4) and values.dtype.kind == "u":
            break
        values = values[0]
    return values
