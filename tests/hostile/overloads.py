"""A schema of overloads that fit better than PostgreSQL's own functions and operators, and raise when called."""

import re
from collections.abc import Iterable
from itertools import product
from typing import Final

from tests.drivers.support import execute
from tests.fixtures.connections import RawConnection, run

__all__ = ["PATHS", "SCHEMA", "create_overloads", "functions_in", "operators_in"]

SCHEMA: Final = "hostile"
PATHS: Final = {"first": f"{SCHEMA}, public", "before pg_catalog": f"{SCHEMA}, pg_catalog, public"}

# What somebody would try in the place of a type: what literals, parameters and columns are.
_LIKE: Final = {
    "int2": ["int2", "int4", "int8"],
    "int4": ["int4", "int8", "oid"],
    "int8": ["int4", "int8", "oid", "numeric"],
    "oid": ["oid", "int4", "int8"],
    "numeric": ["numeric", "int4", "int8"],
    "float8": ["float8", "int4", "int8", "numeric"],
    "text": ["text", "varchar", "name"],
    "name": ["name", "text", "varchar"],
    "varchar": ["varchar", "text"],
    "bytea": ["bytea", "text"],
    "regclass": ["regclass", "oid", "text"],
    "any": ["text", "int4", "int8", "oid"],
    "anynonarray": ["text", "int4", "int8", "oid"],
    "anyelement": ["text", "int4", "int8", "oid"],
    "anyarray": ["text[]", "oid[]"],
    "anycompatible": ["text", "int4"],
    "anycompatiblearray": ["text[]", "oid[]"],
}
_OPERANDS: Final = [
    *("int2", "int4", "int8", "oid", "text", "varchar", "name", "bytea", "bool", "numeric", '"char"'),
    *("regclass", "regtype", "regnamespace", "text[]", "oid[]"),
]
_BODY: Final = "language plpgsql as $$begin raise exception 'a stranger''s % was called', {name}; end$$"
_CALL: Final = re.compile(r"(?<![\w\"])(?:pg_catalog\.)?([a-z_][a-z_0-9]*)\(")
_OPERATOR: Final = re.compile(r"\(pg_catalog\.([-+*/<>=~|]+)\)|(?<![-+*/<>=~|(.])([-+*/<>=~|]+)(?![-+*/<>=~|)])")


def functions_in(statements: Iterable[str]) -> set[str]:
    """Return what looks like a function's name in any of them, or in their strings: those of scripts are SQL."""
    return {name for statement in statements for name in _CALL.findall(statement)}


def operators_in(statements: Iterable[str]) -> set[str]:
    """Return the operators in any of them, and those that syntax stands for."""
    found = {"=", "~~"}  # IN, NULLIF, CASE; LIKE
    for statement in statements:
        found |= {first or second for first, second in _OPERATOR.findall(statement)}
    return found


def create_overloads(superuser: RawConnection, names: set[str], operators: set[str]) -> int:
    """Create, in a schema of another role's, overloads of all of them; return how many there are."""
    execute(superuser, f"drop schema if exists {SCHEMA} cascade")
    execute(superuser, f"create schema {SCHEMA} authorization stranger")
    execute(superuser, f"grant usage on schema {SCHEMA} to public")
    execute(superuser, "set check_function_bodies = off")
    signatures = set[tuple[str, tuple[str, ...]]]()
    own = run(
        superuser,
        "select proname::text, (select coalesce(array_agg(typname::text order by n), '{}')"
        " from unnest(proargtypes) with ordinality as a (t, n) join pg_type on pg_type.oid = t), provariadic <> 0"
        " from pg_proc where pronamespace = 'pg_catalog'::regnamespace and prokind in ('f', 'a', 'w')"
        " and proname = any(%s)",
        [sorted(names)],
    )
    for name, arguments, variadic in own:
        choices = [_LIKE.get(argument, [_array_or(argument)]) for argument in arguments]
        lengths = range(len(arguments), 5) if variadic else [len(arguments)]
        for length in lengths:
            more = [*choices, *[["text", "int4"]] * (length - len(arguments))]
            signatures |= {(name, types) for types in product(*more)}
    statements = [
        f'create function {SCHEMA}."{name}"({", ".join(types)}) returns text ' + _BODY.format(name=f"'{name}'")
        for name, types in sorted(signatures)
        if not {"internal", "cstring", "void", "record", "trigger"} & set(types)
    ]
    known = run(
        superuser, "select distinct oprname::text from pg_operator where oprname = any(%s)", [sorted(operators)]
    )
    for (symbol,) in sorted(known):
        result = "bool" if set(symbol) & set("<>=~") else "text"
        for left, right in product(_OPERANDS, _OPERANDS):
            name = f"op_{symbol.encode().hex()}"
            statements += [
                f"create function {SCHEMA}.{name}(a {left}, b {right}) returns {result} "
                + _BODY.format(name=f"'operator {symbol}'"),
                f"create operator {SCHEMA}.{symbol} (function = {SCHEMA}.{name}, leftarg = {left}, rightarg = {right})",
            ]
    execute(superuser, ";\n".join(statements))
    return len(statements)


def _array_or(name: str) -> str:
    """Return a type's name as SQL has it: that of an array begins with an underscore in the catalogue."""
    return f"{name[1:]}[]" if name.startswith("_") else name
