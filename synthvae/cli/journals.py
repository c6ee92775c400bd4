"""The journal of a fit in the shell: a hidden folder beside the model, which is removed when the model is saved."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from synthvae.cli.options import say
from synthvae.errors import ArtifactError


def beside(out: Path, synthesizer: Any) -> Path:
    """Return the folder beside a model that holds the journal of its fit until it is saved."""
    return out.parent / f".{out.name}.{'fit' if synthesizer.privacy is None else 'releases'}"


def refuse_overwriting(out: Path, synthesizer: Any, *, resume: bool) -> None:
    """Refuse a directory with a model, unless an interrupted fit of it is resumed.

    Args:
        out: The directory.
        synthesizer: The synthesizer to be fitted.
        resume: Whether a fit without a budget is resumed; one with a budget always is.

    Raises:
        ArtifactError: There is a model.
    """
    journal = beside(out, synthesizer)
    resumed = (resume or synthesizer.privacy is not None) and journal.exists()
    if not out.is_dir() or not any(out.iterdir()) or resumed:
        return
    way = "pass --resume to continue its interrupted fit" if journal.exists() else "choose another directory"
    raise ArtifactError(f"{out} has a model. Pass --overwrite to replace it, or {way}.")


@contextmanager
def until_saved(synthesizer: Any, out: Path, *, resume: bool) -> Iterator[None]:
    """Keep a journal beside the model until it is saved; one with private releases is always resumed.

    Args:
        synthesizer: The synthesizer, whose `journal` is set.
        out: The directory of the model.
        resume: Whether a fit without a budget is resumed.
    """
    from synthvae.privacy import Journal
    from synthvae.training import checkpoint

    private, folder = synthesizer.privacy is not None, beside(out, synthesizer)
    if not (resume or private):
        checkpoint.remove(folder)
    synthesizer.journal = folder
    with Journal.until_saved(folder) as journal:
        if private and journal.kept:
            say(f"warning: resuming an interrupted fit from {folder}", err=True)
        yield
