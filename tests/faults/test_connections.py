"""Connections that are cut, held up or slow, time limits, and signals in the middle of a call.

The error reaches the caller, nothing is half done, and the next request works. ``PG_LO_TEST_FAULT_ROUNDS`` says how
often each is tried, ``PG_LO_TEST_FAULT_SEED`` has it happen at other moments.
"""

import hashlib
import os
import random
import signal
import threading
import time
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from types import FrameType
from typing import TYPE_CHECKING, Self, cast

import pytest
from django.core.files.base import ContentFile
from django.db import Error, OperationalError, close_old_connections, connections, transaction
from django.test import RequestFactory

from example.cluster import Server
from pg_lo_storage.exceptions import LargeObjectError
from pg_lo_storage.storage import DbFileStorage, db_file_storage
from pg_lo_storage.views import db_serve
from tests.fixtures.connections import INSTALLED, open_connection, run
from tests.fixtures.proxy import Wire
from tests.invoices.models import Invoice, Note
from tests.io.files import in_a_thread
from tests.storage.support import body, content

if TYPE_CHECKING:
    from django.db.backends.postgresql.base import DatabaseWrapper

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "wired"])

ROUNDS = int(os.environ.get("PG_LO_TEST_FAULT_ROUNDS", "2"))
SEED = int(os.environ.get("PG_LO_TEST_FAULT_SEED", "0"))
SMALL, LARGE = content(5_000), content(700_000)
WIRED = DbFileStorage(alias="wired")
DOCUMENTED = (Error, LargeObjectError)
# psycopg 3.2.1 itself fails with a TypeError when Ctrl-C interrupts it in the middle of sending.
WRONG = (TypeError,) if find_spec("psycopg") and version("psycopg") == "3.2.1" else ()


def upload(data: bytes) -> "ContentFile[bytes]":
    return ContentFile(data, name="a.pdf")


def save(_row: Invoice) -> None:
    Invoice(data=upload(SMALL)).save(using="wired")


def save_large(_row: Invoice) -> None:
    Invoice(data=upload(LARGE)).save(using="wired")


def replace(row: Invoice) -> None:
    row.data = upload(SMALL)
    row.save(using="wired")


def delete(row: Invoice) -> None:
    row.delete(using="wired")


def write(row: Invoice) -> None:
    with transaction.atomic(using="wired"), WIRED.open(row.data.name or "", "rb+") as file:
        file.write(SMALL)
        file.seek(0, 2)
        file.write(LARGE)


def read(row: Invoice) -> None:
    with WIRED.open(row.data.name or "") as file:
        assert file.read() == LARGE


def read_in_a_transaction(row: Invoice) -> None:
    with transaction.atomic(using="wired"):
        Note.objects.using("wired").create(text="with it")
        read(row)


def download(row: Invoice) -> None:
    assert body(db_serve(RequestFactory().get("/"), row.data.name or "", storage=WIRED)) == LARGE


def several(row: Invoice) -> None:
    with transaction.atomic(using="wired"):
        save(row)
        replace(row)
        save_large(row)


USES: list[Callable[[Invoice], None]] = [
    save,
    save_large,
    replace,
    delete,
    write,
    read,
    read_in_a_transaction,
    download,
    several,
]
SOME = [replace, write, download, several]
EVERY_USE = pytest.mark.parametrize("use", USES if "PG_LO_TEST_FAULT_ROUNDS" in os.environ else SOME)
State = tuple[list[str], int]


def state() -> State:
    """Return the digests of the rows' files; rows, objects and catalogue are the same."""
    with connections["default"].cursor() as cursor:
        cursor.execute("select oid::int8, lo_get(oid) from pg_largeobject_metadata")
        objects = {oid: bytes(data) for oid, data in cursor.fetchall()}
        cursor.execute("select loid::int8, size, sha256::text from pg_lo_storage_file")
        entries = {loid: about for loid, *about in cursor.fetchall()}
    named = {file.loid: file for row in Invoice.objects.all() if (file := row.data)}
    assert objects.keys() == named.keys() == entries.keys()
    for loid, (size, sha256) in entries.items():
        assert size in {None, len(objects[loid])}
        assert sha256 in {None, hashlib.sha256(objects[loid]).hexdigest()}
    digests = sorted(hashlib.sha256(data).hexdigest() for data in objects.values())
    return digests, Note.objects.count()


