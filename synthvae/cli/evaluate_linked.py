"""`synthvae evaluate` of linked tables: a YAML file of the real ones, and a folder of synthetic ones."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synthvae import safe_yaml
from synthvae.cli import linked
from synthvae.errors import RequestError

if TYPE_CHECKING:
    from synthvae.evaluation import DatabaseEvaluation

MANIFEST = "_manifest.json"  # of linked tables that this package wrote
EVALUATE = {
    "table", "real", "synthetic", "holdout", "out", "json_file", "fail_under", "fail_over", "model", "attacks", "seed",
    "as_json", "quiet", "debug",
}  # fmt: skip


def measure(given: Mapping[str, Any]) -> DatabaseEvaluation:
    """Compare synthetic linked tables with the real ones.

    Args:
        given: The value of each parameter of the command.

    Raises:
        ConfigurationError: An option is given that single tables alone have.
    """
    from synthvae.evaluation import evaluate_database
    from synthvae.progress import measuring

    linked.refuse_options(given, EVALUATE)
    paths = {role: given[role] for role in ("real", "synthetic", "holdout") if given[role] is not None}
    with measuring(show=not given["quiet"]) as watch:
        return evaluate_database(
            **paths,
            attacks=given["attacks"],
            ledger=_statement(given["model"], given["synthetic"]),
            names={role: str(path) for role, path in paths.items()},
            random_state=given["seed"],
            watch=watch,
        )


def _statement(model: Path | None, synthetic: Any) -> dict[str, Any] | None:
    """The privacy statement of the model, or else of the manifest of the tables; None: no guarantee."""
    if model is not None:
        from synthvae.relational import DatabaseSynthesizer

        ledger = DatabaseSynthesizer.load(model).learned_.ledger
        return None if ledger is None else ledger.statement()
    place = Path(str(synthetic)) / MANIFEST
    if not place.is_file():
        return None
    try:
        stated = safe_yaml.load_json(place.read_text(encoding="utf-8")).get("ledger")
    except (OSError, ValueError, AttributeError, RecursionError) as error:
        raise RequestError(f"{place} is not a manifest: {error}. Remove it.") from error
    return None if stated is None else dict(stated)
