from collections.abc import Iterator

import pytest
from django.conf import settings
from django.test import override_settings

OURS = {"tests.invoices", "tests.readme"}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test that asks for it with the catalogue and without."""
    if "catalogue" in metafunc.fixturenames:
        metafunc.parametrize("catalogue", [False, True], ids=["bare", "catalogue"], indirect=True)


@pytest.fixture(autouse=True)
def _without_other_tests_apps() -> Iterator[None]:
    """Leave the apps that tests of other folders install away: what is said here names every field there is."""
    left = [app for app in settings.INSTALLED_APPS if not app.startswith("tests.") or app in OURS]
    with override_settings(INSTALLED_APPS=left):
        yield
