"""Names or ids of tasks and templates: which one is meant.

A name is compared as the server compares it (case and outer white space make no difference);
an id may be cut short to its first digits, four at least. What fits more than one is an error
that lists them: nothing is guessed.
"""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from flow_contract.errors import NotFound, by_ret_code
from flow_contract.foreign_text import printable
from flow_contract.ids import ID_LENGTH, TEMPLATE_ID_LENGTH, name_key
from flow_server_sdk.cli.asking import PAGE, data_of
from flow_server_sdk.cli.exits import CommandFailed, Exit
from flow_server_sdk.shapes import Answer

if TYPE_CHECKING:
    from flow_server_sdk.client import FlowServerSdk

_LEAST_DIGITS = 4
_SHOWN = 10


def find_task(sdk: "FlowServerSdk", wanted: str) -> dict[str, Any]:
    """Return the task of this name or id as `task get` shows it.

    Raises:
        CommandFailed: there is none, or more than one.
    """
    if _is_id(wanted, ID_LENGTH) and (found := _answered(sdk.task.get(wanted))) is not None:
        return found
    return _only("task", wanted, list(all_tasks(sdk)))


def find_template(sdk: "FlowServerSdk", wanted: str) -> dict[str, Any]:
    """Return the template of this name or id as `template get` shows it.

    Raises:
        CommandFailed: there is none, or more than one.
    """
    is_id = _is_id(wanted, TEMPLATE_ID_LENGTH)
    if is_id and (found := _answered(sdk.template.get(wanted))) is not None:
        return found
    return _only("template", wanted, list(all_templates(sdk)))


def template_named(sdk: "FlowServerSdk", name: str) -> dict[str, Any] | None:
    """Return the template of exactly this name, None if there is none."""
    return _named(name, all_templates(sdk, keyword=name))


def task_named(sdk: "FlowServerSdk", name: str) -> dict[str, Any] | None:
    """Return the task of exactly this name, None if there is none."""
    return _named(name, all_tasks(sdk))


def all_tasks(sdk: "FlowServerSdk", *, party: str = "") -> Iterator[dict[str, Any]]:
    """Yield every task that the caller may see, oldest first."""
    page = 1
    while found := data_of(sdk.task.list(page, PAGE, federated_id=party))["tasks"]:
        yield from found
        if len(found) < PAGE:
            return
        page += 1


def all_templates(sdk: "FlowServerSdk", *, keyword: str = "") -> Iterator[dict[str, Any]]:
    """Yield every template whose name holds `keyword`, oldest first."""
    page = 1
    while found := data_of(sdk.template.list(keyword, page, PAGE))["templates"]:
        yield from found
        if len(found) < PAGE:
            return
        page += 1


def _answered(answer: Answer) -> dict[str, Any] | None:
    if by_ret_code(answer["ret_code"]) is NotFound:
        return None
    found: dict[str, Any] = data_of(answer)
    return found


def _is_id(text: str, length: int) -> bool:
    return len(text) == length and re.fullmatch(r"[0-9a-f]+", text) is not None


def _named(name: str, known: Iterator[dict[str, Any]]) -> dict[str, Any] | None:
    return next((each for each in known if name_key(each["name"]) == name_key(name)), None)


def _only(kind: str, wanted: str, known: list[dict[str, Any]]) -> dict[str, Any]:
    key = f"{kind}_id"
    fitting = [each for each in known if _fits(wanted, each["name"], each[key])]
    if len(fitting) == 1:
        return fitting[0]
    if not fitting:
        raise CommandFailed(
            f"there is no {kind} {printable(wanted)!r}{_hint(kind, wanted, known)}", Exit.NOT_FOUND
        )
    listed = [f"  {each[key]}  {printable(each['name'])}" for each in fitting[:_SHOWN]]
    if len(fitting) > _SHOWN:
        listed.append(f"  and {len(fitting) - _SHOWN} more")
    raise CommandFailed(
        "\n".join([f"{printable(wanted)!r} may be any of these; give the whole id:", *listed]),
        Exit.USAGE,
    )


def _fits(wanted: str, name: str, known_id: str) -> bool:
    is_start = len(wanted) >= _LEAST_DIGITS and known_id.startswith(wanted)
    return is_start or name_key(name) == name_key(wanted)


def _hint(kind: str, wanted: str, known: list[dict[str, Any]]) -> str:
    import difflib  # noqa: PLC0415 - only a mistake needs it

    names = {name_key(each["name"]): each["name"] for each in known}
    close = difflib.get_close_matches(name_key(wanted), names, n=1, cutoff=0.5)
    if close:
        return f"; did you mean {printable(names[close[0]])!r}?"
    return f"; 'fedflow {kind} list' shows those that you may see"
