"""Representations of fitted objects, evaluations, codes and sources: short, and without a value of a training row."""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import BaseModel

from synthvae import Column, PrivacyBudget, Schema, Synthesizer
from synthvae.errors import brief
from synthvae.estimators import VAEOutlierDetector, VAETransformer
from synthvae.evaluation import Comparison, evaluate
from synthvae.privacy import Ledger
from synthvae.privacy.events import Event
from synthvae.schema.protection import protect
from synthvae.schema.protection_rules import Subjects
from synthvae.synthesizer.sources import InMemory
from synthvae.tables import convert
from synthvae.tables.sampling import Survey

ROWS = 120
SECRET = "secret-"
LONGEST = 2000


def table() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    names = [f"{SECRET}{k % 12}" for k in range(ROWS)]
    return pd.DataFrame({"a": rng.normal(size=ROWS) * 1e6, "word": names, "y": [0, 1] * (ROWS // 2)})


@pytest.fixture(scope="module")
def fitted() -> Synthesizer:
    return Synthesizer(target="y", max_steps=5, width=8, latent_dim=2, random_state=0).fit(table())


def objects(root: Any, depth: int = 4) -> Iterator[Any]:
    """An object of synthvae and those that it is made of, down to some depth."""
    if type(root).__module__.startswith("synthvae"):
        yield root
    parts: list[Any] = []
    if isinstance(root, dict):
        parts = [*root.values()]
    elif isinstance(root, (list, tuple)):
        parts = [*root]
    elif dataclasses.is_dataclass(root) or isinstance(root, BaseModel) or hasattr(root, "learned_"):
        parts = [*vars(root).values()]
    for part in parts[:50] if depth else ():
        yield from objects(part, depth - 1)


def assert_brief(root: Any) -> None:
    for each in objects(root):
        if type(each).__module__.startswith("synthvae.model"):
            continue  # the layers of the network
        for shown in (repr(each), str(each)):
            assert SECRET not in shown, shown[:300]
        assert len(repr(each)) <= LONGEST, (type(each), repr(each)[:300])


def test_of_fitted_models(fitted: Synthesizer) -> None:
    assert_brief(fitted)
    for name in ("learned_", "schema_", "encoding_", "history_"):
        assert_brief(getattr(fitted, name))
        assert type(getattr(fitted, name)).__name__ in repr(getattr(fitted, name))
    for kind in (VAETransformer, VAEOutlierDetector):
        assert_brief(kind(max_steps=5, random_state=0).fit(table()[["a", "word"]]))


def test_of_evaluations(fitted: Synthesizer) -> None:
    found = evaluate(table(), fitted.sample(ROWS, random_state=0), target="y", attacks=False)
    assert_brief(found)
    assert len(repr(found.figures)) < 20_000
    assert_brief(Comparison.from_tables(table(), table()))


def test_of_tables_and_codes(fitted: Synthesizer) -> None:
    read = convert.read(table())
    assert_brief(InMemory(read))
    assert_brief(Survey.from_batches([read], 0, least=20))
    codes = fitted.learned_.encode(read)
    assert_brief(codes)
    assert "120" in repr(codes)
    assert_brief(protect(read, fitted.schema_, "y", Subjects(20), None))


def test_of_ledgers() -> None:
    events = tuple(Event.of_counts(f"table {k}", rows=1, noise=20.0) for k in range(200))
    assert_brief(Ledger(budget=PrivacyBudget(epsilon=1.0, delta=1e-6), events=events))


def test_of_any_values() -> None:
    kind = dataclasses.make_dataclass("Rows", ["cells", "text", "none", "frame"])
    shown = brief(kind(list("abc"), "x" * 500, None, pd.DataFrame({"a": [1, 2]})))
    assert shown == f"Rows(cells=<3 values>, text='{'x' * 60}'..., frame=<2 x 1 DataFrame>)"


def test_notebooks_show_small_tables_without_values_of_rows(fitted: Synthesizer, tmp_path: Path) -> None:
    ledger = Ledger(budget=PrivacyBudget(epsilon=1.0, delta=1e-6))
    ledger = ledger.record(Event.of_counts("<b>rows</b> of each class", rows=1, noise=20.0))
    found = evaluate(table(), fitted.sample(ROWS), attacks=False)
    manifest = fitted.generate(tmp_path / "out", rows=5)
    shown_in_notebooks: list[Any] = [fitted, Synthesizer(target="<i>y</i>"), fitted.schema_, ledger, found, manifest]
    for each in shown_in_notebooks:
        shown = each._repr_html_()
        assert shown.count("<table>") >= 1
        assert SECRET not in shown
        assert "<b>rows" not in shown
        assert "<i>" not in shown
        assert len(shown) < 6000
    assert fitted._repr_mimebundle_()["text/html"] == fitted._repr_html_()
    assert repr(manifest).startswith("Manifest(")
    assert len(repr(manifest)) < LONGEST


def test_names_in_notebooks_are_escaped() -> None:
    schema = Schema(columns=[Column(name=f"<script>{k}\u202e", kind="id") for k in range(30)])
    shown = schema._repr_html_()
    assert "<script>" not in shown
    assert "\u202e" not in shown
    assert "10 more rows" in shown


@pytest.mark.parametrize("name", ["estimators", "evaluation", "privacy", "recipe", "schema", "synthesizer", "tables"])
def test_completion_offers_public_names_alone(name: str) -> None:
    module = importlib.import_module(f"synthvae.{name}")
    assert dir(module) == sorted(module.__all__)
