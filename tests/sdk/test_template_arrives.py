"""What a template says goes over the wire whole."""

from flow_server_sdk import methods
from flow_wire import templates_pb2
from tests.sdk.examples import TEMPLATE_ID


def test_everything_a_template_may_say_arrives(sdk, server):
    server.replies(
        methods.CREATE_TEMPLATE, templates_pb2.CreateTemplateResponse(template_id=TEMPLATE_ID)
    )
    answer = sdk.template.create(
        "template_01",
        "image:1",
        "/work",
        ("python", "run.py"),
        "remark",
        ["lr=0.1"],
        resources={
            "cpus": 1.5,
            "memory_bytes": 2**40,
            "pids": 100,
            "shm_bytes": 2**26,
            "gpus": {"device_ids": ["0", "3"], "capabilities": ["gpu", "utility"]},
        },
        env={"LR": "0.1"},
        mounts=[{"data_name": "scans", "target": "/scans"}],
        user="1000:1000",
        network="bridge",
        start_deadline_s=1,
        prepare_deadline_s=2,
        stop_grace_s=0,
    )
    assert answer == {"ret_code": 0, "ret_msg": "success", "data": {"template_id": TEMPLATE_ID}}
    spec = server.asked(methods.CREATE_TEMPLATE)[0].spec
    assert list(spec.command) == ["python", "run.py"]
    assert spec.resources.memory_bytes == 2**40
    assert list(spec.resources.gpus.device_ids) == ["0", "3"]
    assert dict(spec.env) == {"LR": "0.1"}
    assert spec.network == templates_pb2.NETWORK_BRIDGE
    assert (spec.start_deadline_s, spec.prepare_deadline_s, spec.stop_grace_s) == (1, 2, 0)
