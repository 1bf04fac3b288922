"""How a binary file may be opened: the modes of :func:`open`, read once into flags."""

import itertools
from typing import Final, Literal, NamedTuple, TypeAlias

__all__ = ["READING", "BinaryMode", "Mode", "parse_mode"]

BinaryMode: TypeAlias = Literal[
    "rb", "br", "rb+", "r+b", "+rb", "br+", "b+r", "+br",
    "wb", "bw", "wb+", "w+b", "+wb", "bw+", "b+w", "+bw",
    "ab", "ba", "ab+", "a+b", "+ab", "ba+", "b+a", "+ba",
    "xb", "bx", "xb+", "x+b", "+xb", "bx+", "b+x", "+bx",
]  # fmt: skip
"""Any spelling of a binary mode."""


class Mode(NamedTuple):
    """What a mode allows."""

    kind: Literal["r", "w", "a", "x"]
    readable: bool
    writable: bool
    name: BinaryMode
    """The usual spelling: ``rb``, ``rb+``, ``wb``, ..."""
    reported: BinaryMode
    """The mode that an open file reports; as in CPython, ``rb+`` for ``wb+``.

    Libraries such as gzip decide by it whether to read or to write.
    """

    @property
    def updating(self) -> bool:
        """Whether reading and writing are allowed."""
        return self.readable and self.writable

    def check_oid(self, oid: int) -> None:
        """Raise ValueError if ``oid`` is 0, for a new object, and the mode creates none."""
        if not oid and self.kind == "r":
            message = f"mode {self.name!r} cannot create a large object: pass its oid, or use 'wb', 'ab' or 'xb'"
            raise ValueError(message)


_MODES: Final = (
    Mode("r", readable=True, writable=False, name="rb", reported="rb"),
    Mode("r", readable=True, writable=True, name="rb+", reported="rb+"),
    Mode("w", readable=False, writable=True, name="wb", reported="wb"),
    Mode("w", readable=True, writable=True, name="wb+", reported="rb+"),
    Mode("a", readable=False, writable=True, name="ab", reported="ab"),
    Mode("a", readable=True, writable=True, name="ab+", reported="ab+"),
    Mode("x", readable=False, writable=True, name="xb", reported="xb"),
    Mode("x", readable=True, writable=True, name="xb+", reported="xb+"),
)
READING: Final = _MODES[0]
_BY_SPELLING: Final = {"".join(letters): mode for mode in _MODES for letters in itertools.permutations(mode.name)}


def parse_mode(mode: object) -> Mode:
    """Read any spelling of a binary mode.

    :raises ValueError: it is a text mode, or none at all.
    :raises TypeError: it is no string.
    """
    if not isinstance(mode, str):
        message = f"a mode is a string, not {type(mode).__name__}"
        raise TypeError(message)
    if (parsed := _BY_SPELLING.get(mode)) is not None:
        return parsed
    message = f"invalid mode {mode!r}: one of 'rb', 'wb', 'ab', 'xb', each with '+'"
    if "b" not in mode:
        message += "; for text, wrap the binary file in io.TextIOWrapper"
    raise ValueError(message)
