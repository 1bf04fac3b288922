"""A driver that stores each byte flipped, as one that encrypts does, and so has no SQL."""

from typing import Any, Final

from typing_extensions import Buffer, override

from pg_lo_storage.drivers import (
    AccessMode,
    DriverWrapper,
    LargeObjectDriver,
    LargeObjectWrapper,
    SQLDriver,
    get_driver,
)

_FLIPPED: Final = bytes(range(255, -1, -1))


def flipped(data: Buffer) -> bytes:
    """Return the bytes as they are stored, or, of stored ones, as they were."""
    return bytes(data).translate(_FLIPPED)


class FlippingDriver(DriverWrapper):
    """What the server is given, and gives, is never what the caller is."""

    @override
    def from_bytes(self, data: Buffer) -> int:
        return super().from_bytes(flipped(data))

    @override
    def open(self, oid: int, mode: AccessMode) -> LargeObjectWrapper:
        return FlippingLargeObject(self.wrapped.open(oid, mode))

    @override
    def get(self, oid: int, offset: int, size: int) -> bytes:
        return flipped(super().get(oid, offset, size))

    @override
    def put(self, oid: int, offset: int, data: Buffer) -> None:
        super().put(oid, offset, flipped(data))


class FlippingLargeObject(LargeObjectWrapper):
    """A descriptor of the same."""

    @override
    def read(self, size: int) -> bytes:
        return flipped(super().read(size))

    @override
    def write(self, data: Buffer) -> int:
        return super().write(flipped(data))


class _Flips(SQLDriver):
    """The methods of the driver's contract, and none of what another driver has besides."""

    @property
    def sql(self) -> Any:
        return None

    def from_bytes(self, data: Buffer) -> int:
        return super().from_bytes(flipped(data))

    def open(self, oid: int, mode: AccessMode) -> Any:
        return FlippingLargeObject(super().open(oid, mode))

    def get(self, oid: int, offset: int, size: int) -> bytes:
        return flipped(super().get(oid, offset, size))

    def put(self, oid: int, offset: int, data: Buffer) -> None:
        super().put(oid, offset, flipped(data))


def by_inheritance(raw: object) -> LargeObjectDriver:
    """Return such a driver that is a subclass of the connection's own, and inherits its faster ways to read."""
    kind: Any = type("Flipping", (_Flips, type(get_driver(raw))), {})
    driver: LargeObjectDriver = kind(raw)
    return driver
