"""The site: every report made from what is in git, without torch, data or network, to the same bytes; seen in Chromium."""

import json
import os
import re
import resource
import shutil
import subprocess
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

import pytest
from axe_playwright_python.sync_playwright import Axe

from tests.browser import chromium
from tests.test_pipeline import copy

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

ABSENT = ("torch", "dvc", "kornia", "lightning_fabric")  # not needed to write a report; importing one there is an error
ALONE = """
import socket, sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {absent}:
            raise ImportError(f"a report asked for {{name}}")
sys.meta_path.insert(0, Absent())
real = socket.socket.connect
def connect(self, address):
    if self.family != socket.AF_UNIX and address[0] not in ("127.0.0.1", "localhost", "::1"):
        raise OSError(f"a report asked for the network: {{address}}")
    return real(self, address)
socket.socket.connect = connect
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A clone in which `make report`'s command was run."""
    clone = copy(tmp_path_factory.mktemp("site") / "repo")
    (clone.parent / "site").mkdir()
    (clone.parent / "site/sitecustomize.py").write_text(ALONE.format(absent=ABSENT))
    env = os.environ | {"PYTHONPATH": os.pathsep.join((str(clone.parent / "site"), str(clone)))}
    done = subprocess.run(
        [sys.executable, "-m", "pipelines.reports"], cwd=clone, env=env, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return clone


def test_it_takes_less_than_three_minutes_of_two_cores_and_changes_no_byte_in_git(folder):
    env = os.environ | {"PYTHONPATH": os.pathsep.join((str(folder.parent / "site"), str(folder)))}
    record = [sys.executable, "-m", "pipelines.publish"]  # of nothing new: the record's pages, rewritten
    start = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(record, cwd=folder, env=env, capture_output=True, text=True)
    end = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = end.ru_utime + end.ru_stime - start.ru_utime - start.ru_stime

    assert done.returncode == 0, done.stdout + done.stderr
    status = subprocess.run(["git", "status", "--porcelain"], cwd=folder, capture_output=True, text=True, check=True)
    assert status.stdout == ""
    assert seconds < 2 * 180  # of processors, so that what runs beside it does not count


def test_pages_taken_from_the_record_are_those_that_would_be_written(folder):
    assert len(json.loads((folder / "reports/stamps.json").read_text())) >= 20
    taken = (folder / "runs/site/datasets.md").read_bytes()
    before = {page.name: page.read_bytes() for page in pages(folder)}
    (folder / "runs/site/datasets.md").unlink()
    env = os.environ | {"PYTHONPATH": str(folder)}
    alone = [sys.executable, "-m", "pipelines.reports", "datasets"]  # by name, so that it is written

    done = subprocess.run(alone, cwd=folder, env=env, capture_output=True, text=True)

    assert done.returncode == 0, done.stderr
    assert (folder / "runs/site/datasets.md").read_bytes() == taken == (folder / "reports/datasets.md").read_bytes()
    assert {page.name for page in pages(folder) if page.read_bytes() != before[page.name]} == set()


def test_two_builds_are_equal_to_the_byte_and_two_at_once_wait_for_each_other(folder):
    before = {
        page.relative_to(folder): page.read_bytes() for page in (folder / "runs/site").rglob("*") if page.is_file()
    }
    for made in ("site", "stamps"):
        shutil.rmtree(folder / "runs" / made)
    command, env = [sys.executable, "-m", "pipelines.reports"], os.environ | {"PYTHONPATH": str(folder)}

    both = [subprocess.Popen(command, cwd=folder, env=env, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = [one.communicate(timeout=600)[0] for one in both]

    assert [one.returncode for one in both] == [0, 0], said
    assert sum("waits for another process, which writes reports" in text for text in said) == 1
    after = {
        page.relative_to(folder): page.read_bytes() for page in (folder / "runs/site").rglob("*") if page.is_file()
    }
    assert len(before) > 200 and after == before


def test_no_page_is_over_two_megabytes(folder):
    """With the figures that it loads; but for the album of all figures of all reports."""
    for page in pages(folder):
        loaded = {unquote(link) for link in re.findall(r'src="([^":]+)"', page.read_text())}
        figures = 0 if page.name == "figures.html" else sum((page.parent / link).stat().st_size for link in loaded)
        assert page.stat().st_size + figures < 2e6, page.name


def pages(folder):
    return sorted((folder / "runs/site/html").glob("*.html"))


def test_no_link_is_dead(folder):
    inside = folder / "runs/site/html"
    dead = []
    for page in pages(folder):
        text = page.read_text()
        names = set(re.findall(r'id="([^"]+)"', text))
        for link in re.findall(r'(?:href|src)="([^"]+)"', text):
            if "://" in link or link.startswith("data:"):
                continue
            place, _, anchor = unquote(link).partition("#")
            if place and not (inside / place).resolve().exists():
                dead.append((page.name, link))
            if anchor and not place and anchor not in names:
                dead.append((page.name, link))

    assert dead == []


def test_the_home_page_leads_to_every_page(folder):
    linked = set(re.findall(r'href="([\w-]+\.html)"', (folder / "runs/site/html/index.html").read_text()))

    assert linked == {p.name for p in pages(folder)}  # itself too, in the menu


# Pictures further down are loaded when they are scrolled to.
LOAD = "() => Promise.all([...document.images].map(i => { i.loading = 'eager'; return i.decode().catch(() => 0) }))"
WATCH = """() => ({
  wide: document.documentElement.scrollWidth > window.innerWidth,
  broken: [...document.images].filter(i => !i.complete || i.naturalWidth === 0).length,
  images: document.images.length,
  small: parseFloat(getComputedStyle(document.querySelector('main p')).fontSize),
  shrunk: [...document.querySelectorAll('main > figure img')].filter(i => i.clientWidth < Math.min(600, i.naturalWidth)).length,
})"""


def look(browser, address, width):
    """What a page says of itself at a width, and what it wrote to the console."""
    page, said = browser.new_page(viewport={"width": width, "height": 900}), []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("requestfailed", lambda request: said.append(request.url))
    page.goto(address)
    page.wait_for_load_state("load")
    page.evaluate(LOAD)
    found = page.evaluate(WATCH)
    page.close()
    return found, said


def test_every_page_can_be_read_on_a_phone_and_on_a_desk_from_the_file_system(folder):
    faults, images = [], 0
    with chromium() as browser:
        for page in pages(folder):
            for width in (390, 1280):
                found, said = look(browser, page.as_uri(), width)
                images += found["images"]
                if found["wide"] or found["broken"] or said or found["small"] < 14 or found["shrunk"]:
                    faults.append((page.name, width, found, said))

    assert faults == []
    assert images > 200


PLACE = """() => {
  const head = [...document.querySelectorAll('h2')].find(one => one.textContent.trim().startsWith('The answer'));
  if (!head) return null;
  const first = head.nextElementSibling, said = first.matches('ul') ? first.firstElementChild : first;
  return [head.getBoundingClientRect().bottom, Math.min(said.getBoundingClientRect().bottom, said.getBoundingClientRect().top + 150)];
}"""


def test_the_answer_of_every_report_begins_in_the_first_screen(folder):
    reports, places = {p.stem for p in (folder / "runs/site").glob("*.md")}, {}
    with chromium() as browser:
        for page in (one for one in pages(folder) if one.stem in reports):
            for width in (400, 1400):
                shown = browser.new_page(viewport={"width": width, "height": 900})
                shown.goto(page.as_uri())
                places[page.stem, width] = shown.evaluate(PLACE)
                shown.close()

    assert len(places) == 2 * len(reports) >= 40
    # Heading and the first lines.
    assert {k: y for k, y in places.items() if y is None or y[0] > 800 or y[1] > 900} == {}


def test_the_report_of_transfer_links_to_the_cards_of_weights(folder):
    """They are put beside the reports before it is written."""
    cards = {f"weights-{p.parent.name}-{p.stem}.html" for p in (folder / "reports/weights").glob("*/*.md")}
    content = (folder / "runs/site/html/transfer.html").read_text().partition("<main")[2]

    assert cards and cards <= set(re.findall(r'href="([^"]+)"', content))


def test_no_two_pages_have_one_title(folder):
    titles = [re.search("<title>(.*?)</title>", page.read_text())[1] for page in pages(folder)]

    assert len(set(titles)) == len(titles)


@pytest.mark.parametrize(("width", "scheme"), [(400, "dark"), (1400, "light")])
def test_axe_finds_no_serious_fault(folder, width, scheme):
    faults = []
    with chromium() as browser:
        tab = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        for page in pages(folder):
            tab.goto(page.as_uri())
            found = Axe().run(tab).response["violations"]
            faults += [(page.name, f["id"]) for f in found if f["impact"] in ("serious", "critical")]

    assert faults == []


def test_tables_are_sorted_by_a_column_with_mouse_and_keyboard(folder):
    with chromium() as browser:
        tab = browser.new_page()
        tab.goto((folder / "runs/site/html/nuaa-sirst.html").as_uri())
        table = tab.locator("table").first
        heads = table.locator("th").all_inner_texts()
        column = heads.index("IoU %")

        def values():
            return [row.locator("td").nth(column).inner_text() for row in table.locator("tbody tr").all()]

        numbers = sorted(float(v) for v in values() if v != "–")
        nothing = ["–"] * (len(values()) - len(numbers))
        table.get_by_role("button", name="IoU %", exact=True).click()
        assert values() == [f"{v:.2f}" for v in reversed(numbers)] + nothing
        tab.keyboard.press("Enter")
        assert values() == [f"{v:.2f}" for v in numbers] + nothing
        assert table.locator("th").nth(column).get_attribute("aria-sort") == "ascending"


def test_the_menu_leads_from_any_page_to_any_other(folder):
    names = {page.name for page in pages(folder)}
    for page in pages(folder):
        menu = re.search(r'<nav aria-label="all reports">.*?</nav>', page.read_text(), re.DOTALL)[0]
        assert set(re.findall(r'href="([^"]+)"', menu)) == names
    with chromium() as browser:
        tab = browser.new_page()
        tab.goto((folder / "runs/site/html/index.html").as_uri())
        tab.get_by_text("All reports").click()
        tab.get_by_role("navigation", name="all reports").get_by_role("link", name="transfer").click()
        assert tab.locator("h1").inner_text() == "How far do published weights carry?"
        tab.get_by_text("All reports").click()
        tab.keyboard.press("Escape")
        assert not tab.get_by_role("navigation", name="all reports").is_visible()


def test_the_keyboard_alone_leads_to_another_page(folder):
    with chromium() as browser:
        tab = browser.new_page()
        tab.goto((folder / "runs/site/html/index.html").as_uri())

        def focused():
            return tab.evaluate("document.activeElement.textContent.trim()")

        def tab_to(text):
            for _ in range(40):
                tab.keyboard.press("Tab")
                if focused() == text:
                    return
            raise AssertionError(f"{text!r} cannot be reached; the last is {focused()!r}")

        tab.keyboard.press("Tab")
        assert focused().startswith("Skip")
        tab_to("All reports")
        tab.keyboard.press("Enter")
        tab_to("ranking")
        with tab.expect_navigation():
            tab.keyboard.press("Enter")
        assert tab.locator("h1").inner_text() == "Do methods differ significantly over all datasets?"


def test_it_works_as_static_pages_and_files_can_be_downloaded(folder):
    handler = partial(SimpleHTTPRequestHandler, directory=str(folder / "runs/site"))
    handler.log_message = lambda *_: None
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        with chromium() as browser:
            page = browser.new_page()
            page.goto(f"http://127.0.0.1:{server.server_port}/html/index.html")
            page.get_by_role("link", name="comparison").nth(1).click()
            assert page.locator("h1").inner_text() == "How do the methods compare?"
            for name, start in (("SVG", b"<?xml"), ("scores.csv", b"dataset,")):
                with page.expect_download() as download:
                    page.get_by_role("link", name=name).first.click()
                assert download.value.path().read_bytes().startswith(start)
            page.get_by_role("link", name="IRSTD Workbench").click()
            assert page.locator("h1").inner_text().startswith("IRSTD Workbench")
    finally:
        server.shutdown()
        server.server_close()
