"""Migration operations: https://docs.djangoproject.com/en/stable/ref/migration-operations/."""

from typing import TYPE_CHECKING

from pg_lo_storage.drivers.lazy import loaded

if TYPE_CHECKING:
    from pg_lo_storage.operations.operations import GuardFromVacuum, ManageLargeObjects

__all__ = ["GuardFromVacuum", "ManageLargeObjects"]


def __getattr__(name: str) -> object:
    # Loaded on first use: the triggers need no Django.
    return loaded(__name__, dict.fromkeys(__all__, "operations"), name)
