"""The SQL that compares rows, catalogue and objects in one pass, and that which measures objects."""

from collections.abc import Collection, Sequence
from typing import Final

from pg_lo_storage.databases.columns import quoted
from pg_lo_storage.databases.names_in_sql import is_name, oid_in, stem_of
from pg_lo_storage.maintenance.sources import Source

__all__ = [
    "DIGESTS",
    "GIVEN",
    "MAY_READ",
    "OWNERS",
    "WITH_DIGEST",
    "compare",
    "entries_without_object",
    "missized",
    "named_among",
    "names_of",
    "sized",
]

FILES: Final = "(select loid, extension, created_at, modified_at from pg_lo_storage_file)"
NO_FILES: Final = (
    "(select null::oid as loid, null::text as extension, null::timestamptz as created_at,"
    " null::timestamptz as modified_at where false)"
)

GIVEN: Final = (
    "select n, array[i::text], name, {oid}"
    " from rows from (unnest(%s::int4[]), unnest(%s::int4[]), unnest(%s::text[])) as given (n, i, name)"
).replace("{oid}", oid_in("name"))
"""Names of rows on another database: their source, their place among those given, and the name."""

# Roles are few, objects many. A superuser, and with lo_compat_privileges every role, may do all.
OWNERS: Final = (
    "select oid, rolname::text as name, (pg_has_role(oid, 'usage')"
    " or coalesce(current_setting('lo_compat_privileges', true), 'off') = 'on') as is_own from pg_roles"
)
MAY_READ: Final = (
    "(owned.is_own or exists (select from aclexplode(m.lomacl) as acl where acl.privilege_type = 'SELECT'"
    " and (acl.grantee = 0::oid or pg_has_role(acl.grantee, 'usage'))))"
)

_COMPARE: Final = """
with names (n, key, name, loid) as ({names}),
elsewhere (loid, places) as materialized (
    select loid, string_agg(distinct place, ', ') from ({elsewhere}) as e (loid, place) group by loid
),
owned as materialized ({owners}),
found as (
    select x.n, x.key, x.name, coalesce(x.loid, m.oid, f.loid) as loid, f.extension, owned.name as owner,
        concat(f.loid::text, f.extension) as entry, elsewhere.places, greatest(f.created_at, f.modified_at) as since,
        case when x.n is null then case when f.loid is not null and m.oid is not null then 'orphan' end
            when x.n = any({keeping}) then null
            when x.loid is null or not coalesce({is_name}, false) then
                case when x.n = any({files}) then 'name' end
            when m.oid is null then 'dangling'
            when x.n <> all({files}) or not {has_catalogue} then null
            when f.loid is null then 'uncatalogued'
            when f.extension <> substr(x.name, length({stem}) + 1) then 'extension' end as kind,
        m.oid is not null and not owned.is_own and ({is_ours}) as is_alien,
        m.oid is not null and elsewhere.places is not null and ({is_ours}) as is_shared,
        m.oid is not null and {may_read} as may_read
    from names as x {join} join pg_largeobject_metadata as m on m.oid = x.loid
    {join} join {catalogue} as f on f.loid = coalesce(m.oid, x.loid)
    left join elsewhere on elsewhere.loid = m.oid
    left join owned on owned.oid = m.lomowner
)
select kind, coalesce(is_alien, false), coalesce(is_shared, false), n, key, name, loid::int8, entry, owner, may_read,
    places, (extract(epoch from since) * 1000000)::int8
from found where kind is not null or is_alien or is_shared{order}"""


def compare(sources: Sequence[Source], names: str, elsewhere: str, *, has_catalogue: bool, whole: bool) -> str:
    """Return the query for what is amiss with the names, and, of the ``whole`` database, with files that none names.

    ``names`` is a query for the number of the source, the row's key, the name and its oid; ``elsewhere`` one for what
    other schemas have. The rows have the fault, if any, whether the object is another role's, whether it is also
    elsewhere, the source, the key, the name, the oid, the entry's name, the object's owner, whether the role may read
    it, where else it is, and when it was last changed.
    """
    keeping = [n for n, source in enumerate(sources) if not source.is_looked_through]
    files = [n for n, source in enumerate(sources) if source.use in {"file", "guarded"}]
    return _COMPARE.format(
        names=names,
        elsewhere=elsewhere,
        owners=OWNERS,
        keeping=_array(keeping),
        files=_array(files),
        is_name=is_name("x.name"),
        stem=stem_of("x.name"),
        has_catalogue=str(has_catalogue).lower(),
        catalogue=FILES if has_catalogue else NO_FILES,
        # Nothing is among all of none, not even null.
        is_ours=f"case when x.n is null then f.loid is not null else x.n <> all({_array(keeping)}) end",
        may_read=MAY_READ,
        join="full" if whole else "left",
        order=" order by loid, n, key" if whole else "",
    )


