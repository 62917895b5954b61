"""Networks that lie in somebody's own clone: loaded from there, fed as they expect, trained and scored as ours.

`irstd adopt` finds what `Foreign` says and writes it into a method's file. The clone stays where it is, and as it is:
when a file of it that the network needs has changed, building says so.
"""

from __future__ import annotations

import hashlib
import importlib
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from irstd.errors import InputError
from irstd.losses.overlap import soft_iou
from irstd.methods import Method, Prediction, Step

CHECKOUT = Path(__file__).parents[2]
LEAST = 1e-6  # of a probability whose logarithm is taken
Kind = Literal["logits", "probabilities"]


@dataclass(frozen=True)
class Options:
    """What params.yaml may set: the network is given (image - mean) / deviation.

    mean, deviation: on the scale where black is 0 and white 1, one number or one for each channel; codes that
    normalise by 255-level figures divide these by 255.
    """

    mean: float | tuple[float, ...] = 0.0
    deviation: float | tuple[float, ...] = 1.0

    def __post_init__(self) -> None:
        for one in _each(self.deviation):
            if not one > 0:
                raise ValueError(f"deviation is {one:g}, not above 0")


def _each(value: float | tuple[float, ...]) -> tuple[float, ...]:
    return value if isinstance(value, tuple) else (value,)


@dataclass(frozen=True)
class Foreign:
    """Where a network lies, and how it is used.

    root: of the clone, where its imports begin; from the checkout, or absolute. file: below it. name: of the class, or
    of a function that returns the network. arguments: of it, by place or by name; `call:FILE:FUNCTION` is what a
    function of the clone returns. call: what its `forward` takes after the image. channels: that it takes; grey levels
    are repeated. outputs: whether its maps are logits or probabilities (of two channels the second is the target's; of
    logits their difference counts). tested: the same of a network that is not training, where that differs. final:
    which of several maps is the prediction. alone: whether it alone is compared with the mask, as where others are of
    edges. multiple: of image sides. unused: parameters that no output depends on; they are not trained. code: digest
    of the clone's files that it is made of.
    """

    root: str
    file: str
    name: str
    arguments: Sequence[Any] | Mapping[str, Any] = field(default_factory=tuple)
    call: Sequence[Any] = ()
    channels: int = 1
    outputs: Kind = "logits"
    tested: Kind | None = None
    final: int = -1
    alone: bool = False
    multiple: int = 32
    unused: frozenset[str] = frozenset()
    code: str = ""

    @property
    def folder(self) -> Path:
        """The clone's root on this machine."""
        return (CHECKOUT / self.root).resolve()


@contextmanager
def _alone(root: Path, *more: Path) -> Iterator[dict[str, Path]]:
    """Imports begin in `root`, and what they bring goes again: two clones may both have a package `model`.

    Yields:
        Filled at the end: the clone's files that were imported, by their path below it.
    """
    names = {path.stem for path in root.iterdir() if path.is_dir() or path.suffix == ".py"}
    hidden = {
        name: sys.modules.pop(name)
        for name in list(sys.modules)
        if name.split(".")[0] in names - {"irstd"} and not _below(sys.modules[name], root)
    }
    files: dict[str, Path] = {}
    before, compiled = list(sys.path), sys.dont_write_bytecode
    sys.path[:0] = [str(root), *map(str, more)]
    sys.dont_write_bytecode = True  # the clone stays as it is
    try:
        yield files
    finally:
        sys.path[:], sys.dont_write_bytecode = before, compiled
        for name, module in list(sys.modules.items()):
            if _below(module, root):
                path = Path(str(module.__file__)).resolve()
                files[path.relative_to(root).as_posix()] = path
                del sys.modules[name]
        sys.modules.update(hidden)


def _below(module: Any, root: Path) -> bool:
    file = getattr(module, "__file__", None)
    return bool(file) and Path(file).resolve().is_relative_to(root) and "site-packages" not in Path(file).parts


def built(foreign: Foreign) -> tuple[nn.Module, str]:
    """The network, with weights of torch's seed, and the digest of the clone's files that it was made of.

    Raises:
        InputError: it is not there, or cannot be imported or built; the message says what is missing.
    """
    path = foreign.folder / foreign.file
    if not path.is_file():
        raise InputError(f"{path} is not there; put the clone back, or adopt the network again from where it is now")
    with _alone(foreign.folder, path.parent) as files:  # what is built may import more
        make = _attribute(foreign.file, foreign.name)
        try:
            if isinstance(foreign.arguments, Mapping):
                network = make(**{name: _made(one) for name, one in foreign.arguments.items()})
            else:
                network = make(*map(_made, foreign.arguments))
        except InputError:
            raise
        except Exception as error:  # whatever a stranger's code does when it is built
            why = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise InputError(f"{foreign.name} cannot be built so ({why}); see --arguments of `irstd adopt`") from error
    if not isinstance(network, nn.Module):
        raise InputError(
            f"{foreign.name} gives a {type(network).__name__}, no network; name a class of torch's modules"
        )
    total = hashlib.sha256()
    for place, source in sorted(files.items()):
        total.update(f"{place}\n".encode() + source.read_bytes())
    return network, total.hexdigest()[:16]


