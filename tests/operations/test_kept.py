"""Files that triggers keep: a field's default, what a project's own columns name, what a row is about to name."""

from typing import Any

import pytest
from django.core.management import call_command
from django.db.models import Value
from django.test import override_settings

from pg_lo_storage.lifecycle.expecting import EXPECTED, expect
from pg_lo_storage.operations import ManageLargeObjects
from tests.operations.support import Project, files, loids, make_file, names, run, value

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("catalogue_table")]

MANAGE = ManageLargeObjects("invoice", "data")
LEAVING = ["delete from invoice", "update invoice set data = ''", "truncate invoice"]


def default_options(name: str) -> "dict[str, dict[str, Any]]":
    return {
        "default": {"default": name},
        "callable": {"default": lambda: name},
        "db_default": {"db_default": name},
        "db_default of a value": {"db_default": Value(name)},
    }


@pytest.mark.parametrize("statement", LEAVING)
@pytest.mark.parametrize("kind", default_options(""))
def test_a_default_is_never_unlinked(project: Project, kind: str, statement: str) -> None:
    default, other = make_file(), make_file()
    project.table("Invoice", {"data": names(**default_options(default)[kind])})
    project.apply(MANAGE)
    run("insert into invoice (data) values (%s), (%s)", [default, other])
    run(statement)
    assert files() == loids(default)


def test_a_default_of_another_field_is_kept(project: Project) -> None:
    default = make_file()
    project.table("Invoice", {"data": names()})
    project.table("Letter", {"data": names(default=default)})
    project.table("Note", {"data": names(db_default=default)})
    project.apply(MANAGE)
    run("insert into invoice (data) values (%s)", [default])
    run("delete from invoice")
    assert files() == loids(default)


def test_a_default_of_the_database_is_looked_up_when_files_go(project: Project) -> None:
    project.table("Invoice", {"data": names()})
    project.apply(MANAGE)
    default, former = make_file(), make_file()
    run(f"alter table invoice alter data set default '{former}'")
    run(f"alter table invoice alter data set default '{default}'")
    run("insert into invoice (data) values (default), (%s)", [former])
    run("delete from invoice")
    assert files() == loids(default)


REFERENCES = ["invoices.Note.text", "auth.Group.name", "auth.Permission.id"]
NAMING = {
    "text": "insert into invoices_note (text) values ('{name}')",
    "varchar": "insert into auth_group (name) values ('{name}')",
    "another extension": "insert into auth_group (name) values ('{loid}.else')",
    "a number": "update auth_permission set id = {loid} where id = (select max(id) from auth_permission)",
}


@pytest.mark.parametrize("naming", NAMING)
@pytest.mark.parametrize("statement", LEAVING)
def test_columns_that_the_project_lists_keep_files(project: Project, naming: str, statement: str) -> None:
    project.table("Invoice", {"data": names()})
    with override_settings(PG_LO_STORAGE_REFERENCES=REFERENCES):
        project.apply(MANAGE)
    name, other = make_file(), make_file()
    run("insert into invoice (data) values (%s), (%s)", [name, other])
    run(NAMING[naming].format(name=name, loid=name.partition(".")[0]))
    run(statement)
    assert files() == loids(name)


def test_migrate_tells_of_columns_that_the_project_lists_later(project: Project) -> None:
    project.table("Invoice", {"data": names()})
    project.apply(MANAGE)
    name = make_file()
    run("insert into invoice (data) values (%s)", [name])
    run("insert into invoices_note (text) values (%s)", [name])
    with override_settings(PG_LO_STORAGE_REFERENCES=REFERENCES):
        call_command("migrate", verbosity=0)
    run("delete from invoice")
    assert files() == loids(name)


def test_a_file_that_is_expected_elsewhere_stays_until_a_row_names_it(project: Project) -> None:
    project.table("Invoice", {"data": names(), "scan": names()})
    project.table("Letter", {"data": names()})
    project.apply(MANAGE, ManageLargeObjects("letter", "data"))
    moved, other, replacing = make_file(), make_file(), make_file()
    run("insert into invoice (id, data) values (1, %s), (2, %s)", [moved, other])
    expect("default", [moved])
    expect("default", [replacing, "no name"])
    run("update invoice set data = %s where id = 1", [replacing])
    run("delete from invoice where id = 2")
    assert files() == loids(moved, replacing)
    run("insert into letter (data) values (%s)", [moved])
    assert value(f"select current_setting('{EXPECTED}')") == ""
    run("delete from letter")
    run("delete from invoice")
    assert files() == set()


@pytest.mark.parametrize("setting", ["no oid", "1", "''", " ", "99999999999999999999"])
def test_whatever_is_expected_files_go(project: Project, setting: str) -> None:
    project.table("Invoice", {"data": names()})
    project.apply(MANAGE)
    run("select set_config(%s, %s, true)", [EXPECTED, setting])
    run("insert into invoice (data) values (%s)", [make_file()])
    run("update invoice set data = %s", [make_file()])
    run("delete from invoice")
    assert files() == set()
