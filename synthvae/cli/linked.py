"""Linked tables in the shell: `fit` of a database, `generate` and `info` of its model."""

from __future__ import annotations

import shlex
import time
from collections.abc import Collection, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import typer

from synthvae.cli import journals, summary
from synthvae.cli.options import say, show
from synthvae.errors import ConfigurationError, PrivacyError, SchemaError

FILES = {".yaml", ".yml"}
PARAMETERS = ("effort", "max_steps", "protect", "device", "privacy")  # that a file of `--config` may have
FIT = {"table", "out", "config", "effort", "protect", "overwrite", "seed", "as_json", "quiet", "debug"}
PLACE = {"resume", "overwrite", "workers", "ray"}
GENERATE = {"model", "out", "subjects", "scale", "given_file", "seed", "as_json", "quiet", "debug"} | PLACE
DEFAULTS = {"num_workers": 2, "workers": 1}
OPTIONS = {
    "classes": "--class",
    "schema_file": "--schema",
    "reading": "options of table files",
    "decisions": "options of columns",
}
PRIVACY = {"epsilon", "delta", "rows_per_unit", "plan"}


def is_file(table: Any) -> bool:
    """Whether the table of a command is a YAML file, which describes a database."""
    return isinstance(table, Path) and table.suffix.lower() in FILES and not table.is_dir()


def is_model(model: Path) -> bool:
    """Whether a directory has the model of a database."""
    from synthvae.relational import saving

    return saving.is_database(model)


def fit(given: Mapping[str, Any]) -> None:
    """Fit the tables of a database, and save the model.

    Args:
        given: The value of each parameter of the command.
    """
    from synthvae.random_state import as_seed
    from synthvae.relational import DatabaseSynthesizer
    from synthvae.synthesizer import artifact

    config = _read_config(given["config"])
    private = config.get("privacy") is not None
    refuse_options(given, FIT | {"resume"} if private else FIT)
    out, seed, quiet = given["out"], given["seed"], given["quiet"]
    artifact.check_place(out)
    # A private fit draws from the operating system, and its journal has a seed of its own.
    drawn, begun = as_seed(None) if seed is None and not private else seed, time.monotonic()
    parameters = {"verbose": not quiet, "random_state": drawn, **config}
    parameters |= {name: given[name] for name in ("effort", "protect") if given[name] is not None}
    synthesizer = DatabaseSynthesizer(_database(given["table"]), **parameters)
    if not given["overwrite"]:
        journals.refuse_overwriting(out, synthesizer, resume=False)
    with journals.until_saved(synthesizer, out, resume=True) if private else nullcontext():
        synthesizer.fit()
        if seed is None:  # a model that was fitted without a seed generates other rows each time
            synthesizer.random_state = None
        synthesizer.save(out)
    if given["as_json"]:
        show({"model": str(out), **described(synthesizer)}, as_json=True)
    elif not quiet:
        lines = {**_lines(synthesizer, out), "time": f"{time.monotonic() - begun:.1f} seconds"}
        lines |= {} if seed is not None or private else {"seed": f"{drawn} (--seed {drawn} repeats the fit)"}
        lines["next"] = f"synthvae generate {shlex.quote(str(out))} --scale 1 -o synthetic"
        for line in summary.aligned(lines):
            say(line)


def _database(table: Path) -> Any:
    from synthvae.relational import Database

    try:
        return Database.from_yaml(table)
    except SchemaError as error:
        raise SchemaError(f"{table} must describe a database: {error}") from error


def audit(model: Path, canaries: int) -> Any:
    """Return the audit of a private model of linked tables.

    Args:
        model: The directory of the model.
        canaries: The number of canaries.
    """
    from synthvae.relational import auditing

    return auditing.audit(model, canaries=canaries)


