"""Measure what a method costs on this machine: METHOD -> rows of its cost table; rows of other machines stay.

Other work that runs here is measured as well: there is a warning, the rows say so, and they are not published.
"""

import sys

import pandas as pd
import torch

from irstd.config import params
from irstd.inference import devices, profiling
from irstd.results import store
from irstd.tables import BUSY
from pipelines import RESULTS, run
from pipelines.lookup import network_of


def main(method: str) -> None:
    given = params.load()
    if (share := profiling.busy()) > BUSY:
        print(
            f"warning: {share:.0%} of this machine's processors are busy with other work, which is measured as well; "
            f"when it has ended, run `dvc repro -f -s cost@{method}`",
            file=sys.stderr,
        )
    on = devices.device(given.train.device)
    if given.cost.threads:
        torch.set_num_threads(given.cost.threads)
    torch.backends.cudnn.allow_tf32 = False  # float32 is what the table says
    network = network_of(given, method).to(on)
    threads = f", {torch.get_num_threads()} threads" if on.type == "cpu" else ""
    hardware = devices.hardware(on) + threads
    rows = []
    for size in given.cost.sizes:
        gmac = profiling.gmac(network, size)
        for batch in given.cost.batches:
            for form in given.cost.forms:
                if (form == "graph") != (on.type == "cuda") and form in ("graph", "onnxruntime"):
                    continue  # each of the two exists on one kind of device only
                took = profiling.latency(network, size, batch, given.cost.repeats, form, given.cost.threads)
                print(
                    f"{method}: {form}, {size} px, batch {batch}: {took.median_ms:.1f} ms, {took.fps:.1f} images/s",
                    flush=True,
                )
                rows.append(
                    {
                        "method": method, "hardware": hardware, "precision": "float32", "form": form, "size_px": size,
                        "batch": batch, "parameters": profiling.parameters(network), "gmac": gmac, "gflop": 2 * gmac,
                        "latency_ms": took.median_ms, "fps": took.fps, "memory_mb": took.memory_mb, "busy": share,
                    }
                )  # fmt: skip
    path = RESULTS / "cost" / f"{method}.csv"
    table = pd.DataFrame(rows)
    if path.exists():
        earlier = store.read(path, "cost")
        table = pd.concat([earlier[earlier["hardware"] != hardware], table], ignore_index=True)
    store.write(table, path, "cost")


if __name__ == "__main__":
    run(main)
