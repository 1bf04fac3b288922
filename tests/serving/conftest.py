from typing import cast

import pytest


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test with the catalogue and without; a module may say ``CATALOGUE``: real servers have one."""
    if "catalogue" in metafunc.fixturenames:
        module = cast("object", metafunc.module)  # pyright: ignore[reportUnknownMemberType]  # pytest's
        installed: list[bool] = getattr(module, "CATALOGUE", [False, True])
        ids = ["catalogue" if value else "bare" for value in installed]
        metafunc.parametrize("catalogue", installed, ids=ids, indirect=True)


@pytest.fixture(autouse=True)
def _with_and_without(catalogue: bool) -> None:
    """Each test of this folder asks for the fixture."""
