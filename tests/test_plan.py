"""Which stages a change makes run again: a table of kinds of change."""

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import networkx as nx
import pytest
import yaml
from dvc.repo import Repo

from irstd.config import params
from irstd.errors import InputError
from irstd.results import SCHEMAS, provenance
from pipelines import plan, quickstart, report_list, reports
from tests.conftest import RECORDED, ROOT
from tests.test_pipeline import copy

# DVC is run in this process to read its graph; what its own packages warn of is not ours to fix.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A copy of the repository, and DVC's graph of it."""
    folder = copy(tmp_path_factory.mktemp("repo"))
    with Repo(folder) as repo:
        graph = repo.index.graph
        stages = {stage.name: stage for stage in repo.index.stages}
        above = {name: {s.name for s in nx.ancestors(graph, stage)} for name, stage in stages.items()}
        needs = {name: _needs(stage, folder) for name, stage in stages.items()}
        makes = {name: [out.fs_path for out in stage.outs] for name, stage in stages.items()}
    return folder, needs, above, makes


def _needs(stage, folder):
    """Paths and parameters that a stage depends on."""
    paths = {os.path.relpath(dep.fs_path, folder) for dep in stage.deps if not hasattr(dep, "params")}
    return paths, {key for dep in stage.deps for key in getattr(dep, "params", ())}


def _value(values, key):
    for part in key.split("."):
        values = values.get(part) if isinstance(values, dict) else None
    return values


def work_in(folder, monkeypatch):
    """Makes the copy the working folder, and that of the code whose digests are taken."""
    monkeypatch.chdir(folder)
    found = provenance._source_of

    def inside(module):
        path = found(module)
        return path and (folder / path.relative_to(ROOT) if path.is_relative_to(ROOT) else path)

    monkeypatch.setattr(provenance, "_source_of", inside)


def around(path, edit, look):
    """What `look` sees before and after an edit of a file, which is taken back."""
    before, text = look(), path.read_text()
    path.write_text(edit(text))
    try:
        assert path.read_text() != text, "the edit changes nothing"
        return before, look()
    finally:
        path.write_text(text)


def forget():
    for function in (provenance.imports, provenance.code_digest):
        function.cache_clear()


@pytest.fixture
def pages(checkout, monkeypatch):
    """Which pages a change of a file rewrites."""
    folder = checkout[0]
    work_in(folder, monkeypatch)

    def look():
        forget()
        return {name: reports.inputs(one, RECORDED) for name, one in report_list.reports(GIVEN, RECORDED).items()}

    def changed(name, edit):
        before, after = around(folder / name, edit, look)
        return {name for name in after if before[name] != after[name]}, set(after)

    return changed


@pytest.fixture
def reruns(checkout, monkeypatch):
    """Which stages a change of a file makes run again: those whose dependencies differ, and all that depend on them.

    Of what is computed it is taken that it differs wherever its stage runs again.
    """
    folder, needs, above, _ = checkout
    work_in(folder, monkeypatch)

    def look():
        forget()
        return plan.resolve(params.load()), yaml.safe_load((folder / "params.yaml").read_text())

    def planned(name, edit):
        before, after = around(folder / name, edit, look)
        changed = {f"runs/plan/{k}.json" for k in {*before[0], *after[0]} if before[0].get(k) != after[0].get(k)}
        direct = {
            stage for stage, (paths, keys) in needs.items()
            if stage != "plan" and (
                paths & changed or any(name == p or name.startswith(f"{p}/") for p in paths)
                or any(_value(before[1], k) != _value(after[1], k) for k in keys)
            )
        }  # fmt: skip
        return direct | {below for stage in direct for below in above[stage]} - {"plan"}

    return planned


GIVEN = params.load(ROOT / "params.yaml")
CELLS = GIVEN.cells()


def of(stage, **chosen):
    """Stages of the runs whose dataset, method or seed is among those given."""
    return {f"{stage}@{n}" for n, c in CELLS.items() if all(c[key] in values for key, values in chosen.items())}


def runs(name, stages=("train", "predict", "score")):
    return {f"{stage}@{run}" for stage in stages for run in CELLS if run == name}


def kinds(names):
    """Stages without what they are repeated over."""
    return {name.partition("@")[0] for name in names}


def swap(old, new):
    def edit(text):
        assert old in text
        return text.replace(old, new, 1)

    return edit


