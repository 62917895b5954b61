"""A real Chromium for tests; they skip, and say so, where there is none."""

import shutil
from contextlib import contextmanager

import pytest

ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-sync"]


def program():
    """The browser of this machine."""
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        pytest.skip("there is no Chromium here; install it (Debian: apt-get install chromium)")
    return found


@contextmanager
def chromium():
    """A headless browser, closed at the end."""
    from playwright.sync_api import sync_playwright

    path = program()
    with sync_playwright() as player:
        browser = player.chromium.launch(executable_path=path, args=ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()
