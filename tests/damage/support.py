"""How the tests of this folder run what they test."""

import io
import json
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any, Final

from django.core.management import call_command

from pg_lo_storage.maintenance.checking import Check
from pg_lo_storage.maintenance.contents import Contents, Sizes
from pg_lo_storage.maintenance.dangling import Dangling
from pg_lo_storage.maintenance.digests import Digests, Pace
from pg_lo_storage.maintenance.entries import Extensions, Missing, Strays
from pg_lo_storage.maintenance.findings import Finding
from pg_lo_storage.maintenance.orphans import Orphans
from pg_lo_storage.maintenance.repairs import Mender, Outcome, repair
from tests.damage.planting import Found


def as_found(finding: Finding) -> Found:
    """Return a finding as the damage says it."""
    return Found(finding.kind, finding.table, finding.column, finding.key, finding.name)


def misread(alias: str = "default") -> list[Finding]:
    """Return the files of another digest."""
    return [finding for read in Digests(alias, Pace()).read() for finding in read.found]


def findings(alias: str = "default") -> list[Finding]:
    """Return all that a check finds, but for digests."""
    return list(Check(alias).findings())


MENDERS: Final[dict[str, Callable[[Check], Mender]]] = {
    "extension": Extensions,
    "entry": Strays,
    "uncatalogued": Missing,
    "size": Sizes,
    "digest": lambda check: Contents(check, misread(check.alias), Pace()),
    "orphan": lambda check: Orphans(check, timedelta(days=1)),
    "dangling": Dangling,
}


def mend(kind: str, *, dry_run: bool = False, alias: str = "default") -> list[Outcome]:
    """Mend what there is of a kind."""
    return list(repair(MENDERS[kind](Check(alias)), dry_run=dry_run))


def largeobjects(*arguments: str) -> tuple[int, list[str]]:
    """Run the command; return its exit status and the lines that it prints."""
    stdout = io.StringIO()
    status = 0
    try:
        call_command("largeobjects", *arguments, stdout=stdout, stderr=stdout)
    except SystemExit as ended:
        status = int(ended.code or 0)
    return status, stdout.getvalue().splitlines()


def records(*arguments: str) -> tuple[int, list[dict[str, Any]]]:
    """Run the command with ``--json``; return its exit status and what it prints."""
    status, lines = largeobjects(*arguments, "--json")
    return status, [json.loads(line) for line in lines]


def kinds(found: Iterable[Finding]) -> list[str]:
    """Return the kinds of findings."""
    return sorted(finding.kind for finding in found)
