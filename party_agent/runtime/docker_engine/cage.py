"""Pure: the rights of one container, from what template, image, site and engine say.

The site has the last word: a template can ask for less than the site gives, never for more.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flow_contract.reasons import Reason, sentence
from party_agent.runtime.confinement import UNPRIVILEGED, Confinement, RootMode
from party_agent.runtime.docker_engine.accounts import Account, resolve
from party_agent.runtime.docker_engine.facts import EngineFacts
from party_agent.runtime.port import RuntimeRefused, Workload

# On an image: it can't do without a writable root.
LABEL_WRITABLE_ROOT = "io.fedflow.writable-root"

RULE_USER = "containers.user"
RULE_PIDS = "containers.pids"
RULE_OFF_LIMITS = "data.off_limits"

_PYTHON_PATH = "PYTHONPATH="
_TEMPORARY_HOME = "/tmp"  # noqa: S108 - of the container


@dataclass(frozen=True, kw_only=True)
class Cage:
    """What one container gets. `user` is numeric; `home` "" leaves it to the image.

    `owner` is the user on the host, None if the engine hides it. `python_path` is where the image
    itself has Python look for modules, "" if it doesn't say.
    """

    user: str
    groups: tuple[str, ...]
    home: str
    read_only_root: bool
    tmp_bytes: int
    pids: int
    owner: tuple[int, int] | None
    python_path: str = ""


def asked_user(workload: Workload, image: dict[str, Any]) -> str:
    """Return the user that the template or else the image names, "" if neither does."""
    return workload.user or str((image.get("Config") or {}).get("User") or "")


def decide(
    workload: Workload,
    image: dict[str, Any],
    *,
    passwd: str,
    group: str,
    site: Confinement,
    engine: EngineFacts,
) -> Cage:
    """Return the container's rights; `passwd` and `group` are the image's files.

    Raises:
        RuntimeRefused: the template asks for more than the site gives.
    """
    _check_sources(workload, (*site.off_limits, engine.folder))
    user = asked_user(workload, image)
    account = resolve(user or "0:0", passwd, group)
    if account is None:
        raise RuntimeRefused(
            Reason.RUNTIME_ERROR, f"The image has no user {user!r}; correct the template's user."
        )
    account = _confined(workload, account, site, engine)
    config = image.get("Config") or {}
    sets_home = any(str(entry).startswith("HOME=") for entry in config.get("Env") or ())
    return Cage(
        user=f"{account.uid}:{account.gid}",
        groups=tuple(str(gid) for gid in site.groups),
        home="" if account.has_home or sets_home or "HOME" in workload.env else _TEMPORARY_HOME,
        read_only_root=_is_read_only(config, site.root_mode),
        tmp_bytes=site.tmp_bytes,
        pids=_pids(workload, site),
        owner=engine.owner(account.uid, account.gid),
        python_path=_python_path(config),
    )


def _confined(
    workload: Workload, account: Account, site: Confinement, engine: EngineFacts
) -> Account:
    """Return the account, or who takes its place because it is root."""
    if account.uid != 0 or engine.has_user_namespace:
        return account
    if not workload.user:
        uid, gid = site.user or UNPRIVILEGED
        return Account(uid=uid, gid=gid, has_home=False)
    if not site.allow_root:
        raise _refusal(
            RULE_USER,
            f"the template's user {workload.user!r} is root, and workloads don't run as root "
            "here; leave the user out or name another",
        )
    return account


def _python_path(config: dict[str, Any]) -> str:
    found = [str(entry) for entry in config.get("Env") or ()]
    own = [entry.removeprefix(_PYTHON_PATH) for entry in found if entry.startswith(_PYTHON_PATH)]
    return own[-1] if own else ""


def _is_read_only(config: dict[str, Any], mode: RootMode) -> bool:
    if mode is RootMode.AUTO:
        labels = config.get("Labels") or {}
        return str(labels.get(LABEL_WRITABLE_ROOT, "")).lower() != "true"
    return mode is RootMode.ALWAYS_READ_ONLY


def _pids(workload: Workload, site: Confinement) -> int:
    asked = workload.resources.pids
    if asked is not None and asked > site.max_pids:
        raise _refusal(
            RULE_PIDS,
            f"{asked} processes and threads asked for, the site gives {site.max_pids}",
            Reason.RESOURCES_UNAVAILABLE,
        )
    return asked or site.max_pids


def _check_sources(workload: Workload, off_limits: tuple[Path, ...]) -> None:
    for bind in workload.binds:
        if bind.writable or bind.is_agents:
            continue  # the agent's own choice
        for path in off_limits:
            if bind.source.is_relative_to(path) or path.is_relative_to(bind.source):
                raise _refusal(
                    RULE_OFF_LIMITS,
                    f"what the site offers at {bind.target} holds files of its engine or "
                    "agent; ask the site to offer the data alone",
                )


def _refusal(rule: str, detail: str, reason: Reason = Reason.POLICY_DENIED) -> RuntimeRefused:
    return RuntimeRefused(reason, sentence(reason, f"Rule {rule}: {detail}"))
