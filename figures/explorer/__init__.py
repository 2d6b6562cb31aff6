"""Exploring a phenomenon: sliders that move theory, runs that stream in over it, on a page or in a window.

A page needs the extra ``explore`` (bokeh); a window needs nothing but matplotlib with a graphical backend.
"""

from __future__ import annotations

import functools
import html
import importlib.util
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dynamics.errors import MissingLibraryError, ParameterError, shown
from dynamics.parameters import Declared
from figures.explored import Shown, begin
from figures.phenomena import phenomena, phenomenon

if TYPE_CHECKING:
    from bokeh.document import Document

    from dynamics.algorithms import Algorithm
    from figures.explorer.server import ExplorerServer

__all__ = ["Explorer", "explore", "serve"]


class Explorer:
    """A page that is being served; in a notebook it shows itself.

    Attributes
    ----------
    url : str
        Its address on this machine; whoever knows it can use the page.
    """

    def __init__(self, server: ExplorerServer) -> None:
        self._server = server
        self.url = server.url

    def stop(self) -> None:
        """End the page and all its work."""
        self._server.stop()

    def __repr__(self) -> str:
        return f"Explorer({self.url!r})"

    def _repr_html_(self) -> str:
        """Show the page in a frame, which keeps its scripts and the notebook's apart."""
        url = html.escape(self.url)
        frame = f'<iframe src="{url}" title="explorer" width="100%" height="820"></iframe>'
        return f'{frame}<br><a href="{url}" target="_blank" rel="noreferrer">the page by itself</a>'


def explore(
    problem: Declared | str | None = None, algorithm: Algorithm | None = None, *, port: int = 0, **choices: Any
) -> Explorer:
    """Serve the explorer's page, on this machine only, and return it; at the end of a notebook's cell it shows itself.

    Parameters
    ----------
    problem : problem or str, optional
        What to begin with, or the name of a phenomenon.
    algorithm : algorithm, optional
        What trains it.
    port : int
        Where to serve, by default where it is free; if a given one is in use, the next one that is free.
    **choices
        ``method``, ``simulation``, ``ensemble`` or ``options``, as in :class:`figures.asking.Question`, or ``times``.

    Returns
    -------
    Explorer
        With ``url`` and ``stop()``.

    Raises
    ------
    MissingLibraryError
        When bokeh is not installed.
    ParameterError
        When there is no such phenomenon, or no free port.

    Examples
    --------
    >>> from dynamics.double_descent import TwoScale
    >>> explorer = explore(TwoScale(condition_number=7.0), port=0)
    >>> explorer.url.startswith("http://127.0.0.1:"), explorer.url.endswith("/double-descent")
    (True, True)
    >>> explorer.stop()
    """
    server = serve(_start_of(problem, algorithm, **choices), port=port)
    server.start()
    return Explorer(server)


def _start_of(problem: Declared | str | None, algorithm: Algorithm | None, **choices: Any) -> Shown:
    """Return the view to begin with, for a problem, the name of a phenomenon, or nothing."""
    if problem is None or isinstance(problem, str):
        return begin(phenomena()[0] if problem is None else problem, None, algorithm, **choices)
    homes = [name for name in phenomena() if isinstance(problem, phenomenon(name).dynamics.PROBLEMS)]
    if not homes:
        raise ParameterError(f"problem must be a problem, or the name of a phenomenon; got {shown(problem)}")
    return begin(homes[0], problem, algorithm, **choices)


def serve(start: Shown, *, host: str = "127.0.0.1", port: int = 5006) -> ExplorerServer:
    """Return a server, not yet started, with a page for each phenomenon, the first one beginning with ``start``."""
    if importlib.util.find_spec("bokeh") is None:
        raise MissingLibraryError(
            "the explorer's page needs bokeh: pip install 'learning-dynamics[explore]'. `dynamics explore --window` "
            "needs nothing more than matplotlib"
        )
    from figures.explorer.form import Form
    from figures.explorer.page import Page
    from figures.explorer.server import ExplorerServer
    from figures.explorer.warming import Warming

    Form(start).read()  # refuses here what no page could show
    gate, theory_gate = threading.Semaphore(), threading.Semaphore(2)
    first = start.question.phenomenon.name
    starts = {first: start} | {name: begin(name) for name in phenomena() if name != first}

    def fill(name: str, document: Document) -> None:
        context: Any = document.session_context
        query: Mapping[str, list[bytes]] = context.request.arguments
        asked = {key: [value.decode(errors="replace") for value in values] for key, values in query.items()}
        page = Page(document, starts[name], asked, offer=server.offer, gate=gate, theory_gate=theory_gate)
        if not warming.done.is_set():
            page.controller.say(
                "compiled kernels are being loaded, and compiled where they are new: the first curves wait"
            )

    warming = Warming(list(starts.values()))
    server = ExplorerServer(
        {name: functools.partial(fill, name) for name in phenomena()}, host=host, port=port, first=first
    )
    return server
