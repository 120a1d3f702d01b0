"""The two reference tables: what is wrong is said with file, line and remedy; what can be read is read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from barcode_pipeline.errors import UserError
from barcode_pipeline.events.formats import SITES_FILE, TRANSITIONS_FILE
from barcode_pipeline.events.places import Reference
from barcode_pipeline.events.reference_tables import fingerprint_reference, load_reference

SITES = (
    "seq,location_id,scan_location,Latitude,Longitude,factory_locations\n"
    "1,7,Plant,37.382,126.642,\n"
    "2,3,Hub,37.3,127.35,\n"
    "3,5,Shop,,,\n"
)
PREFIX = "time_taken_hours_"
ROUTES = (
    f"from_scan_location,to_scan_location,{PREFIX}mean,{PREFIX}std,{PREFIX}min,{PREFIX}max,{PREFIX}count\n"
    "Plant,Hub,5.3,2.4,1.5,9.9,100\n"
    "Hub,Shop,4.1,0,1,8,50\n"
    "Hub,Plant,4.5,,,,\n"
)


def load(folder: Path, sites: str | bytes | None = SITES, routes: str | bytes | None = ROUTES) -> Reference:
    for name, content in ((SITES_FILE, sites), (TRANSITIONS_FILE, routes)):
        if content is not None:
            (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return load_reference(folder)


def test_good_tables(tmp_path: Path) -> None:
    reference = load(tmp_path)
    assert reference.sites.location_id.tolist() == [3, 5, 7]
    assert reference.sites.name == ("Hub", "Shop", "Plant")
    assert np.isnan(reference.sites.latitude[1]) and reference.sites.latitude[2] == 37.382
    routes = reference.routes
    assert routes.start.tolist() == [0, 2, 2, 3]
    assert routes.destination.tolist() == [1, 2, 1 - 1]
    assert routes.mean.tolist() == [4.1, 4.5, 5.3] and routes.std[0] == 0 and np.isnan(routes.std[1])
    assert routes.count.tolist()[0::2] == [50, 100]


REFUSED_SITES = {
    "missing": (None, ["is missing: put it there", "make data"]),
    "empty": ("", ["the column location_id is missing; add it"]),
    "header alone": (SITES.split("\n")[0] + "\n", ["holds no site", "fill it and run again"]),
    "blank lines alone": (SITES.split("\n")[0] + "\n,,,,,\n\n", ["holds no site"]),
    "column missing": (SITES.replace("Longitude", "x"), ["the column Longitude is missing; add it and run again"]),
    "column twice": (SITES.replace("seq", "Latitude"), ["the column Latitude stands twice; leave one"]),
    "UTF-16": (SITES.encode("utf-16"), ["cannot be read as a table", "save it as UTF-8 with commas"]),
    "CP949": (SITES.replace("Hub", "허브").encode("cp949"), ["cannot be read as a table", "UTF-8"]),
    "open quote": (SITES.replace("Hub", '"Hub'), ["cannot be read as a table, line 3"]),
    "too few fields": (SITES.replace("2,3,Hub,37.3,127.35,", "2,3,Hub"), ["line 3 has 3 fields", "header has 6"]),
    "too many fields": (SITES.replace("127.35,", "127.35,a,b"), ["line 3 has 7 fields where the header has 6"]),
    "decimal commas": (SITES.replace("37.3,127.35", "37,3,127,35"), ["line 3 has 8 fields"]),
    "text in numbers": (SITES.replace("37.3,", "north,"), ["line 3 has no number in Latitude", "correct the table"]),
    "infinite": (SITES.replace("37.3,", "inf,"), ["line 3 has no number in Latitude"]),
    "swapped degrees": (SITES.replace("37.3,127.35", "127.35,37.3"), ["line 3 has a Latitude beyond ±90 degrees"]),
    "beyond the globe": (SITES.replace("127.35", "227.35"), ["line 3 has a Longitude beyond ±180 degrees"]),
    "id missing": (SITES.replace("2,3,Hub", "2,,Hub"), ["line 3 has no whole number in location_id"]),
    "id broken": (SITES.replace("2,3,Hub", "2,3.5,Hub"), ["line 3 has no whole number in location_id"]),
    "id of 31 digits": (SITES.replace("2,3,Hub", f"2,{10**30},Hub"), ["line 3 has no whole number in location_id"]),
    "name missing": (SITES.replace("Hub", " null "), ["line 3 has no scan_location"]),
    "two names of one id": (SITES + "4,3,Depot,37.3,127.35,\n", ["lines 3, 5 contradict each other on location_id 3"]),
    "one id in two forms": (SITES + "4,3.0,Depot,1,1,\n", ["lines 3, 5 contradict", "location_id 3"]),
    "two places of one site": (SITES + "4,3,Hub,37.4,127.35,\n", ["lines 3, 5 contradict", "keep one and run again"]),
    "two ids of one name": (SITES + "4,9,Hub,37.3,127.35,\n", ["lines 3, 5 contradict", "scan_location Hub"]),
    "lines after a blank one": (SITES.replace("3,5,Shop,,", "\n\n3,5,Shop,x,"), ["line 6 has no number in Latitude"]),
    "line after a break in quotes": (
        SITES.replace("Hub", '"Hu\nb"').replace("5,Shop,", "5,Shop,x"), ["line 5 has no number in Latitude"]
    ),
    "many lines": (SITES + "".join(f"4,{n},s{n},x,1,\n" for n in range(10, 16)), ["lines 5, 6, 7 and 3 more have no"]),
}  # fmt: skip


@pytest.mark.parametrize(("content", "said"), REFUSED_SITES.values(), ids=REFUSED_SITES.keys())
def test_refused_sites(tmp_path: Path, content: str | bytes | None, said: list[str]) -> None:
    with pytest.raises(UserError) as refused:
        load(tmp_path, sites=content)
    assert str(tmp_path / SITES_FILE) in str(refused.value)
    assert all(fragment in str(refused.value) for fragment in said), str(refused.value)


REFUSED_ROUTES = {
    "missing": (None, ["is missing: put it there"]),
    "empty": ("", ["the column from_scan_location is missing"]),
    "column missing": (ROUTES.replace(f"{PREFIX}std", "x"), [f"the column {PREFIX}std is missing"]),
    "text in numbers": (ROUTES.replace("5.3", "long"), [f"line 2 has no number in {PREFIX}mean"]),
    "negative σ": (ROUTES.replace("2.4", "-2.4"), [f"line 2 has a negative {PREFIX}std"]),
    "negative hours": (ROUTES.replace("1.5", "-1.5"), [f"line 2 has a negative {PREFIX}min"]),
    "minimum above maximum": (ROUTES.replace("9.9", "1.2"), [f"line 2 has a {PREFIX}min above its {PREFIX}max"]),
    "contradictory": (ROUTES + "Plant,Hub,5.4,2.4,1.5,9.9,100\n", ["lines 2, 5 contradict each other on route Plant"]),
    "contradictory, of unknown names": (ROUTES + "A,B,1,1,1,1,1\nA,B,2,1,1,2,1\n", ["lines 5, 6 contradict"]),
    "binary": (bytes(range(256)), ["cannot be read as a table"]),
}


@pytest.mark.parametrize(("content", "said"), REFUSED_ROUTES.values(), ids=REFUSED_ROUTES.keys())
def test_refused_routes(tmp_path: Path, content: str | bytes | None, said: list[str]) -> None:
    with pytest.raises(UserError) as refused:
        load(tmp_path, routes=content)
    assert str(tmp_path / TRANSITIONS_FILE) in str(refused.value)
    assert all(fragment in str(refused.value) for fragment in said), str(refused.value)


SAME = {
    "mark of UTF-8": (("\ufeff" + SITES).encode(), ("\ufeff" + ROUTES).encode()),
    "CRLF": (SITES.replace("\n", "\r\n"), ROUTES.replace("\n", "\r\n")),
    "lone carriage returns": (SITES.replace("\n", "\r"), ROUTES.replace("\n", "\r")),
    "tabs": (SITES.replace(",", "\t"), ROUTES.replace(",", "\t")),
    "semicolons": (SITES.replace(",", ";"), ROUTES.replace(",", ";")),
    "blank lines and lines of separators": (SITES.replace("2,3", "\n,,,,,\n2,3"), ROUTES + "\n\n,,,,,,\n"),
    "trailing separators": (SITES.replace(",\n", ",,,\n"), ROUTES.replace("\nHub", ",\nHub")),
    "blanks and quotes": (SITES.replace("Hub", '"Hub"'), ROUTES.replace("Plant", " Plant ")),
    "other forms of numbers": (SITES.replace(",3,Hub,37.3", ",03.0,Hub,3.73e1"), ROUTES.replace("5.3", "5.30")),
    "rows twice": (SITES + "9,7.0,Plant,37.3820,126.642,\n", ROUTES + "Plant,Hub,5.30,2.4,1.5,9.9,100\n"),
    "rows in another order": ("\n".join([(rows := SITES.split("\n"))[0], *rows[:0:-1]]), ROUTES),
    "unknown names in routes": (SITES, ROUTES + "Mars,Hub,1,1,1,1,1\nHub,Mars,1,1,1,1,1\n,Hub,1,1,1,1,1\n"),
    "σ that is no number": (SITES, ROUTES.replace("4.5,,,,", "4.5,NaN,null,,")),
}  # fmt: skip


@pytest.mark.parametrize(("sites", "routes"), SAME.values(), ids=SAME.keys())
def test_same_tables_in_other_forms(tmp_path: Path, sites: str | bytes, routes: str | bytes) -> None:
    (tmp_path / "plain").mkdir()
    expected, found = load(tmp_path / "plain"), load(tmp_path, sites, routes)
    assert found.sites.name == expected.sites.name
    for name in ("location_id", "latitude", "longitude"):
        np.testing.assert_array_equal(getattr(found.sites, name), getattr(expected.sites, name))
    for name in ("start", "destination", "mean", "std", "minimum", "maximum", "count"):
        np.testing.assert_array_equal(getattr(found.routes, name), getattr(expected.routes, name))


def test_site_called_like_a_word_for_missing(tmp_path: Path) -> None:
    """`NA` and `None` are names: only what the rules' contract calls missing is missing."""
    assert load(tmp_path, SITES.replace("Hub", "NA").replace("Shop", "None")).sites.name == ("NA", "None", "Plant")


def test_table_without_routes(tmp_path: Path) -> None:
    routes = load(tmp_path, routes=ROUTES.split("\n")[0] + "\n").routes
    assert len(routes) == 0 and routes.start.tolist() == [0, 0, 0, 0]


def test_large_ids_keep_all_digits(tmp_path: Path) -> None:
    assert load(tmp_path, SITES.replace("1,7,", "1,123456789012345677,")).sites.location_id[-1] == 123456789012345677


def test_fingerprint_tells_tables_apart(tmp_path: Path) -> None:
    seen = {fingerprint_reference(tmp_path)}
    for sites, routes in ((SITES, ROUTES), (SITES + "\n", ROUTES), (SITES, ROUTES + "\n")):
        load(tmp_path, sites, routes)
        seen.add(fingerprint_reference(tmp_path))
    assert len(seen) == 4