OF_WEIGHTS = {"pack-weights", "transfer", "on-training", "robustness", "model-card"}
VARIANTS = [row for row in GIVEN.method if GIVEN.row(row).method == "ggl_net"]


def test_the_quick_start_does_beside_trainings_what_needs_none_of_them(checkout):
    _, _, above, _ = checkout
    after = {name for row in GIVEN.methods for name in above[f"train@synthetic-{row}-0"]}

    wanted, at_once = (set(f(GIVEN, "synthetic")) for f in (quickstart.targets, quickstart.at_once))

    assert at_once == wanted - after and wanted & after


def test_the_quick_start_trains_ahead_only_what_has_no_weights(tmp_path, monkeypatch):
    monkeypatch.setattr(quickstart, "RUNS", tmp_path)
    (tmp_path / "train/synthetic/ggl_net/0").mkdir(parents=True)

    found = [cell["method"] for cell in quickstart.untrained(GIVEN, "synthetic")]

    assert found == ["point_regression", "gaussian_pinwheel"]


class TestPlan:
    """What each kind of change runs again."""

    def test_words_that_are_no_code_rerun_nothing(self, reruns):
        for path in ("irstd/training/loop.py", "irstd/methods/ggl_net.py", "irstd/metrics/counts.py"):
            assert reruns(path, lambda text: text + "\n# a comment\n") == {"reports"}  # whose pages see no difference

    def test_a_docstring_reruns_nothing(self, reruns):
        assert reruns("irstd/data/augment.py", swap('"""Random changes', '"""Changes at random')) == {"reports"}

    def test_a_docstring_changes_no_page(self, pages):
        assert pages("irstd/plots/curves.py", lambda text: text.replace('"""', '"""Of old, ', 1))[0] == set()

    def test_a_sentence_of_an_error_reruns_nothing(self, reruns):
        assert reruns("irstd/errors.py", lambda text: text + "\nX = 1\n") == {"reports"}

    def test_a_comment_in_the_parameters_reruns_nothing(self, reruns):
        assert reruns("params.yaml", lambda text: f"# a comment\n{text}") == set()

    def test_a_rate_that_no_budget_uses_reruns_nothing(self, reruns):
        assert reruns("params.yaml", self._of_recipe("ggl_net", "grad_clip", None)) == set()

    def _of_recipe(self, row, key, budget, value=3):
        """Sets a field of a row's recipe, or of one of its budgets; the budgets in use override what they name."""

        def edit(text):
            values = yaml.safe_load(text)
            recipe = values["method"][row]["recipe"]
            if budget is None:
                for changes in values["method"][row]["budgets"].values():
                    changes.setdefault(key, recipe.get(key, 0.0))
                before = params.parse(yaml.safe_dump(values))
                recipe[key] = value
                assert all(
                    before.recipe(c["dataset"], c["method"]) == params.parse(yaml.safe_dump(values)).recipe(c["dataset"], c["method"])
                    for c in CELLS.values()
                )  # fmt: skip
            else:
                values["method"][row]["budgets"][budget][key] = value
            return yaml.safe_dump(values, sort_keys=False)

        return edit

    def _trained(self, names):
        return {name for name in names if name.startswith("train@")}

    def test_a_field_that_a_budget_uses_retrains_exactly_its_runs(self, reruns):
        budget = GIVEN.data("irstd-1k").budget  # no other budget is `of` it
        planned = reruns("params.yaml", self._of_recipe("ggl_net", "batch", budget))

        used = {d for d in GIVEN.datasets if GIVEN.data(d).budget == budget}
        assert self._trained(planned) == of("train", method=VARIANTS, dataset=used)

    def test_another_name_of_a_budget_retrains_what_it_gives_another_recipe(self, reruns):
        planned = reruns("params.yaml", lambda text: text.replace("budget: night-512", "budget: night"))

        assert self._trained(planned) == {"train@irstd-1k-point_regression-0"}

    def test_an_option_retrains_its_row_and_its_variants(self, reruns):
        def edit(text):
            values = yaml.safe_load(text)
            values["method"]["gaussian_pinwheel"]["options"] = {"arms": 2}
            return yaml.safe_dump(values, sort_keys=False)

        rows = [row for row in GIVEN.method if GIVEN.row(row).method == "gaussian_pinwheel"]
        assert self._trained(reruns("params.yaml", edit)) == of("train", method=rows)

    def test_code_of_a_method_retrains_that_method_alone(self, reruns):
        planned = reruns("irstd/methods/ggl_net.py", lambda text: text + "\nX = 1\n")

        assert self._trained(planned) == of("train", method=VARIANTS)
        assert {"score", "reports", *OF_WEIGHTS} <= kinds(planned)

    def test_code_of_an_augmentation_retrains_all(self, reruns):
        assert self._trained(reruns("irstd/data/augment.py", lambda text: text + "\nX = 1\n")) == of("train")

    def test_a_layer_retrains_the_methods_that_use_it(self, reruns):
        planned = self._trained(reruns("irstd/layers/odconv.py", lambda text: text + "\nX = 1\n"))

        rows = [row for row in GIVEN.method if GIVEN.row(row).method.startswith("point_regression")]
        assert planned == of("train", method=rows)

    def test_a_metric_scores_again_and_trains_and_predicts_nothing(self, reruns):
        planned = reruns("irstd/metrics/counts.py", lambda text: text + "\nX = 1\n")

        assert of("score") | {"cases", "reports"} <= planned
        assert not kinds(planned) & {"train", "predict", "prepare", "pack-weights"}

    def test_another_distance_scores_again(self, reruns):
        planned = reruns("params.yaml", swap("match_px: 3.0", "match_px: 5.0"))

        assert of("score") <= planned and not kinds(planned) & {"train", "predict", "pack-weights"}

    def test_a_column_makes_the_stages_that_write_it_run_again(self, monkeypatch):
        monkeypatch.setitem(SCHEMAS, "cost", SCHEMAS["cost"] | {"watts": "of the socket"})

        assert "watts" in plan.code("cost")["table cost"]
        assert not any("watts" in text for text in plan.code("train").values())

    def test_columns_of_every_table_that_a_stage_writes_are_known(self, checkout):
        for name, paths in checkout[3].items():
            stage = name.partition("@")[0].replace("-", "_")
            written = {Path(path).stem for path in paths if path.endswith(".csv")} & set(SCHEMAS)
            if stage == "score":  # copies what `train` wrote
                written -= {"history", "watched"}
            assert {f"table {kind}" for kind in written} <= set(plan.code(stage)), name
        assert {"table history", "table watched"} <= set(plan.code("train"))

    def test_a_plot_its_pages_alone(self, reruns, pages):
        def edit(text):
            return text + "\nX = 1\n"

        changed, every = pages("irstd/plots/efficiency.py", edit)

        assert reruns("irstd/plots/efficiency.py", edit) == {"reports"}
        assert "efficiency" in changed and not changed & {"ranking", "datasets", "metrics", "nuaa-sirst-conventions"}
        assert len(changed) < len(every) / 2

    def test_a_notebook_its_pages_alone(self, reruns, pages):
        edit = swap("from irstd.plots import style", "from irstd.plots import style  # and no more")
        assert reruns("notebooks/08_ranking.ipynb", edit) == {"reports"}
        assert pages("notebooks/08_ranking.ipynb", edit)[0] == {"ranking"}

    def test_a_source_of_datasets_asks_for_each_of_them_again(self, reruns):
        planned = reruns("irstd/data/catalogue.py", lambda text: text + "\nX = 1\n")

        assert {f"download@{d}" for d in GIVEN.datasets} <= planned

    def test_precision_and_device_are_part_of_a_run(self, reruns):
        assert self._trained(reruns("params.yaml", swap("precision: auto", "precision: bf16"))) == of("train")

    def test_how_often_checkpoints_are_written_is_not(self, reruns):
        assert reruns("params.yaml", swap("checkpoint_s: 20", "checkpoint_s: 60")) == set()

    def test_the_report_of_labels_is_of_its_study_whose_rows_share_a_recipe(self, tmp_path):
        names = GIVEN.studies["labelling"].methods
        for name in (*GIVEN.methods, *names):
            (tmp_path / "methods").mkdir(exist_ok=True)
            kind = "mask" if name in ("ggl_net", "point_regression_mask") else "point"
            (tmp_path / f"methods/{name}.json").write_text(json.dumps({"supervision": kind}))

        found = report_list._by_labels(GIVEN, tmp_path)

        assert [*found["clicks"], *found["masks"]] == list(names) and found["masks"] == ["point_regression_mask"]
        assert len({replace(GIVEN.recipe("nuaa-sirst", name), jitter=0.0) for name in names}) == 1

    def test_lists_that_cells_yaml_does_not_have_are_refused(self, checkout, monkeypatch):
        folder, *_ = checkout
        monkeypatch.chdir(folder)
        given = params.parse((folder / "params.yaml").read_text().replace("\nseeds: [0]", "\nseeds: [0, 1]"))

        with pytest.raises(InputError, match=r"cells.yaml is not what params.yaml asks for now; run `make cells`"):
            plan._check(given)

    def test_a_page_is_written_again_only_if_what_it_shows_changed(self, tmp_path):
        results = tmp_path / "results"
        shutil.copytree(RECORDED, results)
        known = report_list.reports(GIVEN, results)
        before = {name: reports.inputs(one, results) for name, one in known.items()}
        (results / "nuaa-sirst/scenes.csv").write_text("changed")
        after = {name: reports.inputs(one, results) for name, one in known.items()}

        changed = {name for name in known if before[name] != after[name]}
        assert {"nuaa-sirst", "nuaa-sirst-conventions", "index"} <= changed
        assert not changed & {"irstd-1k", "synthetic", "nudt-sirst-conventions"}

    def test_an_analysis_of_a_dataset_changes_no_page_of_another(self, tmp_path):
        results = tmp_path / "results"
        shutil.copytree(RECORDED, results)
        known = report_list.reports(GIVEN, results)
        before = {name: reports.inputs(one, results) for name, one in known.items()}
        (results / "analysis").mkdir(exist_ok=True)
        (results / "analysis/histories-nudt-sirst.csv").write_text("changed")
        after = {name: reports.inputs(one, results) for name, one in known.items()}

        changed = {name for name in known if before[name] != after[name]}
        assert {"nudt-sirst", "nudt-sirst-losses", "index"} <= changed
        assert not changed & {"irstd-1k", "synthetic", "nuaa-sirst-conventions"}

    def test_a_page_of_the_record_is_taken_only_if_it_is_whole_and_of_the_same(self, tmp_path, monkeypatch):
        record = tmp_path / "reports"
        (record / "tables/a").mkdir(parents=True)
        (record / "a.md").write_text("a page")
        (record / "tables/a/t.csv").write_text("x\n1\n")
        monkeypatch.setattr(reports, "RECORD", record)
        monkeypatch.setattr(reports, "STAMPS", record / "stamps.json")
        assert reports.recorded({"a": "of this"}) == set()
        stamp = {"made_of": "of this", "page": reports._page_digest(record, "a")}
        (record / "stamps.json").write_text(json.dumps({"a": stamp}))

        assert reports.recorded({"a": "of this", "b": "of this"}) == {"a"}
        assert reports.recorded({"a": "of that"}) == set()
        reports._take("a", tmp_path / "site")
        assert (tmp_path / "site/a.md").read_text() == "a page"
        assert (tmp_path / "site/tables/a/t.csv").read_text() == "x\n1\n"
        (record / "tables/a/t.csv").write_text("x\n2\n")
        assert reports.recorded({"a": "of this"}) == set()


