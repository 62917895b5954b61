"""`irstd diff`: results of commits, from a repository of a few lines."""

import json
import shutil
import subprocess

import pytest

from irstd.apps import revisions
from irstd.errors import InputError
from tests.conftest import RECORDED, ROOT

GIT = ["git", "-c", "user.name=t", "-c", "user.email=t@t"]


@pytest.fixture
def repository(tmp_path):
    """Two commits: GGL-Net's results on the synthetic scenes, then MPCM's as well; and a third cell not committed."""
    root, results = tmp_path / "repo", "reports/results"
    shutil.copytree(ROOT / "notebooks", root / "notebooks")
    subprocess.run([*GIT, "init", "-q"], cwd=root, check=True)
    shutil.copytree(RECORDED / "methods", root / results / "methods")
    for method in ("ggl_net", "mpcm"):
        shutil.copytree(RECORDED / "synthetic" / method, root / results / "synthetic" / method)
        for words in (["add", "-A"], ["commit", "-qm", method]):
            subprocess.run([*GIT, *words], cwd=root, check=True)
    shutil.copytree(RECORDED / "synthetic/pstnn", root / results / "synthetic/pstnn")
    return root


def test_two_commits_become_one_report(repository, tmp_path):
    page = revisions.difference(repository, "HEAD~1", "HEAD", tmp_path / "out")

    assert "of 2 cells: 1 same, 0 changed, 1 added, 0 removed" in (tmp_path / "out/report.md").read_text()
    assert "data:image/svg+xml;base64" in page.read_text()
    assert "../tables/cells.csv" in page.read_text() and (tmp_path / "out/tables/cells.csv").exists()


@pytest.mark.parametrize("name", ["HEAD^..", "a (b) c"])
def test_folders_of_any_name_hold_their_figures(repository, tmp_path, name):
    page = revisions.difference(repository, "HEAD^", None, tmp_path / name)

    assert "](figures/cells.svg)" in (tmp_path / name / "report.md").read_text()
    assert "data:image/svg+xml;base64" in page.read_text()


def test_without_a_second_one_it_is_the_working_folder(repository, tmp_path):
    revisions.difference(repository, "HEAD", None, tmp_path / "out")

    text = (tmp_path / "out/report.md").read_text()
    assert "From HEAD to the working folder, of 3 cells: 2 same, 0 changed, 1 added, 0 removed" in text


@pytest.mark.parametrize(
    ("revision", "sentence"),
    [
        ("nowhere", "git knows no revision 'nowhere'; `git log --oneline` lists them"),
        ("--help", "git knows no revision '--help'; `git log --oneline` lists them"),
    ],
)
def test_an_unknown_revision_is_refused(repository, tmp_path, revision, sentence):
    with pytest.raises(InputError) as error:
        revisions.difference(repository, revision, None, tmp_path / "out")

    assert str(error.value) == sentence


def test_a_revision_without_results_is_refused(tmp_path):
    (tmp_path / "a").write_text("")
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "x"]):
        subprocess.run([*GIT, *words], cwd=tmp_path, check=True)

    with pytest.raises(InputError, match="revision 'HEAD' has no reports/results; name a later one"):
        revisions.extract(tmp_path, "HEAD", tmp_path / "x")


def test_every_committed_result_names_a_commit_of_this_history():
    """Skipped where the history is another's: in a shallow clone, or in a repository made of a copy."""
    ran = [
        subprocess.run([*GIT, *words], cwd=ROOT, capture_output=True, text=True).stdout.split()
        for words in (
            ["rev-list", "HEAD"],
            ["ls-files", "reports/results/**/provenance.json"],
            ["rev-parse", "--is-shallow-repository"],
        )
    ]
    known = {name[:12] for name in ran[0]}
    told = {path: json.loads((ROOT / path).read_text()).get("commit") for path in ran[1]}
    if ran[2] != ["false"] or not known & set(told.values()):
        pytest.skip("the history of the results is not here")

    assert {path: commit for path, commit in told.items() if commit and commit not in known} == {}
