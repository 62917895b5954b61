"""Check params.yaml before anything is touched: DVC clears a stage's results before it runs the stage."""

from irstd import methods, params, training
from pipelines import RUNS, run


def main() -> None:
    given = params.load()
    training.precision(given.train.precision, training.device(given.train.device))
    for name in given.methods:
        row = given.row(name)
        params.check(methods.get(row.method or name).options, row.options, f"method.{name}.options")
    # What it says never changes, so that a mended comment reruns nothing else.
    RUNS.mkdir(exist_ok=True)
    (RUNS / "params-are-right").write_text("yes\n")


if __name__ == "__main__":
    run(main)
