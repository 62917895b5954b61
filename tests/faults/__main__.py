"""The whole campaign, about half an hour of one core: `python -m tests.faults`; see `damages`, `kills` and `readers`."""

import sys

from tests.faults import damages, kills, readers

sys.exit(min(damages.main() + readers.main(readers.SECONDS) + kills.main(), 1))
