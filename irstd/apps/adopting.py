"""`irstd adopt`: a method of a network that lies in somebody's own clone, which stays where it is."""

from __future__ import annotations

import argparse
import ast
import csv
import json
import os
import re
import subprocess
from collections.abc import Callable, Iterable
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from irstd.errors import InputError, hint

if TYPE_CHECKING:
    from irstd.methods._adopted import Foreign, Kind

MULTIPLES = (1, 2, 4, 8, 16, 32, 64)  # of image sides, tried in this order
CHANNELS = (1, 3)
LEAST_SIDE = 96
DRAWS = 8  # of weights, by which logits are told from probabilities
RIVALS = Path(__file__).with_name("rivals.csv")  # facts on networks of public repositories: where, and how built
NO_MAP = "no map of one or two channels is as large as the image"
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
    parser.add_argument("--mean", type=float, default=0.0, help="that it subtracts, where white is 1; %(default)s")
    parser.add_argument(
        "--deviation", type=float, default=1.0, help="that it divides by, where white is 1; %(default)s"
    )
    parser.add_argument(
        "--weights",
        type=Path,
        metavar="FILE",
        help="of torch, that its authors publish: for `irstd predict` and `score`",
    )
    parser.add_argument("--trained-on", metavar="DATASET", help="of these weights")
    parser.add_argument("--channels", type=int, choices=CHANNELS, help="that it takes; found if not given")


def _json(word: str) -> Any:
    try:
        value = json.loads(word)
    except ValueError:
        value = None
    if not isinstance(value, (list, dict)):
        raise argparse.ArgumentTypeError(f"{word!r} is no list or object of JSON; for example '[1, 64]'")
    return value


def rivals() -> list[dict[str, str]]:
    """Facts on networks of public repositories: repository, commit, network, file, class and how it is built."""
    with RIVALS.open(newline="") as opened:
        return list(csv.DictReader(opened))


def _listed() -> str:
    import tabulate  # noqa: PLC0415

    heads = ("repository", "network", "PLACE:CLASS in its clone", "note")
    rows = [(r["repository"], r["network"], f"{r['file']}:{r['name']}", r["note"]) for r in rivals()]
    return tabulate.tabulate(rows, heads, tablefmt="pipe") + "\n\nFor these `irstd adopt` knows the arguments."


def place(word: str) -> tuple[Path, str, str]:
    """Root of the clone, file below it, and name, of `PLACE:CLASS`.

    Raises:
        InputError: there is no such place, or no file of it defines the class, or several do.
    """
    path_word, _, name = word.rpartition(":")
    path = Path(path_word).expanduser().resolve()
    if not path_word or not name.isidentifier():
        raise InputError(f"{word!r} is no PLACE:CLASS; give a file or folder, a colon, and a class in it")
    if path.is_file():
        root = next((p for p in path.parents if (p / ".git").exists()), path.parent)
        return root, path.relative_to(root).as_posix(), name
    if not path.is_dir():
        raise InputError(f"{path_word} does not exist; give the file of the network, or the folder of its clone")
    defined: dict[str, list[Path]] = {}
    for source in sorted(path.rglob("*.py")):
        for one in _defined(source):
            defined.setdefault(one, []).append(source)
    files = defined.get(name, [])
    if not files:
        raise InputError(f"no file below {path_word} defines {name!r}; {hint(name, defined)}")
    if len(files) > 1:
        several = ", ".join(one.relative_to(path).as_posix() for one in files)
        raise InputError(f"{name!r} is defined in {several}; give the file in place of the folder")
    return path, files[0].relative_to(path).as_posix(), name


def _defined(source: Path) -> list[str]:
    try:
        tree = ast.parse(source.read_text(encoding="utf-8", errors="replace"))
    except (SyntaxError, ValueError):
        return []
    return [node.name for node in tree.body if isinstance(node, ast.ClassDef)]


def explore(
    foreign: Foreign, channels: int | None, outputs: Kind | None, final: int | None
) -> tuple[Foreign, list[str]]:
    """What can be found by trying a network: channels, sides, kind of its maps, and parameters that do nothing.

    Args:
        channels, outputs, final: what is known; the prediction is the last map if not given.

    Returns:
        It, completed; and what was found, in words.

    Raises:
        InputError: it cannot be built or run, or gives no map; the message says why.
    """
    import torch  # noqa: PLC0415

    from irstd.methods._adopted import built, maps_of  # noqa: PLC0415

    torch.manual_seed(0)
    network, code = built(foreign)
    foreign = replace(foreign, code=code)

    def run(channels: int, height: int, width: int) -> list[Any]:
        with torch.no_grad():
            return maps_of(network(torch.rand(2, channels, height, width), *foreign.call))

    network.eval()
    taken, multiple = _sizes(foreign.name, run, [channels] if channels else CHANNELS)
    side = max(LEAST_SIDE, 2 * multiple)
    network.train()
    trained = run(taken, side, side)
    which = _prediction(foreign.name, trained, final, side)
    learns, tests = (outputs or _kind(network.train(mode), lambda: run(taken, side, side)) for mode in (True, False))
    foreign = replace(
        foreign, channels=taken, multiple=multiple, outputs=learns, tested=None if learns == tests else tests,
        final=-1 if final is None else final,
    )  # fmt: skip
    foreign = replace(foreign, unused=_unused(foreign, side))
    return foreign, _told(foreign, trained, which)


