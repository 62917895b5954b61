"""The pipeline: which stages a change reruns, what a mistake prints, and a kill that changes nothing."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import networkx as nx
import pytest
import yaml
from dvc.repo import Repo

from pipelines import run
from tests.conftest import ROOT

# DVC is run in this process to read its graph; what its own packages warn of is not ours to mend.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

SETS = ("synthetic", "nuaa-sirst", "nudt-sirst", "irstd-1k")
TINY = {
    "datasets": ["synthetic"],
    "methods": ["ggl_net"],
    "baselines": ["top_hat"],
    "studies": {name: {"datasets": [], "methods": []} for name in ("labelling", "losses", "detection")},
    "publish": {"datasets": []},
    "orientation": {"datasets": []},
    "dataset": {"synthetic": {"source": {"scenes": {"seed": 7, "train": 12, "test": 4, "size": 64, "targets": [1, 2], "scr": [8.0, 9.0], "sigma_px": [1.0, 2.0]}}}},
    "method": {"ggl_net": {"options": {"width": 8}, "budgets": {"quick": {"epochs": 40, "batch": 4, "size": 32}}}},
    "train": {"checkpoint_s": 0},
    "cost": {"sizes": [64], "batches": [1], "repeats": 1},
}  # fmt: skip


def merge(values, changes):
    for key, value in changes.items():
        if isinstance(value, dict) and isinstance(values.get(key), dict) and key != "scenes":
            merge(values[key], value)
        else:
            values[key] = value
    return values


def copy(folder):
    """A copy of the repository as it would be cloned, with what is not committed yet."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for name in listed.stdout.splitlines():
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@t"]
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "x"]):
        subprocess.run([*git, *words], cwd=folder, check=True)
    return folder


def dvc(folder, *words, **more):
    env = os.environ | {"PATH": f"{os.path.dirname(sys.executable)}:{os.environ['PATH']}", "COLUMNS": "200"}
    env.pop("IRSTD_MIRROR", None)
    return subprocess.run(
        [sys.executable, "-m", "dvc", *words], cwd=folder, capture_output=True, text=True, env=env, **more
    )


