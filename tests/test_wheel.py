"""What a user installs."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    pytest.importorskip("build")
    out = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    return zipfile.ZipFile(next(out.glob("*.whl")))


def test_wheel_holds_the_package_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    names = wheel.namelist()
    assert {name.split("/")[0] for name in names} == {"synthvae", "synthvae-0.1.0.dist-info"}
    assert "synthvae/py.typed" in names
    assert {f"synthvae/{path.relative_to(ROOT / 'synthvae')}" for path in (ROOT / "synthvae").rglob("*.py")} <= set(
        names
    )


def test_wheel_has_the_console_script_and_the_licence(wheel: zipfile.ZipFile) -> None:
    info = "synthvae-0.1.0.dist-info"
    assert "synthvae = synthvae.__main__:main" in wheel.read(f"{info}/entry_points.txt").decode()
    assert f"{info}/licenses/LICENSE" in wheel.namelist()
