"""Every request through the codec, without a connection: for the number's sake."""

import importlib
import inspect

from google.protobuf.message import DecodeError

import flow_wire.codec
from flow_contract.errors import FlowError, Internal
from flow_wire.codec.unknown_fields import reject_unknown_fields
from tests.security.fuzz.inputs import Inputs

MODULES = ("agents", "audit", "enrolment", "parties", "runs", "tasks", "templates", "users")


def services():
    """Return every service of ours, by its descriptor."""
    for name in MODULES:
        module = importlib.import_module(f"flow_wire.{name}_pb2")
        yield from module.DESCRIPTOR.services_by_name.values()


def every_message():
    """Return the class of every message there is, nested ones through those around them."""
    for name in MODULES:
        module = importlib.import_module(f"flow_wire.{name}_pb2")
        for message in module.DESCRIPTOR.message_types_by_name:
            yield getattr(module, message)


def decoders():
    """Return {message's class: function}, of all `decode_…` that take one message."""
    found = {}
    package = flow_wire.codec.__name__
    for name in ("assignments", "audit", "parties", "runs", "tasks", "templates", "users"):
        try:
            module = importlib.import_module(f"{package}.{name}")
        except ModuleNotFoundError:
            continue
        for title, function in vars(module).items():
            parameters = (
                list(inspect.signature(function).parameters.values())
                if (title.startswith("decode_") and function.__module__ == module.__name__)
                else []
            )
            if len(parameters) == 1 and hasattr(parameters[0].annotation, "DESCRIPTOR"):
                found[function] = parameters[0].annotation
    return found


def feed(findings, seed, count):
    """Decode `count` inputs; any error but a refusal is a finding."""
    inputs = Inputs(seed, "decoding")
    known = list(decoders().items())
    kinds = [kind for _, kind in known]
    others = [(None, kind) for kind in every_message() if kind not in kinds]
    for number in range(count):
        random = inputs.random(number)
        function, kind = random.choice(known) if random.random() < 0.7 else random.choice(others)
        decode(findings, number, function, kind, inputs.data(random, kind))


def decode(findings, number, function, kind, data):
    """Decode one input."""
    try:
        outcome = _decode(function, kind, data)
    except Exception as error:  # noqa: BLE001  what it is for
        outcome = "finding"
        findings.find("decoding", number, f"{kind.__name__}: {error!r}", data)
    findings.ended("decoding", outcome)


def _decode(function, kind, data):
    try:
        wire = kind.FromString(data)
    except DecodeError:
        return "no message"
    try:
        reject_unknown_fields(wire)
        if function is not None:
            function(wire)
    except FlowError as error:
        if isinstance(error, Internal) or len(error.message) > 2000:
            raise AssertionError(error.message) from None
        return error.code
    return "accepted"
