"""axe finds nothing on any page, in light and dark, at desktop and phone width."""

from collections.abc import Callable

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from tests.site.conftest import Visitor

pytestmark = pytest.mark.once


def check(page: Page) -> None:
    page.wait_for_load_state("networkidle")
    results = Axe().run(page)
    assert results.violations_count == 0, f"{page.url}\n{results.generate_report()}"
    width = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert width == 0, f"{page.url} is {width} px too wide"


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (360, "dark")])
def test_pages_have_no_violation(visit: Callable[..., Visitor], width: int, scheme: str) -> None:
    visitor = visit(viewport={"width": width, "height": 800}, color_scheme=scheme)
    check(visitor.go("/login/"))
    visitor.sign_in("ada")
    page = visitor.page
    check(page)
    for name in ("receipt-scan.png", "delivery.webm", "hours-october.csv"):
        visitor.go()
        page.get_by_role("link", name=name).first.click()
        check(page)
    page.get_by_role("button", name="Make a link").click()
    check(page)
    page.get_by_role("button", name="Delete, and undo").click()
    check(page)
    check(visitor.go("/invoices/999999/"))
