"""Connection classes by their dotted names, of which nothing is imported."""

import sys
from collections.abc import Mapping
from types import ModuleType
from typing import TypeVar

__all__ = ["dotted", "found", "register"]

_T = TypeVar("_T")


def dotted(cls: type) -> str:
    """Return the name that a class has where it is defined."""
    return f"{cls.__module__}.{cls.__qualname__}"


def found(factories: Mapping[str, _T], cls: type) -> _T | None:
    """Return what is registered for a class, by any name of it; of several the newest."""
    return next((factories[name] for name in reversed(list(factories)) if _means(name, cls)), None)


def register(registered: dict[str, _T], cls: type | str, factory: _T | None) -> _T | None:
    """Register a factory for a class, or with ``None`` no more; return the one that it replaces."""
    name = cls if isinstance(cls, str) else dotted(cls)
    kind = _imported(cls) if isinstance(cls, str) else cls
    same = [other for other in registered if other == name or (isinstance(kind, type) and _means(other, kind))]
    replaced = [registered.pop(other) for other in same]
    if factory is not None:
        registered[name] = factory
    return replaced[-1] if replaced else None


def _means(name: str, cls: type) -> bool:
    # Any class that there is was imported, and the packages around its module with it: where most public names stand.
    return name == dotted(cls) or (name.endswith(f".{cls.__name__}") and _imported(name) is cls)


def _imported(name: str) -> object:
    """Return what has the name among the modules that were imported; ``None`` if there is nothing."""
    module, _, attribute = name.rpartition(".")
    loaded = sys.modules.get(module)
    # Not getattr(): a module's own __getattr__ may import.
    return vars(loaded).get(attribute) if isinstance(loaded, ModuleType) else None
