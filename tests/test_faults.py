"""Damage and hostile input: a sentence each, and nothing lost. In short what `make faults` does at length."""

import shutil
import warnings
from base64 import b64decode

import numpy as np
import pytest
import scipy.io

from irstd.errors import InputError
from irstd.formats import pixels
from irstd.formats.pixels import UnreadableError
from tests.conftest import ROOT
from tests.faults import damages
from tests.faults.readers import MASK, SEEDS, reader

MUTATIONS = 80  # of each reader's files


def second_page_without_tags(one):
    """A TIFF of little-endian bytes whose first page, at byte 8, names a second that is empty."""
    place = 10 + 12 * one[8]
    return one[:place] + len(one).to_bytes(4, "little") + one[place + 4 :] + bytes(6)


FAILED = {  # files that once ended in a traceback
    "gif": b64decode("R0lGODdhDAAIAIEAAAAAAP///wAAAAAAACwAAAwAAAAIAAAIGAABCBxIsKBBgwESHhSYMMDChxAjSiQYEAA7"),
    "npy": SEEDS["npy"][1][0].replace(b"(8, 12)", b"(8, (2)"),
    "tiff": second_page_without_tags(SEEDS["tiff"][1][0]),
    "npz": SEEDS["npz"][1][1][:60] + b"\xff" * 8 + SEEDS["npz"][1][1][68:],
    "mat": b"",
    "zip": SEEDS["zip"][1][2].replace(b"BZh9", b"BZh9\xff", 1).replace(b"1AY&SY", b"1AY&S", 1),
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


@pytest.mark.parametrize("name", FAILED)
def test_what_once_ended_in_a_traceback_is_refused(tried, name):
    assert tried(name, FAILED[name])


@pytest.mark.parametrize("name", SEEDS)
def test_damage_is_refused_or_read_but_never_a_traceback(tried, name, rng):
    for number in range(MUTATIONS):
        data = bytearray(SEEDS[name][1][number % len(SEEDS[name][1])] or b"0")
        for _ in range(rng.integers(1, 6)):
            place = rng.integers(len(data))
            data[place : place + rng.integers(0, 4)] = rng.integers(0, 256, rng.integers(0, 4), np.uint8).tobytes()
            data = data or bytearray(b"0")
        tried(name, bytes(data[: rng.integers(1, len(data) + 1)] if number % 4 == 0 else data))


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("kind", ["float64", "float32", "uint8", "int16", "bool", "uint64", ">f4"])
def test_whole_matlab_files_are_read_whatever_else_is_in_them(tmp_path, kind, packed, rng):
    values = (rng.random((5, 7)) * 9).astype(kind)
    others = {
        "s": {"a": "b"},
        "c": np.array(["x", "yz"], object),
        "t": "text",
        "z": values.astype(complex),
        "n": 3,
        "e": np.zeros((0, 2)),
    }
    scipy.io.savemat(tmp_path / "a.mat", {**others, "a_name_that_is_long": values}, do_compression=packed)

    assert np.array_equal(pixels.read(tmp_path / "a.mat").values, values)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (176, 99),  # a type of values that there is not, which once ended the process
        (180, 8),  # fewer bytes of values than the dimensions say
        (160, 3),  # another number of rows
        (152, 9),  # dimensions that are of no whole numbers
        (136, 7),  # flags of another type
        (132, 200),  # bytes of the array, beyond the file's end
    ],
)  # fmt: skip
def test_a_damaged_array_of_matlab_is_refused_before_scipy_sees_it(tmp_path, place, value):
    path = tmp_path / "a.mat"
    scipy.io.savemat(path, {"T": MASK / 255})
    data = bytearray(path.read_bytes())
    data[place] = value
    path.write_bytes(data)

    with pytest.raises(UnreadableError, match=r"^damaged: "):
        pixels.read(path)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return damages.world(tmp_path_factory.mktemp("faults") / "world")


@pytest.mark.slow
@pytest.mark.timeout(1200)
class TestDamage:
    """In short what `make faults` does; each fault in a copy of one folder in which all is well."""

    def test_all_is_well_without_one(self, world, tmp_path):
        place = shutil.copytree(world, tmp_path / "copy", ignore=shutil.ignore_patterns(".git", ".dvc"))
        called = [
            damages.FAULTS[name].words
            for name in ("record: Pd 2", "prediction: cut", "picture: cut", "submission: no card")
        ]
        for words in called:
            done = damages.called(place, damages.Fault(damages.all_of(), words, ()))
            assert done.returncode == 0, (words, done.stderr)

    @pytest.mark.parametrize("name", damages.FAULTS)
    def test_it_is_named_in_a_sentence(self, world, name):
        assert damages.why_it_fell(world, name) is None
