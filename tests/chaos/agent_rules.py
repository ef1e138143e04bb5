"""Agents as rules that act on the real services and on the model alike, and what is compared."""

from datetime import UTC, datetime

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from flow_contract.assignments import Report
from flow_contract.errors import StaleLease
from flow_contract.lifecycle import PartyRunState
from flow_contract.parties import Inventory
from flow_server.hub.sessions import Session
from tests.chaos.model import COORDINATOR, FINAL, RANK

PARTIES = ("hospital-a", "hospital-b", "hospital-c")
# Where a coordinator goes whose template names no place.
COORDINATES = "hospital-c"
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


class Agents(RuleBasedStateMachine):
    """`here` is where each agent really is; reports say it, late, twice, or never.

    All books are by (run, member): a party by its id, or the coordinator, wherever it is.
    """

    def __init__(self, served):
        super().__init__()
        self.served = served
        # Absent ones have no lease any more; of those that were given up nobody is the owner.
        self.epochs, self.connected, self.absent, self.given_up = {}, {}, set(), set()
        # Drained by their servers, and by their agents until those connect anew.
        self.drained, self.leaving = set(), set()
        self.runs, self.tasks, self.asked, self.ids = {}, {}, {}, {}
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
                inventory=Inventory(
                    runtime="model", agent_version="0", coordinates=party == COORDINATES
                ),
            )
        )
        assert epoch == self.epochs.get(party, 0) + 1
        self.epochs[party] = epoch
        self.absent.discard(party)
        self.given_up.discard(party)
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
            # Whose server sees the end has a whole lease from then on.
            if party not in self.given_up:
                self.absent.discard(party)

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
            self.ids[run_id, member]: run.desired
            for run_id, run in self.runs.items()
            for member in run.members_at(party)
            if run.shares[member].state not in FINAL
        }
        for run_id, run in self.runs.items():
            for member in run.members_at(party):
                self.told[run_id, member] = run.desired

    @rule(party=parties, data=st.data())
    def get_on(self, party, data):
        """An agent takes a step of its own, as far as it was told to go."""
        mine = [key for key in self.told if self._is_at(party, key) and self.here[key][0] in NEXT]
        if not mine:
            return
        key = data.draw(st.sampled_from(mine))
        state, sequence = self.here[key]
        choices = [step for step in NEXT[state] if self._may(self.told[key], step)]
        if choices:
            self.here[key] = (data.draw(st.sampled_from(choices)), sequence + 1)
            self.sent[key].append(self.here[key])

    def _is_at(self, party, key):
        run_id, member = key
        return self.runs[run_id].site(member) == party

    @staticmethod
    def _may(told, step):
        if step in LAUNCHED[:2]:
            return told == "running"
        return step != "stopped" or told == "stopped"

    @rule(party=parties, data=st.data())
    def report(self, party, data):
        """The newest report, or an old one again."""
        mine = [key for key in self.sent if self._is_at(party, key) and self.sent[key]]
        if not mine or party not in self.connected:
            return
        key = data.draw(st.sampled_from(mine))
        state, sequence = data.draw(
            st.one_of(st.just(self.sent[key][-1]), st.sampled_from(self.sent[key]))
        )
        self._submit(key, state, sequence, self.epochs[party])
        self.runs[key[0]].report(key[1], state, sequence)
        self.compare()

    @precondition(lambda self: any(run.status not in ENDED for run in self.runs.values()))
    @rule(data=st.data())
    def get_going(self, data):
        """All members of a run go as far as they are told, and one ends: few walks get there."""
        run_id = self._draw_open(data)
        for step in ("preparing", "prepared", "running"):
            for member in self.runs[run_id].shares:
                self._go(run_id, member, step)
        self.compare()
        member = data.draw(st.sampled_from(sorted(self.runs[run_id].shares)))
        end = data.draw(st.sampled_from(("failed", "succeeded")))
        if self.here[run_id, member][0] == "running":
            self._go(run_id, member, end)
            self.compare()

    def _go(self, run_id, member, step):
        key, site = (run_id, member), self.runs[run_id].site(member)
        if site not in self.connected:
            return
        self.deliver(site)
        state, sequence = self.here[key]
        told = self.told[key]
        ordered = "prepared" if step in {"preparing", "prepared"} else "running"
        if state in RANK and RANK[state] < RANK.get(step, len(RANK)) and told == ordered:
            self.here[key] = (step, sequence + 1)
            self.sent[key].append(self.here[key])
            self._submit(key, *self.here[key], self.epochs[site])
            self.runs[run_id].report(member, *self.here[key])

    def _draw_open(self, data):
        return data.draw(
            st.sampled_from([key for key, run in self.runs.items() if run.status not in ENDED])
        )

    @rule(party=parties, data=st.data())
    def report_over_an_old_connection(self, party, data):
        mine = [key for key in self.sent if self._is_at(party, key) and self.sent[key]]
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
        site = self.runs[key[0]].site(key[1])
        self.served.do(self.served.reports.submit(site, epoch, [report]))

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
            share = run.shares[member_of(row)]
            assert (row["state"], row["report_sequence"]) == (share.state, share.sequence)
            if share.state not in FINAL:
                assert row["desired"] == run.desired


def member_of(row):
    return COORDINATOR if row["role"] == "coordinator" else row["federated_id"]
