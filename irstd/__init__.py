"""A workbench for infrared small target detection: data, methods, losses, metrics, figures.

The library knows no paths, no `params.yaml`, no DVC and no papermill; `pipelines` is where those are.
"""

__version__ = "0.1.0"
