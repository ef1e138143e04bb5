"""How the parties of a run find each other, as contract types: coordinator, mesh, framework."""

import re

from flow_contract.coordination import Ends, Framework, PortRange
from flow_contract.errors import InvalidArgument
from flow_contract.templates import Coordinator, Resources
from flow_server_sdk.payloads import forms, limits

_COORDINATOR = (
    "image_url",
    "workdir",
    "command",
    "env",
    "resources",
    "ports",
    "party",
    "ends",
    "decides",
)
_RANGE = re.compile(r"(?P<first>[0-9]{1,5})(?:-(?P<last>[0-9]{1,5}))?", re.ASCII)
_A_PORT = "a port such as 29500, or a range such as '32768-60999'"


def coordinator(value: object) -> Coordinator:
    """Return what a coordinator's dict says; what it leaves out has its default.

    Raises:
        InvalidArgument: names what has the wrong form.
    """
    given = forms.record("coordinator", value, _COORDINATOR)
    env, resources = given.get("env"), given.get("resources")
    return Coordinator(
        image_url=forms.text("coordinator.image_url", given.get("image_url", "")),
        workdir=forms.text("coordinator.workdir", given.get("workdir", "")),
        command=forms.texts("coordinator.command", given.get("command", ())),
        env={} if env is None else limits.env("coordinator.env", env),
        resources=Resources()
        if resources is None
        else limits.resources("coordinator.resources", resources),
        ports=_ports(given.get("ports", ())),
        party=forms.text("coordinator.party", given.get("party", "")),
        ends=_ends(given.get("ends", str(Coordinator.ends))),
        decides=forms.boolean("coordinator.decides", given.get("decides", Coordinator.decides)),
    )


def mesh(value: object) -> tuple[PortRange, ...]:
    """Return the ports of a list of numbers and "first-last" texts.

    Raises:
        InvalidArgument: names what has the wrong form.
    """
    if not isinstance(value, list | tuple):
        raise forms.refusal("mesh", value, "a list such as [29500, '32768-60999']")
    return tuple(_range(f"mesh[{place}]", item) for place, item in enumerate(value))


def framework(value: object) -> Framework:
    """Return the framework of this name.

    Raises:
        InvalidArgument: it is none that is known.
    """
    names = ", ".join(repr(str(each)) for each in Framework)
    try:
        return Framework(forms.text("framework", value))
    except ValueError:
        raise InvalidArgument(f"framework: give one of {names}", field="framework") from None


def _ports(value: object) -> tuple[int, ...]:
    field = "coordinator.ports"
    if not isinstance(value, list | tuple):
        raise forms.refusal(field, value, "a list of ports such as [8080]")
    return tuple(forms.integer(f"{field}[{place}]", port) for place, port in enumerate(value))


def _range(field: str, value: object) -> PortRange:
    if not isinstance(value, str):
        if isinstance(value, bool) or not isinstance(value, int):
            raise forms.refusal(field, value, _A_PORT)
        port = forms.integer(field, value)
        return PortRange(first=port, last=port)
    found = _RANGE.fullmatch(value.strip())
    if found is None:
        raise InvalidArgument(f"{field}: {value!r:.40} is no port; give {_A_PORT}", field=field)
    return PortRange(first=int(found["first"]), last=int(found["last"] or found["first"]))


def _ends(value: object) -> Ends:
    field = "coordinator.ends"
    names = ", ".join(repr(str(each)) for each in Ends)
    try:
        return Ends(forms.text(field, value))
    except ValueError:
        raise InvalidArgument(f"{field}: give one of {names}", field=field) from None
