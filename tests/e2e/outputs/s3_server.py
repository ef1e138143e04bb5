"""An S3-speaking server as a process of its own (moto), with nothing in it."""

import http.client
import re
import subprocess
import sys
import threading


class S3Server:
    """Listens on a free port of this machine while the block lasts."""

    def __enter__(self):
        self._process = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for line in self._process.stderr:
            found = re.search(r"http://127\.0\.0\.1:\d+", line)
            if found:
                self.url = found[0]
                # It writes a line for each request, and waits for somebody to read it.
                self._drain = threading.Thread(target=self._process.stderr.read, daemon=True)
                self._drain.start()
                return self
        raise AssertionError("moto did not start")

    def __exit__(self, *_error):
        self._process.kill()
        self._process.wait()
        self._drain.join()
        self._process.stderr.close()

    @property
    def environment(self):
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ALLOW_HTTP": "true",
            "AWS_ACCESS_KEY_ID": "any",
            "AWS_SECRET_ACCESS_KEY": "any",
            "AWS_REGION": "us-east-1",
        }

    def make_bucket(self, name):
        assert self._ask("PUT", f"/{name}")[0] == 200

    def keys(self, bucket):
        status, answer = self._ask("GET", f"/{bucket}?list-type=2&max-keys=1000")
        assert status == 200
        return re.findall(r"<Key>([^<]*)</Key>", answer)

    def _ask(self, method, path):
        connection = http.client.HTTPConnection(self.url.removeprefix("http://"))
        try:
            connection.request(method, path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()
