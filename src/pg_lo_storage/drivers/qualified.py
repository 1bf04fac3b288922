"""SQL whose functions, operators and types are PostgreSQL's own, whatever the session's ``search_path`` holds.

An unqualified call means the best-fitting overload in the path. Whoever may create in a schema of the path may have
made that one: https://www.postgresql.org/docs/current/typeconv-func.html. This package's statements are written without
schemas, for the reader, and are sent with them.
"""

import functools
import re
from typing import Final, Protocol, TypeVar, cast

__all__ = ["qualified"]

# These look like calls, but are syntax, or are resolved by the server without the path.
_SYNTAX: Final = frozenset(
    {"all", "any", "array", "cast", "coalesce", "exists", "extract", "greatest", "least", "operator", "values"}
)

_TOKEN: Final = re.compile(
    r"'[^']*'|\"[^\"]*\""  # a string, or a quoted name
    r"|(?:\bset |, )[a-z_0-9]+ = "  # an assignment of UPDATE
    r"|(?<![\w.\"])(?P<function>[a-z_][a-z_0-9]*)(?=\()"
    r"|(?<=::)(?P<type>[a-z_0-9]+)\b(?!\.)"
    r"|(?<![\w.\"])(?P<relation>pg_(?!lo_storage)[a-z_]+)(?![\w(.])"
    r"|(?<= )(?P<operator>[-+*/<>=~|]+|like)(?= )"
)


_Query = TypeVar("_Query", bound=str)


class _Qualifies(Protocol):
    def __call__(self, query: _Query) -> _Query: ...


@functools.lru_cache(1_000)
def _qualified(query: str) -> str:
    """Return a query with its functions, operators, types and system catalogues qualified by ``pg_catalog``.

    Write a function's name right before its parenthesis, and an operator between spaces. Qualified operators all have
    the same precedence, from left to right: use parentheses. ``nullif``, ``in``, ``between``, and ``case`` with a value
    cannot be qualified: do not use them. Instead of ``unnest`` of several arrays use ``rows from`` with one each. What
    is qualified already stays as it is.
    """
    return _TOKEN.sub(_qualify, query)


# lru_cache() loses the types of the arguments.
qualified: Final = cast("_Qualifies", _qualified)


def _qualify(token: "re.Match[str]") -> str:
    kind, text = token.lastgroup, token.group()
    if kind is None or text in _SYNTAX:
        return text
    if kind == "operator":
        return f"operator(pg_catalog.{'~~' if text == 'like' else text})"
    return f"pg_catalog.{text}"
