"""Names that a package offers where what they need is installed; nothing is imported before they are used."""

from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec

__all__ = ["leave_out_missing", "loaded"]


def loaded(package: str, modules: Mapping[str, str], name: str) -> object:
    """Return what a package offers from one of its modules, for its ``__getattr__``."""
    if name not in modules:
        message = f"module {package!r} has no attribute {name!r}"
        raise AttributeError(message)
    return getattr(import_module(f"{package}.{modules[name]}"), name)


def leave_out_missing(names: list[str], needs: Mapping[str, str]) -> None:
    """Remove from a package's ``__all__`` what needs a module that is not installed, for ``import *`` to work."""
    installed = {module for module in set(needs.values()) if _is_installed(module)}
    names[:] = [name for name in names if needs.get(name, name) in {name, *installed}]


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ImportError:  # an import hook refuses it
        return False
