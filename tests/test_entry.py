"""Submissions: made, verified, and refused after any change."""

import argparse
import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
import yaml
from huggingface_hub import parse_eval_result_entries
from huggingface_hub.repocard_data import model_index_to_eval_results
from PIL import Image

import irstd
from irstd.apps import cli, submitting
from irstd.scoring import entry
from irstd.tables.board import of_submissions
from tests.conftest import ROOT


@pytest.fixture(scope="module")
def dataset(prepared, tmp_path_factory):
    """A folder to work in, with a prepared dataset of the catalogue's name, and predictions of its test scenes."""
    root = tmp_path_factory.mktemp("work")
    shutil.copytree(prepared.folder, root / "data/prepared/synthetic")
    given = irstd.datasets.load("synthetic", folder=root / "data/prepared/synthetic")
    rng = np.random.default_rng(0)
    (root / "maps").mkdir()
    rows = ["name,row,col,score"]
    for name in given.names("test"):
        mask = given.mask(name)
        scores = np.where(np.roll(mask, 1, 1), 0.9, 0.3 * rng.random(mask.shape))
        np.save(root / "maps" / f"{name}.npy", scores.astype(np.float32))
        rows += [f"{name},{row:.2f},{col:.2f},0.8" for row, col in np.argwhere(mask)[:1]]
    (root / "points.csv").write_text("\n".join(rows) + "\n")
    return root


