"""What Dagster sees: one file per concept, each thin. What computes lies outside and knows no Dagster.

Nothing here imports PyTorch or scikit-learn while it is loaded: an asset imports what it computes with when it runs.
"""

from __future__ import annotations

import warnings

# Backfill policies, partitioned checks and code references are used on purpose; Dagster would say on every start
# that they are young.
warnings.filterwarnings("ignore", message=r".* is currently in (beta|preview)")
