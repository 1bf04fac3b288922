"""The random sequences of calls of ``tests/io/test_oracle.py``, on an asynchronous file and on a real one."""

import errno
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

import psycopg
import pytest
from hypothesis.stateful import run_state_machine_as_test
from typing_extensions import override

from example.cluster import Server
from pg_lo_storage.aio import AsyncLargeObjectIO, Psycopg3AsyncDriver
from pg_lo_storage.aio.blocking import BlockingDriver
from pg_lo_storage.io.modes import BinaryMode
from pg_lo_storage.testing.portal import Portal
from tests.io.test_oracle import SETTINGS, Reading, ReadingAndWriting, open_real


class BlockingFile:
    """Awaits what the oracle calls."""

    def __init__(self, portal: Portal, file: AsyncLargeObjectIO) -> None:
        self._portal = portal
        self._file = file

    @property
    def oid(self) -> int:
        return self._file.oid

    @property
    def closed(self) -> bool:
        return self._file.closed

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._file, name)

        def call(*args: Any) -> Any:
            async def awaited() -> Any:
                # What is no coroutine, such as a wrong argument's TypeError, is raised in here as well.
                return await method(*args)

            return self._portal.call(awaited())

        return call

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if line := self.readline():
            return cast("bytes", line)
        raise StopIteration


class AsyncMixin(Reading):
    portal: Portal
    awaited: Psycopg3AsyncDriver

    @override
    def _open(self, mode: BinaryMode, oid: int | None = None) -> None:
        self.mode = mode
        try:
            self.theirs = open_real(self._path, mode)
        except FileExistsError:
            with pytest.raises(FileExistsError) as caught:
                self._opened(self._oid, mode)
            assert caught.value.errno == errno.EEXIST
            return
        self.ours = cast("Any", self._opened(self._oid if oid is None else oid, mode))
        self._oid = self.ours.oid

    def _opened(self, oid: int, mode: BinaryMode) -> BinaryIO:
        async def opened() -> AsyncLargeObjectIO:
            return await AsyncLargeObjectIO(self.awaited, oid, mode)

        return cast("BinaryIO", BlockingFile(self.portal, self.portal.call(opened())))


@pytest.fixture
def portal() -> Iterator[Portal]:
    with Portal() as portal:
        yield portal


def test_in_a_transaction(portal: Portal, server: Server, tmp_path: Path) -> None:
    connection = portal.call(psycopg.AsyncConnection.connect(server.dsn()))
    driver = Psycopg3AsyncDriver(connection)

    class Machine(AsyncMixin, ReadingAndWriting):
        def __init__(self) -> None:
            portal.call(connection.rollback())
            self.portal, self.awaited = portal, driver
            super().__init__(BlockingDriver(portal, driver), tmp_path / "file")

    run_state_machine_as_test(Machine, settings=SETTINGS)
    portal.call(connection.close())


def test_outside_a_transaction(portal: Portal, server: Server, tmp_path: Path) -> None:
    connection = portal.call(psycopg.AsyncConnection.connect(server.dsn(), autocommit=True))
    driver = Psycopg3AsyncDriver(connection)

    class Machine(AsyncMixin):
        def __init__(self) -> None:
            self.portal, self.awaited = portal, driver
            super().__init__(BlockingDriver(portal, driver), tmp_path / "file")

    run_state_machine_as_test(Machine, settings=SETTINGS)
    portal.call(connection.close())
