"""Say what packed weights are and can do: DATASET METHOD SEED -> runs/weights/DATASET/METHOD.md."""

import hashlib
import json
from types import SimpleNamespace

from jinja2 import Environment, PackageLoader, StrictUndefined
from pandas import DataFrame

from irstd import tables
from irstd.data import catalogue
from irstd.errors import InputError
from irstd.inference import weights
from irstd.metrics.conventions import CONVENTIONS
from irstd.results import reading, store
from irstd.tables import scoring as score_tables
from irstd.tables import weights as weight_tables
from pipelines import RESULTS, WEIGHTS, run

OWN = SimpleNamespace(title="a dataset of one's own", sizes="its own sizes", licence="its owner's", cite="its source")
TEMPLATES = Environment(  # noqa: S701 - Markdown is written here, not HTML
    loader=PackageLoader("irstd.reports"), undefined=StrictUndefined, keep_trailing_newline=True, trim_blocks=True
)


def main(dataset: str, method: str, seed: str) -> None:
    path = WEIGHTS / dataset / f"{method}.safetensors"
    label = weights.read_label(path)
    cell = RESULTS.joinpath(dataset, method, seed)
    made, metrics = (json.loads((cell / f"{kind}.json").read_text()) for kind in ("provenance", "metrics"))
    card = json.loads((RESULTS / "methods" / f"{method}.json").read_text())
    titles = {method: card["title"]}
    scored = reading.transfer(RESULTS)
    scored = scored[(scored["dataset"] == dataset) & (scored["method"] == method) & (scored["seed"] == seed)]
    own = scored[scored["on"] == dataset]
    if own.empty:
        cell = f"{dataset}-{method}-{seed}"
        raise InputError(f"these weights are not scored on {dataset} yet; run `dvc repro transfer@{cell}-{dataset}`")
    points = bool(own["iou"].isna().all())  # a method without a map, whose scores have no natural one half
    chosen = points or label.threshold != 0.5
    shown = {k: metrics[k] for k in ("iou", "pd", "f1") if metrics.get(k) is not None}
    elsewhere = weight_tables.transfer(scored, titles).drop(columns=["method", "trained on"])
    text = TEMPLATES.get_template("weights.md.j2").render(
        title=card["title"],
        paper=card["paper"],
        parameters=f"{card['parameters']:,}",
        label=label,
        file=path.name,
        mb=f"{path.stat().st_size / 1e6:.1f}",
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        data=catalogue.ENTRIES.get(dataset, OWN),
        made=made,
        labels="one point a target" if card["supervision"] == "point" else "masks",
        points=points,
        twins=tables.twins(store.read(RESULTS / dataset / "scenes.csv", "scenes")),
        convention=metrics["convention"],
        threshold=f"{label.threshold:.3g}" + (", chosen on the held-out scenes" if chosen else ""),
        minutes=tables.number(made["wall_s"] and made["wall_s"] / 60, ".0f"),
        precision=tables.arithmetic(made["precision"]),
        transfer=_markdown(elsewhere),
        full=", ".join(f"{tables.SCORES[k]} {tables.percent(v)}" for k, v in shown.items()),
        conventions=_markdown(score_tables.conventions(own, {c.name: c.faults for c in CONVENTIONS.values()})),
    )
    path.with_suffix(".md").write_text(text)


def _markdown(table: DataFrame) -> str:
    return table.to_markdown(index=False, disable_numparse=True)


if __name__ == "__main__":
    run(main)
