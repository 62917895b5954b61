"""`irstd score`: what perfect, empty, full, shifted and resized predictions must give, and the report it writes."""

import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import irstd
from irstd.apps import cli
from irstd.data.prepared import Prepared
from irstd.metrics.conventions import CONVENTIONS
from irstd.results.store import read
from irstd.scoring import submission
from tests.conftest import RECORDED, ROOT

KINDS = {
    "perfect": lambda mask: mask,
    "empty": np.zeros_like,
    "ones": np.ones_like,
    "shifted": lambda mask: np.roll(mask, 2, 1),
}


def save(folder, masks, change=lambda mask: mask, suffix="_pred.png"):
    folder.mkdir(parents=True)
    for name, mask in masks.items():
        Image.fromarray(change(mask).astype(np.uint8) * 255).save(folder / f"{name}{suffix}")
    return folder


def scored(capsys, *words):
    cli.main(["score", *map(str, words)])
    return capsys.readouterr().out


@pytest.fixture
def masks():
    rng = np.random.default_rng(3)
    found = {}
    for number in range(8):
        mask = np.zeros((40, 50), bool)
        for row, col in rng.integers(8, 28, (number % 3 + 1, 2)):
            mask[row : row + 3, col : col + 4] = True
        found[f"scene_{number}"] = mask
    return found


