"""What does not leave, and why: all of it is counted, some of it remembered."""

from flow_contract.outputs import MAX_SKIPPED, MAX_WHY_LENGTH, Skipped, shown_name

_REMEMBERED = 10 * MAX_SKIPPED


class Skips:
    """Names of files, as the file system has them, each with a reason."""

    def __init__(self) -> None:
        self.count = 0
        self._known: dict[str, str] = {}

    def add(self, name: str, why: str) -> None:
        """Count a file that is left out."""
        self.count += 1
        if len(self._known) < _REMEMBERED:
            self._known[name] = why

    def told(self) -> tuple[Skipped, ...]:
        """Return the first ones by name, as the server is told."""
        return tuple(
            Skipped(name=shown_name(name), why=self._known[name][:MAX_WHY_LENGTH])
            for name in sorted(self._known)[:MAX_SKIPPED]
        )
