"""Anyone's predictions: a folder of masks or score maps, of labels, an archive of maps, or a table or COCO file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy import ndarray

from irstd.errors import InputError
from irstd.formats import annotations as marked
from irstd.formats import maps, pixels
from irstd.formats.given import Given
from irstd.formats.known import Stretch
from irstd.formats.marks import Mark, Marks, Size, boxes, drawn, outside, points
from irstd.formats.masks import MOST_SHARE, Value
from irstd.formats.names import Names, listing, predicted, refuse_twins, shifted, shown
from irstd.formats.pixels import ANY, UnreadableError


@dataclass(frozen=True)
class Reading:
    """How predictions are read.

    fit: maps of another size are stretched to the image's, bilinearly. logits: floats are logits. stretch: each map's
    range becomes [0, 1]. threshold: maps are cut here, by scores above it. key: of the array in archives. images: see
    `irstd.formats.coco.read`. loose: a map may be one px larger or smaller than the mask it is compared with.
    below: the one folder that all truth lies in, whose name is no part of the scenes'. as_given: maps in which most
    pixels count as found are no fault.
    """

    fit: bool = False
    logits: bool = False
    stretch: Stretch | None = None
    threshold: Value | None = None
    key: str | None = None
    images: Path | str | None = None
    loose: bool = False
    below: str = ""
    as_given: bool = False

    @property
    def limit(self) -> Value:
        """What a pixel's score must exceed to count as found."""
        return 0.5 if self.threshold is None else self.threshold


def read(path: Path, sizes: Mapping[str, Size], how: Reading = Reading()) -> Given:
    """The predictions at `path` for the scenes of `sizes`.

    Args:
        path: a folder of pictures or arrays, of any depth; an `.npz` or `.mat` of maps named after scenes; or points
            and boxes, see `irstd.formats.annotations`.
        sizes: scene to height and width, px.

    Raises:
        InputError: it cannot be read as a whole, or two predictions are of one scene.
    """
    names = Names(sizes)
    if path.is_dir():
        if not listing(path, ANY).files and marked.holds(path):
            return _marks(marked.read(path, sizes, names, how.images), path, sizes, how)
        return _maps(path, _in_folder(path, names, how.below), sizes, how)
    if not path.is_file():
        raise InputError(f"{path} does not exist; give a folder of masks, a CSV of points or a COCO JSON")
    if path.suffix.lower() in pixels.ARRAYS:
        return _maps(path, {}, sizes, how)
    if marked.holds(path):
        return _marks(marked.read(path, sizes, names, how.images), path, sizes, how)
    raise InputError(
        f"{path.name} is neither a folder, nor .csv, .json, .npz or .mat; give one of these, or the folder it is in"
    )


@dataclass
class _Files:
    """Files of a folder by scene; those of no scene; and what else to say."""

    scenes: dict[str, Path] = field(default_factory=dict)
    strangers: list[Path] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def _in_folder(folder: Path, names: Names, below: str = "") -> _Files:
    listed, found = listing(folder), _Files()
    several: dict[str, list[Path]] = {}
    for path in listed.files:
        scene = names.find(path.relative_to(folder).as_posix())
        if scene is None:
            found.strangers.append(path)
        else:
            several.setdefault(scene, []).append(path)
    found.notes += _other_sequences(folder, several, found, below) if below else []
    if names.guessed:
        text, scene = next(iter(names.guessed.items()))
        found.notes.append(f"{len(names.guessed)} predictions are matched by their number alone, as {text} to {scene}.")
    chosen = {scene: predicted(paths) for scene, paths in several.items()}
    refuse_twins({s: p for s, p in chosen.items() if len(p) > 1}, folder, "predictions")
    passed = sum(len(paths) - 1 for paths in several.values())
    found.notes += [f"Not read in {folder.name}: {passed} truth masks that lie beside predictions."] if passed else []
    found.notes += [note] if (note := listed.note()) else []
    found.scenes = {scene: paths[0] for scene, paths in chosen.items()}
    return found


