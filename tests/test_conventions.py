"""Each convention against a slow reference, on the ten drawn cases, and by what it promises."""

from dataclasses import astuple, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from irstd.analysis import cases
from irstd.metrics.conventions import CONVENTIONS, ours
from irstd.metrics.counts import Counts, Pair, count, niou, pool
from irstd.metrics.levels import TOP, encode
from tests.reference import conventions as reference

NAMES = list(CONVENTIONS)


def pair(grey, levels):
    return Pair(grey > 127, levels, white=grey == 255, visible=grey > 0)


def random_scene(rng, size=18):
    """Up to four targets and up to six regions, often near each other, often at the border, sometimes grey."""
    grey, score = np.zeros((size, size), np.uint8), np.zeros((size, size))
    places = rng.integers(0, size, (rng.integers(0, 5), 2))
    for row, col in places:
        tall, wide = rng.integers(1, 6, 2)
        grey[row : row + tall, col : col + wide] = rng.choice([255, 255, 255, 200, 100])
        if rng.random() < 0.8:
            down, right = rng.integers(-3, 4, 2)
            tall, wide = np.maximum(1, rng.integers(-2, 3, 2) + np.array([tall, wide]))
            top, left = max(0, row + down), max(0, col + right)
            score[top : top + tall, left : left + wide] = rng.choice([1, 0.9, 0.6, 0.5, 0.3])
    for row, col in rng.integers(0, size, (rng.integers(0, 3), 2)):
        score[row : row + 2, col : col + 2] = rng.random()
    if rng.random() < 0.2:
        score *= 0.4
    return grey, encode(score)


class TestReference:
    @pytest.mark.parametrize("name", NAMES)
    def test_counts_are_those_of_the_slow_reference_on_random_scenes(self, name):
        rng = np.random.default_rng(NAMES.index(name))  # others for each: 5250 scenes
        for _ in range(250):
            grey, levels = random_scene(rng)

            counts = count(pair(grey, levels), CONVENTIONS[name]).counts

            expected = reference.counts(name, grey, levels / TOP)
            assert expected == {key: getattr(counts, key) for key in expected}

    def test_the_reference_has_every_convention(self):
        assert set(reference.RULES) == set(NAMES)

    def test_niou_of_uiunet_takes_the_sigmoid_twice(self, rng):
        decision = CONVENTIONS["uiunet"].niou_decision
        for _ in range(100):
            grey, levels = random_scene(rng)

            assert np.array_equal(
                reference.decide(levels / TOP, "sigmoid again"), pair(grey, levels).predicted(decision)
            )


# Pd and false pixels of the ten cases, from running the projects' own code on them (case F of ISTD-python raises).
GREEDY = {
    "A": (1, 18), "B": (0, 9), "C": (0, 98), "D": (0.5, 0), "E": (1, 3), "F": (1, 0), "G": (1, 0), "H": (1, 1),
    "I": (0, 0), "J": (1, 0),
}  # fmt: skip
BY_AREA = GREEDY | {"A": (1, 0), "E": (1, 0)}
OPDC = GREEDY | {"C": (1, 0), "F": (0.5, 0)}
DEEPPRO = {
    "A": (1, 18), "B": (1, 0), "C": (1, 0), "D": (1, 0), "E": (1, 0), "F": (1, 0), "G": (1, 0), "H": (1, 5),
    "I": (1, 0), "J": (1, 0),
}  # fmt: skip
OVERLAP = {
    "A": (1, 18), "B": (0, 9), "C": (1, 0), "D": (1, 3), "E": (1, 0), "F": (None, None), "G": (1, 40), "H": (1, 1),
    "I": (1, 0), "J": (1, 0),
}  # fmt: skip
RC_OVERLAP = OVERLAP | {"D": (0.5, 3), "F": (1, 0)}
RC_CENTROID = RC_OVERLAP | {"B": (1, 9), "C": (0, 0)}
MEASURED = {
    **dict.fromkeys(("irstd", "basicirstd", "msda", "pal", "pyirstdmetrics"), GREEDY),
    **dict.fromkeys(("dnanet", "mshnet", "sctransnet"), BY_AREA),
    "pyirstdmetrics-opdc": OPDC,
    "deeppro": DEEPPRO,
    "istd-python-overlap": OVERLAP,
    "rc-irstd-overlap": RC_OVERLAP,
    "rc-irstd-centroid": RC_CENTROID,
    "binarysos": GREEDY | {"I": (1, 0)},
}


