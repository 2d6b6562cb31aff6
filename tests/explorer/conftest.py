"""One browser and one server for each module that asks for them; a fresh context for each test."""

import pytest

from tests.explorer import browsing


@pytest.fixture(scope="module")
def browser():
    with browsing.browser() as running:
        yield running


@pytest.fixture(scope="module")
def served():
    """A server of all phenomena, in a thread, with the pages that it has made."""
    from figures.explored import begin
    from figures.explorer import page, serve
    from figures.phenomena import phenomena

    made = []

    class Watched(page.Page):
        def __init__(self, *given, **named):
            super().__init__(*given, **named)
            made.append(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(page, "_REST", 30)
        patch.setattr(page, "Page", Watched)
        server = serve(begin(phenomena()[0]), port=0)
        with server:
            yield server, made


@pytest.fixture
def tabs(browser, served):
    """Open further pages, each in a context of its own; in the end, none of them had anything to complain about."""
    server, made = served
    opened = []

    def another(**how):
        context = browser.new_context(**({"viewport": browsing.LAPTOP, "accept_downloads": True} | how))
        opened.append((browsing.Tab(context, server.url, made, server._loop), context))
        return opened[-1][0]

    yield another
    for _, context in opened:
        context.close()
    assert [fault for tab, _ in opened for fault in tab.faults] == []
    assert {host for tab, _ in opened for host in tab.hosts} <= {f"127.0.0.1:{server.port}", ""}


@pytest.fixture
def tab(tabs):
    return tabs()
