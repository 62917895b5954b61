"""Describe a method: METHOD -> its card among the results, with size, multiply-adds and a digest of its code."""

from irstd import methods
from irstd.config import params
from irstd.inference import profiling
from irstd.results import provenance, store
from pipelines import RESULTS, run
from pipelines.lookup import method_of, network_of


def main(method: str) -> None:
    given = params.load()
    chosen, _ = method_of(given, method)
    name = given.row(method).method or method
    network = network_of(given, method)
    gmac = profiling.gmac(network)
    card = {
        "method": name,
        "title": chosen.title if name == method else f"{chosen.title} ({method})",
        "paper": chosen.paper,
        "supervision": chosen.supervision,
        "parameters": profiling.parameters(network),
        "gmac_256": round(gmac, 4),
        "gflop_256": round(2 * gmac, 4),
        "sources": provenance.source_digest(methods.module_name(name)),
    }
    store.write_json(card, RESULTS / "methods" / f"{method}.json")


if __name__ == "__main__":
    run(main)
