"""Migration operations: https://docs.djangoproject.com/en/stable/ref/migration-operations/."""

from pg_lo_storage.operations.operations import GuardFromVacuum, ManageLargeObjects

__all__ = ["GuardFromVacuum", "ManageLargeObjects"]
