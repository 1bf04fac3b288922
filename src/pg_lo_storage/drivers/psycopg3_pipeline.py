"""A pipeline of psycopg 3 for one thread alone, which hands results on while the server sends more.

:meth:`psycopg.Connection.pipeline` lets other threads' statements in. :meth:`psycopg.Cursor.stream` leaves libpq in its
single-row mode, in which the next pipeline fails; a pipeline itself ends that mode:
https://www.postgresql.org/docs/current/libpq-pipeline-mode.html
"""

import functools
import time
from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter
from typing import TYPE_CHECKING, Final, LiteralString, cast

import psycopg
from psycopg.adapt import PyFormat, Transformer
from psycopg.errors import error_from_result
from psycopg.pq import ConnStatus, ExecStatus, Format, TransactionStatus
from psycopg.waiting import Ready, Wait, wait

from pg_lo_storage.drivers.base import Sink
from pg_lo_storage.drivers.psycopg3_lock import check_no_query_of_this_thread
from pg_lo_storage.drivers.psycopg3_values import Context
from pg_lo_storage.drivers.queries import Rows

if TYPE_CHECKING:
    from psycopg import abc
    from psycopg.abc import PQGen
    from psycopg.pq.abc import PGconn, PGresult

__all__ = ["can_pipeline", "pipeline_of", "run_all", "sending", "settle", "stream_rows"]

# Seconds that the server is given to cancel, and to end, what was interrupted, as psycopg gives it after Ctrl-C.
_PATIENCE: Final = 5.0
_INTERVAL: Final = 0.1  # seconds between two looks at the clock

pipeline_of: Final = cast("Callable[[psycopg.Connection[object]], object]", attrgetter("_pipeline"))
"""The pipeline that the connection's user has it in, or ``None``.

libpq's status would also report our own pipeline in another thread.
"""


def can_pipeline(connection: "psycopg.Connection[object]") -> bool:
    """Tell whether our pipeline can begin: not within another, nor where psycopg must first begin a transaction."""
    begins = connection.pgconn.transaction_status == TransactionStatus.IDLE and not connection.autocommit
    return not begins and pipeline_of(connection) is None and psycopg.Pipeline.is_supported()


def run_all(
    connection: "psycopg.Connection[object]", statements: Iterable[tuple[LiteralString, Sequence[object]]]
) -> list[Rows]:
    """Run statements without a wait between them, each sent before the next is taken; return the rows of each."""
    results: list[PGresult] = []
    _run(connection, _pipeline(connection, statements, results))
    transformer = Transformer(Context(connection))
    rows: list[Rows] = []
    for result in results:
        transformer.set_pgresult(result)
        rows.append(transformer.load_rows(0, result.ntuples, tuple))
    return rows


def stream_rows(
    connection: "psycopg.Connection[object]", query: LiteralString, params: Sequence[object], sink: Sink
) -> int:
    """Run a statement whose rows are one bytea each, hand each to ``sink`` as it comes, and return their number."""
    return _run(connection, _pipeline(connection, [(query, params)], [], sink))


def _run(connection: "psycopg.Connection[object]", statements: "PQGen[int]") -> int:
    if connection.lock.locked():
        check_no_query_of_this_thread(connection)
    with connection.lock:
        try:
            return connection.wait(statements)
        finally:
            _leave_pipeline(connection)


def _leave_pipeline(connection: "psycopg.Connection[object]") -> None:
    """Leave the pipeline; after an exception (a signal's, for example) first cancel what is pending."""
    pgconn = connection.pgconn
    try:
        if pgconn.status != ConnStatus.BAD:
            pgconn.exit_pipeline_mode()
    except psycopg.OperationalError:
        _cancel(connection, _left)
    except BaseException:
        pgconn.finish()
        raise


def settle(connection: "psycopg.Connection[object]") -> None:
    """Cancel a statement outside a pipeline that an exception, a signal's for example, has left on its way.

    Of its own accord psycopg does so for ``KeyboardInterrupt`` alone. A statement of another thread goes on.
    """
    if pipeline_of(connection) is not None or not connection.lock.acquire(blocking=False):
        return
    try:
        if connection.pgconn.transaction_status == TransactionStatus.ACTIVE:
            _cancel(connection, _ended)
    finally:
        connection.lock.release()


