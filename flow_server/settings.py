"""What the flow server can be told, from options and from FEDFLOW_SERVER_… variables.

All problems are reported at once, each with its name.
"""

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict


class ServerSettings(BaseSettings):
    """Settings of one flow server process."""

    model_config = SettingsConfigDict(env_prefix="FEDFLOW_SERVER_", frozen=True, extra="forbid")

    host: str = "127.0.0.1"
    port: int = Field(default=1235, ge=0, le=65535)
    http_port: int = Field(default=1236, ge=0, le=65535)
    # None means the embedded PostgreSQL.
    database_url: SecretStr | None = None
    state_dir: Path | None = None
    ready_file: Path | None = None
    database_connections: int = Field(default=10, ge=3, le=1000)
    # A party whose agent is silent for longer counts as absent.
    lease_s: float = Field(default=30, ge=1)
    lease_renewal_s: float = Field(default=10, gt=0)
    # How long agents have to come back after a server that was away; their own longest
    # back-off is a minute.
    return_grace_s: float = Field(default=75, ge=0)
    sweep_s: float = Field(default=1, gt=0)
    shutdown_grace_s: float = Field(default=2, ge=0)
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_json: bool = False


def problems(error: ValidationError) -> list[str]:
    """Return one line per problem, each with the name of its option."""
    return [
        f"--{'-'.join(str(part) for part in item['loc']).replace('_', '-')}: {item['msg']}"
        for item in error.errors(include_input=False, include_url=False)
    ]
