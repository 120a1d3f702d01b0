"""Simple detectors that every model must beat. One file per detector; `registry` names them all."""
