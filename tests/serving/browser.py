"""A browser that a test goes through pages with, by the DevTools protocol."""

import contextlib
import json
import os
import subprocess
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any, Final

CHROMIUM: Final = ["chromium", "--headless=new", "--no-sandbox", "--disable-gpu"]


class Browser:
    """One tab; a page is there when a method returns."""

    def __init__(self, commands: int, answers: int) -> None:
        self._commands = os.fdopen(commands, "wb", buffering=0)
        self._answers = os.fdopen(answers, "rb")
        self._received = b""
        self._session: str | None = None
        self._number = 0
        self._events: list[str] = []
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self._call("Page.enable")

    def log_in(self, url: str, session: str) -> None:
        """Have that session at a site."""
        self._call("Network.setCookie", name="sessionid", value=session, url=url)

    def go(self, url: str) -> str:
        """Follow a link; return the text of the page."""
        return self._loaded("Runtime.evaluate", expression=f"location.href = {json.dumps(url)}")

    def back(self) -> str:
        """Go back; return the text of the page."""
        history = self._call("Page.getNavigationHistory")
        return self._loaded(
            "Page.navigateToHistoryEntry", entryId=history["entries"][history["currentIndex"] - 1]["id"]
        )

    def close(self) -> None:
        """End the browser."""
        self._session = None
        self._call("Browser.close")
        self._commands.close()
        self._answers.close()

    def _loaded(self, method: str, **params: object) -> str:
        self._events.clear()
        self._call(method, **params)
        while "Page.frameNavigated" not in self._events:
            self._next()
        # Asked again and again: a promise of a document that is replaced meanwhile is never kept.
        text = "document.readyState == 'complete' ? document.documentElement.innerText : null"
        while (shown := self._call("Runtime.evaluate", expression=text)["result"].get("value")) is None:
            time.sleep(0.02)
        return str(shown)

    def _call(self, method: str, **params: object) -> dict[str, Any]:
        self._number += 1
        session = {} if self._session is None else {"sessionId": self._session}
        message = {"id": self._number, "method": method, "params": params} | session
        self._commands.write(json.dumps(message).encode() + b"\0")
        while (answer := self._next()).get("id") != self._number:
            pass
        assert "error" not in answer, answer
        result: dict[str, Any] = answer["result"]
        return result

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._received:
            block = self._answers.read1()
            assert block, "the browser has ended"
            self._received += block
        message, _, self._received = self._received.partition(b"\0")
        parsed: dict[str, Any] = json.loads(message)
        self._events.append(parsed.get("method", ""))
        return parsed


@contextlib.contextmanager
def browser(profile: Path) -> Generator[Browser]:
    """Run a browser with a profile of its own."""
    theirs_in, commands = os.pipe()
    answers, theirs_out = os.pipe()
    # DevTools' pipes are the descriptors 3 and 4.
    shell = f'exec "$@" 3<&{theirs_in} 4>&{theirs_out}'
    arguments = [*CHROMIUM, f"--user-data-dir={profile}", "--remote-debugging-pipe"]
    process = subprocess.Popen(
        ["bash", "-c", shell, "bash", *arguments], pass_fds=(theirs_in, theirs_out), stderr=subprocess.DEVNULL
    )
    for end in (theirs_in, theirs_out):
        os.close(end)
    try:
        opened = Browser(commands, answers)
        yield opened
        opened.close()
        process.wait(20)
    finally:
        process.kill()
        process.wait()
