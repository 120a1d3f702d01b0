"""What the documents promise of the code."""

from __future__ import annotations

from pathlib import Path

from barcode_pipeline.sequences.features import FEATURES

DOCS = Path(__file__).parent.parent / "docs"


def test_every_feature_stands_in_the_table():
    lines = (DOCS / "features.md").read_text(encoding="utf-8").splitlines()
    table = [line for line in lines if line.startswith("| `")]
    assert table == [f"| `{feature.name}` | {feature.unit} | {feature.meaning} |" for feature in FEATURES]
