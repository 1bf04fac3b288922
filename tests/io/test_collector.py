"""Finalisers of others that use a file which is still held: the collector may run them inside any query."""

import gc
import importlib
import sys
import threading
import zipfile
from collections.abc import Iterator
from typing import Any, TypeVar

import pytest

from pg_lo_storage.drivers import get_driver
from pg_lo_storage.io import LargeObjectIO
from tests.fixtures.connections import RawConnection, run

T = TypeVar("T")


class Collecting:
    """As a parameter of a query, it has the collector run within that query."""


def collect_in_queries(driver_name: str, connection: RawConnection) -> None:
    """Have the collector run wherever a Collecting is a parameter."""
    any_connection: Any = connection
    if driver_name == "psycopg":

        def dump(_self: object, _value: Collecting) -> bytes:
            return collected(b"1")

        dumper = type("CollectingDumper", (importlib.import_module("psycopg.adapt").Dumper,), {"dump": dump})
        any_connection.adapters.register_dumper(Collecting, dumper)
    else:
        extensions: Any = importlib.import_module("psycopg2.extensions")

        def adapt(_value: Collecting) -> object:
            return collected(extensions.AsIs("1"))

        extensions.register_adapter(Collecting, adapt)


def collected(result: T) -> T:
    gc.collect()
    return result


def forget_archive(file: LargeObjectIO) -> None:
    """Leave an archive in a cycle: what finalises it is the collector, and it then writes its directory."""
    archive = zipfile.ZipFile(file, "w")
    archive.writestr("member.txt", b"data")
    vars(archive)["itself"] = archive


@pytest.fixture
def unraised(monkeypatch: pytest.MonkeyPatch) -> list[type[BaseException]]:
    """What finalisers raised, where nobody could catch it."""
    found: list[type[BaseException]] = []

    def hook(unraisable: "sys.UnraisableHookArgs") -> None:
        # Not the error itself, which would keep what is to be collected.
        found.append(unraisable.exc_type)

    monkeypatch.setattr(sys, "unraisablehook", hook)
    return found


@pytest.fixture(autouse=True)
def no_collection_in_between() -> Iterator[None]:
    """Leave it to the tests when the collector runs."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def test_an_archive_collected_inside_a_query_neither_waits_for_ever_nor_breaks_the_query(
    connection: RawConnection, driver_name: str, unraised: list[type[BaseException]]
) -> None:
    collect_in_queries(driver_name, connection)
    rows: list[tuple[object, ...]] = []

    def query() -> None:
        rows.extend(run(connection, "select %s::int4", [Collecting()]))

    file = LargeObjectIO(get_driver(connection), 0, "wb+")
    forget_archive(file)
    thread = threading.Thread(target=query, daemon=True)
    thread.start()
    thread.join(20)
    assert not thread.is_alive(), "it waits for the lock that it holds"
    assert rows == [(1,)]
    assert unraised in ([], [RuntimeError])
    with file:
        file.seek(0)
        file.truncate()
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("again.txt", b"again")
        with zipfile.ZipFile(file) as archive:
            assert archive.read("again.txt") == b"again"


def test_an_archive_collected_outside_of_any_query_is_finished(
    connection: RawConnection, unraised: list[type[BaseException]]
) -> None:
    with LargeObjectIO(get_driver(connection), 0, "wb+") as file:
        forget_archive(file)
        gc.collect()
        assert not unraised
        with zipfile.ZipFile(file) as archive:
            assert archive.read("member.txt") == b"data"
