"""`fedflow`: the command line. Importing it costs click, and not gRPC, SQLAlchemy or docker."""

from flow_server_sdk.cli.commands import main

__all__ = ["main"]
