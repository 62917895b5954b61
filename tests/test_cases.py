"""What people have on disk, from public reports: each gives the right value, or a refusal that names the reason.

Four scenes by hand: an exact hit; one of two targets found; no target but a false one of 2×2 px; a hit one column off.
IoU 24/43, Pd 3/4, Fa 4/12288.
"""

import json
import struct
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image
from scipy import io

from irstd.errors import InputError
from irstd.formats.predictions import Reading, read
from irstd.inference import sources
from irstd.scoring import submission

H, W = 48, 64


def square(row, col, side=3):
    mask = np.zeros((H, W), np.uint8)
    mask[row : row + side, col : col + side] = 1
    return mask


NONE = np.zeros((H, W), np.uint8)
TRUTH = {"Misc_1": square(10, 10), "Misc_2": square(5, 5) | square(30, 40), "Misc_3": NONE, "Misc_4": square(20, 20)}
PRED = {"Misc_1": square(10, 10), "Misc_2": square(5, 5), "Misc_3": square(40, 50, 2), "Misc_4": square(20, 21)}
POINTS = [("Misc_1", 11, 11, 0.9), ("Misc_2", 6, 6, 0.8), ("Misc_3", 40, 50, 0.7), ("Misc_4", 21, 22, 0.6)]


def png(suffix="", ext="png", k=255):
    return lambda d, n, m: Image.fromarray((m * k).astype(np.uint8)).save(d / f"{n}{suffix}.{ext}")


def npy(change):
    return lambda d, n, m: np.save(d / f"{n}.npy", change(m))


def tif(change):
    return lambda d, n, m: tifffile.imwrite(d / f"{n}.tif", change(m))


PNG = png()
EXACT = png(k=1)


def put(folder, maps, write=PNG):
    folder.mkdir(parents=True, exist_ok=True)
    for name, mask in maps.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        write(folder, name, mask)
    return folder


def judged(pred: Path, truth: Path, images=None, **how):
    """IoU, Pd and the whole report."""
    known = submission.of_folder(truth, images)
    found = read(pred, known.sizes, Reading(loose=known.loose, **how))
    found.refuse()
    report = submission.score("x", known, found, points_above=how.get("threshold") or 0.5)
    row = submission.as_json(report.scored.conventions)["irstd"]
    return row["iou"], row["pd"], report


RIGHT = (pytest.approx(24 / 43), 0.75)


@pytest.fixture
def truth(tmp_path):
    return put(tmp_path / "truth", TRUTH)


def mat(d, n, m):
    io.savemat(d / f"{n}.mat", {"T": m * 0.8 + 0.1})


def mat73(d, n, m):
    import h5py

    with h5py.File(d / f"{n}.mat", "w", userblock_size=512) as file:
        file["T"] = (m * 0.8 + 0.1).T
    content = bytearray((d / f"{n}.mat").read_bytes())
    content[:32] = b"MATLAB 7.3 MAT-file, by a test  "
    (d / f"{n}.mat").write_bytes(content)


def npz(d, n, m):
    np.savez(d / f"{n}.npz", score=m * 0.8 + 0.1, epoch=3)


@pytest.mark.parametrize(
    ("write", "how"),
    [
        (mat, {}), (mat73, {}), (npz, {}),  # 01
        (npy(lambda m: (m * 0.8 + 0.1).astype(np.float32)[None, None]), {}),  # 02
        (npy(lambda m: m[..., None] * 0.9), {}),
        (npy(lambda m: np.stack([1 - m, m]).astype(np.float32)), {}),
        (tif(lambda m: m * 0.8 + 0.1), {}), (tif(lambda m: (m * 0.8).astype(np.float16)), {}),  # 03
        (tif(lambda m: np.stack([1 - m * 0.9, m * 0.9])), {}),
        (png("_Pred"), {}), (png("_PRED", "PNG"), {}), (png("-sigmoid", "webp"), {}),  # 06
        (png(k=60), {"threshold": 0.2}),  # 09
        (tif(lambda m: (m * 150 + 20).astype(np.float32)), {"stretch": "range"}),  # 10
        (tif(lambda m: (m * 150 + 20).astype(np.float32)), {"stretch": "max"}),
        (npy(lambda m: np.where(m > 0, np.float32(1.0000001), np.float32(-1e-7))), {}),
        (npy(lambda m: m * 8.0 - 4), {"logits": True}),
    ],
)  # fmt: skip
def test_score_maps_of_any_file_are_read(tmp_path, truth, write, how):
    assert judged(put(tmp_path / "p", PRED, write), truth, **how)[:2] == RIGHT


