"""Networks in somebody's own clone: stand-ins of the shapes that the field's repositories have."""

import shutil

from tests.conftest import ROOT

BLOCKS = """
from torch import nn
from torch.nn import functional as F


def block(width_in, width):
    return nn.Sequential(nn.Conv2d(width_in, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU())
"""
LOGITS = """
import torch
from torch import nn
from torch.nn import functional as F
from model.blocks import block


class PlainUNet(nn.Module):
    def __init__(self, width=8):
        super().__init__()
        self.a, self.b, self.c = block(1, width), block(width, width), block(2 * width, width)
        self.head = nn.Conv2d(width, 1, 1)

    def forward(self, x):
        a = self.a(x)
        b = F.interpolate(self.b(F.max_pool2d(a, 4)), scale_factor=4)
        return self.head(self.c(torch.cat([a, b], 1)))
"""
DEEP = """
from torch import nn
from torch.nn import functional as F
from .blocks import block


class DeepNet(nn.Module):
    def __init__(self, in_channels, width, deep=True):
        super().__init__()
        self.a, self.b = block(in_channels, width), block(width, width)
        self.heads = nn.ModuleList([nn.Conv2d(width, 1, 1) for _ in range(2)])
        self.idle = nn.Linear(3, 3)
        self.deep = deep

    def forward(self, x, warm):
        a = self.a(x)
        b = self.b(F.avg_pool2d(a, 2))
        small, whole = self.heads[0](b).sigmoid(), self.heads[1](a).sigmoid()
        return [small, whole] if self.training and self.deep else whole
"""
SOFTMAX = """
from torch import nn
from model.blocks import block  # another clone's package of the same name


class TwoClasses(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.head = block(3, 6), nn.Conv2d(6, 2, 1)

    def forward(self, x):
        out = self.head(self.body(x))
        return {"out": out if self.training else out.softmax(1)}
"""


def clone(folder, name, text, blocks=BLOCKS):
    """A repository with a package `model`, as nearly all have."""
    (folder / "model").mkdir(parents=True)
    (folder / "model/__init__.py").write_text("")
    (folder / "model/blocks.py").write_text(blocks)
    (folder / f"model/{name}.py").write_text(text)
    return folder


def clones(folder):
    """Three of them."""
    made = {
        "plain": clone(folder / "plain", "unet", LOGITS),
        "deep": clone(folder / "deep", "net", DEEP),
        "soft": clone(folder / "soft", "seg", SOFTMAX, BLOCKS.replace("nn.ReLU()", "nn.Tanh()")),
    }
    return {name: folder.resolve() for name, folder in made.items()}


def checkout(folder):
    """As much of a checkout of this project as a new method and its tests need."""
    for name in ("irstd", "tests"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("params.yaml", "pyproject.toml"):
        shutil.copy(ROOT / name, folder / name)
    return folder
