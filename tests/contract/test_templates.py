"""What may stand in a template."""

from dataclasses import replace

import pytest

from flow_contract.errors import InvalidArgument, ret_code
from flow_contract.template_checks import check_template
from flow_contract.templates import GpuRequest, Mount, Resources, TemplateSpec

PLAIN = TemplateSpec(name="digits", image_url="fedflow/digits:1")


def refused(**changes):
    with pytest.raises(InvalidArgument) as raised:
        check_template(replace(PLAIN, **changes))
    error = raised.value
    assert ret_code(error) == 10000
    # gRPC carries an error in a few kilobytes of trailing metadata.
    assert len(error.message.encode()) + len(error.field.encode()) < 2048
    return error


def accepted(**changes):
    check_template(replace(PLAIN, **changes))


@pytest.mark.parametrize("length", [3, 50])
def test_a_name_of_3_to_50_characters_is_accepted(length):
    accepted(name="n" * length)
    accepted(name="名" * length)


@pytest.mark.parametrize("length", [0, 2, 51, 1024**2])
def test_a_name_of_any_other_length_is_refused_in_the_words_that_users_know(length):
    error = refused(name="n" * length)
    assert error.field == "name"
    assert error.message == "Please set the name parameter length between 3 and 50"


@pytest.mark.parametrize("name", ["   ", "\t\t\t", "\u3000\u3000\u3000"])
def test_a_name_of_white_space_is_refused(name):
    assert refused(name=name).field == "name"


def test_an_image_of_1_to_255_characters_is_accepted():
    accepted(image_url="i")
    accepted(image_url="i" * 255)
    assert refused(image_url="").field == "image_url"
    assert refused(image_url="i" * 256).field == "image_url"


@pytest.mark.parametrize("field", ["name", "image_url", "workdir", "remark", "user"])
def test_a_null_byte_in_a_text_is_refused(field):
    assert refused(**{field: "abc\x00"}).field == field


@pytest.mark.parametrize("field", ["command", "hyper_parameter"])
def test_a_null_byte_in_a_list_is_refused(field):
    assert refused(**{field: ("ok", "\x00")}).field == f"{field}[1]"


def test_a_remark_of_a_megabyte_is_refused():
    accepted(remark="r" * 65_535)
    assert refused(remark="r" * 1024**2).field == "remark"


def test_long_workdirs_commands_and_users_are_refused():
    accepted(workdir="/" * 255, command=("x" * 10_000,), user="u" * 64)
    assert refused(workdir="/" * 256).field == "workdir"
    assert refused(command=("x" * 40_000, "x" * 40_000)).field == "command"
    assert refused(user="u" * 65).field == "user"


def test_no_hyper_parameter_and_an_empty_list_are_accepted():
    accepted(hyper_parameter=None)
    accepted(hyper_parameter=())


@pytest.mark.parametrize("name", ["FEDFLOW_RUN_ID", "FEDFLOW_"])
def test_the_prefix_of_our_own_variables_is_refused(name):
    assert "FEDFLOW_" in refused(env={name: "x"}).message


@pytest.mark.parametrize("name", ["", "A=B", "A\x00", "x" * 256, "=" * 60_000])
def test_what_can_not_name_a_variable_is_refused(name):
    assert refused(env={name: "x"}).field == "env"


def test_a_value_is_refused_with_its_variables_name():
    accepted(env={"FEDFLOWER": "", "EMPTY": "", "TEXT": "a=b\nc"})
    assert refused(env={"A": "\x00"}).field == "env[A]"
    assert refused(env={str(n): "x" * 30_000 for n in range(3)}).field == "env"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("cpus", float("nan")),
        ("cpus", float("inf")),
        ("cpus", 0),
        ("cpus", -1),
        ("memory_bytes", 6 * 1024**2 - 1),
        ("memory_bytes", 2**63),
        ("pids", 0),
        ("pids", 2**63),
        ("shm_bytes", 0),
        ("shm_bytes", 2**63),
    ],
)
def test_a_resource_that_no_site_can_give_is_refused(field, value):
    assert refused(resources=Resources(**{field: value})).field == f"resources.{field}"


def test_resources_may_be_left_out_or_given():
    accepted(resources=Resources())
    accepted(resources=Resources(cpus=0.5, memory_bytes=2**30, pids=64, shm_bytes=2**26))


@pytest.mark.parametrize("gpus", [GpuRequest(count=2), GpuRequest(device_ids=("0", "GPU-ab"))])
def test_gpus_are_asked_for_by_number_or_by_name(gpus):
    accepted(resources=Resources(gpus=gpus))
    assert gpus.size == 2


@pytest.mark.parametrize("gpus", [GpuRequest(), GpuRequest(count=2, device_ids=("0", "1"))])
def test_gpus_asked_for_in_both_ways_or_in_neither_are_refused(gpus):
    error = refused(resources=Resources(gpus=gpus))
    assert error.field == "resources.gpus"
    assert "either" in error.message


@pytest.mark.parametrize(
    ("gpus", "field"),
    [
        (GpuRequest(count=-1), "count"),
        (GpuRequest(count=1025), "count"),
        (GpuRequest(device_ids=("0", "0")), "device_ids"),
        (GpuRequest(device_ids=("0", "\x00")), "device_ids[1]"),
        (GpuRequest(count=1, capabilities=("\x00",)), "capabilities[0]"),
    ],
)
def test_a_gpu_request_that_makes_no_sense_is_refused(gpus, field):
    assert refused(resources=Resources(gpus=gpus)).field == f"resources.gpus.{field}"


def test_mounts_have_a_name_and_an_absolute_path_of_their_own():
    accepted(mounts=(Mount(data_name="a", target="/mnt/a"), Mount(data_name="a", target="/b")))


@pytest.mark.parametrize(
    "target",
    [
        "",
        "relative",
        "/a/../b",
        "/..",
        "/",
        "//",
        "/data",
        "/data/",
        "//data",
        "/./data",
        "/output",
        "/proc",
        "/proc/self",
        "/sys/kernel",
        "/dev",
        "/a\x00",
        "/" + "a" * 255,
    ],
)
def test_a_mount_at_a_path_that_is_taken_or_leads_elsewhere_is_refused(target):
    assert refused(mounts=(Mount(data_name="a", target=target),)).field.startswith("mounts")


@pytest.mark.parametrize("other", ["/a", "/a/", "//a", "/./a"])
def test_two_mounts_at_one_path_are_refused(other):
    mounts = (Mount(data_name="a", target="/a"), Mount(data_name="b", target=other))
    assert refused(mounts=mounts).field == "mounts"


def test_a_mount_without_data_is_refused():
    assert refused(mounts=(Mount(data_name="", target="/a"),)).field == "mounts"


@pytest.mark.parametrize(
    ("field", "least", "most"),
    [
        ("start_deadline_s", 0, 604_800),
        ("prepare_deadline_s", 1, 604_800),
        ("stop_grace_s", 0, 3600),
    ],
)
def test_seconds_stay_within_their_limits(field, least, most):
    accepted(**{field: least})
    accepted(**{field: most})
    assert refused(**{field: least - 1}).field == field
    assert refused(**{field: most + 1}).field == field
