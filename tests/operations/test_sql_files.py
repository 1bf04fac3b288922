"""The SQL of the triggers is files that an editor and a linter can read."""

from pathlib import Path

import pytest
from django.db import Error, connection, transaction

from pg_lo_storage.operations import templates
from tests.operations.support import SQL_FILES, run

SYNTAX_ERROR = "42601"
OPTIONS = "set search_path = pg_catalog, pg_temp set standard_conforming_strings = on set row_security = off"
FUNCTIONS = sorted(SQL_FILES.glob("functions/*.sql"))
SCRIPTS = sorted(SQL_FILES.glob("scripts/*.sql"))


def stem(path: Path) -> str:
    return path.stem


def sqlstate_of(statement: str) -> str | None:
    """Return the error of a statement that has no parameters, ``None`` where it has none."""
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement)
    except Error as error:
        cause = error.__cause__
        return getattr(cause, "sqlstate", None) or getattr(cause, "pgcode", None)
    return None


@pytest.mark.django_db
@pytest.mark.parametrize("path", FUNCTIONS, ids=stem)
def test_a_function_is_sql_as_its_file_stands(path: Path) -> None:
    run('create schema "@schema@"')
    # PostgreSQL reads all of a body when the function is made.
    assert sqlstate_of(path.read_text(encoding="utf-8")) is None
    assert run("select count(*) from pg_proc where pronamespace = '\"@schema@\"'::regnamespace") == [(1,)]


@pytest.mark.django_db
@pytest.mark.parametrize("path", SCRIPTS, ids=stem)
def test_a_script_is_sql_before_its_values_are_filled_in(path: Path) -> None:
    script = templates.script(path.stem)
    # All of it is read first; then names in the place of values are columns that there are not.
    undefined_column = "42703"
    assert sqlstate_of(script) == (undefined_column if '"@' in script.partition("begin")[0] else None)
    assert sqlstate_of(script.replace("begin", "begin perform 1 +;", 1)) == SYNTAX_ERROR


@pytest.mark.once
@pytest.mark.parametrize("path", FUNCTIONS, ids=stem)
def test_a_function_has_its_own_search_path(path: Path) -> None:
    assert f"\n{OPTIONS}\nas $body$" in path.read_text(encoding="utf-8")


@pytest.mark.once
def test_each_function_is_installed() -> None:
    assert len(templates.functions()) == len(FUNCTIONS) > 0


@pytest.mark.once
@pytest.mark.parametrize("path", sorted(SQL_FILES.glob("parts/*.sql")), ids=stem)
def test_each_part_is_of_use(path: Path) -> None:
    assert [user for user in [*FUNCTIONS, *SCRIPTS] if f"@{path.stem}@" in user.read_text(encoding="utf-8")]
