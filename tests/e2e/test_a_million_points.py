"""A million points of one workload, from its socket to its user, and one more that has no room."""

import asyncio
import sys

import pytest

from flow_contract.metrics import MAX_POINTS
from tests.e2e.log_stage import started

pytestmark = pytest.mark.timeout(900)

# Of the last, and of two pages: points have no gap, so the others are there too.
READ = 60_000

# Written by hand: what is measured is not the worth of a client, and the answers are read.
_FLOOD = f"""
import http.client, json, os, socket
os.chdir(os.path.dirname(os.environ["FEDFLOW_API"]))
client = http.client.HTTPConnection("fedflow")
client.sock = socket.socket(socket.AF_UNIX)
client.sock.connect("api.sock")

def post(first, count):
    points = ",".join('{{"name":"m","value":%d}}' % n for n in range(first, first + count))
    client.request("POST", "/v1/metrics", '{{"points":[%s],"batch":"%d"}}' % (points, first))
    answer = client.getresponse()
    return answer.status, json.loads(answer.read())

for first in range(0, {MAX_POINTS}, 10_000):
    assert post(first, 10_000) == (200, {{"stored": 10_000, "dropped": 0}})
assert post({MAX_POINTS}, 3) == (200, {{"stored": 0, "dropped": 3}})
"""


async def test_a_million_points_arrive_in_order_and_the_rest_is_counted(stage, tmp_path):
    site = stage.site()
    await site.start()
    script = tmp_path / "flood.py"
    script.write_text(_FLOOD)
    task_id = await started(stage, f"exec {sys.executable} {script}")
    done = (await stage.sdk.task.wait(task_id, timeout_s=400))["data"]
    assert done["status"] == "Succeeded"
    # Where the last page begins: nobody reads a million points to see whether they are there.
    last = f"0.{MAX_POINTS - 1}"
    async with asyncio.timeout(400):
        while True:
            data = (await stage.sdk.task.metrics(task_id, after=last))["data"]
            if data["points"] and data["dropped"] == {"hospital-a": 3}:
                break
            # Nothing tells of it, and server and agent share this loop.
            await asyncio.sleep(0.2)
    assert [point["value"] for point in data["points"]] == [MAX_POINTS - 1]
    every = (await stage.sdk.task.metrics(task_id, after=f"0.{MAX_POINTS - READ}"))["data"][
        "points"
    ]
    assert [point["step"] for point in every] == list(range(MAX_POINTS - READ, MAX_POINTS))
    assert all(point["step"] == point["value"] for point in every)
