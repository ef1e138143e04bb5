"""One flow server process of several."""

from tests.e2e.processes.children import Child


class Replica(Child):
    """Over the database `url`; a later `start` listens where the first did."""

    def __init__(self, folder, url, settings):
        shown = {f"FEDFLOW_SERVER_{name.upper()}": value for name, value in settings.items()}
        # Any free one also where the port is kept: agents are told.
        shown.setdefault("FEDFLOW_SERVER_RELAY_PORT", "0")
        super().__init__(folder, FEDFLOW_DATABASE_URL=url, **shown)
        self._port = "0"
        self.address = self.relay_address = ""

    def start(self):
        self.launch("server", "--insecure", "--port", self._port, "--http-port", "0")
        ready = self.ready()
        self.address, self.relay_address = ready["grpc"], ready["relay"]
        self._port = self.address.rpartition(":")[2]
