"""Rows that name files, locked for a change of theirs."""

from typing import Any, cast

from django.db import InternalError, models

from pg_lo_storage.drivers.errors import sqlstate_of, translate

__all__ = ["locked"]


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
