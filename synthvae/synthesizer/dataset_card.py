"""What describes a published dataset: its card in the form of Hugging Face, and Croissant metadata.

Both state what the dataset and its manifest state: names and types of columns, numbers of rows, hashes of files, and
what was promised or protected. Neither has a value of a row, except the labels of classes.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import yaml

from synthvae import filesystem
from synthvae.errors import DatasetError, RequestError
from synthvae.filesystem import Folder
from synthvae.generation import copies, partitions
from synthvae.generation.single_file import is_single_file
from synthvae.synthesizer.card import environment
from synthvae.tables.snapshots import MANIFEST

CARD, CROISSANT, DATA = "README.md", "croissant.json", "data"
TEMPLATE = Path(__file__).with_name("dataset_card.md.jinja")
SIZES = ("n<1K", "1K<n<10K", "10K<n<100K", "100K<n<1M", "1M<n<10M", "10M<n<100M", "100M<n<1B")  # of Hugging Face
TEXT = "sc:Text"
COPY = "rows/copies/number"  # no column has this name: those of columns have no slash after the first
DEFAULT = [("default", "")]  # the configuration of one dataset, which is no copy
TYPES = {  # of Croissant, by how the name of the Arrow type begins
    "bool": "sc:Boolean",
    "int": "sc:Integer",
    "uint": "sc:Integer",
    "half": "sc:Float",
    "float": "sc:Float",
    "double": "sc:Float",
    "decimal": "sc:Float",
    "date": "sc:Date",
    "timestamp": "sc:DateTime",
    "time": "sc:Time",
}
CONFORMS_TO = "http://mlcommons.org/croissant/1.0"
CONTEXT: dict[str, Any] = {  # of Croissant 1.0, https://docs.mlcommons.org/croissant/docs/croissant-spec.html
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}


def place_of_rows(out: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
    """Return the folder of the rows of a dataset that is described, or of its copies, before any row is drawn.

    With `overwrite`, a folder may have a card or metadata and no rows.

    Raises:
        RequestError: The output is a file.
        DatasetError: The folder has other files.
        ConfigurationError: It is a URL.
    """
    if is_single_file(out):
        raise RequestError(f"`describe` needs a folder, got the file {out}. Name a folder, or omit `describe`.")
    folder = filesystem.local_path(out, "A dataset that is described")
    known = {CARD, CROISSANT, DATA}
    if folder.is_dir() and (other := sorted(entry.name for entry in folder.iterdir() if entry.name not in known)):
        raise DatasetError(
            f"The output folder must be empty or a described dataset, got {folder} with {other[0]!r}. Choose another "
            "folder."
        )
    own = [name for name in (CARD, CROISSANT) if (folder / name).exists()]
    if own and not overwrite and not any((folder / DATA).glob("*")):
        raise DatasetError(
            f"The output folder must be empty or a described dataset, got {folder} with {own[0]!r} and no rows. Choose "
            "another folder, or pass --overwrite."
        )
    return folder / DATA


def manifests_of(folder: Path, number: int | None) -> list[bytes] | None:
    """Return the manifests of the rows of a described dataset, or of its copies; None if one is absent."""
    names = ["."] if number is None else [copies.folder_of(copy) for copy in range(1, number + 1)]
    places = [folder / DATA / name / MANIFEST for name in names]
    return [place.read_bytes() for place in places] if all(place.is_file() for place in places) else None


def write(
    out: str | os.PathLike[str], manifest: Mapping[str, Any], kinds: Mapping[str, str], *, keep: bool = False
) -> None:
    """Write the card and the Croissant metadata of the dataset, or of all copies, in `out/data`.

    Args:
        out: The folder.
        manifest: The manifest of the dataset, or of all copies.
        kinds: The kind of each column, as in its schema.
        keep: Whether files that are there stay as they are; their owner may have edited them.

    Raises:
        DatasetError: They cannot be written.
    """
    folder = Path(out).absolute()
    manifest = _whole(folder / DATA, manifest)
    metadata = json.dumps(croissant(folder.name, manifest, kinds), indent=1) + "\n"
    try:
        for name, text in ((CROISSANT, metadata), (CARD, card(folder.name, manifest, kinds))):
            if not (keep and (folder / name).exists()):
                Folder(folder).write(name, text.encode())
    except OSError as error:
        raise DatasetError(f"{out} cannot be written ({error.strerror or error}). Choose another place.") from error


def _whole(folder: Path, manifest: Mapping[str, Any]) -> Mapping[str, Any]:
    """The manifest of all copies as that of one dataset, with the rows and the parts of all."""
    if "copies" not in manifest:
        return manifest
    parts: list[dict[str, Any]] = []
    for copy in manifest["copies"]:
        own = json.loads((folder / copy["folder"] / MANIFEST).read_bytes())
        parts += [{**part, "file": f"{copy['folder']}/{part['file']}"} for part in own["parts"]]
    return {**manifest, "rows": sum(copy["rows"] for copy in manifest["copies"]), "classes": None, "parts": parts}


def card(name: str, manifest: Mapping[str, Any], kinds: Mapping[str, str]) -> str:
    """Return the card of a dataset in Markdown, whose front matter Hugging Face reads.

    Args:
        name: The name of the dataset.
        manifest: Its manifest; of copies, with the rows and the parts of all.
        kinds: The kind of each column, as in its schema.
    """
    own = [(copy["folder"], copy["folder"]) for copy in manifest.get("copies", ())]
    thousands = manifest["rows"] // 1000
    size = SIZES[min(len(str(thousands)) if thousands else 0, len(SIZES) - 1)]
    front = {
        "pretty_name": name,
        "tags": ["synthetic", "tabular"],
        "size_categories": [size],
        "configs": [
            {"config_name": config, "data_files": _pattern(manifest, of_copy=copy)} for config, copy in own or DEFAULT
        ],
    }
    return (
        environment()
        .from_string(TEMPLATE.read_text(encoding="utf-8"))
        .render(
            front=yaml.safe_dump(front, sort_keys=False, allow_unicode=True),
            name=name,
            manifest=manifest,
            kinds=kinds,
            statement=manifest["ledger"],
            data=DATA,
            copies=manifest.get("copies", []),
            place=f"{DATA}/{own[0][0]}" if own else DATA,
            source=source(manifest),
        )
    )


def _pattern(manifest: Mapping[str, Any], *, of_copy: str) -> str:
    """The pattern of the names of the files of a dataset, or of one copy."""
    folders = [DATA, of_copy] if of_copy else [DATA]
    return "/".join([*folders, *["*"] * (manifest.get("partition_by") is not None), "*.parquet"])


def croissant(name: str, manifest: Mapping[str, Any], kinds: Mapping[str, str]) -> dict[str, Any]:
    """Return the Croissant 1.0 metadata (JSON-LD) of a dataset whose parts are in a folder `data`.

    Args:
        name: The name of the dataset.
        manifest: Its manifest; of copies, with the rows and the parts of all, among which a field tells them apart.
        kinds: The kind of each column, as in its schema.

    Source: Akhtar et al. 2024, Croissant, https://arxiv.org/abs/2403.19546.
    """
    files = [_file(part) for part in manifest["parts"]]
    parts = {"@type": "cr:FileSet", "@id": "parts", "name": "parts", "description": "All rows, as Parquet files."}
    pattern = _pattern(manifest, of_copy="copy_*" if "copies" in manifest else "")
    parts |= {"encodingFormat": "application/x-parquet", "includes": pattern}
    fields = [_field(column, kind, kinds.get(column)) for column, kind in manifest["columns"].items()]
    if (label := manifest.get("partition_by")) is not None:
        place = list(manifest["columns"]).index(label)
        fields[place] = _from_folder(fields[place], partitions.folder(label, "").removesuffix("="), "([^/]*)")
    if "copies" in manifest:
        copy = {"@id": COPY, "name": COPY, "description": "The number of the copy", "dataType": "sc:Integer"}
        fields.append({"@type": "cr:Field", **_from_folder(copy, "copy", "([0-9]+)", sign="_")})
    drawn = f"{manifest['rows']:,} synthetic rows, drawn by synthvae {manifest['synthvae']}."
    if "copies" in manifest:
        drawn += f" They are {len(manifest['copies'])} independent copies, each analysed by itself."
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "name": name,
        "description": f"{drawn} {source(manifest)}",
        "conformsTo": CONFORMS_TO,
        "keywords": ["synthetic", "tabular"],
        "distribution": [*files, parts],
        "recordSet": [{"@type": "cr:RecordSet", "@id": "rows", "name": "rows", "field": fields}],
    }


def source(manifest: Mapping[str, Any]) -> str:
    """Return how rows came about: generated by a model, perhaps under conditions or with requested numbers by class."""
    found = "They were generated by a model; it is not excluded that some equal real rows."
    given = manifest.get("given") or {}
    if "table_sha256" in given:
        found += f" They were drawn for the rows of a table of conditions (SHA-256 {given['table_sha256']})."
    elif given:
        conditions = ", ".join(f"{name}: {value}" for name, value in given.items())
        found += f" They were drawn under conditions ({conditions}), so that their shares are not those of real rows."
    if manifest.get("class_counts") == "requested":
        found += (
            f" The numbers of rows by class of {manifest['target']!r} were requested; they are not those of real rows."
        )
    return found


def _from_folder(field: Mapping[str, Any], name: str, value: str, sign: str = "=") -> dict[str, Any]:
    """A field whose values are in the name of a folder, such as `group=x`, as a regular expression finds them."""
    transform = {"regex": f".*/{re.escape(name)}{sign}{value}/.*"}
    path = {"fileSet": {"@id": "parts"}, "extract": {"fileProperty": "fullpath"}, "transform": transform}
    return {**field, "source": path}


def _file(part: Mapping[str, Any]) -> dict[str, Any]:
    place = f"{DATA}/{part['file']}"
    return {
        "@type": "cr:FileObject",
        "@id": place,
        "name": part["file"],
        "contentUrl": quote(place, safe="/="),
        "contentSize": f"{part['bytes']} B",
        "encodingFormat": "application/x-parquet",
        "sha256": part["sha256"],
    }


def _field(column: str, kind: str, declared: str | None) -> dict[str, Any]:
    """The metadata of a column, given its Arrow type and its kind."""
    kind = kind.removeprefix("dictionary<values=").partition(",")[0]
    found = [data for prefix, data in TYPES.items() if kind.startswith(prefix)]
    place = f"rows/{quote(column, safe='')}"
    return {
        "@type": "cr:Field",
        "@id": place,
        "name": place,
        "description": f"Column {column!r}" + (f", {declared}" if declared else ""),
        "dataType": found[0] if found else TEXT,
        "source": {"fileSet": {"@id": "parts"}, "extract": {"column": column}},
    }
