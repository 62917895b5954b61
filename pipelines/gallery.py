"""Show every figure of every report on one page: reports/html/figures.html."""

from irstd.reports import page
from pipelines import REPORTS, run


def main() -> None:
    groups = {
        folder.name: [p.relative_to(REPORTS).as_posix() for p in sorted(folder.glob("*.png"))]
        for folder in sorted((REPORTS / "figures").iterdir())
        if (REPORTS / "html" / f"{folder.name}.html").exists()  # of a report that is there
    }
    target = REPORTS / "html/figures.html"
    target.parent.mkdir(parents=True, exist_ok=True)
    words = "Each is a link to the report it is from; reports have them as SVG and PNG."
    target.write_text(page.gallery("Every figure", words, {k: v for k, v in groups.items() if v}))
    print(f"every figure: {target}")


if __name__ == "__main__":
    run(main)
