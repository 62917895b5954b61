"""Markdown to a page of the site: one HTML file, pictures inside, that needs no network and no script."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import mistune
from jinja2 import Environment, PackageLoader

TEMPLATES = Environment(loader=PackageLoader("irstd.reports"), autoescape=True, trim_blocks=True, lstrip_blocks=True)
UP = "../"  # from a page to the folder of the reports
PX_PER_PT = 96 / 72


class _Site(mistune.HTMLRenderer):
    """HTML of one report: links that hold from the page's folder, wide tables that scroll, figures to download."""

    def __init__(self, folder: Path | None) -> None:
        super().__init__(escape=True)  # names of scenes and titles may be anybody's
        self.folder, self.headings = folder, {}

    def heading(self, text: str, level: int, **_attrs: Any) -> str:
        """A heading that can be linked to."""
        name = "".join(c if c.isalnum() else "-" for c in text.lower()).strip("-")
        self.headings[name] = text if level == 2 else self.headings.get(name)
        return f'<h{level} id="{name}">{text}</h{level}>\n'

    def paragraph(self, text: str) -> str:
        """A paragraph; a figure is none."""
        return f"{text}\n" if text.startswith("<figure>") else super().paragraph(text)

    def link(self, text: str, url: str, title: str | None = None) -> str:  # noqa: ARG002 - mistune passes it
        """A link to another report, or to a file beside the reports."""
        if self.folder is not None and "://" not in url and not url.startswith("#"):
            place, _, anchor = url.partition("#")
            page = UP + place
            if place.endswith(".md") and "/" not in place:
                page = f"{place.removesuffix('.md')}.html"
            elif place.startswith("html/"):
                page = place.removeprefix("html/")
            url = f"{page}#{anchor}" if anchor else page
        kind = ' class="file" download' if url.endswith(".csv") else ""
        return f'<a href="{self.safe_url(url)}"{kind}>{text}</a>'

    def image(self, text: str, url: str, title: str | None = None) -> str:  # noqa: ARG002 - mistune passes it
        """A figure with the picture inside the page, and the files it can be had as."""
        source, files, width = url, "", ""
        if self.folder is not None and not url.startswith("data:"):
            picture = self.folder / url
            svg = picture.read_bytes()
            source = f"data:image/svg+xml;base64,{b64encode(svg).decode()}"
            if points := re.search(rb'<svg[^>]* width="([\d.]+)pt"', svg):
                width = f' width="{round(float(points[1]) * PX_PER_PT)}"'
            files = f'<figcaption>{mistune.escape(text)}: <a href="{UP}{url}" download>SVG</a></figcaption>'
        return f'<figure><img src="{source}" alt="{mistune.escape(text)}"{width}>{files}</figure>'


def gallery(title: str, words: str, groups: Mapping[str, Sequence[str]]) -> str:
    """A page of small pictures, each a link to its report.

    Args:
        groups: report to its pictures, files below the folder of the reports; they are not copied into the page.
    """
    return TEMPLATES.get_template("gallery.html").render(title=title, words=words, groups=groups, up=UP, linked=True)


def html(
    text: str,
    title: str,
    *,
    folder: Path | None = None,
    home: bool = False,
    made: Mapping[str, Any] | None = None,
) -> str:
    """A page.

    Args:
        text: Markdown. Pictures in it are files below `folder`, or data.
        title: of the browser's tab.
        folder: where links of `text` start; None if it has none.
            The page is one folder below it.
        home: whether this is the home page, which others link to.
        made: said at the page's foot, by name.
    """
    renderer = _Site(folder)
    body = mistune.create_markdown(renderer=renderer, plugins=["table", "strikethrough"])(text)
    body = str(body).replace("<table>", '<div class="table"><table>').replace("</table>", "</table></div>")
    sections = {name: text for name, text in renderer.headings.items() if text}
    return TEMPLATES.get_template("page.html").render(
        body=body, title=title, linked=folder is not None and not home, sections=sections, made=made or {}
    )
