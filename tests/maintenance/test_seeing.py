"""``largeobjects stats``, ``top``, ``who`` and ``ls``: what they print, as text and as JSON, and their exit status."""

import hashlib
import io
import json
from contextlib import closing, nullcontext
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import connections
from django.test.utils import CaptureQueriesContext

from example.cluster import Server
from pg_lo_storage.management.commands.largeobjects import Command
from pg_lo_storage.management.subcommands import who
from pg_lo_storage.models import StoredFile
from tests.catalogue.support import invoice, run, saved, uncatalogued
from tests.fixtures.connections import INSTALLED, open_connection
from tests.fixtures.connections import run as sql
from tests.storage.support import loid_of

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])


def largeobjects(*arguments: str, status: int = 0) -> tuple[str, str]:
    """Run the command, which ends with that status, and return what it prints on its two streams."""
    stdout, stderr = io.StringIO(), io.StringIO()
    # By its class, which there is without the app, too.
    with pytest.raises(SystemExit, match=str(status)) if status else nullcontext():
        call_command(Command(), *arguments, stdout=stdout, stderr=stderr)
    return stdout.getvalue(), stderr.getvalue()


def records(*arguments: str) -> list[dict[str, Any]]:
    printed, _ = largeobjects(*arguments, "--json")
    return [json.loads(line) for line in printed.splitlines()]


def made(month: str, size: int) -> None:
    name = saved("a.pdf", b"x" * size)
    StoredFile.objects.filter(loid=loid_of(name)).update(created_at=f"{month}-15T12:00:00Z")


def test_stats_say_the_totals_and_draw_the_months() -> None:
    for month, size in (("2025-01", 4096), ("2025-03", 2048)):
        made(month, size)
    text, _ = largeobjects("stats")
    for line in (
        "default: 2 files, 6.0 KB",
        "  of the last 30 days: 0 files, 0 bytes",
        "  2025-01  ████████████████████████  4.0 KB, 1 file",
        "  2025-02                            0 bytes, 0 files",
        "  2025-03  ████████████              2.0 KB, 1 file",
    ):
        assert line in text.splitlines()
    assert "of pg_largeobject, for 2 objects" in text


def test_stats_as_json_are_the_same_figures() -> None:
    made("2025-01", 4096)
    [found] = records("stats", "--database", "default")
    expected = {"database": "default", "catalogued": True, "files": 1, "bytes": 4096, "recent_files": 0, "objects": 1}
    assert found | expected == found
    assert records("stats", "--by", "month", "--database", "default") == [
        {"database": "default", "by": "month", "label": "2025-01", "files": 1, "bytes": 4096}
    ]


def test_stats_leave_the_search_of_all_rows_out() -> None:
    saved()
    with CaptureQueriesContext(connections["default"]) as queries:
        text, _ = largeobjects("stats", "--no-orphans", "--database", "default")
    assert "named by no row" not in text
    assert not [query for query in queries.captured_queries if "invoices_invoice" in query["sql"]]
    assert "orphans" not in records("stats", "--no-orphans", "--database", "default")[0]
    assert records("stats", "--database", "default")[0]["orphans"] == 1


@pytest.mark.parametrize("by", ["field", "owner", "month", "type", "role"])
def test_stats_are_drawn_as_svg(by: str, tmp_path: Path) -> None:
    owner = User.objects.create_user("<owner & co>\x0b")
    run("insert into invoices_invoice (data, owner_id) values (%s, %s)", saved("a.pdf"), owner.pk)
    file = tmp_path / "chart.svg"
    largeobjects("stats", "--by", by, "--svg", str(file), "--database", "default")
    drawing = ET.parse(file).getroot()
    texts = [element.text for element in drawing.iter("{http://www.w3.org/2000/svg}text")]
    assert texts[0] == f"default: files by {by}"
    assert texts[-1] == "7 bytes, 1 file"
    assert ("<owner & co>\N{REPLACEMENT CHARACTER}" in texts) == (by == "owner")


def test_stats_count_the_orphans_that_check_finds(catalogue: bool) -> None:
    run("insert into invoices_invoice (data) values (%s)", saved("a.pdf"))
    saved("b.pdf")
    uncatalogued()
    found = {record["database"]: record["orphans"] for record in records("stats")}
    assert found["default"] == (1 if catalogue else None)
    checked, _ = largeobjects("check", "--database", "default", "--json", status=int(catalogue))
    kinds = [json.loads(line).get("kind") for line in checked.splitlines()]
    assert kinds.count("orphan") == (1 if catalogue else 0)
    assert ("  named by no row: 1 file\n" in largeobjects("stats")[0]) == catalogue