def _cancel(connection: "psycopg.Connection[object]", taking: "Callable[[PGconn, float], PQGen[None]]") -> None:
    """Cancel a statement, and take what is left of it; where the server does not answer, close the connection."""
    pgconn = connection.pgconn
    try:
        connection.cancel_safe(timeout=_PATIENCE)
        wait(taking(pgconn, time.monotonic() + _PATIENCE), pgconn.socket, interval=_INTERVAL)
    except psycopg.Error:
        pgconn.finish()  # the caller has the exception that came before
    except BaseException:
        pgconn.finish()
        raise


def _left(pgconn: "PGconn", deadline: float) -> "PQGen[None]":
    """Take what is pending, and leave the pipeline."""
    pgconn.pipeline_sync()  # without it the server may wait for more, and say nothing
    while True:
        try:
            pgconn.exit_pipeline_mode()
        except psycopg.OperationalError:
            yield from _next_result(pgconn, deadline)
        else:
            return


def _ended(pgconn: "PGconn", deadline: float) -> "PQGen[None]":
    """Take the results that are left of a statement."""
    while (yield from _next_result(pgconn, deadline)) is not None:
        pass


def _next_result(pgconn: "PGconn", deadline: float) -> "PQGen[PGresult | None]":
    while (waits_to_send := pgconn.flush()) or pgconn.is_busy():
        if time.monotonic() > deadline:
            raise psycopg.OperationalError  # nobody sees it: the caller has the exception that came before
        if (yield Wait.RW if waits_to_send else Wait.R) & Ready.R:
            pgconn.consume_input()
    return pgconn.get_result()


def _pipeline(
    connection: "psycopg.Connection[object]",
    statements: Iterable[tuple[LiteralString, Sequence[object]]],
    results: "list[PGresult]",
    sink: Sink | None = None,
) -> "PQGen[int]":
    """Run statements and append their results; with a ``sink``, hand it their rows instead and return how many."""
    pgconn = connection.pgconn
    count = 0
    failure: PGresult | None = None
    pgconn.enter_pipeline_mode()
    yield from _sent(connection, statements, by_row=sink is not None)
    while True:
        while pgconn.is_busy():
            yield Wait.R
            pgconn.consume_input()
        result = pgconn.get_result()
        if result is None:
            continue
        if result.status in {ExecStatus.TUPLES_OK, ExecStatus.SINGLE_TUPLE}:
            if sink is None:
                results.append(result)
                continue
            for row in range(result.ntuples):
                sink(cast("bytes", result.get_value(row, 0)))
                count += 1
        elif result.status == ExecStatus.PIPELINE_SYNC:
            break
        else:
            # Errors after the first only say that the pipeline is aborted.
            failure = failure or result
    if failure is not None:
        raise error_from_result(failure)
    return count


def _sent(
    connection: "psycopg.Connection[object]",
    statements: Iterable[tuple[LiteralString, Sequence[object]]],
    *,
    by_row: bool,
) -> "PQGen[None]":
    pgconn = connection.pgconn
    transformer = Transformer(Context(connection))
    for query, params in statements:
        _send(pgconn, transformer, query, params)
        if by_row:
            pgconn.set_single_row_mode()
        yield from sending(pgconn)
    pgconn.pipeline_sync()
    yield from sending(pgconn)


def _send(pgconn: "PGconn", transformer: "abc.Transformer", query: LiteralString, params: Sequence[object]) -> None:
    values = transformer.dump_sequence(params, [PyFormat.AUTO] * len(params))
    pgconn.send_query_params(
        _numbered(query),
        values,
        param_types=transformer.types,
        param_formats=transformer.formats,
        result_format=Format.BINARY,
    )


@functools.lru_cache(1_000)
def _numbered(query: str) -> bytes:
    """Return the query in the server's form, with ``$1`` in place of the first ``%s``."""
    first, *rest = query.split("%s")
    text = first + "".join(f"${number}{part}" for number, part in enumerate(rest, 1))
    return text.replace("%%", "%").encode()


def sending(pgconn: "PGconn") -> "PQGen[None]":
    """Send what is queued. psycopg would first wait for results, which never come while a large value is half sent."""
    while pgconn.flush():
        if (yield Wait.RW) & Ready.R:
            pgconn.consume_input()
