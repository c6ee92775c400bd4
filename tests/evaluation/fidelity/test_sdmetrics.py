"""SDMetrics, in a separate environment, gives the same scores of columns and pairs."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer, load_wine

from synthvae.evaluation import Comparison
from synthvae.evaluation.fidelity.column_shapes import kind_of
from synthvae.evaluation.fidelity.section import fidelity
from synthvae.evaluation.results import Section

ORACLE = Path(__file__).parents[3] / ".venv-oracle" / "bin" / "python"
SDTYPES = {"number": "numerical", "date": "datetime", "category": "categorical"}
SAME = 1e-9

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not ORACLE.exists(), reason="SDMetrics has an environment of its own, which `make .venv-oracle/.dev` makes"
    ),
]

# What runs beside SDMetrics: for each folder of tables its metrics, null where one is not defined.
SCRIPT = """
import itertools, json, math, pathlib, sys, warnings
warnings.simplefilter("ignore")
import pandas as pd
from sdmetrics.column_pairs import ContingencySimilarity, CorrelationSimilarity
from sdmetrics.reports import QualityReport
from sdmetrics.single_column import KSComplement, TVComplement

def score(metric, real, synthetic, **options):
    try:
        found = metric.compute(real.copy(), synthetic.copy(), **options)
    except Exception:
        return None
    return None if math.isnan(found) else found

def days(column):
    return (column - pd.Timestamp(0)) / pd.Timedelta(days=1) if column.dtype.kind == "M" else column

def read(path, kinds):
    dates = [name for name, kind in kinds.items() if kind == "datetime"]
    types = {name: "str" for name, kind in kinds.items() if kind == "categorical"}
    return pd.read_csv(path, dtype=types, parse_dates=dates, float_precision="round_trip", keep_default_na=False,
                       na_values=[""])

def judged(folder):
    kinds = json.loads((folder / "kinds.json").read_text())
    real, synthetic = (read(folder / f"{name}.csv", kinds) for name in ("real", "synthetic"))
    columns = {name: score(TVComplement if kind == "categorical" else KSComplement, real[name], synthetic[name])
               for name, kind in kinds.items()}
    pairs = []
    for both in itertools.combinations(kinds, 2):
        numbers = [name for name in both if kinds[name] != "categorical"]
        frames = [frame[list(both)] for frame in (real, synthetic)]
        if len(numbers) == 2:
            pairs.append([*both, score(CorrelationSimilarity, *frames)])
        else:
            frames = [frame.apply(days) for frame in frames]
            pairs.append([*both, score(ContingencySimilarity, *frames, continuous_column_names=numbers)])
    report = QualityReport()
    report.real_correlation_threshold = report.real_association_threshold = 0
    metadata = {"tables": {"t": {"columns": {name: {"sdtype": kind} for name, kind in kinds.items()}}}}
    report.generate({"t": real}, {"t": synthetic}, metadata, verbose=False)
    properties = report.get_properties().set_index("Property")["Score"]
    return {"columns": columns, "pairs": pairs, "shape": properties["Column Shapes"],
            "trend": properties["Column Pair Trends"]}

print(json.dumps({folder.name: judged(folder) for folder in sorted(pathlib.Path(sys.argv[1]).iterdir())}))
"""


def distorted(real: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Rows such as a generator would make: drawn again, with noise in the numbers and some categories exchanged."""
    rows = real.iloc[rng.integers(len(real), size=len(real) + 7)].reset_index(drop=True)
    for name in rows:
        if pd.api.types.is_numeric_dtype(rows[name]):
            rows[name] += rng.normal(0, rows[name].std() / 3, len(rows))
        elif not pd.api.types.is_datetime64_any_dtype(rows[name]):
            rows[name] = rows[name].mask(rng.random(len(rows)) < 0.2, rng.permutation(rows[name]))
    return rows


def wine() -> pd.DataFrame:
    """Wine with seven numbers, and six categories that were numbers."""
    frame: pd.DataFrame = load_wine(as_frame=True).frame
    for place, name in enumerate(frame.columns[7:]):
        frame[name] = [f"level {level}" for level in pd.qcut(frame[name].rank(method="first"), 3 + place, labels=False)]
    return frame


