"""Laws of rows that keep rules: whatever a model has learned, whatever its table is like."""

from __future__ import annotations

import datetime as dt
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from fabricated import RULES, hospital
from scipy.stats import ks_2samp

from synthvae import Column, Schema, Synthesizer
from synthvae.errors import RequestError, TableError
from synthvae.generation import ruled
from synthvae.generation.drawing import Drawing
from synthvae.generation.request import Request
from synthvae.schema import FixedCombinations, Formula, If, Inequality, Sum, Unique
from synthvae.schema.constraints.comparable import frame_of

ROWS, DRAWN = 600, 400
UNTRAINED: dict[str, Any] = {"max_steps": 1, "width": 16, "latent_dim": 2, "device": "cpu", "random_state": 0}
COMPUTED = ["nights", "bill", "bmi"]


@pytest.fixture(scope="module")
def stays() -> pd.DataFrame:
    """Stays that keep all rules."""
    return hospital(ROWS)


def unbounded(table: pd.DataFrame, rules: tuple[Any, ...] = RULES) -> Schema:
    """The inferred schema with rules, but without bounds of computed columns, which no mask keeps."""
    schema = Schema.infer(table)
    columns = [c.model_copy(update={"bounds": None}) if c.name in COMPUTED else c for c in schema.columns]
    return schema.model_copy(update={"columns": tuple(columns), "constraints": rules})


def refuse_broken(table: pd.DataFrame, rows: pd.DataFrame, schema: Schema) -> None:
    """Fail if a row breaks a rule, or if nearly all values that the rule needs are missing."""
    for rule in schema.constraints:
        real, drawn = (
            frame_of(pa.Table.from_pandas(part, preserve_index=False), schema, rule.touches) for part in (table, rows)
        )
        assert rule.learned(real).holds(drawn, schema).all(), str(rule)
        assert drawn.isna().mean().max() < max(0.5, 3 * real.isna().mean().max()), str(rule)


def with_missing(table: pd.DataFrame) -> pd.DataFrame:
    """The table with a tenth of the values missing, in most columns."""
    rng = np.random.default_rng(0)
    kept = {"drug", "dose"}
    return table.assign(
        **{str(n): table[n].astype(object).where(rng.random(len(table)) > 0.1) for n in table if n not in kept}
    )


def with_texts(table: pd.DataFrame) -> pd.DataFrame:
    """The table with its dates and some numbers as text."""
    dates = {name: table[name].dt.strftime("%d/%m/%Y") for name in ("born", "admitted", "discharged")}
    numbers = ("care", "drugs", "lab", "bill", "height", "bmi")
    return table.assign(**dates, **{name: table[name].map("{:.2f}".format).str.replace(".", ",") for name in numbers})


def with_categories(table: pd.DataFrame) -> pd.DataFrame:
    return table.astype(dict.fromkeys(["department", "ward", "sex", "drug"], "category"))


