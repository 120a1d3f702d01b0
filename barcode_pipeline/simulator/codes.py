"""EPC codes: those issued, and the counterfeit ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from barcode_pipeline.simulator.journeys import (
    COMPANIES,
    Journeys,
    companies_of_factories,
    product_codes,
)
from barcode_pipeline.simulator.world import World

PARTS = ("header", "company", "product", "lot", "manufacture", "serial")
_OTHER_HEADERS = np.array(["002", "010", "101", "999"])
_OTHER_COMPANIES = np.array(["8800017", "8804832", "8812345", "9904823", "8805844"])
_NO_DATES = np.array(["20251301", "20250230", "00000000", "2025JUL1", "202507"])


@dataclass
class Codes:
    """The six parts of every code, as text, and whole codes where they are not six parts ("" elsewhere)."""

    parts: dict[str, np.ndarray]
    whole: np.ndarray
    lot: np.ndarray
    """Lot of each code: its own, or one whose product and factory it pretends to."""
    made: np.ndarray
    """When each code's item was made, or pretends to have been: seconds since the world's start."""

    def __len__(self) -> int:
        """Return how many codes there are."""
        return len(self.whole)

    def text(self) -> pa.Array:
        """Return the codes as senders give them."""
        joined = pc.binary_join_element_wise(*[pa.array(self.parts[name]) for name in PARTS], ".")
        whole = pa.array(self.whole)
        return pc.if_else(pc.equal(whole, ""), joined, whole)

    def append(self, parts: dict[str, np.ndarray], lot: np.ndarray, made: np.ndarray) -> np.ndarray:
        """Add codes, and return their indices."""
        first = len(self)
        for name in PARTS:
            self.parts[name] = np.concatenate([self.parts[name], parts[name]])
        self.whole = np.concatenate([self.whole, np.full(len(lot), "", dtype=self.whole.dtype)])
        self.lot = np.concatenate([self.lot, lot])
        self.made = np.concatenate([self.made, made])
        return np.arange(first, len(self))


def issued_codes(world: World, journeys: Journeys) -> Codes:
    """Return the codes of all EPCs of a world."""
    epcs = journeys.epcs
    lot = journeys.lot[:epcs]
    factory = journeys.factory_of_lot[lot]
    made = np.datetime64(world.start, "s") + journeys.made[:epcs]
    return Codes(
        parts={
            "header": np.full(len(lot), "001"),
            "company": np.array(COMPANIES)[companies_of_factories(factory)],
            "product": np.array(product_codes(world), dtype="U8")[journeys.product_of_lot[lot]],
            "lot": digits(journeys.code_of_lot, 6).astype("U7")[lot],
            "manufacture": date_digits(made.astype("datetime64[D]")),
            "serial": digits(journeys.serial[:epcs], 9),
        },
        whole=np.full(len(lot), "", dtype="U64"),
        lot=lot,
        made=journeys.made[:epcs].copy(),
    )


def digits(numbers: np.ndarray, width: int) -> np.ndarray:
    """Return numbers as text, with leading zeros to a width."""
    text = pc.utf8_lpad(pc.cast(pa.array(numbers), pa.string()), width, "0")
    return text.to_numpy(zero_copy_only=False).astype(f"U{width}")


def date_digits(dates: np.ndarray) -> np.ndarray:
    """Return dates (datetime64[D]) as YYYYMMDD."""
    names, place = np.unique(dates, return_inverse=True)
    return np.char.replace(names.astype("U10"), "-", "")[place]


def forge(
    random: np.random.Generator, world: World, codes: Codes, variant: str, chosen: np.ndarray, made: np.ndarray
) -> None:
    """Change the codes of the chosen EPCs as a variant says, in place. `made`: their dates, datetime64[D]."""
    parts, count = codes.parts, len(chosen)
    if variant == "not_six_parts":
        code = np.array(codes.text().take(pa.array(chosen)).to_pylist(), dtype="U64")
        headless = np.array([text[4:] for text in code], dtype="U64")
        forms = np.stack([headless, np.char.add(code, ".00"), np.char.replace(code, ".", "/")])
        codes.whole[chosen] = forms[random.integers(0, 3, count), np.arange(count)]
    elif variant == "wrong_header":
        parts["header"][chosen] = random.choice(_OTHER_HEADERS, count)
    elif variant == "unregistered_company":
        parts["company"][chosen] = random.choice(_OTHER_COMPANIES, count)
    elif variant in ("product_length", "lot_length"):
        name = variant.split("_")[0]
        now = parts[name][chosen]
        longer, shorter = np.char.add(now, "0"), now.astype(f"U{7 if name == 'product' else 6}")
        shorter = shorter.astype(f"U{6 if name == 'product' else 5}")
        parts[name][chosen] = np.where(random.random(count) < 0.5, longer, shorter)
    elif variant == "serial_length":
        parts["serial"][chosen] = np.char.lstrip(parts["serial"][chosen], "0")
    elif variant == "date_unreadable":
        parts["manufacture"][chosen] = random.choice(_NO_DATES, count)
    elif variant == "date_in_future":
        end = np.datetime64(world.end, "D")
        parts["manufacture"][chosen] = date_digits(end + 10 + random.integers(0, 400, count))
    elif variant == "too_old":
        five_years = 5 * 366
        parts["manufacture"][chosen] = date_digits(made - five_years - random.integers(30, 900, count))
    elif variant == "backdated_code":
        parts["manufacture"][chosen] = date_digits(made - random.integers(15, 90, count))
    else:
        raise ValueError(f"no such forgery: {variant}")


def never_issued(random: np.random.Generator, journeys: Journeys, codes: Codes, donor: np.ndarray) -> np.ndarray:
    """Add a well-formed code beside each donor's that nobody issued, and return their indices.

    Half of them are of the donor's lot, with a serial beyond its last; the other half share invented lots,
    about eight to a lot, each of the product and date of the oldest donor in it.
    """
    invented = np.arange(len(donor)) % 2 == 1
    factory = journeys.factory_of_lot[journeys.lot[donor]]
    invented_lot = factory * 100_000 + _rank_among(factory, invented) // 8
    oldest_first = np.lexsort((journeys.made[donor], invented_lot))
    _, first, place = np.unique(invented_lot[oldest_first], return_index=True, return_inverse=True)
    model = donor.copy()
    model[oldest_first] = donor[oldest_first][first][place]
    model = np.where(invented, model, donor)
    lot = journeys.lot[model]
    last = np.zeros(len(journeys.code_of_lot), dtype=np.int64)
    np.maximum.at(last, journeys.lot, journeys.serial)
    serial = last[lot] + 2 + 7 * _rank_among(lot, np.ones(len(lot), dtype=bool)) + random.integers(0, 6, len(lot))
    parts = {name: codes.parts[name][model] for name in PARTS}
    beyond = journeys.code_of_lot.max() + 9_001 + 5_003 * factory + 13 * (invented_lot % 100_000)
    parts["lot"] = np.where(invented, digits(beyond, 6), parts["lot"])
    parts["serial"] = digits(serial, 9)
    return codes.append(parts, lot, journeys.made[model])


def _rank_among(group: np.ndarray, counted: np.ndarray) -> np.ndarray:
    """Return how many counted elements of its group stand before each element."""
    order = np.argsort(group, kind="stable")
    before = np.cumsum(counted[order]) - counted[order]
    first = np.searchsorted(group[order], group[order])
    rank = np.empty(len(group), dtype=np.int64)
    rank[order] = before - before[first]
    return rank
