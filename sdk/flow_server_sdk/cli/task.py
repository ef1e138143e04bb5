"""`fedflow task`: the table of its commands.

Importing this costs click and nothing else; a command is imported when it is run.
"""

import click

from flow_server_sdk.cli.lazy import Entry, LazyGroup

COMMANDS: dict[str, Entry] = {
    "create": Entry(
        target="flow_server_sdk.cli.tasks.stored:create",
        help="Create a task: a template, parties and their data.",
    ),
    "delete": Entry(
        target="flow_server_sdk.cli.tasks.stored:delete",
        help="Forget a task and its runs.",
    ),
    "download": Entry(
        target="flow_server_sdk.cli.tasks.download:download",
        help="Bring the files of a run down.",
    ),
    "get": Entry(
        target="flow_server_sdk.cli.tasks.shown:get",
        help="Show a task and how each party is doing.",
    ),
    "list": Entry(
        target="flow_server_sdk.cli.tasks.shown:list_tasks",
        help="List tasks.",
    ),
    "logs": Entry(
        target="flow_server_sdk.cli.tasks.logs:logs",
        help="Show what the workloads wrote.",
    ),
    "metrics": Entry(
        target="flow_server_sdk.cli.tasks.metrics:metrics",
        help="Draw what the workloads measured.",
    ),
    "outputs": Entry(
        target="flow_server_sdk.cli.tasks.outputs:outputs",
        help="List the files that a run has made.",
    ),
    "runs": Entry(
        target="flow_server_sdk.cli.tasks.shown:runs",
        help="List a task's starts, newest first.",
    ),
    "start": Entry(
        target="flow_server_sdk.cli.tasks.start:start",
        help="Start a task, or what a YAML file says.",
    ),
    "stop": Entry(
        target="flow_server_sdk.cli.tasks.stored:stop",
        help="Stop a task at every party.",
    ),
    "update": Entry(
        target="flow_server_sdk.cli.tasks.stored:update",
        help="Change a task; the runs there are stay as they are.",
    ),
    "watch": Entry(
        target="flow_server_sdk.cli.tasks.watch:watch",
        help="Follow a task's newest run to its end.",
    ),
}


@click.group(
    cls=LazyGroup,
    entries=COMMANDS,
    short_help="Create, start, watch and stop tasks; logs, metrics, outputs.",
)
def task() -> None:
    """A template bound to parties. A TASK is a name, an id, or an id's first digits."""