def with_zones(table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(**{n: table[n].dt.tz_localize("Europe/Paris") for n in ("born", "admitted", "discharged")})


@pytest.mark.parametrize(
    ("change", "parameters"),
    [
        (pd.DataFrame.copy, {}),
        (with_missing, {}),
        (with_texts, {}),
        (with_categories, {}),
        (with_zones, {}),
        (pd.DataFrame.copy, {"target": "department"}),
        (pd.DataFrame.copy, {"target": "sex"}),
        (pd.DataFrame.copy, {"target": "weight"}),
        (pd.DataFrame.copy, {"target": "bill"}),
        (pd.DataFrame.copy, {"decoder": "factorized"}),
        (with_missing, {"decoder": "factorized"}),
        (pd.DataFrame.copy, {"order": "information"}),
    ],
)
def test_rows_of_an_untrained_model_keep_every_rule_and_none_is_drawn_again(
    change: Any, parameters: dict[str, Any], stays: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = change(stays)
    schema = unbounded(table)
    monkeypatch.setattr(ruled, "MAX_ROUNDS", 1)
    rows = Synthesizer(schema=schema, **UNTRAINED, **parameters).fit(table).sample(DRAWN)
    refuse_broken(table, rows, schema)
    assert rows.dtypes.equals(table.convert_dtypes(infer_objects=True).dtypes) or rows.dtypes.equals(table.dtypes)


def test_rows_keep_the_rules_in_an_order_of_columns_that_a_user_chooses(stays: pd.DataFrame) -> None:
    schema = unbounded(stays)
    rows = Synthesizer(schema=schema, order=[str(name) for name in stays][::-1], **UNTRAINED).fit(stays).sample(DRAWN)
    refuse_broken(stays, rows, schema)


def test_computed_columns_stay_within_their_bounds(stays: pd.DataFrame) -> None:
    rows = Synthesizer(schema=Schema(constraints=RULES), **UNTRAINED).fit(stays).sample(DRAWN)
    for name in COMPUTED:
        assert rows[name].between(stays[name].min(), stays[name].max()).all()


def test_rows_that_are_drawn_again_keep_their_ids_and_change_no_other_row(
    stays: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rows of the first round that keep the rules are those of the last one; ids follow each other."""
    keyed = stays.assign(stay=[f"S-{number:05d}" for number in range(ROWS)])
    rounds: list[tuple[pa.Table, pa.Table]] = []
    put = ruled.replaced

    def replaced(table: pa.Table, places: Any, rows: pa.Table) -> pa.Table:
        rounds.append((table, put(table, places, rows)))
        kept = np.setdiff1d(np.arange(table.num_rows), places)
        assert table.take(kept).equals(rounds[-1][1].take(kept))
        assert rounds[-1][1].take(places).equals(rows)
        return rounds[-1][1]

    monkeypatch.setattr(ruled, "replaced", replaced)
    schema = Schema(columns=(Column(name="stay", kind="id"),), constraints=RULES)
    synthesizer = Synthesizer(schema=schema, **UNTRAINED).fit(keyed)
    rows = synthesizer.sample(DRAWN)
    assert rounds
    numbers = rows["stay"].str.removeprefix("S-").astype(int)
    assert (numbers.diff().dropna() == 1).all()
    refuse_broken(stays, rows, synthesizer.schema_)


@pytest.mark.slow
def test_a_seed_a_saved_model_and_another_process_give_the_same_rows(stays: pd.DataFrame, tmp_path: Path) -> None:
    synthesizer = Synthesizer(target="department", schema=Schema(constraints=RULES), **UNTRAINED).fit(stays)
    synthesizer.save(tmp_path / "model")
    rows = synthesizer.sample(DRAWN, random_state=3)
    pd.testing.assert_frame_equal(rows, synthesizer.sample(DRAWN, random_state=3))
    pd.testing.assert_frame_equal(rows, Synthesizer.load(tmp_path / "model").sample(DRAWN, random_state=3))
    learned = synthesizer.learned_
    drawing = Drawing(learned.model, learned.encoding, Request((50, 60, 70, 80), 3, part_rows=100))
    sent = pickle.loads(pickle.dumps(drawing))
    parts = [drawing(part) for part in range(3)]
    assert parts == [sent(part) for part in range(3)]
    assert sum(part.num_rows for part in parts) == 260
    schema = synthesizer.schema_
    refuse_broken(stays, pa.concat_tables(parts).to_pandas(), schema)


def test_rows_like_given_ones_keep_the_rules(stays: pd.DataFrame) -> None:
    schema = unbounded(stays)
    synthesizer = Synthesizer(schema=schema, **UNTRAINED).fit(stays)
    refuse_broken(stays, synthesizer.sample_like(stays.head(20), n=3), schema)


@pytest.mark.slow
def test_stays_are_as_long_as_real_ones() -> None:
    """The distance of two dates has its own distribution, which neither of them shows."""
    table = hospital(2000)
    parameters: dict[str, Any] = {**UNTRAINED, "max_steps": 250, "width": 64}
    rows = Synthesizer(schema=Schema(constraints=RULES), **parameters).fit(table).sample(4000)
    assert ks_2samp(rows["nights"], table["nights"]).statistic < 0.06


def test_rules_are_kept_under_a_budget() -> None:
    rng = np.random.default_rng(0)
    low = rng.integers(0, 80, 300)
    table = pd.DataFrame({"low": low, "high": low + rng.integers(0, 20, 300), "part": rng.integers(0, 50, 300)})
    table["total"] = table["low"] + table["part"]
    bounds = {"low": (0, 100), "high": (0, 100), "part": (0, 50), "total": (0, 150)}
    columns = tuple(Column(name=n, kind="integer", bounds=ends, nullable=False) for n, ends in bounds.items())
    rules = Inequality(columns=["low", "high"]), Sum(total="total", parts=["low", "part"])
    schema = Schema(columns=columns, constraints=rules)
    parameters = {**UNTRAINED, "random_state": None, "privacy": {"epsilon": 2.0, "delta": 1e-5}}
    rows = Synthesizer(schema=schema, **parameters).fit(table).sample(DRAWN)
    refuse_broken(table, rows, schema)
    assert rows["total"].between(0, 150).all()


def test_rules_that_no_row_is_likely_to_keep_end_with_an_error(
    stays: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ruled, "MAX_ROUNDS", 1)
    few = stays.assign(bmi=1.0, weight=stays["height"] ** 2)[["height", "weight", "bmi"]]
    schema = Schema(constraints=(Formula(column="bmi", expression="weight / height ** 2"),))
    synthesizer = Synthesizer(schema=schema, **UNTRAINED).fit(few)
    with pytest.raises(RequestError, match="bmi = weight / height"):
        synthesizer.sample(50)


def test_distinct_rows_need_a_column_of_ids(stays: pd.DataFrame) -> None:
    rule = Unique(columns=["ward", "admitted"])
    table = stays.drop_duplicates(["ward", "admitted"])
    with pytest.raises(TableError, match="must be on a column of ids"):
        Synthesizer(schema=Schema(constraints=(rule,)), **UNTRAINED).fit(table)
    keyed = table.assign(stay=np.arange(len(table)))
    columns = (Column(name="stay", kind="id"),)
    schema = Schema(columns=columns, constraints=(Unique(columns=["ward", "stay"]),))
    rows = Synthesizer(schema=schema, **UNTRAINED).fit(keyed).sample(DRAWN)
    assert not rows.duplicated(["ward", "stay"]).any()


def test_many_rules_on_one_column_leave_few_intervals() -> None:
    rng = np.random.default_rng(0)
    age = rng.integers(0, 100, 500)
    table = pd.DataFrame({"group": [f"g{one // 5}" for one in age], "age": age})
    bands = [(low, low + 4, f"g{low // 5}") for low in range(0, 100, 5)]
    rules = tuple(
        If(condition={"column": "age", "between": [low, high]}, then={"column": "group", "in": [group]})
        for low, high, group in bands
    )
    schema = Schema(constraints=rules)
    rows = Synthesizer(schema=schema, order=["group", "age"], **UNTRAINED).fit(table).sample(DRAWN)
    assert (rows["group"] == "g" + (rows["age"] // 5).astype(str)).all()


@pytest.mark.parametrize(
    ("values", "named"),
    [
        (np.array([False, True]), 1),
        (np.array([False, True]), "true"),
        (np.array([0, 1]), True),
        (np.array(["no", "true"]), "true"),
        (np.array(["false", "true"]), True),
        (np.array(["2020-01-01", "2020-01-02"], "datetime64[us]"), "2020-01-02"),
        (np.array(["2020-01-01", "2020-01-02"], "datetime64[us]"), pd.Timestamp("2020-01-02")),
        (np.array([dt.date(2020, 1, 1), dt.date(2020, 1, 2)]), dt.date(2020, 1, 2)),
        (np.array(["2020-01-01", "2020-01-02"]), "2020-01-02"),
    ],
)
def test_a_condition_names_a_value_as_people_write_it(values: Any, named: Any) -> None:
    rng = np.random.default_rng(0)
    place = rng.integers(0, 2, 400)
    table = pd.DataFrame({"flag": values[place], "kind": np.where(place == 1, "a", rng.choice(list("abc"), 400))})
    rule = If(condition={"column": "flag", "in": [named]}, then={"column": "kind", "in": ["a"]})
    rows = Synthesizer(schema=Schema(constraints=(rule,)), **UNTRAINED).fit(table).sample(DRAWN)
    met = rows["flag"].astype(str) == pd.Series(values[place]).astype(str)[np.argmax(place)]
    assert met.any()
    assert (rows.loc[met, "kind"] == "a").all()
    assert rule.holds(rows).all()


def test_combinations_with_rare_values_are_not_mixed_by_their_protection() -> None:
    rng = np.random.default_rng(0)
    department = rng.choice(["med", "sur"], 800)
    shares = [0.6, 0.395, 0.005]
    pair = rng.choice(["M1", "M2", "M3"], 800, p=shares), rng.choice(["S1", "S2", "S3"], 800, p=shares)
    table = pd.DataFrame({"department": department, "ward": np.where(department == "med", *pair)})
    rule = FixedCombinations(columns=["department", "ward"])
    synthesizer = Synthesizer(schema=Schema(constraints=(rule,)), **UNTRAINED).fit(table)
    assert rule.learned(table).holds(synthesizer.sample(DRAWN)).all()
    assert "M3" not in synthesizer.learned_.encoding.model_dump_json()


def test_a_combination_of_one_row_is_not_in_the_model() -> None:
    rng = np.random.default_rng(0)
    department = rng.choice(["med", "sur", "eye"], 600)
    table = pd.DataFrame({"department": department, "ward": np.char.add(department, rng.choice(["1", "2"], 600))})
    table.loc[table["department"] == "eye", "ward"] = [f"{name}1" for name in rng.choice(["med", "sur", "eye"], 600)][
        : int((table["department"] == "eye").sum())
    ]
    table.loc[0] = ["med", "sur1"]
    rule = FixedCombinations(columns=["department", "ward"])
    with pytest.warns(UserWarning, match="1 of 8 combinations have fewer than 5 subjects"):
        synthesizer = Synthesizer(schema=Schema(constraints=(rule,)), **UNTRAINED).fit(table)
    rows = synthesizer.sample(DRAWN)
    assert rule.learned(table.drop(index=0)).holds(rows).all()
    open_model = Synthesizer(schema=Schema(constraints=(rule,)), protect=0, **UNTRAINED).fit(table)
    drawn = open_model.sample(DRAWN)
    assert ((drawn["department"] == "med") & (drawn["ward"] == "sur1")).any()


def test_a_value_without_a_frequent_combination_is_never_drawn() -> None:
    pairs = [("a", f"{letter}") for letter in "pqrs"] * 20 + [("b", letter) for letter in "pqrs"] * 2
    table = pd.DataFrame(pairs, columns=["first", "second"])
    schema = Schema(constraints=(FixedCombinations(columns=["first", "second"]),))
    with pytest.warns(UserWarning, match="4 of 8 combinations"):
        synthesizer = Synthesizer(schema=schema, **UNTRAINED).fit(table)
    assert set(synthesizer.sample(DRAWN)["first"]) == {"a"}


@pytest.mark.slow
def test_missing_values_stay_as_frequent_as_the_model_has_them() -> None:
    rng = np.random.default_rng(0)
    low = rng.integers(0, 20, 1500).astype(float)
    table = pd.DataFrame({"low": low, "high": np.where(rng.random(1500) < 0.3, np.nan, rng.integers(low, 21))})
    parameters: dict[str, Any] = {**UNTRAINED, "max_steps": 100}
    rules = (Inequality(columns=["low", "high"]),)
    free, ruled_rows = (
        Synthesizer(schema=schema, **parameters).fit(table).sample(4000) for schema in (None, Schema(constraints=rules))
    )
    assert abs(free["high"].isna().mean() - ruled_rows["high"].isna().mean()) < 0.04


def test_sums_beyond_the_whole_numbers_of_doubles_are_refused() -> None:
    first = 2**60 + np.random.default_rng(0).integers(0, 2**40, 200)
    table = pd.DataFrame({"a": first, "b": first // 3, "c": first + first // 3})
    with pytest.raises(TableError, match=r"within 2\*\*53"):
        Synthesizer(schema=Schema(constraints=(Sum(total="c", parts=["a", "b"]),)), **UNTRAINED).fit(table)


def test_models_without_rules_draw_what_they_drew(fitted: Synthesizer) -> None:
    document = fitted.learned_.encoding.model_dump(mode="json")
    assert "rules" not in document
    assert fitted.learned_.encoding.compiled_rules is None
