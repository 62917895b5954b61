"""Damaged records are refused where they are read, in one sentence that names the file."""

import json
import shutil
import subprocess

import numpy as np
import pytest

from irstd.errors import InputError
from irstd.inference.published import find, published
from irstd.metrics.conventions import ours
from irstd.metrics.levels import encode
from irstd.results import overlaid, reading, records, store, sums
from irstd.scoring.evaluation import evaluate
from tests.conftest import RECORDED, ROOT


@pytest.fixture
def results(tmp_path):
    """A few results that may be damaged."""
    folder = tmp_path / "results"
    for part in ("synthetic", "methods"):
        shutil.copytree(RECORDED / part, folder / part)
    return folder


def told(**changes):
    """Changes what a record says; "absent" takes a key out."""

    def change(text):
        values = json.loads(text) | changes
        return json.dumps({k: v for k, v in values.items() if v != "absent"})

    return change


def cell(column, value):
    """Changes a table's first value of a column."""

    def change(text):
        header, first, *rows = text.splitlines()
        values = first.split(",")
        values[header.split(",").index(column)] = value
        return "\n".join([header, ",".join(values), *rows, ""])

    return change


RUN = "synthetic/gaussian_pinwheel/0"
DAMAGE = {  # file, what is done to it, what is said
    "Pd 2": ("metrics.json", told(pd=2.0), "metrics.json is damaged: pd: input should be less than or equal to 1, but it is 2.0"),
    "no Pd": ("metrics.json", told(pd="absent"), "metrics.json is damaged: pd: field required"),
    "Pd that is no number": ("metrics.json", told(pd=float("nan")), "metrics.json is damaged: pd: input should be a finite number"),
    "another Pd": ("metrics.json", told(pd=0.123), "says pd 0.123, but per_image.csv gives"),
    "another IoU": ("metrics.json", told(iou=0.5), "says iou 0.5, but per_image.csv gives"),
    "images": ("metrics.json", told(images=47), "says 47 images, but per_image.csv has 48"),
    "an interval backwards": ("metrics.json", told(interval={"pd": [0.9, 0.1]}), "the interval of pd ends before it begins"),
    "half a record": ("metrics.json", lambda text: text[: len(text) // 2], "metrics.json is damaged ("),
    "no threshold": ("provenance.json", told(threshold="absent"), "provenance.json is damaged: threshold: field required"),
    "a threshold that is no number": ("provenance.json", told(threshold=float("nan")), "provenance.json is damaged: threshold: "),
    "an epoch beyond the last": ("provenance.json", told(best_epoch=9999), "epoch 9999 of "),
    "a word for a number": ("per_image.csv", cell("targets", "two"), "per_image.csv is damaged: targets in row 1, 'two', is no number"),
    "a negative count": ("per_image.csv", cell("false_pixels", "-3"), "per_image.csv is damaged: false_pixels in row 1, -3, is negative"),
    "infinity": ("per_image.csv", cell("pixels", "inf"), "pixels in row 1, inf, is no number"),
    "a share above 1": ("conventions.csv", cell("pd", "1.5"), "conventions.csv is damaged: pd in row 1, 1.5, is above 1"),
    "a number that is missing": ("per_image.csv", cell("targets", ""), "per_image.csv is damaged: targets in row 1 is empty"),
    "nan": ("history.csv", cell("loss", "nan"), "history.csv is damaged: loss in row 1 is empty"),
    "a scene twice": ("per_image.csv", lambda text: text.replace("test_0001,", "test_0000,", 1), "per_image.csv is damaged: it has test_0000 twice"),
    "a scene in place of another": ("per_image.csv", lambda text: text.replace("test_0000", "test_9999", 1), "per_target.csv has test_0000, which per_image.csv has not"),
    "a target found": ("per_target.csv", lambda text: text.replace(",0,,", ",1,,", 1), "per_target.csv and per_image.csv differ in detected of "),
    "a target less": ("per_target.csv", lambda text: text[: text[:-1].rindex("\n") + 1], "per_target.csv and per_image.csv differ in targets of "),
    "a convention's Pd": ("conventions.csv", cell("pd", "0.5"), "conventions.csv says pd 0.5 of "),
    "a convention's false alarms": ("conventions.csv", cell("false_pixels", "1"), "conventions.csv says fa_per_million "),
    "a convention's interval": ("conventions.csv", cell("iou_low", "0.99"), "conventions.csv: the interval of iou of "),
    "our own nIoU": ("conventions.csv", cell("niou", "0.5"), "conventions.csv says niou 0.5, but metrics.json 0.01"),
    "an area above 1": ("summary.json", told(roc_auc=1.5), "summary.json is damaged: roc_auc: input should be less than or equal to 1"),
    "a column less": ("history.csv", lambda text: text.replace("loss", "lost", 1), "history.csv is damaged (a history table lacks ['loss']"),
    "nothing": ("sweep.csv", lambda _: "", "sweep.csv is damaged (No columns"),
    "bytes": ("watched.csv", lambda _: "\x00\x01", "watched.csv is damaged ("),
}  # fmt: skip


def test_what_is_whole_is_read(results):
    records.check(results)


def test_a_run_that_found_nothing_is_whole(results, prepared):
    """Then there is no precision: it is null, and that is no damage. A null in place of a score is."""
    numbers = [8, 9, 10]
    nothing = {prepared.names[n]: encode(np.zeros(prepared.sizes[n], np.float32)) for n in numbers}
    found = evaluate(prepared, numbers, nothing, {}, ours(), 4)
    run = results / RUN
    for kind in ("per_image", "per_target"):
        store.write(getattr(found, kind), run / f"{kind}.csv", kind)
    for kind in ("conventions.csv", "summary.json"):  # of the run before
        (run / kind).unlink()
    made = json.loads((run / "provenance.json").read_text())
    store.write_json(made | {"scenes": made["scenes"] | {"test": len(numbers)}}, run / "provenance.json")
    metrics = {**found.metrics, "selection": "last"}
    store.write_json(metrics, run / "metrics.json")

    assert json.loads((run / "metrics.json").read_text())["precision"] is None and metrics["pd"] == 0
    records.check(results)
    store.write_json(metrics | {"pd": None}, run / "metrics.json")
    with pytest.raises(InputError, match=r"says pd nan, but per_image.csv gives 0"):
        records.check(results)


def test_the_record_is_whole():
    records.check(ROOT / "reports/results")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda run: (run / "history.csv").write_text("epoch\n"), "history.csv was changed"),
        (lambda run: (run / "summary.json").unlink(), "summary.json is missing"),
        (lambda run: shutil.copy(run / "history.csv", run / "more.csv"), "more.csv was added"),
    ],
)
def test_the_record_is_as_it_was_published_or_nothing_is_read(results, change, words):
    """A number that no sum gives away is changed: `SHA256SUMS` gives it away."""
    sums.write(results)
    assert overlaid.overlay([results, results / "none"]) == results
    change(results / RUN)

    with pytest.raises(InputError) as error:
        overlaid.overlay([results, results / "none"])

    assert words in str(error.value) and "results enter the record by `make publish` alone" in str(error.value)


