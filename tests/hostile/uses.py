"""All that the package does on one connection, to be done with strangers' overloads in the search path."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, LiteralString

from pg_lo_storage.aio import AsyncLargeObjectDriver, AsyncLargeObjectIO
from pg_lo_storage.contrib.fsspec import PgLoFileSystem
from pg_lo_storage.drivers import AccessMode, LargeObjectDriver
from pg_lo_storage.io import LargeObjectIO
from pg_lo_storage.transfer import asynchronous, blocking

SMALL, LARGE = b"small", bytes(range(256)) * 20_000


def recording(method: Callable[..., Any], recorded: list[str]) -> Callable[..., Any]:
    """Return the method of a driver, awaited or not, that adds its statements to the list."""

    def record(self: object, query: LiteralString, *args: Any) -> Any:
        recorded.append(query)
        return method(self, query, *args)

    return record


def use_driver(driver: LargeObjectDriver) -> None:
    oid = driver.from_bytes(SMALL)
    assert driver.exists(oid)
    assert driver.size(oid) == 5
    driver.put(oid, 5, b" more")
    assert driver.get(oid, 0, 100) == b"small more"
    other = driver.create()
    descriptor = driver.open(other, AccessMode.READ_WRITE)
    assert descriptor.write(LARGE) == len(LARGE)
    assert descriptor.write_all([SMALL, LARGE]) == len(LARGE) + 5
    assert descriptor.seek(-5, 2) == descriptor.seek(0, 1)
    descriptor.truncate(len(LARGE))
    descriptor.seek(0)
    assert descriptor.read(len(LARGE)) == LARGE
    descriptor.seek(0)
    assert b"".join(descriptor.chunks(300_000)) == LARGE
    descriptor.close()
    assert driver.unlink(oid)
    assert driver.unlink(other)
    assert driver.create(other) == other


def use_files(driver: LargeObjectDriver) -> None:
    for data in (SMALL, LARGE):
        with LargeObjectIO(driver, mode="wb+") as file:
            file.write(data)
            file.seek(0)
            assert file.read() == data
        with LargeObjectIO(driver, file.oid, "ab") as appended:
            appended.write(SMALL)
        with LargeObjectIO(driver, file.oid) as read:
            assert read.readline() + read.read() == data + SMALL
            read.seek(8 << 30)
            assert read.read() == b""


def use_transfer(driver: LargeObjectDriver, folder: Path) -> None:
    for data in (SMALL, LARGE):
        oid = blocking.save(driver, data)
        copied = blocking.copy(driver, oid)
        assert blocking.load(driver, copied) == data
        blocking.lo_export(driver, oid, folder / "exported", None)
        assert blocking.lo_import(driver, folder / "exported", None, blocking.save)


def use_fsspec(fs: PgLoFileSystem) -> None:
    name = fs.pipe_file("new", LARGE)
    assert fs.cat_file(name) == LARGE
    assert fs.cat_file(name, 5, 10) == LARGE[5:10]
    assert {entry["size"] for entry in fs.ls("") if entry["name"] == name} == {len(LARGE)}
    with fs.open(name, "ab") as file:
        file.write(SMALL)
    assert fs.size(name) == len(LARGE) + 5
    fs.cp_file(name, "new")
    fs.rm_file(fs.last_created or "")
    with fs.transaction, fs.open(name, "wb") as file:
        file.write(SMALL)
    assert fs.info(name)["size"] == len(SMALL)
    fs.rm_file(name)


async def use_awaited(driver: AsyncLargeObjectDriver, folder: Path) -> None:
    for data in (SMALL, LARGE):
        oid = await asynchronous.save(driver, data)
        copied = await asynchronous.copy(driver, oid)
        assert await asynchronous.load(driver, copied) == data
        await asynchronous.lo_export(driver, oid, folder / "exported", None)
        assert await asynchronous.lo_import(driver, folder / "exported", None, asynchronous.save)
        async with AsyncLargeObjectIO(driver, oid) as file:
            assert await file.size() == len(data)
            assert await file.readline() + await file.read() == data
