"""``manage.py largeobjects repair``: mends what ``check`` has found."""

from collections import Counter
from collections.abc import Iterable
from datetime import timedelta
from typing import Any, ClassVar, Final

from django.core.management.base import CommandError, CommandParser
from typing_extensions import override

from pg_lo_storage.maintenance.checking import Check
from pg_lo_storage.maintenance.contents import Contents, Sizes
from pg_lo_storage.maintenance.dangling import Dangling
from pg_lo_storage.maintenance.digests import Pace
from pg_lo_storage.maintenance.entries import Extensions, Missing, Strays
from pg_lo_storage.maintenance.findings import escaped
from pg_lo_storage.maintenance.orphans import Orphans
from pg_lo_storage.maintenance.repairs import Mender, repair
from pg_lo_storage.management.arguments import age_of, databases_of
from pg_lo_storage.management.console import Console
from pg_lo_storage.management.subcommand import Subcommand
from pg_lo_storage.management.subcommands.check import OF_FILES, add_reading, digests

__all__ = ["Repair", "mend", "prune"]

_WHAT: Final = {
    "extensions": "Give entries the extension under which all rows name the file.",
    "entries": "Delete entries without an object, and make those of objects that rows name.",
    "sizes": "Give entries the size of the object, and no digest.",
    "digests": "Read the files, and give entries the digest of the bytes that are there.",
    "orphans": "Unlink catalogued files that no row names.",
}
_DAY: Final = timedelta(days=1)


class Repair(Subcommand):
    """Mends what was found, kind by kind."""

    help: ClassVar[str] = "Mend what 'check' finds, of the kinds that are asked for."
    by_database: ClassVar[str | None] = OF_FILES
    changes: ClassVar[bool] = True

    @override
    def add_arguments(self, parser: CommandParser) -> None:
        for name, text in _WHAT.items():
            parser.add_argument(f"--{name}", action="store_true", help=text)
        parser.add_argument("--dangling", choices=["null"], help="Take names of missing objects out of their rows.")
        parser.add_argument(
            "--older-than", type=age_of, default=_DAY, metavar="7d", help="How old orphans have to be. Default: 1d."
        )
        add_reading(parser)

    @override
    def run(self, options: dict[str, Any], console: Console) -> int:
        if not any(options[name] for name in (*_WHAT, "dangling")):
            message = f"say what to mend: {', '.join(f'--{name}' for name in _WHAT)} or --dangling null"
            raise CommandError(message)
        status = 0
        for alias in databases_of(options):
            check = Check(alias)
            if not check.has_catalogue and any(options[name] for name in _WHAT):
                message = (
                    f"the database {alias!r} has no catalogue: without it --dangling null is all that can be mended"
                )
                raise CommandError(message)
            if options["extensions"]:
                status |= mend([Extensions(check)], options, console)
            if options["entries"]:
                status |= mend([Strays(check), Missing(check)], options, console)
            if options["sizes"]:
                status |= mend([Sizes(check)], options, console)
            if options["digests"]:
                pace = Pace(options["max_rate"])
                status |= mend([Contents(check, digests(alias, pace, options, console), pace)], options, console)
            if options["orphans"]:
                status |= prune(check, options, console)
            if options["dangling"]:
                status |= mend([Dangling(check)], options, console)
        return status


def prune(check: Check, options: dict[str, Any], console: Console) -> int:
    """Unlink the orphans of a database, or say of each that it would be; return the exit status."""
    status = mend([Orphans(check, options["older_than"])], options, console)
    if check.sources.unread:
        console.warn(check.unknown[-1])
        return 1
    return status


def mend(menders: Iterable[Mender], options: dict[str, Any], console: Console) -> int:
    """Mend what there is, or say what would be mended; return 1 where something was left."""
    status = 0
    for mender in menders:
        counts = Counter[bool]()
        kind, alias = mender.kinds[0], mender.check.alias
        with console.progress(f"{alias}: {kind}", None, "findings") as progress:
            for finding, left in repair(mender, dry_run=not options["yes"]):
                counts[not left] += 1
                progress.advance(1)
                done = "would be mended" if not options["yes"] else "mended"
                console.say(f"{finding}: {f'left, {escaped(left)}' if left else done}")
                console.record(finding.as_record() | {"mended": bool(options["yes"]) and not left, "left": left})
        said = f"{counts[True]} {'mended' if options['yes'] else 'would be mended, with --yes'}"
        console.say(f"{alias}: {kind}: {said}{f', {counts[False]} left' if counts[False] else ''}")
        status |= int(bool(counts[False]) or (not options["yes"] and counts.total() > 0))
    return status
