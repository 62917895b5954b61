"""hIoU and its error analysis, against an independent slow reference and by hand."""

import numpy as np
import pytest

from irstd.analysis.cases import paint
from irstd.metrics.hierarchical import Hierarchy, hierarchy
from tests.reference import hierarchical as reference


def scene(rng, size=28):
    """Up to five targets and regions each, often merged, split, shifted or missing."""
    pictures = []
    for _ in range(2):
        picture = np.zeros((size, size), bool)
        for row, col in rng.integers(1, size - 6, (rng.integers(0, 6), 2)):
            height, width = rng.integers(1, 6, 2)
            picture[row : row + height, col : col + width] = True
        pictures.append(picture)
    mask, other = pictures
    if rng.random() < 0.7:  # else nothing would overlap
        other = np.roll(mask, rng.integers(-2, 3, 2), (0, 1)) & (rng.random(mask.shape) < 0.9)
        other &= np.cumsum(rng.random(size) < 0.05) % 2 == 0
    return mask, other


def pooled(scenes):
    return sum((hierarchy(*one) for one in scenes), Hierarchy())


def small(scenes):
    """Those whose pairings can all be tried."""
    return [one for one in scenes if max(len(reference.parts(picture)) for picture in one) <= 7]


@pytest.mark.parametrize("seed", range(4))
def test_all_shares_agree_with_the_reference(seed):
    rng = np.random.default_rng(seed)
    merged = paint(((4, 4, 2, 2), (4, 7, 2, 2))), paint(((4, 4, 2, 5),))
    scenes = small([merged, *(scene(rng) for _ in range(120))])

    found = pooled(scenes).scores(counts_empty=True)
    expected = reference.scores(scenes)
    assert len(scenes) > 60 and set(found) == set(expected)
    assert found == pytest.approx(expected, abs=1e-9)
    assert min(found.values()) > 0  # every kind of error is among them


def test_each_level_and_what_it_loses_add_up_to_one(rng):
    found = pooled([scene(rng) for _ in range(60)]).scores()
    for level in ("segmentation", "localisation"):
        assert sum(v for k, v in found.items() if k.startswith(level)) == pytest.approx(1)
    assert found["hiou"] == pytest.approx(found["segmentation_iou"] * found["localisation_iou"])


def test_by_hand():
    mask = paint(((4, 4, 2, 2), (15, 15, 2, 2)))
    predicted = paint(((4, 4, 2, 3), (10, 4, 1, 1)))  # the first and two pixels more, one far off, the second missed

    found = hierarchy(mask, predicted).scores()
    assert found["segmentation_iou"] == pytest.approx(4 / 6) and found["segmentation_interference"] == pytest.approx(
        2 / 6
    )
    assert [found[f"localisation_{k}"] for k in ("iou", "interference", "perception")] == pytest.approx([1 / 3] * 3)
    assert found["hiou"] == pytest.approx(2 / 9)


def test_an_empty_image_counts_against_a_right_answer_only_with_the_fault():
    mask = paint(((4, 4, 2, 2),))
    both = hierarchy(mask, mask) + hierarchy(np.zeros_like(mask), np.zeros_like(mask))

    assert both.scores()["hiou"] == 1
    assert both.scores(counts_empty=True)["hiou"] == pytest.approx(1 / 3)
    assert np.isnan(hierarchy(np.zeros_like(mask), np.zeros_like(mask)).scores()["hiou"])
    assert hierarchy(mask, np.zeros_like(mask)).scores()["hiou"] == 0
