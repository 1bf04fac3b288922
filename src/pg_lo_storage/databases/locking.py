"""Rows that name files, locked for a change of theirs."""

from typing import Any, Final, cast

from django.db import InternalError, connections, models

from pg_lo_storage.drivers.errors import sqlstate_of, translate
from pg_lo_storage.drivers.qualified import qualified

__all__ = ["locked", "see_what_is_committed"]

_WAITING: Final = (
    "select case when current_setting('lock_timeout') = '0' then set_config('lock_timeout', %s::text, true) end"
)


def see_what_is_committed(alias: str, patience: float | None = None) -> None:
    """Have each statement of a transaction that has just begun see what was committed before the statement.

    With ``patience`` none waits for more seconds for what another transaction has locked, unless the session says
    otherwise.
    """
    if connections[alias].vendor == "postgresql":
        with connections[alias].cursor() as cursor:
            cursor.execute("set transaction isolation level read committed")
            if patience is not None:
                cursor.execute(qualified(_WAITING), [f"{patience}s"])


def locked(rows: "models.QuerySet[models.Model]", *attributes: str) -> list[tuple[Any, ...]]:
    """Lock the rows until the transaction ends, and return what they have.

    :raises LargeObjectReadOnly: the transaction, or the server, is read-only.
    """
    try:
        return cast("list[tuple[Any, ...]]", list(rows.select_for_update(no_key=True).values_list(*attributes)))
    except InternalError as error:
        if (cause := error.__cause__) is None or (found := translate(sqlstate_of(cause), None)) is None:
            raise
        raise found from cause
