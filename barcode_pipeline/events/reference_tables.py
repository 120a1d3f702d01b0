"""Reading the two reference tables: the sites with their coordinates, the routes with their transit times."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd

from barcode_pipeline.errors import UserError
from barcode_pipeline.events.formats import SITE_COLUMNS, SITES_FILE, TRANSITION_COLUMNS, TRANSITIONS_FILE
from barcode_pipeline.events.places import Reference, Routes, Sites


def load_reference(folder: Path) -> Reference:
    """Both tables of `folder`; `UserError` with file, line and remedy where one cannot be used."""
    sites = sites_from_table(_read_table(folder / SITES_FILE, SITE_COLUMNS[1:5]), str(folder / SITES_FILE))
    table = _read_table(folder / TRANSITIONS_FILE, TRANSITION_COLUMNS[:5])
    return Reference(sites, routes_from_table(table, sites, str(folder / TRANSITIONS_FILE)))


def fingerprint_reference(folder: Path) -> str:
    """What both files hold, as a short hash; `missing` stands for a file that is not there."""
    digest = hashlib.sha256()
    for name in (SITES_FILE, TRANSITIONS_FILE):
        path = folder / name
        digest.update(path.read_bytes() if path.exists() else b"missing")
    return digest.hexdigest()[:16]


def sites_from_table(table: pd.DataFrame, where: str) -> Sites:
    """The sites of a table of strings; ids have to be distinct integers, names distinct."""
    table = table.drop_duplicates(subset=["location_id", "scan_location", "Latitude", "Longitude"])
    ids = _numbers(table, "location_id", where, optional=False)
    if (ids != np.floor(ids)).any():
        raise UserError(f"{where}: location_id has to be a whole number; correct the table and run again.")
    _refuse_repeated(table["location_id"], "location_id", where)
    names = table["scan_location"]
    if names.isna().any():
        raise UserError(f"{where}: {_lines(names.isna())} has no scan_location; add the name and run again.")
    _refuse_repeated(names, "scan_location", where)
    latitude, longitude = (_numbers(table, name, where, optional=True) for name in ("Latitude", "Longitude"))
    for values, name, limit in ((latitude, "Latitude", 90), (longitude, "Longitude", 180)):
        beyond = np.abs(values) > limit
        if beyond.any():
            raise UserError(
                f"{where}: {_lines(pd.Series(beyond, table.index))} has a {name} beyond ±{limit} degrees; "
                "correct the table and run again."
            )
    order = np.argsort(ids)
    return Sites(
        ids[order].astype(np.int64),
        tuple(names.to_numpy()[order]),
        latitude[order],
        longitude[order],
    )


def routes_from_table(table: pd.DataFrame, sites: Sites, where: str) -> Routes:
    """The routes between known sites; those that name an unknown site can never be looked up and are left out."""
    table = table.drop_duplicates()
    pairs = table["from_scan_location"].fillna("") + " → " + table["to_scan_location"].fillna("")
    _refuse_repeated(pairs, "route", where)
    values = {name: _numbers(table, name, where, optional=True) for name in TRANSITION_COLUMNS[2:] if name in table}
    site_of = {name: row for row, name in enumerate(sites.name)}
    origin = table["from_scan_location"].map(site_of).to_numpy(dtype=float, na_value=np.nan)
    destination = table["to_scan_location"].map(site_of).to_numpy(dtype=float, na_value=np.nan)
    known = np.flatnonzero(~(np.isnan(origin) | np.isnan(destination)))
    order = known[np.lexsort((destination[known], origin[known]))]
    nothing = np.full(len(table), np.nan)
    columns = [values.get(name, nothing)[order] for name in TRANSITION_COLUMNS[2:]]
    start = np.searchsorted(origin[order], np.arange(len(sites) + 1)).astype(np.int32)
    return Routes(start, destination[order].astype(np.int32), *columns)


def _read_table(path: Path, needed: tuple[str, ...]) -> pd.DataFrame:
    """All columns as stripped strings, missing as None; the index is the line in the file."""
    if not path.exists():
        raise UserError(
            f"The reference table {path} is missing: put it there (columns {', '.join(needed)} …), "
            "or run `make data` for simulated data with its tables."
        )
    try:
        text = path.read_bytes().decode("utf-8-sig")
        first_line = text.split("\n", 1)[0]
        separator = "\t" if first_line.count("\t") > first_line.count(",") else ","
        table = pd.read_csv(path, sep=separator, dtype=str, encoding="utf-8-sig", skip_blank_lines=False)
    except (UnicodeDecodeError, ValueError) as error:
        raise UserError(
            f"{path} cannot be read as a table ({str(error).strip()}): save it as UTF-8 with commas and run again."
        ) from error
    table.columns = table.columns.str.strip()
    missing = [name for name in needed if name not in table.columns]
    if missing:
        raise UserError(f"{path}: the column {missing[0]} is missing; add it and run again.")
    table.index = table.index + 2
    table = table.apply(lambda column: column.str.strip()).replace("", np.nan)
    return table.dropna(how="all")


def _numbers(table: pd.DataFrame, column: str, where: str, *, optional: bool) -> np.ndarray:
    values = pd.to_numeric(table[column], errors="coerce")
    wrong = values.isna() & (table[column].notna() | (not optional)) | np.isinf(values)
    if wrong.any():
        raise UserError(f"{where}: {_lines(wrong)} has no number in {column}; correct the table and run again.")
    return values.to_numpy(dtype=np.float64)


def _refuse_repeated(values: pd.Series, name: str, where: str) -> None:
    repeated = values[values.duplicated(keep=False)]
    if len(repeated):
        word = repeated.iloc[0]
        raise UserError(
            f"{where}: {_lines(values == word)} contradict each other on {name} {word}; keep one and run again."
        )


def _lines(mask: pd.Series) -> str:
    """`line 3` or `lines 3, 7 and 2 more` of the rows where the mask holds."""
    lines = [str(line) for line in mask.index[mask.to_numpy()]]
    more = f" and {len(lines) - 3} more" if len(lines) > 3 else ""
    return ("line " if len(lines) == 1 else "lines ") + ", ".join(lines[:3]) + more
