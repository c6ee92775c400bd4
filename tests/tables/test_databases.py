"""Rows of a query come from SQLite and a real PostgreSQL, and no secret of a URL is in any message."""

from __future__ import annotations

import datetime as dt
import os
import shutil
import socket
import sqlite3
import subprocess
import tempfile
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from synthvae.cli.main import app
from synthvae.errors import TableError
from synthvae.tables import databases, read, rowwise
from synthvae.tables.databases import DatabaseUrl

pytest.importorskip("adbc_driver_sqlite")
pytest.importorskip("adbc_driver_postgresql")

pytestmark = pytest.mark.xdist_group("postgresql")  # one server

SECRET = "s3cret-w0rd"
BINARIES = sorted(Path("/usr/lib/postgresql").glob("*/bin"))


@pytest.fixture(scope="module")
def lite(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("lite") / "my clinic.db"
    with sqlite3.connect(path) as base:
        base.execute("CREATE TABLE visits (age INTEGER, ward TEXT, crp REAL, mixed)")
        base.executemany("INSERT INTO visits VALUES (?, ?, ?, ?)", [(50, "007", 0.5, 1), (None, "012", None, "x")])
    return f"sqlite:///{path}"


def as_owner() -> dict[str, Any]:
    """PostgreSQL refuses to run as root."""
    return {"user": "postgres", "group": "postgres"} if os.getuid() == 0 else {}


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The URL of a PostgreSQL server that this module starts."""
    if not BINARIES:
        pytest.skip("Debian's package postgresql is not installed")
    folder = Path(tempfile.mkdtemp(prefix="synthvae-postgres-", dir="/tmp"))  # the path of a socket must be short
    if as_owner():
        shutil.chown(folder, "postgres", "postgres")
    word = folder / "word"
    word.write_text(SECRET)
    word.chmod(0o644)

    def run(*words: object) -> None:
        done = subprocess.run(
            list(map(str, words)), cwd=folder, capture_output=True, text=True, check=False, **as_owner()
        )
        assert done.returncode == 0, done.stderr

    data, tools = folder / "data", BINARIES[-1]
    try:
        run(tools / "initdb", "-D", data, "-U", "ann", "-A", "scram-sha-256", f"--pwfile={word}", "-E", "UTF8", "-N")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]  # free a moment ago, and taken by another program in between hardly ever
        options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder} -c fsync=off"
        run(tools / "pg_ctl", "-D", data, "-w", "-t", "240", "-l", folder / "log", "-o", options, "start")
        yield f"postgresql://ann:{SECRET}@127.0.0.1:{port}/postgres"
    finally:
        subprocess.run(
            [tools / "pg_ctl", "-D", data, "-m", "immediate", "stop"], capture_output=True, check=False, **as_owner()
        )
        shutil.rmtree(folder, ignore_errors=True)


def test_sqlite_is_read(lite: str) -> None:
    table = read(lite, query="SELECT age, ward, crp FROM visits")
    assert table.to_pydict() == {"age": [50, None], "ward": ["007", "012"], "crp": [0.5, None]}
    assert str(DatabaseUrl.parse(lite)).startswith("sqlite:////")
    assert read(lite, query="SELECT ward FROM visits WHERE 1 = 0").num_rows == 0


def test_sqlite_is_not_written_and_not_created(lite: str, tmp_path: Path) -> None:
    with pytest.raises(TableError, match="cannot be read"):
        read(lite, query="DELETE FROM visits")
    assert read(lite, query="SELECT * FROM visits LIMIT 1").num_rows == 1
    with pytest.raises(FileNotFoundError, match="No such table"):
        read(f"sqlite:///{tmp_path}/absent.db", query="SELECT 1")
    assert not list(tmp_path.iterdir())


def test_a_column_of_several_types_names_the_way_out(lite: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(databases, "BATCH_ROWS", 1)
    with pytest.raises(TableError, match="CAST columns of several types AS TEXT"):
        read(lite, query="SELECT mixed FROM visits")
    assert read(lite, query="SELECT CAST(mixed AS TEXT) AS mixed FROM visits")["mixed"].to_pylist() == ["1", "x"]


@pytest.mark.parametrize("query", [None, ""])
def test_a_url_needs_a_query(lite: str, query: str | None) -> None:
    with pytest.raises(TableError, match="needs a query"):
        read(lite, query=query)


def test_databases_are_refused_under_a_budget(lite: str) -> None:
    with pytest.raises(TableError, match="one by one under a privacy budget, got a database"):
        rowwise.read(lite)


QUERY = """
SELECT 7::int2 AS small, 2^40::int8 AS large, 0.5::float8 AS f, true AS b, '007'::text AS t, 'x'::varchar(3) AS v,
       DATE '2020-01-02' AS d, TIMESTAMP '2020-01-02 03:04:05' AS s, TIMESTAMPTZ '2020-01-02 03:04:05+00' AS z,
       12.50::numeric(10, 2) AS n, 123456789012345678.25::numeric AS exact,
       '00000000-0000-0000-0000-000000000007'::uuid AS u, NULL::int AS m
"""


def test_types_of_postgresql(server: str) -> None:
    (row,) = read(server, query=QUERY).to_pylist()
    assert (row["small"], row["large"], row["f"], row["b"], row["t"], row["v"]) == (7, 2**40, 0.5, True, "007", "x")
    assert (row["d"], row["s"]) == (dt.date(2020, 1, 2), dt.datetime(2020, 1, 2, 3, 4, 5))  # noqa: DTZ001 (it has no zone)
    assert row["z"] == dt.datetime(2020, 1, 2, 3, 4, 5, tzinfo=dt.UTC)
    assert (row["n"], str(row["exact"]), row["m"]) == (12.5, "123456789012345678.25", None)
    assert row["u"] == "00000000-0000-0000-0000-000000000007"


@pytest.mark.parametrize("value", ["ARRAY[1, 2]", "'1 day'::interval", "'\\x00'::bytea", "'(1,2)'::point"])
def test_a_type_without_values_of_a_table_is_refused_by_name(server: str, value: str) -> None:
    with pytest.raises(TableError, match=r"Column 'odd': values must be .*CAST it AS TEXT"):
        read(server, query=f"SELECT {value} AS odd")
    assert read(server, query=f"SELECT CAST({value} AS TEXT) AS odd").num_rows == 1


def test_many_rows_arrive_in_batches(server: str) -> None:
    table = read(server, query="SELECT i, i::text AS t FROM generate_series(1, 200000) AS i")
    assert table.num_rows == 200_000
    assert table["i"].to_pylist()[::50_000] == [1, 50_001, 100_001, 150_001]


def test_nothing_is_written_to_postgresql(server: str) -> None:
    with pytest.raises(TableError, match="read-only transaction"):
        read(server, query="CREATE TABLE made (a int)")
    assert read(server, query="SELECT * FROM pg_tables WHERE tablename = 'made'").num_rows == 0


WRONG = [
    ("SELECT 1", lambda url: url.replace(SECRET, SECRET + "x")),
    ("SELECT 1", lambda url: url.replace("127.0.0.1:", "127.0.0.1:1")),
    ("SELECT 1", lambda url: url.replace(SECRET, f"{SECRET}/x@y")),
    ("SELECT 1", lambda url: url.replace("@", "@[")),
    ("SELECT 1", lambda url: url.replace("/postgres", "/absent")),
    ("SELECT 1", lambda url: f"{url}?connect_timeout={SECRET}"),
    ("SELECT 1", lambda url: url.replace(f"ann:{SECRET}@", "") + f"?user=ann&password={SECRET}&port=x"),
    ("SELECT nonsense", lambda url: url),
    ("SELECT 1 / (i - 3) FROM generate_series(1, 5) AS i", lambda url: url),
]


@pytest.mark.parametrize(("query", "change"), WRONG)
def test_no_secret_is_in_an_error(server: str, query: str, change: Any) -> None:
    url = change(server)
    with pytest.raises(TableError) as refused:
        read(url, query=query)
    shown = (
        "".join(traceback.format_exception(refused.value)) + repr(DatabaseUrl.parse(url)) + str(DatabaseUrl.parse(url))
    )
    assert SECRET not in shown
    assert "cannot be read" in str(refused.value)
    for command in (["schema"], ["fit", "-o", "never", "--debug"], ["augment", "-o", "never.csv", "--target", "a"]):
        done = CliRunner().invoke(app, [*command, url, "--query", query])
        assert done.exit_code == 1
        assert SECRET not in done.output
        assert SECRET not in done.stderr


@pytest.mark.parametrize("url", [f"mysql://ann:{SECRET}@h/d", f"s3://ann:{SECRET}@b/t.csv", f"oracle+x://{SECRET}"])
@pytest.mark.parametrize("how", [read, rowwise.read, lambda url: read(Path(url))])
def test_no_secret_of_an_unknown_url_is_in_an_error(url: str, how: Any) -> None:
    with pytest.raises(TableError) as refused:
        how(url)
    assert SECRET not in str(refused.value)
    for words in (
        ["fit", url, "-o", "never"],
        ["evaluate", url, url],
        ["evaluate", "absent.csv", url, "--holdout", url],
    ):
        assert SECRET not in CliRunner().invoke(app, words).stderr


def test_a_model_of_a_database_has_no_secret(server: str, tmp_path: Path) -> None:
    (tmp_path / "quick.yaml").write_text("max_steps: 3\nwidth: 8\nlatent_dim: 2\n")
    query = "SELECT i % 7 AS a, (i % 2)::text AS y FROM generate_series(1, 200) AS i"
    words = [
        "fit",
        server,
        "--query",
        query,
        "--target",
        "y",
        "--config",
        tmp_path / "quick.yaml",
        "-o",
        tmp_path / "m",
    ]
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert done.exit_code == 0, done.stderr
    made = b"".join(path.read_bytes() for path in (tmp_path / "m").iterdir())
    assert SECRET.encode() not in made
    assert SECRET not in done.output + done.stderr


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgres://ann:s3/cret@h/d", "postgresql://***"),
        ("postgresql://h/d?password=a@b", "postgresql://***"),
        ("postgresql://ann@h:5/d#x", "postgresql://***"),
        ("postgresql+psycopg://ann:p@h:5/d", "postgresql://h:5/d"),
        ("postgresql:///d", "postgresql://d"),
    ],
)
def test_a_url_is_shown_without_what_may_be_secret(url: str, shown: str) -> None:
    assert str(DatabaseUrl.parse(url)) == shown
    assert "ann" not in repr(DatabaseUrl.parse(url))
