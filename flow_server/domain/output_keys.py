"""Where the blobs of outputs lie, and by what a file is looked up. Pure."""

import hashlib


def folder_of_outputs(run_id: str) -> str:
    """Return the folder of all of a run's outputs."""
    return f"outputs/{run_id}"


def folder_of_blob(run_id: str, party_run_id: str, blob: str) -> str:
    """Return the folder of the parts that one large file, or many packed ones, are stored in."""
    return f"{folder_of_outputs(run_id)}/{party_run_id}/{blob}"


def part_key(run_id: str, party_run_id: str, blob: str, number: int) -> str:
    """Return the key of one part's blob."""
    return f"{folder_of_blob(run_id, party_run_id, blob)}/{number:08}"


def name_key(name: str) -> str:
    """Return a short key for a name: names are longer than what an index can hold."""
    return hashlib.sha256(name.encode()).hexdigest()
