"""A lost call is repeated only where a second one has the effect of one, and never for long."""

import grpc
import pytest

from flow_contract.errors import Internal, NotFound, Unavailable
from flow_server_sdk import methods
from flow_server_sdk.scripts import MAX_ATTEMPTS, Call, Link, Pause, Probe, Send, perform
from flow_wire import parties_pb2, runs_pb2, tasks_pb2, templates_pb2
from tests.sdk.examples import TASK_ID, TEMPLATE_ID
from tests.sdk.scripted_server import ALL_METHODS, LOST

SUCCESS = {"ret_code": 0, "ret_msg": "success"}
TEMPLATE = ("template_01", "image:1", "", [])
TASK = ("task_01", TEMPLATE_ID, None, [])

REPEATED = {
    "template.update": (methods.UPDATE_TEMPLATE, (TEMPLATE_ID, *TEMPLATE)),
    "template.list": (methods.LIST_TEMPLATES, ()),
    "task.update": (methods.UPDATE_TASK, (TASK_ID, *TASK)),
    "task.list": (methods.LIST_TASKS, (1, 10)),
    "task.start": (methods.START_TASK, (TASK_ID,)),
    "task.stop": (methods.STOP_TASK, (TASK_ID,)),
    "task.runs": (methods.LIST_RUNS, (TASK_ID,)),
    "party.list": (methods.LIST_PARTIES, ()),
}
MADE_ONCE = {
    "template.create": (methods.CREATE_TEMPLATE, TEMPLATE),
    "template.delete": (methods.DELETE_TEMPLATE, (TEMPLATE_ID,)),
    "task.create": (methods.CREATE_TASK, TASK),
    "task.delete": (methods.DELETE_TASK, (TASK_ID,)),
}


def call(sdk, name: str, arguments):
    room, method = name.split(".")
    return getattr(getattr(sdk, room), method)(*arguments)


@pytest.mark.parametrize("name", REPEATED)
def test_a_call_that_may_be_repeated_is_when_it_was_lost(sdk, server, name):
    method, arguments = REPEATED[name]
    server.replies(method, LOST, method.response())
    assert call(sdk, name, arguments)["ret_code"] == 0
    first, second = server.asked(method)
    assert first == second


@pytest.mark.parametrize("name", MADE_ONCE)
def test_a_call_whose_repetition_would_answer_otherwise_is_made_once(sdk, server, name):
    method, arguments = MADE_ONCE[name]
    server.replies(method, LOST, method.response())
    with pytest.raises(Unavailable, match="scripted loss"):
        call(sdk, name, arguments)
    assert len(server.asked(method)) == 1


def test_only_what_makes_or_deletes_is_never_repeated():
    once = {method.path.rpartition("/")[2] for method in ALL_METHODS if not method.repeatable}
    assert once == {"Create", "Delete", "Add", "CreateToken"}


def test_a_repeated_start_carries_the_request_id_of_the_first(sdk, server):
    server.replies(methods.START_TASK, LOST, LOST, tasks_pb2.StartTaskResponse())
    assert sdk.task.start(TASK_ID) == SUCCESS
    assert len({request.request_id for request in server.asked(methods.START_TASK)}) == 1
    assert server.asked(methods.START_TASK)[0].request_id != ""


def test_an_answer_is_never_asked_for_twice(sdk, server):
    server.replies(methods.GET_TASK, NotFound("task not found"), Internal("incident"))
    with pytest.raises(NotFound):
        sdk.task.get(TASK_ID)
    with pytest.raises(Internal):
        sdk.task.get(TASK_ID)
    assert len(server.asked(methods.GET_TASK)) == 2


def test_a_server_that_says_it_is_unavailable_is_asked_again(sdk, server):
    server.replies(
        methods.LIST_PARTIES,
        Unavailable("the database restarts"),
        parties_pb2.ListPartiesResponse(),
    )
    assert sdk.party.list()["data"] == {"parties": [], "party_count": 0}


class Clock:
    """Seconds that pass only when told."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def play(timeout_s: float, *, call_lasts_s: float = 0.0) -> list[Send | Pause]:
    """Return the steps of a call that is lost each time, without a network."""
    clock = Clock()
    link = Link(address="flow:1", timeout_s=timeout_s, clock=clock, jitter=lambda: 1.0)
    script = perform(
        Call(method=methods.GET_TEMPLATE, request=templates_pb2.GetTemplateRequest), link
    )
    steps = [next(script)]
    try:
        while True:
            match steps[-1]:
                case Send():
                    clock.now_s += call_lasts_s
                    steps.append(script.throw(ScriptedLoss()))
                case Pause(seconds=seconds):
                    clock.now_s += seconds
                    steps.append(script.send(None))
                case Probe():
                    steps.append(script.send(""))
                case other:
                    pytest.fail(f"nobody knows the step {other}")
    except Unavailable:
        return steps


class ScriptedLoss(grpc.RpcError):
    def code(self):
        return LOST.code

    def details(self):
        return LOST.details

    def trailing_metadata(self):
        return None


def test_pauses_grow_and_attempts_end():
    steps = play(30)
    assert [step.seconds for step in steps if isinstance(step, Pause)] == [0.2, 0.4, 0.8, 1.6]
    assert len([step for step in steps if isinstance(step, Send)]) == MAX_ATTEMPTS


def test_all_attempts_together_stay_within_the_timeout():
    steps = play(1, call_lasts_s=0.3)
    sent = [round(step.timeout_s, 3) for step in steps if isinstance(step, Send)]
    assert sent == [1, 0.5]


def test_runs_of_a_task_are_asked_for_by_page(sdk, server):
    server.replies(methods.LIST_RUNS, runs_pb2.ListRunsResponse())
    sdk.task.runs(TASK_ID, 2, 5)
    assert server.asked(methods.LIST_RUNS) == [
        runs_pb2.ListRunsRequest(task_id=TASK_ID, page=2, limit=5)
    ]
