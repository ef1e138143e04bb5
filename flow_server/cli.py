"""The server's part of `fedflow`: its commands, light to import."""

from flow_server.db_cli import db
from flow_server.init_cli import init
from flow_server.server_cli import server

server.add_command(init)

__all__ = ["db", "server"]
