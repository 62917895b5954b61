"""What is packed for a machine that is lent for minutes; test_import_cell.py rehearses the whole of it."""

import shutil
import subprocess
import sys

import numpy as np
import torch

from irstd.data.prepared import Prepared
from irstd.inference.profiling import training_flop
from irstd.methods import Method, Prediction
from pipelines.campaign import objects, unpacked
from pipelines.pack_campaign import packed
from tests.conftest import ROOT


def test_scenes_come_out_as_they_went_in(prepared, tmp_path):
    chosen = [1, 4, 2]
    (tmp_path / "x.npz.xz").write_bytes(packed(prepared, sorted(chosen)))

    there = unpacked(tmp_path / "x.npz.xz", tmp_path / "there")

    assert there.names == [prepared.names[number] for number in sorted(chosen)]
    for here, number in enumerate(sorted(chosen)):
        assert np.array_equal(there.image(here), prepared.image(number))
        assert np.array_equal(there.mask(here), prepared.mask(number))
        assert np.array_equal(there.points[here], prepared.points[number])
        assert np.array_equal(there.boxes[here], prepared.boxes[number])


def test_a_comma_in_a_name_is_no_end_of_it(prepared, tmp_path):
    folder = shutil.copytree(prepared.folder, tmp_path / "here")
    for table in ("scenes", "targets", "splits"):
        path = folder / f"{table}.csv"
        path.write_text(path.read_text().replace(f"\n{prepared.names[1]},", '\n"a, b",'))
    (tmp_path / "x.npz.xz").write_bytes(packed(Prepared(folder), [1]))

    there = unpacked(tmp_path / "x.npz.xz", tmp_path / "there")

    assert there.names == ["a, b"] and np.array_equal(there.points[0], prepared.points[1])


def test_recipes_come_out_as_objects():
    assert objects('{"a": [1, {"b": [2, 3]}]}').a[1].b == (2, 3)


def test_operations_are_counted_forwards_and_backwards():
    """A convolution's: 2 * kernel * outputs forwards; backwards as many for the kernel, none for the image."""

    one = Method(
        "one", "none", "mask", dict, lambda _options: torch.nn.Conv2d(1, 4, 3, padding=1, bias=False),
        lambda outputs, targets, _step, _options: (outputs - targets).square().mean((1, 2, 3)), lambda *_: Prediction(),
    )  # fmt: skip

    assert training_flop(one, None, 32) == 2 * (2 * 9 * 4 * 32 * 32)


def test_what_is_named_wrongly_is_said(tmp_path):
    for words, sentence in (
        (["pipelines.campaign", tmp_path, tmp_path, "10", "1"], "holds no campaign"),
        (["pipelines.campaign", tmp_path, tmp_path, "ten", "1"], "whole numbers"),
        (["pipelines.campaign", tmp_path, tmp_path, "10", "1", "step=fast"], "a step is compiled, graphs, eager"),
        (["pipelines.unpack_campaign", tmp_path, tmp_path], "holds nothing of a campaign"),
    ):
        done = subprocess.run([sys.executable, "-m", *map(str, words)], cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 1 and sentence in done.stderr and "Traceback" not in done.stderr
