"""Files in PostgreSQL large objects."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pg_lo_storage.transfer import Saved, copy, lo_export, lo_import, load, open, save  # noqa: A004 -- as pg_lo_storage.open

__all__ = ["Saved", "copy", "lo_export", "lo_import", "load", "open", "save"]


def __getattr__(name: str) -> object:
    # Loaded on first use: importing any submodule imports this module first.
    if name not in __all__:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    from pg_lo_storage import transfer

    value: object = getattr(transfer, name)
    return value
