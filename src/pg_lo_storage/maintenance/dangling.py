"""Takes the names of missing objects out of their rows: NULL, or an empty text where the field takes that."""

from collections.abc import Collection, Sequence
from itertools import groupby
from typing import ClassVar, Final

from typing_extensions import override

from pg_lo_storage.databases.columns import ask, quoted
from pg_lo_storage.maintenance.checking import Check
from pg_lo_storage.maintenance.findings import Finding, Kind
from pg_lo_storage.maintenance.repairs import Mender, Outcome, oids_of
from pg_lo_storage.maintenance.sources import Source

__all__ = ["Dangling"]

_NULL: Final = "null"
_EMPTY: Final = "''"


class Dangling(Mender):
    """Has rows name nothing in the place of objects that are not there; their other columns stay as they are."""

    kinds: ClassVar[tuple[Kind, ...]] = ("dangling",)

    def __init__(self, check: Check) -> None:
        super().__init__(check)
        everywhere = [*check.sources.here, *(source for some in check.sources.elsewhere.values() for source in some)]
        self._sources = {_place(source.alias, source.shown, source.column): source for source in everywhere}

    @override
    def mend(self, batch: Sequence[Finding]) -> list[Outcome]:
        """Mend the rows of each column in a transaction of its own, on their database."""
        outcomes: list[Outcome] = []
        for place, findings in groupby(sorted(batch, key=_place_of), key=_place_of):
            self.alias: str = place[0]
            outcomes += super().mend(list(findings))
        return outcomes

    @override
    def lock(self, batch: Sequence[Finding]) -> Collection[Finding]:
        """Lock the rows that still have the name."""
        source = self._source(batch[0])
        given, values = _given(source, batch)
        query = f"select n from {_doubled(source.table)} as t cross join {given} for update of t skip locked"  # noqa: S608
        return [batch[int(n) - 1] for (n,) in ask(source.alias, query, *values)]

    @override
    def judge(self, batch: Sequence[Finding]) -> dict[Finding, str]:
        """Look for the objects again, and whether the columns can be without a name."""
        rows = ask(
            self.check.alias, "select oid::int8 from pg_largeobject_metadata where oid = any(%s::oid[])", oids_of(batch)
        )
        there = {oid for (oid,) in rows}
        left = {finding: "its object is there by now" for finding in batch if finding.oid in there}
        for finding in batch:
            source = self._source(finding)
            if not source.may_be_changed:
                left[finding] = "the role may not change it"
            elif not (source.may_be_null or source.may_be_blank):
                left[finding] = "the column takes neither NULL nor an empty text: correct the row, or delete it"
        return left

    @override
    def change(self, batch: Sequence[Finding]) -> dict[Finding, str]:
        if not batch:
            return {}
        source = self._source(batch[0])
        given, values = _given(source, batch)
        # No spaces: these equals signs are no operators.
        changes = [f"{quoted(source.column)}={_NULL if source.may_be_null else _EMPTY}"]
        changes += [f"{quoted(column)}=null" for column in source.dimensions]
        setting = _doubled(", ".join(changes))
        query = f"update {_doubled(source.table)} as t set {setting} from {given} returning n"  # noqa: S608
        changed = {int(n) - 1 for (n,) in ask(source.alias, query, *values)}
        return {finding: "its row was changed" for n, finding in enumerate(batch) if n not in changed}

    def _source(self, finding: Finding) -> Source:
        return self._sources[_place_of(finding)]


def _given(source: Source, batch: Sequence[Finding]) -> tuple[str, list[list[str]]]:
    """Return SQL that joins the findings to table ``t``, by key and name, and its parameters; ``n`` is their number."""
    key = source.key or (("ctid", "tid"),)
    arrays = ", ".join(["unnest(%s::text[])"] * (len(key) + 1))
    names = ", ".join([*(f"key{n}" for n in range(len(key))), "name"])
    conditions = [f"t.{_doubled(quoted(column))} = key{n}::{kind}" for n, (column, kind) in enumerate(key)]
    conditions.append(f"t.{_doubled(source.text)} = name")
    values = [[finding.key[n][1] for finding in batch] for n in range(len(key))]
    values.append([finding.name for finding in batch])
    return f"rows from ({arrays}) with ordinality as given ({names}, n) where {' and '.join(conditions)}", values


def _place(alias: str, table: str, column: str) -> tuple[str, str, str]:
    return alias, table, column


def _place_of(finding: Finding) -> tuple[str, str, str]:
    return finding.alias, finding.table, finding.column


def _doubled(name: str) -> str:
    return name.replace("%", "%%")
