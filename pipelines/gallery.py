"""Show every figure of every report on one page: reports/html/figures.html."""

from irstd import page
from pipelines import REPORTS, run


def main() -> None:
    text = ["# Every figure\n\nEach is a link to the report it is from; reports have them as SVG and PNG."]
    for folder in sorted((REPORTS / "figures").iterdir()):
        pictures = sorted(folder.glob("*.png"))
        if pictures:
            text.append(f"## {folder.name}\n")
            text.append(page.thumbnails([p.relative_to(REPORTS).as_posix() for p in pictures], f"{folder.name}.md"))
    target = REPORTS / "html/figures.html"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(page.html("\n\n".join(text), "Every figure", folder=REPORTS))
    print(f"every figure: {target}")


if __name__ == "__main__":
    run(main)
