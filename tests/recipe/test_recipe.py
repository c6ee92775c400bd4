"""The page of a recipe: its keys are those of Python, and what is wrong with it is said in one line."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_wine
from typer.testing import CliRunner

from synthvae import PrivacyBudget, Synthesizer, evaluation, recipe
from synthvae.cli.main import app
from synthvae.errors import ConfigurationError
from synthvae.estimators import augment
from synthvae.recipe.recipe import Recipe
from synthvae.recipe.sections import (
    LINKED,
    LINKED_AMOUNTS,
    Augmenting,
    Evaluating,
    Generation,
    Model,
    Privacy,
    RecipeSection,
)
from synthvae.recipe.study import Study
from synthvae.relational import DatabaseSynthesizer, SequenceSynthesizer


def write(folder: Path, text: str) -> Path:
    path = folder / "study.yaml"
    path.write_text(text)
    return path


@pytest.mark.parametrize(("section", "call", "elsewhere"), [
    (Model, Synthesizer.__init__, {"self", "target", "schema", "privacy", "journal", "verbose", "callbacks"}),
    (Generation, Synthesizer.generate, {"self", "out", "resume", "overwrite", "escape_formulas", "backend", "each"}),
    (Augmenting, augment.augment, {"table", "synthesizer"}),
    (Evaluating, evaluation.evaluate, {"real", "target", "schema", "ledger", "protection", "model", "names", "watch"}),
])  # fmt: skip
def test_keys_are_the_parameters_of_the_calls(
    section: type[RecipeSection], call: Callable[..., Any], elsewhere: set[str]
) -> None:
    parameters = inspect.signature(call).parameters
    own = {name: field for name, field in section.model_fields.items() if name not in LINKED_AMOUNTS}
    assert set(own) == set(parameters) - elsewhere
    for name, field in own.items():
        default = parameters[name].default
        if name != "random_state" and default is not inspect.Parameter.empty:
            assert field.default == default


@pytest.mark.parametrize(("section", "call"), [
    ("model", DatabaseSynthesizer.__init__),
    ("model", SequenceSynthesizer.__init__),
    ("generation", DatabaseSynthesizer.generate),
    ("evaluation", evaluation.evaluate_database),
])  # fmt: skip
def test_keys_of_linked_tables_are_parameters_of_their_calls(section: str, call: Callable[..., Any]) -> None:
    parameters = inspect.signature(call).parameters
    assert set(LINKED[section]) <= set(parameters)
    for name in LINKED_AMOUNTS if section == "generation" else ():
        assert parameters[name].default is Generation.model_fields[name].default


def test_the_budget_of_a_page_is_that_of_python() -> None:
    assert set(Privacy.model_fields) == set(PrivacyBudget.model_fields)


def test_each_key_is_explained_to_editors() -> None:
    schema = recipe.json_schema()
    for section in (schema, *schema["$defs"].values()):
        for name, key in section["properties"].items():
            assert key.get("description"), name
        assert section["additionalProperties"] is False


def refusals() -> list[tuple[str, str]]:
    """Pages that contradict themselves or hold something else, and a part of what is said of each."""
    start = "input: wine.csv\ntarget: target\n"
    rows = start + "generation: {rows: 5}\n"
    private = rows + "privacy: {epsilon: 1.0, delta: 0.001}\n"
    return [
        (rows + "modle: {}\n", "Try 'model'"),
        (rows + "model: {latent_dims: 4}\n", "model: unknown key 'latent_dims'"),
        (rows + "privacy: {epsilom: 1}\n", "Try 'epsilon'"),
        (start + "generation: {row: 5}\n", "Try 'rows'"),
        (rows + "evaluation: {attack: false}\n", "Try 'attacks'"),
        (rows + "evaluation: {}\nreport: {fail-under: {}}\n", "Try 'fail_under'"),
        (rows + "7: 8\n", "unknown key 7"),
        (rows + "model: {latent_dim: '4'}\n", "`model.latent_dim`: input should be a valid integer"),
        (rows + "model: {latent_dim: true}\n", "`model.latent_dim`"),
        (rows + "model: [4]\n", "`model`"),
        (start + "generation: {rows: 1.5}\n", "`generation.rows`"),
        (start + "generation: {rows: -1}\n", "`generation.rows`"),
        (start + "generation: {classes: {a: many}}\n", "`generation.classes.a`"),
        (rows + "split: {}\n", "`split.holdout` is missing"),
        (rows + "split: {holdout: 30}\n", "less than 1"),
        (rows + "evaluation: {}\nreport: {fail_under: {trend: .nan}}\n", "finite"),
        (rows + "evaluation: {}\nreport: {html: ../r.html}\n", "in the output folder"),
        (rows + "evaluation: {}\nreport: {html: r.json}\n", ".html file"),
        (start, "exactly one of"),
        (start + "evaluation: {}\n", "exactly one of"),
        (rows + "augment: {}\n", "exactly one of"),
        (rows + "evaluation: {synthetic: wine.csv}\n", "`generation` would generate others"),
        (start + "generation: {}\n", "exactly one of rows"),
        (start + "generation: {rows: 5, rows_per_class: 2}\n", "exactly one of rows"),
        ("input: wine.csv\naugment: {}\n", "needs classes"),
        (rows + "report: {}\n", "needs `evaluation`"),
        (rows + "split: {holdout: 0.3}\nevaluation: {holdout: wine.csv}\n", "both hold rows out"),
        (rows + "evaluation: {duration: time}\n", "must be given together"),
        (private, "a declared schema"),
        (private + "schema: private\nsplit: {holdout: 0.3, by: sex}\n", "must be the privacy unit"),
        (rows + "privacy:\n", "`privacy.epsilon` is missing"),
        (rows + "schema: private\n", "Add `privacy`"),
        (rows + "schema: private\nprivacy: {epsilon: -1.0, delta: 0.001}\n", "above 0"),
        (start + "augment: {}\nschema: private\nprivacy: {epsilon: 1.0, delta: 0.001}\n", "no privacy budget covers"),
        ("- input\n", "got a list"),
        ("", "got an empty file"),
        ("just words\n", "got a str"),
        ("input: [\n", "must be YAML"),
        ("input: !!python/name:os.system\n", "must be YAML"),
        ("input: 2020-99-99\n", "must be YAML"),
        (rows + "input: other.csv\n", "duplicate of 'input'"),
        ("a: &x [1]\nb: *x\n", "alias"),
        ("[" * 60 + "]" * 60, "nested levels"),
        ("#" * (1 << 20) + "\n" + rows, "at most 1,048,576 bytes"),
        (rows.replace("wine", "absent"), "`input`: "),
        (rows + "schema: absent.yaml\n", "`schema`: "),
        (start + "evaluation: {synthetic: absent.csv}\n", "`evaluation.synthetic`: "),
        (rows.replace("target: target", "target: absent"), "'absent'"),
        (rows + "evaluation: {group: absent}\n", "'absent'"),
        (rows + "split: {holdout: 0.3, by: absent}\n", "absent"),
        (rows + "split: {holdout: 0.001}\n", "at least 2 rows"),
        (rows + "encoding: ebcdic-of-mars\n", "character encoding must be known"),
    ]  # fmt: skip


@pytest.mark.parametrize(("text", "message"), refusals())
def test_bad_pages_are_refused_in_one_line(tmp_path: Path, text: str, message: str) -> None:
    load_wine(as_frame=True).frame.iloc[:, [0, 6, 13]].to_csv(tmp_path / "wine.csv", index=False)
    words = ["run", str(write(tmp_path, text)), "-o", str(tmp_path / "out"), "--quiet"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 1, done.output
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")
    assert message in line
    assert not (tmp_path / "out" / "model").exists()


def test_a_few_lines_that_stand_for_billions_are_refused_at_once(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 12)]
    with pytest.raises(ConfigurationError, match="alias"):
        Recipe.read(write(tmp_path, "\n".join(lines)))


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6) | st.integers(), inner, max_size=3),
    max_leaves=6,
)
KEYS = st.sampled_from([*Recipe.model_fields, "schema"]) | st.text(max_size=6)


@settings(max_examples=150, deadline=None)
@given(page=st.dictionaries(KEYS, VALUES, max_size=5) | VALUES)
@example(page={2**63: None})
def test_any_page_is_a_recipe_or_refused_by_name(page: Any, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = write(tmp_path_factory.mktemp("any"), yaml.safe_dump(page))
    with contextlib.suppress(ConfigurationError):
        Recipe.read(path)


def test_a_recipe_may_state_the_schema_itself(tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    text = "input: t.csv\ngeneration: {rows: 5}\nschema:\n  drop: [note]\n  columns: [{name: a, kind: KIND}]\n"
    path.write_text(text.replace("KIND", "id"))
    recipe = Recipe.read(path)
    assert recipe.stated_schema == {"columns": [{"name": "a", "kind": "id"}], "drop": ["note"]}
    assert not Study(recipe, tmp_path, tmp_path).files("schema")
    path.write_text(text.replace("KIND", "number"))
    with pytest.raises(ConfigurationError, match=r"'a'.*`kind`"):
        Recipe.read(path)
