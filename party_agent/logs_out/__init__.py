"""Logs on their way out: kept here as they were written until the server has all of them."""
