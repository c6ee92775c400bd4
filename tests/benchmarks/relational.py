"""Linked tables on real data: python tests/benchmarks/relational.py --data DIR [--out DIR] [--only NAME ...]
    [--max-steps N] [--epsilon E].

DIR is the folder of the real tables, with `relational/baseball`, `relational/pbcseq`, `relational/cdisc_pilot` and
`mimic3demo_*`. Prints for each database the seconds of fit and draw, whether all keys are whole, and what is particular
to it. Synthetic tables are written to `--out`, for a judge of linked tables. With `--epsilon`, baseball is fitted under
a privacy budget of its players (delta 1e-5, at most 40 rows of a player), without years of birth and death.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from synthvae.evaluation.utility.event_times import CensoredTimes, curve_distance, kaplan_meier
from synthvae.relational import Database, DatabaseSynthesizer
from synthvae.schema import linkage

Frames = dict[str, pd.DataFrame]
LABS = ("bili", "albumin", "protime")
HALVES = 50  # random splits of the patients


def read(path: Path) -> pd.DataFrame:
    """Read a table; only an empty field is missing."""
    return pd.read_csv(path, keep_default_na=False, na_values=[""], low_memory=False)


@dataclass(frozen=True)
class Case:
    """A real database, the number of subjects to draw, and the figures that are particular to it.

    Under a privacy budget, it has declared schemas and the most rows of a subject that are used.
    """

    tables: Frames
    keys: dict[str, Any]
    subjects: int
    figures: Callable[[Frames], dict[str, float]]
    declared: dict[str, Any] | None = None
    caps: dict[str, int] | None = None


def baseball(data: Path) -> Case:
    folder = data / "relational" / "baseball" / "train"
    tables = {name: read(folder / f"{name}.csv.gz") for name in ("players", "fielding")}
    keys = {
        "primary_keys": {"players": "playerID"},
        "foreign_keys": [("fielding", "playerID", "players", "playerID")],
        "order": {"fielding": "yearID"},
        "unique": {"fielding": ("yearID", "teamID", "POS")},
    }

    def figures(found: Frames) -> dict[str, float]:
        seasons = found["fielding"]
        before = seasons.groupby("playerID")["teamID"].shift()
        return {
            "same team as in the row before": float((seasons["teamID"] == before)[before.notna()].mean()),
            "GS <= G": float((seasons["GS"] <= seasons["G"])[seasons["GS"].notna()].mean()),
        }

    return Case(tables, keys, 10_000, figures, declared_baseball(tables), {"fielding": 40})


def declared_baseball(tables: Frames) -> dict[str, Any]:
    """What is public of baseball: the categories, and wide bounds of numbers."""
    bounds: dict[str, dict[str, tuple[int, int]]] = {
        "players": {"weight": (50, 350), "height": (40, 90)},
        "fielding": {
            "yearID": (1871, 2019), "G": (1, 165), "GS": (0, 165), "InnOuts": (0, 4500), "PO": (0, 2000), "A": (0, 700),
            "E": (0, 150), "DP": (0, 200),
        },
    }  # fmt: skip
    found: dict[str, Any] = {}
    for name, numbers in bounds.items():
        dropped = ["birthYear", "deathYear"] if name == "players" else []
        columns = []
        for column, values in tables[name].drop(columns=["playerID", *dropped]).items():
            kind: dict[str, Any] = {"kind": "categorical", "categories": sorted(values.dropna().unique())}
            if column in numbers:
                kind = {"kind": "integer", "bounds": numbers[column]}
            columns.append({"name": column, **kind, "nullable": bool(values.isna().any())})
        found[name] = {"columns": columns, "drop": dropped}
    return found


def pbcseq(data: Path) -> Case:
    visits = read(data / "relational" / "pbcseq" / "pbcseq.csv")
    tables = {"patients": visits[["id"]].drop_duplicates().reset_index(drop=True), "visits": visits}
    keys = {
        "primary_keys": {"patients": "id"},
        "foreign_keys": [("visits", "id", "patients", "id")],
        "order": {"visits": "day"},
    }

    def figures(found: Frames) -> dict[str, float]:
        real, rows = found is tables, found["visits"].sort_values(["id", "day"], kind="stable")
        lags = {lab: float(rows[lab].corr(rows.groupby("id")[lab].shift())) for lab in LABS}
        ranks = rows.assign(**rows[list(LABS)].rank())
        of_ranks = {lab: float(ranks[lab].corr(ranks.groupby("id")[lab].shift())) for lab in LABS}
        return {
            **{f"lag of {lab}": lag for lab, lag in lags.items()},
            **{f"lag of ranks of {lab}": lag for lab, lag in of_ranks.items()},
            "day <= futime": float((rows["day"] <= rows["futime"]).mean()),
            "area between Kaplan-Meier curves (real: of random halves)": halves(visits) if real else area(visits, rows),
        }

    return Case(tables, keys, 3120, figures)


def curve(visits: pd.DataFrame) -> Any:
    """The Kaplan-Meier curve of the death of patients; transplants are censored."""
    patients = visits.groupby("id").first()
    return kaplan_meier(CensoredTimes(patients["futime"].to_numpy(float), patients["status"].eq(2).to_numpy()))


def area(one: pd.DataFrame, other: pd.DataFrame) -> float:
    """The area between the curves of patients, as a share of the follow-up of the first ones."""
    return curve_distance(curve(one), curve(other), float(one["futime"].max()))


def halves(visits: pd.DataFrame) -> float:
    """The mean area between the curves of random halves of patients."""
    owner = visits["id"].to_numpy()
    found = []
    for seed in range(HALVES):
        first = np.isin(owner, np.random.default_rng(seed).permutation(np.unique(owner))[::2])
        found.append(area(visits[first], visits[~first]))
    return float(np.mean(found))


def mimic(data: Path) -> Case:
    names = {"patients": "patients.csv", "admissions": "admissions.csv", "diagnoses": "diagnoses_icd.csv"}
    tables = {name: read(data / f"mimic3demo_{file}") for name, file in names.items()}
    tables["prescriptions"] = read(data / "mimic3demo_prescriptions.csv.gz")
    links = [("admissions", "subject_id", "patients", "subject_id")]
    for name in ("diagnoses", "prescriptions"):
        links += [(name, "hadm_id", "admissions", "hadm_id"), (name, "subject_id", "patients", "subject_id")]
    coded = {"admissions": ["diagnosis"], "prescriptions": ["ndc", "gsn", "icustay_id"]}
    keys = {
        "primary_keys": {
            "patients": "subject_id",
            "admissions": "hadm_id",
            "diagnoses": "row_id",
            "prescriptions": "row_id",
        },
        "foreign_keys": links,
        "order": {"admissions": "admittime", "diagnoses": "seq_num", "prescriptions": "startdate"},
        "schemas": categories(coded),
    }

    def figures(found: Frames) -> dict[str, float]:
        stays = found["admissions"]
        doses = found["prescriptions"].merge(stays, on="hadm_id")
        inside = (doses["startdate"].str[:10] >= doses["admittime"].str[:10]) & (
            doses["startdate"] <= doses["dischtime"]
        )
        return {
            "discharge after admission": float((stays["dischtime"] >= stays["admittime"]).mean()),
            "prescription within the stay": float(inside.mean()),
        }

    return Case(tables, keys, 100, figures)


def cdisc(data: Path) -> Case:
    folder = data / "relational" / "cdisc_pilot"
    numbered = {"ae": "AESEQ", "cm": "CMSEQ", "ds": "DSSEQ", "ex": "EXSEQ", "mh": "MHSEQ", "pc": "PCSEQ"}
    others = [*numbered, "sv", "suppdm"]
    tables = {name: read(folder / f"{name}.csv") for name in ("dm", *others, "suppae")}
    links: list[Any] = [(name, "USUBJID", "dm", "USUBJID") for name in others]
    links += [("suppae", ["USUBJID", "IDVARVAL"], "ae", ["USUBJID", "AESEQ"]), ("suppae", "USUBJID", "dm", "USUBJID")]
    schemas = categories({"dm": ["RFPENDTC"], "ds": ["DSDTC"], "mh": ["MHTERM"]})
    schemas["dm"]["columns"].append({"name": "SUBJID", "kind": "id"})
    keys = {
        "primary_keys": {"dm": "USUBJID", **{name: ("USUBJID", number) for name, number in numbered.items()}},
        "foreign_keys": links,
        "order": {**numbered, "sv": "SVSTDTC"},
        "schemas": schemas,
    }

    def figures(found: Frames) -> dict[str, float]:
        return {
            "visit ends after its start": in_order(found["sv"], "SVSTDTC", "SVENDTC"),
            "exposure ends after its start": in_order(found["ex"], "EXSTDTC", "EXENDTC"),
            "end of reference after its start": in_order(found["dm"], "RFSTDTC", "RFENDTC"),
        }

    return Case(tables, keys, 306, figures)


def categories(columns: dict[str, list[str]]) -> dict[str, Any]:
    """Schemas that declare columns as categories."""
    return {n: {"columns": [{"name": c, "kind": "categorical"} for c in names]} for n, names in columns.items()}


def in_order(rows: pd.DataFrame, first: str, last: str) -> float:
    """The share of rows, of those with both dates, whose dates are in order."""
    known = rows.dropna(subset=[first, last])
    return float((known[first] <= known[last]).mean())


CASES = {"baseball": baseball, "pbcseq": pbcseq, "mimic": mimic, "cdisc": cdisc}


def run(name: str, case: Case, options: argparse.Namespace) -> None:
    keys = case.keys
    budget: dict[str, Any] | None = None
    if options.epsilon is not None and case.declared is not None:
        keys = {**keys, "schemas": case.declared}
        subjects = len(case.tables[next(iter(case.tables))])
        budget = {"epsilon": options.epsilon, "delta": 1e-5, "rows": subjects, "rows_of_tables": case.caps}
    database = Database(tables=case.tables, **keys)
    began = time.perf_counter()
    synthesizer = DatabaseSynthesizer(
        database, max_steps=options.max_steps, protect=options.protect, privacy=budget, random_state=options.seed
    ).fit()
    fitted = time.perf_counter()
    found = synthesizer.sample(subjects=case.subjects)
    drawn = time.perf_counter()
    linkage.read(Database(tables=case.tables, **case.keys), found)  # raises an error if a key is broken
    types = all((found[n].dtypes == case.tables[n].dtypes[found[n].columns]).all() for n in found)
    seconds = f"fit {fitted - began:.0f} s, draw {drawn - fitted:.1f} s"
    print(f"{name}: {seconds}, keys whole, dtypes {'same' if types else 'OTHER'}")
    real, synthetic = case.figures(case.tables), case.figures(found)
    for figure, value in real.items():
        print(f"  {figure}: real {value:.3f}, synthetic {synthetic[figure]:.3f}")
    rows = {n: (len(case.tables[n]), len(table)) for n, table in found.items()}
    print(f"  rows, real and synthetic: {rows}", flush=True)
    if (out := options.out) is not None:
        (out / name).mkdir(parents=True, exist_ok=True)
        for table, frame in found.items():
            frame.to_csv(out / name / f"{table}.csv", index=False)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--only", nargs="*", choices=list(CASES), default=list(CASES))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epsilon", type=float, help="the privacy budget of a subject; default: none")
    parser.add_argument("--protect", type=int, default=5, help="the smallest number of subjects of a value")
    parser.add_argument("--max-steps", type=int, help="steps per table; default: as many as `fit` takes")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    for chosen in options.only:
        run(chosen, CASES[chosen](options.data), options)
