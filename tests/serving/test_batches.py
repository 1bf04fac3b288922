"""How much of a file is read for a client at a time, by a clock of the test's own."""

import itertools
import time

import pytest

from pg_lo_storage.http.batches import in_batches
from pg_lo_storage.http.ranges import Piece

KB, MB = 1024, 1024 * 1024


def sizes(seconds: list[float], most: int, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return the sizes of the batches that a client gets who takes so long for each."""
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    batches = in_batches([b"head", range(100 * MB)], most)
    assert next(batches) == b"head"
    found: list[int] = []
    for taken in seconds:
        found.append(len(next(batches)))
        now += taken
    return found


@pytest.mark.parametrize("most", [MB, 4 * MB])
def test_they_grow_for_a_fast_client_up_to_a_limit(most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    grown = sizes([0.1] * 20, most, monkeypatch)
    assert grown[:3] == [256 * KB, 512 * KB, MB]
    assert grown == sorted(grown)
    assert set(grown[5:]) == {most}


def test_they_stay_small_for_a_slow_client(monkeypatch: pytest.MonkeyPatch) -> None:
    assert sizes([1.0] * 5, 4 * MB, monkeypatch) == [256 * KB] * 5


def test_they_are_small_again_once_a_client_is_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    assert sizes([0.1, 0.1, 9.0, 9.0, 0.1, 0.1], 4 * MB, monkeypatch) == [
        256 * KB,
        512 * KB,
        MB,
        256 * KB,
        256 * KB,
        512 * KB,
    ]


def test_they_are_the_pieces_and_nothing_else() -> None:
    pieces: list[Piece] = [b"head", range(5, 3 * MB), b"", range(0), b"tail"]
    found = list(in_batches(pieces, 4 * MB))
    assert [piece for piece in found if isinstance(piece, bytes)] == [b"head", b"", b"tail"]
    ranges = [piece for piece in found if isinstance(piece, range)]
    assert ranges[0].start == 5
    assert ranges[-1].stop == 3 * MB
    assert all(one.stop == other.start for one, other in itertools.pairwise(ranges))
