"""Markdown to a page of the site: one HTML file, pictures inside, that needs no network.

Its only script sorts tables by a click on a column's head; without scripts all else is there.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from html import unescape
from pathlib import Path
from typing import Any

import mistune
from jinja2 import Environment, PackageLoader

TEMPLATES = Environment(loader=PackageLoader("irstd.reports"), autoescape=True, trim_blocks=True, lstrip_blocks=True)
UP = "../"  # from a page to the folder of the reports
PX_PER_PT = 96 / 72
# Sources that text names without a link, and where they are.
SOURCES = {
    r"(?:https?://)?github\.com/([\w.-]+/[\w.-]*\w)(?:, (?=\d*[a-f])([0-9a-f]{7,40}))?": "https://github.com/",
    r"arXiv (\d{4}\.\d{4,5})": "https://arxiv.org/abs/",
    r"doi (10\.\d{4,}/[^\s,;)|]+)": "https://doi.org/",
}
FOLDED = ("Provenance", "The data")  # headings whose sections open by a click
NUMBER = re.compile(r"[-\u2212+]?\d[\d,]*(\.\d+)?(e[-+]?\d+)?%?( \[[^\]]*\])?")
NOTHING = ("", "\u2013", "-")  # cells that say that there is no number
Menu = Mapping[str, Sequence[tuple[str, str]]]  # group to its pages: what each is called there, and its file's stem


class _Site(mistune.HTMLRenderer):
    """HTML of one report: links that hold from the page's folder, wide tables that scroll, figures to download."""

    def __init__(self, folder: Path | None) -> None:
        super().__init__(escape=True)  # names of scenes and titles may be anybody's
        self.folder, self.headings, self.under = folder, {}, ""

    def text(self, text: str) -> str:
        """Text, in which repositories (at the commit that is named), arXiv numbers and DOIs are links."""
        words = super().text(text)

        def link(found: re.Match[str], start: str) -> str:
            commit = f"/tree/{found[2]}" if found.re.groups > 1 and found[2] else ""
            return f'<a href="{start}{found[1]}{commit}">{found[0]}</a>'

        for pattern, start in SOURCES.items():
            words = re.sub(pattern, lambda m, start=start: link(m, start), words)
        return words

    def heading(self, text: str, level: int, **_attrs: Any) -> str:
        """A heading that can be linked to."""
        text = _unlinked(text)
        name = "".join(c if c.isalnum() else "-" for c in text.lower()).strip("-")
        self.under = re.sub("<[^>]+>", "", text)
        self.headings[name] = text if level == 2 else self.headings.get(name)
        return f'<h{level} id="{name}">{text}</h{level}>\n'

    def paragraph(self, text: str) -> str:
        """A paragraph; a figure is none."""
        return f"{text}\n" if text.startswith("<figure>") else super().paragraph(text)

    def block_code(self, code: str, info: str | None = None) -> str:
        """Code, which scrolls."""
        return super().block_code(code, info).replace("<pre>", '<pre tabindex="0">')

    def link(self, text: str, url: str, title: str | None = None) -> str:  # noqa: ARG002 - mistune passes it
        """A link to another report, or to a file beside the reports."""
        if self.folder is not None and "://" not in url and not url.startswith("#"):
            place, _, anchor = url.partition("#")
            page = UP + place
            if place.endswith(".md"):
                page = f"{place.removeprefix(UP).removeprefix(UP).removesuffix('.md').replace('/', '-')}.html"
            elif place.startswith("html/"):
                page = place.removeprefix("html/")
            url = f"{page}#{anchor}" if anchor else page
        kind = ' class="file" download' if url.endswith(".csv") else ""
        return f'<a href="{self.safe_url(url)}"{kind}>{_unlinked(text)}</a>'

    def image(self, text: str, url: str, title: str | None = None) -> str:  # noqa: ARG002 - mistune passes it
        """A figure with the picture inside the page, and the files it can be had as."""
        source, files, width = url, "", ""
        if self.folder is not None and not url.startswith("data:"):
            picture = self.folder / url
            svg = picture.read_bytes()
            source = f"data:image/svg+xml;base64,{b64encode(svg).decode()}"
            if points := re.search(rb'<svg[^>]* width="([\d.]+)pt"', svg):
                width = f' width="{round(float(points[1]) * PX_PER_PT)}"'
            files = f'<figcaption>{_quoted(_unlinked(text))}: <a href="{UP}{url}" download>SVG</a></figcaption>'
        # What it is called, and the heading that it answers.
        text = _unlinked(text)
        text = f"{self.under}: {text}" if self.under else text
        # Where it is wider than the screen the keyboard moves it; a link inside takes the focus otherwise.
        focus = "" if files else ' tabindex="0"'
        return f'<figure{focus}><img src="{source}" alt="{_quoted(text)}"{width}>{files}</figure>'


