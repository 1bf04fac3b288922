"""The scripts of the generated column by which ``vacuumlo`` keeps files; as those of :mod:`.trigger_scripts`."""

from typing import Final

from pg_lo_storage.operations.trigger_functions import fill
from pg_lo_storage.operations.trigger_scripts import FRAGMENTS

__all__ = ["ADD_GUARD_COLUMN", "REMOVE_GUARD_COLUMN"]

_GUARD_COLUMNS: Final = r"""select distinct a.attname as name from pg_catalog.pg_depend as d
        left join pg_catalog.pg_attrdef as value
            on d.classid = 'pg_attrdef'::regclass and value.oid = d.objid
        join pg_attribute as a on a.attrelid = d.refobjid and a.attnum = coalesce(value.adnum, d.objsubid)
        where d.refclassid = 'pg_class'::regclass and d.refobjid = target
        and d.refobjsubid = (select attnum from pg_attribute
            where attrelid = target and attname = @column@ and not attisdropped)
        and (d.classid = 'pg_attrdef'::regclass
            or d.classid = 'pg_class'::regclass and d.objid = d.refobjid)
        and a.attgenerated = 's' and a.atttypid = 'oid'::regtype and starts_with(a.attname, 'pg_lo_storage_')"""

_ADD_GUARD_COLUMN: Final = r"""
declare
    @declare@
    @target@
begin
    @begin@
    if target is null then
        raise undefined_table using message = format('table %s does not exist', @table@);
    end if;
    if not exists (@guard_columns@) then
        execute format($sql$alter table %s add column %I oid generated always as (
            case when split_part(%I::text collate "C", '.', 1) ~ '^[1-9][0-9]{0,9}$' then
                case when split_part(%3$I::text collate "C", '.', 1)::int8 <= 4294967295 then
                    split_part(%3$I::text collate "C", '.', 1)::int8::oid end end) stored$sql$,
            target, @name@, @column@);
    end if;
    @end@
end
"""

_REMOVE_GUARD_COLUMN: Final = """
declare
    @declare@
    @target@
begin
    @begin@
    for item in @guard_columns@ loop
        execute format('alter table %s drop column %I', target, item.name);
    end loop;
    @end@
end
"""

_PARTS: Final = {**FRAGMENTS, "guard_columns": _GUARD_COLUMNS}

ADD_GUARD_COLUMN: Final = fill(_ADD_GUARD_COLUMN, _PARTS)
REMOVE_GUARD_COLUMN: Final = fill(_REMOVE_GUARD_COLUMN, _PARTS)
