"""Make the pictures of README.md again, of the site as it is: ``just pictures``."""

from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

from tests.site.conftest import Site, Visitor, started

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "images"


def save(page: Page, name: str) -> None:
    """Take what the window shows, in few colours."""
    path = FOLDER / f"{name}.png"
    page.screenshot(path=path)
    Image.open(path).convert("RGB").quantize(64, dither=Image.Dither.NONE).save(path, optimize=True)


def main(site: Site) -> None:
    """Look at the list on a desk, and at an invoice on a phone."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        desk = Visitor(site, browser.new_context(viewport={"width": 1100, "height": 720}))
        desk.sign_in("ada")
        save(desk.page, "ledger")
        phone = Visitor(site, browser.new_context(viewport={"width": 390, "height": 702}))
        phone.sign_in("ada")
        phone.page.get_by_role("link", name="receipt-scan.png", exact=True).click()
        phone.page.wait_for_load_state("networkidle")
        save(phone.page, "ledger-phone")


if __name__ == "__main__":
    with started() as site:
        main(site)
