"""Random sequences of calls on the in-memory driver and on a real server: the same results, errors and bytes."""

from collections.abc import Callable
from functools import partial

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from pg_lo_storage.drivers import AccessMode, LargeObject, LargeObjectDriver, get_driver
from pg_lo_storage.exceptions import LargeObjectError
from pg_lo_storage.testing import InMemoryConnection, InMemoryServer, Session
from tests.fixtures.connections import Connect
from tests.testing.sessions import InMemorySession, RawSession

AnySession = Session[LargeObjectDriver]
Pair = tuple[LargeObject, LargeObject]

# The pages of the server end at multiples of 2048.
LENGTHS = st.one_of(st.integers(0, 30), st.sampled_from([2047, 2048, 2049, 5000]))
OFFSETS = st.one_of(LENGTHS, st.sampled_from([1 << 31, 5 << 30]))
MOVES = st.one_of(OFFSETS, st.sampled_from([-1, -7, -2048]))
DATA = st.tuples(LENGTHS, st.integers(1, 255)).map(lambda pair: bytes([pair[1]]) * pair[0])
NAMES = st.sampled_from(["one", "two"])
NUMBERS = st.integers(0, 1000)


class Twins(RuleBasedStateMachine):
    """Each call is made on both sessions; objects and descriptors are pairs."""

    def __init__(self, memory: AnySession, real: AnySession) -> None:
        super().__init__()
        self.sessions = memory, real
        self.objects: list[tuple[int, int]] = []
        self.descriptors: list[Pair] = []

    @rule(data=DATA)
    def from_bytes(self, data: bytes) -> None:
        memory, real = self._results(lambda session, _: session.driver.from_bytes(data))
        assert type(memory) is type(real)
        if isinstance(memory, int) and isinstance(real, int):
            self.objects.append((memory, real))

    @precondition(lambda self: self.objects)
    @rule(number=NUMBERS)
    def create_again(self, number: int) -> None:
        self._both(lambda session, n: bool(session.driver.create(self._oid(number, n))))

    @precondition(lambda self: self.objects)
    @rule(number=NUMBERS)
    def unlink(self, number: int) -> None:
        for pair in self.descriptors:
            if pair[0].oid == self._oid(number, 0):
                self._both(partial(_close, pair))
        self._both(lambda session, n: session.driver.unlink(self._oid(number, n)))

    @precondition(lambda self: self.objects)
    @rule(number=NUMBERS, offset=OFFSETS, size=LENGTHS)
    def look(self, number: int, offset: int, size: int) -> None:
        self._both(lambda session, n: session.driver.exists(self._oid(number, n)))
        self._both(lambda session, n: session.driver.size(self._oid(number, n)))
        self._both(lambda session, n: session.driver.get(self._oid(number, n), offset, size))

    @precondition(lambda self: self.objects)
    @rule(number=NUMBERS, offset=OFFSETS, data=DATA)
    def put(self, number: int, offset: int, data: bytes) -> None:
        self._both(lambda session, n: session.driver.put(self._oid(number, n), offset, data))

    @precondition(lambda self: self.objects)
    @rule(number=NUMBERS, mode=st.sampled_from([AccessMode.READ, AccessMode.WRITE, AccessMode.READ_WRITE]))
    def open(self, number: int, mode: AccessMode) -> None:
        opened: list[LargeObject] = []
        self._both(lambda session, n: opened.append(session.driver.open(self._oid(number, n), mode)))
        if opened:
            memory, real = opened
            self.descriptors.append((memory, real))

    @precondition(lambda self: self.descriptors)
    @rule(number=NUMBERS, size=LENGTHS)
    def read(self, number: int, size: int) -> None:
        self._both(lambda _, n: self._descriptor(number, n).read(size))

    @precondition(lambda self: self.descriptors)
    @rule(number=NUMBERS, size=st.integers(1, 3000), count=st.integers(0, 3))
    def chunks(self, number: int, size: int, count: int) -> None:
        self._both(lambda _, n: list(self._descriptor(number, n).chunks(size, count)))

    @precondition(lambda self: self.descriptors)
    @rule(number=NUMBERS, data=DATA)
    def write(self, number: int, data: bytes) -> None:
        self._both(lambda _, n: self._descriptor(number, n).write(data))

    @precondition(lambda self: self.descriptors)
    @rule(number=NUMBERS, offset=MOVES, whence=st.sampled_from([0, 1, 2, 3]))
    def seek(self, number: int, offset: int, whence: int) -> None:
        self._both(lambda _, n: self._descriptor(number, n).seek(offset, whence))

    @precondition(lambda self: self.descriptors)
    @rule(number=NUMBERS, size=MOVES)
    def truncate(self, number: int, size: int) -> None:
        self._both(lambda _, n: self._descriptor(number, n).truncate(size))

    @precondition(lambda self: self.descriptors)
    @rule(number=NUMBERS)
    def close(self, number: int) -> None:
        self._both(lambda _, n: self._descriptor(number, n).close())

    @rule(name=NAMES)
    def savepoint(self, name: str) -> None:
        self._both(lambda session, _: session.savepoint(name))

    @rule(name=NAMES)
    def rollback_to(self, name: str) -> None:
        self._both(lambda session, _: session.rollback_to(name))

    @rule(name=NAMES)
    def release(self, name: str) -> None:
        self._both(lambda session, _: session.release(name))

    @rule()
    def commit(self) -> None:
        self._both(lambda session, _: session.commit())

    @rule()
    def rollback(self) -> None:
        self._both(lambda session, _: session.rollback())

    @invariant()
    def same_state(self) -> None:
        assert self.sessions[0].driver.in_transaction == self.sessions[1].driver.in_transaction

    @invariant()
    def same_positions(self) -> None:
        for pair in self.descriptors:
            self._both(partial(_tell, pair))

    def teardown(self) -> None:
        for session in self.sessions:
            session.rollback()

    def _oid(self, number: int, n: int) -> int:
        return self.objects[number % len(self.objects)][n]

    def _descriptor(self, number: int, n: int) -> LargeObject:
        return self.descriptors[number % len(self.descriptors)][n]

    def _both(self, call: Callable[[AnySession, int], object]) -> None:
        memory, real = self._results(call)
        assert memory == real

    def _results(self, call: Callable[[AnySession, int], object]) -> list[object]:
        results: list[object] = []
        for n, session in enumerate(self.sessions):
            try:
                results.append(call(session, n))
            except (LargeObjectError, ValueError) as error:
                results.append(type(error).__name__)
            except Exception:  # noqa: BLE001 -- what it is, is the driver's affair
                results.append("the driver's own error")
        return results


def _close(pair: Pair, _: AnySession, n: int) -> None:
    pair[n].close()


def _tell(pair: Pair, _: AnySession, n: int) -> int:
    return pair[n].tell()


def test_the_in_memory_driver_does_what_the_server_does(connect: Connect) -> None:
    connection = connect()
    real = RawSession(connection, get_driver(connection))

    class OnBoth(Twins):
        def __init__(self) -> None:
            super().__init__(InMemorySession(InMemoryConnection(InMemoryServer())), real)

    run_state_machine_as_test(
        OnBoth,
        settings=settings(max_examples=60, stateful_step_count=30, deadline=None, derandomize=True, database=None),
    )
