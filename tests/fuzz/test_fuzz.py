"""A fuzzer of what strangers write: names, headers, signatures, and what is stored of uploads.

The corpus is tried each time, and so are the same inputs made of it. ``PG_LO_FUZZ_INPUTS`` says how many in all,
``PG_LO_FUZZ_SEED`` which: ``just fuzz`` tries a million.
"""

import itertools
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

import pytest
from hypothesis import given, note, seed, settings

from pg_lo_storage.http.conditions import Validators
from tests.fuzz import checks, corpus
from tests.fuzz.inputs import DEALT, Deal, Edit, Stored, deals

INPUTS: Final = int(os.environ.get("PG_LO_FUZZ_INPUTS", "30_000"))
SEED: Final = int(os.environ.get("PG_LO_FUZZ_SEED", "0"))
# Hypothesis remembers all that it drew of one seed.
DRAWS: Final = 2_000
# The first of a seed are the simplest there are.
FEWEST: Final = 20

pytestmark = [pytest.mark.once, pytest.mark.timeout(0)]

VALIDATORS: Final = (
    Validators(),
    Validators('"a"', checks.NOW, is_date_strong=True),
    Validators('"a"', checks.NOW),
    Validators('"a"'),
)
METHODS: Final = ("GET", "GET", "GET", "HEAD")


@dataclass
class Target:
    """What is checked, its part of the inputs in per cent, how they are made, and which are always tried."""

    check: Callable[..., None]
    share: int
    make: Callable[[Deal], tuple[Any, ...]]
    corpus: Iterable[tuple[Any, ...]]


def single_headers() -> list[dict[str, str]]:
    tags_and_dates = corpus.TAGS + corpus.DATES
    return [
        *({"Range": value} for value in corpus.RANGES),
        *({name: value} for name in ("If-Match", "If-None-Match", "If-Range") for value in tags_and_dates),
        *({f"If-{word}-Since": value} for word in ("Modified", "Unmodified") for value in corpus.DATES),
        *({name: value} for name in ("Accept-Encoding", "Want-Repr-Digest") for value in corpus.HEADERS),
    ]


def uploads() -> list[tuple[Stored]]:
    return [
        *((Stored(name, None, "", None, None),) for name in corpus.NAMES),
        *((Stored("a", kind, last, None, None),) for kind in (None, *corpus.TYPES) for last in ("", ".html", ".pdf")),
        *((Stored("a.pdf", None, ".\u202efdp.exe", name, True),) for name in corpus.NAMES),
    ]


def changed_queries() -> list[tuple[object, ...]]:
    return [
        ("12.pdf", "/signed/", [Edit(place, removed, text)], 3600, 60)
        for text in corpus.QUERIES
        for place in (0, 9, 10, 20, 21, 22, 60, 100)
        for removed in (0, 1)
    ]


def make_signed(deal: Deal) -> tuple[object, ...]:
    name, base_url = deal.text(corpus.NAMES), deal.text(["/signed/", "/", "https://example.org/a/"])
    spelled = [Edit(deal.choice(range(80)), deal.choice((0, 1)), deal.choice(corpus.QUERIES))]
    changes = deal.choice((spelled, deal.changes(deal.choice((1, 2, 3)))))
    return name, base_url, changes, deal.size() % 10**6 + 1, deal.size() % 10**6


PURE: Final[dict[str, Target]] = {
    "names": Target(checks.check_name, 26, lambda deal: (deal.text(corpus.NAMES),), [(it,) for it in corpus.NAMES]),
    "ranges": Target(
        checks.check_ranges,
        21,
        lambda deal: (deal.text(corpus.RANGES), deal.size()),
        [*itertools.product(corpus.RANGES, (0, 1, 10, 1000, 4 << 40))],
    ),
    "conditions": Target(
        checks.check_conditions,
        16,
        lambda deal: (deal.headers(), deal.choice(VALIDATORS)),
        [*itertools.product(single_headers(), VALIDATORS)],
    ),
    "types": Target(checks.check_presentation, 15, lambda deal: (deal.stored(),), uploads()),
    "signatures": Target(checks.check_signature, 16, make_signed, changed_queries()),
}


def requests() -> Target:
    served = checks.Served()

    def make(deal: Deal) -> tuple[object, ...]:
        name = deal.choice((None, None, None, deal.text(corpus.NAMES)))
        return deal.choice(METHODS), deal.choice([*served.names]), name, deal.headers()

    always = [*itertools.product(("GET", "HEAD"), served.names, (None,), single_headers())]
    return Target(served.check_request, 5, make, always)


STORED: Final[dict[str, Callable[[], Target]]] = {
    "requests": requests,
    "uploads": lambda: Target(checks.check_stored, 1, lambda deal: (deal.stored(),), uploads()),
}


def fuzz(name: str, target: Target, counts: dict[str, tuple[int, float]]) -> None:
    """Try the corpus, and then until there were as many different inputs as are asked for, and count them."""
    start, wanted = time.monotonic(), INPUTS * target.share // 100
    tried = set[int]()

    def check(arguments: tuple[Any, ...]) -> None:
        shown = repr(arguments)
        if hash(shown) not in tried:
            note(shown)
            target.check(*arguments)
            tried.add(hash(shown))  # now: what fails is tried again, and made simpler

    def deal_out(deal: Deal) -> None:
        for _ in range(DEALT):
            check(target.make(deal))

    for arguments in target.corpus:
        target.check(*arguments)
        tried.add(hash(repr(arguments)))
    for number in itertools.count(SEED):
        if len(tried) >= wanted:
            break
        draws = settings(max_examples=min(DRAWS, (wanted - len(tried)) // DEALT + FEWEST))
        seed(number)(draws(given(deals)(deal_out)))()
    counts[name] = len(tried), time.monotonic() - start


@pytest.mark.parametrize("name", PURE)
def test_what_holds_of_names_and_headers_holds_of_all(name: str, counts: dict[str, tuple[int, float]]) -> None:
    fuzz(name, PURE[name], counts)


@pytest.mark.django_db
@pytest.mark.parametrize("name", STORED)
def test_what_holds_of_files_holds_of_all(name: str, counts: dict[str, tuple[int, float]]) -> None:
    fuzz(name, STORED[name](), counts)
