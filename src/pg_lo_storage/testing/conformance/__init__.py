"""The contract of a driver as tests: what :mod:`pg_lo_storage.drivers.base` says, on sessions of any driver.

Subclass :class:`DriverConformance` in a test module and say how a session is opened::

    class TestMyDriver(DriverConformance[MyDriver]):
        @pytest.fixture
        def open_session(self) -> Iterator[OpenSession[MyDriver]]:
            with ExitStack() as stack:
                yield lambda *, autocommit=False: stack.enter_context(closing(MySession(autocommit)))

The names of the tests are the specification. They leave no object behind, and expect others to leave theirs alone.
A driver that leaves a result pending may wait for itself for ever: run them with a timeout (pytest-timeout).

What a driver cannot do, and need not, its tests declare, and the kit expects that it refuses it: ``sparse = False``
in the body of the class, where each zero takes space.
"""

from pg_lo_storage.testing.conformance.blocks import BlockTests
from pg_lo_storage.testing.conformance.concurrency import ConcurrencyTests
from pg_lo_storage.testing.conformance.descriptors import DescriptorTests
from pg_lo_storage.testing.conformance.lifetime import LifetimeTests
from pg_lo_storage.testing.conformance.objects import ObjectTests
from pg_lo_storage.testing.conformance.sessions import D, OpenSession, Session
from pg_lo_storage.testing.conformance.transactions import TransactionTests

__all__ = ["DriverConformance", "OpenSession", "Session"]


class DriverConformance(
    ObjectTests[D],
    DescriptorTests[D],
    BlockTests[D],
    TransactionTests[D],
    LifetimeTests[D],
    ConcurrencyTests[D],
):
    """All tests of the contract, for a subclass that overrides the fixture ``open_session``.

    A type checker refuses a type that is no driver in ``DriverConformance[MyDriver]`` and, outside of tests, in
    ``_: type[LargeObjectDriver] = MyDriver``.
    """

    __module__ = "pg_lo_storage.testing"
