"""fleetbeat beside its peers on one real API server in one run: `python -m benchmarks --help`. No part of the product."""
