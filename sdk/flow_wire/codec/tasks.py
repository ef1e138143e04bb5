"""Tasks and the parameters of a start on the wire."""

from flow_contract.tasks import DEFAULT_EPOCHS, PartyData, StartParameters, Task, TaskSpec
from flow_wire import tasks_pb2
from flow_wire.codec.enums import RUN_STATUS
from flow_wire.codec.runs import decode_party_run, encode_party_run
from flow_wire.codec.templates import encode_string_list
from flow_wire.codec.times import decode_required_time, encode_time


def encode_task_spec(spec: TaskSpec) -> tasks_pb2.TaskSpec:
    """Contract to wire."""
    return tasks_pb2.TaskSpec(
        name=spec.name,
        template_id=spec.template_id,
        remark=spec.remark,
        federate_data=[
            tasks_pb2.PartyData(
                federated_id=party.federated_id, federated_data=party.federated_data
            )
            for party in spec.federate_data
        ],
    )


def decode_task_spec(wire: tasks_pb2.TaskSpec) -> TaskSpec:
    """Wire to contract."""
    return TaskSpec(
        name=wire.name,
        template_id=wire.template_id,
        remark=wire.remark if wire.HasField("remark") else None,
        federate_data=tuple(
            PartyData(federated_id=party.federated_id, federated_data=party.federated_data)
            for party in wire.federate_data
        ),
    )


def encode_task(task: Task) -> tasks_pb2.Task:
    """Contract to wire. Never started and no parties look alike but for the absent status."""
    wire = tasks_pb2.Task(
        task_id=task.task_id,
        spec=encode_task_spec(task.spec),
        status=None if task.status is None else RUN_STATUS.encode(task.status),
        run_id=task.run_id,
        run_message=task.run_message,
        party_runs=[encode_party_run(party_run) for party_run in task.party_runs or ()],
        owner=task.owner,
    )
    encode_time(wire.create_time, task.create_time)
    encode_time(wire.modify_time, task.modify_time)
    return wire


def decode_task(wire: tasks_pb2.Task) -> Task:
    """Wire to contract."""
    started = wire.HasField("status")
    return Task(
        task_id=wire.task_id,
        spec=decode_task_spec(wire.spec),
        status=RUN_STATUS.decode(wire.status, "status") if started else None,
        run_id=wire.run_id if wire.HasField("run_id") else None,
        run_message=wire.run_message,
        party_runs=tuple(decode_party_run(party_run) for party_run in wire.party_runs)
        if started
        else None,
        create_time=decode_required_time(wire, "create_time"),
        modify_time=decode_required_time(wire, "modify_time"),
        owner=wire.owner,
    )


def encode_start(
    task_id: str, parameters: StartParameters, request_id: str
) -> tasks_pb2.StartTaskRequest:
    """Contract to wire."""
    return tasks_pb2.StartTaskRequest(
        task_id=task_id,
        epochs=parameters.epochs,
        hyper_parameter=encode_string_list(parameters.hyper_parameter),
        enable_smpc=parameters.enable_smpc,
        request_id=request_id,
    )


def decode_start(wire: tasks_pb2.StartTaskRequest) -> StartParameters:
    """Wire to contract; task and request id are read by the caller."""
    return StartParameters(
        epochs=wire.epochs if wire.HasField("epochs") else DEFAULT_EPOCHS,
        hyper_parameter=tuple(wire.hyper_parameter.values)
        if wire.HasField("hyper_parameter")
        else None,
        enable_smpc=wire.enable_smpc,
    )
