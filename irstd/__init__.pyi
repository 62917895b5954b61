from irstd.apps import datasets as datasets
from irstd.apps.api import load as load
from irstd.apps.api import score as score

__version__: str
