"""The command line, provenance and profiling."""

import subprocess
import sys

import pytest
import torch
from torch import nn

import irstd
from irstd import methods
from irstd.apps import cli, listing
from irstd.data import download, synthetic
from irstd.inference import profiling
from irstd.results import provenance
from tests.conftest import wanted


def test_datasets_prints_the_catalogue_and_what_is_on_disk(tmp_path):
    folder = tmp_path / "data/raw/synthetic"
    roles = synthetic.write(wanted(), folder.with_name("synthetic.part"))
    download.finish(folder.with_name("synthetic.part"), folder, roles, "made from a seed")

    text = listing.datasets(tmp_path)

    for words in (
        "NUAA-SIRST  (nuaa-sirst)",
        "split     341-86 (341/86 images): ACM",
        "checksum",
        "licence",
        "cite",
        "quirk",
        "github.com/YimianDai/sirst",
    ):
        assert words in text
    assert "| synthetic  | 12       | 12      | –         | made     | nothing to verify against |" in text.splitlines()
    assert "| irstd-1k   | –        | –       | –         | –        | –                         |" in text.splitlines()


def test_methods_prints_exact_size_and_multiply_adds(capsys):
    cli.main(["methods"])

    line = next(row for row in capsys.readouterr().out.splitlines() if row.startswith("| ggl_net"))
    assert [cell.strip() for cell in line.split("|")[1:6]] == ["ggl_net", "GGL-Net", "mask", "8,988,093", "9.693"]
    assert "arXiv 2512.09497" in line


def test_sizes_are_those_of_the_network_and_leave_the_process_as_it_was():
    class Asks(nn.Conv2d):
        """Asks for a value when it is built, and makes a tensor as importing a library may."""

        def __init__(self):
            super().__init__(1, 2, 3, bias=False)
            self.largest = self.weight.detach().max().item()
            made.append(torch.empty(0).device.type)

    made = []
    method = methods.get("point_regression")
    network = method.build(method.options())

    assert profiling.size_of(lambda: method.build(method.options())) == (
        profiling.parameters(network),
        profiling.gmac(network),
    )
    assert profiling.size_of(Asks) == (18, pytest.approx(18 * 254**2 / 1e9))
    assert profiling.size_of(nn.Identity) == (0, None)
    assert made == ["cpu"]


def test_sources_are_what_a_module_imports_but_for_carriers():
    names = {p.name for p in provenance.sources("irstd.methods.ggl_net").values()}

    assert {"ggl_net.py", "gradient.py", "attention.py", "overlap.py", "pixelwise.py", "__init__.py"} == names


def test_a_digest_changes_with_a_source_and_not_with_another(tmp_path, monkeypatch):
    package = tmp_path / "pack_of_tests"
    package.mkdir()
    for name, text in (("__init__", ""), ("one", "from pack_of_tests import two\n"), ("two", "x = 1\n"), ("three", "")):
        (package / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    before = provenance.source_digest("pack_of_tests.one")
    (package / "three.py").write_text("y = 2\n")
    same = provenance.source_digest("pack_of_tests.one")
    (package / "two.py").write_text('"""A docstring."""\nx = 1  # a comment\n')
    told = provenance.source_digest("pack_of_tests.one")
    (package / "two.py").write_text("x = 2\n")

    assert before == same == told != provenance.source_digest("pack_of_tests.one")


def test_the_commit_is_marked_when_a_tracked_file_differs(tmp_path):
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@t"]
    (tmp_path / "a").write_text("1")
    for words in (["init", "-q"], ["add", "a"], ["commit", "-qm", "x"]):
        subprocess.run([*git, *words], cwd=tmp_path, check=True)
    clean = provenance.commit(tmp_path)
    (tmp_path / "a").write_text("2")

    assert len(clean) == 12 and f"{clean}+" == provenance.commit(tmp_path)
    assert provenance.commit(tmp_path / "..") == ""


def test_multiply_adds_and_parameters_of_a_hand_counted_network():
    network = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 2, 1, bias=False))

    assert profiling.parameters(network) == 4 * 9 + 4 + 8
    assert pytest.approx(profiling.gmac(network, 64)) == 64 * 64 * (4 * 9 + 8) / 1e9


def test_latency_is_the_median_of_its_runs_and_memory_what_it_takes():
    network = nn.Conv2d(1, 64, 3, padding=1)
    took = profiling.latency(network, 256, 2, 5)

    assert 2 / took.median_ms * 1e3 == pytest.approx(took.fps)
    output_mb = 2 * 64 * 256 * 256 * 4 / 2**20  # and twice as much again, if the library works in another layout
    assert output_mb <= took.memory_mb < 4 * output_mb


class TestPlugin:
    def test_a_method_of_another_package_is_found_by_its_entry_point(self, tmp_path, monkeypatch):
        """The example package's file, with the metadata that an installation would leave."""
        (tmp_path / "their_methods.py").write_text(
            "from irstd.methods.ggl_net import METHOD as ours\nfrom dataclasses import replace\nMETHOD = replace(ours, title='Theirs')\n"
        )
        info = tmp_path / "their_methods-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: their-methods\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text("[irstd.methods]\ntheirs = their_methods\n")
        monkeypatch.syspath_prepend(str(tmp_path))

        assert {"ggl_net", "theirs"} <= set(methods.available())
        assert methods.get("theirs").title == "Theirs"
        assert len(provenance.source_digest(methods.module_name("theirs"))) == 16


def test_the_module_runs_as_the_command_and_says_its_version(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "irstd", "--version"], cwd=tmp_path, capture_output=True, text=True, check=True
    )

    assert done.stdout == f"irstd {irstd.__version__}\n"


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("scor", "there is no command 'scor'; did you mean 'score'?"),
        ("train", "there is no command 'train' here: `dvc repro train@DATASET-METHOD-SEED` trains, in a checkout"),
        ("report", "`make report` writes the reports, in a checkout"),
    ],
)
def test_a_command_that_is_not_there_is_told_where_it_is(capsys, word, said):
    with pytest.raises(SystemExit) as end:
        cli.main([word, "x"])

    assert end.value.code == 2 and said in capsys.readouterr().err
