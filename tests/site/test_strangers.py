"""What users must not be able to do to each other, and what pages must not run."""

import io
from collections.abc import Callable
from contextlib import suppress

import pytest
from PIL import Image
from playwright.sync_api import Error, expect

from tests.site.conftest import Visitor

pytestmark = pytest.mark.once

SCRIPT = "<script>document.title = 'ran'; window.ran = true; alert(1)</script>"


def picture(comment: bytes) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, "GIF", comment=comment)
    return file.getvalue()


HOSTILE = {
    "page.html": (f"<!doctype html>{SCRIPT}".encode(), "text/html"),
    "drawing.svg": (f'<svg xmlns="http://www.w3.org/2000/svg">{SCRIPT}</svg>'.encode(), "image/svg+xml"),
    "data.xml": (
        f'<x xmlns:h="http://www.w3.org/1999/xhtml"><h:script>alert(1)</h:script>{SCRIPT}</x>'.encode(),
        "text/xml",
    ),
    "claims.png": (f"<!doctype html>{SCRIPT}".encode(), "image/png"),
    "comment.gif": (picture(SCRIPT.encode()), "image/gif"),
    "polyglot.gif": (b"GIF89a/*" + bytes(8) + b"*/=1;" + SCRIPT.encode(), "text/javascript"),
    "notes.txt": (SCRIPT.encode(), "text/plain"),
}


def test_anothers_invoice_does_not_exist(ada: Visitor, visit: Callable[..., Visitor]) -> None:
    path = ada.upload("private.png", picture(b""), "image/png")
    addresses = [
        path,
        ada.file(),
        f"{path}thumbnail/",
        ada.page.locator(".preview img").locator("..").get_attribute("href"),
    ]
    assert [ada.context.request.get(f"{ada.site.url}{address}").status for address in addresses] == [200] * 4
    grace = visit("grace")
    assert "private.png" not in grace.names()
    assert [grace.context.request.get(f"{grace.site.url}{address}").status for address in addresses] == [404] * 4
    grace.go()
    token = grace.page.locator("form.drop [name=csrfmiddlewaretoken]").input_value()
    for action in ("replace", "share", "try-deletion", "delete"):
        answer = grace.context.request.post(
            f"{grace.site.url}{path}{action}/",
            form={"csrfmiddlewaretoken": token, "max_age": "600"},
            headers={"Referer": grace.site.url},
        )
        assert answer.status == 404
    assert ada.context.request.get(f"{ada.site.url}{path}").status == 200


@pytest.mark.parametrize("name", HOSTILE)
def test_no_script_in_a_file_runs(ada: Visitor, name: str) -> None:
    content, content_type = HOSTILE[name]
    dialogs: list[str] = []
    ada.context.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    ada.upload(name, content, content_type)
    page = ada.page
    page.wait_for_load_state("networkidle")
    download = ada.site.url + ada.file()
    stored = page.locator("dd code").first.inner_text()
    assert ada.context.request.get(download).body() == content
    for address in (f"{ada.site.url}/files/{stored}", download):
        # A page that names the file in every way that runs what it gets.
        page.goto(f"{ada.site.url}/login/")
        page.evaluate(
            "address => { for (const kind of ['script', 'iframe', 'embed', 'img']) {"
            " const element = document.createElement(kind); element.src = address; document.body.append(element); } }",
            address,
        )
        page.wait_for_load_state("networkidle")
        assert page.evaluate("window.ran") is None
    tab = ada.context.new_page()
    with suppress(Error):  # a download begins, in the place of a page
        tab.goto(f"{ada.site.url}/files/{stored}")
    assert tab.title() != "ran"
    assert not dialogs


def test_a_name_with_markup_is_a_name(ada: Visitor) -> None:
    name = "<img src=x onerror=alert(1)> & 'quotes'.txt"
    ada.upload(name, b"named", "text/plain")
    expect(ada.page.get_by_role("heading", name=name, exact=True)).to_be_visible()
    assert ada.names()[0] == name


def test_a_file_that_is_gone_is_not_shown_by_back(ada: Visitor, visit: Callable[..., Visitor]) -> None:
    path = ada.upload("revoked.txt", b"seen once", "text/plain")
    page = ada.page
    page.goto(ada.site.url + str(page.get_by_role("link", name="Open").get_attribute("href")))
    assert page.inner_text("body") == "seen once"
    page.goto(f"{ada.site.url}/")
    second = visit("ada")
    second.go(path)
    second.page.get_by_role("button", name="Delete, and undo").click()
    second.page.get_by_role("button", name="Delete for good").click()
    expect(second.page.get_by_text("revoked.txt is deleted")).to_be_visible()
    answer = page.reload()
    assert answer
    page.goto(f"{ada.site.url}{path}")
    expect(page.get_by_role("heading", name="Not found")).to_be_visible()