class TestCases:
    @pytest.mark.parametrize("name", MEASURED)
    def test_pd_and_false_pixels_are_those_that_the_code_itself_gave(self, name):
        table = cases.scored()
        mine = table[table["convention"] == name].set_index("case")

        found = {c: (mine.loc[c, "pd"], mine.loc[c, "false_pixels"]) for c in mine.index}
        assert MEASURED[name] == {c: (None, None) if np.isnan(pd) else (pd, fa) for c, (pd, fa) in found.items()}

    def test_the_repaired_shooting_rule_sees_the_corner(self):
        table = cases.scored().set_index(["convention", "case"])

        assert table.loc[("shooting-rule", "H"), "false_pixels"] == 0
        assert table.loc[("shooting-rule", "I"), "pd"] == 0

    def test_the_window_of_rdian_misses_a_hit_on_the_right(self):
        truth, found = cases.paint(((5, 5, 3, 3),)), cases.paint(((6, 7, 1, 1),))

        hits = [
            count(Pair(truth, m.astype(np.uint16) * TOP), CONVENTIONS["rdian"]).counts.detected for m in (found, truth)
        ]
        assert hits == [0, 1]

    @pytest.mark.parametrize(
        ("box", "hit"),
        [
            # Centroid (6.5, 6.5), rounded to (6, 6): rows and columns 4 and 5.
            ((5, 5, 4, 4), {(4, 4), (4, 5), (5, 4), (5, 5)}),
            # Centroid (7.5, 6.5), rounded to (8, 6): rows 6 and 7, columns 4 and 5.
            ((6, 5, 4, 4), {(6, 4), (6, 5), (7, 4), (7, 5)}),
            # Centroid (2, 1): the window would begin left of the image.
            ((1, 0, 3, 3), set()),
            # Centroid (2, 2): the first one inside.
            ((1, 1, 3, 3), {(0, 0), (0, 1), (1, 0), (1, 1)}),
        ],
    )
    def test_the_window_of_rdian_by_hand(self, box, hit):
        truth = cases.paint((box,))
        found = set()
        for row, col in np.ndindex(truth.shape):
            levels = np.zeros(truth.shape, np.uint16)
            levels[row, col] = TOP
            if count(Pair(truth, levels), CONVENTIONS["rdian"]).counts.detected:
                found.add((row, col))

        assert found == hit

    def test_the_window_of_rdian_is_empty_at_the_left_border(self):
        truth = cases.paint(((5, 0, 3, 1),))

        assert count(Pair(truth, truth.astype(np.uint16) * TOP), CONVENTIONS["rdian"]).counts.detected == 0

    def test_irst_library_leaves_out_targets_under_ten_pixels(self):
        truth = cases.paint(((4, 4, 3, 3), (12, 12, 4, 4)))

        counts = count(Pair(truth, truth.astype(np.uint16) * TOP), CONVENTIONS["irst-library"]).counts
        assert (counts.targets, counts.detected, counts.regions) == (1, 1, 1)

    def test_an_image_without_detections_is_blown_up_where_scores_are_scaled(self):
        truth = cases.paint(((4, 4, 3, 3),))
        faint = cases.paint(((15, 15, 2, 2),)).astype(np.uint16) * 700

        false = {n: count(Pair(truth, faint), CONVENTIONS[n]).counts.false_pixels for n in ("irstd", "istd-python")}
        assert false == {"irstd": 0, "istd-python": 4}
        assert count(Pair(truth, 0 * faint), CONVENTIONS["istd-python"]).counts.predicted == 0

    def test_msda_divides_by_the_last_image(self):
        images = [Counts(images=1, pixels=100, false_pixels=4), Counts(images=1, pixels=400)]

        assert pool(images, CONVENTIONS["msda"]).fa == 4 / 800
        assert pool(images[::-1], CONVENTIONS["msda"]).fa == 4 / 200
        assert pool(images, CONVENTIONS["pal"]).fa == 4 / 500

    def test_grey_pixels_count_in_the_union_only_where_the_mask_is_cut_to_white(self):
        grey = np.zeros((24, 24), np.uint8)
        grey[4:7, 4:7], grey[5, 5] = 200, 255
        levels = (grey > 0).astype(np.uint16) * TOP

        iou = {name: count(pair(grey, levels), CONVENTIONS[name]).counts.iou for name in ("basicirstd", "pal")}
        # Nine predicted, nine in the union, one of them both: 1 / (9 + 9 - 1).
        assert iou == {"basicirstd": 1 / 17, "pal": 1.0}


