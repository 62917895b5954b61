"""The documentation's site: it builds without a warning, and no link in it leads nowhere or to another server's files."""

import subprocess
import sys
from urllib.parse import unquote

import pytest
from bs4 import BeautifulSoup

from tests.test_pipeline import copy

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = copy(tmp_path_factory.mktemp("docs") / "repo")
    # Without pages of sources, which take as long as all others and link back to wherever a name was imported to.
    extensions = "sphinx.ext.apidoc,sphinx.ext.autodoc,sphinx.ext.napoleon,myst_nb"
    words = ["--quiet", "--fail-on-warning", "--jobs", "auto", "-D", f"extensions={extensions}", "-c", "docs"]
    words += [".", "runs/docs"]
    done = subprocess.run([sys.executable, "-m", "sphinx", *words], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder / "runs/docs"


def test_every_link_leads_somewhere(site):
    pages = {path: BeautifulSoup(path.read_text(), "html.parser") for path in sorted(site.rglob("*.html"))}
    names = {path: {tag["id"] for tag in page.find_all(id=True)} for path, page in pages.items()}
    broken = []
    for path, page in pages.items():
        for tag, key in (("a", "href"), ("img", "src"), ("link", "href"), ("script", "src")):
            for one in page.find_all(tag, **{key: True}):
                target, _, anchor = one[key].partition("#")
                if target.startswith(("http:", "https:", "mailto:")):
                    assert tag == "a", f"{path.name} loads {target}"
                    continue
                there = (path.parent / unquote(target.partition("?")[0])).resolve() if target else path
                if not there.exists() or (anchor and there in names and unquote(anchor) not in names[there]):
                    broken.append(f"{path.relative_to(site)}: {one[key]}")
    assert len(pages) > 100
    assert not broken


def test_it_has_functions_tutorials_and_results(site):
    for name, words in (
        ("index.html", "make quickstart"),
        ("docs/api/irstd.losses.scale.html", "predicted area"),
        ("notebooks/03_loss_gradients.html", "scale loss"),
        ("reports/nudt-sirst.html", "GGL-Net"),
    ):
        assert words in BeautifulSoup((site / name).read_text(), "html.parser").get_text()