def generate(given: Mapping[str, Any]) -> None:
    """Write synthetic tables of a model.

    Args:
        given: The value of each parameter of the command.
    """
    from synthvae.relational import DatabaseSynthesizer

    refuse_options(given, GENERATE)
    scale, subjects, parents, out = given["scale"], given["subjects"], given["given_file"], given["out"]
    if sum(one is not None for one in (subjects, scale, parents)) != 1:
        raise typer.BadParameter("give exactly one of --subjects, --scale and --given-file")
    synthesizer = DatabaseSynthesizer.load(given["model"])
    where = {name: given[name] for name in PLACE - {"ray"}} | backend(given["ray"])
    how = {"subjects": subjects, "given": parents, "random_state": given["seed"]}
    manifest = synthesizer.generate(out, scale, **how, **where)
    rows = {name: table["rows"] for name, table in manifest["tables"].items()}
    brief = {"dataset": out, "rows": rows, "seed": manifest["seed"]}
    show(dict(manifest) if given["as_json"] else brief, as_json=given["as_json"], quiet=given["quiet"])


def backend(ray: str | None) -> dict[str, Any]:
    """Return the backend that draws the parts, unless it is this machine."""
    if ray is None:
        return {}
    from synthvae import cluster

    return {"backend": cluster.RayBackend(address=ray)}


def info(model: Path, *, as_json: bool) -> None:
    """Describe a model of linked tables."""
    from synthvae.relational import DatabaseSynthesizer

    synthesizer = DatabaseSynthesizer.load(model)
    if as_json:
        show({"model": str(model), **described(synthesizer)}, as_json=True)
        return
    for line in summary.aligned(_lines(synthesizer, model)):
        say(line)
    say("")
    say("columns:")
    for name, columns in described(synthesizer)["tables"].items():
        for line in summary.wrapped(f"  - {name}: ", ", ".join(columns)):
            say(line)


def described(synthesizer: Any) -> dict[str, Any]:
    """Return what a model of linked tables is; none of it is a value of a training row."""
    return {**synthesizer.learned_.describe(), "effort": synthesizer.effort}


def _lines(synthesizer: Any, place: Path) -> dict[str, str]:
    about = described(synthesizer)
    lines = {
        "model": f"{place} ({summary.size(place)}), of linked tables",
        "tables": f"{len(about['tables'])}: {', '.join(about['tables'])}",
        "subjects": ", ".join(f"{root['rows']:,} of {name}" for name, root in about["roots"].items()),
        "links": ", ".join(about["links"]),
        "order": ", ".join(f"{name}: {column}" for name, column in about["order"].items()),
        "public": ", ".join(about["public"]),
        "privacy": _privacy(about["privacy"]),
        "effort": about["effort"],
    }
    return {name: line for name, line in lines.items() if line}


def _privacy(stated: Any) -> str:
    if isinstance(stated, str):
        return stated
    return f"epsilon {stated['epsilon']}, delta {stated['delta']}; unit: {stated['unit']}"


def refuse_options(given: Mapping[str, Any], known: Collection[str]) -> None:
    """Refuse the options of a command, of those that are given, that linked tables do not have.

    Args:
        given: The value of each parameter of the command.
        known: The parameters that linked tables have.

    Raises:
        PrivacyError: An option of a privacy budget is given.
        ConfigurationError: Another option is given that single tables alone have.
    """
    stated = [name for name, value in given.items() if name not in known and _is_stated(name, value)]
    if private := [name for name in stated if name in PRIVACY]:
        raise PrivacyError(
            f"`{_option(private[0])}` must not be given for linked tables, whose privacy budget has a number of rows "
            "for each table. State `privacy` with epsilon, delta and rows_of_tables in the file of --config."
        )
    if stated:
        way = "Declare columns under `schemas` of the YAML file" if "table" in known else "Give --subjects or --scale"
        shown = ", ".join(map(_option, stated))
        raise ConfigurationError(f"For linked tables these must not be given: {shown}. {way}.")


def _is_stated(name: str, value: Any) -> bool:
    from synthvae.tables.read_options import ReadOptions

    given = bool(value) or (isinstance(value, (int, float)) and value is not False)  # 0 is a value
    return given and value != DEFAULTS.get(name) and value != ReadOptions()


def _option(name: str) -> str:
    return OPTIONS.get(name, f"--{name.replace('_', '-')}")


def _read_config(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    from synthvae.recipe.reading import read_mapping, unknown_key

    parameters = dict(read_mapping(path))
    for name in parameters:
        if name not in PARAMETERS:
            raise unknown_key(name, list(PARAMETERS), str(path))
    return parameters
