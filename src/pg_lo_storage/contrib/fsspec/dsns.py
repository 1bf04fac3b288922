"""Connection strings, and the passwords in them, which no message may show."""

import importlib
import re
from collections.abc import Callable
from typing import Any, Final

__all__ = ["check", "is_secret", "without_secrets"]

# libpq's own options, and names that people write for them.
_SECRET: Final = re.compile(r"pass(?!file)|pwd|secret|token|scram_\w+_key", re.IGNORECASE)
# If a URL's password has an "@" or "/", libpq takes a part of it for the host, and shows that in errors.
_URL: Final = re.compile(r"postgres(?:ql)?://(?:[^@/]*@)?[^@]*", re.DOTALL)
_PORTS: Final = re.compile(r"[0-9,]*")


def is_secret(option: str) -> bool:
    """Tell whether a connection's option is a password, or the like."""
    return _SECRET.search(option) is not None


def check(dsn: str) -> None:
    """Check that a connection string means what it seems to.

    :raises ValueError: it is malformed; the message quotes nothing of it.
    """
    _parse(dsn, _tools()[0])


def without_secrets(dsn: str) -> str:
    """Return a connection string that leads to the same database, without the passwords.

    :raises ValueError: it is malformed, so that nobody can tell where a password ends.
    """
    parse, make = _tools()
    return make(**{option: value for option, value in _parse(dsn, parse).items() if not is_secret(option)})


def _tools() -> tuple[Callable[[str], dict[str, str]], Callable[..., str]]:
    try:
        psycopg: Any = importlib.import_module("psycopg.conninfo")
    except ImportError:
        psycopg2: Any = importlib.import_module("psycopg2.extensions")
        return psycopg2.parse_dsn, psycopg2.make_dsn
    return psycopg.conninfo_to_dict, psycopg.make_conninfo


def _parse(dsn: str, parse: Callable[[str], dict[str, str]]) -> dict[str, str]:
    is_clear = "\x00" not in dsn and ("://" not in dsn or _URL.fullmatch(dsn) is not None)
    try:
        parsed = parse(dsn) if is_clear else None
    except Exception:  # noqa: BLE001 -- the driver's error quotes what it could not read
        parsed = None
    if parsed is None or not _PORTS.fullmatch(parsed.get("port", "")):
        message = (
            "the dsn is malformed: in a URL, percent-encode what is special in a password (%40 is @, %2F is /);"
            " else put quotes around it, or pass password= by itself"
        )
        raise ValueError(message) from None
    return parsed