def _quoted(words: str) -> str:
    """Words of HTML or none, for an attribute."""
    return mistune.escape(unescape(words))


def _unlinked(words: str) -> str:
    """HTML without its links: none may hold another."""
    return re.sub("</?a( [^>]*)?>", "", words)


def _table(found: re.Match[str]) -> str:
    """A table that scrolls by itself, with columns of numbers set to the right."""
    rows = [re.findall(r"<t[hd](?: [^>]*)?>(.*?)</t[hd]>", row, re.DOTALL) for row in found[0].split("</tr>")]
    body = [[re.sub("<[^>]+>", "", cell).strip() for cell in row] for row in rows[1:] if row]
    numbers = [
        all(NUMBER.fullmatch(cell) or cell in NOTHING for cell in column) and any(map(NUMBER.fullmatch, column))
        for column in zip(*body, strict=False)
    ]
    column = -1

    def cell(opened: re.Match[str]) -> str:
        nonlocal column
        column = -1 if opened[0] == "<tr>" else column + 1
        if opened[0] == "<tr>":
            return opened[0]
        scope = ' scope="col"' if opened[1] == "h" else ""
        right = ' class="number"' if column < len(numbers) and numbers[column] else ""
        return f"<t{opened[1]}{scope}{right}>"

    marked = re.sub("<tr>|<t([hd])(?: [^>]*)?>", cell, found[0])
    marked = re.sub(r"<th(?: [^>]*)?>\s*</th>", "<td></td>", marked)  # an empty head is none
    # What scrolls can be reached by the keyboard only if it can have the focus.
    return f'<div class="table" tabindex="0">{marked}</div>'


def _folded(body: str) -> str:
    """Sections that few look for, closed; a link to one opens it, since its target is within."""
    first, *sections = re.split("(?=<h2 )", body)
    for place, section in enumerate(sections):
        heading, end, rest = section.partition("</h2>\n")
        if re.sub("<[^>]+>", "", heading) in FOLDED:
            target = re.search(' id="[^"]*"', heading)
            if end and target:
                heading = heading.replace(target[0], "")
                sections[place] = (
                    f"<details><summary>{heading}</h2></summary>\n<span{target[0]}></span>\n{rest}</details>\n"
                )
    return first + "".join(sections)


def gallery(title: str, words: str, groups: Mapping[str, Sequence[str]], menu: Menu | None = None) -> str:
    """A page of small pictures, each a link to its report.

    Args:
        groups: report to its pictures, files below the folder of the reports; they are not copied into the page.
        menu: of all pages of the site.
    """
    return TEMPLATES.get_template("gallery.html").render(
        title=title, words=words, groups=groups, up=UP, linked=True, menu=menu or {}, here="figures"
    )


def html(
    text: str,
    title: str,
    *,
    folder: Path | None = None,
    home: bool = False,
    made: Mapping[str, Any] | None = None,
    menu: Menu | None = None,
    here: str = "",
    of: str = "",
) -> str:
    """A page.

    Args:
        text: Markdown. Pictures in it are files below `folder`, or data.
        title: of the browser's tab.
        folder: where links of `text` start; None if it has none.
            The page is one folder below it.
        home: whether this is the home page, which others link to.
        made: said at the page's foot, by name.
        menu: of all pages of the site, shown on each.
        here: stem of this page's file.
        of: the dataset that it is of, said above it.
    """
    renderer = _Site(folder)
    body = mistune.create_markdown(renderer=renderer, plugins=["table", "strikethrough"])(text)
    body = _folded(re.sub("<table>.*?</table>", _table, str(body), flags=re.DOTALL))
    sections = {name: text for name, text in renderer.headings.items() if text}
    return TEMPLATES.get_template("page.html").render(
        body=body, title=title, linked=folder is not None and not home, sections=sections, made=made or {},
        menu=menu or {}, here=here, of=of,
    )  # fmt: skip
