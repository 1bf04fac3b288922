"""What row-level security may hide is never taken for unreferenced."""

import pytest
from django.db import ProgrammingError, transaction

from pg_lo_storage.operations import ManageLargeObjects
from tests.operations.support import Project, files, loids, make_file, names, run

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("catalogue_table")]

LEAVING = pytest.mark.parametrize(
    "statement", ["delete from invoice", "update invoice set data = ''", "truncate invoice"]
)


@LEAVING
def test_row_level_security_hides_no_reference(project: Project, statement: str) -> None:
    check(project, statement, owner=None)


@LEAVING
@pytest.mark.parametrize("catalogue_table", [True], indirect=True)
def test_row_level_security_hides_no_reference_from_an_owner(project: Project, statement: str) -> None:
    check(project, statement, owner="app")


def check(project: Project, statement: str, owner: str | None) -> None:
    project.table("Invoice", {"data": names()})
    project.table("Letter", {"data": names()})
    project.apply(ManageLargeObjects("invoice", "data", owner=owner))
    name = make_file()
    run("insert into invoice (data) values (%s)", [name])
    run("insert into letter (data) values (%s)", [name])
    run("alter table letter enable row level security")
    run("create policy none on letter using (false)")
    run("alter table letter force row level security")
    message = r'row-level security policy for table "letter"\nDETAIL:  .*\nHINT:  Role app needs to .* see all rows'
    with pytest.raises(ProgrammingError, match=message), transaction.atomic():
        run(statement)
    assert files() == loids(name)
    run("alter table letter no force row level security")
    run(statement)
    assert files() == loids(name)
