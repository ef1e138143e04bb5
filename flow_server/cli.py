"""The server's part of `fedflow`: its command groups, light to import."""

from flow_server.db_cli import db

__all__ = ["db"]
