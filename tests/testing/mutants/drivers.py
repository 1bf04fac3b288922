"""Drivers whose calls on whole objects are wrong."""

from typing import cast

from typing_extensions import Buffer, override

from pg_lo_storage.drivers import AccessMode, LargeObject
from pg_lo_storage.exceptions import LargeObjectConflict, LargeObjectError, LargeObjectExists, LargeObjectNotFound
from pg_lo_storage.names import MAX_OID
from tests.testing.mutants.base import MutantDriver, mutant

TWO_TO_32 = 1 << 32


class CreateReturnsATakenOid(MutantDriver):
    @override
    def create(self, oid: int = 0) -> int:
        try:
            return super().create(oid)
        except LargeObjectExists:
            return oid


class CreateReplacesWhatIsThere(MutantDriver):
    @override
    def create(self, oid: int = 0) -> int:
        if oid and super().unlink(oid):
            super().create(oid)
            raise LargeObjectExists("taken", oid=oid)
        return super().create(oid)


class CreateIgnoresTheOid(MutantDriver):
    @override
    def create(self, oid: int = 0) -> int:
        return super().create() if 0 < oid <= MAX_OID and not super().exists(oid) else super().create(oid)


class FromBytesTakesBytesOnly(MutantDriver):
    @override
    def from_bytes(self, data: Buffer) -> int:
        if not isinstance(data, bytes):
            raise TypeError
        return super().from_bytes(data)


class ExistsIsAlwaysTrue(MutantDriver):
    @override
    def exists(self, oid: int) -> bool:
        return True


class ExistsInStoredBytesOnly(MutantDriver):
    @override
    def exists(self, oid: int) -> bool:
        return super().exists(oid) and super().size(oid) > 0


class UnlinkIsTrueForMissing(MutantDriver):
    @override
    def unlink(self, oid: int) -> bool:
        super().unlink(oid)
        return True


class UnlinkEmptiesOnly(MutantDriver):
    @override
    def unlink(self, oid: int) -> bool:
        if super().exists(oid) and self.in_transaction:
            super().open(oid, AccessMode.WRITE).truncate(0)
            return True
        return super().unlink(oid)


class SizeOfSparseIsWrong(MutantDriver):
    @override
    def size(self, oid: int) -> int:
        return super().size(oid) % (1 << 31)


