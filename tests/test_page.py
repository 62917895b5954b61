"""Pages of the site: what Markdown becomes, without a browser."""

import re

from irstd.reports import page

TABLE = "| a | b |\n| --- | --- |\n| 1 | 2 |\n"


def test_reports_link_to_reports_and_files_are_found_from_the_page(tmp_path):
    text = (
        "[other](nuaa-sirst.md), [part](metrics.md#a-b), [x.csv](tables/x/x.csv), [out](https://a.b/c.md), [in](#here)"
    )
    made = page.html(text, "x", folder=tmp_path)

    assert re.findall(r'<a href="([^"]+)"', made) == [
        "index.html",
        "nuaa-sirst.html",
        "metrics.html#a-b",
        "../tables/x/x.csv",
        "https://a.b/c.md",
        "#here",
    ]


def test_a_figure_is_in_the_page_and_can_be_had_as_a_file(tmp_path):
    (tmp_path / "figures/r").mkdir(parents=True)
    (tmp_path / "figures/r/f.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg" width="75pt" height="30pt"/>')
    made = page.html("![a figure](figures/r/f.svg)", "x", folder=tmp_path)

    assert 'src="data:image/svg+xml;base64,' in made and 'alt="a figure" width="100"' in made
    assert re.findall(r'href="([^"]+)" download>(\w+)<', made) == [("../figures/r/f.svg", "SVG")]


def test_wide_tables_scroll_by_themselves():
    made = page.html(TABLE, "x")

    assert '<div class="table" tabindex="0"><table>' in made and "</table></div>" in made


def test_columns_of_numbers_are_set_to_the_right():
    rows = ["| a | 1.5 [0.1, 2] | 1 | x |", "| 2 | – | 2 px | 3e-4 |", "| 3 | 1,024 | 3 | – |"]
    made = page.html("\n".join(["| p | q | r | s |", "| --- | --- | --- | --- |", *rows]) + "\n", "x")

    assert re.findall(r'<th scope="col"( class="number")?>(\w)</th>', made) == [
        ("", "p"), (' class="number"', "q"), ("", "r"), ("", "s")
    ]  # fmt: skip
    assert '<td class="number">1,024</td>' in made and "<td>2 px</td>" in made


def test_papers_are_links_but_not_within_links():
    made = page.html(
        "# arXiv 2604.09991\n\nIn arXiv 2512.09497, doi 10.1109/LGRS.2023.3308783; [arXiv 1234.56789](https://a.b).\n",
        "x",
    )

    assert re.findall(r'<a href="(http[^"]+)"', made) == [
        "https://arxiv.org/abs/2512.09497", "https://doi.org/10.1109/LGRS.2023.3308783", "https://a.b"
    ]  # fmt: skip


def test_repositories_are_links_at_the_commit_named():
    made = page.html("BasicIRSTD README (github.com/XinyiYing/BasicIRSTD, 95650c3), github.com/a/b.c.", "x")

    assert re.findall(r'<a href="(http[^"]+)"', made) == [
        "https://github.com/XinyiYing/BasicIRSTD/tree/95650c3", "https://github.com/a/b.c"
    ]  # fmt: skip


def test_what_few_look_for_is_closed_and_the_rest_is_not():
    made = page.html("# A\n\n## Provenance\n\none\n\n## Scores\n\ntwo\n", "x")

    assert re.search(
        r'<details><summary><h2>Provenance</h2></summary>\s*<span id="provenance"></span>\s*<p>one</p>\s*'
        r"</details>\s*<h2",
        made,
    )
    assert made.count("<details><summary><h2") == 1


def test_a_figure_is_told_by_the_heading_that_it_answers():
    made = page.html('## Who "leads" & `why`?\n\n![one](data:image/png;base64,AAAA)\n', "x")

    assert 'alt="Who &quot;leads&quot; &amp; why?: one"' in made


def test_the_menu_names_every_page_and_this_one(tmp_path):
    made = page.html("# A", "x", folder=tmp_path, menu={"g": [("one", "a"), ("two", "b")]}, here="b")

    assert '<a href="a.html">one</a>' in made and '<a href="b.html" aria-current="page">two</a>' in made


def test_sections_are_listed_and_can_be_linked_to():
    made = page.html("# T\n\n## One `a`\n\n## Two\n\n## Three, x\n", "x")

    assert re.findall(r'<a href="#([^"]+)"', made) == ["one--code-a--code", "two", "three--x"]
    assert all(f'id="{name}"' in made for name in re.findall(r'<a href="#([^"]+)"', made))


def test_nothing_comes_from_elsewhere_and_only_the_sorting_runs(tmp_path):
    made = page.html(f"# A\n\n{TABLE}", "A & B", folder=tmp_path, made={"notebook": "x <y>"})

    assert not re.search(r"<link [^>]*stylesheet|src=|@import|https?:", made)
    assert made.count("<script") == 1
    assert "<title>A &amp; B · IRSTD Workbench</title>" in made and "x &lt;y&gt;" in made


def test_names_of_anybodys_run_nothing():
    text = "# <script>x</script>\n\n| <img onerror=x> |\n| --- |\n| [a](javascript:x) |\n"
    made = page.html(text, "<script>x</script>")

    assert made.count("<script") == 1 and "<script>x" not in made
    assert "<img" not in made and "javascript:" not in made


def test_thumbnails_lead_to_their_report():
    made = page.gallery("T", "w", {"r": ["figures/r/a.png"]})

    assert 'href="r.html"' in made and 'src="../figures/r/a.png"' in made and '<h2 id="r">r</h2>' in made
