from collections.abc import Iterator
from typing import cast

import pytest

from tests.fixtures.catalogue import installed, with_and_without


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test with the catalogue and without; a module may say ``CATALOGUE``: real servers have one."""
    module = cast("object", metafunc.module)  # pyright: ignore[reportUnknownMemberType]  # pytest's
    choices: list[bool] = getattr(module, "CATALOGUE", [False, True])
    with_and_without(metafunc, choices=choices)


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
