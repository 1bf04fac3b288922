"""``manage.py largeobjects check``: what is amiss between rows, catalogue and objects."""

from collections import Counter
from collections.abc import Generator
from typing import Any, ClassVar

from django.core.management.base import CommandParser
from typing_extensions import override

from pg_lo_storage.maintenance import checking
from pg_lo_storage.maintenance.digests import Digests, Pace
from pg_lo_storage.maintenance.findings import KINDS, Finding
from pg_lo_storage.management.arguments import databases_of, rate_of, share_of
from pg_lo_storage.management.console import Console
from pg_lo_storage.management.subcommand import Subcommand

__all__ = ["OF_FILES", "Check", "add_reading", "digests"]

OF_FILES = "The database of the files. Default: each that a field, or a setting, has for files."


class Check(Subcommand):
    """Says what is amiss, row by row."""

    help: ClassVar[str] = (
        "Find what is amiss between rows, catalogue and large objects; the exit status is 1 where anything is."
    )
    by_database: ClassVar[str | None] = OF_FILES

    @override
    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--deep", action="store_true", help="Read the files as well, and compare their digests.")
        add_reading(parser)
        parser.add_argument(
            "--ignore", nargs="+", action="extend", default=[], choices=KINDS, metavar="KIND", help="Pass a kind over."
        )

    @override
    def run(self, options: dict[str, Any], console: Console) -> int:
        status = 0
        for alias in databases_of(options):
            check = checking.Check(alias)
            counts = Counter[str]()
            for finding in _findings(check, options, console):
                if finding.kind not in options["ignore"]:
                    counts[finding.kind] += 1
                    console.show(str(finding))
                    console.record(finding.as_record())
            for text in check.unknown:
                console.warn(text)
            objects, files = check.counts()
            found = ", ".join(f"{counts[kind]} {kind}" for kind in KINDS if counts[kind])
            console.say(f"{alias}: {objects} large objects, {files} files in the catalogue: {found or 'nothing amiss'}")
            about = {"database": alias, "objects": objects, "files": files, "unknown": check.unknown}
            console.record(about | {"found": dict(counts)})
            is_blind = bool(check.sources.unread) and "orphan" not in options["ignore"]
            status |= int(is_blind or counts.total() > 0)
        return status


def add_reading(parser: CommandParser) -> None:
    """Add how files are read."""
    parser.add_argument("--sample", type=share_of, default=1.0, metavar="5%", help="Read a share of the files.")
    parser.add_argument("--max-rate", type=rate_of, metavar="20MB/s", help="Read no faster than this.")


def digests(alias: str, pace: Pace, options: dict[str, Any], console: Console) -> Generator[Finding]:
    """Yield the files whose bytes are not those of the digest, and show how far it is."""
    reading = Digests(alias, pace, sample=options["sample"])
    with console.progress(f"{alias}: reading", reading.total() if console.shows_progress else None) as progress:
        for read in reading.read():
            progress.advance(read.files)
            yield from read.found


def _findings(check: checking.Check, options: dict[str, Any], console: Console) -> Generator[Finding]:
    yield from check.findings()
    if options["deep"] and check.has_catalogue:
        yield from digests(check.alias, Pace(options["max_rate"]), options, console)
