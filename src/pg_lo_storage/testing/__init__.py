"""For tests of projects that use the package, and of drivers for it.

:class:`InMemoryDriver` keeps large objects without a server, :class:`DriverConformance` holds a driver to its
contract, :class:`AsyncDriverConformance` an asynchronous one, and the pytest plugin offers the fixtures
``no_orphaned_large_objects`` and ``clean_large_objects``.
"""

import importlib
import sys
from typing import TYPE_CHECKING

from pg_lo_storage.drivers.lazy import leave_out_missing
from pg_lo_storage.testing.memory import InMemoryConnection, InMemoryDriver, InMemoryError, InMemoryServer

if TYPE_CHECKING:
    from pg_lo_storage.testing.conformance import DriverConformance, OpenSession, Session
    from pg_lo_storage.testing.conformance.asynchronous import AsyncDriverConformance, AsyncSession, OpenAsyncSession

__all__ = [
    "AsyncDriverConformance",
    "AsyncSession",
    "DriverConformance",
    "InMemoryConnection",
    "InMemoryDriver",
    "InMemoryError",
    "InMemoryServer",
    "OpenAsyncSession",
    "OpenSession",
    "Session",
]

# Loaded on first use: the in-memory driver serves without pytest.
_KIT = "pg_lo_storage.testing.conformance"
_LAZY = {
    **dict.fromkeys(("DriverConformance", "OpenSession", "Session"), _KIT),
    **dict.fromkeys(("AsyncDriverConformance", "AsyncSession", "OpenAsyncSession"), f"{_KIT}.asynchronous"),
}
leave_out_missing(__all__, dict.fromkeys(_LAZY, "pytest"))


def __getattr__(name: str) -> object:
    if name not in _LAZY:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    if _KIT not in sys.modules:
        import pytest

        # So that a failing assertion of the kit shows its values, as those of a test module do.
        pytest.register_assert_rewrite(_KIT)
    value: object = getattr(importlib.import_module(_LAZY[name]), name)
    return value
