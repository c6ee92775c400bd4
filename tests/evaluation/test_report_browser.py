"""The report as people meet it: in a browser, on a phone, in the dark, by keyboard, and on paper."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from reported import HOSTILE, evaluated, fidelity

from synthvae.evaluation import Evaluation
from synthvae.evaluation.report import page

pytest.importorskip("jinja2", reason="jinja2 is not installed")
pytest.importorskip("plotly", reason="plotly is not installed")
sync = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = shutil.which("chromium")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")

DRAWN = "document.querySelectorAll('[data-drawn] .main-svg').length"
LINE = "document.querySelector('#survival .js-line').style.stroke"
BLUE = "rgb(0, 114, 178)"  # of real rows, on paper
WIDER = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


@dataclass
class Seen:
    """A page, and all that it complained of or asked for."""

    page: Any
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def refuse(self, dialog: Any) -> None:
        """Note a box that a script opened, and close it."""
        self.complaints.append(dialog.message)
        dialog.dismiss()

    def near(self, selector: str, place: int = 0) -> Any:
        """Scroll to a plot and wait until it is drawn."""
        found = self.page.locator(selector).nth(place)
        found.scroll_into_view_if_needed()
        found.locator(".main-svg").first.wait_for()
        return found

    def until(self, expression: str) -> None:
        """Wait until an expression is true; the policy of the page forbids playwright's own way, which evaluates it."""
        for _ in range(200):
            if self.page.evaluate(expression):
                return
            self.page.wait_for_timeout(50)
        raise AssertionError(expression)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync.sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield launched
        launched.close()


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(evaluated(names={"real": HOSTILE[0]}), tmp_path_factory.mktemp("report"))


def written(evaluation: Evaluation, folder: Path) -> Path:
    (folder / "report.html").write_text(page(evaluation), encoding="utf-8")
    return folder / "report.html"


@contextmanager
def opening(browser: Any, path: Path, width: int = 1360, height: int = 900, **more: Any) -> Iterator[Seen]:
    """Open a file, and see at the end that it neither complained nor asked for anything."""
    context = browser.new_context(viewport={"width": width, "height": height}, **more)
    seen = Seen(context.new_page())
    seen.page.on("console", lambda message: seen.complaints.append(message.text))
    seen.page.on("pageerror", lambda error: seen.complaints.append(str(error)))
    seen.page.on("dialog", seen.refuse)
    seen.page.on("request", lambda request: seen.requests.append(request.url))
    seen.page.goto(path.as_uri())
    yield seen
    assert seen.complaints == []
    assert all(url.startswith(("file:", "data:", "blob:")) for url in seen.requests)
    context.close()


@pytest.fixture(scope="module")
def desktop(browser: Any, report: Path) -> Iterator[Seen]:
    with opening(browser, report) as seen:
        yield seen


def test_sections_are_there_and_plots_are_drawn_when_they_are_near_and_run_no_code(desktop: Seen) -> None:
    seen = desktop
    names = [section.name for section in evaluated().sections]
    for name in (*names, "answers", "ledger", "methods"):
        assert seen.page.locator(f"section#{name}").is_visible()
    plots = seen.page.locator("[data-chart]").count()
    assert seen.page.evaluate(DRAWN) < plots
    for place in range(plots):
        seen.near("[data-chart]", place)
    assert seen.page.locator("[data-chart][data-drawn]").count() == plots
    # What tables wrote is text, in the page and in its plots.
    assert seen.page.locator("[data-chart]", has_text="alert").count() > 0
    assert seen.page.locator(":is([data-chart], main) :is(img, script), [data-chart] a").count() == 0
    assert seen.page.locator("figcaption", has_text=HOSTILE[0]).count() == 1


def test_the_pointer_is_told_what_lies_under_it(desktop: Seen) -> None:
    seen = desktop
    for selector in ("#fidelity .small", "#fidelity .square", "#survival .wide", "#attacks .wide, #attacks .square"):
        plot = seen.near(f":is({selector}) [data-chart]")
        area = plot.locator(".nsewdrag").first.bounding_box()
        for share in np.linspace(0.1, 0.9, 17):
            seen.page.mouse.move(area["x"] + area["width"] * share, area["y"] + area["height"] * 0.5)
            seen.page.wait_for_timeout(70)
            if plot.locator(".hoverlayer .hovertext").count():
                break
        assert re.search(r"\d", plot.locator(".hoverlayer").text_content())


