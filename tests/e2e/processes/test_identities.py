"""A site's identity from its token to its end, with real processes on both sides."""

import ssl

import pytest

from flow_contract.secrets import write_enrolment
from party_agent.identity import files
from tests.agent.identity.made import Ca, enrolment_token
from tests.e2e.processes.children import until
from tests.e2e.processes.federation import Federation, ends
from tests.e2e.processes.secured import SecureServer, SecureSite

PARTY = "hospital-a"
# Renewed after two thirds; the rest is for a machine that is busy.
LIFE_S = 30


@pytest.fixture
def secure_server(cluster, tmp_path):
    """Start a secure server with these settings; ended with the test."""
    servers, names = [], []

    def start(**settings):
        names.append(cluster.create(migrated=True))
        server = SecureServer(
            tmp_path / "server", "--database-url", cluster.url(names[-1]), **settings
        )
        servers.append(server)
        server.start()
        return server

    yield start
    for server in servers:
        server.close()
    for name in names:
        cluster.drop(name)


@pytest.fixture
def site_of(tmp_path):
    """Make a site of a server; its agent is ended with the test."""
    sites = []

    def make(server):
        sites.append(SecureSite(tmp_path / "site", PARTY, server, "--on-exit", "stop"))
        return sites[-1]

    yield make
    for site in sites:
        site.close()


def enrolled(site, server):
    done = site.enrol(server.token_for(PARTY))
    assert done.returncode == 0, done.stderr
    assert f"this site is party '{PARTY}'" in done.stdout
    assert "next: fedflow agent --state-dir" in done.stdout
    return files.read(site._state_dir)


def federation(server, site):
    class Known(Federation):
        def __init__(self):
            self.server, self.sites, self.image, self._gates = server, [site], "any", []
            self.sdk = server.sdk()

    return Known()


@pytest.mark.postgres
def test_a_run_does_not_notice_that_the_certificate_is_renewed_and_a_revoked_party_is_out_at_once(
    secure_server, site_of
):
    server = secure_server(FEDFLOW_SERVER_PARTY_CERTIFICATE_DAYS=LIFE_S / 86_400)
    site = site_of(server)
    identity = enrolled(site, server)
    site.start()
    flow = federation(server, site)
    gate = flow.gate()
    task_id = flow.task("sh", "-c", gate.script, parties=(PARTY,))
    flow.start(task_id)
    flow.until_status(task_id, "Running")

    site.logged("certificate_renewed")
    until(lambda: site.log.count('"connected"') >= 2, lambda: site.log)
    assert files.read(site._state_dir).key_pem != identity.key_pem
    gate.open()
    final = flow.wait(task_id)
    assert (final["status"], ends(final)[PARTY]) == ("Succeeded", ("succeeded", "completed"))
    assert "connection_lost" not in site.log
    assert "connection_refused" not in site.log

    flow.sdk.party.revoke(PARTY)
    site.logged("connection_refused")
    assert "fedflow party add" in site.log
    assert not flow.sdk.party.get(PARTY)["data"]["connected"]
    flow.close()


@pytest.mark.postgres
def test_an_agent_that_was_killed_goes_on_with_its_identity_and_its_server_s_new_certificate(
    secure_server, site_of
):
    server = secure_server()
    site = site_of(server)
    identity = enrolled(site, server)
    site.start()
    site.kill()
    again = site.enrol(server.token_for(PARTY))
    assert (again.returncode, "add --again" in again.stderr) == (1, True)
    site.start()
    assert files.read(site._state_dir) == identity


@pytest.mark.postgres
def test_a_wrong_token_and_a_token_of_another_server_get_no_identity(secure_server, site_of):
    server = secure_server()
    site = site_of(server)
    good = server.token_for(PARTY)
    wrong = site.enrol(good.replace(good[20:24], "AAAA"))
    assert (wrong.returncode, "it is wrong, too old, was used" in wrong.stderr) == (1, True)
    assert good[17:60] not in wrong.stderr
    elsewhere = enrolment_token(ssl.PEM_cert_to_DER_cert(Ca().pem.decode()))

    other = site.enrol(write_enrolment(elsewhere, elsewhere.ca_der))
    assert (other.returncode, "not by the CA that came with" in other.stderr) == (1, True)
    assert not files.exists(site._state_dir)
    # A token that was typed wrong is not used up.
    assert site.enrol(good).returncode == 0
