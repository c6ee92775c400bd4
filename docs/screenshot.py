"""Take the picture of a report that README and the front page show: python docs/screenshot.py (needs chromium)."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split

from synthvae import Synthesizer
from synthvae.evaluation import evaluate

PICTURE = Path(__file__).parent / "pictures" / "report.png"
WINDOW = {"width": 1100, "height": 620}


def write_report(path: Path) -> None:
    """Evaluate rows of a bundled table, as README does."""
    data = load_breast_cancer(as_frame=True)
    frame = data.frame.rename(columns={"target": "diagnosis"}).replace(
        {"diagnosis": dict(enumerate(data.target_names))}
    )
    real, holdout = train_test_split(frame, test_size=0.3, stratify=frame["diagnosis"], random_state=0)
    synthetic = Synthesizer(target="diagnosis", random_state=0).fit(real).sample(len(real))
    evaluate(real, synthetic, holdout=holdout, target="diagnosis").to_html(path)


def main() -> None:
    """Write the report, open it and take the picture."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        report = Path(folder, "report.html")
        write_report(report)
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page(viewport=WINDOW, color_scheme="light")
        page.goto(report.as_uri())
        page.wait_for_timeout(2000)
        PICTURE.parent.mkdir(exist_ok=True)
        page.screenshot(path=str(PICTURE))
        browser.close()


if __name__ == "__main__":
    main()
