"""Random tables, one family of columns at a time, so that a broken law names what breaks it."""

from __future__ import annotations

import datetime as dt
import decimal
from collections.abc import Callable, Sequence
from typing import Any, get_args

import numpy as np
import pandas as pd
import pyarrow as pa
from hypothesis import strategies as st

from synthvae import Column, Schema
from synthvae.errors import PrivacyError
from synthvae.schema.column import Kind
from synthvae.schema.domain import refuse_undeclared

Series = st.SearchStrategy[pd.Series]
Draw = Callable[[st.SearchStrategy[Any]], Any]

ROWS = st.sampled_from([1, 2, 3, 11, 40, 300])
SEEDS = st.integers(0, 2**32 - 1)
EXACT = 2**53  # doubles hold every whole number up to here
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0\x85"), max_size=8)
INTEGERS = {
    "int8": "int8", "int16": "int16", "int32": "int32", "int64": "int64",
    "uint8": "uint8", "uint16": "uint16", "uint32": "uint32", "uint64": "uint64",
    "Int8": "int8", "Int64": "int64", "UInt16": "uint16",
    "int16[pyarrow]": "int16", "int64[pyarrow]": "int64", "uint32[pyarrow]": "uint32",
}  # fmt: skip
FLOATS = {
    "float16": "float16", "float32": "float32", "float64": "float64", "Float32": "float32", "Float64": "float64",
    "float[pyarrow]": "float32", "double[pyarrow]": "float64",
}  # fmt: skip
BOOLEANS = ["bool", "boolean", "bool[pyarrow]", "object"]
TEXTS = ["string", "str", pd.ArrowDtype(pa.string()), pd.ArrowDtype(pa.large_string())]
UNITS = ["s", "ms", "us", "ns"]
ZONES = [None, "UTC", "Europe/Berlin"]
STEPS = {"s": 1, "min": 60, "D": 86_400}


def _repeat(draw: Draw, pool: Sequence[Any], rows: int) -> list[Any]:
    """`rows` values out of `pool`, each used again and again."""
    rng = np.random.default_rng(draw(SEEDS))
    return [pool[i] for i in rng.integers(0, len(pool), rows)]


def _holes(draw: Draw, values: Sequence[Any]) -> list[Any]:
    """The values, with a share of them missing: none, some or nearly all."""
    share = draw(st.sampled_from([0.0, 0.0, 0.2, 0.9]))
    gone = np.random.default_rng(draw(SEEDS)).random(len(values)) < share
    return [None if hole else value for hole, value in zip(gone, values, strict=True)]


def _series(values: Sequence[Any], dtype: Any) -> pd.Series:
    series: pd.Series = pd.Series(values, dtype=dtype)
    return series


def _numpy_holds(dtype: object) -> bool:
    """Whether a NumPy dtype has no room for a missing value."""
    return str(dtype) in {"bool", *[name for name in INTEGERS if name.islower() and "[" not in name]}


@st.composite
def integers(draw: Draw, rows: int) -> pd.Series:
    """Whole numbers of every width, few or many of them, at the edges of the type too."""
    dtype = draw(st.sampled_from(sorted(INTEGERS)))
    limits = np.iinfo(INTEGERS[dtype])
    low, high = max(int(limits.min), -EXACT), min(int(limits.max), EXACT)
    if draw(st.booleans()):
        values = _repeat(draw, draw(st.lists(st.integers(low, high), min_size=1, max_size=6)), rows)
    else:
        start, stop = sorted([draw(st.integers(low, high)), draw(st.integers(low, high))])
        values = np.random.default_rng(draw(SEEDS)).integers(start, stop, rows, endpoint=True).tolist()
    return _series(values if _numpy_holds(dtype) else _holes(draw, values), dtype)


@st.composite
def floats(draw: Draw, rows: int) -> pd.Series:
    """Fractions with few or many decimals, of every width, tiny and huge ones too."""
    dtype = draw(st.sampled_from(sorted(FLOATS)))
    width: Any = np.finfo(FLOATS[dtype]).bits
    if draw(st.booleans()):
        pool = draw(st.lists(st.floats(allow_nan=False, allow_infinity=False, width=width), min_size=1, max_size=6))
        values = _repeat(draw, pool, rows)
    else:
        numbers = np.random.default_rng(draw(SEEDS)).lognormal(size=rows) * draw(st.sampled_from([1e-3, 1.0, 50.0]))
        values = np.round(numbers, draw(st.sampled_from([0, 1, 2, 3, 15]))).tolist()
    return _series(_holes(draw, values), dtype)


