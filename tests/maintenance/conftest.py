from collections.abc import Iterator

import pytest
from django.conf import settings
from django.test import override_settings

from tests.fixtures.catalogue import with_and_without

OURS = {"tests.invoices", "tests.readme"}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test that asks for it with the catalogue and without."""
    with_and_without(metafunc)


@pytest.fixture(autouse=True)
def _without_other_tests_apps() -> Iterator[None]:
    """Leave the apps that tests of other folders install away: what is said here names every field there is."""
    left = [app for app in settings.INSTALLED_APPS if not app.startswith("tests.") or app in OURS]
    with override_settings(INSTALLED_APPS=left):
        yield
