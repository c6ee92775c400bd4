"""Take the pictures of reports that README and the documentation show: python docs/screenshot.py (needs chromium)."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from playwright.sync_api import sync_playwright
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split

from synthvae import Synthesizer
from synthvae.evaluation import compare, evaluate
from synthvae.evaluation.comparison import shuffle_columns

PICTURES = Path(__file__).parent / "pictures"
FIRST, SCREEN, TABLE = (
    dict(zip(("width", "height"), size, strict=True)) for size in ((1100, 985), (1280, 800), (1280, 660))
)
COLUMNS = ["mean radius", "mean texture", "mean area", "mean concavity", "area error", "worst symmetry", "diagnosis"]
STEPS = (10, 100)


def rows() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return training rows and a holdout of a table that scikit-learn contains."""
    data = load_breast_cancer(as_frame=True)
    frame = data.frame.rename(columns={"target": "diagnosis"}).replace(
        {"diagnosis": dict(enumerate(data.target_names))}
    )
    real, holdout = train_test_split(frame, test_size=0.3, stratify=frame["diagnosis"], random_state=0)
    return real, holdout


def write_report(path: Path) -> None:
    """Evaluate rows of a bundled table, as README does."""
    real, holdout = rows()
    synthetic = Synthesizer(target="diagnosis", random_state=0).fit(real).sample(len(real))
    evaluate(real, synthetic, holdout=holdout, target="diagnosis").to_html(path)


def write_comparison(path: Path) -> None:
    """Compare models of few and of more steps, shuffled columns, and a copy."""
    real, holdout = (part[COLUMNS].reset_index(drop=True) for part in rows())
    tables = {
        f"{steps} steps": Synthesizer(target="diagnosis", max_steps=steps, random_state=0).fit(real).sample(len(real))
        for steps in STEPS
    }
    tables |= {"shuffled columns": shuffle_columns(real, len(real), np.random.default_rng(0)), "copy": real}
    compare(real, tables, holdout=holdout, target="diagnosis").to_html(path)


@contextmanager
def browser() -> Iterator[Any]:
    """Start a browser, and close it."""
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        yield found
        found.close()


def take(opened: Any, page: Path, picture: str, window: dict[str, int], start: str | None = None) -> None:
    """Take a picture of a page: of its top, or from the start of an element."""
    shown = opened.new_page(viewport=window, color_scheme="light")
    shown.goto(page.as_uri())
    if start is not None:
        shown.locator(start).first.evaluate("element => element.scrollIntoView()")
    shown.wait_for_timeout(2000)
    shown.screenshot(path=str(PICTURES / picture))
    shown.close()


def main() -> None:
    """Write the pages, open them and take the pictures."""
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, browser() as opened:
        report, comparison = Path(folder, "report.html"), Path(folder, "comparison.html")
        write_report(report)
        write_comparison(comparison)
        take(opened, report, "report.png", FIRST)
        take(opened, report, "report_columns.png", SCREEN, "h3:has-text('Distribution of every column')")
        take(opened, comparison, "comparison.png", TABLE)


if __name__ == "__main__":
    main()