class TestFolder:
    @pytest.fixture
    def truth(self, tmp_path, masks):
        return save(tmp_path / "truth", masks, suffix="_mask.png")

    def run(self, tmp_path, capsys, truth, folder, *words):
        out = scored(capsys, folder, "--truth", truth, "--out", tmp_path / "out", "--json", tmp_path / "s.json", *words)
        return out, json.loads((tmp_path / "s.json").read_text())

    def test_a_perfect_prediction_is_perfect_under_every_convention(self, tmp_path, capsys, masks, truth):
        _, scores = self.run(tmp_path, capsys, truth, save(tmp_path / "p", masks))

        assert list(scores) == list(CONVENTIONS)
        for name, one in scores.items():
            assert one["iou"] == 1
            assert one["pd"] in (1, None) and one["fa_per_million"] in (0, None), name
        assert scores["irstd"]["f1"] == scores["irstd"]["niou"] == 1 and scores["acm-niou"]["pd"] is None

    def test_an_empty_one_finds_nothing(self, tmp_path, capsys, masks, truth):
        _, scores = self.run(tmp_path, capsys, truth, save(tmp_path / "p", masks, np.zeros_like))

        assert {
            (s["pd"], s["fa_per_million"])
            for s in scores.values()
            if s["pd"] is not None and s["fa_per_million"] is not None
        } == {(0, 0)}
        assert scores["irstd"]["f1"] == 0

    def test_all_ones_cover_everything(self, tmp_path, capsys, masks, truth):
        _, scores = self.run(tmp_path, capsys, truth, save(tmp_path / "p", masks, np.ones_like), "--as-given")

        share = np.mean([mask.mean() for mask in masks.values()])
        assert scores["irstd"]["iou"] == pytest.approx(share)
        assert scores["istd-python-overlap"]["pd"] == 1 and scores["istd-python-overlap"]["fa_per_million"] == 1e6
        assert scores["rc-irstd-overlap"]["fa_per_million"] == pytest.approx(1e6 * (1 - share))

    def test_a_shift_of_two_pixels_costs_overlap_and_no_detection(self, tmp_path, capsys, masks, truth):
        _, scores = self.run(tmp_path, capsys, truth, save(tmp_path / "p", masks, KINDS["shifted"]))

        both = sum((m & np.roll(m, 2, 1)).sum() for m in masks.values())
        either = sum((m | np.roll(m, 2, 1)).sum() for m in masks.values())
        assert scores["irstd"]["iou"] == pytest.approx(both / either)
        assert (scores["irstd"]["pd"], scores["irstd"]["fa_per_million"]) == (1, 0)
        assert scores["irstd"]["distance_px"] == pytest.approx(2)

    def test_hiou_and_its_losses_add_up(self, tmp_path, capsys, masks, truth):
        self.run(tmp_path, capsys, truth, save(tmp_path / "p", masks, lambda mask: np.roll(mask, 1, 1)))
        one = json.loads((tmp_path / "out/scores.json").read_text())["hierarchy"]

        for level in ("localisation", "segmentation"):
            assert sum(v for k, v in one.items() if k.startswith(level)) == pytest.approx(1, abs=1e-5)
        assert one["hiou"] == pytest.approx(one["localisation_iou"] * one["segmentation_iou"], abs=1e-5)
        # Lone targets are 3 by 4 px: 9 of 15 px are common, 3 background, 3 missed; those that touch others are not.
        every = json.loads((tmp_path / "out/scores.json").read_text())
        assert every["target_iou"] == pytest.approx(one["segmentation_iou"], abs=1e-4)  # all are found
        assert "hierarchy_counting_empty" not in every  # no image is empty
        assert "Mean IoU of targets with the region that found them" in (tmp_path / "out/report.md").read_text()
        assert 0.5 < one["segmentation_iou"] < 0.7 and one["localisation_iou"] == 1
        assert "## What hIoU loses, and where" in (tmp_path / "out/report.md").read_text()

    def test_resized_ones_are_refused_or_stretched_when_asked(self, tmp_path, capsys, masks, truth):
        folder = save(tmp_path / "p", masks, lambda m: np.kron(m, np.ones((2, 2))))

        with pytest.raises(SystemExit, match=r"another size than the image in scene_0_pred.png \(100×80\)"):
            self.run(tmp_path, capsys, truth, folder)
        _, scores = self.run(tmp_path, capsys, truth, folder, "--fit")
        assert scores["irstd"]["iou"] == 1

    def test_a_missing_one_is_named_and_left_out_only_when_asked(self, tmp_path, capsys, masks, truth):
        folder = save(tmp_path / "p", masks)
        (folder / "scene_3_pred.png").unlink()

        with pytest.raises(SystemExit) as end:
            self.run(tmp_path, capsys, truth, folder)
        assert end.value.code == (
            "error: no prediction for scene_3; add them, or say with --missing nothing that nothing was found there, or go "
            "on without them with --skip missing"
        )
        out, scores = self.run(tmp_path, capsys, truth, folder, "--skip", "missing")
        assert "7 of 8 scenes of the masks in truth scored." in out and "Left out, missing: 1." in out
        assert scores["irstd"]["images"] == 7

    def test_the_report_has_everything(self, tmp_path, capsys, masks, truth):
        out, scores = self.run(tmp_path, capsys, truth, save(tmp_path / "mine", masks))

        assert "rc-irstd-centroid" in out and "point F1 % at 3 px: 100.00." in out
        assert {p.name for p in (tmp_path / "out").iterdir()} == {
            "conventions.csv",
            "sweep.csv",
            "scores.json",
            "report.md",
            "report.html",
        }
        assert len(read(tmp_path / "out/conventions.csv", "conventions")) == len(scores)
        page = (tmp_path / "out/report.html").read_text()
        assert "<h1" in page and "basicirstd" in page and 'src="http' not in page

    def test_grey_masks_are_taken_as_each_convention_takes_them(self, tmp_path, capsys, masks):
        grey = tmp_path / "grey"
        grey.mkdir()
        for name, mask in masks.items():
            levels = mask.astype(np.uint8) * 200
            levels[np.unravel_index(levels.argmax(), levels.shape)] = 255
            Image.fromarray(levels).save(grey / f"{name}.png")
        out, scores = self.run(tmp_path, capsys, grey, save(tmp_path / "p", masks))

        assert scores["pal"]["iou"] == 1 and scores["basicirstd"]["iou"] < 0.1
        assert "Some masks have grey pixels" in out

    def test_truths_that_hide_each_other_or_are_no_masks_are_refused(self, tmp_path, capsys, masks, truth):
        folder = save(tmp_path / "p", masks)
        Image.fromarray(np.zeros((40, 50), np.uint8)).save(truth / "scene_1.png")
        with pytest.raises(
            SystemExit, match=r"scene_1.png and scene_1_mask.png are both truth masks of 'scene_1'; keep one"
        ):
            self.run(tmp_path, capsys, truth, folder)
        (truth / "scene_1.png").unlink()
        np.save(truth / "scene_9.npy", np.full((4, 4), 100.0))
        with pytest.raises(SystemExit, match=r"most pixels are targets in scene_9.npy"):
            self.run(tmp_path, capsys, truth, folder)

    def test_a_mask_of_ones_among_others_is_a_mask(self, tmp_path, capsys, masks, truth):
        Image.fromarray(masks["scene_2"].astype(np.uint8)).save(truth / "scene_2_mask.png")
        _, scores = self.run(tmp_path, capsys, truth, save(tmp_path / "p", masks))

        assert scores["irstd"]["iou"] == 1

    def test_boxes_get_their_average_precision(self, tmp_path, capsys, masks, truth):
        found = []
        for name, mask in masks.items():
            for top, left, tall, wide in submission.regions(mask).boxes.tolist():
                found.append({"image_id": name, "bbox": [left, top, wide, tall], "score": 0.9})
        (tmp_path / "boxes.json").write_text(json.dumps(found))

        out, _ = self.run(tmp_path, capsys, truth, tmp_path / "boxes.json")
        assert "AP50 of boxes: 100.00 %; average precision of centres at 3 px: 100.00 %." in out

    @pytest.mark.parametrize("word", ["0", "-4", "x"])
    def test_a_side_that_is_none_is_refused(self, tmp_path, capsys, masks, truth, word):
        with pytest.raises(SystemExit):
            self.run(tmp_path, capsys, truth, save(tmp_path / "p", masks), "--size", word)
        err = capsys.readouterr().err
        assert "is no side in px" in err or "expected one argument" in err  # -4 looks like an option

    def points(self, tmp_path, masks, score):
        """Writes points.csv with every target's centre, and says how many there are."""
        rows = [f"{name},{r},{c},{score}" for name, m in masks.items() for r, c in submission.regions(m).centroids]
        (tmp_path / "points.csv").write_text("\n".join(["name,row,col,score", *rows]))
        return len(rows)

    def test_points_are_scored_without_a_map(self, tmp_path, capsys, masks, truth):
        self.points(tmp_path, masks, 0.9)

        out, scores = self.run(tmp_path, capsys, truth, tmp_path / "points.csv")

        assert scores["irstd"]["pd"] == 1 and scores["irstd"]["iou"] is None and "shooting-rule" not in scores
        assert "point F1 % at 5 px: 100.00." in out

    def test_points_below_a_threshold_do_not_count_which_is_said(self, tmp_path, capsys, masks, truth):
        many = self.points(tmp_path, masks, 0.3)

        out, scores = self.run(tmp_path, capsys, truth, tmp_path / "points.csv")
        lower, counted = self.run(tmp_path, capsys, truth, tmp_path / "points.csv", "--threshold", "0.2")

        assert f"Of {many} points, {many} score at most 0.5 and do not count; `--threshold` changes that." in out
        assert scores["irstd"]["pd"] == 0 and counted["irstd"]["pd"] == 1 and "do not count" not in lower

    def test_scoring_at_another_size_tells_what_is_lost(self, tmp_path, capsys, masks, truth):
        out, _ = self.run(tmp_path, capsys, truth, save(tmp_path / "p", masks), "--size", "16")

        assert "Scored at 16×16 px, where" in out and "3 px mean more" in out


