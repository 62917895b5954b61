"""Random variations of what people have: the readers are right, or they refuse; they are never wrong without a word."""

import io
import string
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from PIL import Image

from irstd.errors import InputError
from irstd.formats import bands, coco, lists, maps, masks, pixels, text, tiff
from irstd.formats.names import Names, plain, stem_of
from irstd.formats.pixels import Pixels, UnreadableError
from tests.conftest import ROOT

SIZE = (24, 32)


@st.composite
def drawn(draw, most=4):
    """Masks of a few scenes, at least one with a target, targets apart from each other."""
    found = []
    for _ in range(draw(st.integers(1, 4))):
        mask = np.zeros(SIZE, np.uint8)
        for number in range(draw(st.integers(0, most))):
            row, col = draw(st.integers(0, 3)), draw(st.integers(0, 4))
            mask[6 * row + 1 : 6 * row + 4, 6 * col + 1 : 6 * col + 4] = number + 1
        found.append(mask)
    assume(any(mask.any() for mask in found))
    return found


def decided(layers):
    """What the reader makes of layers, or None where it refuses."""
    survey = masks.Survey("x")
    try:
        for number, layer in enumerate(layers):
            assert not survey.add(str(number), layer)
        meaning = survey.decide()
    except InputError:
        return None
    return [meaning.grey(layer) > 127 for layer in layers]


@given(drawn(), st.integers(0, 255), st.integers(0, 255), st.sampled_from([np.uint8, np.uint16, np.int32, np.float32]))
def test_any_two_values_are_background_and_target(scenes, low, high, dtype):
    assume(low != high)
    layers = [masks.layer(Pixels(np.where(m > 0, high, low).astype(dtype))) for m in scenes]

    found = decided(layers)

    if found is None:  # of a target as 0, the mask may be inverted: that is for a person to say
        assert high == 0 or any((m > 0).mean() > 0.5 for m in scenes) or len(scenes) == sum(not m.any() for m in scenes)
    else:
        assert all((f == (m > 0)).all() for f, m in zip(found, scenes, strict=True))


@given(drawn(most=12), st.integers(0, 1))
def test_small_whole_numbers_are_ids(scenes, kind):
    found = decided([masks.layer(Pixels(m.astype((np.uint8, np.float64)[kind]))) for m in scenes])

    assert found is not None and all((f == (m > 0)).all() for f, m in zip(found, scenes, strict=True))


@given(drawn(), st.tuples(*[st.integers(0, 255)] * 3), st.tuples(*[st.integers(0, 255)] * 3))
def test_two_colours_are_decided_or_refused(scenes, ground, target):
    assume(ground != target)
    layers = []
    for m in scenes:
        values = np.where((m > 0)[..., None], np.array(target, np.uint8), np.array(ground, np.uint8))
        layers.append(masks.layer(Pixels(values)))

    found = decided(layers)

    if found is None:
        assert target == (0, 0, 0)
    else:
        assert all((f == (m > 0)).all() for f, m in zip(found, scenes, strict=True))


@given(drawn(), st.permutations(range(4)), st.integers(0, 255), st.integers(0, 255))
def test_palettes_of_greys_are_what_is_seen(scenes, order, ground, target):
    assume(ground != target and target)
    from irstd.formats import pixels

    for mask in scenes:
        image = Image.new("P", SIZE[::-1])
        image.frombytes(np.where(mask > 0, order[1], order[0]).astype(np.uint8).tobytes())
        colours = [7, 7, 7] * 4
        colours[3 * order[0] : 3 * order[0] + 3], colours[3 * order[1] : 3 * order[1] + 3] = [ground] * 3, [target] * 3
        image.putpalette(colours + [0] * (768 - len(colours)))
        buffer = io.BytesIO()
        image.save(buffer, "PNG")
        opened = Image.open(buffer)
        seen = masks.layer(pixels._without(pixels._of_mode(opened)))
        assert (seen.codes == np.where(mask > 0, target, ground)).all()


@given(drawn(), st.integers(0, 255), st.booleans())
def test_a_mask_on_transparent_ground_is_its_opaque_part(scenes, level, premultiplied):
    layers = []
    for m in scenes:
        alpha = (m > 0).astype(np.uint8) * 255
        values = np.full(SIZE, level, np.uint8) if not premultiplied else (m > 0).astype(np.uint8) * np.uint8(level)
        layers.append(masks.layer(Pixels(values, alpha)))

    found = decided(layers)

    assert found is not None and all((f == (m > 0)).all() for f, m in zip(found, scenes, strict=True))


WORDS = ("_mask", "_GT", "_Pred", "_pixels0", "-gt", "_MASK", "_label", ".seg", "_sigmoid", "")
scene_names = st.lists(
    st.one_of(
        st.integers(0, 3000).map(lambda n: f"{n:06d}"),
        st.integers(0, 50).map(lambda n: f"Misc_{n}"),
        st.tuples(st.integers(1, 4), st.integers(0, 40)).map(lambda p: f"seq{p[0]}/{p[1]:04d}"),
        st.text(string.ascii_letters, min_size=1, max_size=6),
    ),
    min_size=1,
    max_size=12,
    unique=True,
)


@given(scene_names, st.data())
def test_a_file_is_of_the_scene_it_is_named_after_or_of_none(known, data):
    names, wanted = Names(dict.fromkeys(known)), data.draw(st.sampled_from(known))
    word, suffix = data.draw(st.sampled_from(WORDS)), data.draw(st.sampled_from((".png", ".PNG", ".txt", "")))
    folder = data.draw(st.sampled_from(("", "images/", "C:\\data\\", "./")))

    found = names.find(f"{folder}{wanted}{word}{suffix}")

    assert found == wanted


@given(scene_names, st.integers(0, 4000))
def test_whole_numbers_are_equal_where_that_leaves_one(known, number):
    same = [name for name in known if name.isdigit() and int(name) == number]
    names = Names(dict.fromkeys(known))

    if str(number) in known:
        assert names.find(str(number)) == str(number)
    elif len(same) == 1:
        assert names.find(str(number)) == same[0]
    elif not same:
        try:
            found = names.find(str(number))
        except InputError:
            return  # a frame of several sequences
        assert found is None or found.endswith(f"/{number:04d}")


@given(
    st.sampled_from(("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be")),
    st.sampled_from(("\n", "\r\n", "\r")),
    st.text(string.ascii_letters + "éß中", min_size=1, max_size=8),
)
def test_texts_of_all_encodings_are_read(encoding, end, word):
    written = f"abc{end}{word}{end}"
    assert text.decoded(written.encode(encoding), "x.txt").lstrip("\ufeff") == f"abc\n{word}\n"


@given(
    encoding=st.sampled_from(("utf-8", "utf-8-sig", "utf-16", "utf-16-le")),
    end=st.sampled_from(("\n", "\r\n", " \r\n", "\n\n")),
    line=st.sampled_from(("{}", "{}.png", "images/{}.PNG", "images\\{}.bmp", "{}.png {}_mask.png", "./{}")),
    place=st.sampled_from(("", "img_idx/", "50_50/", "idx_427/", "ImageSets/Main/")),
    of=st.sampled_from(("", "_mine", "_NUAA-SIRST")),
    first=st.sampled_from(("train", "trainval")),
    last=st.sampled_from(("test", "val")),
)
def test_lists_of_all_layouts_are_taken(tmp_path_factory, encoding, end, line, place, of, first, last):
    folder, names = tmp_path_factory.mktemp("lists"), [f"s{n}" for n in range(6)]
    (folder / place).mkdir(parents=True, exist_ok=True)
    for role, chosen in ((first, names[:4]), (last, names[4:])):
        content = "".join(line.replace("{}", name) + end for name in chosen)
        (folder / f"{place}{role}{of}.txt").write_bytes(content.encode(encoding))

    roles = lists.find(folder, names).of_scenes(names)

    assert roles == {n: {"lists": "train" if n in names[:4] else "test"} for n in names}


@given(st.integers(2, 32), st.booleans())
def test_small_numbers_in_predictions_are_masks_scores_or_refused(high, two):
    array = np.zeros(SIZE, np.uint8)
    array[3:6, 3:6], array[10:12, 10:12] = high, high if two else 1
    if two:
        assert maps.tops_of({"a": array}, "p")[0] == {"a": high}
    else:
        with pytest.raises(InputError, match="ids of targets or very weak scores"):
            maps.tops_of({"a": array}, "p")
    assert maps.tops_of({"a": array}, "p", scores=True)[0] == {"a": 255}


@given(st.lists(st.integers(1, 5), min_size=1, max_size=5))
def test_axes_of_length_one_do_not_matter_and_others_are_refused(axes):
    given_axes = Pixels(np.zeros((*axes, 6, 7), np.float32))
    if all(n == 1 for n in axes):
        assert maps.flat(given_axes)[0].shape == (6, 7)
    else:
        with pytest.raises(UnreadableError, match="shape"):
            maps.flat(given_axes)


def test_names_lose_their_ending_words_in_any_case():
    assert [plain(f"a_1{w}") for w in ("_GT", "_Pred", "-mask", "_pixels0", "_gt_mask")] == ["a_1"] * 5
    assert stem_of("images\\a.b.PNG") == "images/a.b" and Path(stem_of("x/y.seg")).name == "y.seg"


@pytest.mark.parametrize(
    ("mode", "kind"), [("RGB", "png"), ("RGBA", "png"), ("P", "png"), ("LA", "png"), ("CMYK", "tiff")]
)
def test_colours_read_by_bands_are_those_of_the_whole(tmp_path, rng, monkeypatch, mode, kind):
    """Grey at first and coloured below; a band of 3 rows does not divide the height."""
    monkeypatch.setattr(bands, "BAND_PX", 3 * 7)
    values = np.repeat(rng.integers(0, 255, (10, 7, 1), np.uint8), 3, axis=2)
    values[6, 2] = (200, 10, 10)
    image = Image.fromarray(values).convert(mode)
    image.save(tmp_path / f"a.{kind}")

    found = pixels.read(tmp_path / f"a.{kind}")

    whole = np.asarray(image.convert("RGB"))
    if found.values.ndim == 2:
        assert (whole == found.values[..., None]).all()
    else:
        assert np.array_equal(found.values, whole)
    assert found.alpha is None
    grey = Image.fromarray(values[:6]).convert(mode)
    grey.save(tmp_path / f"b.{kind}")
    assert pixels.read(tmp_path / f"b.{kind}").values.ndim == (
        3 if mode == "CMYK" and np.ptp(np.asarray(grey.convert("RGB")), axis=-1).any() else 2
    )