def test_orphans_are_not_known_where_rows_may_be_missed() -> None:
    saved("a.pdf")
    run("revoke select on invoices_invoice from app; grant select (id, data, owner_id) on invoices_invoice to app")
    try:
        [found] = records("stats", "--database", "default")
        text, _ = largeobjects("stats", "--database", "default")
    finally:
        run("grant select on invoices_invoice to app")
    assert found["orphans"] is None
    assert "  named by no row: not known, for rows may be missed: see check\n" in text


@pytest.mark.parametrize(("encoding", "bar", "name"), [
    ("utf-8", "█" * 24, "Grüße→.pdf"),
    ("latin-1", "#" * 24, "Grüße\\u2192.pdf"),
    ("ascii", "#" * 24, "Gr\\xfc\\xdfe\\u2192.pdf"),
])  # fmt: skip
def test_a_terminal_gets_letters_that_it_has(encoding: str, bar: str, name: str) -> None:
    saved("Grüße→.pdf")
    for arguments, expected in ((["stats"], bar), (["top"], name), (["ls", "-l"], name)):
        raw = io.BytesIO()
        stdout = io.TextIOWrapper(raw, encoding=encoding, write_through=True)
        call_command(Command(), *arguments, database="default", stdout=stdout)
        assert expected in raw.getvalue().decode(encoding)


def test_an_svg_is_of_one_database(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def both(_options: object) -> list[str]:
        return ["default", "other"]

    monkeypatch.setattr("pg_lo_storage.management.subcommands.stats.databases_of", both)
    with pytest.raises(CommandError, match="add --database, which is one of default, other"):
        largeobjects("stats", "--svg", str(tmp_path / "chart.svg"))


def test_without_the_catalogue_stats_give_what_they_can(catalogue: bool) -> None:
    uncatalogued(b"x" * 10)
    text, _ = largeobjects("stats")
    assert ("without the catalogue" in text, "1 file, 10 bytes" in text) == (not catalogue, not catalogue)
    text, problem = largeobjects("stats", "--by", "type", status=0 if catalogue else 1)
    assert ("types of files are not known" in problem) == (not catalogue)


@pytest.mark.parametrize("arguments", [["stats", "--by", "field"], ["top"], ["who", "{}"]], ids=lambda each: each[0])
def test_columns_that_cannot_be_read_are_told_of(arguments: list[str]) -> None:
    name = saved("a.pdf")
    run("revoke select on invoices_invoice from app; grant select (id, data, owner_id) on invoices_invoice to app")
    try:
        _, problems = largeobjects(*(each.format(name) for each in arguments))
    finally:
        run("grant select on invoices_invoice to app")
    assert "default: invoices.Invoice.plain: the role may not read it\n" in problems


def test_top_shows_the_largest_with_their_rows() -> None:
    small, large = saved("small.pdf", b"x"), saved("large.pdf", b"x" * 2048)
    owner = User.objects.create_user("ann")
    run("insert into invoices_invoice (id, data, owner_id) values (1, %s, %s)", large, owner.pk)
    assert largeobjects("top")[0].splitlines() == [
        f"default: {large}  2.0 KB 'large.pdf'  invoices_invoice 1 data of ann",
        f"default: {small}  1 bytes 'small.pdf'  no row",
    ]
    [found] = records("top", "-n", "1")
    [row] = found["rows"]
    assert (found["name"], found["size"], row["table"], row["user"]) == (large, 2048, "invoices_invoice", "ann")


def test_who_shows_all_that_is_known() -> None:
    name = saved("letter.pdf", b"x" * 10)
    run("insert into invoices_invoice (id, plain) values (7, %s)", name)
    for what in (name, str(loid_of(name)), hashlib.sha256(b"x" * 10).hexdigest()):
        lines = largeobjects("who", what)[0].splitlines()
        assert lines[:2] == [f"default: {name}", f"  object {loid_of(name)}, 10 bytes, of the role app"]
        assert lines[2].startswith("  entry 'letter.pdf', application/pdf, saved 2")
        assert lines[4:] == ["  row invoices_invoice 7 plain"]
    [found] = records("who", name)
    assert found["original_name"] == "letter.pdf"
    assert found["rows"] == [
        {"database": "default", "table": "invoices_invoice", "column": "plain", "key": "7", "user": None}
    ]


def test_who_ends_with_1_where_there_is_nothing(catalogue: bool) -> None:
    for what in ("4000000000", "4000000000.pdf", "0" * 64, "x"):
        assert largeobjects("who", what, status=1) == ("", f"there is no {what!r}, and no row names it\n")
    invoice("4000000000.pdf")
    assert "  there is no such object" in largeobjects("who", "4000000000")[0]
    assert catalogue is not None


def test_ls_lists_names_in_the_order_of_their_numbers() -> None:
    names = [saved(name) for name in ("b.pdf", "a.png", "c.pdf")]
    assert largeobjects("ls")[0].split() == names
    assert largeobjects("ls", "*.pdf")[0].split() == [names[0], names[2]]
    assert largeobjects("ls", "a.*")[0].split() == [names[1]]
    assert largeobjects("ls", "--after", names[0])[0].split() == names[1:]
    assert largeobjects("ls", "x*")[0] == ""
    assert [found["name"] for found in records("ls")] == names
    [line] = largeobjects("ls", "-l", "a.png")[0].splitlines()
    assert (line.split("\t")[0], line.split("\t")[1], line.split("\t")[3]) == (names[1], "7 bytes", "a.png")


def test_ls_takes_two_queries_for_a_thousand() -> None:
    run(
        "with made as (select lo_from_bytea(0, '') as loid from generate_series(1, 1500))"
        " insert into pg_lo_storage_file (loid, original_name, content_type) select loid, '', '' from made"
    )
    with CaptureQueriesContext(connections["default"]) as captured:
        printed, _ = largeobjects("ls", "-l")
    assert len(printed.splitlines()) == 1500
    assert len(captured) <= 6


def test_ls_needs_the_catalogue_and_a_name(catalogue: bool) -> None:
    saved()
    if catalogue:
        with pytest.raises(CommandError, match="'x' is no name of a stored file"):
            largeobjects("ls", "--after", "x")
    else:
        assert "without the catalogue" in largeobjects("ls", status=1)[1]


def test_a_database_that_is_not_postgresql_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections["other"], "vendor", "sqlite")
    for subcommand in (["stats"], ["top"], ["who", "1"], ["ls"]):
        with pytest.raises(CommandError, match="large objects need PostgreSQL"):
            largeobjects(*subcommand, "--database", "other")


