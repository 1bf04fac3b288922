"""SQL whose functions, operators and types are PostgreSQL's own, whatever the session's ``search_path`` holds.

An unqualified call means the overload in the path that fits its arguments best, which anybody may have made who may
create in one of the path's schemas: https://www.postgresql.org/docs/current/typeconv-func.html. The statements of this
package are written without a schema, to be read, and are sent with one.
"""

import functools
import re
from typing import Final, Protocol, TypeVar, cast

__all__ = ["qualified"]

# What looks like a call and is syntax, or resolved by the server without the path.
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

    Names of functions stand right before their parenthesis, operators between spaces. All operators then have the same
    precedence and go from left to right: parentheses say where that is not meant. ``nullif``, ``in``, ``between``, and
    ``case`` with a value cannot be qualified, and are not to be used; nor ``unnest`` of several arrays, which are
    ``rows from`` one each. What is qualified stays as it is.
    """
    return _TOKEN.sub(_qualify, query)


# The cache itself, which has no type of its arguments.
qualified: Final = cast("_Qualifies", _qualified)


def _qualify(token: "re.Match[str]") -> str:
    kind, text = token.lastgroup, token.group()
    if kind is None or text in _SYNTAX:
        return text
    if kind == "operator":
        return f"operator(pg_catalog.{'~~' if text == 'like' else text})"
    return f"pg_catalog.{text}"
