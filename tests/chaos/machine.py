"""Users and time as rules that act on the real services and on the model alike."""

import uuid

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from flow_contract.errors import PartyUnavailable
from flow_contract.tasks import PartyData, TaskSpec
from flow_server.services.tasks import TaskService
from tests.chaos.agent_rules import COORDINATES, ENDED, PARTIES, Agents, member_of, parties
from tests.chaos.callers import LOCAL
from tests.chaos.model import COORDINATED, KINDS, Run


class Reconcile(Agents):
    """What users and time do, beside the agents; after each the rows are as the model says."""

    # --- what users do

    @precondition(lambda self: sum(run.status not in ENDED for run in self.runs.values()) < 3)
    @rule(
        named=st.sets(parties, min_size=1),
        kind=st.sampled_from(KINDS),
        place=st.sampled_from(("", *PARTIES)),
    )
    def start(self, named, kind, place):
        named = sorted(named)
        task_id = self.served.do(
            TaskService(self.served.database).create(
                TaskSpec(
                    name=f"model {uuid.uuid4().hex[:12]}",
                    template_id=self.served.template(kind, place),
                    remark="",
                    federate_data=tuple(
                        PartyData(federated_id=party, federated_data="") for party in named
                    ),
                ),
                caller=LOCAL,
            )
        )
        self.asked[task_id] = (named, kind, place)
        self._start(task_id)

    @precondition(lambda self: any(run.status in ENDED for run in self.runs.values()))
    @rule(data=st.data())
    def start_again(self, data):
        """The next run of a task whose newest one has ended."""
        newest = {task_id: run_id for run_id, task_id in self.tasks.items()}
        ended = sorted(run_id for run_id in newest.values() if self.runs[run_id].status in ENDED)
        if ended:
            run_id = data.draw(st.sampled_from(ended))
            self._start(self.tasks[run_id])

    def _start(self, task_id):
        named, kind, place = self.asked[task_id]
        draining = self.drained | self.leaving
        if not place and COORDINATES not in draining:
            place = COORDINATES
        sites = {*named, place} if kind in COORDINATED else set(named)
        refused = bool(draining & sites) or "" in sites
        again = uuid.uuid4().hex
        try:
            self.served.do(self.served.start(task_id, request_id=again))
        except PartyUnavailable:
            assert refused
        else:
            assert not refused
        newest = self.served.sql("SELECT latest_run_id FROM tasks WHERE task_id = $1", task_id)
        run_id = self.served.do(newest)[0]["latest_run_id"]
        away = self.absent | (set(PARTIES) - set(self.connected))
        run = (
            Run.refused(named, draining, kind, place)
            if refused
            else Run.accepted(named, away, kind, place)
        )
        self.runs[run_id], self.tasks[run_id] = run, task_id
        rows = self.served.sql("SELECT * FROM party_runs WHERE run_id = $1", run_id)
        for row in self.served.do(rows):
            key = (run_id, member_of(row))
            assert row["federated_id"] == run.site(key[1])
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
        self.given_up |= self.absent
        for run in self.runs.values():
            if run.status not in ENDED:
                run.sweep(self.absent)
        self.compare()