def test_the_sums_are_those_of_the_record_and_what_coreutils_reads():
    sums.check(ROOT / "reports/results")
    assert (ROOT / "reports/results" / sums.NAME).exists()
    command = shutil.which("sha256sum")
    if command is None:
        pytest.skip("there is no `sha256sum` here")
    done = subprocess.run([command, "--check", "--quiet", sums.NAME], cwd=ROOT / "reports/results", check=False)
    assert done.returncode == 0


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_refused_in_a_sentence(results, name):
    file, change, sentence = DAMAGE[name]
    path = results / RUN / file
    path.write_text(change(path.read_text()))

    with pytest.raises(InputError) as error:
        records.check(results)

    assert sentence in str(error.value) and str(path.parent) in str(error.value)


@pytest.mark.parametrize(
    "name", ["per_image.csv", "per_target.csv", "history.csv", "watched.csv", "conventions.csv", "provenance.json", "metrics.json"]
)  # fmt: skip
def test_a_file_that_is_missing_is_named(results, name):
    (results / RUN / name).unlink()

    with pytest.raises(InputError, match=f"{name} is missing; take it from git again"):
        records.check(results)


def test_a_card_that_is_missing_is_named(results):
    (results / "methods/gaussian_pinwheel.json").unlink()

    with pytest.raises(InputError, match=r"gaussian_pinwheel.json is missing"):
        records.check(results)


def test_scores_are_read_as_numbers(results):
    """Also where another table has a column of words of the same name."""
    for kind in ("conventions", "sweep"):
        table = store.read(results / RUN / f"{kind}.csv", kind)
        words = {column for column in table if table[column].dtype.kind not in "fiub"}
        assert words <= {"convention", "pixel_f_measure"}, words  # the latter is empty, it came later


def test_scenes_are_checked(results):
    path = results / "synthetic/scenes.csv"
    path.write_text(cell("height", "nan?")(path.read_text()))

    with pytest.raises(InputError, match="height in row 1, 'nan\\?', is no number"):
        store.read(path, "scenes")


def test_tables_of_cells_refuse_it_as_well(results):
    path = results / RUN / "metrics.json"
    path.write_text(told(pd=2.0)(path.read_text()))

    with pytest.raises(InputError, match=r"metrics.json is damaged: pd"):
        reading.cells(results)


def test_weights_that_differ_from_their_card_are_refused(tmp_path):
    source = ROOT / "reports/weights/nuaa-sirst"
    (tmp_path / "nuaa-sirst").mkdir()
    for path in source.glob("point_regression.*"):
        shutil.copyfile(path, tmp_path / "nuaa-sirst" / path.name)
    known = published(tmp_path)
    assert find("nuaa-sirst/point_regression", known).is_file()
    path = tmp_path / "nuaa-sirst/point_regression.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"\x00")

    with pytest.raises(InputError, match=r"is not what its card, point_regression.md, says"):
        find("nuaa-sirst/point_regression", known)
