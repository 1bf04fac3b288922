"""How a binary file may be opened: the modes of :func:`open`, read once into flags."""

from typing import Literal, NamedTuple, TypeAlias

__all__ = ["BinaryMode", "Mode", "parse_mode"]

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
    updating: bool

    @property
    def readable(self) -> bool:
        """Whether reading is allowed."""
        return self.kind == "r" or self.updating

    @property
    def writable(self) -> bool:
        """Whether writing is allowed."""
        return self.kind != "r" or self.updating

    @property
    def creates(self) -> bool:
        """Whether oid 0, a new object, may be opened."""
        return self.kind != "r"

    @property
    def name(self) -> BinaryMode:
        """The usual spelling: ``rb``, ``rb+``, ``wb``, ..."""
        names: dict[Literal["r", "w", "a", "x"], tuple[BinaryMode, BinaryMode]] = {
            "r": ("rb", "rb+"),
            "w": ("wb", "wb+"),
            "a": ("ab", "ab+"),
            "x": ("xb", "xb+"),
        }
        return names[self.kind][self.updating]

    @property
    def reported(self) -> BinaryMode:
        """What an open file says its mode is; as CPython's, ``rb+`` where it was ``wb+``.

        By what it says libraries such as gzip decide whether to read or to write.
        """
        return "rb+" if self.kind == "w" and self.updating else self.name


def parse_mode(mode: object) -> Mode:
    """Read any spelling of a binary mode; raises ValueError for text modes and all else, TypeError for no string."""
    if not isinstance(mode, str):
        message = f"a mode is a string, not {type(mode).__name__}"
        raise TypeError(message)
    letters = sorted(mode)
    for kind in ("r", "w", "a", "x"):
        for updating, wanted in ((False, ["b", kind]), (True, ["+", "b", kind])):
            if letters == sorted(wanted):
                return Mode(kind, updating)
    message = f"invalid mode {mode!r}: one of 'rb', 'wb', 'ab', 'xb', each with '+'"
    if "b" not in letters:
        message += "; for text, wrap the binary file in io.TextIOWrapper"
    raise ValueError(message)
