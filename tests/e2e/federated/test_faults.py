"""What dies, or is cut off, under connections between sites: they break, and new ones work.

Two runs are under way at the same sites, with the same names and ports, so that whatever went
astray would show: each container says who it is, and each that dials knows who must answer.
"""

import socket
import time
import uuid

import pytest

from flow_contract.tunnels import HELLO, JOINING_BYTES, NONCE_BYTES, Joined
from tests.e2e.federated.conftest import PARTIES, begun, separate_sites
from tests.e2e.federated.sites import python
from tests.e2e.federated.tap import Tap
from tests.e2e.processes.children import until
from tests.e2e.processes.events import EngineEvents

pytestmark = [pytest.mark.docker, pytest.mark.postgres, pytest.mark.timeout(900)]

# Generous: the machine may be busy, and nothing waits this long when all is well.
RUN_S = 300
PORT = 9000
A, B, C = PARTIES
MARKER = b"marker-in-the-clear"
PARTITION_S = 20


@pytest.fixture(scope="module")
def fragile(cluster, tmp_path_factory, engine_client):
    """A federation whose processes may be ended; each test begins them again."""
    folder = tmp_path_factory.mktemp("fragile")
    shares = [folder / f"data-{party}" for party in PARTIES]
    for share in shares:
        share.mkdir()
    with (
        separate_sites() as network,
        begun(cluster, folder, engine_client, network, shares) as flow,
    ):
        yield flow


class Links:
    """Two runs: B and C talk to a coordinator at A, and to each other, until told to end."""

    def __init__(self, flow, image):
        self._flow = flow
        self._prefix = uuid.uuid4().hex
        names = {B: f"party-{B}", C: f"party-{C}"}
        task_ids = [
            flow.task(
                image, "keep", "{name}", PORT, self._prefix, "{coordinator}", *names.values(),
                parties=(B, C), mesh=[PORT],
                coordinator={
                    "command": python("keep", "{name}", PORT, self._prefix),
                    "ports": [PORT], "party": A,
                },
            )
            for _ in range(2)
        ]  # fmt: skip
        self._task_ids = task_ids
        for task_id in task_ids:
            flow.start(task_id)
        # A party dials itself too: that passes no agent and no fault touches it.
        self._others = {B: ("coordinator", names[C]), C: ("coordinator", names[B])}

    def say(self, word):
        for site in self._flow.sites:
            (site.data / f"{self._prefix}-{word}").touch()

    def facts(self):
        """Return the facts of each connection: {(run, party, name): lines}."""
        found = {}
        for party, others in self._others.items():
            for who in self._flow.site(party).outputs().glob("*/who"):
                own, _, run_id = who.read_text().strip().partition(" of ")
                for name in others:
                    path = who.parent / f"link-{name}"
                    if own == f"party-{party}" and path.exists():
                        found[run_id, party, name] = path.read_text().splitlines()
        return {key: lines for key, lines in found.items() if key[0] in self._runs()}

    def moved(self, word, *, only=lambda party, name: True):
        """Wait until something said after `word` has come back; return {connection: attempt}."""
        self.say(word)

        def attempts():
            return {
                key: int(line.split()[2])
                for key, lines in self.facts().items()
                for line in lines
                if line.startswith(f"moved {word} ") and only(*key[1:])
            }

        expected = 2 * sum(
            only(party, name) for party, others in self._others.items() for name in others
        )
        until(lambda: len(attempts()) == expected, lambda: f"{word}: {self.facts()}")
        return attempts()

    def ended(self):
        """Let both runs end; return them."""
        self.moved("end")
        self.say("over")
        finals = [self._flow.ended(task_id, timeout_s=RUN_S) for task_id in self._task_ids]
        for final, task_id in zip(finals, self._task_ids, strict=True):
            lines = self._flow.lines(task_id)
            assert final["status"] == "Succeeded", (final, lines)
            # None has hung, none was with the wrong one.
            assert sorted(lines) == ["done", "done"]
        return finals

    def _runs(self):
        if not hasattr(self, "_run_ids"):
            runs = [self._flow.sdk.task.runs(task_id)["data"] for task_id in self._task_ids]
            self._run_ids = {run["run_id"] for found in runs for run in found["runs"]}
        return self._run_ids


