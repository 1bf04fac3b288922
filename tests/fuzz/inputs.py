"""Inputs: what is like the corpus, what is made of its pieces, and what is neither.

Hypothesis draws changes and texts, a hundred thousand at most in some minutes; each draw is dealt to some inputs.
"""

from collections.abc import Mapping, Sequence
from random import Random
from typing import Final, NamedTuple, TypeVar

from hypothesis import strategies as st

from tests.fuzz import corpus

__all__ = ["DEALT", "Deal", "Edit", "Stored", "deals"]

DEALT: Final = 25
"""Inputs made of one draw."""

T = TypeVar("T")

_SIZES: Final = (0, 1, 2, 10, 64, 1000, 2**31, 2**32, 4 << 40)
_EXTENSIONS: Final = ("", ".pdf", ".html", ".svg", ".png", ".mp4", ".txt", ".js", ".\u202efdp.exe", ".\u2028", ".p df")
_FIELDS: Final[dict[str, list[tuple[str, ...]]]] = {
    "If-Match": [corpus.TAGS],
    "If-None-Match": [corpus.TAGS],
    "If-Modified-Since": [corpus.DATES],
    "If-Unmodified-Since": [corpus.DATES],
    "If-Range": [corpus.TAGS, corpus.DATES],
    "Range": [corpus.RANGES],
    "Accept-Encoding": [corpus.HEADERS],
    "Want-Repr-Digest": [corpus.HEADERS],
}


class Edit(NamedTuple):
    """Some characters that are replaced, at a place that is counted from the start again past the end."""

    place: int
    removed: int
    inserted: str

    def of(self, text: str) -> str:
        """Return the text as it is then."""
        place = self.place % (len(text) + 1)
        return text[:place] + self.inserted + text[place + self.removed :]


class Stored(NamedTuple):
    """What is said of an upload, and of how it is served."""

    original: str
    declared: str | None
    extension: str
    download_name: str | None
    as_attachment: bool | None


class Deal:
    """What Hypothesis drew, and makes inputs of it."""

    def __init__(self, seed: int, edits: Sequence[Edit], texts: Sequence[str]) -> None:
        self.drawn = seed, edits, texts
        self._random, self._edits, self._texts = Random(repr(self.drawn)), edits, texts

    def __repr__(self) -> str:
        return f"Deal{self.drawn!r}"

    def choice(self, some: Sequence[T]) -> T:
        return self._random.choice(some)

    def text(self, *corpora: Sequence[str]) -> str:
        """Return a text that is near those."""
        if self._random.random() < 0.1:
            return self.choice(self._texts)
        text = self.choice(self.choice(corpora))
        if self._random.random() < 0.4:  # the start of one, and the end of another
            other = self.choice(self.choice(corpora))
            text = text[: self._random.randint(0, len(text))] + other[self._random.randint(0, len(other)) :]
        for edit in self.changes(self.choice((0, 0, 1, 1, 2))):
            text = edit.of(text)
        return text

    def changes(self, most: int) -> list[Edit]:
        """Return so many of the changes at most, at the places that were drawn or at others."""
        some = self._random.sample(self._edits, min(most, len(self._edits)))
        return [self.choice((edit, edit._replace(place=self._random.randrange(200)))) for edit in some]

    def size(self) -> int:
        """Return a large object's size in bytes."""
        return self.choice(_SIZES) if self._random.random() < 0.7 else self._random.randrange(4 << 40)

    def headers(self) -> Mapping[str, str]:
        """Return some headers of a request."""
        names = self._random.sample([*_FIELDS], self._random.randint(1, 4))
        return {name: self.text(*_FIELDS[name]) for name in names}

    def stored(self) -> Stored:
        """Return an upload."""
        declared = self.choice((None, self.text(corpus.TYPES)))
        download_name = self.choice((None, None, self.text(corpus.NAMES)))
        as_attachment = self.choice((None, None, True, False))
        return Stored(self.text(corpus.NAMES), declared, self.choice(_EXTENSIONS), download_name, as_attachment)


_ANY: Final = st.characters(exclude_categories=())
_PIECES: Final = st.sampled_from(corpus.TOKENS) | st.text(_ANY, max_size=4)
_EDITS: Final = st.builds(
    Edit,
    st.integers(0, 200),
    st.integers(0, 6),
    st.tuples(_PIECES, st.sampled_from((0, 1, 1, 1, 2, 40))).map(lambda drawn: drawn[0] * drawn[1]),
)
_TEXTS: Final = st.text(_ANY, max_size=60) | st.lists(_PIECES, max_size=10).map("".join)

deals = st.builds(
    Deal,
    st.integers(0, 2**32 - 1),
    st.lists(_EDITS, min_size=3, max_size=3),
    st.lists(_TEXTS, min_size=2, max_size=2),
)
