"""Files of an installed library, and a client that asks for them while they move."""

import os
import random
import threading
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import django

COUNT: Final = int(os.environ.get("PG_LO_TEST_MOVES", "24").partition(",")[0])
"""How many files there are."""

_PAUSE: Final = 0.01
"""Between two requests, in seconds: others have to do their work, too."""


def real_files(count: int = COUNT) -> dict[str, bytes]:
    """Return files of Django's own by their paths: programs, texts, images, catalogues; the largest, too."""
    root = Path(django.__file__).parent
    paths = [path for path in sorted(root.rglob("*")) if path.is_file() and "__pycache__" not in path.parts]
    largest = sorted(paths, key=lambda path: path.stat().st_size)[-4:]
    chosen = dict.fromkeys([*largest, *random.Random(5).sample(paths, count)])
    return {str(path.relative_to(root)): path.read_bytes() for path in list(chosen)[:count]}


@dataclass(frozen=True)
class Answer:
    """What a client gets."""

    status: int
    body: bytes
    etag: str | None


Ask = Callable[[int, dict[str, str]], Answer | None]
"""Asks for the file of a row with headers; ``None`` is a connection that was cut, which no client takes for a file."""


@dataclass
class Client:
    """Asks for random files, whole and in part, and with the validators that it has; ``wrong`` says what was amiss."""

    ask: Ask
    files: Mapping[int, bytes]
    wrong: list[str] = field(default_factory=list[str])
    asked: int = 0
    cut: int = 0
    _etags: dict[int, str] = field(default_factory=dict[int, str])

    @contextmanager
    def asking(self, close: Callable[[], None] = lambda: None) -> Generator[None]:
        """Ask all the while, and a while more, in a thread of its own, which ends with ``close``."""
        done = threading.Event()

        def run() -> None:
            chance = random.Random(3)
            try:
                while not done.wait(_PAUSE):
                    self._ask_one(chance)
            except Exception as error:  # noqa: BLE001 -- told where the test ends
                self.wrong.append(repr(error))
            finally:
                close()

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join(60)
        assert not thread.is_alive()

    def _ask_one(self, chance: random.Random) -> None:
        key = chance.choice(list(self.files))
        content, etag = self.files[key], self._etags.get(key)
        start = chance.randrange(len(content)) if content else 0
        headers: dict[str, str] = {}
        kind = chance.choice(["whole", "part", "same", "rest"])
        if kind == "part" and content:
            headers["Range"] = f"bytes={start}-{start + 9}"
        elif etag and kind == "same":
            headers["If-None-Match"] = etag
        elif etag and kind == "rest" and content:
            headers |= {"Range": f"bytes={start}-", "If-Range": etag}
        answer = self.ask(key, headers)
        self.asked += 1
        if answer is None:
            self.cut += 1
            return
        expected = {200: content, 304: b""} if kind == "same" else {200: content}
        if kind == "part" and content:
            expected = {206: content[start : start + 10]}
        elif kind == "rest":
            expected[206] = content[start:]
        if answer.body != expected.get(answer.status):
            self.wrong.append(f"{key}: {headers}: {answer.status}, {len(answer.body)} of {len(content)} bytes")
        elif answer.etag:
            self._etags[key] = answer.etag
