"""How quick the explorer's page is in a headless Chromium: first page, slider to repaint, and 30 fast drags.

A repaint ends with the last stroke on a canvas that follows new data; both are timed in the page, from the slider's
change.
Targets: first page within 5 s from warm caches; slider to repaint 120 ms in the median and 200 ms in 9 of 10 moves, for
the default view of each phenomenon; after 30 fast drags the last value within 0.5 s and nothing painted after it.
"""

from __future__ import annotations

import os
import shutil
import time
from typing import Any
from urllib.parse import parse_qsl

import numpy as np
import xarray as xr
from playwright.sync_api import Page, TimeoutError, sync_playwright  # noqa: A004

from figures.explored import begin
from figures.explorer import serve
from figures.explorer.curves import curves, variables_of
from figures.explorer.form import Form
from figures.explorer.streaming import theory_of
from figures.phenomena import phenomena

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
#: Moves of each slider, one position each.
MOVES = 8
#: Notes the time of slider changes, of new theory, and of strokes.
NOTES = """() => {
  const notes = window.notes = {moved: 0, data: [], strokes: []};
  const document = Bokeh.documents[0];
  for (const model of document.all_models ?? document._all_models.values()) {
    if (model.type === "Slider") model.properties.value.change.connect(() => { notes.moved = performance.now(); });
    if ((model.name ?? "").startsWith("theory ")) {
      model.properties.data.change.connect(() => notes.data.push(performance.now()));
    }
  }
  const stroke = CanvasRenderingContext2D.prototype.stroke;
  CanvasRenderingContext2D.prototype.stroke = function (...given) {
    notes.strokes.push(performance.now());
    return stroke.apply(this, given);
  };
}"""
#: Times from the last move to the first new data and to the last stroke of the repaint after it, or null.
LATENCY = """() => {
  const {moved, data, strokes} = window.notes;
  const fresh = data.find((at) => at > moved);
  const painted = fresh && strokes.filter((at) => at > fresh);
  if (!painted?.length || performance.now() - painted[painted.length - 1] < 40) return null;
  return [fresh - moved, painted[painted.length - 1] - moved];
}"""
#: When data and strokes came last, after the last move.
LAST = """() => {
  const {moved, data, strokes} = window.notes;
  return [data[data.length - 1] - moved, strokes[strokes.length - 1] - moved];
}"""
READY = '() => window.Bokeh?.documents[0]?.get_model_by_name("address")?.tags[0]'


def main() -> None:
    """Print a line of times for each phenomenon."""
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    assert chromium, "needs Chromium: apt-get install chromium, or set CHROMIUM"
    with serve(begin(phenomena()[0]), port=0) as server, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        for name in phenomena():
            address = server.url.rsplit("/", 1)[0] + f"/{name}"
            first = opened(browser.new_page(viewport={"width": 1280, "height": 800}), address)
            page = browser.new_page(viewport={"width": 1280, "height": 800})
            again = opened(page, address)
            page.evaluate(NOTES)
            times = np.array([time for slider in sliders(page) for time in moves(page, slider)])
            settled, painted = drags(page, sliders(page)[0])
            median, most = np.quantile(times[:, 1], [0.5, 0.9])
            print(
                f"{name}: page {first:.1f} s, again {again:.1f} s; slider to new data median "
                f"{np.median(times[:, 0]):.0f} ms, to repaint median {median:.0f} ms, 90 % {most:.0f} ms, most "
                f"{times[:, 1].max():.0f} ms ({len(times)} moves); after 30 drags last data {settled:.0f} ms, last "
                f"stroke {painted:.0f} ms after the last move",
                flush=True,
            )
            page.close()
        browser.close()


def opened(page: Page, address: str) -> float:
    """Open a page and return the seconds until its curves are there."""
    begun = time.perf_counter()
    page.goto(address)
    page.wait_for_function(READY)
    return time.perf_counter() - begun


def sliders(page: Page) -> list[str]:
    """Return the names of all sliders that move theory."""
    form = begin(page.url.partition("?")[0].rsplit("/", 1)[1]).question
    names = [*type(form.problem).model_fields, *type(form.algorithm).model_fields]
    return [name for name in names if page.locator(f".slider-{name} .noUi-handle").count()]


def moves(page: Page, name: str) -> list[Any]:
    """Move a slider one position at a time, and back at the end, and return the times of each move."""
    handle = page.locator(f".slider-{name} .noUi-handle")
    handle.focus()
    at, end = (
        page.evaluate(f'() => Bokeh.documents[0].get_model_by_name("{name}").{what}') for what in ("value", "end")
    )
    found = []
    for _ in range(MOVES):
        page.evaluate("() => { notes.moved = Infinity; notes.data.length = notes.strokes.length = 0; }")
        handle.press("ArrowRight" if at < end / 2 else "ArrowLeft")
        try:
            found.append(page.wait_for_function(LATENCY, timeout=2000).json_value())
        except TimeoutError:  # a position that the problem refuses moves no curve
            break
    page.evaluate(f'() => {{ Bokeh.documents[0].get_model_by_name("{name}").value = {at}; }}')
    return found


def drags(page: Page, name: str) -> tuple[float, float]:
    """Drag a slider through 30 positions as fast as possible, and return when data and strokes came last."""
    handle = page.locator(f".slider-{name} .noUi-handle")
    handle.scroll_into_view_if_needed()
    box = handle.bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    for step in range(1, 31):
        page.mouse.move(x - 2 * step, y)
    page.mouse.up()
    time.sleep(2.0)
    last, painted = page.evaluate(LAST)
    check_last(page)
    return last, painted


def check_last(page: Page) -> None:
    """See that the curves on the page are those of the address, which is that of the last value."""
    form = Form(begin(page.url.partition("?")[0].rsplit("/", 1)[1]))
    assert not form.restore(dict(parse_qsl(page.url.partition("?")[2])))
    theory = theory_of(form.read())
    assert isinstance(theory, xr.Dataset)
    for curve in curves(theory, variables_of(theory)):
        source = f'Bokeh.documents[0].get_model_by_name("theory {curve.key}")'
        shown = page.evaluate(f"() => Array.from({source}?.data.value ?? [])")
        if shown:  # those chosen
            np.testing.assert_array_equal(np.array(shown, dtype=float), curve.value)


if __name__ == "__main__":
    main()