masks = arrays.arrays(bool, (14, 14))


@pytest.mark.parametrize("name", NAMES)
class TestPromises:
    @given(mask=masks)
    @settings(max_examples=25, deadline=None)
    def test_a_perfect_prediction_is_perfect(self, name, mask):
        convention = CONVENTIONS[name]
        if mask.all() and convention.decision.scale == "range":
            return  # nothing is predicted where all scores are equal
        counts = count(Pair(mask, mask.astype(np.uint16) * TOP), convention).counts

        assert counts.intersection == counts.predicted == counts.true
        assert counts.false_pixels == 0 or convention.empty_border
        if not convention.empty_border and not convention.counts_empty:
            assert counts.detected == counts.targets

    @given(scenes=st.lists(st.tuples(masks, masks), min_size=1, max_size=4), random=st.randoms())
    @settings(max_examples=15, deadline=None)
    def test_images_do_not_touch_each_other_and_their_order_does_not_matter(self, name, scenes, random):
        convention = CONVENTIONS[name]
        each = [count(Pair(m, p.astype(np.uint16) * TOP), convention).counts for m, p in scenes]
        shuffled = list(each)
        random.shuffle(shuffled)

        assert pool(each, convention) == pool(shuffled, convention)  # also msda's: all images are of one size
        assert len(scenes) == pool(each, convention).images
        assert niou(each) == pytest.approx(niou(shuffled))

    @given(
        mask=arrays.arrays(bool, (8, 8)),
        found=arrays.arrays(bool, (8, 8)),
        down=st.integers(0, 7),
        right=st.integers(0, 7),
    )
    @settings(max_examples=25, deadline=None)
    def test_moving_truth_and_prediction_together_changes_nothing_away_from_borders(
        self, name, mask, found, down, right
    ):
        scenes = []
        for row, col in ((6, 6), (6 + down, 6 + right)):
            place = np.zeros((2, 26, 26), bool)
            place[:, row : row + 8, col : col + 8] = mask, found
            scenes.append(count(Pair(place[0], place[1].astype(np.uint16) * TOP), CONVENTIONS[name]).counts)

        assert scenes[0] == scenes[1]

    @given(mask=masks, found=masks)
    @settings(max_examples=25, deadline=None)
    def test_turning_both_over_changes_nothing_where_the_order_of_regions_does_not_matter(self, name, mask, found):
        convention = CONVENTIONS[name]
        if (convention.assign in ("targets", "regions") and convention.match == "centroid") or convention.empty_border:
            return
        both = [
            count(Pair(m, p.astype(np.uint16) * TOP), convention).counts
            for m, p in ((mask, found), (mask[::-1], found[::-1]))
        ]

        assert astuple(both[0]) == astuple(both[1])


def test_points_are_scored_where_only_centroids_matter():
    mask = cases.paint(((4, 4, 3, 3),))
    points = np.array([[5.2, 4.9, 0.9], [20.0, 20.0, 0.8], [5.0, 5.0, 0.1]])

    detected = {n: count(Pair(mask, None, points), c).counts.detected for n, c in CONVENTIONS.items() if c.takes_points}
    assert set(detected) >= {"irstd", "basicirstd", "rc-irstd-centroid"} and set(detected.values()) == {1}
    with pytest.raises(ValueError, match="points have no map"):
        count(Pair(mask, None, points), CONVENTIONS["shooting-rule"])


def test_a_convention_says_itself_in_words():
    assert str(ours()) == (
        "irstd: score > 0.5, 8-connected regions, centroids nearer than 3 px, greedy in raster order, at native size; "
        "Fa counts pixels of unmatched regions"
    )
    assert "score ≥ 0.5" in str(CONVENTIONS["deeppro"]) and "9×9" in str(CONVENTIONS["deeppro"])


def test_every_convention_says_whose_it_is_and_where_it_was_read():
    assert all(c.users and c.source for c in CONVENTIONS.values())
    assert replace(CONVENTIONS["irstd"], name="x").name == "x"
