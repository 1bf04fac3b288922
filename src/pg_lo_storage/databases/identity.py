"""Whether two of Django's aliases are one database: asked of the servers, since settings say only how to reach them."""

from typing import Final, NamedTuple

from django.db import connections

from pg_lo_storage.databases.atomic_blocks import apart
from pg_lo_storage.databases.columns import ask

__all__ = ["is_same_database", "is_same_table"]

# The attribute of Django's connection for the raw connection and what its server said.
_IDENTITY: Final = "_pg_lo_storage_identity"


class _Identity(NamedTuple):
    """What tells a database from others; ``started`` is ``None`` on a standby, which has its primary's data."""

    system: int | None
    database: int
    started: object


def is_same_database(one: str, other: str) -> bool | None:
    """Tell whether two aliases are of one database: over any host, port or pooler, or a standby and its primary.

    ``None`` where a server does not let the role know. It takes a query for each connection, the first time.
    """
    if one == other:
        return True
    if {connections[one].vendor, connections[other].vendor} != {"postgresql"}:
        return False
    here, there = _identity_of(one), _identity_of(other)
    if here.database != there.database:
        return False
    if here.started is not None and there.started is not None:
        # A server that was cloned from another has the other's identifier.
        return here.started == there.started
    return None if here.system is None or there.system is None else here.system == there.system


def is_same_table(table: str, one: str, other: str) -> bool:
    """Tell whether two aliases of one database find the same table by that name."""
    return _relation(table, one) == _relation(table, other)


def _relation(table: str, alias: str) -> object:
    with apart(alias):
        return ask(alias, "select to_regclass(%s::text)::oid::int8", connections[alias].ops.quote_name(table))


def _identity_of(alias: str) -> _Identity:
    wrapper = connections[alias]
    wrapper.ensure_connection()
    known: tuple[object, _Identity] | None = vars(wrapper).get(_IDENTITY)
    if known is None or known[0] is not wrapper.connection:
        with apart(alias):
            [(may_ask, database, started)] = ask(
                alias,
                "select has_function_privilege('pg_catalog.pg_control_system()', 'execute'),"
                " (select oid::int8 from pg_database where datname = current_database()),"
                " case when not pg_is_in_recovery() then extract(epoch from pg_postmaster_start_time()) end",
            )
            [(system,)] = ask(alias, "select system_identifier from pg_control_system()") if may_ask else [(None,)]
        known = wrapper.connection, _Identity(system, database, started)
        vars(wrapper)[_IDENTITY] = known
    return known[1]
