import pytest


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test that asks for it with the catalogue and without."""
    if "catalogue" in metafunc.fixturenames:
        metafunc.parametrize("catalogue", [False, True], ids=["bare", "catalogue"], indirect=True)