def test_a_dataset_that_is_not_prepared_is_said(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    with pytest.raises(SystemExit, match="typo is not prepared; run `dvc repro prepare@typo`, or give --truth"):
        cli.main(["score", str(tmp_path), "--dataset", "typo", "--split", "x"])


def test_a_row_stands_beside_ours_and_published_ones():
    table = pd.DataFrame(
        [{"convention": "irstd", "iou": 0.5, "niou": 0.4, "pd": 0.9, "fa_per_million": 3.0, "f1": 0.8}]
    )

    rows = submission.formatted(submission.beside("mine", table, {"point_f1_3px": 0.7}, "nuaa-sirst", RECORDED))

    assert rows.iloc[0]["made by"] == "these predictions" and rows.iloc[0]["IoU %"] == "50.00"
    by = rows["made by"].str.split(",").str[0]
    assert {"this workbench"} < set(by) and by.str.startswith("published:").sum() > 20
    alcl = rows[(rows["method"] == "ALCL-Net") & rows["made by"].str.contains("contradicts itself")]
    assert set(zip(alcl["IoU %"], alcl["Fa ×1e-6"], strict=True)) == {("72.84", "17.01"), ("72.22", "35.06")}


@pytest.mark.real
@pytest.mark.parametrize(
    ("dataset", "split"), [("nuaa-sirst", "213-214"), ("nudt-sirst", "663-664"), ("irstd-1k", "800-201")]
)
def test_the_real_datasets_give_what_theory_says(real, dataset, split):
    prepared = Prepared(real(dataset))
    truth = submission.of_dataset(prepared.folder, split)
    masks = {name: truth.mask(name) > 0 for name in list(truth.sizes)[:60]}
    one = {}
    for kind, change in KINDS.items():
        given = submission.predictions.Given(maps={name: change(mask).astype(float) for name, mask in masks.items()})
        one[kind] = submission.as_json(submission.score(kind, truth, given).scored.conventions)

    ours = {kind: scores["irstd"] for kind, scores in one.items()}
    pixels, true = sum(m.size for m in masks.values()), sum(m.sum() for m in masks.values())
    assert (ours["perfect"]["iou"], ours["perfect"]["pd"], ours["perfect"]["fa_per_million"]) == (1, 1, 0)
    assert (ours["empty"]["iou"], ours["empty"]["pd"], ours["empty"]["fa_per_million"]) == (0, 0, 0)
    assert ours["ones"]["iou"] == pytest.approx(true / pixels) and one["ones"]["istd-python-overlap"]["pd"] == 1
    moved = {name: np.roll(mask, 2, 1) for name, mask in masks.items()}
    both, either = (sum(op(masks[n], moved[n]).sum() for n in masks) for op in (np.logical_and, np.logical_or))
    assert ours["shifted"]["pd"] > 0.98 and ours["shifted"]["iou"] == pytest.approx(both / either)


def test_an_empty_image_answered_rightly_costs_two_errors_as_pyirstdmetrics_counts():
    truth = np.zeros((2, 20, 20), bool)
    truth[0, 3:6, 3:6] = True

    found = irstd.score(truth, truth)

    assert found.summary["hierarchy"]["hiou"] == found.summary["target_iou"] == 1
    assert found.summary["hierarchy_counting_empty"]["hiou"] == pytest.approx(1 / 3, abs=1e-6)
    shown = found.pages["What hIoU loses, and where"]
    assert shown["hIoU %"].tolist() == ["100.00", "33.33"]
    assert shown["method"].tolist()[1].endswith(", empty images counted as PyIRSTDMetrics does")