@pytest.fixture
def made(dataset, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(dataset)
    folder = tmp_path / "entry"
    cli.main(["submit", "maps", "--dataset", "synthetic", "--name", "Mine", "--paper", "arXiv 1", "--out", str(folder)])
    capsys.readouterr()
    return folder


def refused(folder):
    with pytest.raises(SystemExit) as error:
        cli.main(["verify", str(folder)])
    return str(error.value)


@pytest.mark.parametrize("kind", ["maps", "points.csv"])
def test_a_submission_is_computed_again_from_its_own_files(dataset, tmp_path, monkeypatch, capsys, kind):
    monkeypatch.chdir(dataset)
    cli.main(["submit", kind, "--dataset", "synthetic", "--out", str(tmp_path / "entry")])
    cli.main(["score", kind, "--dataset", "synthetic", "--json", str(tmp_path / "scores.json"), "--out", str(tmp_path)])
    cli.main(["verify", str(tmp_path / "entry")])

    card = json.loads((tmp_path / "entry/submission.json").read_text())
    assert card["scores"] == json.loads((tmp_path / "scores.json").read_text())
    assert "right, " in capsys.readouterr().out
    assert {"README.md", "environment.txt", "predictions", "submission.json"} == {
        path.name for path in (tmp_path / "entry").iterdir()
    }


def test_the_card_can_be_read_by_people_and_by_the_hub(made):
    text = (made / "README.md").read_text()
    front = yaml.safe_load(text.split("---")[1])["model-index"][0]
    row = json.loads((made / "submission.json").read_text())["scores"]["irstd"]

    assert front["name"] == "Mine" and front["results"][0]["dataset"]["type"] == "synthetic"
    values = {one["type"]: one["value"] for one in front["results"][0]["metrics"]}
    assert values["iou"] == pytest.approx(100 * row["iou"], abs=1e-4)
    assert values["fa"] == pytest.approx(row["fa_per_million"], abs=1e-4)
    hub = model_index_to_eval_results([front])[1]
    assert [(one.metric_type, one.dataset_split, one.metric_value) for one in hub] == [
        (name, front["results"][0]["dataset"]["split"], value) for name, value in values.items()
    ]
    assert "| paper | arXiv 1 |" in text and "numpy==" in (made / "environment.txt").read_text()


def test_leaderboards_of_the_hub_read_the_scores_and_a_changed_one_is_found(dataset, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(dataset)
    words = ["submit", "maps", "--dataset", "synthetic", "--out", str(tmp_path / "entry")]
    cli.main([*words, "--hub-dataset", "lab/small-targets"])
    cli.main(["verify", str(tmp_path / "entry")])
    path = tmp_path / "entry/.eval_results/irstd.yaml"
    row = json.loads((tmp_path / "entry/submission.json").read_text())["scores"]["irstd"]

    found = {one.task_id: one for one in parse_eval_result_entries(yaml.safe_load(path.read_text()))}

    assert {one.dataset_id for one in found.values()} == {"lab/small-targets"}
    assert {kind: one.value for kind, one in found.items()} == {
        **{kind: pytest.approx(100 * row[kind], abs=1e-4) for kind in ("iou", "niou", "pd", "f1")},
        "fa": pytest.approx(row["fa_per_million"], abs=1e-4),
    }
    assert "native size, convention irstd" in found["pd"].notes
    path.write_text(path.read_text().replace(f"{found['iou'].value}", "99.0"))
    assert ".eval_results/irstd.yaml is missing, or does not say what submission.json does" in refused(path.parents[1])


def test_a_dataset_of_the_hub_has_an_owner_and_scores_need_a_dataset(made, dataset, monkeypatch):
    monkeypatch.chdir(dataset)
    with pytest.raises(SystemExit, match="--hub-dataset 'mine' names no dataset of the Hub; give OWNER/NAME"):
        cli.main(["submit", "maps", "--dataset", "synthetic", "--hub-dataset", "mine"])
    (made / ".eval_results").mkdir()
    (made / ".eval_results/irstd.yaml").write_text("[]\n")
    assert ".eval_results/irstd.yaml is missing, or does not say" in refused(made)


def test_one_changed_pixel_is_found(made):
    path = next((made / "predictions").iterdir())
    levels = np.array(Image.open(path))
    levels[0, 0] += 1
    Image.fromarray(levels).save(path)

    assert f"changed since it was scored: predictions/{path.name}" in refused(made)


def test_one_changed_pixel_is_found_though_its_checksum_is_stated_anew(made):
    path = next((made / "predictions").iterdir())
    levels = np.array(Image.open(path))
    levels[0, 0] = 65534
    Image.fromarray(levels).save(path)
    card = json.loads((made / "submission.json").read_text())
    card["files"][f"predictions/{path.name}"] = entry._digest(path)
    (made / "submission.json").write_text(json.dumps(card))

    said = refused(made)

    assert "irstd fa_per_million is stated as" in said and "not verified" in said


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda c: c["scores"]["irstd"].update(pd=c["scores"]["irstd"]["pd"] - 1e-6), "irstd pd is stated as"),
        (lambda c: c["scores"]["mshnet"].update(iou=None), "mshnet iou is stated as None"),
        (lambda c: c["scores"].pop("pal"), "scores of pal are missing"),
        (lambda c: c["scores"].update(ours={"iou": 1.0}), "scores of ours are of no convention here"),
        (lambda c: c.update(checksum="0" * 64), "it was scored on another synthetic"),
        (lambda c: c.update(format=2), "is of format 2, and this version reads 1"),
        (lambda c: c.pop("split"), "split: field required"),
        (lambda c: c.update(split="213-214"), "has no split '213-214'"),
        (lambda c: c.update(dataset="nowhere"), "there is no dataset 'nowhere'"),
    ],
)  # fmt: skip
def test_one_changed_number_or_word_is_found(made, change, words):
    card = json.loads((made / "submission.json").read_text())
    change(card)
    (made / "submission.json").write_text(json.dumps(card))

    assert words in refused(made)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda f: (f / "README.md").write_text((f / "README.md").read_text().replace("value: ", "value: 1", 1)), "README.md is"),
        (lambda f: (f / "README.md").unlink(), "README.md is missing, or does not say what submission.json does"),
        (lambda f: (f / "run.sh").write_text("rm"), "no part of a submission: run.sh"),
        (lambda f: card(f, name="Yours"), "README.md is missing, or does not say"),
        (lambda f: card(f, split=None), "split: input should be a valid string; make it again"),
        (lambda f: card(f, rank=1), "submission.json has rank, which no submission has"),
        (lambda f: card(f, parameters="4.1M"), "parameters: input should be a valid integer; make it again"),
    ],
)  # fmt: skip
def test_what_people_read_is_what_was_computed(made, change, words):
    change(made)

    assert words in refused(made)


