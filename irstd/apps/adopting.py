"""`irstd adopt`: a method of a network that lies in somebody's own clone, which stays where it is."""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from irstd.apps import trying
from irstd.apps.clones import networks, place
from irstd.errors import InputError

if TYPE_CHECKING:
    from irstd.methods._adopted import Foreign

# What the field's codes subtract from an image and divide it by, where white is 1: ImageNet's channels, or figures of
# grey levels of the dataset, here as BasicIRSTD's utils.py states them (SCTransNet's are the same).
IMAGENET = {"mean": [0.485, 0.456, 0.406], "deviation": [0.229, 0.224, 0.225]}
GREY_LEVELS = {"nuaa-sirst": (101.064, 34.620), "nudt-sirst": (107.809, 33.027), "irstd-1k": (87.466, 39.720)}
FILE = '''"""{title}, adopted: `{name}` of {file} in {root}, which stays there.

{origin}. What is below was found by trying the network, and may be corrected here.
{found}
"""

from irstd.methods._adopted import Foreign, adopted

FOREIGN = Foreign(
{entries}
)
METHOD = adopted("{title}", "{paper}", FOREIGN)
'''


def add(commands: Any) -> None:
    """Adds the command to a parser's."""
    parser = commands.add_parser("adopt", help="make a method of a network in its own clone, which stays where it is")
    parser.add_argument(
        "network",
        metavar="PLACE:CLASS",
        nargs="?",
        help="a file, or the folder of a clone, and the class or function in it; if not given, the networks of public "
        "repositories are listed whose arguments are known",
    )
    parser.add_argument("--name", help="of the method: small letters, digits and _")
    parser.add_argument("--title", help="as tables print it; the class if not given")
    parser.add_argument("--arguments", type=_json, metavar="JSON", help="of the class: a list, or an object of names")
    parser.add_argument("--call", type=_json, metavar="JSON", help="a list: of `forward`, after the image")
    parser.add_argument("--outputs", choices=("logits", "probabilities"), help="what its maps are; found if not given")
    parser.add_argument("--final", type=int, help="which of its maps is the prediction, from 0; the last if not given")
    parser.add_argument(
        "--alone",
        action="store_true",
        help="compare the prediction alone with the mask, as where other maps are of edges",
    )
    parser.add_argument(
        "--mean",
        type=_numbers,
        metavar="NUMBER",
        help="that it subtracts, where white is 1, or a list for its channels; known networks' own, else 0",
    )
    parser.add_argument("--deviation", type=_numbers, metavar="NUMBER", help="that it divides by, the same; else 1")
    parser.add_argument(
        "--weights",
        type=Path,
        metavar="FILE",
        help="of torch, that its authors publish: what `irstd predict` then uses",
    )
    parser.add_argument("--trained-on", metavar="DATASET", help="of these weights")
    parser.add_argument("--channels", type=int, choices=trying.CHANNELS, help="that it takes; found if not given")


def _json(word: str) -> Any:
    try:
        value = json.loads(word)
    except ValueError:
        value = None
    if not isinstance(value, (list, dict)):
        raise argparse.ArgumentTypeError(f"{word!r} is no list or object of JSON; for example '[1, 64]'")
    return value


def _numbers(word: str) -> float | list[float]:
    try:
        value = json.loads(word)
    except ValueError:
        value = None
    every = value if isinstance(value, list) else [value]
    if not every or not all(isinstance(one, (int, float)) and not isinstance(one, bool) for one in every):
        raise argparse.ArgumentTypeError(f"{word!r} is no number, and no list of them; for example '[0.4, 0.4, 0.4]'")
    return [float(one) for one in every] if isinstance(value, list) else float(every[0])


def normalisation(given: argparse.Namespace, row: Mapping[str, str], channels: int) -> tuple[dict[str, Any], list[str]]:
    """Options of what the network is given, and what is to be said of them: as asked, else as its authors do.

    Args:
        row: of `networks`, or nothing for a network that is not known.
        channels: that it takes.
    """
    asked = {name: value for name in ("mean", "deviation") if (value := getattr(given, name)) is not None}
    known: dict[str, Any] = {}
    said = []
    if not asked and row.get("normalise") == "imagenet" and channels == len(IMAGENET["mean"]):
        known = IMAGENET
        said.append("normalised by ImageNet's mean and deviation, as its authors do")
    elif not asked and row.get("normalise") == "dataset":
        levels = GREY_LEVELS.get(given.trained_on or "")
        if levels:
            known = dict(zip(("mean", "deviation"), (round(level / 255, 5) for level in levels), strict=True))
            said.append(f"normalised by mean and deviation of {given.trained_on}, as its authors do")
        else:
            said.append(
                "its authors normalise by mean and deviation of the dataset; here images are from 0 to 1 unless --mean "
                f"and --deviation are given, or --trained-on {' or '.join(GREY_LEVELS)}"
            )
    return {"mean": 0.0, "deviation": 1.0, **known, **asked}, said


