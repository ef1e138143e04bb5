"""The server's part of `fedflow`: its commands, light to import."""

from flow_server.db_cli import db
from flow_server.server_cli import server

__all__ = ["db", "server"]