def test_truth_may_be_of_any_file_too(tmp_path):
    pred = put(tmp_path / "p", PRED)
    for number, write in enumerate((mat, npz, png("_GT"), png("_pixels0", "bmp"), png("_Mask", "tif"))):
        assert judged(pred, put(tmp_path / f"t{number}", TRUTH, write))[:2] == RIGHT


def test_a_stack_of_scenes_is_refused_with_its_shape(tmp_path, truth):
    (tmp_path / "stack").mkdir()
    np.save(tmp_path / "stack/preds.npy", np.stack(list(PRED.values())).astype(np.float32))

    with pytest.raises(InputError, match=r"preds.npy is an array of shape \(4, 48, 64\), several maps in one"):
        judged(tmp_path / "stack", truth)


def test_an_archive_of_maps_named_after_scenes_is_read(tmp_path, truth):
    np.savez(tmp_path / "scores.npz", **{n: m * 0.9 for n, m in PRED.items()})

    assert judged(tmp_path / "scores.npz", truth)[:2] == RIGHT


def test_an_archive_with_several_arrays_asks_for_the_key(tmp_path, truth):
    folder = put(tmp_path / "p", PRED, lambda d, n, m: np.savez(d / f"{n}.npz", D=m * 0.0, T=m * 0.9))

    with pytest.raises(InputError, match=r"it holds D, T; say which is meant with --key"):
        judged(folder, truth)
    assert judged(folder, truth, key="T")[:2] == RIGHT


def test_predictions_and_truth_may_lie_in_one_folder(tmp_path, truth):
    folder = put(put(tmp_path / "both", PRED, png("_Pred")), TRUTH, png("_GT"))

    iou, pd, report = judged(folder, truth)
    assert (iou, pd) == RIGHT and "Not read in both: 4 truth masks that lie beside predictions." in report.words
    assert judged(folder, folder)[:2] == RIGHT


def labels(folder):
    folder.mkdir()
    for name, row, col, score in POINTS:
        line = f"0 {(col + 0.5) / W:.6f} {(row + 0.5) / H:.6f} {3 / W:.6f} {3 / H:.6f} {score}\n"
        (folder / f"{name}.txt").write_text(line)
    return folder


def test_yolo_text_is_read_as_predictions_and_as_truth(tmp_path, truth):
    iou, pd, report = judged(labels(tmp_path / "labels"), truth)

    assert (iou, pd) == (None, 0.75) and any("AP50 of boxes: 68.75 %" in word for word in report.words)
    with pytest.raises(InputError, match="give the pictures with --images FOLDER"):
        judged(truth, tmp_path / "labels")
    _, _, report = judged(put(tmp_path / "p", PRED), tmp_path / "labels", images=truth)
    assert "Truth of 4 boxes, filled: overlap (IoU) is with these." in report.words


def test_an_option_without_effect_is_an_error_and_weak_scores_are_told(tmp_path, truth):
    weak = put(
        tmp_path / "weak", PRED, lambda d, n, m: Image.fromarray(m * np.uint8(60) + np.uint8(20)).save(d / f"{n}.png")
    )

    _, pd, report = judged(weak, truth)
    assert pd == 0 and any(word.startswith("No score exceeds 0.5: the highest is 0.314") for word in report.words)
    assert judged(weak, truth, threshold=0.2)[:2] == RIGHT
    with pytest.raises(InputError, match=r"--stretch is for score maps, and labels has points or boxes; leave it out"):
        judged(labels(tmp_path / "labels"), truth, stretch="max")


def test_frames_of_sequences_are_named_by_their_paths(tmp_path):
    names = dict(zip(TRUTH, ("seq1/0001", "seq1/0002", "seq2/0001", "seq2/0002"), strict=True))
    truth = put(tmp_path / "truth", {names[n]: m for n, m in TRUTH.items()})
    pred = put(tmp_path / "pred", {names[n]: m for n, m in PRED.items()})

    assert judged(pred, truth)[:2] == RIGHT
    (tmp_path / "p.csv").write_text("name,row,col\n" + "".join(f"{names[n]}.png,{r},{c}\n" for n, r, c, _ in POINTS))
    assert judged(tmp_path / "p.csv", truth)[1] == 0.75
    (tmp_path / "bad.csv").write_text("name,row,col\n0001,3,4\n")
    with pytest.raises(InputError, match=r"'0001' may be 'seq1/0001' or 'seq2/0001'; give the path"):
        judged(tmp_path / "bad.csv", truth)


