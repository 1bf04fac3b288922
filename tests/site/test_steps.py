"""What users do: each step in a real browser, against the site as its command starts it."""

import hashlib
import io
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.site.conftest import Visitor
from tests.site.network import Network

MB = 1024 * 1024
LONG = pytest.mark.timeout(300)  # what a browser is waited for takes up to 90 seconds


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.mark.once
def test_who_is_not_signed_in_is_asked_to(visit: Callable[..., Visitor]) -> None:
    nobody = visit()
    nobody.go()
    assert nobody.page.url == f"{nobody.site.url}/login/?next=/"
    nobody.page.get_by_label("User").fill("ada")
    nobody.page.get_by_label("Password").fill("wrong")
    nobody.page.get_by_role("button", name="Sign in").click()
    expect(nobody.page.get_by_text("Please enter a correct username")).to_be_visible()


@pytest.mark.once
def test_the_keyboard_is_enough(visit: Callable[..., Visitor]) -> None:
    visitor = visit()
    page = visitor.go("/login/")
    page.get_by_label("User").focus()
    page.keyboard.type("ada")
    page.keyboard.press("Tab")
    page.keyboard.type(visitor.site.passwords["ada"])
    page.keyboard.press("Enter")
    page.wait_for_url(f"{visitor.site.url}/")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.get_by_role("link", name="terms.txt").focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/invoices/*/")


@pytest.mark.once
def test_several_files_are_uploaded_each_with_a_bar(ada: Visitor) -> None:
    page = ada.go()
    files = [{"name": f"part {n}.bin", "mimeType": "application/octet-stream", "buffer": b"%d" % n} for n in range(3)]
    page.get_by_label("Files to upload").set_input_files(files)  # type: ignore[arg-type]  # a dict has these types
    with page.expect_navigation():
        page.get_by_role("button", name="Upload", exact=True).click()
    assert ada.names()[:3] == ["part 2.bin", "part 1.bin", "part 0.bin"]


@pytest.mark.once
def test_files_may_be_dropped(ada: Visitor) -> None:
    page = ada.go()
    dropped = page.evaluate_handle(
        "() => { const data = new DataTransfer(); data.items.add(new File(['dropped'], 'dropped.txt')); return data; }"
    )
    with page.expect_navigation():
        page.dispatch_event("form.drop", "drop", {"dataTransfer": dropped})
    assert ada.names()[0] == "dropped.txt"


@pytest.mark.once
def test_without_a_script_the_form_uploads_too(visit: Callable[..., Visitor]) -> None:
    visitor = visit("ada", java_script_enabled=False)
    visitor.upload("plain form.txt", b"sent by the form", "text/plain")
    assert visitor.context.request.get(visitor.site.url + visitor.file()).body() == b"sent by the form"


@LONG
def test_two_hundred_megabytes_come_back_as_they_went(ada: Visitor, tmp_path: Path) -> None:
    large = tmp_path / "large.bin"
    digest = hashlib.sha256()
    with large.open("wb") as file:
        for _ in range(200):
            block = os.urandom(MB)
            digest.update(block)
            file.write(block)
    page = ada.go()
    page.get_by_label("Files to upload").set_input_files(large)
    with page.expect_navigation(timeout=90_000):
        page.get_by_role("button", name="Upload", exact=True).click()
    page.get_by_role("link", name="large.bin").click()
    expect(page.locator(".digest")).to_have_text(digest.hexdigest())
    with page.expect_download() as event:
        page.get_by_role("link", name="Download").click()
    received = tmp_path / "received"
    event.value.save_as(received)
    with received.open("rb") as file:
        assert hashlib.file_digest(file, "sha256").hexdigest() == digest.hexdigest()


@pytest.mark.once
@LONG
def test_what_is_too_large_is_refused_with_the_reason(ada: Visitor, tmp_path: Path) -> None:
    larger = tmp_path / "larger.bin"
    with larger.open("wb") as file:
        file.truncate(200 * MB + 1)
    before = ada.names()
    page = ada.page
    page.get_by_label("Files to upload").set_input_files(larger)
    page.get_by_role("button", name="Upload", exact=True).click()
    expect(page.get_by_text("larger.bin: too large")).to_be_visible()
    expect(page.get_by_text("0 of 1 stored")).to_be_visible()
    # The server refuses it as well. It ends the connection, by which a browser may lose the answer.
    page.evaluate("form.dataset.max = Infinity")
    page.get_by_role("button", name="Upload", exact=True).click()
    refused = "larger than 209,715,200 bytes|the connection was lost"
    expect(page.get_by_text(re.compile(refused))).to_be_visible(timeout=90_000)
    assert ada.names() == before


def test_an_upload_that_goes_offline_leaves_nothing(ada: Visitor) -> None:
    before = ada.names()
    page = ada.page
    with Network(int(ada.site.url.rpartition(":")[2]), pause=0.05) as network:
        page.goto(network.url)
        page.get_by_label("Files to upload").set_input_files(
            [{"name": "cut.bin", "mimeType": "application/octet-stream", "buffer": bytes(10 * MB)}]
        )
        page.get_by_role("button", name="Upload", exact=True).click()
        expect(page.get_by_text(re.compile(r"cut.bin: [1-9]\d* %"))).to_be_visible()
        network.cut()
        expect(page.get_by_text("cut.bin: the connection was lost; nothing of it was kept")).to_be_visible()
    assert ada.names() == before


@pytest.mark.once
@pytest.mark.parametrize(
    ("name", "script"),
    [
        ("receipt-scan.png", "document.querySelector('.preview img')?.naturalWidth"),
        ("spoken-note.wav", "document.querySelector('audio')?.duration"),
        ("delivery.webm", "document.querySelector('video')?.duration"),
    ],
)
def test_what_a_browser_shows_is_shown(ada: Visitor, name: str, script: str) -> None:
    page = ada.go()
    page.get_by_role("link", name=name).click()
    page.wait_for_function(f"{script} > 1")


@pytest.mark.once
@pytest.mark.parametrize(
    ("name", "content_type"), [("invoice-2026-10.pdf", "application/pdf"), ("terms.txt", "text/plain")]
)
def test_documents_are_shown_in_a_frame(ada: Visitor, name: str, content_type: str) -> None:
    page = ada.go()
    with page.expect_response("**/files/*") as event:
        page.get_by_role("link", name=name).click()
    assert event.value.status == 200
    assert event.value.headers["content-type"].startswith(content_type)


@pytest.mark.once
def test_a_video_is_sought_by_ranges(ada: Visitor) -> None:
    page = ada.go()
    statuses: list[int] = []
    page.on("response", lambda response: statuses.append(response.status) if "/files/" in response.url else None)
    page.get_by_role("link", name="delivery.webm").click()
    page.wait_for_function("document.querySelector('video')?.readyState > 0")
    page.evaluate("document.querySelector('video').currentTime = 10")
    page.wait_for_function("(video => !video.seeking && video.currentTime == 10)(document.querySelector('video'))")
    assert set(statuses) == {206}


def test_a_download_goes_on_where_it_was_cut(ada: Visitor) -> None:
    content = os.urandom(3 * MB)
    ada.upload("resumed.bin", content)
    url = ada.site.url + ada.file()
    first = ada.context.request.get(url, headers={"Range": f"bytes=0-{MB - 1}"})
    rest = ada.context.request.get(url, headers={"Range": f"bytes={MB}-", "If-Range": first.headers["etag"]})
    assert (first.status, rest.status) == (206, 206)
    assert first.body() + rest.body() == content


def test_a_file_is_replaced_and_the_one_before_is_a_version(ada: Visitor) -> None:
    ada.upload("contract.txt", b"first", "text/plain")
    page = ada.page
    for count, content in enumerate((b"second", b"third"), 1):
        page.get_by_label("New file").set_input_files(
            [{"name": "contract.txt", "mimeType": "text/plain", "buffer": content}]
        )
        page.get_by_role("button", name="Replace").click()
        expect(page.locator(".versions li")).to_have_count(count)
        expect(page.get_by_text("Replaced.")).to_be_visible()
    request = ada.context.request
    assert request.get(ada.site.url + ada.file()).body() == b"third"
    versions = [link.get_attribute("href") for link in page.locator(".versions a").all()]
    assert [request.get(f"{ada.site.url}{path}").body() for path in versions] == [b"second", b"first"]


@pytest.mark.once
def test_a_deletion_is_undone_and_shown_then_done(ada: Visitor) -> None:
    ada.upload("unwanted.txt", b"unwanted", "text/plain")
    page = ada.page
    file = ada.site.url + ada.file()
    page.get_by_role("button", name="Delete, and undo").click()
    expect(page.get_by_role("heading", name="Deleted, and undone")).to_be_visible()
    assert page.locator("tbody tr").all_inner_texts() == [
        "before\tthere\tthere\tSHA-256 matches",
        "in the transaction, after DELETE\tgone\tgone\tgone",
        "after ROLLBACK\tthere\tthere\tSHA-256 matches",
    ]
    page.get_by_role("link", name="Keep it").click()
    assert ada.context.request.get(file).body() == b"unwanted"
    page.get_by_role("button", name="Delete, and undo").click()
    page.get_by_role("button", name="Delete for good").click()
    expect(page.get_by_text("unwanted.txt is deleted")).to_be_visible()
    assert ada.context.request.get(file).status == 404
    assert "unwanted.txt" not in ada.names()


@pytest.mark.once
def test_a_link_reads_one_file_without_signing_in(ada: Visitor, visit: Callable[..., Visitor]) -> None:
    ada.upload("shared.txt", b"for whoever has the link", "text/plain")
    page = ada.page
    page.get_by_label("Works for").select_option("a day")
    page.get_by_role("button", name="Make a link").click()
    link = page.get_by_label("Whoever has this link").input_value()
    stranger = visit().context.request
    assert stranger.get(link).body() == b"for whoever has the link"
    assert stranger.get(link[:-1] + ("A" if link[-1] != "A" else "B")).status == 403


@pytest.mark.once
def test_the_admin_has_invoices_and_the_catalogue(visit: Callable[..., Visitor]) -> None:
    admin = visit("admin")
    page = admin.go("/admin/")
    page.get_by_role("link", name="Invoices").first.click()
    expect(page.get_by_role("link", name="terms.txt").first).to_be_visible()
    page = admin.go("/admin/pg_lo_storage/storedfile/")
    expect(page.get_by_text("terms.txt").first).to_be_visible()


@pytest.mark.once
def test_a_picture_is_shown_in_small_and_kept(ada: Visitor) -> None:
    ada.go().get_by_role("link", name="receipt-scan.png").click()
    source = ada.page.locator(".preview img").get_attribute("src")
    response = ada.context.request.get(f"{ada.site.url}{source}")
    with Image.open(io.BytesIO(response.body())) as image:
        assert max(image.size) == 320
    again = ada.context.request.get(f"{ada.site.url}{source}", headers={"If-None-Match": response.headers["etag"]})
    assert again.status == 304
