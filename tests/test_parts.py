"""Unions of datasets: made of their parts, split as these are, and scored part by part."""

import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from irstd.analysis.cases import paint
from irstd.config.params import Scenes
from irstd.data import catalogue, download, prepare, raw, synthetic
from irstd.data.catalogue import Entry
from irstd.data.prepared import Prepared
from irstd.errors import InputError
from irstd.formats import predictions
from irstd.scoring import submission
from irstd.tables.parts import by_part
from tests.conftest import ROOT

SPLITS = {"nuaa-sirst": "213-214", "nudt-sirst": "663-664", "irstd-1k": "800-201"}


def test_sirst3_has_the_scenes_and_roles_of_its_three_parts():
    union = catalogue.manifest("sirst3")
    entry = catalogue.get("sirst3")

    assert catalogue.split_sizes("sirst3") == {"1676-1079": {"train": 1676, "test": 1079}}
    assert len(union) == entry.images == 2755 and entry.parts == SPLITS
    assert entry.targets == sum(catalogue.get(part).targets for part in SPLITS)
    for part, split in SPLITS.items():
        for scene, row in catalogue.manifest(part).items():
            assert union[scene] == {"image": row["image"], "mask": row["mask"], "1676-1079": row[split]}


@pytest.fixture
def union(tmp_path, monkeypatch):
    """A union `both` of two drawn datasets in a mirror, and how to obtain it."""
    parts, rows = ("one", "two"), {}
    for number, part in enumerate(parts):
        settings = Scenes(number, 2, 2, 48, (1, 2), (5.0, 9.0), (0.8, 1.5))
        roles = synthetic.write(settings, tmp_path / part)
        for kind in ("images", "masks"):
            for path in (tmp_path / part / kind).iterdir():
                path.rename(path.with_name(f"{part}_{path.name}"))
        files = raw.pairs(tmp_path / part)
        rows[part] = {
            scene: {
                "image": raw.digest(raw.decode(image)),
                "mask": raw.digest(raw.decode(mask)),
                "2-2": roles[scene.removeprefix(f"{part}_")]["made"],
            }
            for scene, (image, mask) in files.items()
        }
        shutil.make_archive(str(tmp_path / part), "zip", tmp_path / part)
        entry = Entry(
            name=part, title=part, archive=f"{part}.zip", images=4, targets=None, sizes="", licence="", cite="",
            splits={"2-2": "us"}, quirks=(),
        )  # fmt: skip
        monkeypatch.setitem(catalogue.ENTRIES, part, entry)
    both = replace(entry, name="both", archive="", splits={"4-4": "us"}, parts=dict.fromkeys(parts, "2-2"))
    monkeypatch.setitem(catalogue.ENTRIES, "both", both)
    real = catalogue.manifest.__wrapped__
    monkeypatch.setattr(catalogue, "manifest", lambda name: rows.get(name) or real(name))

    def obtain():
        return download.obtain("both", tmp_path / "raw/both", tmp_path / "archives", mirror=str(tmp_path))

    return obtain


def test_a_union_is_made_of_its_parts_and_knows_which_is_which(union, tmp_path):
    assert union() == "one: the mirror; two: the mirror"
    prepare.prepare(tmp_path / "raw/both", tmp_path / "both")

    prepared = Prepared(tmp_path / "both")
    assert prepared.parts == {name: name.partition("_")[0] for name in prepared.names} and len(prepared.names) == 8
    roles = prepared.roles("4-4", 0.0)
    assert {role: len(found) for role, found in roles.items()} == {"train": 4, "validation": 0, "test": 4}
    assert sorted(p.name for p in (tmp_path / "raw/both").iterdir()) == [
        "images", "masks", "parts.csv", "source.json", "splits.csv",
    ]  # fmt: skip


def test_a_part_that_cannot_be_had_is_named_and_leaves_no_union(union, tmp_path):
    (tmp_path / "two.zip").unlink()

    with pytest.raises(InputError, match=r"^two could not be had \(the mirror: two\.zip is not in the folder"):
        union()

    assert not (tmp_path / "raw/both").exists()


def counts(**changed):
    row = {
        "name": "a", "pixels": 1_000_000, "intersection": 6, "predicted": 8, "true": 10, "targets": 2, "detected": 1,
        "regions": 2, "false_regions": 1, "false_pixels": 3, "hits_5px": 1,
    }  # fmt: skip
    return row | changed


def test_scores_of_a_part_are_of_its_images_alone():
    """By hand: a and b pooled IoU 6/12 and (6 + 10)/(12 + 10), Pd 1/2 and 3/4; c has nothing right."""
    table = pd.DataFrame(
        [
            counts(),
            counts(name="c", intersection=0, detected=0, hits_5px=0, false_regions=2, false_pixels=8),
            counts(name="b", intersection=10, predicted=10, detected=2, false_regions=0, false_pixels=0, hits_5px=2),
        ]
    )

    shown = by_part(table, {"a": "one", "b": "one", "c": "two"}).set_index("part")

    assert list(shown.index) == ["one", "two"] and shown["images"].tolist() == [2, 1]
    assert shown.loc["one", "IoU %"].startswith("72.73 [") and shown.loc["two", "IoU %"].startswith("0.00")
    assert shown.loc["one", "Pd %"].startswith("75.00 [") and shown["Fa ×1e-6"].tolist() == ["1.50", "8.00"]
    assert shown.loc["one", "point F1 % at 5 px"].startswith("75.00 [")


def test_a_method_without_maps_has_no_overlap_in_any_part():
    shown = by_part(pd.DataFrame([counts(intersection=None, predicted=None, false_pixels=None)]), {"a": "one"})

    assert shown.loc[0, ["IoU %", "Fa ×1e-6"]].tolist() == ["–", "–"] and shown.loc[0, "Pd %"].startswith("50.00")


@pytest.mark.parametrize("points", [False, True])
def test_predictions_for_a_union_are_scored_part_by_part(points):
    mask = paint(((4, 4, 3, 3), (15, 9, 2, 2)))
    truth = submission.Truth(
        "both", dict.fromkeys("ab", mask.shape), lambda _: mask * np.uint8(255), parts={"a": "one", "b": "two"}
    )
    found = {"a": np.array([[5.0, 5.0, 0.9], [15.5, 9.5, 0.9]]), "b": np.array([[5.0, 5.0, 0.9]])}
    maps = {"a": mask.astype(np.float32), "b": paint(((4, 4, 3, 3),)).astype(np.float32)}
    given = predictions.Given(points=found) if points else predictions.Given(maps=maps)

    shown = submission.score("mine", truth, given).pages["Each part, under our convention"].set_index("part")

    assert [text.split(" ")[0] for text in shown["Pd %"]] == ["100.00", "50.00"]
    assert [text.split(" ")[0] for text in shown["IoU %"]] == (["–", "–"] if points else ["100.00", "69.23"])


@pytest.mark.slow
@pytest.mark.real
def test_sirst3_from_the_mirror_is_its_parts_pixel_by_pixel(real):
    assert (ROOT / "params.yaml").read_text().count("split: 1676-1079") == 1
    union = Prepared(real("sirst3"))
    place = {name: number for number, name in enumerate(union.names)}

    assert (len(union.names), sum(map(len, union.points))) == (2755, 3888)
    for part in SPLITS:
        alone = Prepared(real(part))
        assert {name for name, of in union.parts.items() if of == part} == set(alone.names)
        for number, name in enumerate(alone.names[::7]):
            here = place[name]
            assert np.array_equal(union.image(here), alone.image(7 * number))
            assert np.array_equal(union.mask(here), alone.mask(7 * number))