def _told(foreign: Foreign, maps: list[Any], which: int) -> list[str]:
    """What was found, in words."""
    many, two = len(maps) > 1, maps[-1].shape[1] == 2
    words = [
        f"{foreign.channels} channels, grey levels repeated" if foreign.channels > 1 else "1 channel",
        f"sides a multiple of {foreign.multiple} px",
        f"{len(maps)} map{'s' * many} while it trains, {'two channels, ' * two}{foreign.outputs}",
    ]
    if foreign.tested:
        words.append(f"{foreign.tested} when it does not train")
    if many:
        words.append(f"the prediction is map {which} of 0 to {len(maps) - 1}")
    if foreign.unused:
        some = ", ".join(sorted(foreign.unused)[:3])
        words.append(f"parameters that no map depends on, not trained: {len(foreign.unused)}, such as {some}")
    return words


def _sizes(name: str, run: Any, channels: Iterable[int]) -> tuple[int, int]:
    """Channels that a network takes, and the least multiple of sides.

    Raises:
        InputError: none that is tried.
    """
    reasons: list[str] = []
    tried = [(c, m) for m in reversed(MULTIPLES) for c in channels]
    taken = next((c for c, m in tried if _whole(run, c, m, reasons)), None)
    if taken is None:
        why = NO_MAP if NO_MAP in reasons else reasons[-1]
        raise InputError(
            f"{name} takes none of the images tried, of {' and '.join(map(str, channels))} channels and sides of "
            f"{LEAST_SIDE} to 192 px: {why}; see --arguments, --call and --channels"
        )
    return taken, next(m for m in MULTIPLES if _whole(run, taken, m, reasons))


def _prediction(name: str, maps: list[Any], final: int | None, side: int) -> int:
    """Place of the map that is the prediction.

    Raises:
        InputError: there is none, or it is not as large as the image.
    """
    if not maps:
        raise InputError(f"{name} gives no map of one or two channels while it trains; see --call")
    which = len(maps) - 1 if final is None else final
    if not 0 <= which < len(maps):
        raise InputError(f"--final {final}: {name} gives {len(maps)} maps, numbered from 0")
    if tuple(maps[which].shape[-2:]) != (side, side):
        sizes = ", ".join(f"{one.shape[-2]}×{one.shape[-1]}" for one in maps)
        raise InputError(
            f"{name}: the prediction must be as large as the image, {side}×{side}; the maps are {sizes}, see --final"
        )
    return which


def _kind(network: Any, run: Callable[[], list[Any]]) -> Kind:
    """Probabilities where all values are in [0, 1], and of two channels sum to 1, whatever the weights; else logits.

    With the weights that a network begins with, logits too may all lie there.
    """
    import torch  # noqa: PLC0415

    kept = {name: value.clone() for name, value in network.state_dict().items()}
    parameters, kind = list(network.parameters()), "probabilities"
    for draw in range(DRAWS):
        maps = [one for one in run() if one.isfinite().all()]
        within = all(float(one.min()) >= 0 and float(one.max()) <= 1 for one in maps)
        shares = all(one.shape[1] == 1 or bool((one.sum(1) - 1).abs().max() < 1e-4) for one in maps)
        if not (within and shares):
            kind = "logits"
            break
        with torch.no_grad():
            for one in parameters:
                one.copy_(torch.randn(one.shape) * (1.0 if one.dim() < 2 or draw % 2 else one[0].numel() ** -0.5))
    network.load_state_dict(kept)
    return cast("Kind", kind)


