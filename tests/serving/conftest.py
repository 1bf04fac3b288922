from typing import cast

import pytest

from tests.fixtures.catalogue import with_and_without


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test with the catalogue and without; a module may say ``CATALOGUE``: real servers have one."""
    module = cast("object", metafunc.module)  # pyright: ignore[reportUnknownMemberType]  # pytest's
    installed: list[bool] = getattr(module, "CATALOGUE", [False, True])
    with_and_without(metafunc, installed=installed)


@pytest.fixture(autouse=True)
def _with_and_without(catalogue: bool) -> None:
    """Each test of this folder asks for the fixture."""
