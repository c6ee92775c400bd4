"""What the manifests of synthetic copies tell about their pooling: numbers, and conditions of the rules."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from synthvae.errors import ConfigurationError, warn_user

Manifest = Mapping[str, Any]

MUCH = 0.01  # share of the training rows of a column whose values are protected, from which a user is warned
ONE_FIT = "The spread between fits is not in the variances of one fit; pool the copies of several fits."
SAME = ("training_rows", "rows", "columns")  # what manifests of several fits have in common


def checked(manifest: Any) -> tuple[Manifest, ...]:
    """Return the manifests of the fits: none, one, or that of each of several.

    Raises:
        ConfigurationError: One is no manifest or that of a private model, or several are not of different fits of the
            same rows with as many copies each.
    """
    if manifest is None:
        return ()
    several = isinstance(manifest, Iterable) and not isinstance(manifest, (str, bytes, Mapping))
    manifests = tuple(manifest) if several else (manifest,)
    for one in manifests:
        _refuse(one)
    if several:
        _check_fits(manifests)
    return manifests


def _refuse(manifest: Any) -> None:
    """Refuse what is no manifest, and that of a private model."""
    if not isinstance(manifest, Mapping):
        raise ConfigurationError(
            f"`manifest` must be what `generate(copies=...)` returned, or a list of these, got {manifest!r:.60}. Read "
            "the file `_manifest.json` of a copy with `json.load`."
        )
    if manifest.get("ledger") is not None:
        raise ConfigurationError(
            "Intervals must not be pooled for a private model, whose noise the combining rules ignore, so that they "
            "would be too short. Report estimates without intervals, or fit without a privacy budget."
        )


def _check_fits(manifests: Sequence[Manifest]) -> None:
    """Refuse manifests that cannot be of different fits of the same rows; which rows these were is in none."""
    if len(manifests) < 2:
        raise ConfigurationError(
            f"A list must have the manifests of at least 2 fits, got {len(manifests)}. Fit again with another "
            "`random_state`, or give the manifest itself."
        )
    if len({one.get("model_sha256") for one in manifests}) < len(manifests):
        raise ConfigurationError(
            "Each manifest must be of a fit of its own, got the same model twice. Fit each with a `random_state` of "
            "its own."
        )
    for name in SAME:
        if any(one.get(name) != manifests[0].get(name) for one in manifests):
            raise ConfigurationError(
                f"Manifests of several fits must agree in {name!r}, got others. Fit the same rows each time, and "
                "generate as many rows from each fit."
            )
    if len({_copies(one) for one in manifests}) > 1:
        raise ConfigurationError(
            "Each fit must have as many copies, got "
            f"{', '.join(str(_copies(one)) for one in manifests)}. Generate as many from each."
        )


def _copies(manifest: Manifest) -> int:
    """The number of copies; a manifest without them is that of one copy."""
    return len(manifest.get("copies", "1"))


def check_copies(copies: int, manifests: Sequence[Manifest]) -> None:
    """Refuse another number of copies than that of the manifests; the manifest of one copy does not tell it.

    Raises:
        ConfigurationError: The numbers differ.
    """
    if not manifests or (len(manifests) == 1 and "copies" not in manifests[0]):
        return
    written = sum(map(_copies, manifests))
    if written != copies:
        which = "of the manifest" if len(manifests) == 1 else f"of the {len(manifests)} manifests"
        raise ConfigurationError(
            f"There must be one item for each of the {written} copies {which}, got {copies}. Give the estimates of all "
            "copies, in the shape (copies, quantities)."
        )


def numbers(rows: int | None, synthetic: int | None, manifests: Sequence[Manifest]) -> tuple[int, int]:
    """Return the numbers of training rows and of rows of each copy: those given, else those of the manifests.

    Raises:
        ConfigurationError: One is unknown, or no positive whole number.
    """
    about = manifests[0] if manifests else {}
    found = []
    for name, value, key in (("rows", rows, "training_rows"), ("synthetic_rows", synthetic, "rows")):
        number = about.get(key) if value is None else value
        if isinstance(number, bool) or not isinstance(number, (int, np.integer)) or number < 1:
            raise ConfigurationError(
                f"`{name}` must be a whole number of at least 1, got {number!r}. Give it, or the manifest that "
                "`generate(copies=...)` returned."
            )
        found.append(int(number))
    return found[0], found[1]


def notes(manifests: Sequence[Manifest], rule: str) -> tuple[str, ...]:
    """Return where the conditions of a rule are not met; a warning names them, unless they can hardly matter."""
    if not manifests:
        return ("The conditions of the rule were not checked: no manifest was given.",)
    unseen = (ONE_FIT,) if rule == "plug-in" else ()
    violated = _each(_violations(one) for one in manifests)
    if violated:
        warn_user(f"the combining rule holds only approximately. {' '.join(violated)}")
    known = any("protected" in note for note in violated)
    few = () if known else _each(_protected(one, least=0.0) for one in manifests)
    return violated + few + unseen


def _each(found: Iterable[Iterable[str]]) -> tuple[str, ...]:
    """Each sentence once, in the order in which they were found."""
    return tuple(dict.fromkeys(note for notes in found for note in notes))


def _violations(manifest: Manifest) -> list[str]:
    """One sentence for each condition that is not met."""
    protection = manifest.get("protection") or {}
    found = {
        "Only rows that keep the rules between columns were drawn.": manifest.get("rules"),
        "Rows were drawn under conditions, which fewer training rows meet.": manifest.get("given"),
        "The training rows have weights, so that they tell less than their number.": manifest.get("weighted_by"),
        "Units have several rows, which are not independent.": protection.get("unit"),
        "The numbers of rows by class were asked for; intervals hold within classes.": (
            manifest.get("class_counts") == "requested"
        ),
        "The draws of a single dataset are stratified; generate it with copies=1.": "class_counts" not in manifest,
    }
    return [note for note, holds in found.items() if holds] + _protected(manifest, MUCH)


def _protected(manifest: Manifest, least: float) -> list[str]:
    """One sentence on protected values, if a column has a larger share of them than `least`."""
    columns = (manifest.get("protection") or {}).get("columns", {})
    rows = manifest.get("training_rows") or 1
    cells = {
        n: sum(of.get(key, 0) for key in ("cells_at_ends", "cells_of_rare_categories")) for n, of in columns.items()
    }
    worst = max(cells, key=lambda name: cells[name], default=None)
    if worst is None or cells[worst] <= least * rows:
        return []
    return [f"Values were protected, {cells[worst] / rows:.1%} of those of {worst!r}; fit with protect=0 to avoid it."]
