"""Finds counterfeit, cloned and diverted goods in the scan events of supply-chain barcodes."""
