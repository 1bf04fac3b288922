"""What the server refuses to change is left, with the reason; the rest is mended."""

import io
import os
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager

import pytest
from django.core.files.base import ContentFile
from django.core.management import call_command
from django.db import OperationalError, transaction

from tests.damage.planting import BOOK, DATA, sql
from tests.damage.shelf.models import Book
from tests.damage.support import largeobjects, mend, records

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other", "replica"])
ON = ("--database", "default")


@pytest.fixture(autouse=True)
def _empty() -> Iterator[None]:
    yield
    sql(f"truncate {BOOK}, shelf_portrait cascade")


def dangling(count: int, column: str = DATA) -> list[str]:
    names = [f"{4_000_000_000 + n}.txt" for n in range(count)]
    for name in names:
        sql(f"insert into {BOOK} ({DATA}, cover) values (null, '')")
        sql(f"update {BOOK} set {column} = %s where id = (select max(id) from {BOOK})", name)
    return names


@contextmanager
def trigger(body: str) -> Generator[None]:
    sql(f"create function shelf_no() returns trigger language plpgsql as $$begin {body}; return new; end$$")
    sql(f"create trigger shelf_no before update on {BOOK} for each row execute function shelf_no()")
    try:
        yield
    finally:
        sql(f"drop trigger shelf_no on {BOOK}")
        sql("drop function shelf_no()")


def test_what_a_trigger_of_the_project_refuses_is_left() -> None:
    _, refused, *_ = dangling(5)
    with trigger(f"if old.{DATA} = '{refused}' then raise 'not\n this'; end if"):
        status, lines = largeobjects("repair", "--dangling", "null", *ON, "--yes")
    assert (status, lines[-1]) == (1, "default: dangling: 4 mended, 1 left")
    assert [line for line in lines if "left, the server refuses it: not this" in line and refused in line]
    assert sql(f"select {DATA} from {BOOK} where {DATA} is not null") == [(refused,)]


def test_a_connection_that_is_lost_in_the_callers_transaction_is_no_refusal() -> None:
    names = dangling(2)
    lost = pytest.raises(OperationalError, match=r"terminating connection|closed the connection")
    with trigger("perform pg_terminate_backend(pg_backend_pid())"), lost, transaction.atomic():
        mend("dangling")
    assert sorted(name for (name,) in sql(f"select {DATA} from {BOOK}")) == names


def test_a_repair_in_a_transaction_is_a_part_of_it() -> None:
    [name] = dangling(1)
    with transaction.atomic():
        assert [left for _, left in mend("dangling")] == [""]
        transaction.set_rollback(True)
    assert sql(f"select {DATA} from {BOOK}") == [(name,)]


def test_what_a_constraint_refuses_is_left() -> None:
    dangling(3, "cover")
    sql(f"create unique index shelf_one on {BOOK} (cover)")
    try:
        assert sorted(left != "" for _, left in mend("dangling")) == [False, True, True]
    finally:
        sql("drop index shelf_one")


def test_a_generated_column_is_not_changed() -> None:
    sql(f"alter table {BOOK} drop column cover, add cover text generated always as ('4000000000.txt') stored")
    try:
        sql(f"insert into {BOOK} ({DATA}) values (null)")
        assert [left for _, left in mend("dangling", dry_run=True)] == ["the role may not change it"]
    finally:
        sql(f"alter table {BOOK} drop column cover, add cover varchar(100) not null default ''")
        sql(f"alter table {BOOK} alter cover drop default")


def test_an_images_dimensions_go_with_its_name() -> None:
    """As Django has it; what cannot be without a value keeps it."""
    sql("insert into shelf_portrait (image, width, height, pages) values ('4000000000.png', 3, 2, 1)")
    assert [left for _, left in mend("dangling")] == [""]
    assert sql("select image, width, height, pages from shelf_portrait") == [(None, None, 2, 1)]


def test_a_key_cannot_draw_on_the_terminal() -> None:
    sql("insert into shelf_sheet (book, page, data) values (7, %s, '4000000000.txt')", "\x1b[2J\norphan: x")
    try:
        [line, _] = largeobjects("check", *ON)[1]
        assert line == r"dangling: default: shelf_sheet.data of page=\x1b[2J\norphan: x, book=7: '4000000000.txt'"
        assert records("check", *ON)[1][0]["key"] == {"page": "\x1b[2J\norphan: x", "book": "7"}
    finally:
        sql("truncate shelf_sheet")


@pytest.mark.parametrize("options", [(), ("-v", "0")])
def test_that_rows_may_be_missed_is_said_and_is_no_success(options: tuple[str, ...]) -> None:
    Book.objects.create(data=ContentFile(b"data", "a.txt"))
    sql(f"alter table {BOOK} force row level security, enable row level security")
    try:
        status, [said, *_] = largeobjects("check", *ON, *options)
        assert (status, "files that no row names cannot be told" in said) == (1, True)
        assert largeobjects("check", *ON, "--ignore", "orphan")[0] == 0
        status, said_of_orphans = largeobjects("repair", "--orphans", "--yes", *ON, *options)
        assert (status, any("files that no row names cannot be told" in line for line in said_of_orphans)) == (1, True)
    finally:
        sql(f"alter table {BOOK} no force row level security, disable row level security")


def test_a_reader_who_has_enough_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """As ``largeobjects check | head`` has it."""

    class Closed(io.StringIO):
        def write(self, _text: str) -> int:
            raise BrokenPipeError

    placed: list[tuple[int, int]] = []

    def place(source: int, target: int) -> None:
        placed.append((source, target))

    monkeypatch.setattr(os, "dup2", place)
    dangling(1)
    with pytest.raises(SystemExit) as ended:
        call_command("largeobjects", "check", *ON, stdout=Closed())
    assert ended.value.code == 141
    [(null, stdout)] = placed
    assert stdout == sys.stdout.fileno()
    os.close(null)
