"""Values of files that workloads leave."""

from hypothesis import strategies as st

from flow_contract.outputs import (
    ComingOutput,
    OutputAnswer,
    OutputFile,
    OutputsClosed,
    OutputState,
    PackedOutput,
    PartyOutputs,
    Skipped,
    StoredOutput,
)
from tests.wire.strategies import int32, int64, maybe, text, times

short = st.binary(max_size=12)
files = st.builds(OutputFile, upload_id=text, name=text, bytes=int64)
packed = st.builds(PackedOutput, file=files, sha256=short, data=short)
answers = st.builds(OutputAnswer, state=st.sampled_from(OutputState), stored_bytes=int64, why=text)
closed = st.builds(
    OutputsClosed,
    withheld=text,
    skipped=st.lists(st.builds(Skipped, name=text, why=text), max_size=3).map(tuple),
    skipped_count=int64,
)
stored = st.builds(
    StoredOutput,
    federated_id=text,
    name=text,
    bytes=int64,
    sha256=short,
    stored_at=maybe(times),
)
coming = st.builds(ComingOutput, name=text, bytes=int64, stored_bytes=int64)
parties = st.builds(
    PartyOutputs,
    federated_id=text,
    rank=int32,
    complete=st.booleans(),
    files=int64,
    bytes=int64,
    closed=closed,
    coming=st.lists(coming, max_size=3).map(tuple),
)
