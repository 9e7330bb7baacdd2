"""A real Chromium for tests of pages: what a page runs, asks for and is refused by its own policy.

Uses the system's Chromium (MINDKG_CHROMIUM, else ``chromium`` in PATH). Tests that ask for one skip where there is
none, and fail in CI, where ``.ci/run`` installs it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from conftest import missing


@dataclass
class Visit:
    """A page that is open, and what it did since: requests, violations of its policy, errors, dialogs."""

    page: Any
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    @property
    def violations(self) -> list[str]:
        return list(self.page.evaluate("window.violations"))

    @property
    def attacked(self) -> bool:
        """Whether a script of the attacker ran: each sets ``window.pwned``."""
        return bool(self.page.evaluate("'pwned' in window"))


WATCH = """window.violations = [];
document.addEventListener("securitypolicyviolation",
  e => window.violations.push(`${e.violatedDirective} ${e.blockedURI} ${e.sample}`));"""


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """A browser that runs for the whole session."""
    program = os.environ.get("MINDKG_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        missing("a real browser is needed: install chromium, or name one in MINDKG_CHROMIUM")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=program)
        yield browser
        browser.close()


@contextmanager
def visiting(browser: Any, address: str) -> Iterator[Visit]:
    """Open ``address`` and give what it does; requests for the page itself are not among them."""
    page = browser.new_page()
    visit = Visit(page)
    page.add_init_script(WATCH)
    page.on("request", lambda request: None if request.url == address else visit.requests.append(request.url))
    page.on("pageerror", lambda error: visit.complaints.append(str(error)))
    page.on("dialog", lambda dialog: (visit.complaints.append(dialog.message), dialog.dismiss()))
    page.on("console", lambda line: visit.complaints.append(line.text) if line.type == "error" else None)
    try:
        page.goto(address)
        yield visit
    finally:
        page.close()
