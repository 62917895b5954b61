"""A workbench for infrared small target detection: data, methods, losses, metrics, figures.

`irstd.score`, `irstd.load` and `irstd.datasets` are what a notebook needs; they are loaded when first used, so that
`import irstd` takes no time. The library knows no paths, no `params.yaml`, no DVC and no papermill; `pipelines` is
where those are.
"""

from importlib import import_module as _import

__version__ = "0.2.0"

_WHEN_USED = {"score": "irstd.apps.api", "load": "irstd.apps.api", "datasets": "irstd.apps.datasets"}


def __getattr__(name: str) -> object:
    if name not in _WHEN_USED:
        raise AttributeError(f"module 'irstd' has no attribute {name!r}")
    module = _import(_WHEN_USED[name])
    return getattr(module, name, module)


def __dir__() -> list[str]:
    return sorted([*globals(), *_WHEN_USED])