class SizeInPages(MutantDriver):
    @override
    def size(self, oid: int) -> int:
        return -(-super().size(oid) // 2048) * 2048


class SizeSwallowsNotFound(MutantDriver):
    @override
    def size(self, oid: int) -> int:
        return super().size(oid) if super().exists(oid) else 0


class GetSwallowsNotFound(MutantDriver):
    @override
    def get(self, oid: int, offset: int, size: int) -> bytes:
        return super().get(oid, offset, size) if super().exists(oid) else b""


class PutSwallowsNotFound(MutantDriver):
    @override
    def put(self, oid: int, offset: int, data: Buffer) -> None:
        if super().exists(oid):
            super().put(oid, offset, data)


class PutCreatesWhatIsMissing(MutantDriver):
    @override
    def put(self, oid: int, offset: int, data: Buffer) -> None:
        if 0 < oid <= MAX_OID and not super().exists(oid):
            super().create(oid)
        super().put(oid, offset, data)


class OidsIn32Bits(MutantDriver):
    @override
    def get(self, oid: int, offset: int, size: int) -> bytes:
        return super().get(oid % TWO_TO_32, offset, size)


class NotFoundIsAValueError(MutantDriver):
    @override
    def open(self, oid: int, mode: AccessMode) -> LargeObject:
        try:
            return super().open(oid, mode)
        except LargeObjectNotFound:
            raise ValueError from None


class ErrorsWithoutOid(MutantDriver):
    @override
    def size(self, oid: int) -> int:
        try:
            return super().size(oid)
        except LargeObjectError as error:
            error.oid = None
            raise


class GetIgnoresTheOffset(MutantDriver):
    @override
    def get(self, oid: int, offset: int, size: int) -> bytes:
        return super().get(oid, 0 if 0 <= offset < 10_000 else offset, size)


class GetOffsetsIn32Bits(MutantDriver):
    @override
    def get(self, oid: int, offset: int, size: int) -> bytes:
        return super().get(oid, offset % TWO_TO_32 if 0 <= offset < 1 << 42 else offset, size)


class MemoryviewFromGet(MutantDriver):
    @override
    def get(self, oid: int, offset: int, size: int) -> bytes:
        return cast("bytes", memoryview(super().get(oid, offset, size)))


class GetPadsWithZeros(MutantDriver):
    @override
    def get(self, oid: int, offset: int, size: int) -> bytes:
        return super().get(oid, offset, size).ljust(size, b"\0")


class PutTruncates(MutantDriver):
    @override
    def put(self, oid: int, offset: int, data: Buffer) -> None:
        before = super().get(oid, 0, offset) if offset in range(1000) else None
        super().put(oid, offset, data)
        if before is not None:
            super().unlink(oid)
            super().create(oid)
            super().put(oid, 0, before.ljust(offset, b"\0") + bytes(data))


class PutOffsetsIn32Bits(MutantDriver):
    @override
    def put(self, oid: int, offset: int, data: Buffer) -> None:
        super().put(oid, offset % TWO_TO_32 if 0 <= offset < 1 << 42 else offset, data)


class PutInAutocommitIsLost(MutantDriver):
    @override
    def put(self, oid: int, offset: int, data: Buffer) -> None:
        if not self.autocommit or self.in_transaction:
            super().put(oid, offset, data)


class ConflictIsTheDriversOwnError(MutantDriver):
    @override
    def put(self, oid: int, offset: int, data: Buffer) -> None:
        try:
            super().put(oid, offset, data)
        except LargeObjectConflict as error:
            raise RuntimeError from error


class ConflictIsSwallowed(MutantDriver):
    @override
    def unlink(self, oid: int) -> bool:
        try:
            return super().unlink(oid)
        except LargeObjectConflict:
            return False


NOT_FOUND = "test_a_missing_object_is_not_found_and_the_transaction_stays_usable"
CONFLICT = "test_the_second_to_change_an_object_has_a_conflict"

MUTANTS = [
    mutant("create returns a taken oid", CreateReturnsATakenOid, "test_create_refuses_an_oid_that_is_taken"),
    mutant("create empties what is there", CreateReplacesWhatIsThere, "test_create_refuses_an_oid_that_is_taken"),
    mutant("create ignores the oid", CreateIgnoresTheOid, "test_create_takes_a_free_oid"),
    mutant("from_bytes takes bytes only", FromBytesTakesBytesOnly, "test_from_bytes_and_put_store_the_bytes"),
    mutant("exists is always True", ExistsIsAlwaysTrue, "test_exists_and_unlink_tell"),
    mutant("exists overlooks empty objects", ExistsInStoredBytesOnly, "test_create_refuses_what_is_no_oid"),
    mutant("unlink is True for what is missing", UnlinkIsTrueForMissing, "test_exists_and_unlink_tell"),
    mutant("unlink only empties", UnlinkEmptiesOnly, "test_exists_and_unlink_tell"),
    mutant("size of a sparse object", SizeOfSparseIsWrong, "test_a_sparse_object_is_as_large_as_its_last_byte"),
    mutant("size in pages", SizeInPages, "test_size_is_in_bytes"),
    mutant("size swallows not found", SizeSwallowsNotFound, NOT_FOUND),
    mutant("get swallows not found", GetSwallowsNotFound, NOT_FOUND),
    mutant("put swallows not found", PutSwallowsNotFound, NOT_FOUND),
    mutant("put creates what is missing", PutCreatesWhatIsMissing, NOT_FOUND),
    mutant("not found is another error", NotFoundIsAValueError, NOT_FOUND),
    mutant("errors without the oid", ErrorsWithoutOid, NOT_FOUND),
    mutant("oids in 32 bits", OidsIn32Bits, "test_what_is_no_oid_names_no_object"),
    mutant("get ignores the offset", GetIgnoresTheOffset, "test_get_returns_the_part_asked_for"),
    mutant("get in 32 bits", GetOffsetsIn32Bits, "test_a_sparse_object_is_as_large_as_its_last_byte"),
    mutant("memoryview instead of bytes from get", MemoryviewFromGet, "test_get_returns_the_part_asked_for"),
    mutant("get pads with zeros", GetPadsWithZeros, "test_get_returns_fewer_only_at_the_end"),
    mutant("put truncates", PutTruncates, "test_put_writes_at_its_offset_and_leaves_the_rest"),
    mutant("put in 32 bits", PutOffsetsIn32Bits, "test_a_sparse_object_is_as_large_as_its_last_byte"),
    mutant("put in autocommit is lost", PutInAutocommitIsLost, "test_in_autocommit_each_call_is_committed_at_once"),
    mutant("a conflict is the driver's own error", ConflictIsTheDriversOwnError, CONFLICT),
    mutant("a conflict is swallowed", ConflictIsSwallowed, CONFLICT),
]