def test_a_list_of_dvc_that_a_kill_cut_short_does_not_stop_the_quick_start(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(quickstart.time, "sleep", lambda _: None)
    quickstart.HELD.parent.mkdir(parents=True)

    for held, left in (('{"a": {}}', True), ("", False), ('{"a', False)):
        quickstart.HELD.write_text(held)
        quickstart.unlock()
        assert quickstart.HELD.exists() == left
    quickstart.unlock()


@pytest.mark.parametrize("there", [True, False])
def test_dvc_lock_is_as_before_also_when_the_quick_start_before_was_killed(tmp_path, monkeypatch, there):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    if there:
        quickstart.LOCK.write_text("as git has it")
    monkeypatch.setattr(quickstart, "repro", lambda *_: quickstart.LOCK.write_text("stages of here"))
    monkeypatch.setattr(quickstart, "untrained", lambda *_: [])
    monkeypatch.setattr(quickstart.reports, "main", lambda: None)

    for killed in (False, True, False):
        with monkeypatch.context() as patch:
            if killed:
                patch.setattr(quickstart, "put_back", lambda: None)
            quickstart.main()
        assert len(list(quickstart.BEFORE.glob("dvc.lock.before-*"))) == killed

    assert (quickstart.LOCK.read_text() == "as git has it") if there else not quickstart.LOCK.exists()
