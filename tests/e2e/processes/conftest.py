"""Federations of real processes on the real engine and a real PostgreSQL.

`docker_flow` and `process_flow` are shared by all tests, none of which may end a
process of theirs; `found` makes fresh ones. Each leaves no container and no process behind.
"""

import uuid
from contextlib import ExitStack, contextmanager

import pytest

from tests.cli.files import flow_file
from tests.e2e.processes.children import run, until
from tests.e2e.processes.federation import PARTIES, Federation, Server, Site
from tests.engine import connect_or_skip
from tests.images import ensure_busybox_image


@pytest.fixture(scope="session")
def engine_client():
    client = connect_or_skip()
    yield client
    client.close()


@pytest.fixture(scope="session")
def image(engine_client):
    return ensure_busybox_image(engine_client)


@contextmanager
def _database(cluster):
    name = cluster.create(migrated=True)
    yield cluster.url(name)
    cluster.drop(name)


@contextmanager
def _running(child):
    try:
        child.start()
        yield child
    finally:
        child.close()


@contextmanager
def _sites(sites):
    """Start all at once, end all at once; none may leave a container behind."""
    try:
        for site in sites:
            site.begin()
        for site in sites:
            site.ready()
        yield
        running = [site for site in sites if site.is_running]
        for site in running:
            site.ask()
        for site in running:
            assert site.ended() == 0, site.log
        for site in sites:
            assert site.left() == [], f"{site.left()} left; {site.log}"
            until(lambda site=site: not site.processes(), lambda site=site: site.processes())
    finally:
        for site in sites:
            site.kill()
            site.remove_all()


@contextmanager
def _federation(
    cluster, folder, *options, client=None, image="any", parties=PARTIES, **server_settings
):
    with ExitStack() as stack:
        url = stack.enter_context(_database(cluster))
        server = Server(folder / "server", "--database-url", url, **server_settings)
        stack.enter_context(_running(server))
        sites = [Site(folder / party, party, server, *options, client=client) for party in parties]
        stack.enter_context(_sites(sites))
        flow = Federation(server, sites, image, url)
        stack.callback(flow.close)
        yield flow


@pytest.fixture(scope="session")
def shared_docker_flow(cluster, tmp_path_factory, engine_client, image):
    # The engine has no GPU: what is said here is what a site believes of itself.
    options = ("--runtime", "docker", "--gpus", "0,1", "--on-exit", "stop")
    folder = tmp_path_factory.mktemp("docker")
    with _federation(cluster, folder, *options, client=engine_client, image=image) as flow:
        yield flow


@pytest.fixture
def docker_flow(shared_docker_flow):
    """Three docker sites with GPUs 0 and 1 that their engine lacks; cleared after each test."""
    yield shared_docker_flow
    shared_docker_flow.until_cleared()


@pytest.fixture(scope="session")
def process_flow(cluster, tmp_path_factory):
    """Three process sites with GPUs a and b; webhooks may lead to this machine."""
    options = ("--runtime", "process", "--gpus", "a,b", "--on-exit", "stop")
    settings = {"FEDFLOW_SERVER_WEBHOOK_ALLOWED": '["127.0.0.1"]'}
    folder = tmp_path_factory.mktemp("process")
    with _federation(cluster, folder, *options, **settings) as flow:
        yield flow


@pytest.fixture
def found(request, cluster, tmp_path):
    """Make a federation of this test's own: found(*agent options, lost_after_s=seconds)."""
    with ExitStack() as stack:

        def make(*options, lost_after_s):
            settings = {
                "FEDFLOW_SERVER_LOST_AFTER_S": lost_after_s,
                "FEDFLOW_SERVER_SWEEP_S": 0.2,
                "FEDFLOW_SERVER_RETURN_GRACE_S": 5,
            }
            if "docker" in options:
                settings["client"] = request.getfixturevalue("engine_client")
                settings["image"] = request.getfixturevalue("image")
            return stack.enter_context(_federation(cluster, tmp_path, *options, **settings))

        yield make


@pytest.fixture
def add_site(tmp_path):
    """Add a site to a federation for this test: add_site(flow, party, *options)."""
    with ExitStack() as stack:

        def add(flow, party, *options, **more):
            site = Site(tmp_path / party, party, flow.server, *options, **more)
            stack.enter_context(_sites([site]))
            flow.sites.append(site)
            stack.callback(flow.sites.remove, site)
            return site

        yield add


@pytest.fixture
def fedflow(process_flow):
    """Run `fedflow` against the shared process sites: fedflow("task", "list", **environment)."""

    def fedflow(*arguments, **settings):
        return run(*arguments, FEDFLOW_SERVER=process_flow.server.address, **settings)

    return fedflow


@pytest.fixture
def write(tmp_path):
    """Write a flow's file whose workload is a shell script, for one party if none are named."""

    def write(script, *, parties=PARTIES[:1], **fields):
        name = fields.pop("name", None) or f"t{uuid.uuid4().hex[:12]}"
        return flow_file(tmp_path, script, name=name, parties=parties, **fields)

    return write
