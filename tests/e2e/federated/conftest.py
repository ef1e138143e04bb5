"""Three sites that share no network, one engine, one server, and images of real frameworks.

All are made once for all tests here, none of which may end a process of theirs.
"""

import subprocess
import sys
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest
import yaml

from tests.chaos.images import PYTHON_IMAGE, ensure_python_image
from tests.e2e.federated.network import Network, missing_here
from tests.e2e.federated.sites import Federated, FederatedServer, FederatedSite
from tests.engine import connect_or_skip

ROOT = Path(__file__).parents[3]
EXAMPLES = ROOT / "examples"
PARTIES = ("party-1", "party-2", "party-3")
SCRIPT_S = 900


def _script(*arguments):
    done = subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=ROOT, capture_output=True, text=True, timeout=SCRIPT_S, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.fixture(scope="session")
def engine_client():
    client = connect_or_skip()
    yield client
    client.close()


@contextmanager
def separate_sites():
    """Give the namespaces of one federation, all gone afterwards."""
    if why := missing_here():
        pytest.skip(why)
    with closing(Network()) as network:
        yield network


@pytest.fixture(scope="session")
def network():
    with separate_sites() as network:
        yield network


@pytest.fixture(scope="session")
def federated(cluster, tmp_path_factory, engine_client, network):
    """The federation, each of whose sites offers its own share of digits."""
    folder = tmp_path_factory.mktemp("federated")
    shares = [Path(line) for line in _script("examples/digits/split.py", folder / "digits", 3)]
    with begun(cluster, folder, engine_client, network, shares) as flow:
        yield flow


@pytest.fixture(scope="session")
def python_image():
    """The image that holds Python and nothing else."""
    ensure_python_image()
    return PYTHON_IMAGE


@contextmanager
def begun(cluster, folder, engine_client, network, shares, **settings):
    """Begin a federation whose sites offer `shares` as digits; at its end nothing is left of it."""
    with ExitStack() as stack:
        name = cluster.create(migrated=True)
        stack.callback(cluster.drop, name)
        server = FederatedServer(
            folder / "server", network, "--database-url", cluster.url(name), **settings
        )
        stack.callback(server.kill)
        server.start()
        sites = []
        with server.sdk() as sdk:
            for party, share in zip(PARTIES, shares, strict=True):
                site = FederatedSite(
                    folder / party, party, server, network, "--on-exit", "stop",
                    client=engine_client,
                )  # fmt: skip
                site.data = share
                stack.callback(site.remove_all)
                stack.callback(site.kill)
                site.join(sdk.party.add(party)["data"]["enrolment_token"])
                site.begin()
                sites.append(site)
        for site in sites:
            site.ready()
        flow = Federated(server, sites, network)
        stack.callback(flow.close)
        yield flow
        for site in sites:
            site.ask()
        for site in sites:
            assert site.ended() == 0, site.log
            assert site.left() == [], site.log


@pytest.fixture
def flow(federated):
    """The federation, with no container left in it after the test."""
    yield federated
    federated.until_cleared()


@pytest.fixture
def flow_file(tmp_path):
    """Write the flow of an example, changed: flow_file("gloo_allreduce", start={...})."""

    def write(example, **changes):
        document = yaml.safe_load((EXAMPLES / example / "flow.yaml").read_text())
        for part, fields in changes.items():
            document[part] = {**document.get(part, {}), **fields}
        path = tmp_path / f"{document['task']['name']}.yaml"
        path.write_text(yaml.safe_dump(document))
        return path

    return write


@pytest.fixture(scope="session")
def image(engine_client):
    """Build the image of an example, unless it is there: image("gloo_allreduce")."""

    def build(example):
        [*_, name] = _script("scripts/framework_images.py", example)
        return name

    return build
