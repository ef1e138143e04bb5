"""Agents, users and time as rules that act on the real services and on the model alike."""

import uuid
from datetime import UTC, datetime

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from flow_contract.assignments import Report
from flow_contract.errors import PartyUnavailable, StaleLease
from flow_contract.lifecycle import PartyRunState
from flow_contract.parties import Inventory
from flow_contract.tasks import PartyData, TaskSpec
from flow_server.hub.sessions import Session
from flow_server.services.tasks import TaskService
from tests.chaos.callers import LOCAL
from tests.chaos.model import FINAL, Run

PARTIES = ("hospital-a", "hospital-b", "hospital-c")
NEXT = {
    "pending": ("preparing", "refused", "stopped"),
    "preparing": ("prepared", "refused", "failed", "stopped"),
    "prepared": ("launching", "refused", "stopped"),
    "launching": ("running", "failed", "stopped"),
    "running": ("succeeded", "failed", "stopped"),
}
ENDED = ("Succeeded", "Failed", "Cancelled")
LAUNCHED = ("launching", "running", "succeeded", "failed")
parties = st.sampled_from(PARTIES)


class Reconcile(RuleBasedStateMachine):
    """`here` is where each agent really is; reports say it, late, twice, or never."""

    def __init__(self, served):
        super().__init__()
        self.served = served
        self.epochs, self.connected, self.absent = {}, {}, set()
        # Drained by their servers, and by their agents until those connect anew.
        self.drained, self.leaving = set(), set()
        self.runs, self.tasks, self.ids = {}, {}, {}
        self.here, self.told, self.sent = {}, {}, {}
        for party in PARTIES:
            self.connect(party)

    def teardown(self):
        for session in self.served.registry:
            self.served.registry.remove(session)
        self.served.do(self.served.sql("DELETE FROM tasks"))
        self.served.do(self.served.sql("DELETE FROM parties"))

    # --- what agents do

    @rule(party=parties)
    def connect(self, party):
        epoch = self.served.do(
            self.served.parties.connect(
                federated_id=party,
                name="",
                instance_id=f"instance of {party}",
                inventory=Inventory(runtime="model", agent_version="0"),
            )
        )
        assert epoch == self.epochs.get(party, 0) + 1
        self.epochs[party] = epoch
        self.absent.discard(party)
        self.leaving.discard(party)
        self.connected[party] = Session(federated_id=party, epoch=epoch)
        self.served.registry.add(self.connected[party])
        self.deliver(party)

    @rule(party=parties)
    def disconnect(self, party):
        session = self.connected.pop(party, None)
        if session is not None:
            self.served.registry.remove(session)
            self.served.do(self.served.parties.disconnect(federated_id=party, epoch=session.epoch))

    @rule(party=parties)
    def agent_drains(self, party):
        if party in self.connected:
            epoch = self.connected[party].epoch
            self.served.do(self.served.parties.agent_drains(federated_id=party, epoch=epoch))
            self.leaving.add(party)

    @rule(party=parties)
    def deliver(self, party):
        """What is sent is all that is wanted and not ended."""
        if party not in self.connected:
            return
        self.served.do(self.served.delivery._deliver(set(), {party}))
        outgoing = self.served.do(self.connected[party].next())
        assert outgoing.complete
        wanted = {item.spec.party_run_id: item.desired.value for item in outgoing.assignments}
        assert wanted == {
            self.ids[run_id, party]: run.desired
            for run_id, run in self.runs.items()
            if party in run.shares and run.shares[party].state not in FINAL
        }
        for run_id, run in self.runs.items():
            if party in run.shares:
                self.told[run_id, party] = run.desired

    @rule(party=parties, data=st.data())
    def get_on(self, party, data):
        """An agent takes a step of its own, as far as it was told to go."""
        mine = [key for key in self.told if key[1] == party and self.here[key][0] in NEXT]
        if not mine:
            return
        key = data.draw(st.sampled_from(mine))
        state, sequence = self.here[key]
        choices = [step for step in NEXT[state] if self._may(self.told[key], step)]
        if choices:
            self.here[key] = (data.draw(st.sampled_from(choices)), sequence + 1)
            self.sent[key].append(self.here[key])

    @staticmethod
    def _may(told, step):
        if step in LAUNCHED[:2]:
            return told == "running"
        return step != "stopped" or told == "stopped"

    @rule(party=parties, data=st.data())
    def report(self, party, data):
        """The newest report, or an old one again."""
        mine = [key for key in self.sent if key[1] == party and self.sent[key]]
        if not mine or party not in self.connected:
            return
        key = data.draw(st.sampled_from(mine))
        state, sequence = data.draw(
            st.one_of(st.just(self.sent[key][-1]), st.sampled_from(self.sent[key]))
        )
        self._submit(key, state, sequence, self.epochs[party])
        self.runs[key[0]].report(party, state, sequence)
        self.compare()

    @rule(party=parties, data=st.data())
    def report_over_an_old_connection(self, party, data):
        mine = [key for key in self.sent if key[1] == party and self.sent[key]]
        if not mine or self.epochs[party] == 1:
            return
        key = data.draw(st.sampled_from(mine))
        state, sequence = self.sent[key][-1]
        try:
            self._submit(key, state, sequence, self.epochs[party] - 1)
        except StaleLease:
            self.compare()
        else:
            raise AssertionError("an old connection was heard")

    def _submit(self, key, state, sequence, epoch):
        now = datetime.now(UTC)
        report = Report(
            party_run_id=self.ids[key],
            sequence=sequence,
            state=PartyRunState(state),
            exit_code={"succeeded": 0, "failed": 3}.get(state),
            observed_at=now,
            finished_at=now if state in FINAL else None,
        )
        self.served.do(self.served.reports.submit(key[1], epoch, [report]))

    # --- what users do

    @precondition(lambda self: sum(run.status not in ENDED for run in self.runs.values()) < 3)
    @rule(named=st.sets(parties, min_size=1))
    def start(self, named):
        named = sorted(named)
        task_id = self.served.do(
            TaskService(self.served.database).create(
                TaskSpec(
                    name=f"model {uuid.uuid4().hex[:12]}",
                    template_id=self.served.template_id,
                    remark="",
                    federate_data=tuple(
                        PartyData(federated_id=party, federated_data="") for party in named
                    ),
                ),
                caller=LOCAL,
            )
        )
        self._start(task_id, named)

    @precondition(lambda self: any(run.status in ENDED for run in self.runs.values()))
    @rule(data=st.data())
    def start_again(self, data):
        """The next run of a task whose newest one has ended."""
        newest = {task_id: run_id for run_id, task_id in self.tasks.items()}
        ended = sorted(run_id for run_id in newest.values() if self.runs[run_id].status in ENDED)
        if ended:
            run_id = data.draw(st.sampled_from(ended))
            self._start(self.tasks[run_id], sorted(self.runs[run_id].shares))

    def _start(self, task_id, named):
        draining = (self.drained | self.leaving) & set(named)
        again = uuid.uuid4().hex
        try:
            self.served.do(self.served.start(task_id, request_id=again))
        except PartyUnavailable:
            assert draining
        else:
            assert not draining
        newest = self.served.sql("SELECT latest_run_id FROM tasks WHERE task_id = $1", task_id)
        run_id = self.served.do(newest)[0]["latest_run_id"]
        waits = {party for party in named if party not in self.connected or party in self.absent}
        run = Run.refused(named, draining) if draining else Run.accepted(named, waits)
        self.runs[run_id], self.tasks[run_id] = run, task_id
        rows = self.served.sql("SELECT * FROM party_runs WHERE run_id = $1", run_id)
        for row in self.served.do(rows):
            key = (run_id, row["federated_id"])
            self.ids[key] = row["party_run_id"]
            self.here[key], self.sent[key] = (run.shares[key[1]].state, 0), []
        self.compare()

    @precondition(lambda self: any(run.status not in ENDED for run in self.runs.values()))
    @rule(data=st.data())
    def stop(self, data):
        run_id = self._draw_open(data)
        self.served.stop(self.tasks[run_id], request_id=uuid.uuid4().hex)
        self.runs[run_id].stop()
        self.compare()

    @rule(party=parties)
    def drain(self, party):
        self.served.do(self.served.parties.drain(party))
        self.drained.add(party)

    @rule(party=parties)
    def resume(self, party):
        self.served.do(self.served.parties.resume(party))
        self.drained.discard(party)

    # --- what time does

    @rule()
    def clean_up(self):
        """Every task keeps its newest run, and what has not ended."""
        self.served.do(self.served.retention.sweep())
        newest = {task_id: run_id for run_id, task_id in self.tasks.items()}
        for run_id in set(self.runs) - set(newest.values()):
            for book in (self.here, self.told, self.sent, self.ids):
                for party in self.runs[run_id].shares:
                    book.pop((run_id, party), None)
            del self.runs[run_id], self.tasks[run_id]
        self.compare()

    @rule(party=parties)
    def lease_runs_out(self, party):
        self.served.do(
            self.served.sql(
                "UPDATE parties SET lease_expires_at = now() - interval '1 s'"
                " WHERE federated_id = $1",
                party,
            )
        )
        self.absent.add(party)

    @precondition(lambda self: any(run.status not in ENDED for run in self.runs.values()))
    @rule(data=st.data(), which=st.sampled_from(["connect", "prepare"]))
    def deadline_passes(self, data, which):
        run_id = self._draw_open(data)
        self.served.do(
            self.served.sql(
                f"UPDATE runs SET {which}_deadline_at = now() - interval '1 s' WHERE run_id = $1",  # noqa: S608  one of two words
                run_id,
            )
        )
        setattr(self.runs[run_id], f"{which}_deadline_passed", True)

    @rule()
    def sweep(self):
        self.served.do(self.served.absences.sweep())
        for run in self.runs.values():
            if run.status not in ENDED:
                run.sweep(self.absent)
        self.compare()

    def _draw_open(self, data):
        return data.draw(
            st.sampled_from([key for key, run in self.runs.items() if run.status not in ENDED])
        )

    def compare(self):
        stored = {
            row["run_id"]: row
            for row in self.served.do(
                self.served.sql("SELECT run_id, status, desired, launch_ordered_at FROM runs")
            )
        }
        assert set(stored) == set(self.runs)
        for run_id, run in self.runs.items():
            row = stored[run_id]
            seen = (row["status"], row["desired"], row["launch_ordered_at"] is not None)
            assert seen == (run.status, run.desired, run.launched)
        for row in self.served.do(self.served.sql("SELECT * FROM party_runs")):
            run = self.runs[row["run_id"]]
            share = run.shares[row["federated_id"]]
            assert (row["state"], row["report_sequence"]) == (share.state, share.sequence)
            if share.state not in FINAL:
                assert row["desired"] == run.desired
