"""The figures of this project, measured: `make bench`, or `python -m benchmarks NAME …` for some of them.

A module per group of figures, and what comes of them in `results`. Worlds are simulated in a temporary folder;
`data/` and `models/` of the project are not touched. Nothing here is imported by the pipeline.
"""
