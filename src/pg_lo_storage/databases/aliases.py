"""Which of Django's databases have the files."""

from django.conf import settings
from django.core import checks
from django.core.files.storage import Storage
from django.db import DEFAULT_DB_ALIAS

__all__ = ["LargeObjectStorage", "db_for_read", "db_for_write"]


def db_for_read(alias: str | None = None) -> str:
    """Return ``alias``, else the setting ``PG_LO_STORAGE_DB_FOR_READ``, else ``default``."""
    return alias or getattr(settings, "PG_LO_STORAGE_DB_FOR_READ", None) or DEFAULT_DB_ALIAS


def db_for_write(alias: str | None = None) -> str:
    """Return ``alias``, else the setting ``PG_LO_STORAGE_DB_FOR_WRITE``, else ``default``."""
    return alias or getattr(settings, "PG_LO_STORAGE_DB_FOR_WRITE", None) or DEFAULT_DB_ALIAS


class LargeObjectStorage(Storage):
    """The base of every storage of large objects, by which modules below the storage recognise it."""

    @property
    def write_alias(self) -> str:
        """The database that files are saved, changed and deleted on."""
        raise NotImplementedError


@checks.register("pg_lo_storage")
def check_renamed_settings(**_options: object) -> list[checks.CheckMessage]:
    """Warn of each setting of warehouse-py that is still there, and name its replacement."""
    renamed = {f"WAREHOUSE_{name}": f"PG_LO_STORAGE_{name}" for name in ("DB_FOR_READ", "DB_FOR_WRITE")}
    return [
        checks.Warning(
            f"The setting {old} of warehouse-py has no effect: it is called {new} now.",
            hint=f"Rename {old} to {new} in the settings.",
            id="pg_lo_storage.W001",
        )
        for old, new in renamed.items()
        if hasattr(settings, old)
    ]
