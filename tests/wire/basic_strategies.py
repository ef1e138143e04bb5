"""Hypothesis strategies of what contract types are made of."""

from datetime import UTC

from hypothesis import strategies as st

from flow_contract.templates import GpuRequest, Resources

text = st.text(max_size=12)
texts = st.lists(text, max_size=3).map(tuple)
int32 = st.integers(-(2**31), 2**31 - 1)
int64 = st.integers(-(2**63), 2**63 - 1)
number = st.floats(allow_nan=False)
times = st.datetimes(timezones=st.just(UTC))
env = st.dictionaries(text, text, max_size=3)


def maybe(strategy):
    return st.none() | strategy


gpu_requests = st.builds(
    GpuRequest,
    count=st.integers(0, 2**32 - 1),
    device_ids=texts,
    # An empty list is documented to mean ["gpu"].
    capabilities=st.lists(text, min_size=1, max_size=3).map(tuple),
)
resources = st.builds(
    Resources,
    cpus=maybe(number),
    memory_bytes=maybe(int64),
    pids=maybe(int64),
    shm_bytes=maybe(int64),
    gpus=maybe(gpu_requests),
)
