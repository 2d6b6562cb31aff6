"""The explorer's server answers its own pages and nobody else."""

import base64
import contextlib
import json
import logging
import re
import socket
import time

import pytest

from dynamics.errors import ParameterError

pytest.importorskip("bokeh")
from bokeh.util.token import get_token_payload

from figures.explorer.guard import LARGEST_MESSAGE, bracketed
from figures.explorer.server import ExplorerServer
from tests.explorer.by_hand import (
    KEY,
    UPGRADE,
    ask,
    fill,
    page_token,
    raw,
    start_of,
    token_in,
    until,
    upgrade,
    upgraded,
)

IPV6 = pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="needs IPv6")
STATIC = "/static/js/bokeh.min.js"


@pytest.fixture(autouse=True)
def quiet(caplog):
    """Nothing that comes from outside is worth a message."""
    yield
    assert [record for record in caplog.get_records("call") if record.levelno >= logging.WARNING] == []


@pytest.fixture(scope="module")
def server():
    with ExplorerServer({"one": fill, "two": fill}, port=0, most_sessions=1000) as running:
        yield running


def test_pages_are_served(server):
    start = start_of(server)
    assert server.url == f"http://127.0.0.1:{server.port}{start}/one"
    assert len(start) > 22
    for path in (f"{start}/one", f"{start}/two", f"{start}/one/", f"{start}{STATIC}"):
        assert ask(server, path).status == 200
    moved = ask(server, f"{start}/")
    assert (moved.status, moved.headers["Location"]) == (302, f"{start}/one")


def test_pages_need_no_other_host(server, monkeypatch):
    monkeypatch.setenv("BOKEH_RESOURCES", "cdn")
    assert not re.search(r"(?i)(?:https?:)?//(?!127\.0\.0\.1)[\w-]+\.", ask(server, f"{start_of(server)}/one").body)


@pytest.mark.parametrize("path", ["", "/one", STATIC, "/download/a/b", "/one/ws", "/favicon.ico", "/one/autoload.js"])
@pytest.mark.parametrize(
    "token", ["", "/", "/wrong", "/{token}x", "/{cut}", "//{token}", "/x/../{token}", "/%2e/{token}"]
)
def test_nothing_without_the_token(server, path, token):
    start = start_of(server)
    answer = ask(server, (token.format(token=start[1:], cut=start[1:-1]) + path) or "/", **UPGRADE, **KEY)
    assert answer.status == 404
    assert start[1:-1] not in answer.body
    assert not any(start[1:-1] in value for value in answer.headers.values())


@pytest.mark.parametrize(
    "path",
    ["/../one", "//one", "/one/../two", "/%6fne", "/static/../../server.py", "/static/%2e%2e/x", "/one/autoload.js"],
)
def test_tricks_with_the_token_lead_nowhere(server, path):
    answer = ask(server, start_of(server) + path)
    assert answer.status in {403, 404}
    assert start_of(server)[1:] not in answer.body


@pytest.mark.parametrize(
    "host", ["evil.example:{port}", "127.0.0.1", "127.0.0.1:1", "localhost.:{port}", "127.0.0.1.x:{port}"]
)
@pytest.mark.parametrize("path", ["/one", STATIC, "/one/ws", "/nothing"])
def test_foreign_hosts_are_refused(server, host, path):
    host = host.format(port=server.port)
    token = page_token(server)
    for origin in ({}, {"Origin": f"http://{host}"}):  # both are the same when a foreign name leads to this machine
        answer = ask(server, start_of(server) + path, host=host, **origin)
        assert (answer.status, answer.body.count("\n")) == (421, 1)
    assert upgraded(server, host=host, origin=f"http://{host}", token=token) == 421


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "LOCALHOST", "[::1]"])
def test_own_hosts_and_origins_are_let_in(server, name):
    own = f"{name}:{server.port}"
    assert ask(server, f"{start_of(server)}/one", host=own, Origin=f"http://{own}").status == 200
    assert upgraded(server, host=own, origin=f"http://{own}") == 101
    assert upgraded(server, host=own) == 101


def test_one_host_is_needed(server):
    host, line = f"Host: 127.0.0.1:{server.port}", f"GET {start_of(server)}/one HTTP/1."
    assert raw(server, [line + "1", host]).status == 200
    assert raw(server, [line + "0", host]).status == 200
    for lines in ([line + "0"], [line + "1"], [line + "1", host, host], [line + "1", "Host: evil.example", host]):
        assert raw(server, lines).status in {400, 421}


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "https://{own}", "http://127.0.0.1:1", "http://{own}.x"]
)
def test_foreign_origins_are_refused(server, origin):
    origin = origin.format(own=f"127.0.0.1:{server.port}")
    for path in ("/one", STATIC, "/one/ws"):
        assert ask(server, start_of(server) + path, Origin=origin, Sec_Fetch_Site="same-origin").status == 403
    assert upgraded(server, origin=origin) == 403


def test_one_origin_at_most(server):
    own = f"127.0.0.1:{server.port}"
    lines = [f"GET {start_of(server)}/one HTTP/1.1", f"Host: {own}", *[f"Origin: http://{own}"] * 2]
    assert raw(server, lines).status == 403


def test_sessions_are_of_the_servers_choice(server, caplog):
    page = f"{start_of(server)}/one"
    for query in ("bokeh-session-id=", "bokeh-session-id=a", "bokeh-token=a"):
        assert ask(server, f"{page}?{query}").status == 404
    assert ask(server, page, Bokeh_Session_Id="a").status == 404
    forged = base64.urlsafe_b64encode(b'{"session_id": "a", "session_expiry": 9999999999}').decode().strip("=")
    for token in ("a", forged):
        connected, status = upgrade(server, token=token)
        with connected:
            assert status == 101
            assert connected.recv(1) == b"\x88"
    assert [record.getMessage() for record in caplog.records] == ["Token for session 'a' had invalid signature"]
    caplog.clear()


