"""What of one party run leaves the site, by its caps and rules, and what is said of the rest."""

from collections.abc import Callable
from pathlib import Path

from flow_contract.outputs import OutputsClosed
from party_agent.outputs_out.caps import RULE_OUTPUTS, SiteCaps, judge
from party_agent.outputs_out.skips import Skips
from party_agent.outputs_out.sources import LeftSource, SentSource, Source, digest_of
from party_agent.outputs_out.spool import OutputSpool
from party_agent.outputs_out.tree import Changed, Tree
from party_agent.policy.rules import MayLeave

# Looked at, for each that may leave: which of many do is decided by their names.
_SEEN_FILES = 5


class Leaving:
    """One party run's files. All methods block on the disk; `rules` are those in force."""

    def __init__(
        self, spool: OutputSpool, folder: Path | None, caps: SiteCaps, rules: Callable[[], MayLeave]
    ) -> None:
        """Take what was sent, and the output directory, None if there is none."""
        self._spool = spool
        self._folder = folder
        self._caps = caps
        self._rules = rules
        self._skips = Skips()
        self._withheld = ""

    def sent(self) -> list[Source]:
        """Return what the workload sent and the server lacks: nothing where the rules forbid it."""
        if not self._rules().outputs:
            return []
        return [SentSource(kept) for kept in self._spool.waiting()]

    def left(self) -> list[Source]:
        """Return what lies in the output directory and may leave. Called once."""
        rules = self._rules()
        if not rules.outputs:
            self._withheld = RULE_OUTPUTS
            return []
        for name, why in self._spool.refused.items():
            self._skips.add(name, why)
        if self._folder is None:
            return []
        tree = Tree(self._folder)
        files, sent_bytes = self._spool.sent_files, self._spool.sent_bytes
        sources: list[Source] = []
        for found in tree.scan(self._skips, most_files=_SEEN_FILES * self._caps.run_files):
            source = LeftSource(tree, found)
            if self._was_sent(source):
                continue
            verdict = judge(
                found.bytes, files=files, sent_bytes=sent_bytes, caps=self._caps, rules=rules
            )
            if verdict.rule:
                self._withheld = verdict.rule
            elif verdict.why:
                self._skips.add(found.name, verdict.why)
            else:
                files, sent_bytes = files + 1, sent_bytes + found.bytes
                sources.append(source)
        return sources

    def ended(self, source: Source, why: str) -> None:
        """Note that the server has a file, or why it has not."""
        if isinstance(source, SentSource):
            self._spool.settle(source.kept, why)
        elif why:
            self._skips.add(source.file.name, why)

    def last_words(self) -> OutputsClosed:
        """Return what is said once everything has been sent."""
        if self._withheld == RULE_OUTPUTS:
            # The rule's name and no more.
            return OutputsClosed(withheld=self._withheld)
        return OutputsClosed(
            withheld=self._withheld, skipped=self._skips.told(), skipped_count=self._skips.count
        )

    def _was_sent(self, source: Source) -> bool:
        size_bytes, sha256 = self._spool.stored.get(source.file.name, (-1, b""))
        if size_bytes != source.file.bytes:
            return False
        try:
            return digest_of(source) == sha256
        except (Changed, OSError):
            return False
