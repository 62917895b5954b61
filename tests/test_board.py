"""The board: its rows by hand; and in a real browser, sorted, filtered, compared and copied."""

import json
import re

import numpy as np
import pandas as pd
import pytest
from axe_playwright_python.sync_playwright import Axe
from pylatexenc.latexwalker import LatexWalker

from irstd.apps import board as command
from irstd.apps import cli
from irstd.metrics.conventions import CONVENTIONS
from irstd.results import literature
from irstd.results.schemas import SCHEMAS
from irstd.tables import board
from tests.browser import chromium

CELL = {
    "dataset": "nuaa-sirst", "method": "net", "seed": 1, "split": "213-214", "budget": "cpu", "full_epochs": 300,
    "recipe": {"epochs": 60}, "origin": "record", "commit": "abc", "point_f1_5px": 0.75,
    "interval": {"point_f1_5px": [0.7, 0.8]},
}  # fmt: skip


def convention(name, **scores):
    return {"dataset": "nuaa-sirst", "method": "net", "seed": 1, **dict.fromkeys(SCHEMAS["conventions"]), **scores} | {
        "convention": name
    }


def test_a_run_has_a_row_for_each_convention_and_size():
    native = pd.DataFrame([convention("irstd", iou=0.5, iou_low=0.4, iou_high=0.6), convention("pal", iou=0.25)])
    square = pd.DataFrame([convention("irstd", iou=0.45)])
    card = {"net": {"supervision": "mask", "parameters": 12}}

    rows = board.of_runs(pd.DataFrame([CELL]), {"native": native, "256×256": square}, card, {"net": "Net"})

    assert rows[["convention", "size", "iou"]].to_numpy().tolist() == [
        ["irstd", "native", 0.5], ["pal", "native", 0.25], ["irstd", "256×256", 0.45],
    ]  # fmt: skip
    first = rows.iloc[0]
    assert (first["method"], first["labels"], first["parameters"]) == ("Net, seed 1", "masks", 12)
    assert (first["budget"], first["made by"]) == ("cpu, 60/300 epochs", "this workbench, record")
    assert (first["iou_low"], first["iou_high"]) == (0.4, 0.6)
    assert (first["point_f1_low"], first["point_f1_high"]) == (0.7, 0.8)
    assert rows["point_f1"].tolist()[0] == 0.75 and rows["point_f1"].isna().tolist() == [False, True, True]


def test_figures_that_were_stated_together_are_one_row():
    said = {
        "method": "DNANet",
        "dataset": "nudt-sirst",
        "split": "",
        "scored": "native size",
        "source": "arXiv 1234.56789",
        "note": "",
        "date": "2024-12-20",
    }
    published = pd.DataFrame(
        [said | {"metric": m, "value": v} for m, v in (("iou", 95.0), ("fa_per_million", 4.0), ("target_f1", 90.0))]
        + [said | {"metric": "point_precision_5px", "value": 1.0, "source": "elsewhere"}]
    )  # fmt: skip

    rows = board.of_papers(published)

    assert len(rows) == 1
    row = rows.iloc[0]
    assert (row["iou"], row["fa_per_million"], row["f1"]) == (0.95, 4.0, 0.9)
    assert row["source"] == "arXiv 1234.56789; dated 2024-12-20; scored: native size"
    assert (row["split"], row["convention"], row["size"]) == ("not said", "as stated", "native")


def test_a_submission_has_a_row_for_each_convention():
    card = {"name": "Mine", "dataset": "irstd-1k", "split": "800-201", "labels": "points", "paper": "doi 10.1/2",
            "parameters": "1000", "scores": {"irstd": {"iou": 0.5, "pd": None}, "pal": {"iou": 0.4}}}  # fmt: skip

    rows = board.of_submissions([card])

    assert rows["iou"].tolist() == [0.5, 0.4] and rows["pd"].isna().all()
    assert set(rows["made by"]) == {"submission"} and set(rows["parameters"]) == {1000}


