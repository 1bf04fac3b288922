"""Mends the catalogue where it disagrees with objects and rows: entries that lie, and entries that are missing."""

from collections.abc import Collection, Sequence
from typing import ClassVar, Final

from typing_extensions import override

from pg_lo_storage.databases.columns import ask
from pg_lo_storage.maintenance.adoption import adopt_names
from pg_lo_storage.maintenance.checking import Check
from pg_lo_storage.maintenance.findings import Finding, Kind
from pg_lo_storage.maintenance.passes import named_among
from pg_lo_storage.maintenance.repairs import EntryMender, Mender, oids_of
from pg_lo_storage.maintenance.verdicts import Outcome
from pg_lo_storage.names import extension_of, parse_name

__all__ = ["Extensions", "Missing", "Strays"]

_REASONS: Final[dict[Outcome, str]] = {
    "missing": "its object is gone",
    "present": "it has an entry by now",
    "foreign": "it has an entry of another extension by now",
    "disputed": "rows name it under several extensions: correct the rows that are wrong",
    "elsewhere": "the catalogue of another schema has it",
    "unowned": "it is another role's",
    "old": "the file of that name is still at its old place",
}


class Strays(EntryMender):
    """Deletes the entries of objects that are not there."""

    kinds: ClassVar[tuple[Kind, ...]] = ("entry",)

    @override
    def judge(self, batch: Sequence[Finding]) -> dict[Finding, str]:
        """Look for the objects."""
        rows = ask(
            self.alias, "select oid::int8 from pg_largeobject_metadata where oid = any(%s::oid[])", oids_of(batch)
        )
        there = {oid for (oid,) in rows}
        return {finding: "its object is there by now" for finding in batch if finding.oid in there}

    @override
    def change(self, batch: Sequence[Finding]) -> dict[Finding, str]:
        ask(self.alias, "delete from pg_lo_storage_file where loid = any(%s::oid[]) returning 1", oids_of(batch))
        return {}


class Extensions(EntryMender):
    """Gives an entry the extension under which all rows name its file."""

    kinds: ClassVar[tuple[Kind, ...]] = ("extension",)

    @override
    def judge(self, batch: Sequence[Finding]) -> dict[Finding, str]:
        """Look under which names rows have the files."""
        if self.check.sources.unread:
            return dict.fromkeys(batch, "rows that name it otherwise may be missed")
        names = names_by_oid(self.check, oids_of(batch))
        left: dict[Finding, str] = {}
        for finding in batch:
            found = names.get(finding.oid, set())
            if found != {finding.name}:
                left[finding] = (
                    f"rows name it {_listed(found)}: correct those that are wrong"
                    if found
                    else "no row names it any more"
                )
        return left

    @override
    def change(self, batch: Sequence[Finding]) -> dict[Finding, str]:
        extensions = {finding.oid: extension_of(finding.name) for finding in batch}
        ask(
            self.alias,
            "update pg_lo_storage_file set extension = given_extension"
            " from rows from (unnest(%s::oid[]), unnest(%s::text[])) as given (given_loid, given_extension)"
            " where loid = given_loid returning 1",
            list(extensions),
            list(extensions.values()),
        )
        return {}


class Missing(Mender):
    """Makes entries for objects that rows name, as adoption does."""

    kinds: ClassVar[tuple[Kind, ...]] = ("uncatalogued",)

    @override
    def lock(self, batch: Sequence[Finding]) -> Collection[Finding]:
        """There is nothing to lock: of two entries for one object the second is not made."""
        return batch

    @override
    def judge(self, batch: Sequence[Finding]) -> dict[Finding, str]:
        """Judge the names as adoption does."""
        return self._adopted(batch, dry_run=True)

    @override
    def change(self, batch: Sequence[Finding]) -> dict[Finding, str]:
        return self._adopted(batch, dry_run=False)

    def _adopted(self, batch: Sequence[Finding], *, dry_run: bool) -> dict[Finding, str]:
        names = names_by_oid(self.check, oids_of(batch))
        known = {name for found in names.values() for name in found if parse_name(name) is not None}
        # A name that may be of an old place is nobody's object here, whichever columns have it.
        old = {name for found in names_by_oid(self.check, oids_of(batch), moving=True).values() for name in found}
        decided = adopt_names(self.alias, known - old, dry_run=dry_run) if known - old else {}
        left: dict[Finding, str] = {finding: _REASONS["old"] for finding in batch if finding.name in old}
        for finding in batch:
            outcome, _ = decided.get(finding.name, ("missing", ""))
            if finding not in left and outcome != "adopted":
                left[finding] = _REASONS[outcome]
        return left


def names_by_oid(check: Check, oids: Sequence[int], *, moving: bool = False) -> dict[int | None, set[str]]:
    """Return the names that rows have of the objects, in columns of names, on any database.

    With ``moving`` only those columns count from which files still move.
    """
    names: dict[int | None, set[str]] = {}
    for alias, sources in ((check.alias, check.sources.here), *check.sources.elsewhere.items()):
        texts = [source for source in sources if source.use in {"file", "guarded", "twin"}]
        texts = [source for source in texts if source.legacies or not moving]
        for oid, name in ask(alias, named_among(texts), list(oids)) if texts and oids else ():
            names.setdefault(int(oid), set()).add(name)
    return names


def _listed(names: Collection[str]) -> str:
    return " and ".join(map(repr, sorted(names)))
