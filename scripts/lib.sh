# Sourced by the other scripts: what they may do as root, and apt with patience.

# Run a command as root: directly, or through sudo if that asks for no password.
as_root() {
  if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo -n "$@"; fi
}

may_be_root() {
  [ "$(id -u)" -eq 0 ] || { command -v sudo >/dev/null && sudo -n true 2>/dev/null; }
}

has_apt() {
  [ -f /etc/debian_version ] && command -v apt-get >/dev/null
}

# Install Debian packages, non-interactively. A mirror may stumble once: three tries.
apt_install() {
  local try
  for try in 1 2 3; do
    if as_root apt-get update -qq &&
      as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends "$@" >/dev/null; then
      return 0
    fi
    [ "$try" -eq 3 ] || sleep $((try * 5))
  done
  return 1
}
