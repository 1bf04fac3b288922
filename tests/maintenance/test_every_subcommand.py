"""What all subcommands of ``manage.py largeobjects`` have in common: one is not in this table, and this fails."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import OperationalError

from pg_lo_storage.exceptions import LargeObjectReadOnly
from pg_lo_storage.management.commands.largeobjects import Command
from pg_lo_storage.management.subcommands import SUBCOMMANDS
from tests.catalogue.support import invoice, run, saved
from tests.storage.support import loid_of

pytestmark = [pytest.mark.django_db(transaction=True, databases=["default", "other"]), pytest.mark.once]

DUMP: Final = "-- PostgreSQL database dump\nSELECT pg_catalog.lo_create('{}');\n-- PostgreSQL database dump complete\n"
QUIET: Final[dict[str, list[str]]] = {
    "check": [],
    "repair": ["--orphans", "--entries", "--sizes"],
    "prune": [],
    "adopt": ["--dry-run"],
    "transfer": ["invoices.Invoice", "--from", "default", "--to", "other", "--dry-run"],
    "move": ["invoices.Invoice.data", "--to", "disk"],
    "detach": ["public", "--dry-run"],
    "empty": ["public", "--dry-run"],
    "stats": ["--by", "field"],
    "top": [],
    "who": ["{name}"],
    "ls": ["-l"],
    "grant": ["--to", "app"],
    "erase": ["invoices.Invoice", "--where", "pk__lt=0"],
    "restore-check": ["{free}"],
}
"""Arguments with which a subcommand finds nothing amiss, and changes nothing."""

FINDS: Final[dict[str, list[str]]] = {
    "check": [],
    "repair": ["--orphans", "--older-than", "0"],
    "prune": ["--older-than", "0"],
    "move": ["invoices.Invoice.plain", "--from", "disk"],
    "who": ["4294967295.pdf"],
    "erase": ["invoices.Invoice", "--where", "pk__gt=0"],
    "restore-check": ["{taken}"],
}
"""Arguments with which it finds something, which is its exit status, where an orphan and a wrong name are."""

Given = Callable[[list[str]], list[str]]


@pytest.fixture
def given(tmp_path: Path, settings: Any) -> Given:
    """Fill in names that are there: a row's file, and dumps."""
    folder = tmp_path / "disk"
    folder.mkdir()
    settings.STORAGES = settings.STORAGES | {
        "disk": {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": str(folder)}}
    }
    name = saved()
    invoice(name)
    for what, oid in (("taken", loid_of(name)), ("free", 4_294_967_294)):
        (tmp_path / what).write_text(DUMP.format(oid))
    names = {"name": name, "taken": str(tmp_path / "taken"), "free": str(tmp_path / "free")}
    return lambda arguments: [each.format(**names) for each in arguments]


@pytest.fixture
def _amiss(given: Given) -> None:  # noqa: ARG001 -- first
    saved()
    User.objects.create_user("ann")
    run("insert into invoices_invoice (data, plain) values ('', 'letters/missing.pdf')")


def largeobjects(*arguments: str) -> tuple[object, str]:
    """Run the command; return its exit status, and what is on stdout."""
    stdout = io.StringIO()
    try:
        call_command(Command(), *arguments, stdout=stdout, stderr=io.StringIO())
    except SystemExit as error:
        return error.code, stdout.getvalue()
    return 0, stdout.getvalue()


@pytest.mark.parametrize("name", SUBCOMMANDS)
def test_where_nothing_is_amiss_the_exit_status_is_0(name: str, given: Given) -> None:
    assert largeobjects(name, *given(QUIET[name]))[0] == 0


@pytest.mark.parametrize("name", FINDS)
@pytest.mark.usefixtures("_amiss")
def test_what_is_found_is_the_exit_status(name: str, given: Given) -> None:
    for form in ([], ["--json"], ["-v", "0"]):
        assert largeobjects(name, *given(FINDS[name]), *form)[0] == 1


@pytest.mark.parametrize("name", SUBCOMMANDS)
@pytest.mark.usefixtures("_amiss")
def test_with_json_each_line_is_an_object_of_its_own(name: str, given: Given) -> None:
    _, printed = largeobjects(name, *given(FINDS.get(name, QUIET[name])), "--json")
    assert all(isinstance(json.loads(line), dict) for line in printed.splitlines())
    assert printed or name == "who"


@pytest.mark.parametrize("name", sorted(set(SUBCOMMANDS) - {"ls", "check"}))
@pytest.mark.usefixtures("_amiss")
def test_without_verbosity_it_says_what_was_asked_for_alone(name: str, given: Given) -> None:
    assert largeobjects(name, *given(FINDS.get(name, QUIET[name])), "-v", "0")[1] == ""


@pytest.mark.parametrize("name", SUBCOMMANDS)
def test_common_options_stand_anywhere(name: str, given: Given) -> None:
    def parsed(*arguments: str) -> dict[str, Any]:
        return vars(Command().create_parser("manage.py", "largeobjects").parse_args(arguments))

    arguments = given(QUIET[name])
    for option in (["--traceback"], ["-v", "3"], ["--no-color"], ["--skip-checks"], ["--settings", "tests.settings"]):
        before = parsed(*option, name, *arguments)
        assert before != parsed(name, *arguments)
        assert parsed(name, *option, *arguments) == parsed(name, *arguments, *option) == before


@pytest.mark.parametrize("name", [name for name, subcommand in SUBCOMMANDS.items() if subcommand.changes])
@pytest.mark.usefixtures("_amiss")
def test_without_yes_nothing_changes(name: str, given: Given) -> None:
    def everything() -> object:
        rows = run("select * from invoices_invoice order by id")
        return rows, run("select * from pg_lo_storage_file order by loid"), run("select * from pg_largeobject_metadata")

    before = everything()
    largeobjects(name, *given(FINDS.get(name, QUIET[name])))
    assert everything() == before


@pytest.mark.parametrize("name", SUBCOMMANDS)
@pytest.mark.parametrize(
    ("error", "status"),
    [
        (KeyboardInterrupt(), 130),
        (OperationalError("canceling statement\nDETAIL: it took long"), 1),
        (LargeObjectReadOnly("the transaction is read-only"), 1),
    ],
    ids=["Ctrl-C", "the database", "a file"],
)
def test_whatever_ends_it_is_said_in_a_line(
    name: str, error: BaseException, status: int, given: Given, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> int:
        raise error

    monkeypatch.setattr(SUBCOMMANDS[name], "run", fail)
    with pytest.raises(CommandError) as caught:
        largeobjects(name, *given(QUIET[name]))
    assert caught.value.returncode == status
    assert len(str(caught.value).splitlines()) == 1