def _other_sequences(folder: Path, several: dict[str, list[Path]], found: _Files, below: str) -> list[str]:
    """Takes out files of other folders than `below` where a scene has one of that; what else is to be said."""

    def inside(path: Path) -> bool:
        return f"/{below}/" in f"/{path.relative_to(folder).parent.as_posix()}/"

    for paths in several.values():  # another sequence may have a frame of the same number
        if any(map(inside, paths)):
            found.strangers += [path for path in paths if not inside(path)]
            paths[:] = filter(inside, paths)
    every = [path for paths in several.values() for path in paths]
    others = sorted({path.relative_to(folder).parent.as_posix() for path in every} - {"."})
    if not others or any(map(inside, every)):
        return []
    return [f"Predictions in {shown(others)} are taken as those of {below}, where the truth is."]


def _refuse_key(path: Path, files: Iterable[Path], how: Reading) -> None:
    """Raises InputError where `key` would choose nothing."""
    if how.key is None or any(one.suffix.lower() in pixels.BY_NAME for one in files):
        return
    what = "is one archive, whose arrays are named after scenes" if path.suffix else "has no file of several arrays"
    raise InputError(
        f"--key names the array in .npz and .mat files of one scene each, and {path.name} {what}; leave it out"
    )


def _maps(path: Path, files: _Files | Mapping[str, Path], sizes: Mapping[str, Size], how: Reading) -> Given:
    given = Given()
    loaded: dict[str, tuple[str, ndarray]] = {}
    _refuse_key(path, files.scenes.values() if isinstance(files, _Files) and files.scenes else [], how)
    if isinstance(files, _Files):
        given.notes += files.notes
        for stranger in files.strangers:
            given.wrong("extra", stranger.relative_to(path).as_posix())
        if not files.scenes:
            raise InputError(_nothing_matched(path, files.strangers, sizes))
        for name in sizes:
            if name not in files.scenes:
                given.wrong("missing", name)
        given.shifted = shifted(sizes, *(given.problems.get(kind, []) for kind in ("extra", "missing")))
        _load(files.scenes, given, loaded, how)
    else:
        _unpack(path, given, loaded, sizes)
    return _scored(given, loaded, path.name, sizes, how)


def _scored(
    given: Given, loaded: Mapping[str, tuple[str, ndarray]], where: str, sizes: Mapping[str, Size], how: Reading
) -> Given:
    """Adds what was loaded, scene to its name in `where` and its array, as scores."""
    _refuse_logits([array for _, array in loaded.values()], where, how)
    tops: dict[str, Value] = {}
    if how.stretch is None:
        arrays = {name: array for name, (_, array) in loaded.items()}
        tops, notes = maps.tops_of(arrays, where, scores=how.threshold is not None)
        given.notes += notes
    for name, (file, array) in loaded.items():
        _take(given, name, file, array, tops.get(name, 1), sizes[name], how)
    _report(given, how)
    return given


def _refuse_logits(arrays: list[ndarray], where: str, how: Reading) -> None:
    """Raises InputError where `logits` is said of numbers that can be none."""
    if not how.logits or not arrays:
        return
    if how.stretch is not None:
        raise InputError("--logits and --stretch both say what a map's numbers are; leave one out")
    floats = [array for array in arrays if array.dtype.kind == "f"]
    if not floats:
        raise InputError(f"--logits is for floats, and {where} holds whole numbers alone; leave it out")
    if all((array >= 0).all() for array in floats):
        raise InputError(
            f"--logits is for numbers of both signs, and {where} holds none below 0, so that every pixel would count "
            "as found; leave it out"
        )


def of_arrays(arrays: Mapping[str, ndarray], sizes: Mapping[str, Size], how: Reading = Reading()) -> Given:
    """Predictions as arrays: masks or maps of scores, scene to (H, W); axes of length one do not matter.

    Args:
        sizes: scene to height and width, px.

    Raises:
        InputError: no array is of a scene, or two are of one.
    """
    given = Given()
    loaded: dict[str, tuple[str, ndarray]] = {}
    _named(arrays, "the arrays", given, loaded, sizes)
    if loaded and all(a.shape[1] in (2, 3) and a.shape != tuple(sizes[name]) for name, (_, a) in loaded.items()):
        raise InputError(
            "the arrays are of two or three columns, as points are; write them to a CSV of name, row, col, score"
        )
    return _scored(given, loaded, "the arrays", sizes, how)


