"""Check params.yaml before anything is touched: DVC clears a stage's results before it runs the stage."""

from irstd.config import params
from irstd.training import loop
from pipelines import RUNS, run
from pipelines.rows import method_of


def main() -> None:
    given = params.load()
    loop.precision(given.train.precision, loop.device(given.train.device))
    for name in (*given.methods, *(row for study in given.studies.values() for row in study.methods)):
        method_of(given, name)
    # What it says never changes, so that a mended comment reruns nothing else.
    RUNS.mkdir(exist_ok=True)
    (RUNS / "params-are-right").write_text("yes\n")


if __name__ == "__main__":
    run(main)
