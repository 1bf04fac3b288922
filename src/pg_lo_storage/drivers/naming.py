"""Connection classes by their dotted names, of which nothing is imported."""

import sys
from collections.abc import Callable, Iterable, Mapping
from types import ModuleType
from typing import Final, TypeVar

__all__ = ["WHEN_REGISTERED", "dotted", "found", "misplaced", "register"]

_T = TypeVar("_T")

WHEN_REGISTERED: Final[list[Callable[[], object]]] = []
"""What forgets the drivers that were found, of both kinds: each asks what is registered for the other."""


def dotted(cls: type) -> str:
    """Return the name that a class has where it is defined."""
    return f"{cls.__module__}.{cls.__qualname__}"


def found(factories: Mapping[str, _T], cls: type) -> _T | None:
    """Return what is registered for a class, by any name of it; of several the newest."""
    return next((factories[name] for name in reversed(list(factories)) if _means(name, cls)), None)


def misplaced(kind: type, base: type, others: Iterable[Mapping[str, object]]) -> object:
    """Return what is registered among the others for a class or its bases up to that one; or ``None``."""
    nearer = kind.__mro__[: kind.__mro__.index(base) + 1]
    named = (found(factories, each) for factories in others for each in nearer)
    return next((factory for factory in named if factory is not None), None)


def register(registered: dict[str, _T], cls: type | str, factory: _T | None) -> _T | None:
    """Register a factory for a class, or with ``None`` no more; return the one that it replaces."""
    name = cls if isinstance(cls, str) else dotted(cls)
    kind = _imported(cls) if isinstance(cls, str) else cls
    same = [other for other in registered if other == name or (isinstance(kind, type) and _means(other, kind))]
    replaced = [registered.pop(other) for other in same]
    if factory is not None:
        registered[name] = factory
    for forget in WHEN_REGISTERED:
        forget()
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
