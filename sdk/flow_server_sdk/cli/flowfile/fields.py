"""What the file's sections hold. The names are those of FlowServerSdk's arguments."""

from flow_contract.coordination import Ends, Framework
from flow_contract.templates import Network
from flow_server_sdk.cli.flowfile.containers import Either, Field, ListOf, MapOf, Record
from flow_server_sdk.cli.flowfile.scalars import Flag, Ports, Real, Size, Text, Whole

_TEXT, _WHOLE = Text(), Whole()
_TEXTS = ListOf(kind=_TEXT, wanted="a list of texts such as [python, train.py]")
_VALUES = Either(
    mapping=MapOf(kind=_TEXT),
    other=ListOf(kind=_TEXT, wanted="a mapping such as {lr: 0.1}"),
)

_ENV = MapOf(kind=Text(may_be_empty=True))
_GPUS = Record(
    fields={
        "count": Field(kind=_WHOLE, about="How many, any of the site's."),
        "device_ids": Field(kind=_TEXTS, about="Exactly these; instead of count."),
        "capabilities": Field(kind=_TEXTS, about="Driver features that the engine is asked for."),
    }
)
_RESOURCES = Record(
    fields={
        "cpus": Field(kind=Real(), about="Cores, in parts too."),
        "memory_bytes": Field(kind=Size(), about="Memory, such as 2 GiB."),
        "pids": Field(kind=_WHOLE, about="Processes and threads."),
        "shm_bytes": Field(kind=Size(), about="Shared memory, such as 1 GiB."),
        "gpus": Field(kind=_GPUS),
    }
)
_MOUNT = Record(
    fields={
        "data_name": Field(kind=_TEXT, about="A name that the site offers.", is_needed=True),
        "target": Field(kind=_TEXT, about="Absolute path in the container.", is_needed=True),
    }
)
_ON_DISCONNECT = Either(
    mapping=Record(
        fields={
            "stop_after_s": Field(kind=_WHOLE, about="Seconds without the server.", is_needed=True)
        }
    ),
    other=Text(choices=("keep",)),
)
_RETRY = Record(
    fields={
        "max_retries": Field(kind=_WHOLE),
        "backoff_s": Field(kind=_WHOLE, about="Doubled with each further retry."),
        "on_nonzero_exit": Field(kind=Flag(), about="Also when the workload itself failed."),
    }
)
COORDINATOR = Record(
    fields={
        "image_url": Field(kind=_TEXT, about="Left out: the template's."),
        "workdir": Field(kind=_TEXT, about="Left out: the template's."),
        "command": Field(kind=_TEXTS, about="Program and arguments; no shell."),
        "env": Field(kind=_ENV, about="Environment variables."),
        "resources": Field(kind=_RESOURCES, about="Limits of this container."),
        "ports": Field(
            kind=ListOf(kind=_WHOLE, wanted="a list of ports such as [8080]"),
            about="What the parties reach as coordinator:PORT.",
            is_needed=True,
        ),
        "party": Field(kind=_TEXT, about="Where it runs; left out: an agent that coordinates."),
        "ends": Field(
            kind=Text(choices=tuple(str(each) for each in Ends)),
            about="Stopped once all parties have ended, or by itself.",
        ),
        "decides": Field(kind=Flag(), about="Its exit code alone is the run's outcome."),
    }
)

TEMPLATE = Record(
    fields={
        "name": Field(kind=_TEXT, about="3 to 50 characters.", is_needed=True),
        "image_url": Field(kind=_TEXT, about="The image.", is_needed=True),
        "workdir": Field(kind=_TEXT, about="Where the command runs."),
        "command": Field(kind=_TEXTS, about="Program and arguments; no shell."),
        "remark": Field(kind=_TEXT),
        "hyper_parameter": Field(kind=_VALUES, about="What the workload reads."),
        "resources": Field(kind=_RESOURCES, about="Limits at each party."),
        "env": Field(kind=_ENV, about="Environment variables."),
        "mounts": Field(kind=ListOf(kind=_MOUNT), about="More of the site's data, read-only."),
        "user": Field(kind=_TEXT, about="The container's user."),
        "network": Field(kind=Text(choices=tuple(str(each) for each in Network))),
        "start_deadline_s": Field(kind=_WHOLE, about="Until every party must be connected."),
        "prepare_deadline_s": Field(kind=_WHOLE, about="Until every party must be ready."),
        "stop_grace_s": Field(kind=_WHOLE, about="From SIGTERM to SIGKILL."),
        "run_timeout_s": Field(kind=_WHOLE, about="After which a workload is stopped."),
        "on_disconnect": Field(kind=_ON_DISCONNECT, about="When a site has lost the server."),
        "retry": Field(kind=_RETRY, about="How often a failed run is started again."),
        "coordinator": Field(kind=COORDINATOR, about="One container that the parties talk to."),
        "mesh": Field(
            kind=ListOf(kind=Ports(), wanted="a list such as [29500, 32768-60999]"),
            about="Ports under which each party is reached as party-<id>.",
        ),
        "connect_timeout_s": Field(kind=_WHOLE, about="Until the coordinator must listen."),
        "framework": Field(
            kind=Text(choices=tuple(str(each) for each in Framework)),
            about="Whose arguments are appended to the commands.",
        ),
    }
)

TASK = Record(
    fields={
        "name": Field(kind=_TEXT, about="3 to 50 characters.", is_needed=True),
        "template": Field(kind=_TEXT, about="Name or id; left out: the one of this file."),
        "remark": Field(kind=_TEXT),
        "parties": Field(
            kind=Either(
                mapping=MapOf(kind=Text(may_be_empty=True)),
                other=ListOf(kind=_TEXT, wanted="a mapping such as {hospital-a: scans}"),
            ),
            about="Party id: the name of its data there, or a list of ids.",
            is_needed=True,
        ),
    }
)

START = Record(
    fields={
        "epochs": Field(kind=_WHOLE),
        "hyper_parameter": Field(kind=_VALUES, about="On top of the template's."),
        "enable_smpc": Field(kind=Flag()),
    }
)

FILE = Record(
    fields={
        "template": Field(kind=TEMPLATE, about="What to run."),
        "task": Field(kind=TASK, about="Where, and with which data."),
        "start": Field(kind=START, about="What 'fedflow task start' gives the run."),
    }
)
