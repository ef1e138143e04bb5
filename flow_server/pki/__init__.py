"""Certificates: who signs them, where they are kept, how they are read. Knows no network."""
