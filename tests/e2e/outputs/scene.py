"""One server and one site as processes, which a test may kill and start again."""

import hashlib

from flow_server_sdk import FlowServerSdk
from tests.e2e.processes.children import until
from tests.e2e.processes.federation import Server, Site

PARTY = "hospital-a"


class Scene:
    """One server and one site as processes, and a client."""

    def __init__(self, stack, cluster, folder, *options, runtime="process", **settings):
        name = cluster.create(migrated=True)
        stack.callback(cluster.drop, name)
        self.server = Server(
            folder / "server",
            "--database-url",
            cluster.url(name),
            "--state-dir",
            folder / "server" / "state",
            *options,
            **settings,
        )
        stack.callback(self.server.kill)
        self.server.start()
        self.site = Site(
            folder / "site", PARTY, self.server, "--runtime", runtime, "--on-exit", "stop"
        )
        stack.callback(self.site.close)
        self.site.start()
        host, port = self.server.address.rsplit(":", 1)
        self.sdk = stack.enter_context(FlowServerSdk(host, port))

    def started(self, command, image="image:1", data=""):
        template = self.sdk.template.create("make", image, "/", ["sh", "-c", command])
        parties = [{"federated_id": PARTY, "federated_data": data}]
        template_id = template["data"]["template_id"]
        task = self.sdk.task.create("make files", template_id, "", parties)
        task_id = task["data"]["task_id"]
        assert self.sdk.task.start(task_id)["ret_code"] == 0
        return task_id

    def party(self, task_id):
        return self.sdk.task.outputs(task_id)["data"]["parties"][0]

    def until(self, task_id, is_so):
        """Wait until it is so of what the party has made."""
        until(lambda: is_so(self.party(task_id)), lambda: self.party(task_id))

    def made(self):
        """Return {name: SHA-256} of what the only workload left."""
        (folder,) = (self.site.folder / "state" / "outputs").iterdir()
        return sums(folder)


def sums(folder):
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }
