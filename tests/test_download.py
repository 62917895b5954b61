"""Downloads against a local server that behaves as badly as the real ones."""

import contextlib
import io
import threading
import time
import zipfile
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from PIL import Image

from irstd.data import catalogue, download, fetching, raw
from irstd.data.catalogue import Entry, Source
from irstd.errors import InputError


def png(pixels):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "png")
    return buffer.getvalue()


@pytest.fixture
def scenes(rng):
    return {
        f"s{n}": (rng.integers(0, 256, (200, 240), np.uint8), (rng.random((200, 240)) < 0.02) * np.uint8(255))
        for n in range(4)
    }


def archive(scenes, *, prefix="X/", suffix=""):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as opened:
        opened.writestr(f"{prefix}README.md", "words")
        for name, (image, mask) in scenes.items():
            opened.writestr(f"{prefix}images/{name}.png", png(image))
            opened.writestr(f"{prefix}masks/{name}{suffix}.png", png(mask))
    return buffer.getvalue()


class Server:
    """Serves `files`; `moods` lists for each path what to do with successive requests, then behaves."""

    def __init__(self):
        self.files, self.moods, self.requests = {}, {}, []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def do_GET(self):
                outer.answer(self)

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.http.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.http.server_port}"

    def answer(self, request):
        start = int(request.headers.get("Range", "bytes=0-").removeprefix("bytes=").rstrip("-"))
        self.requests.append((request.path, start))
        mood = self.moods.get(request.path, [])
        mood = mood.pop(0) if mood else "good"
        body = self.files.get(request.path)
        if body is None or isinstance(mood, int):
            request.send_error(mood if isinstance(mood, int) else 404)
            return
        if start and mood != "no range":
            request.send_response(206)
            request.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
            body = body[start:]
        else:
            request.send_response(200)
        if mood not in ("endless", "trickle"):
            request.send_header("Content-Length", str(10**13 if mood == "huge" else len(body)))
        request.end_headers()
        if mood == "trickle":  # for ever, a byte at a time
            with contextlib.suppress(OSError):
                for _ in range(600):
                    request.wfile.write(b"x")
                    request.wfile.flush()
                    time.sleep(0.02)
            return
        # "drop" and "no range" break off half way: a dropped connection, which is also a body too short.
        request.wfile.write(body[: len(body) // 2] if mood == "drop" else body)
        request.close_connection = True


@pytest.fixture
def server():
    made = Server()
    yield made
    made.http.shutdown()
    made.http.server_close()


@pytest.fixture
def entry(monkeypatch, scenes, server):
    """A dataset `toy` in the catalogue: an official place, a public copy, and a page for people."""
    made = Entry(
        name="toy", title="Toy", archive="TOY.zip", images=4, targets=None, sizes="240×200", licence="none", cite="nobody",
        splits={"2-2": "us"}, quirks=(),
        sources=(
            Source("url", f"{server.url}/official.zip", "official.example"),
            Source("url", f"{server.url}/copy.zip", "copy.example"),
            Source("hand", "", "pan.example (code 1234)"),
        ),
    )  # fmt: skip
    rows = {
        name: {
            "image": raw.digest(np.stack([i] * 3, -1)),
            "mask": raw.digest(np.stack([m] * 3, -1)),
            "2-2": ("train", "test")[n % 2],
        }
        for n, (name, (i, m)) in enumerate(scenes.items())
    }
    monkeypatch.setitem(catalogue.ENTRIES, "toy", made)
    real = catalogue.manifest
    monkeypatch.setattr(catalogue, "manifest", lambda name: rows if name == "toy" else real(name))
    return made


@pytest.fixture
def obtain(tmp_path, entry):
    def fetcher(url, folder, name, **_):
        return download.fetch(url, folder, name, pause_s=0.01)

    return lambda **more: download.obtain("toy", tmp_path / "raw/toy", tmp_path / "archives", fetcher=fetcher, **more)


def test_a_dropped_download_goes_on_where_it_broke_off(server, scenes, obtain, tmp_path):
    server.files["/official.zip"] = archive(scenes)
    server.moods["/official.zip"] = ["drop", "drop", 503]

    assert obtain() == "official.example"

    starts = [start for _, start in server.requests]
    assert starts == sorted(starts) and starts[0] == 0 and starts[1] > 0 and starts[2] > starts[1]
    assert raw.pairs(tmp_path / "raw/toy").keys() == scenes.keys()
    assert raw.read_splits(tmp_path / "raw/toy/splits.csv")["s1"] == {"2-2": "test"}


def test_a_download_broken_by_a_kill_goes_on_in_the_next_process(server, scenes, tmp_path):
    body = archive(scenes)
    server.files["/a.zip"] = body
    (tmp_path / "a.zip.part").write_bytes(body[:100])

    got = download.fetch(f"{server.url}/a.zip", tmp_path, "a.zip", pause_s=0.01)

    assert server.requests == [("/a.zip", 100)]
    assert body == got.read_bytes()


def test_a_server_that_cannot_resume_sends_it_whole(server, scenes, tmp_path):
    body = archive(scenes)
    server.files["/a.zip"] = body
    server.moods["/a.zip"] = ["drop", "no range"]

    assert body == download.fetch(f"{server.url}/a.zip", tmp_path, "a.zip", pause_s=0.01).read_bytes()


def test_a_server_that_always_drops_is_given_up_with_a_sentence(server, tmp_path):
    server.files["/a.zip"] = b"x" * 1000
    server.moods["/a.zip"] = [500] * 99

    with pytest.raises(InputError, match="500") as error:
        download.fetch(f"{server.url}/a.zip", tmp_path, "a.zip", pause_s=0.001)

    assert f"{server.url}/a.zip answers 500 Internal Server Error" == str(error.value)


def test_a_missing_file_is_not_asked_for_twice(server, tmp_path):
    with pytest.raises(InputError) as error:
        download.fetch(f"{server.url}/gone.zip", tmp_path, "gone.zip", pause_s=0.01)

    assert f"{server.url}/gone.zip answers 404 Not Found" == str(error.value)
    assert len(server.requests) == 1


def test_the_public_copy_serves_where_the_official_place_has_other_pixels(server, scenes, obtain, tmp_path):
    other = {name: (image ^ np.uint8(name == "s2"), mask) for name, (image, mask) in scenes.items()}
    server.files["/official.zip"] = archive(other)
    server.files["/copy.zip"] = archive(scenes, prefix="deep/down/", suffix="_pixels0")

    assert obtain() == "copy.example"
    assert not (tmp_path / "archives/toy-0.zip").exists()  # never trusted again


def test_the_mirror_is_asked_first_as_a_folder_and_as_a_url(server, scenes, obtain, tmp_path):
    (tmp_path / "TOY.zip").write_bytes(archive(scenes))
    assert obtain(mirror=str(tmp_path)) == "the mirror"
    assert server.requests == []

    server.files["/m/TOY.zip"] = archive(scenes)
    assert obtain(mirror=f"{server.url}/m/") == "the mirror"


def test_an_archive_placed_by_hand_serves(scenes, obtain, tmp_path):
    (tmp_path / "archives").mkdir()
    (tmp_path / "archives/TOY.zip").write_bytes(archive(scenes))

    assert obtain() == "data/archives/TOY.zip"


def test_when_nothing_works_the_message_says_what_to_fetch_by_hand(server, obtain, tmp_path):
    server.files["/copy.zip"] = b"<html>sign in</html>"

    with pytest.raises(InputError) as error:
        obtain(mirror=str(tmp_path))

    assert (
        "toy could not be had (the mirror: TOY.zip is not in the folder that IRSTD_MIRROR names; "
        f"official.example: {server.url}/official.zip answers 404 Not Found; "
        "copy.example: toy-1.zip is not a whole zip archive (File is not a zip file)): download it from official.example; "
        "or copy.example; or pan.example (code 1234), as a zip of images/ and masks/ put it at data/archives/TOY.zip "
        f"(its decoded pixels must have checksum {catalogue.checksum('toy')}), and run `dvc repro` again"
    ) == str(error.value)
    assert not (tmp_path / "raw/toy").exists() and not (tmp_path / "raw/toy.part").exists()


def test_a_failed_fetch_leaves_what_was_there(server, scenes, obtain, tmp_path):
    server.files["/official.zip"] = archive(scenes)
    obtain()
    server.files.clear()
    for old in (tmp_path / "archives").iterdir():
        old.unlink()

    with pytest.raises(InputError):
        obtain()

    assert raw.pairs(tmp_path / "raw/toy").keys() == scenes.keys()


@pytest.mark.parametrize("change", ["missing", "truncated"])
def test_a_missing_or_truncated_scene_is_named(change, scenes, tmp_path, entry):
    folder = tmp_path / "toy"
    download.unpack(_zip(tmp_path, archive(scenes)), Source("mirror", "", ""), folder)
    if change == "missing":
        for kind in ("images", "masks"):
            (folder / kind / "s2.png").unlink()
        expected = "toy: 1 of 4 scenes are missing, 's2' first; fetch them again"
    else:
        path = folder / "images/s2.png"
        path.write_bytes(path.read_bytes()[:-60])
        expected = "toy/images/s2.png is damaged"

    with pytest.raises(InputError) as error:
        raw.verify(folder, "toy")

    assert str(error.value).startswith(expected)


def _zip(folder, body):
    path = folder / "any.zip"
    path.write_bytes(body)
    return path


def test_a_damaged_archive_is_one_sentence(tmp_path):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr("images/a.png", bytes(range(256)) * 40)
    body = bytearray(buffer.getvalue())
    start = body.index(b"images/a.png") + len("images/a.png")
    for place in range(start, start + 40):
        body[place] ^= 0x5A

    with pytest.raises(InputError, match=r"^any\.zip is not a whole zip archive \(.+\)$"):
        download.unpack(_zip(tmp_path, bytes(body)), Source("mirror", "", ""), tmp_path / "toy")


def test_an_archive_cannot_write_outside_its_folder(tmp_path, scenes):
    body = archive(scenes, prefix="../../evil/")

    download.unpack(_zip(tmp_path, body), Source("mirror", "", ""), tmp_path / "deep/toy")

    assert sorted(p.name for p in (tmp_path / "deep/toy").iterdir()) == ["images", "masks"]
    assert not (tmp_path / "evil").exists()


def test_a_mask_known_to_be_wrong_at_its_source_is_replaced(server, scenes, entry, obtain, monkeypatch):
    bad = scenes | {"s1": (scenes["s1"][0], np.zeros((7, 9), np.uint8))}
    server.files["/official.zip"] = archive(bad)
    server.files["/fix.png"] = png(scenes["s1"][1])
    monkeypatch.setitem(catalogue.ENTRIES, "toy", replace(entry, patches={"s1": f"{server.url}/fix.png"}))

    assert obtain() == "official.example"


def test_a_folder_of_the_users_own_is_split_by_its_lists_or_by_names(tmp_path, scenes):
    own = tmp_path / "own"
    for kind, index in (("images", 0), ("masks", 1)):
        (own / kind).mkdir(parents=True)
        for name, pair in scenes.items():
            (own / kind / f"{name}.png").write_bytes(png(pair[index]))

    download.copy_own("mine", own, tmp_path / "raw/mine")
    assert {"train", "test"} >= {row["lists"] for row in raw.read_splits(tmp_path / "raw/mine/splits.csv").values()}

    (own / "train.txt").write_text("s0\ns1.png\n")
    (own / "test.txt").write_text("s3\n")
    download.copy_own("mine", own, tmp_path / "raw/mine")
    rows = raw.read_splits(tmp_path / "raw/mine/splits.csv")
    assert {k: v["lists"] for k, v in rows.items()} == {"s0": "train", "s1": "train", "s2": "", "s3": "test"}


@pytest.mark.parametrize(
    ("train", "test", "sentence"),
    [
        ("s0\nnone\n", "s1\n", "own: train.txt names 'none', which images/ does not hold; correct the list"),
        ("s0\ns1\n", "s1\n", "own: 's1' is in train.txt and in test.txt; remove it from one"),
        ("s0\n", None, "own: train.txt is there but test.txt is not; add it, or remove train.txt"),
    ],
)
def test_wrong_lists_are_one_sentence(tmp_path, train, test, sentence):
    (tmp_path / "own").mkdir()
    (tmp_path / "own/train.txt").write_text(train)
    if test:
        (tmp_path / "own/test.txt").write_text(test)

    with pytest.raises(InputError) as error:
        raw.listed_splits(tmp_path / "own", ["s0", "s1"])

    assert sentence == str(error.value)


class TestLimits:
    """A server must not hold the pipeline for ever, nor fill the disk."""

    @pytest.mark.parametrize("mood", ["huge", "endless"])
    def test_more_than_any_dataset_has_is_refused(self, tmp_path, server, monkeypatch, mood):
        monkeypatch.setattr(fetching, "MOST_BYTES", 10**6)
        server.files["/x.zip"], server.moods["/x.zip"] = bytes(2 * 10**6), [mood]

        with pytest.raises(
            InputError, match=r"/x.zip (is of 10000 GB, more than|sends more than) 0 GB; fetch it by hand"
        ):
            download.fetch(f"{server.url}/x.zip", tmp_path, "x.zip", pause_s=0.01)

        assert list(tmp_path.iterdir()) == [] and len(server.requests) == 1

    def test_a_server_that_trickles_is_given_up(self, tmp_path, server, monkeypatch):
        monkeypatch.setattr(fetching, "PATIENCE_S", 0.3)
        server.files["/x.zip"], server.moods["/x.zip"] = bytes(9), ["trickle"] * 9
        start = time.monotonic()

        with pytest.raises(InputError, match=r"broke off 5 times \(ConnectionError\); run again to go on from there"):
            download.fetch(f"{server.url}/x.zip", tmp_path, "x.zip", pause_s=0.01)

        assert time.monotonic() - start < 20

    def test_the_whole_takes_no_longer_than_it_may(self, tmp_path, server, monkeypatch):
        monkeypatch.setattr(fetching, "LONGEST_S", 0.3)
        server.files["/x.zip"], server.moods["/x.zip"] = bytes(9), ["trickle"] * 9

        with pytest.raises(InputError, match="took more than 0 hours"):
            download.fetch(f"{server.url}/x.zip", tmp_path, "x.zip", pause_s=0.01)

    def test_an_archive_that_unfolds_into_more_than_there_is_room_for_is_left(self, tmp_path, scenes, monkeypatch):
        (tmp_path / "a.zip").write_bytes(archive(scenes))
        monkeypatch.setattr(download, "MOST_BYTES", 1000)

        with pytest.raises(InputError, match=r"a.zip would unpack to 0.0 GB, and no dataset has 0 GB"):
            download.unpack(tmp_path / "a.zip", download.MIRROR_PATTERNS, tmp_path)

        assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]