def anew() -> Invoice:
    """Return the only row there is, with a file."""
    for row in Invoice.objects.all():
        row.delete()
    Note.objects.all().delete()
    row = Invoice.objects.create(data=upload(LARGE))
    return Invoice.objects.using("wired").get(pk=row.pk)


@pytest.fixture
def outcomes(wire: Wire) -> Callable[[Callable[[Invoice], None]], tuple[State, State]]:  # noqa: ARG001 -- is closed after
    def outcomes(use: Callable[[Invoice], None]) -> tuple[State, State]:
        """Return what there is without the use, and with it."""
        row = anew()
        before = state()
        use(row)
        return before, state()

    return outcomes


Outcomes = Callable[[Callable[[Invoice], None]], tuple[State, State]]


def next_request_works() -> None:
    """Do as Django does between requests, and then what a view might."""
    close_old_connections()
    name = WIRED.save("b.bin", upload(SMALL))
    with transaction.atomic(using="wired"), WIRED.open(name) as file:
        assert file.read() == SMALL
    WIRED.delete(name)


@contextmanager
def over_at_the_server() -> Generator[None]:
    """Begin a request, and end it; what the server was still at when its connection was lost is over then."""
    close_old_connections()
    wrapper = connections["wired"]
    wrapper.ensure_connection()
    pid = wrapper.connection.info.backend_pid
    yield
    close_old_connections()
    wait_until_ended(pid)


@EVERY_USE
def test_cut_anywhere_it_is_done_or_not_and_the_next_request_works(
    use: Callable[[Invoice], None], outcomes: Outcomes, wire: Wire
) -> None:
    before, after = outcomes(use)
    chance = random.Random(f"{SEED}{use.__name__}")
    errors = 0
    for _ in range(ROUNDS):
        row = anew()
        with over_at_the_server(), wire.cutting(after=int(10 ** chance.uniform(0.5, 5.8))):
            try:
                use(row)
            except DOCUMENTED:
                errors += 1
        next_request_works()
        assert state() in (before, after)
    assert errors or ROUNDS < 4


@EVERY_USE
def test_byte_by_byte_it_is_the_same(use: Callable[[Invoice], None], outcomes: Outcomes, wire: Wire) -> None:
    _, after = outcomes(use)
    row = anew()
    with wire.trickling(step=1 if use in (save, replace, delete) else 997):
        use(row)
    assert state() == after


class Alarm:
    """Raises an exception from a signal's handler, at a moment in which the package is at work.

    The signal is not pytest-timeout's.
    """

    def __init__(self, kind: type[BaseException], seconds: float) -> None:
        self._kind = kind
        self._seconds = seconds
        self._is_over = threading.Event()

    def __enter__(self) -> Self:
        self._before = signal.signal(signal.SIGUSR1, self._ring)
        self._bell = threading.Thread(target=self._send, daemon=True)
        self._bell.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._is_over.set()
        self._bell.join()
        signal.signal(signal.SIGUSR1, self._before)

    def _send(self) -> None:
        while not self._is_over.wait(self._seconds):
            os.kill(os.getpid(), signal.SIGUSR1)
            self._seconds = 0.001

    def _ring(self, _number: int, frame: FrameType | None) -> None:
        while frame is not None and not self._is_over.is_set():
            if frame.f_globals.get("__name__", "").startswith("pg_lo_storage."):
                self._is_over.set()
                raise self._kind("rung")
            frame = frame.f_back


