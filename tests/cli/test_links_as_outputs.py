"""Commands refuse outputs that are links before the work, and leave folders alone that they did not make."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from sklearn.datasets import load_wine
from typer.testing import CliRunner, Result

from synthvae.cli.main import app
from synthvae.synthesizer import artifact
from synthvae.synthesizer.synthesizer import Synthesizer

QUICK = "{max_steps: 4, width: 8, latent_dim: 2, device: cpu}"
PRIVATE = " --schema schema.yaml --epsilon 1 --delta 0.001"


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def shell(words: str) -> Result:
    return CliRunner().invoke(app, words.split())


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model, rows of it, and the table."""
    home = tmp_path_factory.mktemp("made")
    with contextlib.chdir(home):
        wine = load_wine(as_frame=True).frame.iloc[::3, [0, 6, 13]]
        wine.assign(target=wine["target"].map({0: "a", 1: "b", 2: "c"})).to_csv("table.csv", index=False)
        Path("quick.yaml").write_text(QUICK)
        for words in (
            "schema table.csv --declare -o schema.yaml",
            "fit table.csv --config quick.yaml -o model",
            "generate model --rows 9 -o rows",
        ):
            assert shell(words).exit_code == 0, words
        Path("schema.yaml").write_text(Path("schema.yaml").read_text().replace("inferred: true\n", ""))
    return home


@pytest.fixture
def home(made: Path, tmp_path: Path) -> Iterator[Path]:
    """A folder to work in, with links to what was made, since what is read may be a link."""
    for path in made.iterdir():
        (tmp_path / path.name).symlink_to(path)
    (tmp_path / "victim").mkdir()
    (tmp_path / "victim" / "x").write_text("keep")
    before = tree(made)
    with contextlib.chdir(tmp_path):
        yield tmp_path
    assert tree(made) == before
    assert tree(tmp_path / "victim") == {"x": b"keep"}


FIT = "fit table.csv --target target --config quick.yaml --seed 1"


@pytest.mark.parametrize("target", ["victim", "victim/x", "nothing"])
@pytest.mark.parametrize(
    "words",
    [
        f"{FIT} -o link",
        f"{FIT} --overwrite -o link",
        f"{FIT}{PRIVATE} -o link",
        f"{FIT} -o new --log-dir link",
        "generate model --rows 9 -o link",
        "generate model --rows 9 --overwrite -o link",
        "generate model --rows 9 --overwrite -o link.csv",
        "augment table.csv --target target --config quick.yaml --overwrite -o link.csv",
        "evaluate table.csv rows --no-attacks -o link",
        "evaluate table.csv rows --no-attacks --json-file link",
        "schema table.csv --overwrite -o link",
    ],
)
def test_a_link_as_output_is_one_error_and_stays(home: Path, words: str, target: str) -> None:
    link = home / words.rsplit(maxsplit=1)[-1]
    link.symlink_to(home / target)
    done = shell(words)
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert done.exit_code == 1
    assert "link" in line
    assert link.is_symlink()
    assert not (home / "nothing").exists()
    assert not (home / "new").exists()


def no_fit(*_: object, **__: object) -> None:
    raise AssertionError("training began")


@pytest.mark.parametrize("options", ["", " --resume", " --overwrite", PRIVATE])
@pytest.mark.parametrize("name", ["notes.txt", "model.safetensors", "deep/fit.json"])
def test_a_folder_named_like_a_journal_is_not_removed(
    home: Path, monkeypatch: pytest.MonkeyPatch, options: str, name: str
) -> None:
    folder = home / (".new.releases" if options == PRIVATE else ".new.fit")
    (folder / name).parent.mkdir(parents=True)
    (folder / name).write_text("mine")
    monkeypatch.setattr("synthvae.training.train", no_fit)
    done = shell(f"{FIT}{options} -o new")
    assert done.exit_code == 1
    assert f"it holds '{name}', which is of no fit" in done.stderr
    assert tree(folder) == {name: b"mine"}


@pytest.mark.parametrize("options", ["", PRIVATE])
def test_a_link_named_like_a_journal_is_not_followed(home: Path, options: str) -> None:
    link = home / (".new.releases" if options else ".new.fit")
    link.symlink_to(home / "victim")
    done = shell(f"{FIT}{options} -o new")
    assert done.exit_code == 1
    assert "it is a link" in done.stderr
    assert link.is_symlink()


def test_a_log_replaces_a_link_and_does_not_follow_it(home: Path) -> None:
    (home / "log").mkdir()
    (home / "log" / "history.csv").symlink_to(home / "victim" / "x")
    assert shell(f"{FIT} -o new --log-dir log").exit_code == 0
    assert not (home / "log" / "history.csv").is_symlink()
    assert (home / "log" / "history.csv").read_text().startswith("step,")


def test_models_are_read_through_links(home: Path) -> None:
    assert Synthesizer.load(home / "model").sample(3).shape == (3, 3)
    assert artifact.load(home / "model")[0]["format"] == artifact.FORMAT