def _listed() -> str:
    import tabulate  # noqa: PLC0415

    heads = ("repository", "network", "PLACE:CLASS in its clone", "note")
    rows = [(r["repository"], r["network"], f"{r['file']}:{r['name']}", r["note"]) for r in networks()]
    return tabulate.tabulate(rows, heads, tablefmt="pipe") + "\n\nFor these `irstd adopt` knows the arguments."


def run(given: argparse.Namespace, root: Path) -> str:
    """Writes the method, and returns what was found and what to do next."""
    if given.network is None:
        return _listed()
    from irstd.apps import scaffold  # noqa: PLC0415 - loads torch, which the list does without
    from irstd.methods._adopted import Foreign  # noqa: PLC0415

    folder, file, name = place(given.network)
    if given.name is None:
        raise InputError("--name is missing: of the method, small letters, digits and _")
    scaffold.refuse(given.name, root)
    if isinstance(given.call, dict):
        raise InputError("--call is an object; give a list, of what `forward` takes after the image")
    row = next((one for one in networks() if (one["file"], one["name"]) == (file, name)), {})
    known = {key: json.loads(row.get(key) or "[]") if given_ is None else given_
             for key, given_ in (("arguments", given.arguments), ("call", given.call))}  # fmt: skip
    final = int(row["final"]) if given.final is None and row.get("final") else given.final
    foreign = Foreign(str(folder), file, name, **known, alone=given.alone or bool(row.get("alone")))
    foreign, found = _explored(foreign, lambda one: trying.explore(one, given.channels, given.outputs, final))
    options, said = normalisation(given, row, foreign.channels)
    found += said
    origin = _origin(folder)
    if row:
        note = f"; {row['note']}" if row["note"] else ""
        # Others have files and classes of the same names: their own clones, and copies of them.
        other = "" if row["repository"].lower() in origin.lower() else f"; this clone is of {origin}"
        found.insert(0, f"built as {row['repository']} at {row['commit']} builds it{note}{other}")
    foreign = replace(foreign, root=Path(os.path.relpath(foreign.root, root.resolve())).as_posix())
    title = given.title or name
    entries = [
        f"    {one.name}={_written(getattr(foreign, one.name))},"
        for one in fields(foreign)
        if one.name in ("root", "file", "name") or getattr(foreign, one.name) not in ((), [], {}, frozenset())
    ]
    text = FILE.format(
        title=title, name=name, file=foreign.file, root=foreign.root, origin=f"From {origin}", paper=origin,
        found="\n".join(f"- {one}." for one in found), entries="\n".join(entries),
    )  # fmt: skip
    plain = options == {"mean": 0.0, "deviation": 1.0}
    packed = _packed(given, foreign, options) if given.weights else None
    entry = "{}" if plain else f"{{ mean: {options['mean']!r}, deviation: {options['deviation']!r} }}"
    written = scaffold.write(given.name, {f"irstd/methods/{given.name}.py": text}, root, entry)
    if packed:
        weights = root / "runs/weights" / given.trained_on / f"{given.name}.safetensors"
        weights.parent.mkdir(parents=True, exist_ok=True)
        weights.write_bytes(packed)
        found.append(
            f"weights of {given.weights.name}: `irstd predict --weights {given.trained_on}/{given.name} PICTURES`"
        )
    listed = "\n".join(f"  {one}" for one in found)
    return f"""Found of {name} in {file}:
{listed}

{written[0]}  written: what was found; the clone stays where it is
{", ".join(map(str, written[1:]))}  changed: {given.name!r} is in `methods`, with a recipe

Next, from here:
  pytest tests/test_methods.py -k {given.name}   the contract that every method keeps
  make quickstart   trains it on the drawn scenes, and nothing else; its row is in every report of them
  dvc repro score@nuaa-sirst-{given.name}-0 method-card@{given.name} && make report   the same on real scenes"""