@EVERY_USE
@pytest.mark.parametrize("kind", [TimeoutError, KeyboardInterrupt])
def test_interrupted_anywhere_it_is_done_or_not_and_the_next_request_works(
    kind: type[BaseException],
    use: Callable[[Invoice], None],
    outcomes: Outcomes,
    server: Server,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Not through the proxy: libpq before 17 cancels while it lets no other thread of this process run.
    connections["wired"].close()
    for name, value in server.django_database().items():
        monkeypatch.setitem(connections["wired"].settings_dict, name, value)
    before, after = outcomes(use)
    chance = random.Random(f"{SEED}{kind.__name__}{use.__name__}")
    start = time.perf_counter()
    use(anew())
    duration = time.perf_counter() - start
    for _ in range(ROUNDS):
        row = anew()
        # For signals that raise anything but KeyboardInterrupt psycopg 3 stops no statement, and Django's end of the
        # transaction has an error of its own.
        with over_at_the_server(), suppress(kind, Error, *WRONG), Alarm(kind, chance.uniform(0.00001, duration)):
            use(row)
        next_request_works()
        assert state() in (before, after)


@contextmanager
def interrupted_while_it_waits(kind: type[BaseException], server: Server) -> Generator[None]:
    """Have the connection wait for the catalogue, and then a signal raise; only then the catalogue is free."""

    def ring(_number: int, _frame: FrameType | None) -> None:
        raise kind

    def send() -> None:
        waits = "select from pg_stat_activity where pid = %s and wait_event_type = 'Lock'"
        while not run(other, waits, [pid]):
            pass
        os.kill(os.getpid(), signal.SIGUSR1)
        other.rollback()

    pid = connections["wired"].connection.info.backend_pid
    before = signal.signal(signal.SIGUSR1, ring)
    with closing(open_connection(INSTALLED[0], server.dsn())) as other:
        other.cursor().execute("lock table pg_lo_storage_file in access exclusive mode")
        thread = threading.Thread(target=send)
        thread.start()
        try:
            with pytest.raises(kind):
                yield
        finally:
            thread.join()
            signal.signal(signal.SIGUSR1, before)


@pytest.mark.parametrize("answers", [True, False], ids=["the server answers", "it does not"])
@pytest.mark.parametrize("kind", [TimeoutError, KeyboardInterrupt])
@pytest.mark.parametrize("use", [read, read_in_a_transaction])
def test_a_connection_that_is_kept_works_in_the_request_after_a_signal(
    use: Callable[[Invoice], None],
    kind: type[BaseException],
    outcomes: Outcomes,
    server: Server,
    monkeypatch: pytest.MonkeyPatch,
    *,
    answers: bool,
) -> None:
    wrapper = connections["wired"]
    wrapper.close()
    for name, value in (server.django_database() | {"CONN_MAX_AGE": None}).items():
        monkeypatch.setitem(wrapper.settings_dict, name, value)
    if find_spec("psycopg") and not answers:
        monkeypatch.setattr(import_module("pg_lo_storage.drivers.psycopg3_pipeline"), "_PATIENCE", 0)
    try:
        before, _ = outcomes(use)
        row = anew()
        wrapper.ensure_connection()
        with interrupted_while_it_waits(kind, server):
            use(row)
        close_old_connections()
        read(row)
        next_request_works()
        assert state() == before
    finally:
        wrapper.close()


LIMITS = ["statement_timeout", "lock_timeout"]


@pytest.mark.parametrize("limit", LIMITS)
@EVERY_USE
def test_a_limit_that_is_reached_is_the_error(
    use: Callable[[Invoice], None], limit: str, outcomes: Outcomes, server: Server
) -> None:
    before, _ = outcomes(use)
    row = anew()
    with limited(limit), closing(open_connection(INSTALLED[0], server.dsn())) as other:
        other.cursor().execute("lock table pg_lo_storage_file in access exclusive mode")
        with pytest.raises(OperationalError, match="timeout"):
            use(row)
        other.rollback()
    next_request_works()
    assert state() == before


@contextmanager
def limited(limit: str) -> Generator[None]:
    """Have the server limit the connection, once it is made: that may take as long as the limit."""
    wrapper = connections["wired"]
    wrapper.close()
    with wrapper.cursor() as cursor:
        cursor.execute(f"set {limit} = '60ms'")
    try:
        yield
    finally:
        wrapper.close()


def wait_until_ended(pid: int) -> None:
    with connections["default"].cursor() as cursor:
        while True:
            cursor.execute("select from pg_stat_activity where pid = %s", [pid])
            if not cursor.fetchall():
                return
            time.sleep(0.005)


@EVERY_USE
def test_a_session_that_was_idle_too_long_is_an_error_once(use: Callable[[Invoice], None], outcomes: Outcomes) -> None:
    before, after = outcomes(use)
    row = anew()
    wrapper = connections["wired"]
    with limited("idle_session_timeout"):
        wait_until_ended(wrapper.connection.info.backend_pid)
        if use is download:  # with the catalogue, each batch may be over another connection
            with suppress(Error):
                use(row)
        else:
            with pytest.raises(DOCUMENTED):
                use(row)
    close_old_connections()
    assert state() == before
    use(Invoice.objects.using("wired").get())
    next_request_works()
    assert state() == after


@EVERY_USE
def test_a_transaction_that_was_idle_too_long_is_an_error(use: Callable[[Invoice], None], outcomes: Outcomes) -> None:
    before, _ = outcomes(use)
    row = anew()
    with limited("idle_in_transaction_session_timeout"):

        def late() -> None:
            Note.objects.using("wired").create(text="lost")
            wait_until_ended(connections["wired"].connection.info.backend_pid)
            use(row)

        with pytest.raises(DOCUMENTED), transaction.atomic(using="wired"):
            late()
    next_request_works()
    assert state() == before


KEPT: dict[str, dict[str, object]] = {
    "kept": {"CONN_MAX_AGE": None},
    "with health checks": {"CONN_MAX_AGE": None, "CONN_HEALTH_CHECKS": True},
    "in a pool": {"CONN_HEALTH_CHECKS": True, "pool": {"min_size": 2, "max_size": 2, "timeout": 10}},
}
HAS_POOL = find_spec("psycopg") and find_spec("psycopg_pool")


@pytest.mark.parametrize("kept", KEPT if HAS_POOL else [name for name in KEPT if name != "in a pool"])
@EVERY_USE
def test_a_connection_that_is_kept_and_lost_between_requests(
    use: Callable[[Invoice], None], kept: str, outcomes: Outcomes, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Django's health check finds it; without one the first request has the error, and the next works."""
    before, after = outcomes(use)
    row = anew()
    wrapper = cast("DatabaseWrapper", connections["wired"])
    wrapper.close()
    for name, value in KEPT[kept].items():
        monkeypatch.setitem(wrapper.settings_dict["OPTIONS"] if name == "pool" else wrapper.settings_dict, name, value)
    try:
        read(row)
        close_old_connections()  # as at a request's end
        wire.drop()
        close_old_connections()
        if kept == "kept":
            with suppress(*DOCUMENTED):
                use(row)
            close_old_connections()
            assert state() in (before, after)
        else:
            use(row)
            assert state() == after
        next_request_works()
    finally:
        wrapper.close()
        if kept == "in a pool":
            wrapper.close_pool()


def test_no_thread_waits_for_anothers_statement(outcomes: Outcomes, wire: Wire) -> None:
    outcomes(read)
    row = anew()
    read(row)
    with ThreadPoolExecutor(1) as threads:
        with wire.held():
            waiting = threads.submit(in_a_thread, lambda: read(row))
            with db_file_storage.open(row.data.name or "") as file:
                assert file.read() == LARGE
            name = db_file_storage.save("b.bin", upload(SMALL))
            db_file_storage.delete(name)
            assert not waiting.done()
        assert waiting.result() is None
