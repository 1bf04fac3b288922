from collections.abc import Iterator

import pytest

from tests.fixtures.catalogue import installed, with_and_without


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test with the catalogue and without: but for what only it can tell, the storage is the same."""
    with_and_without(metafunc)


@pytest.fixture(scope="module")
def catalogue(
    request: pytest.FixtureRequest,
    django_db_setup: None,  # noqa: ARG001 -- the tables of all apps
) -> Iterator[bool]:
    """Whether the app is in ``INSTALLED_APPS``, for a whole module."""
    yield from installed(request)


@pytest.fixture(autouse=True)
def _with_and_without(catalogue: bool) -> None:
    """Each test of this folder asks for the fixture."""
