"""The planter: makes anomalies, whose place is then known, out of ordinary journeys. It knows no simulator."""
