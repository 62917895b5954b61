"""Write every report that needs only reports/results, and the home page: no data, weights, torch or DVC."""

import os
import sys
from concurrent.futures import ProcessPoolExecutor, as_completed

from irstd.config import params
from pipelines import gallery, run
from pipelines.report import has_results, render, reports


def main() -> None:
    given = params.load()
    unknown = [d for d in given.datasets if not has_results(d)]
    wanted = {n: one for n, one in reports(given).items() if one.public and one.dataset not in unknown}
    for dataset in unknown:
        print(f"{dataset} has no results yet, so there is no report of it; run `dvc repro report@{dataset}`")
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # as many notebooks as cores run at a time
    failed = []
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        # The longest first, so that no core waits at the end.
        jobs = {pool.submit(render, name, one): name for name, one in sorted(wanted.items(), key=_length)}
        for job in as_completed(jobs):
            if (error := job.exception()) is None:
                print(job.result(), flush=True)
            else:
                failed.append(f"{jobs[job]}: {str(error).strip().splitlines()[-1]}")
    gallery.main()
    if failed:
        sys.exit(f"error: {len(failed)} of {len(wanted)} reports could not be made: {'; '.join(failed)}")


def _length(item: tuple) -> int:
    order = ("12_failures", "04_pinwheel_orientation", "07_conventions", "01_comparison")
    return order.index(item[1].notebook) if item[1].notebook in order else len(order)


if __name__ == "__main__":
    run(main)
