"""Run in an environment that has neither Django nor a driver; see tests/run_all.py."""

import importlib
import os
import subprocess
import sys
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


def test_a_name_that_needs_a_missing_driver_is_no_attribute_and_says_so() -> None:
    aio = importlib.import_module("pg_lo_storage.aio")
    assert "Psycopg3AsyncDriver" not in aio.__all__
    with pytest.raises(AttributeError, match=r"has no attribute 'Psycopg3AsyncDriver': .*No module named 'psycopg'"):
        _ = aio.Psycopg3AsyncDriver


@pytest.mark.parametrize("module", ["aio", "drivers", "testing"])
def test_any_other_name_is_no_attribute(module: str) -> None:
    with pytest.raises(AttributeError, match=f"module 'pg_lo_storage.{module}' has no attribute 'nothing'"):
        _ = importlib.import_module(f"pg_lo_storage.{module}").nothing


def test_the_report_says_that_there_is_no_driver() -> None:
    argv = [sys.executable, "-m", "pg_lo_storage", "--dsn", "dbname=nothing"]
    done = subprocess.run(argv, env=os.environ, capture_output=True, text=True, check=True)
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("database by --dsn")]
    assert "No module named 'psycopg" in line
