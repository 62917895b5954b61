"""Report on what labels cost on a dataset: DATASET -> reports/html/DATASET-labels.html, reports/DATASET-labels.md."""

import json

from irstd import params
from pipelines import RESULTS, run
from pipelines.report import UP, render


def main(dataset: str) -> None:
    given = params.load()
    by_labels: dict[str, list[str]] = {"point": [], "mask": []}
    study = given.studies["labelling"].methods
    originals = {given.row(name).method for name in study}
    for name in (*given.methods, *study):
        card = json.loads((RESULTS / "methods" / f"{name}.json").read_text())
        # Of the methods trained on points, those that the study varies.
        if card["supervision"] == "mask" or name in originals or name in study:
            by_labels[card["supervision"]].append(name)
    render(
        "02_labels.ipynb",
        f"{dataset}-labels",
        results=str(UP / RESULTS),
        datasets=[dataset],
        clicks=by_labels["point"],
        masks=by_labels["mask"],
    )


if __name__ == "__main__":
    run(main)
