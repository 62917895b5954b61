"""Damaged files: readers take them or refuse them in a sentence. In short what `make fuzz` does at length."""

import warnings
from base64 import b64decode

import numpy as np
import pytest

from irstd.errors import InputError
from irstd.formats.pixels import UnreadableError
from tests.conftest import ROOT
from tests.fuzz.readers import SEEDS, reader

MUTATIONS = 80  # of each reader's files


def second_page_without_tags(one):
    """A TIFF of little-endian bytes whose first page, at byte 8, names a second that is empty."""
    place = 10 + 12 * one[8]
    return one[:place] + len(one).to_bytes(4, "little") + one[place + 4 :] + bytes(6)


FELLED = {  # files that once ended in a traceback
    "gif": b64decode("R0lGODdhDAAIAIEAAAAAAP///wAAAAAAACwAAAwAAAAIAAAIGAABCBxIsKBBgwESHhSYMMDChxAjSiQYEAA7"),
    "npy": SEEDS["npy"][1][0].replace(b"(8, 12)", b"(8, (2)"),
    "tiff": second_page_without_tags(SEEDS["tiff"][1][0]),
    "npz": SEEDS["npz"][1][1][:60] + b"\xff" * 8 + SEEDS["npz"][1][1][68:],
    "mat": b"",
    "params": b"datasets: [\x9b]\n",
}


@pytest.fixture
def tried(tmp_path, monkeypatch):
    """Whether a reader refuses a file in words, which it may; whatever else it raises is a fault."""
    monkeypatch.chdir(ROOT)

    def refused(name, data):
        path = tmp_path / SEEDS[name][0]
        path.write_bytes(data)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of decoders, about damage
                reader(name)(path)
        except (InputError, UnreadableError) as refusal:
            return str(refusal).strip() != ""
        return False

    return refused


@pytest.mark.parametrize("name", FELLED)
def test_what_once_ended_in_a_traceback_is_refused(tried, name):
    assert tried(name, FELLED[name])


@pytest.mark.parametrize("name", [name for name in SEEDS if name != "mat"])  # SciPy ends the process on some
def test_damage_is_refused_or_read_but_never_a_traceback(tried, name, rng):
    for number in range(MUTATIONS):
        data = bytearray(SEEDS[name][1][number % len(SEEDS[name][1])] or b"0")
        for _ in range(rng.integers(1, 6)):
            place = rng.integers(len(data))
            data[place : place + rng.integers(0, 4)] = rng.integers(0, 256, rng.integers(0, 4), np.uint8).tobytes()
            data = data or bytearray(b"0")
        tried(name, bytes(data[: rng.integers(1, len(data) + 1)] if number % 4 == 0 else data))
