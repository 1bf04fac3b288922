"""The bytes of a large object, sparse as the server keeps them: https://www.postgresql.org/docs/current/lo-implementation.html."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

__all__ = ["EMPTY", "Content"]

_PAGE: Final = 2048


class Content:
    """One version of an object's bytes; it never changes, so that keeping a snapshot is keeping a reference.

    Pages nobody wrote are not there, and a page may be shorter than others: what is missing reads as zeros.
    """

    __slots__ = ("_pages", "size")

    def __init__(self, pages: Mapping[int, bytes], size: int) -> None:
        self._pages = pages
        self.size: int = size

    def read(self, offset: int, size: int) -> bytes:
        """Return ``size`` bytes at ``offset``, fewer only at the end."""
        end = min(offset + size, self.size)
        if end <= offset:
            return b""
        first, last = offset // _PAGE, (end - 1) // _PAGE
        data = b"".join(self._pages.get(number, b"").ljust(_PAGE, b"\0") for number in range(first, last + 1))
        return data[offset - first * _PAGE : end - first * _PAGE]

    def written(self, offset: int, data: memoryview) -> "Content":
        """Return this content with ``data`` at ``offset``."""
        pages, done = dict(self._pages), 0
        while done < len(data):
            number, start = divmod(offset + done, _PAGE)
            part = data[done : done + _PAGE - start]
            before = pages.get(number, b"")
            pages[number] = before[:start].ljust(start, b"\0") + bytes(part) + before[start + len(part) :]
            done += len(part)
        return Content(pages, max(self.size, offset + len(data)) if data else self.size)

    def truncated(self, size: int) -> "Content":
        """Return this content cut, or extended with zeros, to ``size`` bytes."""
        last, rest = divmod(size, _PAGE)
        pages = {number: page for number, page in self._pages.items() if number <= last}
        if last in pages:
            pages[last] = pages[last][:rest]
        return Content(pages, size)


EMPTY: Final = Content(MappingProxyType({}), 0)