def set_params(folder, changes):
    path = folder / "params.yaml"
    path.write_text(yaml.safe_dump(merge(yaml.safe_load(path.read_text()), changes), sort_keys=False))


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A copy in which every stage has run, as far as DVC can tell."""
    folder = copy(tmp_path_factory.mktemp("repo"))
    with Repo(folder) as repo:
        outs = [out.fs_path for stage in repo.index.stages for out in stage.outs]
    for out in outs:
        if "." in os.path.basename(out):
            os.makedirs(os.path.dirname(out), exist_ok=True)
            open(out, "a").close()
        else:
            os.makedirs(out, exist_ok=True)
            with open(os.path.join(out, "x"), "w") as file:
                file.write(out)
    done = dvc(folder, "commit", "--force")
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def plan(finished, monkeypatch):
    """Which stages a change makes out of date: those DVC finds changed, and all that depend on them."""
    changed = []
    monkeypatch.chdir(finished)  # DVC names stages relative to here

    def planned(name, edit, *, downstream=True):
        path = finished / name
        changed.append((path, path.read_bytes()))
        path.write_text(edit(path.read_text()))
        with Repo(finished) as repo:
            stages = {s.addressing: s for s in repo.index.stages}
            direct = [stages[name] for name in repo.status()]
            graph = repo.index.graph
            settled = [s for s in direct if s.name != "check"]
            below = {s for stage in settled for s in nx.ancestors(graph, stage)} if downstream else set()
            return {s.addressing for s in {*direct, *below}}

    yield planned
    for path, content in changed:
        path.write_bytes(content)


PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text())
METHODS, BASELINES, STUDIES = PARAMS["methods"], PARAMS["baselines"], PARAMS["studies"]
WEIGHTS = PARAMS["publish"]
STAGES = ("train", "predict", "validate", "evaluate", "conventions")  # of a cell


def cells(stage, methods=METHODS, baselines=BASELINES, studies=STUDIES, sets=SETS):
    """The stages of the cells of some methods, of classical detectors, and of the rows of some studies."""
    instead = "choose" if stage == "train" else stage
    found = {f"{stage}@{dataset}-{method}-0" for dataset in sets for method in methods}
    found |= {f"baselines-{instead}@{dataset}-{method}-0" for dataset in sets for method in baselines}
    if stage in ("validate", "conventions"):
        return found
    return found | {
        f"{name}-{stage}@{dataset}-{method}-{seed}"
        for name, rows in studies.items()
        for dataset in rows["datasets"]
        for method in rows["methods"]
        for seed in rows["seeds"]
    }


def of(*methods):
    """All stages of the cells of these methods."""
    return set().union(*(cells(stage, methods, (), {}) for stage in STAGES))


def of_weights(*methods):
    """What is made of the published weights of these methods, but for putting them into git."""
    cells = [f"{dataset}-{method}-0" for dataset in WEIGHTS["datasets"] for method in methods]
    found = {f"{stage}@{cell}" for stage in ("robustness", "model-card") for cell in cells} | {"transfer-report"}
    return found | {f"transfer@{cell}-{on}" for cell in cells for on in WEIGHTS["datasets"]}


OF_STUDIES = {f"{name}@{dataset}" for name, rows in STUDIES.items() for dataset in rows["datasets"]}
PICTURES = {f"pictures@{name}" for name in SETS}
WHOLE = {"ranking", "efficiency", "datasets", "index", "gallery"}  # over all datasets
OF_SETS = {f"{report}@{name}" for report in ("report", "scoring", "failures") for name in SETS}
OF_RESULTS = OF_STUDIES | WHOLE | OF_SETS | {"start", "your-method"}  # the last two show the synthetic scenes
REPORTS = OF_RESULTS | PICTURES | {"pinwheel@synthetic", "metrics"}  # whatever is drawn
HISTORIES = {f"histories@{name}" for name in STUDIES["losses"]["datasets"]}
CROPS = {"crops@synthetic"}
CARDS = {f"model-card@{d}-{m}-0" for d in WEIGHTS["datasets"] for m in WEIGHTS["methods"]}
EVALUATED = cells("evaluate") | OF_RESULTS | PICTURES | HISTORIES | CROPS | CARDS
CHECK = {"check"}  # of params.yaml; what it writes never changes, so that it sets off nothing else


class TestPlan:
    def test_nothing_changed_plans_nothing(self, plan):
        assert set() == plan("CHANGELOG.md", lambda text: text + "more words\n")

    def test_a_changed_plot_redraws_the_reports(self, plan):
        assert plan("irstd/plots/curves.py", lambda text: text + "\n") == REPORTS | {"transfer-report"}

    def test_a_changed_metric_scores_again_and_trains_nothing(self, plan):
        scored = EVALUATED | cells("conventions") | {"cases", "metrics"} | of_weights(*WEIGHTS["methods"])
        assert plan("irstd/metrics/counts.py", lambda text: text + "\n") == scored

    def test_another_convention_reruns_no_network(self, plan):
        planned = plan("irstd/metrics/conventions.py", lambda text: text + "\n")
        assert not planned & set().union(*(cells(stage) for stage in ("train", "predict", "validate")))

    def test_a_changed_threshold_scores_again(self, plan):
        planned = plan("params.yaml", lambda text: text.replace("match_px: 3.0", "match_px: 5.0"))
        assert planned == EVALUATED | cells("conventions") | of_weights(*WEIGHTS["methods"]) | CHECK

    def test_a_changed_learning_rate_retrains_that_method_alone(self, plan):
        def edit(text):
            assert "lr: 5.0e-4" in text
            return text.replace("lr: 5.0e-4", "lr: 6.0e-4", 1)  # the first is GGL-Net's

        published = {f"publish@{dataset}-ggl_net-0" for dataset in WEIGHTS["datasets"]} | of_weights("ggl_net")
        drawn = OF_RESULTS | PICTURES | HISTORIES | CROPS
        assert plan("params.yaml", edit) == of("ggl_net") | published | drawn | CHECK

    def test_a_second_row_runs_its_own_cells_and_no_others(self, plan):
        def edit(text):
            values = yaml.safe_load(text)
            values["methods"].append("thin")
            values["method"]["thin"] = values["method"]["ggl_net"] | {"method": "ggl_net", "options": {"width": 8}}
            return yaml.safe_dump(values, sort_keys=False)

        planned = plan("params.yaml", edit)

        assert (
            CHECK
            | {"card@thin", "cost@thin", "transfer-report", *OF_RESULTS, *PICTURES, *HISTORIES, *CROPS}
            | of("thin")
            == planned
        )

    def test_an_added_dataset_runs_its_own_stages_and_no_others(self, plan):
        def edit(text):
            values = yaml.safe_load(text)
            values["datasets"].append("mine")
            values["dataset"]["mine"] = values["dataset"]["irstd-1k"] | {
                "source": {"folder": "../mine"},
                "split": "lists",
            }
            return yaml.safe_dump(values, sort_keys=False)

        stages = {f"{s}@mine" for s in ("download", "prepare", "describe", "report", "scoring", "failures", "pictures")}
        of_cells = set().union(*(cells(stage, studies={}, sets=["mine"]) for stage in STAGES))
        assert CHECK | stages | of_cells | WHOLE == plan("params.yaml", edit)

    def test_a_changed_method_file_asks_its_card_first(self, plan):
        # Whatever does not change the card then goes no further.
        cards = {f"card@{m}" for m in METHODS} | {f"baselines-card@{m}" for m in BASELINES}
        cards |= {f"{name}-card@{m}" for name, rows in STUDIES.items() for m in rows["methods"]}
        assert cards == plan("irstd/methods/ggl_net.py", lambda text: text + "\n", downstream=False)

    def test_a_mended_comment_in_the_parameters_checks_them_and_reruns_nothing(self, plan):
        assert CHECK == plan("params.yaml", lambda text: f"# a comment\n{text}")

    def test_a_mended_sentence_reruns_nothing(self, plan):
        assert set() == plan("irstd/errors.py", lambda text: text + "\n")


class TestMistakes:
    """Each a sentence and a non-zero exit, and nothing lost."""

    @pytest.mark.parametrize(
        ("words", "changes", "sentence"),
        [
            (["train", "synthetic", "ggl_net", "0"], {"train": {"devise": "cpu"}}, "error: params.yaml: train: unknown key 'devise'; did you mean 'device'?"),
            (["train", "nuaa-sirst", "ggl_net", "0"], {"train": {"device": "cuda:9"}}, "error: params.yaml: train.device: 'cuda:9' is asked for, but torch sees "),
            (["download", "nuaa"], {}, "error: params.yaml: `dataset` has no entry 'nuaa'; did you mean 'nuaa-sirst'?"),
            (["card", "ggl"], {}, "error: params.yaml: `method` has no entry 'ggl'; did you mean 'ggl_net'?"),
            (["card", "odd"], {"method": {"odd": {"method": "gglnet"}}}, "error: there is no method 'gglnet'; did you mean 'ggl_net'?"),
            (["download", "moon"], {"dataset": {"moon": {"source": "catalogue", "split": "x", "validation": 0.1, "budget": "full"}}}, "error: there is no dataset 'moon' in the catalogue; known are"),
            (["download", "mine"], {"dataset": {"mine": {"source": {"folder": "no/where"}, "split": "x", "validation": 0.1, "budget": "full"}}}, "error: params.yaml: dataset.mine.source.folder: there is no folder 'no/where'; mend the path"),
        ],
    )  # fmt: skip
    def test_a_stage_says_it_in_one_sentence(self, tmp_path, words, changes, sentence):
        folder = copy(tmp_path / "repo")
        set_params(folder, changes)

        done = subprocess.run(
            [sys.executable, "-m", f"pipelines.{words[0]}", *words[1:]], cwd=folder, capture_output=True, text=True
        )

        assert done.returncode == 1
        assert done.stderr.startswith(sentence) and "Traceback" not in done.stderr

    def test_it_is_said_before_dvc_clears_what_was_computed(self, tmp_path):
        folder = copy(tmp_path / "repo")
        result = folder / "reports/results/synthetic/ggl_net/0/history.csv"
        before = result.read_bytes()
        set_params(folder, {"datasets": ["sinthetic"], "method": {"ggl_net": {"budgets": {"quick": {"epoch": 3}}}}})

        done = dvc(folder, "repro")

        assert 0 != done.returncode
        assert (
            "error: params.yaml: method.ggl_net.budgets.quick: unknown key 'epoch'; did you mean 'epochs'?"
            in done.stderr
        )
        assert before == result.read_bytes()

    def test_a_missing_archive_names_what_to_fetch(self, tmp_path):
        folder = copy(tmp_path / "repo")
        env = os.environ | {
            "IRSTD_MIRROR": str(tmp_path),
            "http_proxy": "http://127.0.0.1:9",
            "https_proxy": "http://127.0.0.1:9",
        }
        set_params(
            folder,
            {
                "dataset": {
                    "sirst-uavb": {"source": "catalogue", "split": "published", "validation": 0.1, "budget": "full"}
                }
            },
        )

        done = subprocess.run(
            [sys.executable, "-m", "pipelines.download", "sirst-uavb"],
            cwd=folder,
            capture_output=True,
            text=True,
            env=env,
        )

        assert done.returncode == 1
        assert (
            "error: sirst-uavb could not be had (the mirror: SIRST-UAVB.zip is not in the folder that IRSTD_MIRROR names;"
            in done.stderr
        )
        assert "put it at data/archives/SIRST-UAVB.zip" in done.stderr and "Traceback" not in done.stderr

    def test_a_failure_of_the_disk_is_a_sentence(self, capsys):
        def main():
            raise OSError(28, "No space left on device", "runs/x.npz")

        words, sys.argv = sys.argv, ["stage"]
        with pytest.raises(SystemExit) as stopped:
            run(main)
        sys.argv = words

        assert (
            str(stopped.value)
            == "error: x.npz: No space left on device; mend that and run `dvc repro` again, finished work is kept"
        )


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_sigkill_then_dvc_repro_ends_with_the_same_weights_and_nothing_runs_twice(tmp_path):
    whole, killed = copy(tmp_path / "whole"), copy(tmp_path / "killed")
    for folder in (whole, killed):
        set_params(folder, TINY)
    target = "train@synthetic-ggl_net-0"
    assert dvc(whole, "repro", target).returncode == 0

    env = os.environ | {"PATH": f"{os.path.dirname(sys.executable)}:{os.environ['PATH']}"}
    running = subprocess.Popen(
        [sys.executable, "-m", "dvc", "repro", target],
        cwd=killed,
        env=env,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 120
    checkpoints = killed / "runs/checkpoints"
    while not list(checkpoints.rglob("*.pt")) and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(running.pid, signal.SIGKILL)
    running.wait()
    assert list(checkpoints.rglob("*.pt")), "killed too late to show anything"

    again = dvc(killed, "repro", target)
    assert again.returncode == 0, again.stderr
    weights = "runs/train/synthetic/ggl_net/0"
    made = [f"{weights}/{name}" for name in ("best.safetensors", "last.safetensors", "provenance.json")]
    for name in (*made, "reports/results/synthetic/ggl_net/0/history.csv"):
        assert (whole / name).read_bytes() == (killed / name).read_bytes()

    start = time.monotonic()
    second = dvc(killed, "repro", target)
    assert "Running stage" not in second.stdout + second.stderr and time.monotonic() - start < 10

    # With the weights in the cache, the next stage drops the checkpoint.
    assert list(checkpoints.rglob("*.pt"))
    assert 0 == dvc(killed, "repro", "-s", "predict@synthetic-ggl_net-0").returncode
    assert not list(checkpoints.rglob("*.pt"))


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_folder_of_ones_own_goes_through_the_whole_pipeline(tmp_path):
    folder = copy(tmp_path / "repo")
    set_params(folder, TINY)
    assert dvc(folder, "repro", "download@synthetic").returncode == 0
    own = tmp_path / "own"
    for kind in ("images", "masks"):
        shutil.copytree(folder / "data/raw/synthetic" / kind, own / kind)
    entry = {"source": {"folder": str(own)}, "split": "lists", "validation": 0.2, "budget": "quick"}
    set_params(
        folder,
        {
            "datasets": ["own"],
            "public": [],
            "dataset": {"own": entry},
            "method": {"ggl_net": {"budgets": {"quick": {"epochs": 2}}}},
        },
    )

    done = dvc(folder, "repro")

    assert done.returncode == 0, done.stderr
    metrics = json.loads((folder / "reports/results/own/ggl_net/0/metrics.json").read_text())
    assert metrics["images"] > 0 and "irstd:" in metrics["convention"]
    assert (folder / "reports/html/own.html").stat().st_size > 100_000
    assert "quick, 2 of 400 epochs" in (folder / "reports/own.md").read_text()
