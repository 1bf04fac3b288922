"""Whatever one thing a driver gets wrong, the kit fails, and in the test whose name says what is wrong."""

from collections.abc import Generator, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from example.cluster import Server
from pg_lo_storage.drivers import LargeObjectDriver, get_driver
from pg_lo_storage.testing import InMemoryConnection, InMemoryServer, OpenSession
from tests.fixtures.connections import INSTALLED, open_connection
from tests.testing.inner import run_pytest
from tests.testing.mutants import MUTANTS, Mutant
from tests.testing.sessions import InMemorySession, RawSession

MUTATED = str(Path(__file__).with_name("mutated.py"))


class Originals:
    """Opens sessions of the driver that is mutated, and remembers which mutants were caught."""

    def __init__(self, kind: str, server: Server) -> None:
        self.caught: dict[str, BaseException] = {}
        self.ran: set[str] = set()
        self._kind = kind
        self._server = server

    @pytest.fixture
    def open_original(self) -> Iterator[OpenSession[LargeObjectDriver]]:
        memory = InMemoryServer()
        with ExitStack() as stack:

            def open_in_memory(*, autocommit: bool = False) -> InMemorySession:
                return InMemorySession(InMemoryConnection(memory, autocommit=autocommit))

            def open_installed(*, autocommit: bool = False) -> RawSession[LargeObjectDriver]:
                connection = open_connection(self._kind, self._server.dsn(), autocommit=autocommit)
                stack.enter_context(closing(connection))
                return RawSession(connection, get_driver(connection))

            yield open_in_memory if self._kind == "memory" else open_installed

    def pytest_runtest_protocol(self, item: pytest.Item) -> bool | None:
        # Caught once is enough.
        return True if _mutant(item) in self.caught else None

    @pytest.hookimpl(wrapper=True)
    def pytest_pyfunc_call(self, pyfuncitem: pytest.Function) -> Generator[None, object, object]:
        self.ran.add(_mutant(pyfuncitem))
        try:
            return (yield)
        except BaseException as error:
            self.caught[_mutant(pyfuncitem)] = error
            raise


def _mutant(item: pytest.Item) -> str:
    assert isinstance(item, pytest.Function)
    mutant = item.callspec.params["mutant"]
    # A test that has to catch none is given no mutant, and skipped.
    return mutant.name if isinstance(mutant, Mutant) else ""


@pytest.fixture(scope="module", params=["memory", *INSTALLED])
def originals(request: pytest.FixtureRequest, server: Server) -> Originals:
    """What became of all mutants of one driver."""
    originals = Originals(request.param, server)
    assert run_pytest(MUTATED, plugins=[originals]) == pytest.ExitCode.TESTS_FAILED
    return originals


@pytest.mark.parametrize("mutant", MUTANTS, ids=[mutant.name for mutant in MUTANTS])
def test_the_kit_catches(originals: Originals, mutant: Mutant) -> None:
    assert mutant.name in originals.ran, f"no test is named {mutant.caught_by}..."
    assert mutant.name in originals.caught, f"{mutant.caught_by}... passes although: {mutant.name}"


def test_mutants_have_names_of_their_own() -> None:
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS) >= 20
