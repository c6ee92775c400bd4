"""Linked tables in the shell: `fit` of a database, `generate` and `info` of its model."""

from __future__ import annotations

import shlex
import time
from pathlib import Path
from typing import Any

import click
import typer

from synthvae.cli import summary
from synthvae.cli.options import say, show
from synthvae.errors import ArtifactError, ConfigurationError, PrivacyError, listing

FILES = {".yaml", ".yml"}
PARAMETERS = ("max_steps", "protect", "device")  # that a file of `--config` may have
FIT = {"table", "out", "config", "protect", "overwrite", "seed", "as_json", "quiet", "debug"}
GENERATE = {"model", "out", "subjects", "scale", "overwrite", "seed", "as_json", "quiet", "debug"}
PRIVACY = {"epsilon", "delta", "rows_per_unit", "plan"}


def is_file(table: Any) -> bool:
    """Whether the table of a command is a YAML file, which describes a database."""
    return isinstance(table, Path) and table.suffix.lower() in FILES and not table.is_dir()


def is_model(model: Path) -> bool:
    """Whether a directory has the model of a database."""
    from synthvae.relational import saving

    return saving.is_database(model)


def fit(
    file: Path,
    out: Path,
    config: Path | None,
    *,
    protect: int | None,
    overwrite: bool,
    seed: int | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Fit the tables of a database, and save the model.

    Raises:
        PrivacyError: An option of a privacy budget is given.
        ConfigurationError: Another option is given that single tables alone have.
    """
    from synthvae.random_state import as_seed
    from synthvae.relational import Database, DatabaseSynthesizer

    refuse_options(FIT)
    if out.is_dir() and any(out.iterdir()) and not overwrite:
        raise ArtifactError(f"{out} has a model. Pass --overwrite to replace it, or choose another directory.")
    drawn, begun = as_seed(None) if seed is None else seed, time.monotonic()
    given = _read_config(config) | ({} if protect is None else {"protect": protect})
    synthesizer = DatabaseSynthesizer(Database.from_yaml(file), random_state=drawn, verbose=not quiet, **given).fit()
    if seed is None:  # a model that was fitted without a seed generates other rows each time
        synthesizer.random_state = None
    synthesizer.save(out)
    if as_json:
        show({"model": str(out), **described(synthesizer)}, as_json=True)
    elif not quiet:
        lines = {**_lines(synthesizer, out), "time": f"{time.monotonic() - begun:.1f} seconds"}
        lines |= {} if seed is not None else {"seed": f"{drawn} (--seed {drawn} repeats the fit)"}
        subjects = max(sum(root["rows"] for root in described(synthesizer)["roots"].values()), 1)
        lines["next"] = f"synthvae generate {shlex.quote(str(out))} --subjects {subjects} -o synthetic"
        for line in summary.aligned(lines):
            say(line)


def generate(
    model: Path,
    out: str,
    *,
    subjects: int | None,
    scale: float | None,
    overwrite: bool,
    seed: int | None,
    as_json: bool,
) -> None:
    """Write synthetic tables of a model.

    Raises:
        ConfigurationError: An option is given that models of single tables alone have.
    """
    from synthvae.relational import DatabaseSynthesizer

    refuse_options(GENERATE)
    if subjects is not None and scale is not None:
        raise typer.BadParameter("give only one of --subjects and --scale")
    synthesizer = DatabaseSynthesizer.load(model)
    manifest = synthesizer.generate(out, scale, subjects=subjects, overwrite=overwrite, random_state=seed)
    rows = {name: table["rows"] for name, table in manifest["tables"].items()}
    show(dict(manifest) if as_json else {"dataset": out, "rows": rows, "seed": manifest["seed"]}, as_json=as_json)


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
    return dict(synthesizer.learned_.describe())


def _lines(synthesizer: Any, place: Path) -> dict[str, str]:
    about = described(synthesizer)
    lines = {
        "model": f"{place} ({summary.size(place)}), of linked tables",
        "tables": f"{len(about['tables'])}: {', '.join(about['tables'])}",
        "subjects": ", ".join(f"{root['rows']:,} of {name}" for name, root in about["roots"].items()),
        "links": ", ".join(about["links"]),
        "order": ", ".join(f"{name}: {column}" for name, column in about["order"].items()),
        "public": ", ".join(about["public"]),
        "privacy": about["privacy"],
    }
    return {name: line for name, line in lines.items() if line}


def refuse_options(known: set[str]) -> None:
    """Refuse the options of a command, of those that are given, that linked tables do not have."""
    context = click.get_current_context()
    commandline = click.core.ParameterSource.COMMANDLINE
    given = {p.name: p.opts[0] for p in context.command.params if context.get_parameter_source(p.name) == commandline}
    if private := [option for name, option in given.items() if name in PRIVACY]:
        raise PrivacyError(
            f"`{private[0]}` must not be given for linked tables, whose differential privacy is not available yet. "
            "Aggregate the rows of each subject to one row, and fit that table."
        )
    if other := [option for name, option in given.items() if name not in known]:
        where = " Columns are declared under `schemas` of its YAML file." if "table" in known else ""
        raise ConfigurationError(
            f"Options of single tables must not be given for linked tables, got {listing(other)}.{where}"
        )


def _read_config(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    from synthvae.recipe.reading import read_mapping, unknown_key

    parameters = dict(read_mapping(path))
    for name in parameters:
        if name not in PARAMETERS:
            raise unknown_key(name, list(PARAMETERS), str(path))
    return parameters