def _explored(foreign: Foreign, explore: Callable[[Foreign], tuple[Foreign, list[str]]]) -> tuple[Foreign, list[str]]:
    """What trying a network found; where its imports do not begin at the clone's root, with the folder where they do.

    Raises:
        InputError: as `explore` says of the root.
    """
    root, (*folders, last) = Path(foreign.root), Path(foreign.file).parts
    bases = [root.joinpath(*folders[:depth]) for depth in range(len(folders) + 1)]
    missing: list[InputError] = []
    for depth, base in enumerate(bases):
        try:
            made, found = explore(replace(foreign, root=str(base), file="/".join([*folders[depth:], last])))
        except InputError as error:
            if not missing and not isinstance(error.__cause__, ModuleNotFoundError):
                raise
            missing.append(error)
        else:
            return made, [f"its imports begin in {'/'.join(folders[:depth])}", *found] if depth else found
    for error in missing:  # where imports were found, what is wrong is said there
        if not isinstance(error.__cause__, ModuleNotFoundError):
            raise error
    # What is found nowhere in the clone is to be installed; what is, is missing from the wrong folder only.
    names = [str(getattr(error.__cause__, "name", "")).split(".")[0] for error in missing]
    strange = [
        error
        for name, error in zip(names, missing, strict=True)
        if name and not any((base / name).exists() or (base / f"{name}.py").exists() for base in bases)
    ]
    raise (strange or missing)[0]


def _packed(given: argparse.Namespace, foreign: Foreign, options: dict[str, Any]) -> bytes:
    """Published weights as ours are packed.

    Raises:
        InputError: the file holds more than tensors, or is not of this network, or of a dataset without a name.
    """
    import torch  # noqa: PLC0415

    from irstd.config import params  # noqa: PLC0415
    from irstd.inference import weights  # noqa: PLC0415
    from irstd.methods._adopted import Adopted, Options  # noqa: PLC0415

    path, dataset = given.weights, given.trained_on or ""
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]*", dataset):
        raise InputError(
            "--trained-on is missing: the dataset that the weights were trained on, nuaa-sirst for example"
        )
    if not path.is_file():
        raise InputError(f"{path} does not exist; give a file of weights")
    try:
        with torch.serialization.safe_globals(_numpys()):  # runs no code of the file's
            held = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise InputError(
            f"{path.name} holds more than tensors, or is damaged, and is not run; save the network's state_dict() alone"
        ) from error
    network = Adopted(replace(foreign, root=str(foreign.folder)), params.check(Options, options, "options"))
    wanted = network.network.state_dict()
    state = _state(held, set(wanted))
    missing, other = (
        sorted(set(wanted) - set(state)),
        [k for k in wanted if k in state and state[k].shape != wanted[k].shape],
    )
    if missing or other:
        what = f"no {missing[0]!r}" if missing else f"{other[0]!r} of another shape"
        raise InputError(f"{path.name} has {what}: it is not of this {foreign.name}; see --arguments")
    label = weights.Label(
        method=given.name, row=given.name, dataset=dataset, split="not stated", seed=0, epoch=0, budget="its authors'",
        options=dict(options), threshold=0.5, geometry="crop", side=256, commit=None, hardware=None,
    )  # fmt: skip
    return weights.pack({f"network.{name}": state[name] for name in wanted}, label)


def _numpys() -> list[Any]:
    """What a number of NumPy is pickled as: many keep their best score beside the weights."""
    import numpy as np  # noqa: PLC0415
    from numpy._core.multiarray import scalar  # noqa: PLC0415

    kinds = [type(np.dtype(code)) for code in "?bBhHiIlLefd"]
    return [np.dtype, scalar, (scalar, "numpy.core.multiarray.scalar"), *kinds]


def _state(held: Any, wanted: set[str]) -> dict[str, Any]:
    """The tensors of a checkpoint that are most like the names wanted, without prefixes of wrappers."""
    places = [held, *held.values()] if isinstance(held, dict) else []
    best: dict[str, Any] = {}
    for one in places:
        if not isinstance(one, dict):
            continue
        for prefix in ("", "module.", "model.", "net.", "network."):
            state = {k.removeprefix(prefix): v for k, v in one.items() if isinstance(k, str) and hasattr(v, "shape")}
            if len(wanted & set(state)) > len(wanted & set(best)):
                best = state
    return best


def _written(value: Any) -> str:
    """A value as Python code, in the style of the rest."""
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_written(key)}: {_written(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list):
        return f"[{', '.join(map(_written, value))}]"
    return f"frozenset({{{', '.join(map(_written, sorted(value)))}}})" if isinstance(value, frozenset) else repr(value)


def _origin(folder: Path) -> str:
    """Address and commit of a clone, or its folder's name."""
    said = []
    for words in (["remote", "get-url", "origin"], ["rev-parse", "--short=12", "HEAD"]):
        done = subprocess.run(["git", "-C", str(folder), *words], capture_output=True, text=True, check=False)
        said.append(done.stdout.strip() if not done.returncode else "")
    address = said[0].removeprefix("https://").removesuffix(".git") if "://" in said[0] else ""
    return f"{address or folder.name}{f', commit {said[1]}' if said[1] else ''}"
