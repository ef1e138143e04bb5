"""Agents' streams: sequences of messages that no honest agent would send in this order."""

import asyncio

import grpc

from flow_wire import agents_pb2 as pb
from tests.security.fuzz.calls import BAD
from tests.security.fuzz.findings import ANSWER_S
from tests.security.fuzz.inputs import Inputs
from tests.security.fuzz.place import BYSTANDER, SENDERS

# What this side's gRPC says when it writes to a call whose end it has not yet read.
FROM_OUR_OWN_SIDE = "Internal error from Core"
PATH = "/fedflow.v1.AgentService/Connect"


async def feed(findings, place, seed, count):
    """Open streams until `count` messages were sent, of each sender one at a time."""
    inputs = Inputs(seed, "streams", place.words)
    numbers = iter(range(count))
    sent = 0

    async def work(party):
        nonlocal sent
        for number in numbers:
            if sent >= count:
                return
            messages = _sequence(inputs, inputs.random(number), party)
            sent += len(messages)
            code, details = await _converse(place.agents[party], messages)
            findings.ended("streams", code, len(messages))
            if code in BAD:
                findings.find("streams", number, f"{code} {details}", b"|".join(messages))

    await asyncio.gather(*(work(party) for party in SENDERS))


def _sequence(inputs, random, party):
    greeting = pb.AgentMessage(hello=pb.Hello(federated_id=party, instance_id=f"of {party}"))
    messages = [greeting.SerializeToString()] if random.random() < 0.7 else []
    messages += [_message(inputs, random, greeting) for _ in range(random.randint(1, 6))]
    return messages


def _message(inputs, random, greeting):
    chance = random.random()
    if chance < 0.08:
        return greeting.SerializeToString()
    if chance < 0.12:
        other = pb.AgentMessage()
        other.hello.CopyFrom(greeting.hello)
        other.hello.federated_id = BYSTANDER
        return other.SerializeToString()
    if chance < 0.5:
        reports = [inputs.message(random, pb.Report) for _ in range(random.choice((1, 2, 5)))]
        for report in reports:
            report.sequence = random.choice((report.sequence, -1, 2**63 - 1, 1, 2))
        made = pb.AgentMessage(reports=pb.Reports(reports=reports))
        return made.SerializeToString()
    return inputs.data(random, pb.AgentMessage)


async def _converse(channel, messages):
    call = channel.stream_stream(PATH)()
    try:
        async with asyncio.timeout(ANSWER_S):
            try:
                for message in messages:
                    await call.write(message)
                await call.done_writing()
            except asyncio.InvalidStateError:
                # Refused while there was more to say.
                pass
            while await call.read() is not grpc.aio.EOF:
                pass
            return (await call.code()).name, await call.details()
    except grpc.aio.AioRpcError as error:
        if error.details() == FROM_OUR_OWN_SIDE:
            return "ended while writing", ""
        return error.code().name, error.details()
    except TimeoutError:
        call.cancel()
        return "DATA_LOSS", "no end in time"
