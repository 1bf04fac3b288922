"""Several schemas with a catalogue each, which may have the same object: it is unlinked with its last entry."""

import io
import itertools
from collections.abc import Callable, Iterator, Sequence

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


def largeobjects(*args: str) -> str:
    output = io.StringIO()
    call_command("largeobjects", *args, stdout=output, stderr=output)
    return output.getvalue()


@pytest.fixture
def guest(backend: str) -> Invoice:
    """A public row whose file is catalogued in blue, where it was saved."""
    assert backend
    with tenant("blue"):
        return uploaded()


@pytest.mark.usefixtures("guest")
def test_what_a_row_of_another_schema_names_is_not_emptied(large_objects: Callable[[], set[int]]) -> None:
    assert "1 files stay" in largeobjects("empty", "blue", "--no-input")
    assert len(large_objects()) == len(names_in("blue")) == 1
    # Another tenant does not have the file, and so cannot end it.
    with tenant("green"):
        Invoice.objects.get().delete()
    assert len(large_objects()) == 1
    output = largeobjects("empty", "blue", "--no-input")
    assert "1 unlinked" in output
    assert "stay" not in output
    assert names_in("blue") == []
    assert large_objects() == set()


def test_what_was_not_emptied_is_adopted_where_its_row_is(guest: Invoice) -> None:
    largeobjects("empty", "blue", "--no-input")
    in_schema("blue", "drop table blue.pg_lo_storage_file")
    largeobjects("adopt", "--model", "invoices.Invoice.data")
    assert names_in("public") == [str(guest.data)]
    with Invoice.objects.get().data.open() as file:
        assert file.read() == b"data"


def test_what_a_schema_without_a_catalogue_names_is_not_emptied(
    guest: Invoice, large_objects: Callable[[], set[int]]
) -> None:
    """Also where the schema to be emptied has a table of that name."""
    in_schema("blue", "create table blue.invoices_invoice (like public.invoices_invoice including all)")
    in_schema("blue", "insert into blue.invoices_invoice select * from public.invoices_invoice")
    in_schema("blue", "alter table public.pg_lo_storage_file rename to away")
    assert "1 files stay" in largeobjects("empty", "blue", "--no-input")
    assert "1 copied" in largeobjects("detach", "blue")
    assert "1 unlinked" in largeobjects("empty", "blue", "--no-input")
    in_schema("blue", "alter table public.away rename to pg_lo_storage_file")
    assert large_objects() == {guest.data.loid}


def test_what_a_catalogue_has_is_not_emptied_elsewhere(large_objects: Callable[[], set[int]]) -> None:
    """Also where the schema that is emptied shares another catalogue."""
    uploaded()
    in_schema("green", COPY.format("green"))
    copied_rows("blue")
    in_schema("public", "truncate public.invoices_invoice")
    assert "0 unlinked" in largeobjects("empty", "blue", "--no-input")
    assert len(large_objects()) == 1


@pytest.fixture
def odd() -> Iterator[str]:
    """A schema with signs in its name that mean something in queries."""
    name = '50%s "x" %'
    quoted = name.replace('"', '""')
    in_schema("public", f'create schema "{quoted}"')
    yield name
    in_schema("public", f'drop schema "{quoted}" cascade')


@pytest.mark.parametrize("is_own", [True, False])
def test_a_schema_may_have_any_name(is_own: bool, odd: str, large_objects: Callable[[], set[int]]) -> None:
    row = uploaded()
    quoted = odd.replace('"', '""').join('""')
    for table in ("pg_lo_storage_file", "invoices_invoice")[not is_own :]:
        in_schema("public", f"create table {quoted}.{table} (like public.{table} including all)")
        in_schema("public", f"insert into {quoted}.{table} select * from public.{table}")
    assert "1 copied" in largeobjects("detach", odd, "--yes")
    assert len(large_objects()) == 2
    assert "1 unlinked" in largeobjects("empty", odd, "--no-input")
    in_schema("public", f"update {quoted}.invoices_invoice set data = '{row.data}'")
    if is_own:
        in_schema("public", f"insert into {quoted}.pg_lo_storage_file select * from public.pg_lo_storage_file")
    row.delete()
    assert len(large_objects()) == 1


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