def gaps(rng: np.random.Generator) -> pd.DataFrame:
    """Breast cancer with a date, a category, and holes in all of it."""
    frame: pd.DataFrame = load_breast_cancer(as_frame=True).frame.iloc[:, [0, 1, 5, 30]]
    frame["target"] = frame["target"].map({0: "malignant", 1: "benign"})
    frame["ward"] = rng.choice(["north", "south", "east"], len(frame))
    frame["seen"] = pd.Timestamp("2020-01-01") + pd.to_timedelta(frame["mean radius"] * 30 // 1, "D")
    return frame.mask(rng.random(frame.shape) < [0.1, 0.3, 0.0, 0.2, 0.05, 0.15])


def tables() -> dict[str, tuple[pd.DataFrame, pd.DataFrame]]:
    """Real and distorted rows by name."""
    rng = np.random.default_rng(0)
    cancer: pd.DataFrame = load_breast_cancer(as_frame=True).frame.iloc[:, :12]
    wines, holes = wine(), gaps(rng)
    broken = distorted(holes, rng).assign(**{"mean texture": 1.5, "ward": None})
    number = pd.DataFrame({"number": np.arange(90.0), "side": ["left", "right", "right"] * 30})
    found = {
        name: (frame, distorted(frame, rng)) for name, frame in [("cancer", cancer), ("wine", wines), ("gaps", holes)]
    }
    found["categories"] = found["wine"][0].iloc[:, 7:], found["wine"][1].iloc[:, 7:]
    found["broken"] = holes, broken
    found["shifted"] = number, number.assign(number=number["number"] + 1000)
    return found


@dataclass(frozen=True)
class Judged:
    comparison: Comparison
    ours: Section
    theirs: Mapping[str, Any]


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Judged]:
    """What either says of each table."""
    root, comparisons = tmp_path_factory.mktemp("tables"), {}
    for name, (real, synthetic) in tables().items():
        comparisons[name] = comparison = Comparison.from_tables(real, synthetic)
        (root / name).mkdir()
        real.to_csv(root / name / "real.csv", index=False)
        synthetic.to_csv(root / name / "synthetic.csv", index=False)
        kinds = {column: SDTYPES[kind_of(known)] for column, known in comparison.kinds.items()}
        (root / name / "kinds.json").write_text(json.dumps(kinds))
    done = subprocess.run([ORACLE, "-c", SCRIPT, root], check=True, capture_output=True, text=True)
    theirs = json.loads(done.stdout.splitlines()[-1])
    return {name: Judged(c, fidelity(c, 0), theirs[name]) for name, c in comparisons.items()}


ALL = ["cancer", "wine", "gaps", "categories"]


def test_the_tables_hold_every_kind_of_column_and_pair(judged: dict[str, Judged]) -> None:
    found = {name: set(case.ours.details["pairs"]["kind"]) for name, case in judged.items()}
    assert found["cancer"] == {"numbers"}
    assert found["categories"] == {"categories"}
    assert found["wine"] == found["gaps"] == {"numbers", "categories", "mixed"}
    assert set(judged["gaps"].ours.details["columns"]["kind"]) == {"number", "date", "category"}
    assert judged["gaps"].comparison.real.isna().any(axis=None)


@pytest.mark.parametrize("name", ALL)
def test_column_scores_equal_those_of_sdmetrics(judged: dict[str, Judged], name: str) -> None:
    ours = judged[name].ours.details["columns"].set_index("column")["score"]
    assert ours.to_dict() == pytest.approx(judged[name].theirs["columns"], abs=SAME)
    assert ours.between(0.01, 0.999).any()


@pytest.mark.parametrize("name", ALL)
def test_pair_scores_equal_those_of_sdmetrics(judged: dict[str, Judged], name: str) -> None:
    ours = judged[name].ours.details["pairs"].set_index(["first", "second"])["score"].to_dict()
    assert ours == pytest.approx({(a, b): score for a, b, score in judged[name].theirs["pairs"]}, abs=SAME)


@pytest.mark.parametrize("name", ALL)
def test_shape_is_the_reports_column_shapes(judged: dict[str, Judged], name: str) -> None:
    assert judged[name].ours["shape"].value == pytest.approx(judged[name].theirs["shape"], abs=SAME)


@pytest.mark.parametrize("name", ["cancer", "categories"])
def test_trend_is_the_reports_column_pair_trends(judged: dict[str, Judged], name: str) -> None:
    assert judged[name].ours["trend"].value == pytest.approx(judged[name].theirs["trend"], abs=SAME)


def test_mixed_pairs_are_binned_by_the_real_column(judged: dict[str, Judged]) -> None:
    """SDMetrics' report cuts either table between its own ends, and so does not see a column that is shifted."""
    case = judged["shifted"]
    assert case.theirs["trend"] == pytest.approx(1)
    assert case.ours["trend"].value == pytest.approx(case.theirs["pairs"][0][2], abs=SAME)
    assert case.ours["trend"].value < 0.2


def test_empty_and_constant_synthetic_columns_score_zero(judged: dict[str, Judged]) -> None:
    """Where SDMetrics leaves columns and pairs out."""
    ours, theirs = judged["broken"].ours.details, judged["broken"].theirs
    assert theirs["columns"]["ward"] is None
    assert ours["columns"].set_index("column")["score"]["ward"] == 0
    undefined = {(a, b) for a, b, score in theirs["pairs"] if score is None}
    assert undefined == {(a, b) for a, b, _ in theirs["pairs"] if "mean texture" in {a, b} and {a, b} <= NUMBERS}
    lines = ours["pairs"].set_index(["first", "second"])
    for pair in undefined:
        assert lines.loc[pair, "score"] == pytest.approx(1 - abs(lines.loc[pair, "correlation_real"]) / 2)
    defined = {(a, b): score for a, b, score in theirs["pairs"] if score is not None}
    assert {pair: lines["score"][pair] for pair in defined} == pytest.approx(defined, abs=SAME)


NUMBERS = {"mean radius", "mean texture", "mean compactness", "seen"}
