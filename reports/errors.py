"""The one exception whose text goes to a person as a single line, without a traceback."""

from __future__ import annotations

import importlib
from types import ModuleType

__all__ = ["UserError", "need"]


class UserError(Exception):
    """A mistake in what the user asked for; ``str(error)`` names it and the cure."""


def need(module: str, what: str, extra: str = "report") -> ModuleType:
    """Import an optional module, or say in one line which extra brings it.

    Parameters
    ----------
    module : str
        Module to import.
    what : str
        What the user wanted to do, as the subject of the sentence ("figures", "--plot").
    extra : str
        Name of the extra that holds the module.

    Raises
    ------
    UserError
        If the module is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError:
        package = module.partition(".")[0]
        raise UserError(f'{what} needs {package}, which is not installed: pip install "ritzkit[{extra}]"') from None