@pytest.fixture
def links(fragile, python_image, engine_client):
    """The two runs, as soon as all their connections are used; at the end they have succeeded."""
    with EngineEvents(engine_client, python_image) as events:
        links = Links(fragile, python_image)
        links.before = links.moved("before")
        yield links
        finals = links.ended()
    for final in finals:
        # Whatever died: no container was started a second time.
        assert events.parties("start", final["run_id"]) == sorted(PARTIES)
    fragile.until_cleared()


def again(site):
    site.begin()
    site.ready()


def check_broken(links, after, is_hit):
    """Assert that the connections that were hit broke and were made anew, and no others did."""
    for key, lines in links.facts().items():
        broke = [line for line in lines if line.startswith("broke ")]
        if is_hit(*key[1:]):
            assert after[key] > links.before[key]
            assert broke
        else:
            assert after[key] == links.before[key], lines


def test_an_agent_killed_beside_a_coordinator_breaks_what_led_there_and_no_more(fragile, links):
    fragile.site(A).kill()
    again(fragile.site(A))
    check_broken(links, links.moved("after"), lambda _, name: name == "coordinator")


def test_an_agent_killed_beside_a_party_breaks_its_connections_and_no_more(fragile, links):
    fragile.site(B).kill()
    again(fragile.site(B))
    check_broken(
        links, links.moved("after"), lambda party, name: party == B or name == f"party-{B}"
    )


def test_a_server_killed_with_its_relay_breaks_all_and_all_are_made_anew(fragile, links):
    fragile.server.kill()
    fragile.server.start()
    check_broken(links, links.moved("after"), lambda *_: True)


def test_a_site_cut_off_for_20_s_is_back_with_what_was_open_or_new_connections(fragile, links):
    def touches_b(party, name):
        return party == B or name == f"party-{B}"

    namespace = fragile.site(B).namespace
    fragile.network.cut(namespace)
    cut_s = time.monotonic()
    try:
        # The others notice nothing.
        links.moved("during", only=lambda party, name: not touches_b(party, name))
        # The time itself is what is tried: nothing tells of its end.
        time.sleep(max(0, PARTITION_S - (time.monotonic() - cut_s)))
        passed = [
            key for key, lines in links.facts().items()
            if touches_b(*key[1:]) and any(line.startswith("moved during") for line in lines)
        ]  # fmt: skip
        assert not passed
    finally:
        fragile.network.heal(namespace)
    after = links.moved("after")
    for key, attempt in after.items():
        if not touches_b(*key[1:]):
            assert attempt == links.before[key]


def test_what_was_heard_at_the_relay_says_nothing_and_opens_nothing(
    fragile, python_image, tmp_path
):
    host, port = fragile.server.relay_address.rsplit(":", 1)
    with Tap(fragile.network, fragile.network.server, tmp_path / "heard") as tap:
        links = Links(fragile, python_image)
        before = links.moved("before")
        links.ended()
    # Not in the assertion: it would print all of it.
    is_readable = MARKER in tap.heard
    assert not is_readable
    said = tap.said_to(int(port))
    # Both ends of each connection, and that it is all there.
    assert len(said) >= 2 * len(before)
    assert sum(map(len, said)) > 2 * len(before) * len(MARKER) * 3000

    dialled = [socket.create_connection((host, int(port)), timeout=60) for _ in said]
    try:
        for connection, words in zip(dialled, said, strict=True):
            # What led into the tunnel; who is refused is asked for no more.
            connection.sendall(words[:JOINING_BYTES])
        for connection in dialled:
            heard = connection.makefile("rb").read(len(HELLO) + NONCE_BYTES + 1)
            assert heard[: len(HELLO)] == HELLO
            assert heard[len(HELLO) + NONCE_BYTES :] == bytes([Joined.REFUSED])
            assert connection.recv(1) == b""
    finally:
        for connection in dialled:
            connection.close()
    fragile.until_cleared()
