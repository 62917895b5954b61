"""A row of params.yaml with its method looked up and its options checked: what most stages begin with."""

from typing import Any

from irstd import methods
from irstd.config import params


def method_of(given: params.Params, name: str) -> tuple[methods.Method, Any]:
    """The method of the row `name`, and its options.

    Raises:
        InputError: no such row or method, or an option that the method does not have.
    """
    row = given.row(name)
    method = methods.get(row.method or name)
    return method, params.check(method.options, row.options, f"method.{name}.options")
