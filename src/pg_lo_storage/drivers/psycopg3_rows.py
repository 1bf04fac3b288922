"""Rows of psycopg 3 that are handed on one by one while the server sends more, and leave the connection as it was.

:meth:`psycopg.Cursor.stream` leaves libpq in its single-row mode, in which a pipeline that comes next fails. A pipeline
of one statement ends that mode itself: https://www.postgresql.org/docs/current/libpq-pipeline-mode.html
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, LiteralString, cast

import psycopg
from psycopg.errors import error_from_result
from psycopg.pq import ConnStatus, ExecStatus, Format
from psycopg.waiting import Ready, Wait

from pg_lo_storage.drivers.base import Sink

if TYPE_CHECKING:
    from psycopg.abc import PQGen
    from psycopg.pq.abc import PGconn, PGresult

__all__ = ["sending", "stream_rows"]


def stream_rows(
    connection: "psycopg.Connection[object]", query: LiteralString, params: Sequence[object], sink: Sink
) -> int:
    """Run a statement of one bytea a row, with integers and strings as parameters, and hand each row to ``sink``.

    Returns the number of rows. On a connection in no pipeline, and in a transaction or in autocommit.
    """
    first, *rest = query.split("%s")
    text = first + "".join(f"${number}{part}" for number, part in enumerate(rest, 1))
    values = [str(value).encode() for value in params]
    with connection.lock:
        return connection.wait(_streaming(connection.pgconn, text.encode(), values, sink))


def _streaming(pgconn: "PGconn", query: bytes, params: list[bytes], sink: Sink) -> "PQGen[int]":
    count = 0
    failure: PGresult | None = None
    pgconn.enter_pipeline_mode()
    try:
        pgconn.send_query_params(query, params, result_format=Format.BINARY)
        pgconn.set_single_row_mode()
        pgconn.pipeline_sync()
        yield from sending(pgconn)
        while True:
            while pgconn.is_busy():
                yield Wait.R
                pgconn.consume_input()
            result = pgconn.get_result()
            if result is None:
                continue
            if result.status == ExecStatus.SINGLE_TUPLE:
                sink(cast("bytes", result.get_value(0, 0)))
                count += 1
            elif result.status == ExecStatus.PIPELINE_SYNC:
                break
            elif result.status != ExecStatus.TUPLES_OK:
                failure = failure or result
    finally:
        if pgconn.status != ConnStatus.BAD:
            pgconn.exit_pipeline_mode()
    if failure is not None:
        raise error_from_result(failure)
    return count


def sending(pgconn: "PGconn") -> "PQGen[None]":
    """Send what is queued. psycopg waits for results before: of a large value sent in part, there never are any."""
    while pgconn.flush():
        if (yield Wait.RW) & Ready.R:
            pgconn.consume_input()
