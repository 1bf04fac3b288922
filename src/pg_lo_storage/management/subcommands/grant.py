"""``manage.py largeobjects grant``: another role may read the files."""

from typing import Any, ClassVar

from django.core.management.base import CommandError, CommandParser
from typing_extensions import override

from pg_lo_storage.maintenance.grants import Grant as Grants
from pg_lo_storage.management.arguments import databases_of
from pg_lo_storage.management.console import Console
from pg_lo_storage.management.subcommand import Subcommand
from pg_lo_storage.management.texts import count_of

__all__ = ["Grant"]


class Grant(Subcommand):
    """Grants the right to read files, or revokes it."""

    help: ClassVar[str] = "Let another role read the files, for reports or copies; exit with 1 where that is not all."
    by_database: ClassVar[str | None] = "Default: each that a storage, a setting or a router has for files."
    changes: ClassVar[bool] = True

    @override
    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--to", dest="role", required=True, metavar="ROLE", help="The role that is to read them.")
        parser.add_argument("--new", action="store_true", help="Also those that this role makes later (PostgreSQL 18).")
        parser.add_argument("--revoke", action="store_true", help="Take the right away again.")

    @override
    def run(self, options: dict[str, Any], console: Console) -> int:
        return max(_on(alias, options, console) for alias in databases_of(options))


def _on(alias: str, options: dict[str, Any], console: Console) -> int:
    role, yes = options["role"], options["yes"]
    grant = Grants(alias, role, revoke=options["revoke"])
    if not grant.role_exists:
        message = f"{alias}: there is no role {role!r}"
        raise CommandError(message)
    total, done = grant.count(), 0
    if yes:
        with console.progress(alias, total) as progress:
            for count in grant.run():
                done += count
                progress.advance(count)
    verb = "revoked from" if grant.revoke else "granted to"
    table = " and the catalogue's table" if grant.catalogue else ""
    said = f"{count_of(done)}{table}" if yes else f"{count_of(total)}{table} would be"
    console.say(f"{alias}: SELECT on {said} {verb} {role}{'' if yes else ' (with --yes)'}")
    status = _of_new(grant, console, yes=yes) if options["new"] else 0
    if others := grant.count_others():
        console.warn(f"{alias}: {count_of(others)} of roles that this role is no member of were left")
        status = 1
    console.record({"database": alias, "role": role, "revoke": grant.revoke, "done": done, "found": total, "yes": yes})
    return status


def _of_new(grant: Grants, console: Console, *, yes: bool) -> int:
    if not grant.has_defaults:
        console.warn(
            f"{grant.alias}: nothing was done for files that are made later: before PostgreSQL 18 there are no such"
            " rights. Run this command again as often as the other role reads, or GRANT this role to it, with all of"
            " this role's rights"
        )
        return 1
    if yes:
        grant.of_new()
    verb = "lose" if grant.revoke else "have"
    console.say(f"{grant.alias}: files made later {verb if yes else f'would {verb}'} the right by themselves")
    return 0