def test_missing_may_mean_that_nothing_was_found(tmp_path, truth):
    pred = put(tmp_path / "p", {n: m for n, m in PRED.items() if n != "Misc_2"})
    known = submission.of_folder(truth)
    found = read(pred, known.sizes)

    with pytest.raises(
        InputError, match=r"or say with --missing nothing that nothing was found there, or go on without"
    ):
        found.refuse()
    found.take_missing_as_nothing(known.sizes)
    row = submission.as_json(submission.score("x", known, found).scored.conventions)["irstd"]
    assert (row["iou"], row["pd"]) == (pytest.approx(15 / 43), 0.5)


def test_skipping_is_offered_only_where_other_names_match(tmp_path, truth):
    with pytest.raises(InputError) as error:
        judged(put(tmp_path / "p", {"a": NONE, "b": NONE}), truth)
    assert "--skip" not in str(error.value) and "no prediction of any scene but a.png, b.png" in str(error.value)


def table(separator):
    return "".join(separator.join(map(str, point)) + "\n" for point in POINTS)


CORNERS = "".join(f"{n}.png,{c - 1},{r - 1},{c + 2},{r + 2},{s}\n" for n, r, c, s in POINTS)
COCO = [{"image_id": n, "bbox": [c - 1, r - 1, 3, 3], "score": s} for n, r, c, s in POINTS]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("tab.csv", ("name\trow\tcol\tscore\n" + table("\t")).encode()),
        ("comma.csv", ("name;row;col;score\n" + table(";").replace(".", ",")).encode()),
        ("corners.csv", ("image,xmin,ymin,xmax,ymax,confidence\n" + CORNERS).encode()),
        ("mark.csv", ("name,row,col,score\n" + table(",")).encode("utf-8-sig")),
        ("wide.csv", ("name,row,col,score\r\n" + table(",").replace("\n", "\r\n")).encode("utf-16")),
        ("mark.json", json.dumps(COCO).encode("utf-8-sig")),
        ("wide.json", json.dumps(COCO).encode("utf-16")),
    ],
)
def test_tables_and_json_of_other_programs_are_read(tmp_path, truth, name, content):
    (tmp_path / name).write_bytes(content)

    assert judged(tmp_path / name, truth)[1] == 0.75


def test_other_encodings_and_decimal_commas_between_commas_are_refused(tmp_path, truth):
    (tmp_path / "gbk.csv").write_bytes(("name,row,col,score,备注\n" + table(",")).encode("gbk"))
    with pytest.raises(InputError, match=r"gbk.csv is not UTF-8; save it as CSV UTF-8"):
        judged(tmp_path / "gbk.csv", truth)
    (tmp_path / "c.csv").write_text("name,row,col,score\nMisc_1,11,11,0,9\n")
    with pytest.raises(InputError, match="line 2 has 5 columns, the header 4; a decimal comma needs semicolons"):
        judged(tmp_path / "c.csv", truth)


def test_numbers_of_images_need_their_names(tmp_path, truth):
    listed = [{"image_id": number, "bbox": one["bbox"], "score": one["score"]} for number, one in enumerate(COCO)]
    (tmp_path / "d.json").write_text(json.dumps(listed))
    images = {"images": [{"id": n, "file_name": f"{one['image_id']}.png"} for n, one in enumerate(COCO)]}
    (tmp_path / "annotations.json").write_text(json.dumps(images))

    with pytest.raises(InputError, match=r"image_id 0 is a number without a name; .* --coco-images annotations.json"):
        judged(tmp_path / "d.json", truth)
    known = submission.of_folder(truth)
    found = read(tmp_path / "d.json", known.sizes, Reading(images=tmp_path / "annotations.json"))
    assert {name: len(points) for name, points in found.points.items()} == dict.fromkeys(TRUTH, 1)


def test_jpeg_masks_have_their_targets_under_every_convention(tmp_path):
    jpeg = put(
        tmp_path / "t", TRUTH, lambda d, n, m: Image.fromarray(m * np.uint8(255)).save(d / f"{n}.jpg", quality=75)
    )

    iou, pd, report = judged(put(tmp_path / "p", PRED), jpeg)
    assert (iou, pd) == RIGHT and "4 masks are JPEG or alike: pixels above 127 are targets" in report.words
    counted = {r["targets"] for r in submission.as_json(report.scored.conventions).values() if r["targets"]}
    assert counted <= {4, 5}  # five: where the scene without a target counts as one


