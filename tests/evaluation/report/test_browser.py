"""The report in a browser: desktop, phone, dark theme, keyboard and print."""

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
from reported import HOSTILE, evaluated, fidelity, html_of

from synthvae.evaluation import Evaluation, Evaluations
from synthvae.evaluation.report.listings import CAPTIONS

pytest.importorskip("jinja2", reason="jinja2 is not installed")
pytest.importorskip("plotly", reason="plotly is not installed")
sync = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = shutil.which("chromium")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")]

DRAWN = "document.querySelectorAll('[data-drawn] .main-svg').length"
BLUE = "rgb(0, 114, 178)"  # of real rows, on paper
PATIENCE = 600_000  # milliseconds, after which nothing will come
POINT = """box => {
  const first = box.calcdata[0], {x, y} = first[first.length >> 1], {xaxis, yaxis} = box._fullLayout;
  const {left, top} = box.getBoundingClientRect(), is_map = Array.isArray(x);
  const [right, down] = is_map ? [xaxis._length / 2, yaxis._length / 2] : [xaxis.c2p(x), yaxis.c2p(y)];
  return [left + xaxis._offset + right, top + yaxis._offset + down];
}"""  # where in the window a chart shows a value
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
        found.and_(self.page.locator("[data-drawn]")).wait_for()
        found.locator(".main-svg").first.wait_for()
        return found


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    sync.expect.set_options(timeout=PATIENCE)
    with sync.sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield launched
        launched.close()


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(evaluated(names={"real": HOSTILE[0]}), tmp_path_factory.mktemp("report"))


def written(evaluation: Evaluation, folder: Path) -> Path:
    (folder / "report.html").write_text(html_of(evaluation), encoding="utf-8")
    return folder / "report.html"


@contextmanager
def opening(browser: Any, path: Path, width: int = 1360, height: int = 900, **more: Any) -> Iterator[Seen]:
    """Open a file, and see at the end that it neither complained nor asked for anything."""
    context = browser.new_context(viewport={"width": width, "height": height}, **more)
    context.set_default_timeout(PATIENCE)
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


def test_sections_are_visible_and_charts_are_drawn_near_the_viewport(desktop: Seen) -> None:
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
    assert seen.page.locator("figcaption", has_text=HOSTILE[0]).count() == 4  # a column, a pair, a triple, and a link


def test_hover_labels_show_values(desktop: Seen) -> None:
    seen = desktop
    for selector in (
        "#fidelity .small:has-text('mean radius')",
        "#fidelity .square",
        "#survival .wide",
        "#attacks .wide, #attacks .square",
    ):
        plot = seen.near(f":is({selector}) [data-chart]")
        seen.page.mouse.move(*plot.evaluate(POINT))
        plot.locator(".hoverlayer .hovertext").first.wait_for()
        assert re.search(r"\d", plot.locator(".hoverlayer").text_content())


def test_a_rotated_phone_does_not_scroll_sideways(browser: Any, report: Path) -> None:
    with opening(browser, report, width=740, height=360, has_touch=True) as seen:
        turned = seen.near("#survival [data-chart]")
        seen.page.set_viewport_size({"width": 360, "height": 740})
        turned.scroll_into_view_if_needed()
        width = turned.evaluate("box => box.clientWidth")
        sync.expect(turned.locator(".main-svg").first).to_have_attribute("width", str(width))
        for place in range(0, seen.page.locator("[data-chart]").count(), 3):
            plot = seen.near("[data-chart]", place)
            assert plot.locator(".main-svg").first.bounding_box()["width"] <= 360
        assert seen.page.evaluate(WIDER) == 0


def test_dark_theme_has_light_text_and_charts(browser: Any, report: Path) -> None:
    with opening(browser, report, color_scheme="dark") as seen:
        colours = "[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]"
        ground, ink = (luminance(colour) for colour in seen.page.evaluate(colours))
        assert ground < 0.2
        assert ink > 0.7
        plot = seen.near("#survival [data-chart]")
        line = plot.locator(".js-line").first
        sync.expect(line).not_to_have_css("stroke", BLUE)
        assert plot.locator("text").first.evaluate("text => getComputedStyle(text).fill") == "rgb(233, 231, 225)"
        seen.page.emulate_media(color_scheme="light")
        sync.expect(line).to_have_css("stroke", BLUE)


