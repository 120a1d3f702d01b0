"""The domain: EPC codes, sites and levels, raw files and intake, journeys, history. Knows no other package."""
