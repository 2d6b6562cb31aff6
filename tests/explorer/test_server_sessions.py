"""The explorer's server bounds its sessions, hands out their files, and cleans up behind them."""

import asyncio
import os
import signal
import threading
import time

import pytest

from dynamics.errors import ParameterError

pytest.importorskip("bokeh")

from figures.explorer import guard
from figures.explorer.server import ExplorerServer
from tests.explorer.by_hand import ask, connection, fill, head, page_token, start_of, until, upgrade

MAIN = pytest.mark.skipif(threading.current_thread() is not threading.main_thread(), reason="signals need it")


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    assert guard._LIFETIME + guard._CHECK < 5000
    monkeypatch.setattr(guard, "_LIFETIME", 300)
    monkeypatch.setattr(guard, "_CHECK", 50)
    yield
    assert until(lambda: not [one for one in threading.enumerate() if one.name.startswith("explorer")])


@pytest.fixture(autouse=True)
def quiet(caplog):
    yield
    assert caplog.get_records("call") == []


@pytest.fixture
def ended():
    """How many pages have ended."""
    return []


@pytest.fixture
def server(ended):
    def page(document):
        fill(document)
        document.on_session_destroyed(lambda context: ended.append(context.id))

    with ExplorerServer({"one": page}, port=0, most_sessions=2) as running:
        yield running


def texts(server):
    """What the pages of all sessions say, looked up where nothing changes meanwhile."""

    async def found():
        return [session.document.roots[0].text for session in server._application.get_sessions("/one")]

    return asyncio.run_coroutine_threadsafe(found(), server._loop).result(60)


def test_the_next_page_says_that_there_are_too_many(server, ended):
    opened = [upgrade(server)[0] for _ in range(3)]
    assert until(lambda: len(texts(server)) == 3)
    assert (
        sorted(texts(server))
        == ["2 pages are open, and no more can be: close one, then reload this one."] + ["a page"] * 2
    )
    opened.pop(0).close()
    assert until(lambda: len(ended) == 1)
    opened.append(upgrade(server)[0])
    assert until(lambda: texts(server).count("a page") == 2)
    for one in opened:
        one.close()
    assert until(lambda: (len(ended), len(texts(server))) == (3, 0))
    assert server._open == set()


def test_sessions_end_soon_after_their_browser_left(server, ended):
    token = page_token(server)
    first, second = (upgrade(server, token=token)[0] for _ in range(2))
    assert until(lambda: len(server._application.sockets) == 2)
    first.close()
    time.sleep(0.5)
    assert ended == []
    assert len(texts(server)) == 1
    second.close()
    assert until(lambda: len(ended) == 1)
    assert texts(server) == []


def test_a_browser_that_leaves_at_once_leaves_nothing(server):
    for _ in range(10):
        token = page_token(server)
        upgrade(server, token=token, wait=False)[0].close()
    assert until(lambda: texts(server) == [])
    assert server._open == set()


def test_pages_without_a_browser_are_bounded(monkeypatch):
    monkeypatch.setattr(guard, "_LIFETIME", 60_000)
    with ExplorerServer({"one": fill, "two": fill}, port=0, most_sessions=2) as server:
        answers = [ask(server, f"{start_of(server)}/{page}").status for page in ["one", "two"] * 7]
        assert answers == [200] * 10 + [503] * 4


def test_connections_are_bounded(server):
    token = page_token(server)
    opened = [upgrade(server, token=token) for _ in range(14)]
    assert [status for _, status in opened] == [101] * 10 + [503] * 4
    for one, _ in opened:
        one.close()
    assert until(lambda: not server._application.sockets)


def test_a_page_that_fails_says_so(caplog):
    def broken(document):
        fill(document)
        raise KeyError("secret")

    with ExplorerServer({"one": broken}, port=0) as server:
        assert ask(server, f"{start_of(server)}/one").status == 200
        assert texts(server) == ["This page could not be made; the server's messages say why."]
        assert until(lambda: server._open == set())
    assert "a page could not be made" in caplog.text
    caplog.clear()


def produce(kind):
    match kind:
        case "csv":
            return b"a,b\n", "text/csv", 'a "b"\r\n.csv'
        case "late":
            raise ParameterError("noise must be set first")
        case "broken":
            raise KeyError("secret")
    return None


