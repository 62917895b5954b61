"""Tests of tests: each fault, made by hand in a copy of the code, makes a named test fail that passes without it."""

import os
import subprocess
import sys

import pytest

from tests.conftest import ROOT
from tests.test_pipeline import copy

TESTS = ("tests/test_golden.py", "tests/test_near_enough.py")
LOOP, AUGMENT, NETWORK = "irstd/training/loop.py", "irstd/data/augment.py", "irstd/methods/ggl_net.py"
FAULTS = {  # file, what stands there, what the fault puts, the test that sees it
    "a learning rate one step late": (LOOP, "(step + 1) / count", "step / count", "two_epochs_by_hand"),
    "half the rotation": (AUGMENT, "- 1) * wanted.rotate_deg", "- 1) * wanted.rotate_deg / 2", "rotation_scale"),
    "half the contrast": (AUGMENT, "1 - wanted.contrast, 1 +", "1 - wanted.contrast / 2, 1 +", "test_contrast"),
    "more noise": (AUGMENT, "*wanted.noise_std)", "wanted.noise_std[1], wanted.noise_std[1])", "strength_of_noise"),
    "a gate from the wrong level": (
        NETWORK, "low * self.channel(high) + high * self.spatial(low)",
        "low * self.channel(low) + high * self.spatial(high)", "forward_pass_and_slopes",
    ),
    "5 px made exclusive": ("irstd/metrics/points.py", "apart <= within_px]", "apart < within_px]", "may_reach"),
    "3 px made exclusive": ("irstd/training/selection.py", "far[rows, cols] <=", "far[rows, cols] <", "may_reach or chosen"),
}  # fmt: skip


@pytest.fixture(scope="module")
def code(tmp_path_factory):
    return copy(tmp_path_factory.mktemp("faults"))


def failed(code, test):
    """The tests called so that fail there."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-rf", *TESTS, "-k", test], cwd=code,
        env={**os.environ, "PYTHONPATH": str(code)}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode in (0, 1), done.stdout + done.stderr  # 5: there is no such test
    return [line for line in done.stdout.splitlines() if line.startswith("FAILED")]


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_makes_its_test_fail(code, fault):
    file, right, wrong, test = FAULTS[fault]
    text = (code / file).read_text()
    assert text.count(right) == 1
    assert not failed(code, test)

    (code / file).write_text(text.replace(right, wrong))
    try:
        assert failed(code, test)
    finally:
        (code / file).write_text(text)


def test_the_code_under_test_is_the_copys(code):
    """Else an installed copy of the project would be imported, and no fault be seen."""
    said = subprocess.run(
        [sys.executable, "-c", "import irstd; print(irstd.__file__)"], cwd=code,
        env={**os.environ, "PYTHONPATH": str(code)}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert said.stdout.startswith(str(code)) and not said.stdout.startswith(str(ROOT))
