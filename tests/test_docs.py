"""README, guide and CONTRIBUTING: links that lead somewhere, a README that is short, and examples that run."""

import doctest
import re
from importlib import import_module

import pytest

from tests.conftest import ROOT

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
JOURNEY = re.compile(r"^\*\*I (?:have|want).*?(?=^\*\*I |^## )", re.MULTILINE | re.DOTALL)


def anchors(text):
    """What headings are linked by, as GitHub makes it."""
    heads = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head).strip().lower().replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path) if path else page
        assert there.exists(), target
        assert not anchor or anchor in anchors(there.read_text()), target


def test_the_readme_is_read_in_three_minutes():
    before = (ROOT / "README.md").read_text().split("\n## Methods\n")[0]
    rows = [line for line in before.splitlines() if line.startswith("|")]

    assert len(before.split()) - sum(len(row.split()) for row in rows) < 700
    assert len(before.split()) < 900  # with the numbers of the table


def test_each_journey_is_a_few_lines():
    journeys = JOURNEY.findall((ROOT / "README.md").read_text())

    assert len(journeys) == 5
    for journey in journeys:
        lines = [line for line in journey.splitlines() if line.strip() and not line.startswith("```")]
        assert len(lines) <= 6, journey


@pytest.mark.parametrize(
    "name",
    [".".join(path.relative_to(ROOT).with_suffix("").parts) for room in ("irstd", "pipelines") for path in sorted((ROOT / room).rglob("*.py"))
     if ">>> " in path.read_text()],
)  # fmt: skip
def test_examples_in_docstrings_give_what_they_say(name):
    found = doctest.testmod(import_module(name.removesuffix(".__init__")))

    assert found.attempted and not found.failed
