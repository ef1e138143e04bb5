"""What containers write reaches users byte for byte, whoever is killed meanwhile."""

import pytest

from tests.e2e.processes.children import until

pytestmark = pytest.mark.docker

ROUNDS = 400
# Both streams, lines of all lengths and no encoding, the last one without an end.
_WRITE = f"""
n=0
while [ $n -lt {ROUNDS} ]; do
  n=$((n + 1))
  echo "out $n"
  printf 'err %s \\377\\n' $n >&2
  [ $((n % 50)) -eq 0 ] && head -c 100000 /dev/zero
  [ $n -eq 20 ] && {{ env > /output/env; touch /output/begun; }}
  sleep 0.01
done
"""
OUT = b"".join(
    b"out %d\n" % n + (bytes(100_000) if n % 50 == 0 else b"") for n in range(1, ROUNDS + 1)
)
ERR = b"".join(b"err %d \xff\n" % n for n in range(1, ROUNDS + 1))


def logs_of(flow, task_id):
    """Return what each party's streams hold, whole lines only, and all marks."""
    said, marks = {}, []
    for line in flow.sdk.task.logs(task_id, follow=True):
        if line.stream == "mark":
            marks.append(line.text)
        else:
            end = b"" if line.is_cut else b"\n"
            key = line.party, line.stream
            said[key] = said.get(key, b"") + line.raw + end
    return said, marks


def test_no_byte_is_lost_or_doubled_when_agents_and_server_are_killed(found):
    flow = found("--runtime", "docker", "--on-exit", "keep", lost_after_s=10)
    gate = flow.gate()
    task_id = flow.shell(_WRITE + gate.script + "; printf 'the\\nend'")
    flow.start(task_id)
    run_id = flow.until_status(task_id, "Running")["run_id"]
    for site in flow.sites:
        site.wait_for_output(run_id, "begun")
    for site in flow.sites:
        site.kill()
    flow.server.kill()
    flow.server.start()
    for site in flow.sites:
        site.start()
    flow.sites[0].kill()
    flow.sites[0].start()
    gate.open()
    assert flow.wait(task_id)["status"] == "Succeeded"
    said, marks = logs_of(flow, task_id)
    assert marks == []
    assert sorted(said) == sorted(
        (site.party, stream) for site in flow.sites for stream in ("stdout", "stderr")
    )
    for (_, stream), data in said.items():
        # The end is given as a line, whether it has one or not.
        assert data == (ERR if stream == "stderr" else OUT + b"the\nend\n")
    # Nothing is left at the sites once the server has it.
    until(lambda: not _spools(flow), lambda: _spools(flow))


def _spools(flow):
    return [
        path
        for site in flow.sites
        for path in (site._state_dir / "logs").glob("*")
        if path.exists()
    ]
