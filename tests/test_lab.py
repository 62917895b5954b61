"""JupyterLab itself, in Chromium: the start notebook runs, and the explorer's slider moves the picture."""

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from urllib.request import urlopen

import pytest

from tests.browser import chromium, program
from tests.conftest import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """The address of a JupyterLab over a copy of the notebooks and results."""
    program()
    root = tmp_path_factory.mktemp("lab")
    for name in ("notebooks", "reports/results"):
        shutil.copytree(ROOT / name, root / name)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    home = {f"JUPYTER_{kind}_DIR": str(root / kind) for kind in ("CONFIG", "DATA")}
    home["JUPYTERLAB_SETTINGS_DIR"] = str(root / "settings")
    # Cells out of sight are else not in the page.
    kept = root / "settings/@jupyterlab/notebook-extension/tracker.jupyterlab-settings"
    kept.parent.mkdir(parents=True)
    kept.write_text('{"windowingMode": "none"}')
    words = ["lab", "--no-browser", "--allow-root", f"--port={port}", "--ServerApp.token=", "--ServerApp.password="]
    words += ["--LabApp.expose_app_in_browser=True"]  # its commands, which do not wait for menus
    quiet = ["--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate", "--LabApp.news_url=None"]
    server = subprocess.Popen(
        [sys.executable, "-m", "jupyter", *words, *quiet], cwd=root, env=os.environ | home,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    address = f"http://127.0.0.1:{port}"
    for _ in range(240):
        try:
            urlopen(f"{address}/api", timeout=1).close()
            break
        except OSError:
            time.sleep(0.25)
    yield address
    server.terminate()
    try:
        server.wait(20)
    except subprocess.TimeoutExpired:  # kernels of a failed test may hold it
        server.kill()
        server.wait(20)


PROMPTS = "[...document.querySelectorAll('.jp-CodeCell .jp-InputPrompt')].map(e => e.innerText.trim())"
# One look and one act in the page itself, so that nothing can open or close between them: a question is answered with
# what JupyterLab offers (under load the kernel is late, and it asks which to take); else, once the kernel has waited
# for two looks, all cells are run. Until the kernel is connected that does nothing, and one that comes late forgets
# what was asked of it, or the first cells of it.
GO_ON = """([prompts, waited]) => {
    const offered = document.querySelector('.jp-Dialog button.jp-mod-accept');
    const status = document.querySelector('.jp-Notebook-ExecutionIndicator')?.dataset.status;
    const waits = !offered && status === 'idle' && !prompts.some(text => text.includes('*'));
    if (offered) offered.click();
    else if (waits && waited)
        void window.jupyterapp.commands.execute('notebook:run-all-cells').catch(() => {});
    return waits && !waited;
}"""


def run_all(page, address, notebook):
    """Opens a notebook, runs all of its cells to the last and returns what went wrong."""
    page.goto(f"{address}/lab/tree/notebooks/{notebook}.ipynb?reset")
    page.wait_for_selector(".jp-Notebook .jp-CodeCell", timeout=90_000)
    waited = False
    for _ in range(60):
        prompts = page.evaluate(PROMPTS)
        told = [int(text[1:-2]) for text in prompts if re.fullmatch(r"\[\d+\]:", text)]
        # From top to bottom in one kernel: cells of several runs, or of a kernel that was replaced, are run again.
        if len(told) == len(prompts) and told == list(range(told[0], told[0] + len(told))):
            break
        waited = page.evaluate(GO_ON, [prompts, waited])
        page.wait_for_timeout(3000)
    else:
        pytest.fail(f"not every cell was run, one after the other: {prompts}")
    return page.locator(
        "[data-mime-type='application/vnd.jupyter.stderr'], [data-mime-type*='error']"
    ).all_inner_texts()


def test_the_start_notebook_runs_top_to_bottom(lab):
    with chromium() as browser:
        page = browser.new_page(viewport={"width": 1400, "height": 1000})
        wrong = run_all(page, lab, "00_start")

        assert wrong == []
        assert page.locator(".jp-OutputArea-output img").count() == 5
        assert "Drawn with seed 0" in page.locator(".jp-OutputArea-output").last.inner_text()


def test_the_explorers_slider_moves_the_picture_and_the_words(lab):
    with chromium() as browser:
        page = browser.new_page(viewport={"width": 1400, "height": 1200})
        assert run_all(page, lab, "14_explorer") == []
        picture = page.locator("img.widget-image, img.jupyter-widgets").first
        picture.wait_for(timeout=30_000)
        words = page.locator(".widget-html").first
        before = picture.get_attribute("src"), words.inner_text()
        slider = page.locator(".widget-slider .noUi-handle").first
        slider.focus()
        page.keyboard.press("Home")  # to a threshold of 0
        page.wait_for_function(
            "old => document.querySelector('.widget-html').innerText !== old[1]"
            " && document.querySelector('img.widget-image, img.jupyter-widgets').src !== old[0]",
            arg=before,
            timeout=30_000,
        )
        after = picture.get_attribute("src"), words.inner_text()

        assert before[0] != after[0] and "targets found" in after[1]
        page.locator(".widget-dropdown select").nth(1).select_option(index=2)
        page.wait_for_function(
            "old => document.querySelector('.widget-html').innerText !== old", arg=after[1], timeout=30_000
        )