def _attribute(file: str, name: str) -> Callable[..., Any]:
    """A class or function of a file below the folder where imports begin."""
    try:
        module = importlib.import_module(".".join(Path(file).with_suffix("").parts))
    except ModuleNotFoundError as error:
        raise InputError(f"{file} needs {error.name!r}, which is not installed; install it, and try again") from error
    except Exception as error:  # whatever a stranger's module does when it is imported
        raise InputError(f"{file} cannot be imported ({type(error).__name__}: {error})") from error
    if not callable(getattr(module, name, None)):
        known = [k for k, v in vars(module).items() if isinstance(v, type) and issubclass(v, nn.Module)]
        raise InputError(f"{file} has no {name!r}; its networks are {', '.join(known) or 'none'}")
    return getattr(module, name)


def _made(value: Any) -> Any:
    """An argument: as it is, or of `call:FILE:FUNCTION` what that function of the clone returns."""
    if not (isinstance(value, str) and value.startswith("call:")):
        return value
    file, _, name = value.removeprefix("call:").partition(":")
    return _attribute(file, name)()


def maps_of(outputs: Any) -> list[Float[Tensor, "B C _h _w"]]:
    """Maps of one or two channels in whatever a network returns, in order."""
    if isinstance(outputs, Tensor):
        return [outputs] if outputs.ndim == 4 and outputs.shape[1] in (1, 2) else []
    if isinstance(outputs, Mapping):
        outputs = list(outputs.values())
    return [one for part in outputs for one in maps_of(part)] if isinstance(outputs, (list, tuple)) else []


class Adopted(nn.Module):
    """A foreign network, fed with grey levels in [0, 1]."""

    def __init__(self, foreign: Foreign, options: Options) -> None:
        """Builds it, with weights of torch's seed.

        Raises:
            InputError: as `built`; or it was changed since it was adopted.
        """
        super().__init__()
        self.network, self.code = built(foreign)
        if foreign.code and self.code != foreign.code:
            raise InputError(
                f"{foreign.file} in {foreign.root}, or a file that it imports, has changed since {foreign.name} was "
                "adopted; adopt it again, which counts as another method, or take the change back"
            )
        self.foreign = foreign
        for one in ("mean", "deviation"):
            numbers = _each(getattr(options, one))
            if len(numbers) not in (1, foreign.channels):
                raise InputError(
                    f"{one} has {len(numbers)} numbers, and {foreign.name} takes {foreign.channels} channels; give one "
                    "number, or one for each"
                )
            self.register_buffer(one, torch.tensor(numbers).reshape(-1, 1, 1), persistent=False)
        for name, parameter in self.network.named_parameters():
            parameter.requires_grad_(parameter.requires_grad and name not in foreign.unused)

    def forward(self, image: Float[Tensor, "B 1 H W"]) -> tuple[Float[Tensor, "B 1 _h _w"], ...]:
        """Its maps, logits or probabilities as `foreign.outputs` says; the prediction is `foreign.final`."""
        given = (image.expand(-1, self.foreign.channels, -1, -1) - self.mean) / self.deviation
        every = maps_of(self.network(given, *self.foreign.call))
        kind = self.foreign.outputs if self.training else self.foreign.tested or self.foreign.outputs
        # Of two channels the second: of logits the difference is what a softmax sees.
        single = [one if one.shape[1] == 1 else one[:, 1:] - (one[:, :1] if kind == "logits" else 0) for one in every]
        if kind == self.foreign.outputs:
            return tuple(single)
        return tuple(one.float().sigmoid() if kind == "logits" else one.float().logit(LEAST) for one in single)


def adopted(title: str, paper: str, foreign: Foreign) -> Method:
    """The method of a foreign network: soft IoU and balanced cross-entropy at each of its maps, as new methods have."""

    def loss(
        outputs: tuple[Float[Tensor, "B 1 _h _w"], ...], mask: Float[Tensor, "B 1 H W"], _step: Step, _options: Options
    ) -> Float[Tensor, "B"]:
        every = []
        for one in (outputs[foreign.final],) if foreign.alone else outputs:
            truth = F.adaptive_max_pool2d(mask, one.shape[-2:]) if one.shape != mask.shape else mask
            values = one.float()
            if foreign.outputs == "logits":
                cross = F.binary_cross_entropy_with_logits(values, truth, reduction="none")
                values = values.sigmoid()
            else:
                on, off = values.clamp(min=LEAST).log(), (1 - values).clamp(min=LEAST).log()
                cross = -(truth * on + (1 - truth) * off)
            # A target is a thousandth of the image: pixels on and off it weigh the same.
            halves = [(cross * of).sum((1, 2, 3)) / of.sum((1, 2, 3)).clamp(min=1) for of in (truth, 1 - truth)]
            every.append(soft_iou(values, truth) + sum(halves) / 2)
        return torch.stack(every).mean(0)

    def decode(outputs: tuple[Float[Tensor, "B 1 _h _w"], ...], _options: Options) -> Prediction:
        final = outputs[foreign.final if len(outputs) > 1 else 0].float()
        return Prediction(final.sigmoid() if foreign.outputs == "logits" else final.clamp(0, 1))

    return Method(
        title=title, paper=paper, supervision="mask", options=Options, build=lambda options: Adopted(foreign, options),
        loss=loss, decode=decode, multiple=foreign.multiple,
    )  # fmt: skip
