"""The live API: scans are judged as they come, over the kernels of the nightly chain."""
