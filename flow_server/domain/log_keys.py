"""Where the blobs of logs lie. Pure."""


def folder_of_logs(run_id: str) -> str:
    """Return the folder of all of a run's logs."""
    return f"logs/{run_id}"


def chunk_key(run_id: str, party_run_id: str, start: int, raw_bytes: int) -> str:
    """Return the key of one chunk's blob.

    With its size: what an agent sent and nobody took may be sent again in other pieces, and equal
    keys must hold equal bytes.
    """
    return f"{folder_of_logs(run_id)}/{party_run_id}/{start:020}-{raw_bytes}.zst"