def test_sources_become_bibtex():
    rows = pd.DataFrame(
        {
            "source": [
                "arXiv 2512.09497, Table 1",
                "abstract (doi 10.3788/gzxb20265502.0210002)",
                "README (github.com/A/B, 12ab345); dated 2025-03-04; scored: native size",
                "Net, CVPR 2024 (arXiv 2403.19366)",
            ]
        }
    )

    found = command.bibliography(rows)

    assert set(found) == {"2512.09497", "2403.19366", "10.3788/gzxb20265502.0210002", "github.com/A/B"}
    assert found["github.com/A/B"] == (
        "@misc{github-com-A-B,\n  title = {{README}},\n  year = {2025},\n  note = {commit 12ab345},\n"
        "  url = {https://github.com/A/B}\n}"
    )
    assert (
        "title = {{arXiv 2512.09497, Table 1}},\n  eprint = {2512.09497}, archiveprefix = {arXiv}"
        in found["2512.09497"]
    )
    assert "title = {{Net, CVPR 2024}}" in found["2403.19366"]
    assert "  doi = {10.3788/gzxb20265502.0210002},\n" in found["10.3788/gzxb20265502.0210002"]


def test_every_published_source_with_an_address_has_an_entry_with_a_title():
    rows = board.of_papers(literature.published())
    found = command.bibliography(rows)

    for source in rows["source"].unique():
        assert any(one in source for one in found) or not re.search(r"arXiv|github|10\.\d{4}", source), source
    assert all("  title = {{" in entry and entry.count("{") == entry.count("}") for entry in found.values())


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """Published figures, twelve runs under every convention at two sizes, and a method whose name may be anything."""
    folder = tmp_path_factory.mktemp("board")
    cells = pd.DataFrame([CELL | {"seed": seed} for seed in range(12)])
    draw = np.random.default_rng(0)

    def scored(seed, name):
        scores = {"iou": draw.random(), "pd": draw.random(), "fa_per_million": 90 * draw.random()}
        ends = {f"{k}_{end}": v * by for k, v in scores.items() for end, by in (("low", 0.9), ("high", 1.1))}
        return convention(name, **scores, **ends) | {"seed": seed}

    table = pd.DataFrame([scored(seed, name) for seed in range(12) for name in CONVENTIONS])
    card = {"net": {"supervision": "mask", "parameters": 12, "paper": "arXiv 2512.09497"}}
    runs = board.of_runs(cells, {"native": table, "256×256": table}, card, {"net": "Net"})
    rows = pd.concat([runs, board.of_papers(literature.published())], ignore_index=True)
    evil = rows.iloc[:1].assign(method='</script><b>"Net"</b> & co_1')
    (folder / "board.html").write_text(command.page_of(pd.concat([rows, evil], ignore_index=True)), encoding="utf-8")
    return folder / "board.html"


