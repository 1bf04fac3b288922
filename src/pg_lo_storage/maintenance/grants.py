"""Other roles may read stored files: those that are there, and those that are made later."""

from collections.abc import Iterator
from typing import Final

from django.db import connections, transaction

from pg_lo_storage.catalogue import as_array, is_installed
from pg_lo_storage.databases.columns import ask, has_catalogue, quoted

__all__ = ["Grant"]

_BATCH: Final = 1_000
_DEFAULTS_SINCE: Final = 180_000  # the version of PostgreSQL

_OBJECTS: Final = (
    " from pg_largeobject_metadata as m where pg_has_role(m.lomowner, 'usage') = %s::bool and %s::bool = (exists"
    " (select from aclexplode(m.lomacl) as a where a.privilege_type = 'SELECT'"
    " and a.grantee = (select oid from pg_roles where rolname = %s::text::name)))"
)
_CANNOT: Final = " and not pg_has_role(%s::text::name, m.lomowner, 'usage')"
_CATALOGUED: Final = " and exists (select from pg_lo_storage_file as f where f.loid = m.oid)"


class Grant:
    """The right of a role to read the files that this role, or one that it is a member of, owns on an alias.

    With the catalogue they are those that it lists. With ``revoke`` the right is taken away.
    """

    def __init__(self, alias: str, role: str, *, revoke: bool = False) -> None:
        self.alias = alias
        self.role = role
        self.revoke = revoke
        self.catalogue: bool = is_installed() and has_catalogue(alias)
        self._statement = ("REVOKE", "FROM", quoted(role)) if revoke else ("GRANT", "TO", quoted(role))

    @property
    def role_exists(self) -> bool:
        """Whether the server has the role."""
        return bool(ask(self.alias, "select 1 from pg_roles where rolname = %s::text::name", self.role))

    @property
    def has_defaults(self) -> bool:
        """Whether the server knows rights on objects that are made later: since PostgreSQL 18."""
        [(version,)] = ask(self.alias, "select current_setting('server_version_num')::int4")
        return int(version) >= _DEFAULTS_SINCE

    def count(self) -> int:
        """Return how many objects there are to do."""
        [(count,)] = ask(self.alias, f"select count(*){self._objects}", *self._params)
        return int(count)

    def count_others(self) -> int:
        """Return how many files are left, which belong to roles that this role is no member of."""
        if not self.catalogue:
            return 0
        params = False, self.revoke, self.role, self.role
        [(count,)] = ask(self.alias, f"select count(*){self._objects}{_CANNOT}", *params)
        return int(count)

    def run(self) -> Iterator[int]:
        """Change the rights, on at most 1,000 objects in each transaction, and yield how many they were."""
        if self.catalogue:
            self._execute("SELECT ON TABLE pg_lo_storage_file")
        last = 0
        while oids := self._after(last):
            with transaction.atomic(using=self.alias):
                # Whoever deletes one of them now waits, or it is not found any more.
                self._lock(oids)
                query, params = f"select m.oid::int8{self._objects} and m.oid = any(%s::text::oid[])", as_array(oids)
                there = [str(oid) for (oid,) in ask(self.alias, query, *self._params, params)]
                if there:
                    self._execute(f"SELECT ON LARGE OBJECT {', '.join(there)}")
            yield len(there)
            last = oids[-1]

    def of_new(self) -> None:
        """Change the rights on what this role makes from now on."""
        verb, preposition, role = self._statement
        with connections[self.alias].cursor() as cursor:
            cursor.execute(f"ALTER DEFAULT PRIVILEGES {verb} SELECT ON LARGE OBJECTS {preposition} {role}")

    @property
    def _objects(self) -> str:
        return _OBJECTS + (_CATALOGUED if self.catalogue else "")

    @property
    def _params(self) -> tuple[object, ...]:
        return True, self.revoke, self.role

    def _after(self, last: int) -> list[int]:
        query = f"select m.oid::int8{self._objects} and m.oid > %s::oid order by m.oid limit {_BATCH}"
        return [int(oid) for (oid,) in ask(self.alias, query, *self._params, last)]

    def _lock(self, oids: list[int]) -> None:
        if self.catalogue:
            query = "select 1 from pg_lo_storage_file where loid = any(%s::text::oid[]) order by loid for key share"
            ask(self.alias, query, as_array(oids))

    def _execute(self, what: str) -> None:
        verb, preposition, role = self._statement
        with connections[self.alias].cursor() as cursor:
            cursor.execute(f"{verb} {what} {preposition} {role}")
