"""A driver that stores each byte flipped, as one that encrypts does, and so has no SQL."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final

from typing_extensions import Buffer

from pg_lo_storage.drivers import AccessMode, LargeObject, LargeObjectDriver, SQLDriver, get_driver

_FLIPPED: Final = bytes(range(255, -1, -1))


def flipped(data: Buffer) -> bytes:
    """Return the bytes as they are stored, or, of stored ones, as they were."""
    return bytes(data).translate(_FLIPPED)


class FlippingDriver:
    """What the server is given, and gives, is never what the caller is."""

    sql = None

    def __init__(self, raw: object) -> None:
        self._driver = get_driver(raw)

    @property
    def in_transaction(self) -> bool:
        return self._driver.in_transaction

    def create(self, oid: int = 0) -> int:
        return self._driver.create(oid)

    def from_bytes(self, data: Buffer) -> int:
        return self._driver.from_bytes(flipped(data))

    def open(self, oid: int, mode: AccessMode) -> LargeObject:
        return FlippingLargeObject(self._driver.open(oid, mode))

    def unlink(self, oid: int) -> bool:
        return self._driver.unlink(oid)

    def exists(self, oid: int) -> bool:
        return self._driver.exists(oid)

    def size(self, oid: int) -> int:
        return self._driver.size(oid)

    def get(self, oid: int, offset: int, size: int) -> bytes:
        return flipped(self._driver.get(oid, offset, size))

    def put(self, oid: int, offset: int, data: Buffer) -> None:
        self._driver.put(oid, offset, flipped(data))


class FlippingLargeObject:
    """A descriptor of the same."""

    def __init__(self, descriptor: LargeObject) -> None:
        self._descriptor = descriptor

    @property
    def oid(self) -> int:
        return self._descriptor.oid

    def read(self, size: int) -> bytes:
        return flipped(self._descriptor.read(size))

    def chunks(self, size: int, count: int | None = None) -> Iterator[bytes]:
        return map(flipped, self._descriptor.chunks(size, count))

    def write(self, data: Buffer) -> int:
        return self._descriptor.write(flipped(data))

    def write_all(self, blocks: Iterable[Buffer]) -> int:
        return self._descriptor.write_all(map(flipped, blocks))

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._descriptor.seek(offset, whence)

    def tell(self) -> int:
        return self._descriptor.tell()

    def truncate(self, size: int) -> None:
        self._descriptor.truncate(size)

    def close(self) -> None:
        self._descriptor.close()


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


if TYPE_CHECKING:
    _: type[LargeObjectDriver] = FlippingDriver
    __: type[LargeObject] = FlippingLargeObject