def _load(scenes: Mapping[str, Path], given: Given, loaded: dict[str, tuple[str, ndarray]], how: Reading) -> None:
    said: dict[str, int] = {}
    for name, path in scenes.items():
        try:
            array, notes = maps.load(path, how.key)
        except (UnreadableError, OSError) as error:
            given.wrong("unreadable", f"{path.name} ({error})")
            continue
        loaded[name] = path.name, array
        for note in notes:
            said[note] = said.get(note, 0) + 1
    given.notes += [f"{count} files: {note}" for note, count in said.items()]


def _unpack(path: Path, given: Given, loaded: dict[str, tuple[str, ndarray]], sizes: Mapping[str, Size]) -> None:
    """Maps in one archive, named after scenes."""
    try:
        held = pixels.arrays(path) if path.suffix.lower() != ".npy" else {path.stem: pixels.read(path).values}
    except UnreadableError as error:
        raise InputError(f"{path.name} cannot be read ({error}); give an archive of maps, or their folder") from None
    _named(held, path.name, given, loaded, sizes)


def _named(
    held: Mapping[str, ndarray],
    where: str,
    given: Given,
    loaded: dict[str, tuple[str, ndarray]],
    sizes: Mapping[str, Size],
) -> None:
    """Adds arrays that are named after scenes to `loaded`, and what is wrong with others to `given`."""
    names = Names(sizes)
    unreadable = set()
    for key, array in held.items():
        scene = names.find(key)
        if scene is None:
            given.wrong("extra", key)
            continue
        if scene in loaded:
            raise InputError(f"{loaded[scene][0]} and {key} in {where} are both predictions of {scene!r}; keep one")
        try:
            loaded[scene] = key, maps.flat(pixels.Pixels(array))[0]
        except UnreadableError as error:
            given.wrong("unreadable", f"{key} ({error})")
            unreadable.add(scene)
    if not loaded and not unreadable:
        shapes = shown(f"{key} of shape {array.shape}" for key, array in held.items())
        raise InputError(
            f"{where} holds {shapes or 'no array'}, none named after a scene; name arrays after scenes: "
            f"{', '.join(list(sizes)[:3])}, …"
        )
    for name in sizes:
        if name not in loaded and name not in unreadable:
            given.wrong("missing", name)


def _nothing_matched(folder: Path, strangers: list[Path], sizes: Mapping[str, Size]) -> str:
    """Why a folder has no prediction: other names, or no file that could be one."""
    wanted = ", ".join(list(sizes)[:3])
    if not strangers:
        note = listing(folder).note()
        return f"{folder} has no file that can be read as a prediction. {note} Accepted are {', '.join(ANY)}".replace(
            "  ", " "
        )
    if len(strangers) < len(sizes) and strangers[0].suffix.lower() in pixels.ARRAYS:
        try:
            shape = pixels.read(strangers[0]).values.shape
        except (UnreadableError, OSError):
            shape = ()
        if len(shape) > 2:
            return (
                f"{strangers[0].name} is an array of shape {shape}, several maps in one; save one file per scene, "
                f"named after it: {wanted}, …"
            )
    held = shown((path.name for path in strangers), 3)
    return f"{folder} has no prediction of any scene but {held}; name the files after the scenes: {wanted}, …"


def _take(given: Given, name: str, file: str, array: ndarray, top: Value, size: Size, how: Reading) -> None:
    """Adds a map as scores, or what is wrong with it."""
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        given.wrong("nan", file)
        return
    near = how.loose and max(abs(a - b) for a, b in zip(array.shape, size, strict=True)) <= 1
    fits = array.shape == tuple(size) or near
    if not fits and not how.fit:  # before it is taken as scores, of eight bytes a pixel
        given.wrong("size", f"{file} ({array.shape[1]}×{array.shape[0]})")
        return
    if how.stretch is not None:
        scores = maps.spread(array, how.stretch)
    else:
        scores = maps.as_scores(array, top)
        if how.logits and array.dtype.kind == "f":
            scores = maps.logistic(scores)
        elif array.dtype.kind == "f":
            scores = maps.rounded(scores, array.dtype.itemsize)
    if scores.min(initial=0) < 0 or scores.max(initial=0) > 1:
        given.wrong("range", file)
        return
    if not how.as_given and (share := float((scores > how.limit).mean())) > MOST_SHARE:
        given.wrong("most", f"{file} ({share:.1%})")
        return
    if not fits:
        given.stretched.append(f"{array.shape[1]}×{array.shape[0]} to {size[1]}×{size[0]}")
    given.maps[name] = scores if fits else maps.fitted(scores, size)


