"""One reader of saved evaluations: it returns what was written, and refuses everything else."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from synthvae.errors import ConfigurationError
from synthvae.evaluation import Comparison, Evaluation, Figure, Metric, Section
from synthvae.evaluation.metric import Better
from synthvae.evaluation.saved import SavedEvaluation, load
from synthvae.evaluation.thresholds import failures

ROWS = pd.DataFrame({"age": [30, 41, 58, 63], "sex": ["f", "m", "f", "m"]})
LEDGER = {"epsilon": 1.0, "delta": 1e-5, "unit": "one row"}
FINITE_OR_NOT = st.floats() | st.none()


def evaluation(figures: tuple[Figure, ...], ledger: dict[str, Any] | None = LEDGER) -> Evaluation:
    section = Section("fidelity", figures, {"columns": ROWS}, ("A note.",))
    return Evaluation(Comparison.from_tables(ROWS, ROWS, holdout=ROWS, target="sex"), (section,), 3, ledger)


@st.composite
def figure(draw: st.DrawFn, name: str) -> Figure:
    better: Better = draw(st.sampled_from(["higher", "lower", "half"]))
    interval = draw(st.none() | st.tuples(st.floats(), st.floats()))
    metric = Metric(name, name, better, "", "", risk=draw(st.booleans()))
    return Figure(metric, draw(st.floats()), interval, draw(FINITE_OR_NOT), draw(FINITE_OR_NOT))


@given(st.data())
def test_what_is_read_is_what_was_written(data: st.DataObject) -> None:
    names = data.draw(st.lists(st.text(max_size=5), unique=True, max_size=4))
    given_ = evaluation(tuple(data.draw(figure(name)) for name in names))
    document = json.loads(json.dumps(given_.to_dict(), allow_nan=False))
    assert_equal(SavedEvaluation.from_dict(document), document)


def assert_equal(read: BaseModel, document: dict[str, Any]) -> None:
    """Every field that the reader knows was written, and has the written value."""
    fields = json.loads(read.model_dump_json())
    assert set(fields) <= set(document)
    for name, value in fields.items():
        field = getattr(read, name)
        if isinstance(field, BaseModel):
            assert_equal(field, document[name])
        elif isinstance(field, dict) and any(isinstance(part, BaseModel) for part in field.values()):
            assert set(field) == set(document[name])
            for key, part in field.items():
                assert_equal(part, document[name][key])
        else:
            assert value == document[name]


@given(st.data())
def test_thresholds_apply_equally_to_measured_and_saved_figures(data: st.DataObject) -> None:
    found = evaluation((data.draw(figure("m")),))
    saved = SavedEvaluation.from_dict(found.to_dict())
    bound = data.draw(st.floats(-1e6, 1e6))
    under, over = ({"m": bound}, {}) if found.figures["m"].better == "higher" else ({}, {"m": bound})
    if math.isfinite(found.figures["m"].value):
        assert failures(saved.figures, under, over) == failures(found.figures, under, over)
    else:
        assert failures(saved.figures, under, over) != []


@pytest.mark.parametrize("document", [[], {}, {"rows": {}, "seed": 0}, {"rows": 1, "seed": 0, "sections": {}}])
def test_other_documents_are_refused(document: Any) -> None:
    with pytest.raises(ConfigurationError, match="synthvae evaluate --json-file"):
        SavedEvaluation.from_dict(document)


def test_keys_of_later_releases_are_ignored() -> None:
    document = {**evaluation(()).to_dict(), "later": 1}
    assert SavedEvaluation.from_dict(document).seed == 3


def test_an_evaluation_of_another_model_is_refused() -> None:
    saved = SavedEvaluation.from_dict(evaluation(()).to_dict())
    saved.check_model(["age", "sex"], LEDGER)
    with pytest.raises(ConfigurationError, match="the target 'sex', which is not a column"):
        saved.check_model(["age"], LEDGER)
    with pytest.raises(ConfigurationError, match="different privacy ledger"):
        saved.check_model(["age", "sex"], None)


def test_files_that_are_not_json_are_refused(tmp_path: Path) -> None:
    (tmp_path / "broken.json").write_text("{")
    for name in ("broken.json", "absent.json"):
        with pytest.raises(ConfigurationError, match=f"{name} cannot be read"):
            load(tmp_path / name)


def test_former_names_are_deprecated_aliases() -> None:
    found = evaluation(())
    for part in (found, found.sections[0], Figure(Metric("m", "M", "higher", "", ""), 0.5)):
        with pytest.warns(DeprecationWarning, match="Use `to_dict`"):
            assert part.as_dict() == part.to_dict()
    with pytest.warns(DeprecationWarning, match="Use `from_tables`"):
        pd.testing.assert_frame_equal(Comparison.of(ROWS, ROWS).real, Comparison.from_tables(ROWS, ROWS).real)
