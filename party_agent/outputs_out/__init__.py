"""Files on their way out: what workloads leave in /output, and what they send while they run."""
