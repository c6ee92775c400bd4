"""URLs in place of paths are refused by their scheme before a library starts a process or asks a network."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from typer.testing import CliRunner

from synthvae import Schema, Synthesizer
from synthvae.cli.main import app
from synthvae.errors import SynthvaeError
from synthvae.evaluation import evaluate
from synthvae.generation import stores
from synthvae.tables import convert, export, rowwise, streaming
from synthvae.tables.read_options import ReadOptions

OTHERS = ["ssh", "sftp", "http", "https", "abfs", "abfss", "hdfs", "viewfs", "hf", "github", "mock", "smb", "SSH",
          "git+ssh", "file-that-is-no-scheme"]  # fmt: skip
CHAINED = ["simplecache::s3://b/c", "zip::ssh://h/c", "filecache::/tmp/c", "s3::ssh://h/c"]
URLS = [f"{scheme}://host/c" for scheme in OTHERS] + CHAINED
QUICK: dict[str, Any] = {"max_steps": 2, "width": 8, "latent_dim": 2, "random_state": 0}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("schemes")
    frame = pd.DataFrame({"a": range(40), "y": [0, 1] * 20})
    frame.to_csv(folder / "t.csv", index=False)
    (folder / "q.yaml").write_text("max_steps: 2\nwidth: 8\nlatent_dim: 2\n")
    Synthesizer(target="y", **QUICK).fit(frame).save(folder / "m")
    return folder


@pytest.fixture(autouse=True)
def no_library(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No library may see a URL, and no process may start."""
    from pyarrow import fs

    def fail(*given: Any, **_: Any) -> None:
        raise AssertionError(f"asked for {given}")

    monkeypatch.setattr(stores.ObjectStore, "_place", property(fail))
    monkeypatch.setattr(fs, "FileSystem", fail)
    monkeypatch.setattr(subprocess, "Popen", fail)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("url", URLS)
def test_a_dataset_has_few_schemes(home: Path, url: str, tmp_path: Path) -> None:
    synthesizer = Synthesizer.load(home / "m")
    for out in (url, f"{url}/rows.csv"):
        with pytest.raises(SynthvaeError, match="scheme"):
            synthesizer.generate(out, rows=5)
        with pytest.raises(SynthvaeError, match="scheme"):
            synthesizer.generate(out, rows=5, resume=True)
    assert not list(tmp_path.iterdir())


def table_of(url: str) -> Any:
    return pd.DataFrame({"a": [1, 2, 3], "y": [0, 1, 0]}) if url == "frame" else url


IN_PYTHON: dict[str, Callable[[Any], Any]] = {
    "read": convert.read,
    "read row by row": rowwise.read,
    "stream": streaming.Stream.from_source,
    "fit": lambda url: Synthesizer(**QUICK).fit(url),
    "schema": lambda url: Synthesizer(schema=url, **QUICK).fit(table_of("frame")),
    "log": lambda url: Synthesizer(log_dir=url, **QUICK).fit(table_of("frame")),
    "journal": lambda url: Synthesizer(journal=url, **QUICK).fit(table_of("frame")),
    "load": Synthesizer.load,
    "from yaml": Schema.from_yaml,
    "to yaml": lambda url: Schema.infer(table_of("frame")).to_yaml(url),
    "from sdv": Schema.from_sdv,
    "evaluate": lambda url: evaluate(url, table_of("frame")),
    "compared": lambda url: evaluate(table_of("frame"), table_of("frame"), schema=url),
    "export": lambda url: export.check_place(Path(f"{url}.csv"), overwrite=False),
}


@pytest.mark.parametrize("name", IN_PYTHON)
def test_paths_in_python_are_no_urls(name: str, tmp_path: Path) -> None:
    for url in ("ssh://host/c", "s3://bucket/c", "zip::s3://bucket/c"):
        with pytest.raises(SynthvaeError, match=r"scheme|URL"):
            IN_PYTHON[name](url)
    assert not list(tmp_path.iterdir())


IN_SHELL = {
    "fit -o": "fit {t} -o {url} --config {q}",
    "fit table": "fit {url} -o x",
    "fit --schema": "fit {t} -o x --schema {url}",
    "fit --config": "fit {t} -o x --config {url}",
    "fit --log-dir": "fit {t} -o x --log-dir {url}",
    "schema -o": "schema {t} -o {url}",
    "generate -o": "generate {m} --rows 5 -o {other}",
    "generate model": "generate {url} --rows 5 -o x",
    "augment -o": "augment {t} --target y -o {url}.csv",
    "evaluate": "evaluate {t} {other}",
    "evaluate --holdout": "evaluate {t} {t} --holdout {other}",
    "evaluate -o": "evaluate {t} {t} -o {url}",
    "evaluate --json-file": "evaluate {t} {t} --json-file {url}",
    "evaluate --model": "evaluate {t} {t} --model {url}",
    "info": "info {url}",
    "info --evaluation": "info {m} --card --evaluation {url}",
    "audit": "audit {url}",
    "run": "run {url}",
    "run -o": "run {r} -o {url}",
    "demo": "demo -o {url}",
}


@pytest.mark.parametrize("name", IN_SHELL)
def test_paths_in_the_shell_are_no_urls(home: Path, name: str, tmp_path: Path) -> None:
    recipe = home / "r.yaml"
    recipe.write_text("input: t.csv\ngeneration: {rows: 5}\n")
    for url in ("ssh://host/c", "s3://bucket/c", "zip::s3://bucket/c"):
        other = url.replace("s3://", "hdfs://")
        places = {"t": home / "t.csv", "m": home / "m", "q": home / "q.yaml", "r": recipe, "url": url, "other": other}
        words = [word.format(**places) for word in IN_SHELL[name].split()]
        done = CliRunner().invoke(app, words)
        assert done.exit_code == 1, (words, done.output, done.exception)
        assert done.stderr.count("\n") == 1
        assert "scheme" in done.stderr or "URL" in done.stderr, done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("key", ["input", "schema", "out", "model.log_dir", "evaluation.synthetic"])
def test_paths_in_a_recipe_are_no_urls(home: Path, key: str) -> None:
    from synthvae import recipe as recipes

    for url in ("ssh://host/c", "zip::s3://bucket/c"):
        given: dict[str, Any] = {"input": "t.csv", "generation": {"rows": 5}, "model": {"max_steps": 2, "width": 8}}
        section, _, name = key.rpartition(".")
        if section:
            given[section] = {**given.get(section, {}), name: url}
        else:
            given[name] = url
        if section == "evaluation":
            given = {"input": "t.csv", "evaluation": {"synthetic": url}}
        import yaml

        (home / "u.yaml").write_text(yaml.safe_dump(given))
        with pytest.raises(SynthvaeError, match=r"scheme|URL"):
            recipes.run(home / "u.yaml", None if key == "out" else home / "out")


def test_databases_of_other_drivers_are_refused_before_an_import() -> None:
    for url in ("mysql://ann:s3cret@h/d", "duckdb:///x", "postgresql+x::sqlite:///y", "jdbc:postgresql://h/d"):
        before = set(sys.modules)
        with pytest.raises((SynthvaeError, FileNotFoundError)) as refused:
            convert.read(url, options=ReadOptions(query="SELECT 1"))
        assert not {name for name in set(sys.modules) - before if name.startswith("adbc")}
        assert "s3cret" not in str(refused.value)
