"""The site as its command starts it, and Debian's chromium to go through it with."""

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

ROOT = Path(__file__).resolve().parents[2]
WAIT = 60_000  # milliseconds, on a busy machine
expect.set_options(timeout=WAIT)


@dataclass
class Site:
    """Where it is, and who may sign in."""

    url: str
    passwords: dict[str, str]


class Visitor:
    """One user's browser."""

    def __init__(self, site: Site, context: BrowserContext) -> None:
        self.site = site
        self.context = context
        self.page = context.new_page()
        self.problems: list[str] = []
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))

    def go(self, path: str = "/") -> Page:
        self.page.goto(self.site.url + path)
        return self.page

    def sign_in(self, name: str) -> None:
        page = self.go("/login/")
        page.get_by_label("User").fill(name)
        page.get_by_label("Password").fill(self.site.passwords[name])
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url(f"{self.site.url}/")

    def upload(self, name: str, content: bytes, content_type: str = "application/octet-stream") -> str:
        """Upload a file, open its page, and return that page's path."""
        page = self.go()
        files = {"name": name, "mimeType": content_type, "buffer": content}
        page.get_by_label("Files to upload").set_input_files([files])  # type: ignore[list-item]  # a dict has these types
        with page.expect_navigation():
            page.get_by_role("button", name="Upload", exact=True).click()
        page.get_by_role("link", name=name, exact=True).first.click()
        page.wait_for_url("**/invoices/*/")
        return page.url.removeprefix(self.site.url)

    def names(self) -> list[str]:
        """Return the names of the user's invoices, newest first."""
        return self.go().locator("tbody th").all_inner_texts()

    def file(self) -> str:
        """Return the path of the file that the page shows."""
        link = self.page.get_by_role("link", name="Download").get_attribute("href")
        assert link
        return link


@pytest.fixture(scope="session")
def site() -> Iterator[Site]:
    """Ledger, started once for all tests."""
    with started() as site:
        yield site


@contextmanager
def started() -> Iterator[Site]:
    """Have the site run as long as the block lasts."""
    argv = [sys.executable, "-m", "example.site", "--port", "0"]
    with subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        told = ""
        while "Ctrl-C" not in told:
            line = process.stdout.readline()
            assert line, f"the site did not start: {told}"
            told += line
        url = re.search(r"(http://[\d.:]+)/", told)
        assert url
        yield Site(url[1], dict(re.findall(r"^ {4}(\w+) +(\S+)", told, re.MULTILINE)))
        process.terminate()
        assert process.wait(30) == 0


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def visit(site: Site, browser: Browser) -> Iterator[Callable[..., Visitor]]:
    """Open a browser without cookies, for a user who is signed in, or for nobody; ``**options`` are the context's."""
    visitors: list[Visitor] = []

    def visit(name: str = "", **options: object) -> Visitor:
        context = browser.new_context(**options)  # type: ignore[arg-type]  # what a test asks for
        context.set_default_timeout(WAIT)
        visitor = Visitor(site, context)
        visitors.append(visitor)
        if name:
            visitor.sign_in(name)
        return visitor

    yield visit
    problems = [problem for visitor in visitors for problem in visitor.problems]
    for visitor in visitors:
        visitor.context.close()
    assert not problems


@pytest.fixture
def ada(visit: Callable[..., Visitor]) -> Visitor:
    return visit("ada")
