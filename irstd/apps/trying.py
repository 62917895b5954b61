"""What a network of somebody's own takes and gives, found by trying it; see `irstd.apps.adopting`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from irstd.errors import InputError

if TYPE_CHECKING:
    from irstd.methods._adopted import Foreign, Kind

MULTIPLES = (1, 2, 4, 8, 16, 32, 64)  # of image sides, tried in this order
CHANNELS = (1, 3)
LEAST_SIDE = 96
DRAWS = 8  # of weights, by which logits are distinguished from probabilities
NO_MAP = "no map of one or two channels is as large as the image"


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
        InputError: gradients are not finite, or there are none.
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
        what = f"gradients of {wild[0]} that are not finite" if wild else "nothing to learn"
        raise InputError(f"{foreign.name} has {what}; with maps of probabilities say --outputs probabilities")
    return frozenset(name for name, p in learnt.items() if p.grad is None)
