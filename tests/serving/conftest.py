from typing import cast

import pytest

from tests.fixtures.catalogue import installed, with_and_without


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test with the catalogue and without; a module may say ``CATALOGUE``: real servers have one."""
    module = cast("object", metafunc.module)  # pyright: ignore[reportUnknownMemberType]  # pytest's
    choices: list[bool] = getattr(module, "CATALOGUE", [False, True])
    with_and_without(metafunc, choices=choices)


catalogue = pytest.fixture(installed, scope="module")


@pytest.fixture(autouse=True)
def _with_and_without(catalogue: bool) -> None:
    """Each test of this folder asks for the fixture."""