def luminance(colour: str) -> float:
    """Relative luminance of "rgb(r, g, b)", without its curve."""
    red, green, blue = (int(part) / 255 for part in re.findall(r"\d+", colour)[:3])
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_the_keyboard_reaches_the_report_first_and_opens_and_sorts_tables(desktop: Seen) -> None:
    seen = desktop
    seen.page.reload()
    seen.page.keyboard.press("Tab")
    skip = seen.page.locator(".skip")
    sync.expect(skip).to_be_focused()
    sync.expect(skip).to_be_in_viewport()
    seen.page.keyboard.press("Enter")
    sync.expect(seen.page.locator("#main")).to_be_focused()
    details = seen.page.locator("#fidelity .small:has-text('mean radius') details.table").first
    details.locator("summary").focus()
    seen.page.keyboard.press("Enter")
    details.locator("tbody tr").first.wait_for()
    assert details.locator("tbody tr").count() == 20
    assert "total variation distance" in details.inner_text()
    # A column is pressed, and the rows stand in its order.
    seen.page.locator("#attacks details.listing summary").focus()
    seen.page.keyboard.press("Enter")
    table = seen.page.locator("#attacks table.sortable")
    button = table.get_by_role("button", name="risk")
    for direction, risks in (("ascending", ["0.020", "0.100", "0.300"]), ("descending", ["0.300", "0.100", "0.020"])):
        button.focus()
        seen.page.keyboard.press("Enter")
        sync.expect(table.locator(f"th[aria-sort={direction}]")).to_have_count(1)
        assert table.locator("tbody td:nth-child(7)").all_inner_texts() == risks


def test_print_has_every_chart_in_light_colours(browser: Any, report: Path, tmp_path: Path) -> None:
    with opening(browser, report, color_scheme="dark") as seen:
        watch = "addEventListener('afterprint', () => document.documentElement.dataset.printed = '')"
        line = "document.querySelector('#survival .js-line').style.stroke"
        count = f"addEventListener('beforeprint', () => window.onPaper = [{DRAWN}, widest(), {line}])"
        widest = (
            "window.widest = () => Math.max(...[...document.querySelectorAll('.main-svg')].map(s => s.clientWidth))"
        )
        for script in (watch, widest, count):
            seen.page.evaluate(script)
        seen.page.locator("#utility details[data-print]").evaluate("details => details.open = true")
        seen.page.pdf(path=tmp_path / "report.pdf", prefer_css_page_size=True)
        assert (tmp_path / "report.pdf").read_bytes().startswith(b"%PDF")
        drawn, wide, colour = seen.page.evaluate("window.onPaper")
        assert drawn >= seen.page.locator("[data-chart]").count()
        assert wide <= 680
        assert colour == BLUE
        seen.page.locator("html[data-printed]:not(.paper)").wait_for(state="attached")
        assert seen.page.locator("details[open]").count() == 1  # what was opened for paper only is folded again


def test_tables_that_are_folded_are_opened_for_paper_if_they_are_short(browser: Any, report: Path) -> None:
    with opening(browser, report) as seen:
        seen.page.evaluate("dispatchEvent(new Event('beforeprint'))")
        seen.page.emulate_media(media="print")
        for name, shown in (("models", True), ("groups", True), ("importances", False), ("pairs", False)):
            caption = CAPTIONS[name]
            assert seen.page.locator(f"table:has(caption:text-is('{caption}'))").is_visible() == shown, name
        assert seen.page.locator("#methods dl.methods").last.is_visible()


def test_texts_and_charts_have_the_font_of_the_file(desktop: Seen) -> None:
    seen = desktop
    chart = seen.near("#survival [data-chart]")
    fonts = "[...document.fonts].map(font => `${font.family} ${font.weight} ${font.status}`).sort()"
    assert seen.page.evaluate(fonts) == ["Inter 400 loaded", "Inter 600 loaded"]
    family = "text => getComputedStyle(text).fontFamily"
    assert chart.locator("text").first.evaluate(family).startswith("Inter")
    assert seen.page.locator("h1").evaluate(family).startswith("Inter")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_no_rule_of_accessibility_is_violated(browser: Any, report: Path, scheme: str, width: int) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed")
    with opening(browser, report, width=width, color_scheme=scheme, bypass_csp=True) as seen:
        seen.page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
        seen.near("#survival [data-chart]")
        found = axe.Axe().run(seen.page)
        assert found.violations_count == 0, found.generate_report()


def test_the_comparison_of_several_tables_is_accessible_and_fits_a_phone(browser: Any, tmp_path: Path) -> None:
    Evaluations({"first": evaluated(), HOSTILE[0]: evaluated()}).to_html(tmp_path / "page.html")
    with opening(browser, tmp_path / "page.html", width=390, bypass_csp=True) as seen:
        assert seen.page.evaluate(WIDER) == 0
        axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed")
        found = axe.Axe().run(seen.page)
        assert found.violations_count == 0, found.generate_report()
        seen.page.get_by_role("link", name="first").click()
        seen.page.locator("h1", has_text="Synthetic data report").wait_for()


def test_charts_are_drawn_only_when_visible(browser: Any, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    wide = pd.DataFrame(rng.normal(size=(50, 120)), columns=[f"column {k}" for k in range(120)])
    with opening(browser, written(evaluated((fidelity(wide),)), tmp_path)) as seen:
        seen.near("[data-chart]", 100)
        assert seen.page.locator("[data-drawn]").count() < 60