@st.composite
def spiked_floats(draw: Draw, rows: int) -> pd.Series:
    """Amounts such as capital gain: mostly 0, otherwise spread out."""
    rng = np.random.default_rng(draw(SEEDS))
    amounts = np.where(rng.random(rows) < 0.5, 0.0, np.round(rng.normal(0, 1000, rows), draw(st.sampled_from([0, 2]))))
    return _series(_holes(draw, amounts.tolist()), "float64")


@st.composite
def booleans(draw: Draw, rows: int) -> pd.Series:
    """True and False in each dtype that holds them."""
    dtype = draw(st.sampled_from(BOOLEANS))
    values = _repeat(draw, [True, False], rows)
    return _series(values if dtype == "bool" else [*_holes(draw, values[:-1]), values[-1]], dtype)


@st.composite
def texts(draw: Draw, rows: int) -> pd.Series:
    """Names of any writing in each string dtype, the empty text and "NA" among them."""
    pool = draw(st.lists(TEXT | st.sampled_from(["NA", "None", "", "nan"]), min_size=1, max_size=6))
    return _series(_holes(draw, _repeat(draw, pool, rows)), draw(st.sampled_from(TEXTS)))


@st.composite
def object_texts(draw: Draw, rows: int) -> pd.Series:
    """Names as Python objects, as pandas 2 has them and as users build them."""
    pool = draw(st.lists(TEXT, min_size=1, max_size=4))
    return _series(_holes(draw, _repeat(draw, pool, rows)), object)


@st.composite
def categoricals(draw: Draw, rows: int) -> pd.Series:
    """pandas categoricals of texts or numbers, ordered or not, with categories that do not occur."""
    items = draw(st.sampled_from([TEXT, st.integers(-50, 50), st.floats(-50, 50).map(lambda x: round(x, 1) + 0.0)]))
    categories = draw(st.lists(items, min_size=1, max_size=7, unique=True))
    values = _holes(draw, _repeat(draw, categories[:3], rows))
    return pd.Series(pd.Categorical(values, categories=categories, ordered=draw(st.booleans())))


