"""A seeded slice of `make fuzz`, hypothesis' own inputs, and that the fuzzer finds defects."""

import grpc
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flow_wire import agents_pb2 as pb
from flow_wire.codec.assignments import decode_report, encode_assignment, encode_report
from tests.security.fuzz import calls, campaign, decoding, links
from tests.security.fuzz.changing import changed
from tests.security.fuzz.findings import Findings
from tests.security.fuzz.inputs import Inputs
from tests.wire import strategies

COUNT = 3000


async def test_three_thousand_inputs_crash_hang_and_change_nothing(database_url, tmp_path):
    findings = await campaign.run(database_url, tmp_path, seed=7, count=COUNT)
    assert findings.found == []
    assert sum(findings.inputs.values()) >= COUNT
    # Inputs that are all refused at the door would prove little.
    assert findings.outcomes["calls", "OK"] > 0
    assert findings.outcomes["streams", "OK"] > 0
    assert findings.outcomes["decoding", "accepted"] > 0


@settings(max_examples=200, deadline=None, derandomize=True,
          suppress_health_check=[HealthCheck.too_slow])  # fmt: skip
@given(st.lists(strategies.assignments, max_size=3), st.randoms(use_true_random=False))
def test_assignments_that_hypothesis_made_and_we_changed_are_taken_or_ignored(made, random):
    wire = pb.Assignments(assignments=[encode_assignment(each) for each in made], complete=True)
    data = pb.ServerMessage(assignments=wire).SerializeToString()
    findings = Findings()
    links.take(findings, links.new_link(), 0, changed(random, data, data[::-1]))
    assert findings.found == []


@settings(max_examples=200, deadline=None, derandomize=True)
@given(strategies.reports, st.randoms(use_true_random=False))
def test_reports_that_hypothesis_made_and_we_changed_are_read_or_refused(made, random):
    data = encode_report(made).SerializeToString()
    findings = Findings()
    decoding.decode(findings, 0, decode_report, pb.Report, changed(random, data, data))
    assert findings.found == []


def test_the_same_number_makes_the_same_input():
    one, two = (Inputs(1, "calls").data(Inputs(1, "calls").random(5), pb.Report) for _ in "ab")
    assert one == two
    inputs = Inputs(1, "calls")
    assert len({inputs.data(inputs.random(number), pb.Report) for number in range(50)}) > 40


def test_a_decoder_that_fails_is_found():
    def broken(_wire):
        raise KeyError("a defect")

    findings = Findings()
    decoding.decode(findings, 3, broken, pb.Report, b"")
    [line] = findings.found
    assert "decoding #3" in line
    assert "a defect" in line


def test_every_call_of_every_service_is_among_the_targets():
    paths = {path for path, _, _ in calls.methods()}
    assert "/fedflow.v1.EnrolmentService/Enrol" in paths
    assert "/fedflow.v1.AgentService/Renew" in paths
    assert len(paths) == sum(
        not method.client_streaming for each in decoding.services() for method in each.methods
    )


@pytest.mark.parametrize("path", ["TemplateService/Get", "TaskService/Wait"])
async def test_bytes_that_are_no_message_are_the_callers_fault(path, secure):
    call = (await secure()).users().stream_stream(f"/fedflow.v1.{path}")()
    await call.write(b"\xff\xff")
    await call.done_writing()
    assert await call.code() is grpc.StatusCode.INVALID_ARGUMENT
