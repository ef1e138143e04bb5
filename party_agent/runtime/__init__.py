"""Where workloads run: one port, several implementations, one behaviour suite."""