def _report(given: Given, how: Reading) -> None:
    """Notes on stretching and cutting, and a warning where no score can count."""
    if how.fit:
        sizes = shown(dict.fromkeys(given.stretched), 3)
        given.notes.append(f"{len(given.stretched)} maps stretched to their image's size{sizes and f': {sizes} px'}")
    if how.stretch:
        low = "lowest is 0 and its highest" if how.stretch == "range" else "highest"
        given.notes.append(f"each map stretched by itself: its {low} is 1, so each has a detection")
    highest = max((float(scores.max(initial=0)) for scores in given.maps.values()), default=1.0)
    limit = how.limit
    if given.maps and highest <= limit:
        given.notes.append(
            f"No score exceeds {limit:g}: the highest is {highest:.3g}, so nothing counts as found; lower --threshold, "
            "or stretch responses with --stretch range"
        )
    if how.as_given and (many := [name for name, s in given.maps.items() if (s > limit).mean() > MOST_SHARE]):
        given.notes.append(f"Most pixels count as found in {len(many)} of {len(given.maps)} maps ({shown(many, 3)})")
    if how.threshold is not None and given.maps:
        given.maps = {name: (scores > how.threshold).astype(float) for name, scores in given.maps.items()}
        given.notes.append(f"maps cut at scores above {how.threshold:g}: every convention sees the same mask, no curve")


def _marks(found: Marks, path: Path, sizes: Mapping[str, Size], how: Reading) -> Given:
    """Points and boxes, or maps where there are regions."""
    given = Given(notes=_said(found, path.name, sizes))
    _refuse_marks(found, path, sizes, how)
    for stranger in found.strangers:
        given.wrong("extra", stranger)
    by_scene: dict[str, list[Mark]] = {}
    for mark in found.every:
        if _sound(mark, sizes[mark.scene], given):
            by_scene.setdefault(mark.scene, []).append(mark)
    given.spoiled = bool(found.every) and not by_scene
    if any(mark.mask is not None for mark in found.every):
        limit = how.threshold
        for name, size in sizes.items():
            scores = np.zeros(size)
            for mark in by_scene.get(name, []):
                np.maximum(scores, drawn([mark], size) * mark.score, out=scores)
            given.maps[name] = scores if limit is None else (scores > limit).astype(float)
    else:
        given.points = {name: points(by_scene.get(name, [])) for name in sizes}
        if not found.points_only:
            given.boxes = {name: boxes(by_scene.get(name, [])) for name in sizes}
    return given


def _said(found: Marks, file: str, sizes: Mapping[str, Size]) -> list[str]:
    """What to know of points and boxes as they are in a file."""
    notes = [f"{file}: {note}" for note in found.notes]
    if found.every and not found.scored:
        notes.append(f"{file}: no scores: all count as 1")
    if again := found.again():
        notes.append(f"{file}: {again} of {len(found.every)} marks are there twice: each counts")
    if silent := len(sizes) - len({mark.scene for mark in found.every} & set(sizes)):
        notes.append(f"{silent} scenes have no detection: taken as nothing found")
    return notes


def _refuse_marks(found: Marks, path: Path, sizes: Mapping[str, Size], how: Reading) -> None:
    """Raises InputError for options that points and boxes have no use for, and for names that are no scene's."""
    given = (("--fit", how.fit), ("--logits", how.logits), ("--stretch", how.stretch), ("--key", how.key))
    refused = [name for name, value in given if value]
    if refused:
        raise InputError(f"{refused[0]} is for score maps, and {path.name} has points or boxes; leave it out")
    if found.strangers and not found.every and not found.empty:
        raise InputError(
            f"{path.name} has no prediction of any scene but {shown(found.strangers, 3)}; name the scenes: "
            f"{', '.join(list(sizes)[:3])}, …"
        )


def _sound(mark: Mark, size: Size, given: Given) -> bool:
    """Whether a mark's numbers can be used; what is wrong is noted."""
    if not np.isfinite([*mark.box, mark.score]).all():
        given.wrong("nan", mark.where)
    elif not 0 <= mark.score <= 1:
        given.wrong("range", mark.where)
    elif outside(mark.box, size):
        given.wrong("outside", f"{mark.where} ({mark.scene})")
    else:
        return True
    return False
