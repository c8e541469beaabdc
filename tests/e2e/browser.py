"""A real browser without a window, whose every word to the outside is heard: chromium, by playwright.

It reaches loopback addresses itself; for everything else it asks a proxy of ours, which writes down for whom
and refuses.
"""

from __future__ import annotations

import re
import shutil
import socket
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.lab.packages import BROWSERS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Page

REFUSAL = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
OWN = (
    r"(update|content-autofill|optimizationguide-pa|safebrowsing|clientservices)\.googleapis\.com"
    r"|(accounts|clients2|www|android\.clients)\.google\.com|redirector\.gvt1\.com|edgedl\.me\.gvt1\.com"
)
"""Whom chromium asks on its own behalf, whatever the page says."""
_HOST = re.compile(r"^[A-Z]+ (?:https?://)?([^/: ]+)")


@dataclass
class Window:
    """A page, and whom the browser asked beside this machine."""

    page: Page
    lines: list[str]
    """The request lines that the proxy heard."""

    @property
    def outside(self) -> set[str]:
        """The hosts that the page asked."""
        hosts = (found[1] if (found := _HOST.match(line)) else line for line in self.lines)
        return {host for host in hosts if not re.fullmatch(OWN, host)}


@contextmanager
def listening_proxy() -> Iterator[tuple[int, list[str]]]:
    """Yield a proxy's port and the request lines that it refused."""
    server = socket.create_server(("127.0.0.1", 0))
    lines: list[str] = []

    def refuse() -> None:
        with suppress(OSError):
            while True:
                connection, _ = server.accept()
                with connection, suppress(OSError):
                    connection.settimeout(5)
                    lines.append(connection.recv(4096).split(b"\r\n")[0].decode("ascii", "replace"))
                    connection.sendall(REFUSAL)

    threading.Thread(target=refuse, daemon=True).start()
    try:
        yield server.getsockname()[1], lines
    finally:
        # A thread that accepts does not notice that its socket is closed.
        with suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)
        server.close()


@contextmanager
def window(url: str) -> Iterator[Window]:
    """Yield a browser's window at an address. Skips the test where there is no chromium."""
    from playwright.sync_api import sync_playwright

    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        pytest.skip("there is no chromium; make lab-setup installs it")
    with listening_proxy() as (port, lines), sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=program,
            # Root, as the lab needs it, has no sandbox.
            args=["--no-sandbox", f"--proxy-server=http://127.0.0.1:{port}"],
        )
        try:
            page = browser.new_page(viewport={"width": 1400, "height": 1700}, locale="en-US")
            page.goto(url)
            yield Window(page, lines)
        finally:
            browser.close()
