#!/bin/bash
# Installs what is missing for `make run` (argument run) or `make test` (argument test), and nothing else. Works as root and
# as a user with sudo, without a terminal, and does nothing when nothing is missing.
set -euo pipefail

die() { echo "setup: $*" >&2; exit 1; }

need=${1:-run}
packages=()
want() { packages+=("$@"); }

have_postgis() {
    local control
    for control in /usr/share/postgresql/*/extension/postgis.control /usr/pgsql-*/share/extension/postgis.control; do
        [ -e "$control" ] || continue
        local major=${control#/usr/share/postgresql/}
        major=${major%%/*}
        [ -x "/usr/lib/postgresql/$major/bin/postgres" ] || [ -x "${control%/share/*}/bin/postgres" ] && return 0
    done
    return 1
}
have_cjk_font() {
    compgen -G '/usr/share/fonts/opentype/noto/NotoSansCJK*' >/dev/null && return 0
    command -v fc-list >/dev/null && [ -n "$(fc-list :lang=zh 2>/dev/null | head -1)" ]
}

have_postgis || want postgresql postgresql-postgis
[ -e /usr/share/fonts/truetype/droid/DroidSansFallbackFull.ttf ] || want fonts-droid-fallback   # reports of evidence
have_cjk_font || want fonts-noto-cjk   # the wall is Chinese, also when this machine's browser shows it
command -v git >/dev/null || want git
if [ "$need" = test ]; then
    command -v cc >/dev/null && [ -e /usr/include/stdlib.h ] || want gcc libc6-dev   # the race detector
    command -v mosquitto >/dev/null || [ -x /usr/sbin/mosquitto ] || want mosquitto
    command -v mosquitto_pub >/dev/null || want mosquitto-clients
    command -v chromium >/dev/null || command -v google-chrome >/dev/null || want chromium
fi

command -v go >/dev/null || die "Go is missing: version $(sed -n 's/^go //p' "$(dirname "$0")/../go.mod") or newer is needed (https://go.dev/dl)"
command -v node >/dev/null && command -v npm >/dev/null || die "Node.js with npm is missing: version 20.19 or newer is needed"
node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 20 || a === 20 && b >= 19 ? 0 : 1)' ||
    die "Node.js $(node --version) is too old: version 20.19 or newer is needed"

[ ${#packages[@]} -gt 0 ] || exit 0
command -v apt-get >/dev/null || die "missing: ${packages[*]} (Debian's names); this script installs them on Debian only"

as_root=()
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || die "missing: ${packages[*]}; install them as root, or give this account sudo"
    as_root=(sudo)
    [ -t 0 ] || as_root=(sudo -n)
fi
apt() { "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=600 -o Dpkg::Use-Pty=0 -q "$@"; }

# The services that come with the packages (a database cluster, a broker) are not ours: keep them from being started.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap '"${as_root[@]}" rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
    "${as_root[@]}" chmod 755 "$policy"
fi

echo "setup: installing ${packages[*]}"
compgen -G '/var/lib/apt/lists/*_Packages*' >/dev/null || apt update
apt install -y --no-install-recommends "${packages[@]}" || {
    apt update   # the lists were too old for what the mirror has
    apt install -y --no-install-recommends "${packages[@]}"
}