def _moments(draw: Draw, rows: int) -> list[pd.Timestamp | None]:
    """Moments between 1950 and 2050, all of one step (a day, a minute, a second)."""
    step = STEPS[draw(st.sampled_from(sorted(STEPS)))]
    first = draw(st.integers(-631_152_000 // step, 2_524_608_000 // step))
    count = draw(st.sampled_from([1, 5, 400]))
    offsets = np.random.default_rng(draw(SEEDS)).integers(0, count, rows)
    return [pd.Timestamp(int(first + offset) * step, unit="s") for offset in offsets]


@st.composite
def datetimes(draw: Draw, rows: int) -> pd.Series:
    """Moments of each unit, with a zone or without, NumPy's or Arrow's."""
    unit, zone = draw(st.sampled_from(UNITS)), draw(st.sampled_from(ZONES))
    moments = pd.Series(_holes(draw, _moments(draw, rows)), dtype="datetime64[ns]").dt.as_unit(unit)
    zoned = moments if zone is None else moments.dt.tz_localize("UTC").dt.tz_convert(zone)
    return zoned.astype(pd.ArrowDtype(pa.timestamp(unit, zone))) if draw(st.booleans()) else zoned


@st.composite
def dates(draw: Draw, rows: int) -> pd.Series:
    """Days as Python dates or Arrow's."""
    days = [moment.date() if moment is not None else None for moment in _holes(draw, _moments(draw, rows))]
    days[0] = days[0] or dt.date(1999, 12, 31)
    return _series(days, draw(st.sampled_from([object, pd.ArrowDtype(pa.date32())])))


@st.composite
def durations(draw: Draw, rows: int) -> pd.Series:
    """Spans of time, down to the unit, whole hours or not."""
    unit = draw(st.sampled_from(UNITS))
    counts = np.random.default_rng(draw(SEEDS)).integers(-1000, 10_000, rows) * draw(st.sampled_from([1, 3600]))
    return _series(_holes(draw, pd.to_timedelta(counts, unit="s").tolist()), f"timedelta64[{unit}]")


@st.composite
def times(draw: Draw, rows: int) -> pd.Series:
    """Times of day."""
    minutes = np.random.default_rng(draw(SEEDS)).integers(0, 24 * 60, rows).tolist()
    clock = _holes(draw, [dt.time(minute // 60, minute % 60) for minute in minutes])
    return _series([clock[0] or dt.time(1, 30), *clock[1:]], object)


@st.composite
def decimals(draw: Draw, rows: int) -> pd.Series:
    """Exact decimals, as databases give them for money."""
    cents = np.random.default_rng(draw(SEEDS)).integers(-(10**6), 10**6, rows).tolist()
    prices = _holes(draw, [decimal.Decimal(cent).scaleb(-2) for cent in cents])
    return _series([prices[0] or decimal.Decimal("0.01"), *prices[1:]], object)


@st.composite
def constants(draw: Draw, rows: int) -> pd.Series:
    """One value throughout, or none at all."""
    value = draw(st.sampled_from([7, 2.5, True, "x", pd.Timestamp("2020-02-29"), np.nan, pd.NaT]))
    return pd.Series([value] * rows)


FAMILIES: dict[str, Callable[[int], Series]] = {
    "integers": integers,
    "floats": floats,
    "spiked floats": spiked_floats,
    "booleans": booleans,
    "texts": texts,
    "object texts": object_texts,
    "categoricals": categoricals,
    "datetimes": datetimes,
    "dates": dates,
    "durations": durations,
    "times": times,
    "decimals": decimals,
    "constants": constants,
}


@st.composite
def frames(draw: Draw, family: str | None = None, max_columns: int = 3) -> pd.DataFrame:
    """A DataFrame with columns of one family, or of any."""
    rows = draw(ROWS)
    count = draw(st.integers(1, max_columns))
    families = [family or draw(st.sampled_from(sorted(FAMILIES))) for _ in range(count)]
    names = draw(st.lists(TEXT.filter(bool), min_size=count, max_size=count, unique=True))
    columns = [draw(FAMILIES[kind](rows)) for kind in families]
    return pd.concat(dict(zip(names, columns, strict=True)), axis=1)


def _bounded(items: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | st.tuples(items, items).map(lambda pair: tuple(sorted(pair)))


def _facts(kind: str) -> st.SearchStrategy[dict[str, Any]]:
    """What a column of `kind` may declare beyond its name."""
    number = st.integers(-(10**12), 10**12) | st.floats(-1e12, 1e12)
    moment = st.datetimes(timezones=st.just(dt.UTC)) if kind == "datetime" else st.dates()
    marks = st.lists(TEXT | st.integers(-99, 99), max_size=3, unique=True)
    values = st.lists(TEXT, max_size=4, unique=True) | st.lists(st.integers(-9, 99), max_size=4, unique=True)
    declared: dict[str, dict[str, st.SearchStrategy[Any]]] = {
        "categorical": {"categories": st.none() | values, "ordered": st.booleans()},
        "integer": {"bounds": _bounded(number), "sentinels": marks},
        "continuous": {"bounds": _bounded(number), "sentinels": marks, "decimals": st.none() | st.integers(0, 9)},
        "duration": {"bounds": _bounded(number.map(abs)), "decimals": st.none() | st.integers(0, 9)},
        "datetime": {"bounds": _bounded(moment)},
        "date": {"bounds": _bounded(moment)},
        "fake": {"provider": st.sampled_from(["name", "email"]), "locale": st.sampled_from([None, "de_DE"])},
    }
    return st.fixed_dictionaries({"nullable": st.booleans(), **declared.get(kind, {})})


@st.composite
def schema_columns(draw: Draw) -> Column:
    """Any column that contradicts nothing."""
    kind, name = draw(st.sampled_from(get_args(Kind))), draw(TEXT.filter(bool))
    event = {"event": f"the event of {name}"} if kind == "duration" else {}
    return Column(name=name, kind=kind, **event, **draw(_facts(kind)))


@st.composite
def schemas(draw: Draw) -> Schema:
    """Any schema."""
    lists = st.lists(schema_columns(), min_size=1, max_size=5, unique_by=lambda column: column.name)
    columns = draw(lists.filter(lambda found: [column.kind for column in found].count("duration") < 2))
    return Schema(columns=columns, inferred=draw(st.booleans()))


MARKS = ["N", "unknown", "-7.5", ""]
ZONES_OF_BOUNDS = [None, dt.UTC, dt.timezone(dt.timedelta(hours=5, minutes=30))]


def _cuts(draw: Draw, low: float, high: float, decimals: int | None) -> tuple[float, ...] | None:
    """Bins of a column of numbers, if such are declared, each with a number in it."""
    if draw(st.booleans()) or not low < high:
        return None
    places = np.random.default_rng(draw(SEEDS)).uniform(low, high, size=(draw(st.integers(0, 30)),))
    cuts = {float(high), *places.tolist()}
    cuts = cuts if decimals is None else {round(cut, decimals) for cut in cuts}
    first = low if decimals is None else low + 10.0**-decimals
    return tuple(sorted(cut for cut in cuts if first < cut <= high))


@st.composite
def _numbers_of(draw: Draw, kind: str) -> dict[str, Any]:
    """Bounds, bins, decimals and marks that a private column of numbers may declare."""
    decimals = None if kind == "integer" else draw(st.sampled_from([None, 0, 1, 3, 15]))
    if draw(st.booleans()):
        low = draw(st.integers(-200, 200))
        bounds: tuple[float, float] = (low, low + draw(st.integers(0, 300)))
    elif kind == "integer":
        bounds = tuple(sorted([draw(st.integers(-EXACT, EXACT)), draw(st.floats(-1e6, 1e6))]))
    else:
        edges = st.floats(allow_nan=False, allow_infinity=False)
        bounds = tuple(sorted([draw(edges), draw(edges)]))
    with np.errstate(over="ignore"):
        bins = _cuts(draw, *bounds, 0 if kind == "integer" else decimals) if max(map(abs, bounds)) < 1e9 else None
    beyond = int(bounds[1]) + 7 if abs(bounds[1]) < EXACT - 7 else "beyond"
    marks = draw(st.lists(st.sampled_from([*MARKS, beyond]), max_size=3, unique=True))
    return {"bounds": bounds, "decimals": decimals, "bins": bins, "sentinels": marks}


@st.composite
def _bounds_in_time(draw: Draw, kind: str) -> dict[str, Any]:
    """Bounds of moments or days, as dates or datetimes, in a zone or in none."""
    zone = draw(st.sampled_from(ZONES_OF_BOUNDS))
    days = st.dates(dt.date(2, 1, 1), dt.date(9998, 1, 1)) | st.dates(dt.date(2020, 1, 1), dt.date(2020, 1, 31))
    first, last = sorted([draw(days), draw(days)])
    if draw(st.booleans()):
        return {"bounds": (first, last)}
    clock = sorted([draw(st.times()), draw(st.times())]) if kind == "datetime" else [dt.time(9, 30), dt.time(17, 45)]
    moments = [dt.datetime.combine(day, time, zone) for day, time in zip((first, last), clock, strict=True)]
    return {"bounds": tuple(moments)}


@st.composite
def _categories_of(draw: Draw, kind: str) -> dict[str, Any]:
    if kind == "boolean":
        return {"categories": draw(st.sampled_from([None, ("no", "yes"), (0, 1)]))}
    items = draw(st.sampled_from([TEXT, st.integers(-9, 99), st.floats(-9, 9), st.sampled_from(["1", "01", "true"])]))
    categories = draw(st.lists(items, min_size=1, max_size=40, unique=True))
    return {
        "categories": categories,
        "other_category": draw(st.none() | st.sampled_from(categories)),
        "ordered": draw(st.booleans()),
    }


@st.composite
def declared_columns(draw: Draw, kind: str | None = None) -> Column:
    """Any column of which a private fit needs to see no value."""
    kind = kind or draw(st.sampled_from(DECLARED))
    facts: dict[str, Any] = {}
    if kind in {"integer", "continuous"}:
        facts = draw(_numbers_of(kind))
    elif kind in {"date", "datetime"}:
        facts = draw(_bounds_in_time(kind))
    elif kind != "id":
        facts = draw(_categories_of(kind))
    given = {name: value for name, value in facts.items() if value is not None}
    return Column(name=draw(TEXT.filter(bool)), kind=kind, nullable=draw(st.booleans()), **given)


def _is_possible(schema: Schema) -> bool:
    try:
        refuse_undeclared(schema)
    except PrivacyError:  # no whole second or number lies between such bounds
        return False
    return True


@st.composite
def declared_schemas(draw: Draw, kind: str | None = None, max_columns: int = 3) -> Schema:
    """Any schema that a private fit takes."""
    columns = st.lists(declared_columns(kind), min_size=1, max_size=max_columns, unique_by=lambda column: column.name)
    schema: Schema = draw(columns.map(lambda chosen: Schema(columns=chosen)).filter(_is_possible))
    return schema


DECLARED = ["categorical", "integer", "continuous", "boolean", "datetime", "date", "id"]
ODD_TEXTS = [
    "nan", "NaN", "inf", "-1e999", "18446744073709551616", "-1", "1", "1.0", "01", " 2 ", "0.30000000000000004", "1e3",
    "true", "False", "yes", "N", "unknown", "", "9999-12-31", "0001-01-01T00:00:00+10:00", "2020-01-15",
    "2020-01-15T12:30:00.123456789Z", "2020-01-15 12:30:00+05:30", "20200115", "2020-13-01", "0x10", "é", "\uff11",
]  # fmt: skip
INT64 = [0, 1, 2, -1, 7, 45, 120, -(2**63), 2**63 - 1, 20200115]
DOUBLES = [0.0, -0.0, 1.0, 0.5, 1.5, -3.25, 1e16, 1e300, -1e300, 5e-324, float("nan"), float("inf"), float("-inf")]
TYPES: dict[str, tuple[pa.DataType, list[Any]]] = {
    **{str(kind): (kind, ODD_TEXTS) for kind in (pa.string(), pa.large_string(), pa.string_view())},
    "dictionary": (pa.dictionary(pa.int8(), pa.string()), ODD_TEXTS),
    "dictionary of views": (pa.dictionary(pa.int32(), pa.string_view()), ODD_TEXTS),
    "dictionary of numbers": (pa.dictionary(pa.int8(), pa.int64()), INT64),
    "int64": (pa.int64(), INT64),
    "int8": (pa.int8(), [0, 1, -128, 127]),
    "uint64": (pa.uint64(), [0, 1, 2**64 - 1]),
    "float16": (pa.float16(), [np.float16(value) for value in (0, 1, 0.5, -2, "nan", "inf")]),
    "float32": (pa.float32(), [0.0, 1.0, 0.5, -3.25, float("nan"), float("inf")]),
    "float64": (pa.float64(), DOUBLES),
    "bool": (pa.bool_(), [True, False]),
    "decimal128": (pa.decimal128(30, 3), [decimal.Decimal(text) for text in ("1", "1.500", "-2", "1e20")]),
    "decimal256": (pa.decimal256(70, 0), [decimal.Decimal(1), decimal.Decimal(10) ** 69]),
    "date32": (pa.date32(), [0, 18276, 2**31 - 1, -(2**31)]),
    "date64": (pa.date64(), [0, 18276 * 86_400_000]),
    **{
        f"timestamp {unit} {zone}": (pa.timestamp(unit, zone), [0, 1_579_091_400 * 10**digits, 2**63 - 1, -(2**63) + 1])
        for digits, unit in [(0, "s"), (3, "ms"), (6, "us"), (9, "ns")]
        for zone in (None, "Asia/Kolkata")
    },
    "time": (pa.time32("s"), [0, 3600]),
    "duration": (pa.duration("ns"), [0, 3600, 2**63 - 1]),
    "binary": (pa.binary(), [b"1", b"\xff\xfe", b"2020-01-15"]),
    "list": (pa.list_(pa.int64()), [[], [1], [1, 2]]),
    "struct": (pa.struct({"a": pa.int64()}), [{"a": 1}]),
    "null": (pa.null(), []),
}


def _own_values(column: Column, kind: pa.DataType) -> list[Any]:
    """What a column allows, and what lies next to it, as values of a type."""
    numbers = [float(bound) for bound in column.bounds or () if isinstance(bound, (int, float))]
    near = [*numbers, *(number + step for number in numbers for step in (-1, 1))]
    if pa.types.is_float64(kind):
        return near
    if pa.types.is_string(kind):
        moments = [bound.isoformat() for bound in column.bounds or () if isinstance(bound, dt.date)]
        return [*map(str, column.categories or ()), *map(str, column.sentinels), *map(repr, near), *moments]
    return [int(number) for number in near if abs(number) < 2**62] if pa.types.is_int64(kind) else []


@st.composite
def any_values(draw: Draw, column: Column, rows: int, name: str | None = None) -> pa.ChunkedArray:
    """Values of any type (or of that `name`d), whatever the column allows."""
    kind, pool = TYPES[name or draw(st.sampled_from(sorted(TYPES)))]
    values = _repeat(draw, [None, *pool, *_own_values(column, kind)], rows)
    if pa.types.is_dictionary(kind):
        places = pa.array([None if value is None else pool.index(value) for value in values], kind.index_type)
        dictionary = pa.array(pool, kind.value_type)
        return pa.chunked_array([pa.DictionaryArray.from_arrays(places, dictionary)])
    return pa.chunked_array([pa.array(values, pa.int32() if kind == pa.date32() else kind).cast(kind)])


@st.composite
def any_tables(draw: Draw, schema: Schema, rows: int | None = None) -> pa.Table:
    """A table with the columns of a schema, which it may violate in each value and type."""
    count = draw(st.sampled_from([0, 1, 2, 11, 40])) if rows is None else rows
    return pa.table({column.name: draw(any_values(column, count)) for column in schema.columns})
