"""Unlinks catalogued files that no row names.

An orphan is not always what it seems. It may be named by a transaction that has not committed, by a form that stores
the file in one request and the row in the next, or by another program's column. So it has to be of some age, older than
each transaction that is open, and named by no column that can be read; where one cannot be read, all stay. What no
field is known for, a history or another project's table, may have its name as a text.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import ClassVar, Final

from typing_extensions import override

from pg_lo_storage.databases.columns import ask
from pg_lo_storage.databases.references import referenced
from pg_lo_storage.lifecycle.sharing import release
from pg_lo_storage.maintenance.checking import Check
from pg_lo_storage.maintenance.findings import Finding, Kind
from pg_lo_storage.maintenance.in_progress import outlasting
from pg_lo_storage.maintenance.mentions import mentions
from pg_lo_storage.maintenance.passes import OWNERS, named_among
from pg_lo_storage.maintenance.repairs import EntryMender, oids_of
from pg_lo_storage.maintenance.sources import find_sources

__all__ = ["Orphans"]

_NAMED: Final = "a row names it by now"

# Sessions of other roles do not tell when they began; their transactions' numbers do. A number that seems to be far
# ahead is one of long ago.
_JUDGE: Final = f"""
select f.loid::int8, case
    when not owned.is_own then concat('it is the role ', owned.name, '''s')
    when extract(epoch from clock_timestamp() - since) < %s::float8 then 'it is too young'
    when since >= coalesce((select min(a.xact_start) from pg_stat_activity as a where a.datname = current_database()
        and a.pid <> pg_backend_pid()), 'infinity') or age(m.xmin) > -1000000000
        and age(m.xmin) <= age(pg_snapshot_xmin(pg_current_snapshot())::xid)
        then 'a transaction is open that began before it was there' end
from (select loid, greatest(created_at, modified_at) as since from pg_lo_storage_file) as f
join pg_largeobject_metadata as m on m.oid = f.loid
join ({OWNERS}) as owned on owned.oid = m.lomowner where f.loid = any(%s::oid[])"""  # noqa: S608 -- of constants


class Orphans(EntryMender):
    """Unlinks files that no row names, and that are ``older_than`` so much."""

    kinds: ClassVar[tuple[Kind, ...]] = ("orphan",)

    def __init__(self, check: Check, older_than: timedelta) -> None:
        super().__init__(check)
        self._older_than = older_than
        self._reason = ""

    @override
    def findings(self) -> Iterable[Finding]:
        """Return those that are old enough."""
        now = datetime.now(UTC)
        return (found for found in super().findings() if found.since is None or now - found.since >= self._older_than)

    @override
    def prepare(self) -> str:
        """Wait for those who may have named a file; once one of them does not end, nothing is unlinked any more."""
        self._reason = self._reason or outlasting(self.alias, self.check.sources)
        return self._reason

    @override
    def judge(self, batch: Sequence[Finding]) -> dict[Finding, str]:
        """Look for age and owner, and for names in all columns that there are now."""
        if not batch:
            return {}
        reasons: dict[int | None, str] = dict(ask(self.alias, _JUDGE, self._older_than.total_seconds(), oids_of(batch)))
        left = {finding: reasons.get(finding.oid, "it is gone") for finding in batch}
        free = {finding.oid for finding, reason in left.items() if finding.oid is not None and not reason}
        sources = find_sources(self.alias)
        if sources.unread:
            named = free
        else:
            # What no field has, releasing does not look for.
            others = [source for source in sources.here if source.use in {"guarded", "oid"}]
            named = {oid for oid, _ in ask(self.alias, named_among(others), list(free))}
            named |= referenced(self.alias, free - named)
        left |= {finding: _NAMED for finding, reason in left.items() if not reason and finding.oid in named}
        for alias in (self.alias, *sources.elsewhere):
            texts = mentions(alias, {finding.name for finding, reason in left.items() if not reason})
            left |= {
                finding: f"its name is a text in {texts[finding.name]}" for finding in left if finding.name in texts
            }
        return {finding: reason for finding, reason in left.items() if reason}

    @override
    def change(self, batch: Sequence[Finding]) -> dict[Finding, str]:
        """Unlink them as a row's file is unlinked."""
        release(self.alias, [finding.name for finding in batch])
        rows = ask(self.alias, "select loid::int8 from pg_lo_storage_file where loid = any(%s::oid[])", oids_of(batch))
        stay = {oid for (oid,) in rows}
        return {finding: _NAMED for finding in batch if finding.oid in stay}
