"""Names that a package offers where what they need is installed; nothing is imported before they are used."""

from collections.abc import Mapping
from importlib.util import find_spec

__all__ = ["leave_out_missing"]


def leave_out_missing(names: list[str], needs: Mapping[str, str]) -> None:
    """Remove from a package's ``__all__`` what needs a module that is not installed, for ``import *`` to work."""
    installed = {module for module in set(needs.values()) if _is_installed(module)}
    names[:] = [name for name in names if needs.get(name, name) in {name, *installed}]


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ImportError:  # an import hook refuses it
        return False