def names_of(sources: Sequence[Source]) -> str:
    """Return a query for what the rows of the sources name: the source's number, the row's key, the name, its oid."""
    selects: list[str] = []
    for n, source in enumerate(sources):
        key = ", ".join(f"{quoted(column)}::text" for column, _ in source.key) or "ctid::text"
        key = "''" if source.use == "oid" else key  # of no interest: nothing is amiss with such a row
        loid = source.loid or oid_in(source.text)
        selects.append(
            f"select {n}, array[{key}], {source.text}, {loid} from {source.table}"  # noqa: S608 -- quoted
            f" where {source.text} <> ''"
        )
    return " union all ".join(selects) or "select null::int4, null::text[], null::text, null::oid where false"


def named_among(sources: Sequence[Source]) -> str:
    """Return a query for the oids, and the names, by which rows of the sources name any of a parameter's objects."""
    names = names_of(sources).replace("%", "%%")
    return f"select distinct loid::int8, name from ({names}) as t (n, key, name, loid) where loid = any(%s::oid[])"  # noqa: S608


def entries_without_object() -> str:
    """Return a query for the entries whose object is not there: the oid, and the name."""
    return (
        "select f.loid::int8, concat(f.loid::text, f.extension) from pg_lo_storage_file as f"
        " where not exists (select from pg_largeobject_metadata as m where m.oid = f.loid) order by f.loid"
    )


_SIZED: Final = f"""
    select f.loid, concat(f.loid::text, f.extension) as name, f.size
    from pg_lo_storage_file as f join pg_largeobject_metadata as m on m.oid = f.loid
    join ({OWNERS}) as owned on owned.oid = m.lomowner where f.size is not null and {MAY_READ}"""  # noqa: S608 -- of constants


def sized(oids: Collection[int] | None = None) -> str:
    """Return a query for files, or those of these objects, that have a size: the oid, the name, the entry's size."""
    return _SIZED if oids is None else f"{_SIZED} and f.loid = any('{{{','.join(map(str, oids))}}}'::oid[])"


def missized(oids: Collection[int] | None = None) -> str:
    """Return a query for those of another size than their entry says; the fourth column is the object's."""
    return (
        "select loid::int8, name, size, measured from (select loid, name, size,"  # noqa: S608 -- of constants and numbers
        " lo_lseek64(fd, 0, 2) + lo_close(fd) as measured from (select loid, name, size, lo_open(loid, 262144) as fd"
        f" from ({sized(oids)} offset 0) as readable offset 0) as opened offset 0) as measured where measured <> size"
    )


WITH_DIGEST: Final = f"""
select loid::int8, lo_lseek64(fd, 0, 2) + lo_close(fd) from (
    select loid, lo_open(loid, 262144) as fd from (
        select f.loid from pg_lo_storage_file as f join pg_largeobject_metadata as m on m.oid = f.loid
        join ({OWNERS}) as owned on owned.oid = m.lomowner
        where f.loid > %s::oid and f.sha256 is not null and {MAY_READ} and (%s::float8 >= 1 or random() < %s::float8)
        order by f.loid limit %s::int4
    ) as chosen offset 0
) as opened order by loid"""  # noqa: S608 -- of constants
"""A query for files that can be read, with their sizes: after an oid, a share of them, so many."""

DIGESTS: Final = (
    "select loid::int8, version, encode(sha256(lo_get(loid)), 'hex') from (select f.loid, f.xmin::text as version"
    " from pg_lo_storage_file as f join pg_largeobject_metadata as m on m.oid = f.loid"
    " where f.loid = any(%s::oid[]) offset 0) as files"
)
"""A query for the versions and digests of files, which the server makes."""


def _array(numbers: Sequence[int]) -> str:
    return "'{" + ",".join(map(str, numbers)) + "}'::int4[]"
