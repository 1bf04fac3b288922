"""What the author of a driver provides, and how the tests use it."""

from collections.abc import Iterator
from typing import ClassVar, Final, Generic, Protocol, TypeVar

import pytest

from pg_lo_storage.drivers.base import AccessMode, LargeObject, LargeObjectDriver

__all__ = ["ALL_BYTES", "READ", "READ_WRITE", "WRITE", "D", "KitBase", "OpenSession", "Session", "Sessions", "fail"]

D = TypeVar("D", bound=LargeObjectDriver)
D_co = TypeVar("D_co", bound=LargeObjectDriver, covariant=True)

READ: Final = AccessMode.READ
WRITE: Final = AccessMode.WRITE
READ_WRITE: Final = AccessMode.READ_WRITE

ALL_BYTES: Final = bytes(range(256))


class Session(Protocol[D_co]):
    """One connection, its driver, and its transactions by the connection's own means."""

    __module__: str = "pg_lo_storage.testing"

    @property
    def driver(self) -> D_co:
        """The driver under test, over this connection."""
        ...

    def begin(self) -> None:
        """Begin a transaction on a connection in autocommit: ``BEGIN``."""
        ...

    def commit(self) -> None:
        """End the transaction, if there is one, and keep what it did."""
        ...

    def rollback(self) -> None:
        """End the transaction, if there is one, and undo what it did."""
        ...

    def savepoint(self, name: str) -> None:
        """``SAVEPOINT name``."""
        ...

    def rollback_to(self, name: str) -> None:
        """``ROLLBACK TO name``."""
        ...

    def release(self, name: str) -> None:
        """``RELEASE name``; the server's error, if there is no such savepoint, fails the transaction."""
        ...

    def close(self) -> None:
        """Close the connection, whatever state it is in."""
        ...


class OpenSession(Protocol[D_co]):
    """Opens a connection to the same database each time; whoever provides it closes those that are open in the end.

    With ``autocommit`` off the first statement begins a transaction, with it on only :meth:`Session.begin` does.
    """

    __module__: str = "pg_lo_storage.testing"

    def __call__(self, *, autocommit: bool = False) -> Session[D_co]:
        """Open a connection that is idle."""
        ...


class Sessions:
    """The sessions of one test, and the objects it committed."""

    def __init__(self, open_session: OpenSession[LargeObjectDriver]) -> None:
        self._open_session = open_session
        self._sessions: list[Session[LargeObjectDriver]] = []
        self._oids: list[int] = []

    def open(self, *, autocommit: bool = False) -> Session[LargeObjectDriver]:
        """Open a session."""
        session = self._open_session(autocommit=autocommit)
        self._sessions.append(session)
        return session

    def keep(self, oid: int) -> int:
        """Have the object unlinked when the test is over; return ``oid``."""
        self._oids.append(oid)
        return oid

    def committed(self, data: bytes = b"content") -> int:
        """Return the oid of a new object that is committed."""
        return self.keep(self.open(autocommit=True).driver.from_bytes(data))

    def end(self, session: Session[LargeObjectDriver]) -> None:
        """Close a session's connection."""
        self._sessions.remove(session)
        session.close()

    def close(self) -> None:
        """Undo what is not committed and unlink what is."""
        for session in self._sessions:
            session.rollback()
        if self._oids:
            driver = self.open(autocommit=True).driver
            for oid in self._oids:
                driver.unlink(oid)


class KitBase(Generic[D]):
    """The fixtures that all parts of the kit use, and what a subclass declares."""

    sparse: ClassVar[bool] = True
    """Whether what was never written takes no space, however much it is: it reads as zeros in any case.

    A driver that has to store each zero may refuse to write or to extend far beyond the end, with
    :exc:`LargeObjectTooLarge`; nothing has changed then.
    """

    @pytest.fixture
    def open_session(self) -> OpenSession[D]:
        """Open a session; a subclass of the kit overrides this."""
        message = f"{type(self).__name__} has to override the fixture open_session"
        pytest.fail(message)

    @pytest.fixture
    def sessions(self, open_session: OpenSession[D]) -> Iterator[Sessions]:
        """The sessions of this test."""
        sessions = Sessions(open_session)
        yield sessions
        sessions.close()

    @pytest.fixture(params=["autocommit off", "begin"])
    def session(self, request: pytest.FixtureRequest, sessions: Sessions) -> Session[LargeObjectDriver]:
        """A session in which calls belong to a transaction, begun by themselves or by the user."""
        explicit = request.param == "begin"
        session = sessions.open(autocommit=explicit)
        if explicit:
            session.begin()
        return session

    @pytest.fixture
    def driver(self, session: Session[LargeObjectDriver]) -> LargeObjectDriver:
        """The driver of ``session``."""
        return session.driver


def same(found: object, expected: object) -> bool:
    """Compare large values: pytest explains a bare ``==`` line by line, which takes minutes if ``CI`` is set."""
    return found == expected


def content(driver: LargeObjectDriver, oid: int) -> bytes:
    """Return an object's bytes in single statements."""
    return driver.get(oid, 0, driver.size(oid))


def opened(driver: LargeObjectDriver, data: bytes, mode: AccessMode = READ_WRITE) -> LargeObject:
    """Return a descriptor of a new object."""
    return driver.open(driver.from_bytes(data), mode)


def free_oid(driver: LargeObjectDriver) -> int:
    """Return an oid that no object has."""
    oid = driver.create()
    driver.unlink(oid)
    return oid


def fail(session: Session[LargeObjectDriver]) -> None:
    """Have the server refuse a statement, which fails the transaction."""
    with pytest.raises(Exception):  # noqa: B017, PT011 -- the client library's own
        session.release("no_such_savepoint")


def no_buffer() -> bytes:
    """Return a str that a type checker takes for bytes."""
    text: object = "text"
    return text  # type: ignore[return-value]  # pyright: ignore[reportReturnType]  # what is to be refused
