"""HTTP and websockets written by hand, so that no library tidies up what the server must refuse."""

import re
import socket
import time
from dataclasses import dataclass

from bokeh.models.widgets import Div

UPGRADE = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13"}
KEY = {"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}


def fill(document):
    document.add_root(Div(text="a page"))


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: str


def connection(server):
    return socket.create_connection(("127.0.0.1", server.port), timeout=30)


def head(connected):
    """Read up to the end of the headers."""
    got = b""
    while b"\r\n\r\n" not in got and (more := connected.recv(1)):
        got += more
    return got


def raw(server, lines, body=b""):
    """Send lines of a request as they are, and return the answer."""
    with connection(server) as connected:
        connected.sendall("\r\n".join([*lines, "", ""]).encode() + body)
        start, *headers = head(connected).decode().removesuffix("\r\n\r\n").split("\r\n")
        fields = dict(line.split(": ", 1) for line in headers)
        rest = b""
        while len(rest) < int(fields.get("Content-Length", 0)) and (more := connected.recv(2**16)):
            rest += more
    return Answer(int(start.split()[1]), fields, rest.decode())


def ask(server, path, *, host=None, method="GET", **headers):
    fields = {"Host": host or f"127.0.0.1:{server.port}"} | {key.replace("_", "-"): headers[key] for key in headers}
    return raw(server, [f"{method} {path} HTTP/1.1", *(f"{key}: {value}" for key, value in fields.items())])


def start_of(server):
    """``/<token>``, the start of all paths."""
    return "/" + server.url.split("/")[3]


def token_in(page):
    """The name of a session, as the page tells it to its script."""
    return re.search(r'"token":"([^"]+)"', page)[1]


def page_token(server):
    return token_in(ask(server, f"{start_of(server)}/one").body)


def upgrade(server, *, path=None, host=None, origin=None, token=None, wait=True):
    """Ask for a websocket; return the connection, and the status once it came and bokeh is ready for messages."""
    connected = connection(server)
    headers = {"Host": host or f"127.0.0.1:{server.port}"} | UPGRADE | KEY
    headers |= {"Sec-WebSocket-Protocol": f"bokeh, {token or page_token(server)}"}
    headers |= {"Origin": origin} if origin else {}
    lines = [f"GET {path or start_of(server) + '/one/ws'} HTTP/1.1", *(f"{key}: {headers[key]}" for key in headers)]
    connected.sendall("\r\n".join([*lines, "", ""]).encode())
    return connected, int(head(connected).split()[1]) if wait else 0


def upgraded(server, **how):
    connected, status = upgrade(server, **how)
    connected.close()
    return status


def until(true, seconds=60.0):
    end = time.monotonic() + seconds
    while not true() and time.monotonic() < end:
        time.sleep(0.01)
    return true()
