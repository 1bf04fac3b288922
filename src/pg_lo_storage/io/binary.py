"""What all binary files that have a mode have in common."""

import io
import operator
from typing import TYPE_CHECKING, NoReturn, Self, SupportsIndex

from typing_extensions import override

from pg_lo_storage.io.modes import BinaryMode, Mode

if TYPE_CHECKING:
    from typing import BinaryIO

    class RawBinaryIO(io.RawIOBase, BinaryIO):
        """What ``open(path, "rb", buffering=0)`` is to typeshed: accepted wherever a binary file is."""
else:
    RawBinaryIO = io.RawIOBase

__all__ = ["BinaryFile", "RawBinaryIO"]


class BinaryFile(RawBinaryIO):
    """A seekable file that can be read or written as its mode says, and cannot be pickled."""

    _mode: Mode

    if TYPE_CHECKING:

        @property
        @override
        def mode(self) -> BinaryMode:
            """The mode, spelled as by CPython's files: a file opened by ``wb+`` says ``rb+``."""
            ...
    else:
        # Read by no function of Python's: libraries ask for it at every opening.
        mode = property(operator.attrgetter("_mode.reported"), doc="The mode, spelled as by CPython's files.")

    @override
    def readable(self) -> bool:
        self._check_open()
        return self._mode.readable

    @override
    def writable(self) -> bool:
        self._check_open()
        return self._mode.writable

    @override
    def seekable(self) -> bool:
        self._check_open()
        return True

    @override
    def __enter__(self) -> Self:
        self._check_open()
        return self

    @override
    def __reduce_ex__(self, protocol: SupportsIndex, /) -> NoReturn:
        message = f"cannot pickle {type(self).__name__!r} object"
        raise TypeError(message)

    def _check_open(self) -> None:
        if self.closed:
            message = "I/O operation on closed file"
            raise ValueError(message)