def test_downloads(caplog):
    starts = []

    def page(document):
        fill(document)
        starts.append(server.offer(document, produce))

    with ExplorerServer({"one": page}, port=0) as server:
        connected, _ = upgrade(server)
        assert starts[0].startswith(f"{start_of(server)}/download/")
        answer = ask(server, f"{starts[0]}csv")
        assert (answer.status, answer.body, answer.headers["Content-Type"]) == (200, "a,b\n", "text/csv")
        assert answer.headers["Content-Disposition"] == "attachment; filename*=UTF-8''a%20%22b%22%0D%0A.csv"
        assert [ask(server, path).status for path in (f"{starts[0]}pdf", f"{starts[0]}a/b", starts[0])] == [404] * 3
        assert ask(server, f"{start_of(server)}/download/unknown/csv").status == 404
        assert ask(server, f"{starts[0]}csv", Origin="http://evil.example").status == 403
        assert ask(server, starts[0].replace(start_of(server), "") + "csv").status == 404
        late = ask(server, f"{starts[0]}late")
        assert (late.status, late.body) == (409, "noise must be set first\n")
        assert caplog.records == []
        broken = ask(server, f"{starts[0]}broken")
        assert broken.status == 500
        assert "secret" not in broken.body
        assert "Traceback" not in broken.body
        caplog.clear()
        connected.close()
        assert until(lambda: ask(server, f"{starts[0]}csv").status == 404)
        assert server._producers == {}


def test_downloads_do_not_hold_up_the_server():
    begun, hold, starts, answers = threading.Event(), threading.Event(), [], []

    def slow(kind):
        begun.set()
        return str(hold.wait(2)).encode(), "text/plain", "a"

    def page(document):
        starts.append(server.offer(document, slow))

    with ExplorerServer({"one": page}, port=0) as server, upgrade(server)[0]:
        asking = threading.Thread(target=lambda: answers.append(ask(server, f"{starts[0]}txt").body))
        asking.start()
        begun.wait(2)
        assert ask(server, f"{start_of(server)}/").status == 302
        hold.set()
        asking.join()
        assert answers == ["True"]


def test_stop_ends_the_sessions_from_any_thread(server, ended):
    with upgrade(server)[0] as connected, connection(server) as idle:
        idle.sendall(f"HEAD / HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n\r\n".encode())
        assert b" 404 " in head(idle)
        assert until(lambda: server._application.sockets)
        before = time.monotonic()
        stopping = [threading.Thread(target=server.stop) for _ in range(2)]
        for one in stopping:
            one.start()
        for one in stopping:
            one.join()
        server.stop()
        assert time.monotonic() - before < 20
        assert len(ended) == 1
        got = b""
        while more := connected.recv(2**16):
            got += more
        assert b"the server ends" in got
        assert idle.recv(1) == b""
    with pytest.raises(ConnectionError):
        ask(server, "/")
    with pytest.raises(RuntimeError, match="only once"):
        server.start()


def test_a_page_may_stop_the_server():
    def page(document):
        server.stop()

    with ExplorerServer({"one": page}, port=0) as server:
        upgrade(server, wait=False)[0].close()
        assert until(lambda: not server._thread.is_alive())


def test_a_server_that_never_ran_lets_go_of_its_port():
    server = ExplorerServer({"one": fill}, port=0)
    server.stop()
    with pytest.raises(RuntimeError, match="only once"):
        server.run()
    with ExplorerServer({"one": fill}, port=server.port) as other:
        assert other.notice == ""


def test_it_runs_beside_a_running_loop():
    async def notebook():
        with ExplorerServer({"one": fill}, port=0) as server:
            return await asyncio.to_thread(ask, server, f"{start_of(server)}/one")

    assert asyncio.run(notebook()).status == 200


@MAIN
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, None])
def test_run_lasts_until_it_is_told_to_end(number, ended):
    def page(document):
        document.on_session_destroyed(lambda context: ended.append(time.monotonic()))

    def visit():
        with upgrade(server)[0]:
            before.append(time.monotonic())
            server.stop() if number is None else os.kill(os.getpid(), number)
            until(lambda: ended)

    def mine(*what):
        """Keep the tests alive should the server not listen."""

    previous = signal.signal(signal.SIGTERM, mine)
    before = []
    try:
        server = ExplorerServer({"one": page}, port=0)
        visiting = threading.Thread(target=visit)
        visiting.start()
        server.run()
        assert len(ended) == 1
        assert time.monotonic() - before[0] < 20
        visiting.join()
        assert signal.getsignal(signal.SIGTERM) is mine
    finally:
        signal.signal(signal.SIGTERM, previous)