def test_pages_do_not_repeat_cookies_and_headers(server):
    answer = ask(server, f"{start_of(server)}/one", Cookie="other=secret", X_Other="secret")
    payload = get_token_payload(token_in(answer.body))
    assert (payload["cookies"], payload["headers"]) == ({}, {})


def test_every_answer_has_the_headers(server):
    start, foreign = start_of(server), ask(server, "/", host="evil.example")
    paths = ("/one", STATIC, "/", "/nothing", "/download/a/b")
    for answer in (foreign, ask(server, "/"), *(ask(server, start + path) for path in paths)):
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'self'" in policy
        assert "frame-ancestors 'self' http://127.0.0.1:* http://localhost:*" in policy
        assert "unsafe-eval" not in policy
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cache-Control"] == "no-store"


def test_large_requests_and_messages_end_the_connection(server):
    page = f"{start_of(server)}/one"
    with contextlib.suppress(ConnectionError, IndexError):  # closed before all was sent
        assert ask(server, page, Cookie="x" * 2**17).status in {400, 431}
    with contextlib.suppress(ConnectionError, IndexError):
        host = f"Host: 127.0.0.1:{server.port}"
        assert raw(server, [f"POST {page} HTTP/1.1", host, f"Content-Length: {2**20}"], b"x").status in {400, 413}
    assert ask(server, page, method="POST").status == 405
    connected, status = upgrade(server)
    with connected:
        assert status == 101
        connected.sendall(b"\x81\xff" + (LARGEST_MESSAGE + 1).to_bytes(8, "big") + b"mask")
        got = b""
        while more := connected.recv(2**16):
            got += more
        assert b"message too big" in got


def test_a_taken_port_gives_way_to_the_next():
    with ExplorerServer({"one": fill}, port=0) as first, ExplorerServer({"one": fill}, port=first.port) as second:
        assert first.notice == ""
        assert first.port < second.port <= first.port + 20
        assert second.notice == f"port {first.port} is in use; this is {second.port}"
        assert ask(second, f"{start_of(second)}/one").status == 200
        assert ask(second, f"{start_of(first)}/one").status == 404


def test_refused_addresses(monkeypatch):
    for port in (-1, 2**16, "5006"):
        with pytest.raises(ParameterError, match="port must be an integer"):
            ExplorerServer({"one": fill}, port=port)
    for host in ("", "no such name", "192.0.2.1"):
        with pytest.raises(ParameterError, match="host must be"):
            ExplorerServer({"one": fill}, host=host, port=0)
    with pytest.raises(ParameterError, match="first must be one of one"):
        ExplorerServer({"one": fill}, first="two", port=0)
    with ExplorerServer({"one": fill}, port=0) as taken:
        monkeypatch.setattr("figures.explorer.server._FURTHER_PORTS", 0)
        with pytest.raises(ParameterError, match="port must be free"):
            ExplorerServer({"one": fill}, port=taken.port)


@pytest.mark.parametrize("host", ["0.0.0.0", pytest.param("::", marks=IPV6)])
def test_other_machines_come_by_the_names_of_this_one(server, host):
    assert server.warning == ""
    with ExplorerServer({"one": fill}, host=host, port=0) as open_one:
        assert "anybody who can reach this machine" in open_one.warning
        for name in ("127.0.0.1", bracketed(host), socket.gethostname(), socket.getfqdn()):
            assert ask(open_one, f"{start_of(open_one)}/one", host=f"{name}:{open_one.port}").status == 200
        assert ask(open_one, f"{start_of(open_one)}/one", host=f"evil.example:{open_one.port}").status == 421


def say(connected, opcode, *fragments):
    """Send whole masked frames; the mask is zero, which leaves them as they are."""
    for text in fragments:
        length = len(text).to_bytes(2, "big")
        connected.sendall(bytes([0x80 | opcode, 0x80 | 126]) + length + bytes(4) + text)


def hears(connected, reason):
    """Whether the server ends the connection for this reason, whatever it says before."""
    got = b""
    while reason not in got and (more := connected.recv(4096)):
        got += more
    return reason in got


def patch(kind):
    header = {"msgid": "1", "msgtype": "PATCH-DOC"}
    event = {"kind": kind, "msg_type": "x", "msg_data": None}
    return [json.dumps(part).encode() for part in (header, {}, {"events": [event]})]


@pytest.mark.parametrize("kind", ["RootAdded", "RootRemoved", "ColumnsStreamed", "ColumnDataChanged", "TitleChanged"])
def test_what_makes_the_document_larger_ends_the_connection(server, kind):
    connected, status = upgrade(server)
    with contextlib.closing(connected):
        assert status == 101
        assert hears(connected, b"ACK")
        say(connected, 1, *patch(kind))
        assert hears(connected, b"not taken")


def test_arrays_end_the_connection_and_events_do_not(server):
    connected, _ = upgrade(server)
    with contextlib.closing(connected):
        assert hears(connected, b"ACK")
        say(connected, 1, *patch("MessageSent"))
        say(connected, 1, *patch("MessageSent"))
        time.sleep(0.2)
        assert server._application.sockets
        say(connected, 2, b"array")
        assert hears(connected, b"only texts are taken")
    assert until(lambda: not server._application.sockets)
