"""Fixtures; and jaxtyping's import hook, so that every shape on a signature is checked while tests run."""

from jaxtyping import install_import_hook

install_import_hook("irstd", "beartype.beartype")

import os  # noqa: E402
from importlib.util import find_spec  # noqa: E402
from pathlib import Path  # noqa: E402
from types import SimpleNamespace  # noqa: E402

import numpy as np  # noqa: E402
import pytest  # noqa: E402
import torch  # noqa: E402
from hypothesis import settings  # noqa: E402
from matplotlib import pyplot as plt  # noqa: E402

from irstd.data import download, prepare, synthetic  # noqa: E402
from irstd.data.prepared import Prepared  # noqa: E402
from irstd.results import overlaid  # noqa: E402

ROOT = Path(__file__).parent.parent
RECORDED = ROOT / "tests/fixtures/results"  # results frozen for tests: nothing that runs can change them
EXTRAS = {"retinanet": "torchvision", "yolov8n": "ultralytics"}  # what methods need besides


def needs(package):
    """Skips, and says so, where the extra is not installed; looks without importing, which ultralytics makes felt."""
    if not find_spec(package):
        pytest.skip("the extra `detectors` is not installed: make detectors")


# The same examples in every run, so that a change is judged by itself; `HYPOTHESIS_PROFILE=explore` draws others.
settings.register_profile("same", derandomize=True, deadline=None)  # a busy machine fails no test
settings.register_profile("explore", derandomize=False, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))


def pytest_collection_modifyitems(items):
    """Tests of the real datasets skip, and say so, where no mirror is."""
    if not os.environ.get("IRSTD_MIRROR"):
        skip = pytest.mark.skip(reason="IRSTD_MIRROR names no folder or URL with the real datasets")
        for item in items:
            if "real" in item.keywords:
                item.add_marker(skip)


@pytest.fixture(autouse=True)
def _frozen(monkeypatch):
    """For tests, this checkout's results are the frozen ones: its own change with every run."""
    read = overlaid.of_checkout
    monkeypatch.setattr(
        overlaid, "of_checkout", lambda root: RECORDED if root.resolve() == ROOT.resolve() else read(root)
    )


@pytest.fixture(autouse=True, scope="session")
def _two_threads():
    torch.set_num_threads(2)


@pytest.fixture
def rng():
    return np.random.default_rng(sum(map(ord, "small targets are small")))


@pytest.fixture
def ax():
    """Axes to draw on."""
    figure, axes = plt.subplots()
    yield axes
    plt.close(figure)


@pytest.fixture(scope="session")
def root():
    return ROOT


def wanted(**changes):
    """Parameters of a few small synthetic scenes."""
    return SimpleNamespace(
        **{"seed": 3, "train": 8, "test": 4, "size": 64, "targets": (1, 2), "scr": (6.0, 10.0), "sigma_px": (1.0, 1.5)}
        | changes
    )


@pytest.fixture(scope="session")
def prepared(tmp_path_factory) -> Prepared:
    """A small prepared synthetic dataset."""
    folder = tmp_path_factory.mktemp("data")
    roles = synthetic.write(wanted(), folder / "raw.part")
    download.finish(folder / "raw.part", folder / "raw", roles, "made from a seed")
    prepare.prepare(folder / "raw", folder / "prepared")
    return Prepared(folder / "prepared")


@pytest.fixture(scope="session")
def real(tmp_path_factory):
    """A function from the name of a real dataset to its folder, prepared from the mirror, once."""
    folders = {}

    def get(name: str) -> Path:
        if name not in folders:
            place, mirror = tmp_path_factory.mktemp(name), os.environ["IRSTD_MIRROR"]
            mirror = mirror if "://" in mirror else str(ROOT / mirror)
            download.obtain(name, place / "raw" / name, place / "archives", mirror=mirror)
            prepare.prepare(place / "raw" / name, place / name)
            folders[name] = place / name
        return folders[name]

    return get