def _whole(run: Any, channels: int, multiple: int, reasons: list[str]) -> bool:
    """Whether a network takes an image of odd multiples, and gives maps of which one is as large."""
    height = multiple * (-(-LEAST_SIDE // multiple) | 1)
    width = height + 2 * multiple
    try:
        every = run(channels, height, width)
    except Exception as error:  # noqa: BLE001 - whatever a stranger's network says to a size that it cannot take
        reasons.append(f"{type(error).__name__}, {str(error).splitlines()[0] if str(error) else 'no message'}")
        return False
    whole = any(tuple(one.shape[-2:]) == (height, width) for one in every)
    reasons += [] if whole else [NO_MAP]
    return whole


def _unused(foreign: Foreign, side: int) -> frozenset[str]:
    """Parameters of the foreign network that the loss does not reach.

    Raises:
        InputError: slopes are not finite, or there is none.
    """
    import torch  # noqa: PLC0415

    from irstd.methods import Step  # noqa: PLC0415
    from irstd.methods._adopted import Options, adopted  # noqa: PLC0415

    method = adopted("", "", foreign)
    torch.manual_seed(0)
    network: Any = method.build(Options()).train()
    mask = torch.zeros(2, 1, side, side)
    mask[0, :, 10:13, 20:23] = 1
    try:
        method.loss(network(0.2 + 0.6 * mask), mask, Step(0, 1, 0), Options()).mean().backward()
    except RuntimeError as error:
        raise InputError(f"{foreign.name} cannot be trained: {str(error).splitlines()[0]}") from error
    learnt = {name: p for name, p in network.network.named_parameters() if p.requires_grad}
    wild = [name for name, p in learnt.items() if p.grad is not None and not p.grad.isfinite().all()]
    if wild or not learnt:
        what = f"slopes of {wild[0]} that are not finite" if wild else "nothing to learn"
        raise InputError(f"{foreign.name} has {what}; with maps of probabilities say --outputs probabilities")
    return frozenset(name for name, p in learnt.items() if p.grad is None)


def run(given: argparse.Namespace, root: Path) -> str:
    """Writes the method, and returns what was found and what to do next."""
    from irstd.apps import scaffold  # noqa: PLC0415
    from irstd.methods._adopted import Foreign  # noqa: PLC0415

    if given.network is None:
        return _listed()
    folder, file, name = place(given.network)
    if given.name is None:
        raise InputError("--name is missing: of the method, small letters, digits and _")
    scaffold.refuse(given.name, root)
    if isinstance(given.call, dict):
        raise InputError("--call is an object; give a list, of what `forward` takes after the image")
    row = next((one for one in rivals() if (one["file"], one["name"]) == (file, name)), {})
    known = {key: json.loads(row.get(key) or "[]") if given_ is None else given_
             for key, given_ in (("arguments", given.arguments), ("call", given.call))}  # fmt: skip
    final = int(row["final"]) if given.final is None and row.get("final") else given.final
    foreign = Foreign(str(folder), file, name, **known, alone=given.alone or bool(row.get("alone")))
    foreign, found = explore(foreign, given.channels, given.outputs, final)
    if row:
        note = f"; {row['note']}" if row["note"] else ""
        found.insert(0, f"built as {row['repository']} at {row['commit']} builds it{note}")
    foreign = replace(foreign, root=Path(os.path.relpath(folder, root.resolve())).as_posix())
    title, origin = given.title or name, _origin(folder)
    entries = [
        f"    {one.name}={_written(getattr(foreign, one.name))},"
        for one in fields(foreign)
        if one.name in ("root", "file", "name") or getattr(foreign, one.name) not in ((), [], {}, frozenset())
    ]
    text = FILE.format(
        title=title, name=name, file=file, root=foreign.root, origin=f"From {origin}", paper=origin,
        found="\n".join(f"- {one}." for one in found), entries="\n".join(entries),
    )  # fmt: skip
    options = {"mean": given.mean, "deviation": given.deviation}
    plain = options == {"mean": 0.0, "deviation": 1.0}
    packed = _packed(given, foreign, options) if given.weights else None
    entry = "{}" if plain else f"{{ mean: {given.mean!r}, deviation: {given.deviation!r} }}"
    written = scaffold.write(given.name, {f"irstd/methods/{given.name}.py": text}, root, entry)
    if packed:
        weights = root / "runs/weights" / given.trained_on / f"{given.name}.safetensors"
        weights.parent.mkdir(parents=True, exist_ok=True)
        weights.write_bytes(packed)
        found.append(
            f"weights of {given.weights.name}: `irstd predict --weights {given.trained_on}/{given.name} PICTURES`"
        )
    told = "\n".join(f"  {one}" for one in found)
    return f"""Found of {name} in {file}:
{told}

{written[0]}  written: what was found; the clone stays where it is
{", ".join(map(str, written[1:]))}  changed: {given.name!r} is in `methods`, with a recipe

Next, from here:
  pytest tests/test_methods.py -k {given.name}   the contract that every method keeps
  make quickstart   trains it on the drawn scenes, and nothing else; its row is in every report of them
  dvc repro score@nuaa-sirst-{given.name}-0 method-card@{given.name} && make report   the same on real scenes"""


def _packed(given: argparse.Namespace, foreign: Foreign, options: dict[str, float]) -> bytes:
    """Published weights as ours are packed.

    Raises:
        InputError: the file holds more than tensors, or is not of this network, or of a dataset without a name.
    """
    import torch  # noqa: PLC0415

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
        held = torch.load(path, map_location="cpu", weights_only=True)  # runs no code of the file's
    except Exception as error:
        raise InputError(
            f"{path.name} holds more than tensors, or is damaged, and is not run; save the network's state_dict() alone"
        ) from error
    network = Adopted(replace(foreign, root=str(foreign.folder)), Options(**options))
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
