"""Migration operations: https://docs.djangoproject.com/en/stable/ref/migration-operations/."""

from typing import TYPE_CHECKING, Final

from pg_lo_storage.drivers.lazy import loaded

if TYPE_CHECKING:
    from pg_lo_storage.operations.operations import GuardFromVacuum, ManageLargeObjects
    from pg_lo_storage.operations.statistics import ShowStatistics

__all__ = ["GuardFromVacuum", "ManageLargeObjects", "ShowStatistics"]

_MODULES: Final = {"GuardFromVacuum": "operations", "ManageLargeObjects": "operations", "ShowStatistics": "statistics"}


def __getattr__(name: str) -> object:
    # Loaded on first use: the triggers need no Django.
    return loaded(__name__, _MODULES, name)
