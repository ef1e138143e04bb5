"""The Docker runtime: translate purely, call barely, decide elsewhere.

`translate`, `refusals`, `commands` and `pause` are pure; `client` is the only importer of
docker; `sandbox`, `events` and `runtime` decide what to call and when.
"""
