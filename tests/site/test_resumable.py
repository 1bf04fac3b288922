"""tus-js-client resumes an upload in a browser."""

import hashlib
import subprocess
import tarfile
from pathlib import Path
from typing import Final

import pytest
from playwright.sync_api import Page, expect

from tests.site.conftest import Visitor
from tests.site.network import Network

VERSION: Final = "4.3.1"
SIZE: Final = 10_000_000
# What the page makes the same of.
CONTENT: Final = bytes(n * n % 251 for n in range(SIZE))
START: Final = """
(size) => {
  const token = document.querySelector("[name=csrfmiddlewaretoken]").value
  const content = new Uint8Array(size)
  for (let n = 0; n < content.length; n++) content[n] = (n * n) % 251
  const file = new File([content], "resumed.bin", {type: "application/octet-stream", lastModified: 1})
  const upload = new tus.Upload(file, {
    endpoint: "/up/",
    retryDelays: [0, 500, 1000, 2000],
    headers: {"X-CSRFToken": token},
    metadata: {filename: file.name, filetype: file.type},
    onAfterResponse: (request, response) => {
      if (request.getMethod() === "HEAD") window.resumedAt = Number(response.getHeader("Upload-Offset"))
    },
    onProgress: (sent) => { window.sent = sent },
    onError: (error) => { window.state = String(error) },
    onSuccess: async () => {
      const form = new FormData()
      form.set("data", upload.url)
      const headers = {"X-CSRFToken": token, "Accept": "text/plain"}
      const response = await fetch("/upload/", {method: "POST", body: form, headers})
      window.state = response.status
    },
  })
  upload.findPreviousUploads().then(([last]) => {
    if (last) upload.resumeFromPreviousUpload(last)
    upload.start()
  })
}
"""


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The client, as its authors have built it for browsers."""
    folder = tmp_path_factory.mktemp("npm")
    subprocess.run(["npm", "pack", "--silent", f"tus-js-client@{VERSION}"], cwd=folder, check=True)
    with tarfile.open(next(folder.glob("*.tgz"))) as archive:
        archive.extractall(folder, filter="data")
    return folder / "package/dist/tus.min.js"


def start(page: Page, url: str, client: Path) -> None:
    """Begin the upload, or go on with it."""
    page.goto(url)
    page.add_script_tag(path=client)
    page.evaluate(START, SIZE)


@pytest.mark.parametrize("is_closed", [False, True], ids=["connection", "page"])
def test_an_upload_goes_on_where_it_was(ada: Visitor, client: Path, *, is_closed: bool) -> None:
    """Its connection breaks, or its page is closed, and opened anew."""
    page = ada.page
    with Network(int(ada.site.url.rpartition(":")[2]), pause=0.02) as network:
        start(page, network.url, client)
        page.wait_for_function(f"window.sent > {SIZE // 2}")
        if is_closed:
            start(page, network.url, client)
        else:
            network.interrupt()
        page.wait_for_function("window.state === 201")
        assert 0 < page.evaluate("window.resumedAt") < SIZE
    assert ada.names()[0] == "resumed.bin"
    page.get_by_role("link", name="resumed.bin").first.click()
    expect(page.locator(".digest")).to_have_text(hashlib.sha256(CONTENT).hexdigest())
