"""Obtain a dataset: DATASET -> data/raw/DATASET, from the mirror, its official place, a public copy, or a seed."""

import os
import shutil

from irstd.config import params
from irstd.data import download, synthetic
from pipelines import ARCHIVES, RAW, run


def main(dataset: str) -> None:
    source = params.load().data(dataset).source
    folder = RAW / dataset
    if isinstance(source, params.Made):
        building = folder.with_name(f"{dataset}.part")
        shutil.rmtree(building, ignore_errors=True)
        download.finish(building, folder, synthetic.write(source.scenes, building), "made from a seed")
    elif isinstance(source, params.Folder):
        notes = download.copy_own(dataset, source.folder, folder, levels=source.levels, skip_broken=source.skip_broken)
        print("\n".join([f"{dataset}: {notes[0]}", *notes[1:]]))
    else:
        mirror = os.environ.get("IRSTD_MIRROR")
        origin = download.obtain(dataset, folder, ARCHIVES, mirror=mirror, progress=True)
        print(f"{dataset}: from {origin}, every pixel as verified")


if __name__ == "__main__":
    run(main)