def test_who_says_that_no_row_names_a_file() -> None:
    text, _ = largeobjects("who", saved("a.pdf"))
    assert "  no row names it" in text.splitlines()


def test_stats_tell_of_files_without_a_digest() -> None:
    saved("a.pdf")
    StoredFile.objects.update(sha256=None, modified_at="2025-03-15T12:00:00Z")
    text, _ = largeobjects("stats")
    assert "  1 of them without a digest, the oldest of 2025-03-15" in text.splitlines()


def test_stats_tell_of_files_that_the_role_may_not_measure(server: Server) -> None:
    with closing(open_connection(INSTALLED[0], server.dsn(user="stranger"), autocommit=True)) as connection:
        [(oid,)] = sql(connection, "select lo_from_bytea(0, 'abc')::int8")
    StoredFile.objects.create(loid=oid)
    text, _ = largeobjects("stats")
    assert "  1 of them of unknown size: the role may not read them" in text.splitlines()


def test_who_says_where_it_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(who, "MOST_ROWS", 1)
    name = saved("a.pdf")
    run("insert into invoices_invoice (id, plain) values (7, %s)", name)
    lines = largeobjects("who", name)[0].splitlines()
    assert lines[4:] == ["  row invoices_invoice 7 plain", "  of each column up to 1 rows are shown"]


@pytest.mark.parametrize("command", [("check", "--deep"), ("adopt",)])
def test_how_much_there_is_is_counted_where_somebody_looks_on(
    command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr("tqdm.tqdm.monitor_interval", 0)  # no thread that outlives the test
    name = saved("a.pdf")
    invoice(name)
    terminal = Terminal()
    call_command("largeobjects", *command, "--database", "default", stdout=io.StringIO(), stderr=terminal)
    assert "0/1 " in terminal.getvalue()
