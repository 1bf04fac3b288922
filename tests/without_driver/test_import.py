"""Run in an environment that has neither Django nor a driver; see tests/run_all.py."""

import importlib
from importlib.util import find_spec

import pytest


def test_the_environment_is_bare() -> None:
    assert [name for name in ("django", "psycopg", "psycopg2") if find_spec(name)] == []


@pytest.mark.parametrize("module", ["drivers", "io", "aio", "http", "transfer", "names", "exceptions", "testing"])
def test_what_needs_neither_django_nor_a_driver_imports(module: str) -> None:
    importlib.import_module(f"pg_lo_storage.{module}")


def test_the_missing_driver_is_named_with_the_extras() -> None:
    drivers = importlib.import_module("pg_lo_storage.drivers")
    exceptions = importlib.import_module("pg_lo_storage.exceptions")
    with pytest.raises(exceptions.DriverNotFound) as caught:
        drivers.get_driver(object())
    assert "pg-lo-storage[psycopg]" in str(caught.value)
    assert "pg-lo-storage[psycopg2]" in str(caught.value)
