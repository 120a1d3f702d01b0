"""Detectors behind one small contract: the LSTM, its training and calibration, the baselines, the registry."""
