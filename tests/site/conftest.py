"""The built site on a server, and a browser that asks nothing else."""

import pytest

from support import browser
from support.server import serving


@pytest.fixture(scope="module")
def server():
    from support.site import SITE  # skips the test that asks for it if there is no built site

    with serving(SITE) as server:
        yield server


@pytest.fixture(scope="module")
def window(server):
    with browser.browser(f"--proxy-server={server.address}") as window:
        # On a busy machine the window may become active late; until then, nothing in it has a
        # focus ring. And a Tab at the end of a page would leave the page for the browser.
        window.execute_cdp_cmd("Emulation.setFocusEmulationEnabled", {"enabled": True})
        yield window