def test_soft_masks_count_above_one_half_and_larger_ones_are_cut(tmp_path):
    soft = {n: m * np.uint8(255) for n, m in TRUTH.items()}
    soft["Misc_1"][9, 10:13], soft["Misc_4"][20, 20] = 64, 114
    pred = put(tmp_path / "p", PRED)

    assert judged(pred, put(tmp_path / "soft", soft, png(k=1)))[:2] == (pytest.approx(24 / 42), 0.75)
    larger = put(tmp_path / "larger", {n: np.pad(m, ((0, 1), (0, 1))) for n, m in TRUTH.items()})
    assert judged(pred, larger)[:2] == RIGHT and judged(pred, larger, fit=True)[:2] == RIGHT


# One's own dataset: 12 scenes of 64×64 px with one target of 3×3 px each, six to train and six to test.
NAMES = [f"s{number:02d}" for number in range(12)]
MASKS = {name: np.zeros((64, 64), np.uint8) for name in NAMES}
for _number, _name in enumerate(NAMES):
    MASKS[_name][4 + 4 * _number : 7 + 4 * _number, 5 + 4 * _number : 8 + 4 * _number] = 1
_rng = np.random.default_rng(0)
SCENES = {n: np.where(m > 0, 230, _rng.normal(80, 8, m.shape).clip(0, 255)).astype(np.uint8) for n, m in MASKS.items()}
TRAIN, TEST = "\n".join(NAMES[:6]) + "\n", "\n".join(NAMES[6:]) + "\n"


def scene():
    grey = np.random.default_rng(1).normal(100, 3, (96, 128))
    rows, cols = np.mgrid[:96, :128]
    for row, col in ((30, 40), (60, 90)):
        grey += 60 * np.exp(-((rows - row) ** 2 + (cols - col) ** 2) / (2 * 1.3**2))
    return grey


def test_pictures_of_every_kind_in_a_folder_are_taken_and_others_counted(tmp_path):
    grey = scene()
    eight = grey.clip(0, 255).astype(np.uint8)
    Image.fromarray(eight).save(tmp_path / "a.png")
    (tmp_path / "b.pgm").write_bytes(b"P5\n128 96\n65535\n" + (grey * 40).astype(">u2").tobytes())
    Image.fromarray(eight).save(tmp_path / "c.gif")
    Image.fromarray(eight).save(tmp_path / "d.webp", lossless=True)
    tifffile.imwrite(tmp_path / "e.tif", grey / 10 + 280)
    (tmp_path / "notes.md").touch()

    found = sources.find([tmp_path])

    assert list(found.names.values()) == ["a", "b", "c", "d", "e"] and found.notes == [
        f"Not read in {tmp_path.name}: 1 .md."
    ]
    read_all = [sources.read(path).grey for path in found.names]
    assert (read_all[0] == read_all[2]).all() and (read_all[0] == read_all[3]).all()
    for one in read_all:
        assert one[30, 40] > 200 or one[30, 40] > one.mean() + 40


def test_a_radiometric_jpeg_is_said_to_be_read_as_its_preview(tmp_path):
    eight, raw_levels = scene().clip(0, 255).astype(np.uint8), (scene() * 40).astype(np.uint16)
    inner, outer = BytesIO(), BytesIO()
    Image.fromarray(raw_levels).save(inner, "PNG")
    Image.fromarray(eight).save(outer, "JPEG")
    segment = b"FLIR\0\1\0\0FFF\0" + inner.getvalue()
    jpeg = outer.getvalue()
    (tmp_path / "flir.jpg").write_bytes(
        jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + jpeg[2:]
    )

    assert "preview of a radiometric JPEG" in sources.read(tmp_path / "flir.jpg").note
    (tmp_path / "plain.jpg").write_bytes(jpeg)
    assert sources.read(tmp_path / "plain.jpg").note == ""


def test_sizes_are_checked_before_anything_is_decoded(tmp_path, truth):
    header = np.lib.format.magic(1, 0)
    text = b"{'descr': '<f8', 'fortran_order': False, 'shape': (200000, 200000), }"
    text += b" " * (118 - len(text) - 1) + b"\n"
    (tmp_path / "p").mkdir()
    (tmp_path / "p/Misc_1.npy").write_bytes(header + struct.pack("<H", len(text)) + text)
    Image.new("1", (20000, 20000)).save(tmp_path / "p/Misc_2.png")

    with pytest.raises(InputError, match=r"not readable: Misc_1.npy \(.*\), Misc_2.png \(more than 134,217,728 px"):
        judged(tmp_path / "p", truth)
