"""Use cases; the only opener of transactions."""
