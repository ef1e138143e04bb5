#!/usr/bin/env bash
# Makes sure that a Docker Engine answers; where it may, installs Debian's and starts it.
#
# Exit 0: an engine answers. Exit 3: none is to be had here, and one line says why, so that a
# caller can go on without. With CI=true that is exit 1: there, no engine is an error.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh

readonly LOG=${FEDFLOW_DOCKERD_LOG:-/var/log/fedflow-dockerd.log}
readonly PID_FILE=/var/run/docker.pid
readonly CONTAINERD_PID_FILE=/var/run/docker/containerd/containerd.pid
readonly WAIT_S=90

give_up() {
  echo "no Docker Engine: $*" >&2
  [ "${CI:-}" = true ] && exit 1
  exit 3
}

answers() {
  python3 scripts/engine_answers.py
}

# True while a process of the name $2 has the id that stands in the file $1.
alive() {
  local pid
  pid=$(as_root cat "$1" 2>/dev/null) || return 1
  [ -n "$pid" ] && [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = "$2" ]
}

wait_for_answer() {
  local deadline=$((SECONDS + WAIT_S))
  until answers; do
    [ "$SECONDS" -lt "$deadline" ] || return 1
    alive "$PID_FILE" dockerd || [ "$((deadline - SECONDS))" -gt $((WAIT_S - 10)) ] || return 1
    sleep 0.2
  done
}

# The tools that the tests of namespaces, GPUs and images want besides the engine.
ensure_tools() {
  local missing=()
  command -v ip >/dev/null || [ -x /sbin/ip ] || missing+=(iproute2)
  command -v iptables >/dev/null || [ -x /usr/sbin/iptables ] || missing+=(iptables)
  # The dynamic busybox of other distributions would not run inside an empty image.
  [ -x /bin/busybox ] && ! ldd /bin/busybox >/dev/null 2>&1 || missing+=(busybox-static)
  [ ${#missing[@]} -eq 0 ] && return 0
  if may_be_root && has_apt; then
    echo "installing ${missing[*]}"
    apt_install "${missing[@]}" && return 0
  fi
  echo "missing ${missing[*]}: the tests that need them are going to say so" >&2
}

# An engine that was killed leaves its pid file behind and a new one would refuse to start.
# A pid may have gone to another process since, so the name is compared too.
remove_stale_pid_files() {
  alive "$PID_FILE" dockerd || as_root rm -f "$PID_FILE"
  alive "$CONTAINERD_PID_FILE" containerd || as_root rm -f "$CONTAINERD_PID_FILE"
}

start_engine() {
  if [ -d /run/systemd/system ]; then
    as_root systemctl start docker || true
    return 0
  fi
  remove_stale_pid_files
  [ -e "$PID_FILE" ] && return 0
  echo "starting dockerd (log: $LOG)"
  # The socket goes to the caller's group: who comes through sudo is not in group docker.
  as_root sh -c 'setsid nohup dockerd --group "$1" >>"$2" 2>&1 </dev/null &' \
    sh "$(engine_group)" "$LOG"
}

engine_group() {
  if [ "$(id -u)" -eq 0 ] && getent group docker >/dev/null; then echo docker; else id -gn; fi
}

if answers; then
  ensure_tools
  exit 0
fi
case ${DOCKER_HOST:-} in
  "" | unix:///var/run/docker.sock | unix:///run/docker.sock) ;;
  *) give_up "DOCKER_HOST=$DOCKER_HOST does not answer" ;;
esac
may_be_root || give_up "none answers, and installing one needs root or sudo without a password"
if ! command -v dockerd >/dev/null && [ ! -x /usr/sbin/dockerd ]; then
  has_apt || give_up "none answers, and this is not Debian: install one by hand"
  echo "installing docker.io from Debian"
  apt_install docker.io ca-certificates || give_up "apt-get could not install docker.io"
fi
export PATH=$PATH:/usr/sbin:/sbin
ensure_tools
start_engine
if ! wait_for_answer; then
  as_root tail -n 5 "$LOG" >&2 2>/dev/null || true
  give_up "dockerd was started and does not answer; its log is $LOG"
fi