def card(folder, **more):
    path = folder / "submission.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | more))


def test_a_map_that_breaks_off_is_named(made):
    path = next((made / "predictions").iterdir())
    path.write_bytes(path.read_bytes()[:200])
    held = json.loads((made / "submission.json").read_text())
    held["files"][f"predictions/{path.name}"] = entry._digest(path)
    (made / "submission.json").write_text(json.dumps(held))

    assert f"predictions/{path.name} cannot be read" in refused(made)


def test_a_number_of_parameters_is_a_number_on_the_board(dataset, tmp_path, monkeypatch):
    monkeypatch.chdir(dataset)
    words = ["submit", "maps", "--dataset", "synthetic", "--out", str(tmp_path / "entry"), "--parameters"]
    with pytest.raises(SystemExit):
        cli.main([*words, "some"])
    cli.main([*words, "1,234,567"])

    assert set(of_submissions([entry.read_card(tmp_path / "entry")])["parameters"]) == {1234567}


def test_a_submission_may_lie_in_git_and_notes_may_have_lines(dataset, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(dataset)
    folder = str(tmp_path / "entry")
    cli.main(["submit", "maps", "--dataset", "synthetic", "--out", folder, "--note", "one\r\ntwo"])
    for name in (".gitattributes", "LICENSE"):
        (tmp_path / "entry" / name).touch()
    cli.main(["verify", folder])

    assert "right, " in capsys.readouterr().out


@pytest.mark.parametrize("word", ["1e999", "1,2345", "-4", "4.1Q", ""])
def test_what_is_no_number_of_parameters_is_refused(word):
    with pytest.raises(argparse.ArgumentTypeError, match="no number of parameters"):
        submitting.count(word)


def test_a_missing_or_an_added_scene_is_found(made):
    path = next((made / "predictions").iterdir())
    path.rename(path.with_name("other.png"))

    said = refused(made)

    assert f"missing: predictions/{path.name}" in said and "not listed: predictions/other.png" in said
    card = json.loads((made / "submission.json").read_text())
    card["files"] = {name: digest for name, digest in card["files"].items() if path.name not in name}
    (made / "submission.json").write_text(json.dumps(card))
    (made / "predictions/other.png").unlink()
    assert f"no prediction for {path.stem}" in refused(made)


def test_what_is_not_whole_is_not_submitted(dataset, made, tmp_path, monkeypatch):
    monkeypatch.chdir(dataset)
    shutil.copytree("maps", tmp_path / "fewer")
    gone = next((tmp_path / "fewer").iterdir())
    gone.unlink()
    words = ["submit", str(tmp_path / "fewer"), "--dataset", "synthetic", "--out"]

    for more, said in (
        ([str(tmp_path / "a")], f"no prediction for {gone.stem}"),
        ([str(tmp_path / "a"), "--skip", "missing"], "a submission leaves nothing out"),
        ([str(made), "--missing", "nothing"], "is not empty; name a new folder with --out"),
    ):
        with pytest.raises(SystemExit) as error:
            cli.main([*words, *more])
        assert said in str(error.value)
    assert not (tmp_path / "a").exists()


def test_a_folder_that_is_no_submission_is_named(tmp_path, monkeypatch):
    (tmp_path / "submission.json").write_text("{")

    assert "is no submission, it has no submission.json" in refused(tmp_path / "nowhere")
    assert "is damaged" in refused(tmp_path)


@pytest.mark.timeout(300)
class TestRepositoryOfResults:
    """The recipe of docs/results-repository.yml, its steps run as GitHub runs them."""

    NAME = "nuaa-sirst"

    @pytest.fixture
    def repository(self, dataset, tmp_path, monkeypatch):
        """With one submission on main; the dataset is in the user's cache."""
        kept = tmp_path / "cache/irstd/datasets/prepared" / self.NAME
        shutil.copytree(dataset / "data/prepared/synthetic", kept)
        folder = tmp_path / "results-repository"
        (tmp_path / "temp").mkdir()
        folder.mkdir()
        for name, value in (
            ("XDG_CACHE_HOME", kept.parents[3]),
            ("RUNNER_TEMP", tmp_path / "temp"),
            ("GITHUB_WORKSPACE", folder),
        ):
            monkeypatch.setenv(name, str(value))
        self.git(folder, "init", "-q", "-b", "main")
        (folder / ".gitignore").write_text("site\n")
        self.propose(folder, dataset, "Old one")
        return folder

    @staticmethod
    def git(folder, *words):
        done = subprocess.run(
            ["git", "-c", "user.name=t", "-c", "user.email=t@t", *words], cwd=folder, check=True, capture_output=True
        )
        return done.stdout.decode().strip()

    def propose(self, folder, dataset, name):
        subprocess.run(
            [sys.executable, "-m", "irstd", "submit", dataset / "maps", "--dataset", self.NAME, "--name", name, "--out", f"results/{name}"],
            cwd=folder, check=True, capture_output=True,
        )  # fmt: skip
        self.commit(folder)

    def commit(self, folder):
        self.git(folder, "add", "-A")
        self.git(folder, "commit", "-qm", "proposed")

    @staticmethod
    def step(folder, name, **more):
        steps = yaml.safe_load((ROOT / "docs/results-repository.yml").read_text())["jobs"]["verify"]["steps"]
        (command,) = (one["run"] for one in steps if one.get("name") == name)
        path = f"{os.path.dirname(sys.executable)}:{os.environ['PATH']}"
        return subprocess.run(
            ["bash", "-e", "-c", command], cwd=folder, env=os.environ | {"PATH": path} | more,
            capture_output=True, text=True,
        )  # fmt: skip

    def test_what_its_steps_need_is_installed(self):
        steps = yaml.safe_load((ROOT / "docs/results-repository.yml").read_text())["jobs"]["verify"]["steps"]
        (install,) = (one["run"] for one in steps if one.get("name") == "Install")

        assert 'pip install "irstd-workbench[figures] @' in install  # the board's table is in no smaller one

    def test_what_is_right_enters_and_what_was_changed_does_not(self, repository, dataset):
        # Not touched by the proposal, so not its fault.
        (repository / "results/Old one/submission.json").write_text("{}")
        self.commit(repository)
        main = self.git(repository, "rev-parse", "HEAD")
        self.propose(repository, dataset, "New one")
        self.propose(repository, dataset, "ninth-ü")
        right = self.step(repository, "Verify", BASE=main)
        assert right.returncode == 0, right.stderr
        assert "2 submissions verified" in right.stdout and "New one: right, " in right.stdout

        path = next((repository / "results/New one/predictions").iterdir())
        levels = np.array(Image.open(path))
        levels[0, 0] += 1
        Image.fromarray(levels).save(path)
        self.commit(repository)
        wrong = self.step(repository, "Verify", BASE=main)
        assert wrong.returncode == 1
        assert f"changed since it was scored: predictions/{path.name}" in wrong.stderr

        # What is taken back needs no scores.
        shutil.rmtree(repository / "results/New one")
        self.commit(repository)
        assert "1 submissions verified" in self.step(repository, "Verify", BASE=main).stdout

    def test_a_proposal_does_not_bring_its_own_truth(self, repository, dataset):
        main = self.git(repository, "rev-parse", "HEAD")
        own = repository / "data/prepared" / self.NAME
        shutil.copytree(dataset / "data/prepared/synthetic", own)
        masks = np.load(own / "masks.npy")
        np.save(own / "masks.npy", np.roll(masks, 1))
        self.propose(repository, dataset, "Flattered")  # where it lies, it is scored by what is there
        card = repository / "results/Flattered/submission.json"

        wrong = self.step(repository, "Verify", BASE=main)
        assert wrong.returncode == 1 and f"it was scored on another {self.NAME}" in wrong.stderr

        card.write_text(json.dumps(json.loads(card.read_text()) | {"dataset": str(own)}))
        self.commit(repository)
        wrong = self.step(repository, "Verify", BASE=main)
        assert wrong.returncode == 1 and "there is no dataset" in wrong.stderr

    def test_the_board_shows_what_is_on_main(self, repository):
        made = self.step(repository, "Board")
        assert made.returncode == 0, made.stderr
        assert "Old one" in (repository / "site/index.html").read_text()