def test_a_phone_that_is_turned_shows_all_without_scrolling_sideways(browser: Any, report: Path) -> None:
    with opening(browser, report, width=740, height=360, has_touch=True) as seen:
        seen.near("#survival [data-chart]")
        seen.page.set_viewport_size({"width": 360, "height": 740})
        shown = "document.querySelector('#survival [data-chart]').scrollIntoView()"
        seen.until(f"({shown}, document.querySelector('#survival .main-svg').clientWidth <= 360)")
        for place in range(0, seen.page.locator("[data-chart]").count(), 3):
            plot = seen.near("[data-chart]", place)
            assert plot.locator(".main-svg").first.bounding_box()["width"] <= 360
        assert seen.page.evaluate(WIDER) == 0


def test_the_dark_turns_text_and_plots_light(browser: Any, report: Path) -> None:
    with opening(browser, report, color_scheme="dark") as seen:
        colours = "[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]"
        ground, ink = (luminance(colour) for colour in seen.page.evaluate(colours))
        assert ground < 0.2
        assert ink > 0.7
        plot = seen.near("#survival [data-chart]")
        dark = seen.page.evaluate(LINE)
        assert plot.locator("text").first.evaluate("text => getComputedStyle(text).fill") == "rgb(233, 231, 225)"
        seen.page.emulate_media(color_scheme="light")
        assert dark != BLUE
        seen.until(f"{LINE} === '{BLUE}'")


def luminance(colour: str) -> float:
    """Relative luminance of "rgb(r, g, b)", without its curve."""
    red, green, blue = (int(part) / 255 for part in re.findall(r"\d+", colour)[:3])
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_the_keyboard_reaches_the_report_first_and_opens_and_sorts_tables(desktop: Seen) -> None:
    seen = desktop
    seen.page.reload()
    focused = "document.activeElement"
    seen.page.keyboard.press("Tab")
    assert seen.page.evaluate(f"{focused}.className") == "skip"
    assert seen.page.locator(".skip").bounding_box()["x"] >= 0
    seen.page.keyboard.press("Enter")
    assert seen.page.evaluate(f"{focused}.id") == "main"
    details = seen.page.locator("#fidelity details.table").first
    details.locator("summary").focus()
    seen.page.keyboard.press("Enter")
    details.locator("tbody tr").first.wait_for()
    assert details.locator("tbody tr").count() == 20
    assert "differ by" in details.inner_text()
    # A column is pressed, and the rows stand in its order.
    table = seen.page.locator("#attacks table.sortable")
    button = table.get_by_role("button", name="risk")
    for direction, risks in (("ascending", ["0.020", "0.100", "0.300"]), ("descending", ["0.300", "0.100", "0.020"])):
        button.focus()
        seen.page.keyboard.press("Enter")
        assert table.locator("tbody td:nth-child(7)").all_inner_texts() == risks
        assert table.locator(f"th[aria-sort={direction}]").count() == 1


def test_paper_has_every_plot_in_its_light_colours(browser: Any, report: Path, tmp_path: Path) -> None:
    with opening(browser, report, color_scheme="dark") as seen:
        watch = "addEventListener('afterprint', () => window.printed = true)"
        count = f"addEventListener('beforeprint', () => window.onPaper = [{DRAWN}, widest(), {LINE}])"
        widest = (
            "window.widest = () => Math.max(...[...document.querySelectorAll('.main-svg')].map(s => s.clientWidth))"
        )
        for script in (watch, widest, count):
            seen.page.evaluate(script)
        seen.page.pdf(path=tmp_path / "report.pdf", prefer_css_page_size=True)
        assert (tmp_path / "report.pdf").read_bytes().startswith(b"%PDF")
        drawn, wide, colour = seen.page.evaluate("window.onPaper")
        assert drawn >= seen.page.locator("[data-chart]").count()
        assert wide <= 680
        assert colour == BLUE
        seen.until("window.printed && !document.documentElement.classList.contains('paper')")


def test_hundreds_of_columns_are_drawn_only_where_they_are_seen(browser: Any, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    wide = pd.DataFrame(rng.normal(size=(50, 120)), columns=[f"column {k}" for k in range(120)])
    with opening(browser, written(evaluated((fidelity(wide),)), tmp_path)) as seen:
        seen.near("[data-chart]", 100)
        assert seen.page.locator("[data-drawn]").count() < 60
