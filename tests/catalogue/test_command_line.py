"""``manage.py largeobjects`` as a command of Django's: its common options stand before the subcommand or after it."""

import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from pg_lo_storage.management.commands.largeobjects import Command
from tests.catalogue.support import entries, invoice, uncatalogued

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])

ROOT = Path(__file__).parents[2]
COMMON: list[list[str]] = [
    ["--settings", "tests.settings"],
    ["--settings=tests.settings"],
    ["--pythonpath", "."],
    ["--traceback"],
    ["-v", "3"],
    ["--verbosity=2"],
    ["--no-color"],
    ["--force-color"],
    ["--skip-checks"],
]


def parsed(*arguments: str) -> dict[str, Any]:
    return vars(Command().create_parser("manage.py", "largeobjects").parse_args(arguments))


@pytest.mark.parametrize("option", COMMON, ids=" ".join)
def test_each_common_option_means_the_same_anywhere(option: list[str]) -> None:
    before = parsed(*option, "adopt", "--dry-run")
    assert before != parsed("adopt", "--dry-run")
    assert parsed("adopt", "--dry-run", *option) == parsed("adopt", *option, "--dry-run") == before


def test_what_is_said_last_counts() -> None:
    assert parsed("-v", "0", "adopt", "-v", "3")["verbosity"] == 3
    assert parsed("--traceback", "adopt", "-v", "3")["traceback"] is True


@pytest.mark.parametrize(
    "common", [["--settings", "tests.settings"], ["--traceback"], ["-v", "3"], ["--pythonpath", "."]]
)
def test_a_process_takes_them_after_the_subcommand(common: list[str]) -> None:
    loid = uncatalogued()
    invoice(f"{loid}.pdf")
    without = {"DJANGO_SETTINGS_MODULE": ""} if common[0] == "--settings" else {}
    done = subprocess.run(
        [sys.executable, "-m", "django", "largeobjects", "adopt", *common, "--show"],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | without,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert f"'{loid}.pdf': adopted" in done.stdout
    assert entries() == {loid: ".pdf"}


def test_the_version_may_be_asked_for_anywhere(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["--version"], ["adopt", "--version"]):
        with pytest.raises(SystemExit) as caught:
            parsed(*arguments)
        assert caught.value.code == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first == second


def test_call_command_takes_options_by_name() -> None:
    taken, left = uncatalogued(), uncatalogued()
    invoice(f"{taken}.pdf", "plain")
    invoice(f"{left}.pdf")
    stdout = io.StringIO()
    options: dict[str, Any] = {"model": ["invoices.Invoice.plain"], "any_owner": True, "show": True, "verbosity": 0}
    call_command("largeobjects", "adopt", dry_run=True, stdout=stdout, **options)
    assert not entries()
    call_command("largeobjects", "adopt", "--traceback", stdout=stdout, **options)
    assert stdout.getvalue() == f"default: invoices_invoice.plain: '{taken}.pdf': adopted\n" * 2
    assert entries() == {taken: ".pdf"}
    stdout = io.StringIO()
    call_command("largeobjects", "adopt", "-v", "0", stdout=stdout)
    assert not stdout.getvalue()
