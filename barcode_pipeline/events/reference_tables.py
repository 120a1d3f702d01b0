"""Reading the two reference tables: the sites with their coordinates, the routes with their transit times."""

from __future__ import annotations

import csv
import hashlib
import io
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from barcode_pipeline.errors import UserError
from barcode_pipeline.events.formats import SITE_COLUMNS, SITES_FILE, TRANSITION_COLUMNS, TRANSITIONS_FILE
from barcode_pipeline.events.places import Reference, Routes, Sites
from barcode_pipeline.events.text import clean_words, integers_from_words


def load_reference(folder: Path) -> Reference:
    """Both tables of `folder`; `UserError` with file, line and remedy where one cannot be used."""
    sites = load_sites(folder)
    table = read_transitions(folder / TRANSITIONS_FILE)
    return Reference(sites, routes_from_table(table, sites, str(folder / TRANSITIONS_FILE)))


def load_sites(folder: Path) -> Sites:
    """The sites of `folder`."""
    return sites_from_table(_read_table(folder / SITES_FILE, SITE_COLUMNS[1:5]), str(folder / SITES_FILE))


def read_transitions(path: Path) -> pd.DataFrame:
    """The transition table as it stands: all its columns as text, also rows whose sites nobody knows."""
    return _read_table(path, TRANSITION_COLUMNS[:5])


def fingerprint_reference(folder: Path) -> str:
    """What both files hold, as a short hash; `missing` stands for a file that is not there."""
    digest = hashlib.sha256()
    for name in (SITES_FILE, TRANSITIONS_FILE):
        path = folder / name
        digest.update(path.read_bytes() if path.exists() else b"missing")
    return digest.hexdigest()[:16]


def sites_from_table(table: pd.DataFrame, where: str) -> Sites:
    """The sites of a table of strings; ids have to be distinct integers, names distinct."""
    if not len(table):
        raise UserError(f"{where}: the table holds no site, so every place would be unknown; fill it and run again.")
    ids, whole = integers_from_words(pa.array(table["location_id"], pa.string(), from_pandas=True))
    _refuse(~whole, table, where, "no whole number in location_id")
    names = table["scan_location"]
    _refuse(names.isna().to_numpy(), table, where, "no scan_location")
    degrees = {name: _numbers(table, name, where) for name in ("Latitude", "Longitude")}
    for name, limit in (("Latitude", 90), ("Longitude", 180)):
        _refuse(np.abs(degrees[name]) > limit, table, where, f"a {name} beyond ±{limit} degrees")
    sites = pd.DataFrame({"location_id": ids, "scan_location": names, **degrees}, table.index).drop_duplicates()
    _refuse_repeated(sites["location_id"], "location_id", where)
    _refuse_repeated(sites["scan_location"], "scan_location", where)
    sites = sites.sort_values("location_id")
    return Sites(
        sites["location_id"].to_numpy(np.int64),
        tuple(sites["scan_location"]),
        sites["Latitude"].to_numpy(np.float64),
        sites["Longitude"].to_numpy(np.float64),
    )


def routes_from_table(table: pd.DataFrame, sites: Sites, where: str) -> Routes:
    """The routes between known sites; those that name an unknown site can never be looked up and are left out."""
    ends = ["from_scan_location", "to_scan_location"]
    numbers = {name: np.full(len(table), np.nan) for name in TRANSITION_COLUMNS[2:]}
    for name in set(numbers) & set(table.columns):
        numbers[name] = _numbers(table, name, where)
        _refuse(numbers[name] < 0, table, where, f"a negative {name}")
    fastest, slowest = TRANSITION_COLUMNS[4:6]
    _refuse(numbers[fastest] > numbers[slowest], table, where, f"a {fastest} above its {slowest}")
    routes = table[ends].assign(**numbers).drop_duplicates()
    pairs = routes[ends[0]].fillna("") + " → " + routes[ends[1]].fillna("")
    _refuse_repeated(pairs, "route", where)
    site_of = {name: row for row, name in enumerate(sites.name)}
    for name in ends:
        routes[name] = np.array([site_of.get(word, -1) for word in routes[name]], dtype=np.int64)
    routes = routes[(routes[ends] >= 0).all(axis=1)].sort_values(ends)
    start = np.searchsorted(routes[ends[0]].to_numpy(np.int64), np.arange(len(sites) + 1)).astype(np.int32)
    columns = [routes[name].to_numpy(np.float64) for name in TRANSITION_COLUMNS[2:]]
    return Routes(start, routes[ends[1]].to_numpy(np.int32), *columns)


def _read_table(path: Path, needed: tuple[str, ...]) -> pd.DataFrame:
    """All columns as stripped strings, missing as None; the index is the line in the file."""
    if not path.exists():
        raise UserError(
            f"The reference table {path} is missing: put it there (columns {', '.join(needed)} …), "
            "or run `make data` for simulated data with its tables."
        )
    lines, rows = _read_rows(path)
    header = [name.strip() for name in rows[0]] if rows else []
    for name in needed:
        if header.count(name) != 1:
            what = "is missing; add it" if name not in header else "stands twice; leave one"
            raise UserError(f"{path}: the column {name} {what} and run again.")
    width = len(header)
    filled = [(line, row) for line, row in zip(lines[1:], rows[1:], strict=True) if any(map(str.strip, row))]
    for line, row in filled:
        # Spreadsheets write separators after the last column; anything else there is out of place.
        if len(row) < width or any(map(str.strip, row[width:])):
            raise UserError(
                f"{path}: line {line} has {len(row)} fields where the header has {width}; correct it and run again."
            )
    columns = {
        name: clean_words(pa.array([row[header.index(name)] for _, row in filled], pa.string())).to_pylist()
        for name in dict.fromkeys(header)
    }
    return pd.DataFrame(columns, index=[line for line, _ in filled], dtype=object)


def _read_rows(path: Path) -> tuple[list[int], list[list[str]]]:
    """The rows of a file of separated values, and the line at which each starts."""
    lines: list[int] = [1]
    rows: list[list[str]] = []
    try:
        text = path.read_bytes().decode("utf-8-sig")
        first_line = text.split("\n", 1)[0]
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=max(",\t;", key=first_line.count), strict=True)
        for row in reader:
            rows.append(row)
            lines.append(reader.line_num + 1)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(
            f"{path} cannot be read as a table, line {lines[-1]} ({error}): save it as UTF-8 with commas and run again."
        ) from error
    return lines[:-1], rows


def _numbers(table: pd.DataFrame, column: str, where: str) -> np.ndarray:
    """A column as numbers, NaN where nothing is given."""
    values = pd.to_numeric(table[column], errors="coerce")
    wrong = values.isna() & table[column].notna() | np.isinf(values)
    _refuse(wrong.to_numpy(), table, where, f"no number in {column}")
    return values.to_numpy(dtype=np.float64)


def _refuse(wrong: np.ndarray, table: pd.DataFrame, where: str, what: str) -> None:
    if wrong.any():
        lines = pd.Series(wrong, table.index)
        raise UserError(
            f"{where}: {_lines(lines)} {'has' if wrong.sum() == 1 else 'have'} {what}; correct the table and run again."
        )


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