@pytest.mark.slow
class TestBrowser:
    @pytest.fixture(params=[(1400, "light"), (400, "dark")], ids=str)
    def tab(self, request, page):
        width, scheme = request.param
        with chromium() as browser:
            tab = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
            errors = []
            tab.on("pageerror", lambda error: errors.append(str(error)))
            tab.route("http*://**", lambda route: route.abort())
            tab.goto(page.as_uri())
            tab.wait_for_selector("#board tbody tr td")
            yield tab
            assert errors == []

    @staticmethod
    def column(tab, title):
        heads = tab.locator("#board thead th").all_inner_texts()
        place = next(n for n, head in enumerate(heads) if head.strip() == title)
        return [row.split("\t")[place] for row in tab.evaluate(
            "[...document.querySelectorAll('#board tbody tr')].map(r => [...r.cells].map(c => c.innerText.trim()).join('\\t'))"
        )]  # fmt: skip

    @staticmethod
    def numbers(column):
        return [float(one.split()[0]) for one in column if one != "–"]

    def test_rows_are_sorted_by_a_head_with_mouse_and_keyboard(self, tab):
        assert self.numbers(self.column(tab, "IoU %")) == sorted(self.numbers(self.column(tab, "IoU %")), reverse=True)
        tab.locator("#board thead th", has_text=re.compile("^Pd %")).click()
        tab.wait_for_selector("th[aria-sort=ascending]")
        assert self.column(tab, "Pd %")[0] != "–"  # rows without the figure come last, whichever way it is sorted
        first = self.numbers(self.column(tab, "Pd %"))
        assert first == sorted(first)
        head = tab.locator("#board thead th", has_text=re.compile("^Pd %"))
        head.locator(".dt-column-order, [role=button]").first.focus()
        tab.keyboard.press("Enter")
        tab.wait_for_selector("th[aria-sort=descending]")
        assert self.column(tab, "Pd %")[0] != "–"
        second = self.numbers(self.column(tab, "Pd %"))
        assert second == sorted(second, reverse=True)

    def test_filters_and_the_search_restrict_rows(self, tab):
        tab.get_by_label("dataset", exact=True).select_option("nuaa-sirst")
        assert set(self.column(tab, "dataset")) == {"nuaa-sirst"}
        assert set(self.column(tab, "convention")) == {"irstd", "as stated"}
        tab.get_by_label("convention", exact=True).select_option("mshnet")
        tab.get_by_label("size", exact=True).select_option("256×256")
        tab.get_by_label("made by", exact=True).select_option("this workbench, record")
        assert set(self.column(tab, "convention")) == {"mshnet"} and set(self.column(tab, "size")) == {"256×256"}
        tab.get_by_label("made by", exact=True).select_option("")
        tab.get_by_label("size", exact=True).select_option("")
        tab.get_by_label("search", exact=True).fill("DNANet")
        assert self.column(tab, "method")
        assert all("DNANet" in one for one in self.column(tab, "method"))

    def test_two_rows_are_compared(self, tab):
        tab.get_by_label("dataset", exact=True).select_option("nuaa-sirst")
        tab.get_by_label("made by", exact=True).select_option("this workbench, record")
        boxes = tab.locator("#board tbody input[type=checkbox]")
        shown = self.column(tab, "IoU %")
        boxes.nth(0).check()
        assert "one more row" in tab.locator("#comparison").inner_text()
        boxes.nth(1).check()
        line = tab.locator("#comparison tbody tr").first.locator("td").all_inner_texts()
        a, b = (float(one.split()[0]) for one in shown[:2])
        assert line[:2] == shown[:2] and float(line[2]) == pytest.approx(b - a, abs=0.011)
        assert line[3] in ("apart", "overlap")
        boxes.nth(2).check()  # the oldest choice goes
        assert [boxes.nth(n).is_checked() for n in range(3)] == [False, True, True]

    @pytest.mark.parametrize("form", ["CSV", "Markdown", "LaTeX", "BibTeX"])
    def test_rows_are_copied(self, tab, form):
        tab.get_by_label("dataset", exact=True).select_option("nudt-sirst")
        many = int(tab.locator(".dt-info").inner_text().split()[0])
        tab.get_by_role("button", name=f"Copy {form}").click()
        text = tab.locator("#copied textarea").input_value()

        if form == "BibTeX":
            assert text.count("@misc{") > 3 and text.count("{") == text.count("}")
        else:
            end = {"CSV": 1, "Markdown": 2, "LaTeX": 6}[form]  # lines that are no row
            assert len(text.splitlines()) == many + end
        if form == "LaTeX":
            assert text.startswith("\\begin{tabular}") and not re.search(r"(?<!\\)[%#_]", text)
            cells = {len(re.findall(r"(?<!\\)&", line)) for line in text.splitlines()[2:-2] if "&" in line}
            assert cells == {13}
            _, _, length = LatexWalker(text, tolerant_parsing=False).get_latex_nodes()
            assert length == len(text)

    def test_names_are_text_whatever_they_hold(self, tab):
        tab.get_by_label("search", exact=True).fill("co_1")

        assert self.column(tab, "method") == ['</script><b>"Net"</b> & co_1']

    def test_all_rows_at_once_do_not_stutter(self, tab):
        tab.get_by_label("convention", exact=True).select_option("")
        tab.get_by_label("size", exact=True).select_option("")
        took = tab.evaluate(
            "() => { const t = performance.now(); const s = document.querySelector('.dt-length select');"
            " s.value = '-1'; s.dispatchEvent(new Event('change', {bubbles: true})); return performance.now() - t }"
        )
        assert tab.locator("#board tbody tr").count() > 700
        assert took < 2000
        assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth")

    @pytest.mark.parametrize("act", [
        "document.querySelector('#board thead th:nth-child(9)').click()",
        "const s = document.querySelector('select[data-column=dataset]'); s.value = n % 2 ? '' : 'nudt-sirst'; s.dispatchEvent(new Event('change'))",
        "const s = document.getElementById('search'); s.value = n % 2 ? '' : 'net'; s.dispatchEvent(new Event('input'))",
    ])  # fmt: skip
    def test_sorting_choosing_and_searching_are_shown_at_once(self, tab, act):
        """From the act to the frame that shows it, the best of three."""
        tab.get_by_label("convention", exact=True).select_option("")
        took = tab.evaluate(
            f"async () => {{ const all = []; for (let n = 0; n < 3; n++) {{ const t = performance.now(); {{ {act} }};"
            " await new Promise(requestAnimationFrame); await new Promise(requestAnimationFrame);"
            " all.push(performance.now() - t) } return Math.min(...all) }"
        )
        assert took < 500

    def test_the_oldest_of_three_choices_goes_wherever_it_is_and_all_can_be_cleared(self, tab):
        boxes = tab.locator("#board tbody input[type=checkbox]")
        tab.get_by_label("convention", exact=True).select_option("")
        first = boxes.nth(0).get_attribute("data-row")
        boxes.nth(0).check()
        tab.get_by_role("link", name="2", exact=True).or_(tab.get_by_role("button", name="2", exact=True)).click()
        boxes.nth(0).check()
        boxes.nth(1).check()
        tab.get_by_role("link", name="1", exact=True).or_(tab.get_by_role("button", name="1", exact=True)).click()
        assert not tab.locator(f"input[data-row='{first}']").is_checked()
        tab.get_by_role("button", name="Copy CSV").click()
        assert len(tab.locator("#copied textarea").input_value().splitlines()) == 3

        tab.get_by_role("button", name="Clear the choice").click()
        assert tab.locator("#comparison").inner_text() == ""
        assert tab.locator("#board input:checked").count() == 0
        tab.get_by_role("button", name="Copy CSV").click()
        tab.wait_for_function("document.querySelector('#copied textarea').value.split('\\n').length > 50")

    def test_axe_finds_no_serious_fault(self, tab):
        tab.locator("#board tbody input[type=checkbox]").nth(0).check()
        tab.locator("#board tbody input[type=checkbox]").nth(1).check()
        tab.get_by_role("button", name="Copy CSV").click()

        found = Axe().run(tab).response["violations"]

        assert [(f["id"], f["nodes"][0]["html"][:200]) for f in found if f["impact"] in ("serious", "critical")] == []


def test_the_command_writes_a_page_that_needs_no_network(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)  # no checkout: published figures alone
    cli.main(["board"])

    text = (tmp_path / "runs/board.html").read_text()
    rows = json.loads(re.search(r'id="rows">(.*?)</script>', text)[1])

    assert {row[rows["columns"].index("made by")] for row in rows["rows"]} == {"published"}
    assert len(text.encode()) < 2e6 and not re.search(r'(?:src|href)="https?:', text)
    assert "rows: " in capsys.readouterr().out
