"""The file's fields as a JSON Schema, for editors that check while one types."""

from typing import Any

from flow_server_sdk.cli.flowfile.fields import FILE


def json_schema() -> dict[str, Any]:
    """Return the schema of the whole file."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Fedflow: template, task and start in one file",
        **FILE.schema(),
    }
