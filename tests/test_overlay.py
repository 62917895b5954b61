"""The record and, over it, what was computed here; and what publishing takes from one to the other."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

from irstd import tables
from irstd.config.params import load
from irstd.errors import InputError
from irstd.results import store
from irstd.results.overlaid import HERE, RECORD, of_checkout, overlay
from irstd.results.reading import cells, described, gather
from irstd.results.schemas import SCHEMAS
from irstd.scoring import submission
from pipelines import publish
from tests.conftest import RECORDED, ROOT

RUN = "synthetic/ggl_net/0"
TABLE = pd.DataFrame([{"convention": "irstd", "iou": 0.5, "niou": 0.5, "pd": 0.5, "fa_per_million": 1.0, "f1": 0.5}])


@pytest.fixture
def folders(tmp_path):
    """A record of one dataset, and a run of here of the same row with fewer files."""
    record, here = tmp_path / "reports/results", tmp_path / "runs/results"
    shutil.copytree(RECORDED / "synthetic", record / "synthetic")
    shutil.copytree(RECORDED / "methods", record / "methods")
    shutil.copytree(RECORDED / RUN, here / RUN)
    for name in ("sweep.csv", "watched.csv"):
        (here / RUN / name).unlink()
    metrics = here / RUN / "metrics.json"
    metrics.write_text(json.dumps(json.loads(metrics.read_text()) | {"iou": 0.125}))
    return record, here


def test_a_run_of_here_stands_before_that_of_the_record_and_says_so(folders):
    seen = cells(overlay(folders)).set_index("method")

    assert seen.loc["ggl_net", ["iou", "origin"]].tolist() == [0.125, HERE]
    assert seen.loc["point_regression", "origin"] == RECORD


def test_rows_of_tables_say_which_they_are(folders):
    seen = cells(overlay(folders))
    told = dict(zip(seen["method"], tables.scores(seen, {})["method"], strict=True))

    assert told["ggl_net"] == "ggl_net (this machine)" and told["point_regression"] == "point_regression"


def test_files_of_two_runs_never_mix(folders):
    view = overlay(folders)

    assert {p.name for p in (view / RUN).iterdir()} == {p.name for p in (folders[1] / RUN).iterdir()}
    assert (view / "methods/ggl_net.json").exists()


def test_a_run_of_here_that_was_not_scored_to_its_end_is_left_out(folders):
    (folders[1] / RUN / "metrics.json").unlink()
    (folders[1] / "synthetic/new/0").mkdir(parents=True)
    (folders[1] / "synthetic/new/0/history.csv").write_text("epoch,lr,loss,score,pixels\n")

    view = overlay(folders)

    for path in (folders[0] / RUN).iterdir():
        assert (view / RUN / path.name).read_bytes() == path.read_bytes()
    assert not (view / "synthetic/new").exists()


def test_a_score_stands_beside_runs_of_here_too(folders, monkeypatch):
    monkeypatch.chdir(folders[1].parents[1])

    rows = submission.beside("mine", TABLE, {}, "synthetic", of_checkout(Path()))

    made = dict(zip(rows["method"], rows["made by"], strict=True))
    assert made["GGL-Net"].startswith(f"this workbench, {HERE}, seed 0")
    assert made["Point regression"].startswith(f"this workbench, {RECORD}, seed 0")
    assert rows.set_index("method").loc["GGL-Net", "iou"] == 0.125


def test_what_a_notebook_is_not_to_be_given_is_said(folders, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    with pytest.raises(InputError, match=r"no folder \.\./a or \.\./b below .*; notebooks are run from notebooks/"):
        overlay(["../a", "../b"])
    for call in (cells, described, lambda *given: gather(given[0], "history", given[1])):
        with pytest.raises(InputError, match=r"`datasets` is a list, and 'synthetic' is one name; give \[synthetic\]"):
            call(folders[0], "synthetic")
    with pytest.raises(InputError, match=r"'nuaa' is not described in .*, which has synthetic; correct `datasets`"):
        described(folders[0], ["nuaa"])
    assert described(folders[0], ["nuaa", "synthetic"]) == ["synthetic"]


def test_what_is_gone_from_the_folders_is_gone_from_the_view(folders):
    overlay(folders)
    shutil.rmtree(folders[1] / RUN)

    seen = cells(overlay(folders)).set_index("method")
    assert seen.loc["ggl_net", "origin"] == RECORD and seen.loc["ggl_net", "iou"] != 0.125


def test_the_record_alone_is_read_as_it_is(folders):
    assert overlay(folders[0]) == folders[0]
    assert overlay([folders[0], folders[0] / "nowhere"]) == folders[0]
    assert set(cells(folders[0])["origin"]) == {RECORD}


class TestPublish:
    """What is taken into the record is of a commit, and whole."""

    KNOWN = {
        f"{d}-{m}-{s}": {"dataset": d, "method": m, "seed": s}
        for d, m, s in (("a", "x", 0), ("a", "x", 1), ("b", "y", 0))
    }

    def test_a_name_stands_for_a_run_or_all_of_a_row_or_a_dataset(self):
        def names(*words):
            return [(c["dataset"], c["method"], c["seed"]) for c in publish.chosen(words, self.KNOWN)]

        assert names("b-y-0") == [("b", "y", 0)]
        assert names("a-x") == names("a") == [("a", "x", 0), ("a", "x", 1)]
        with pytest.raises(InputError, match=r"params.yaml has no run 'c'"):
            names("c")

    @pytest.mark.parametrize(("commit", "refused"), [("0123456789ab", False), ("0123456789ab+", True), ("", True)])
    def test_runs_of_code_in_no_commit_are_refused(self, folders, monkeypatch, commit, refused):
        monkeypatch.setattr(publish, "RESULTS", folders[1])
        made = folders[1] / RUN / "provenance.json"
        made.write_text(json.dumps(json.loads(made.read_text()) | {"commit": commit}))
        cell = {"dataset": "synthetic", "method": "ggl_net", "seed": 0}

        if refused:
            with pytest.raises(InputError, match="changes that are in no commit"):
                publish.files(cell, ())
        else:
            assert made in publish.files(cell, ())

    def test_runs_on_synthetic_scenes_are_refused(self, monkeypatch):
        monkeypatch.chdir(ROOT)

        with pytest.raises(InputError, match="synthetic: results on synthetic scenes are not published; `make report`"):
            publish.main("nuaa-sirst-mpcm", "synthetic-ggl_net-0")

    def test_the_record_has_no_results_on_synthetic_scenes(self):
        assert list((ROOT / "reports").rglob("*synthetic*")) == []
        tables = [path.read_text() for path in (ROOT / "reports").rglob("*.csv")]
        assert len(tables) > 100 and not any("synthetic" in text for text in tables)

    @pytest.mark.parametrize("public", [("synthetic",), ()])
    def test_pieces_of_scenes_are_published_of_public_datasets_alone(self, folders, monkeypatch, public):
        monkeypatch.setattr(publish, "RESULTS", folders[1])
        tables = [
            folders[1] / "analysis/orientation-synthetic" / name for name in ("orientation_map.csv", "learnt.csv")
        ]
        for table in tables:
            table.parent.mkdir(parents=True, exist_ok=True)
            table.touch()
        found = publish.files({"dataset": "synthetic", "method": "ggl_net", "seed": 0}, public)

        assert [table in found for table in tables] == [bool(public), True]

    def test_a_run_without_scores_is_refused(self, folders, monkeypatch):
        monkeypatch.setattr(publish, "RESULTS", folders[1])

        with pytest.raises(
            InputError, match="synthetic-mpcm-0 has no scores yet; run `dvc repro score@synthetic-mpcm-0`"
        ):
            publish.files({"dataset": "synthetic", "method": "mpcm", "seed": 0}, ())

    def test_the_record_has_the_weights_that_belong_in_git_and_no_others(self):
        held = {
            path.relative_to(ROOT / "reports/weights").with_suffix("")
            for path in (ROOT / "reports/weights").rglob("*.safetensors")
        }
        assert {str(one) for one in held} == set(load(ROOT / "params.yaml").publish.in_git)

    @pytest.mark.parametrize("in_git", [[], ["a/x"]])
    def test_weights_go_into_git_if_they_are_named(self, tmp_path, monkeypatch, in_git):
        monkeypatch.setattr(publish, "WEIGHTS", tmp_path / "runs")
        monkeypatch.setattr(publish, "RECORD", tmp_path / "reports")
        for folder, content in (("runs", "new"), ("reports/weights", "old")):
            (tmp_path / folder / "a").mkdir(parents=True)
            for suffix in ("md", "safetensors"):
                (tmp_path / folder / f"a/x.{suffix}").write_text(content)

        publish._publish_weights("a/x", in_git)
        publish._publish_weights("a/y", in_git)  # never packed: nothing to do

        there = {path.name: path.read_text() for path in (tmp_path / "reports/weights/a").iterdir()}
        assert there == {"x.md": "new", **({"x.safetensors": "new"} if in_git else {})}

    def test_what_is_noted_of_an_import_is_that_of_the_published_run(self, folders, tmp_path, monkeypatch):
        monkeypatch.setattr(publish, "RESULTS", folders[1])
        monkeypatch.setattr(publish, "RECORD", tmp_path)
        row = dict.fromkeys(SCHEMAS["imports"], "a") | {"dataset": "d", "seed": 0, "wall_s": 1.0}
        for place, rows in ((tmp_path / "results", ("x old", "y old")), (folders[1], ("x new", "z new"))):
            table = [row | dict(zip(("method", "commit"), text.split(), strict=True)) for text in rows]
            store.write(pd.DataFrame(table), place / "imports.csv", "imports")
        for method, commit in (("x", "new"), ("y", "trained here")):
            made = tmp_path / "results/d" / method / "0/provenance.json"
            made.parent.mkdir(parents=True)
            made.write_text(json.dumps({"commit": commit, "wall_s": 1.0}))

        publish._publish_imports()

        # y was trained here since, and z is not published.
        kept = store.read(tmp_path / "results/imports.csv", "imports")
        assert kept[["method", "commit"]].to_numpy().tolist() == [["x", "new"]]
        made.with_name("provenance.json").unlink()
        (tmp_path / "results/d/x/0/provenance.json").unlink()
        publish._publish_imports()
        assert not (tmp_path / "results/imports.csv").exists()

    def test_a_race_is_published_by_its_name_alone(self, folders, tmp_path, monkeypatch):
        monkeypatch.setattr(publish, "RESULTS", folders[1])
        monkeypatch.setattr(publish, "RECORD", tmp_path / "reports")
        monkeypatch.setattr(publish, "build", lambda *_: None)
        monkeypatch.chdir(ROOT)
        with pytest.raises(InputError, match="there is no race yet"):
            publish.main("race")
        (folders[1] / "analysis").mkdir()
        table = folders[1] / "analysis/race.csv"
        table.write_text("arm\n")
        made = folders[1] / RUN / "provenance.json"
        made.write_text(json.dumps(json.loads(made.read_text()) | {"commit": "0123456789ab"}))

        assert table not in publish.files({"dataset": "synthetic", "method": "ggl_net", "seed": 0}, ())
        publish.main("race")
        assert (tmp_path / "reports/results/analysis/race.csv").read_text() == "arm\n"
