"""Several schemas with a catalogue each, which may have the same object: it is unlinked with its last entry."""

import io
import itertools
from collections.abc import Callable, Sequence

import pytest
from django.core.files.base import ContentFile
from django.core.management import call_command
from django.db import connections

from pg_lo_storage.storage import db_file_storage
from tests.fixtures.connections import Connect
from tests.fixtures.schemas import in_schema, names_in, tenant
from tests.invoices.models import Invoice

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.parametrize("catalogue", [True], ids=["catalogue"], indirect=True),
    pytest.mark.usefixtures("catalogue", "schemas"),
]
COPY = "insert into {}.pg_lo_storage_file select * from public.pg_lo_storage_file"
DELETIONS: dict[str, Callable[[Invoice], object]] = {
    "by name": lambda row: db_file_storage.delete(str(row.data)),
    "its row": lambda row: row.delete(),
}


def uploaded() -> Invoice:
    return Invoice.objects.create(data=ContentFile(b"data", "a.txt"))


def delete_in(schema: str, name: str) -> None:
    with connections["default"].cursor() as cursor:
        cursor.execute(f"set search_path = {schema}")
        db_file_storage.delete(name)
        cursor.execute("reset search_path")


@pytest.mark.parametrize("deletion", DELETIONS)
def test_what_another_schemas_catalogue_has_stays(deletion: str, large_objects: Callable[[], set[int]]) -> None:
    row = uploaded()
    name, others = str(row.data), ["blue", "green"]
    for schema in others:
        in_schema(schema, COPY.format(schema))
    DELETIONS[deletion](row)
    assert names_in("public") == []
    while others:
        assert len(large_objects()) == 1
        delete_in(others.pop(), name)
    assert large_objects() == set()


@pytest.mark.parametrize("deletion", DELETIONS)
@pytest.mark.parametrize("unreadable", ["revoke all on {} from app", "alter table {} enable row level security"])
def test_what_cannot_be_read_may_have_it(
    deletion: str, unreadable: str, connect: Connect, large_objects: Callable[[], set[int]]
) -> None:
    row = uploaded()
    superuser = connect(user="postgres", autocommit=True).cursor()
    superuser.execute("alter table blue.pg_lo_storage_file owner to postgres")
    superuser.execute(unreadable.format("blue.pg_lo_storage_file"))
    DELETIONS[deletion](row)
    assert len(large_objects()) == 1
    assert names_in("public") == []
    superuser.execute("alter table blue.pg_lo_storage_file owner to app")


@pytest.mark.parametrize("deletion", DELETIONS)
@pytest.mark.parametrize("change", ["owner to stranger", "rename loid to number", "alter loid type text"])
def test_what_is_no_catalogue_of_the_project_keeps_nothing(
    deletion: str, change: str, connect: Connect, large_objects: Callable[[], set[int]]
) -> None:
    row = uploaded()
    in_schema("blue", COPY.format("blue"))
    superuser = connect(user="postgres", autocommit=True).cursor()
    superuser.execute(f"alter table blue.pg_lo_storage_file {change}")
    DELETIONS[deletion](row)
    assert large_objects() == set()
    superuser.execute("alter table blue.pg_lo_storage_file owner to app")


def copied_rows(*schemas: str) -> None:
    """Have each schema, with no catalogue of its own, a copy of the public table with its rows."""
    for schema in schemas:
        in_schema("public", f"drop table {schema}.pg_lo_storage_file")
        in_schema("public", f"create table {schema}.invoices_invoice (like public.invoices_invoice including all)")
        in_schema("public", f"insert into {schema}.invoices_invoice select * from public.invoices_invoice")


@pytest.mark.parametrize("order", list(itertools.permutations(["public", "blue", "green"])), ids=" ".join)
def test_where_schemas_share_the_catalogue_rows_of_each_keep_files(
    order: Sequence[str], large_objects: Callable[[], set[int]], backend: str
) -> None:
    """Also where it is in the schema of the row that goes."""
    assert backend
    uploaded()
    copied_rows("blue", "green")
    for schema in order:
        assert len(large_objects()) == 1
        with tenant(schema):
            Invoice.objects.get().delete()
    assert large_objects() == set()


@pytest.mark.parametrize("is_readable", [True, False])
def test_what_another_schemas_catalogue_has_is_not_adopted(is_readable: bool, connect: Connect) -> None:
    name = str(uploaded().data)
    in_schema("blue", COPY.format("blue"))
    in_schema("public", "truncate pg_lo_storage_file")
    superuser = connect(user="postgres", autocommit=True).cursor()
    if not is_readable:
        superuser.execute("alter table blue.pg_lo_storage_file owner to postgres")
    output = io.StringIO()
    call_command("largeobjects", "adopt", "--show", "--model", "invoices.Invoice.data", stdout=output)
    assert "the catalogue of another schema has the object" in output.getvalue()
    assert names_in("public") == []
    superuser.execute("alter table blue.pg_lo_storage_file owner to app")
    in_schema("public", "truncate blue.pg_lo_storage_file")
    call_command("largeobjects", "adopt", "--model", "invoices.Invoice.data", stdout=output)
    assert names_in("public") == [name]
