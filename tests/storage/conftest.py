import pytest

from tests.fixtures.catalogue import installed, with_and_without


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test with the catalogue and without: but for what only it can tell, the storage is the same."""
    with_and_without(metafunc)


catalogue = pytest.fixture(installed, scope="module")


@pytest.fixture(autouse=True)
def _with_and_without(catalogue: bool) -> None:
    """Each test of this folder asks for the fixture."""
