"""A server of the built site, which is also the browser's proxy: it sees every request."""

import contextlib
import functools
import gzip
import http.server
import threading
from pathlib import Path
from urllib.parse import urlsplit

# Hosts that Chromium itself contacts. test_every_page.py finds fonts and scripts of these hosts
# that a page loads.
HOSTS_OF_CHROMIUM = (".google.com", ".googleapis.com", ".gvt1.com", ".gstatic.com")


class Server(http.server.SimpleHTTPRequestHandler):
    """Serves the site compressed, as its host does, and records every request."""

    def do_GET(self):
        if self.server.is_down:
            self.close_connection = True
            return
        name = urlsplit(self.path).path
        file = Path(self.translate_path(self.path))
        found = (name in self.server.more or file.is_file()) and not urlsplit(self.path).netloc
        body = b""
        if found:
            more = self.server.more.get(name)
            body = compressed(file) if more is None else gzip.compress(more)
        self.server.requests.append((self.path, found, len(body)))
        self.send_response(200 if found else 404)
        self.send_header("Content-Type", self.guess_type(file))
        self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")  # every page requests all its files
        self.end_headers()
        self.wfile.write(body)

    def do_CONNECT(self):
        self.server.requests.append((self.path, False, 0))
        self.send_error(403)

    def log_message(self, *_):
        pass


@functools.cache
def compressed(file):
    return gzip.compress(file.read_bytes())


@contextlib.contextmanager
def serving(folder):
    """A running server of a folder.

    Its attributes: `address`; `requests`, a list of (path, found, size); `more`, a dictionary
    {path: bytes} of what it serves besides; and `is_down`, whether it gives no answer.
    """
    handler = functools.partial(Server, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.requests, server.more, server.is_down = [], {}, False
        server.address = f"http://127.0.0.1:{server.server_address[1]}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def is_of_chromium(path):
    """Whether a request is one that Chromium makes by itself."""
    host = urlsplit(path if "://" in path else f"//{path}").hostname or ""
    return host.endswith(HOSTS_OF_CHROMIUM)
