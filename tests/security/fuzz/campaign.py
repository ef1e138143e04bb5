"""One fuzzing run: so many inputs, divided among the ways in."""

from pathlib import Path

from tests.security.fuzz import calls, decoding, links, streams, wires
from tests.security.fuzz.findings import Findings
from tests.security.fuzz.place import place

# Of all inputs; the rest is decoded without a connection.
SHARES = {"streams": 0.12, "calls": 0.24, "frames": 0.01, "links": 0.15, "links over wire": 0.03}


def shares_of(count):
    """Return how many inputs go which way."""
    shares = {name: round(count * share) for name, share in SHARES.items()}
    return {**shares, "decoding": count - sum(shares.values())}


async def run(database_url, folder: Path, *, seed, count) -> Findings:
    """Feed `count` inputs; return what was counted and found."""
    findings, shares = Findings(), shares_of(count)
    decoding.feed(findings, seed, shares["decoding"])
    links.feed_decoding(findings, seed, shares["links"])
    await links.feed(findings, folder / "site", seed, shares["links over wire"])
    async with place(database_url, folder, findings) as there:
        await streams.feed(findings, there, seed, shares["streams"])
        await there.check_bystander(findings)
        # Last: what they may do, such as revoke a party, is felt by all.
        await wires.feed(findings, there, seed, shares["frames"])
        await there.check_bystander(findings)
        rows = await calls.feed(findings, there, seed, shares["calls"])
        await there.check_rows(findings, rows)
        await there.alive()
    findings.look_at_memory()
    return findings
