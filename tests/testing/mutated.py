"""Tests of the kit, each on the mutants that it has to catch; run by test_mutants.py, in a pytest of its own."""

import pytest

from pg_lo_storage.drivers import LargeObjectDriver
from pg_lo_storage.testing import DriverConformance, OpenSession
from tests.testing.mutants import MUTANTS, Mutant, MutantSession


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    mutants = [mutant for mutant in MUTANTS if metafunc.function.__name__.startswith(mutant.caught_by)]
    metafunc.parametrize("mutant", mutants, ids=[mutant.name for mutant in mutants])


class TestMutant(DriverConformance[LargeObjectDriver]):
    @pytest.fixture
    def open_session(
        self, mutant: Mutant, open_original: OpenSession[LargeObjectDriver]
    ) -> OpenSession[LargeObjectDriver]:
        def open_session(*, autocommit: bool = False) -> MutantSession:
            session = open_original(autocommit=autocommit)
            return MutantSession(session, mutant.driver(session, autocommit=autocommit))

        return open_session