@pytest.mark.parametrize(
    ("big", "tags", "after", "sentence"),
    [
        (False, 1, (8).to_bytes(4, "little"), "its pages go round in a circle"),
        (True, 1, (16).to_bytes(8, "little"), "its pages go round in a circle"),
        (False, 1, b"", "it is cut short"),
        (False, 1, b"\x08", "it is cut short"),
        (False, 0xFFFF, bytes(4), "it is cut short"),
        (True, 2**64 - 1, bytes(8), "it is cut short"),
    ],
)
def test_a_tiff_whose_pages_do_not_end_is_refused(tmp_path, big, tags, after, sentence):
    """tifffile reads pages that lead back for ever, and of a page that is cut short any bytes as the place of the next."""
    path = tmp_path / "a.tif"
    head = b"II+\0\x08\0\0\0" + (16).to_bytes(8, "little") if big else b"II*\0" + (8).to_bytes(4, "little")
    path.write_bytes(head + tags.to_bytes(8 if big else 2, "little") + bytes(20 if big else 12) + after)

    with pytest.raises(ValueError, match=sentence):
        tiff.check(path)


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparency_read_by_bands_is_that_of_the_whole(tmp_path, rng, monkeypatch, mode):
    monkeypatch.setattr(bands, "BAND_PX", 3 * 7)
    image = Image.fromarray(rng.integers(0, 255, (10, 7, len(mode)), np.uint8), mode)
    image.save(tmp_path / "a.png")

    found, whole = pixels.read(tmp_path / "a.png"), np.asarray(image.convert("RGBA"))

    assert np.array_equal(found.alpha, whole[..., 3])
    assert np.array_equal(found.values, whole[..., :3] if mode == "RGBA" else whole[..., 0])


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "clear P", "I;16"])
def test_masks_of_96_megapixels_are_read_in_a_gigabyte(tmp_path, mode):
    if mode == "I;16":  # soft: two levels beside black and white
        values = np.zeros((8000, 12000), np.uint16)
        values[4000, 6000:6003] = (40_000, 65_535, 20_000)
        image = Image.fromarray(values)
    else:
        values = np.zeros((8000, 12000, 3), np.uint8)
        values[4000, 6000] = 200 if mode == "clear P" else (200, 10, 10)
        image = Image.fromarray(values).convert(mode.removeprefix("clear "))
    clear = {"transparency": image.getpixel((0, 0))} if mode == "clear P" else {}
    image.save(tmp_path / "a.png", compress_level=1, **clear)
    code = (
        "import sys; from pathlib import Path; from irstd.formats import masks;"
        "found, _ = masks.read_all({'a': Path(sys.argv[1])}, 'masks'); print((found['a'] > 127).sum());"
        "print(Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0])"
    )
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "a.png"], cwd=ROOT, capture_output=True, text=True)

    assert done.returncode == 0, done.stderr
    targets, kilobytes = done.stdout.split()
    assert int(targets) == (2 if mode == "I;16" else 1)
    assert int(kilobytes) * 1024 < 1e9


@pytest.mark.parametrize(
    ("segmentation", "words"),
    [
        ({"size": [96], "counts": [20, 3, 73]}, "the size of a mask is height and width"),
        ([[1, 1, 1e30, 4, 4, 4]], "reaches far out of the image"),
        ([[1, 1, float("nan"), 4, 4, 4]], "reaches far out of the image, or holds what is no number"),
    ],
)
def test_segmentations_that_cannot_be_drawn_are_refused(segmentation, words):
    with pytest.raises(ValueError, match=words):
        coco.filled(segmentation, (8, 12))


def test_a_polygon_may_reach_over_the_border():
    assert coco.filled([[-3, -3, 4, -3, 4, 4, -3, 4]], (8, 12)).sum() == 16


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "L"])
def test_a_picture_of_one_row_is_no_array_of_columns(tmp_path, mode):
    """(1, W, 3) is a row of colours; an array of these axes without colours is a map of H×3."""
    row = np.zeros((1, 5, 4), np.uint8)
    row[..., 3] = 255
    row[0, 2, :3] = 250, 20, 20
    path = tmp_path / "a.png"
    Image.fromarray(row).convert(mode).save(path)

    assert pixels.size_of(path) == (1, 5)
    assert masks.load(path).codes.shape == (1, 5)
    assert maps.flat(Pixels(np.zeros((1, 5, 3), np.float32)))[0].shape == (5, 3)
