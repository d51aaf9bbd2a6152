#!/bin/sh
# Lets systemd judge deploy/ringmesh.service: no complaint at all, and a low exposure.
set -eu

root=$(cd "$(dirname "$0")/../.." && pwd)
if ! command -v systemd-analyze >/dev/null; then
    echo "verify_unit: systemd-analyze is missing (Debian and Ubuntu: apt-get install systemd)" >&2
    # 77 says that nothing was checked; whoever calls decides whether that is a failure.
    exit 77
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# The binary and the manual need not be installed where the unit is judged.
sed -e 's|^ExecStart=/usr/local/bin/ringmesh|ExecStart=/bin/true|' -e '/^Documentation=/d' \
    "$root/deploy/ringmesh.service" >"$work/ringmesh.service"
grep -q '^ExecStart=/bin/true serve$' "$work/ringmesh.service"

complaints=$(systemd-analyze verify --man=no "$work/ringmesh.service" 2>&1) || {
    echo "verify_unit: systemd-analyze verify failed:" >&2
    echo "$complaints" >&2
    exit 1
}
if [ -n "$complaints" ]; then
    echo "verify_unit: systemd complains:" >&2
    echo "$complaints" >&2
    exit 1
fi

# An exposure of 2.0 or less, of 10. Versions before 250 cannot judge a unit that is not loaded.
if systemd-analyze --help | grep -q -- --offline; then
    systemd-analyze security --offline=yes --threshold=20 --no-pager "$work/ringmesh.service" >"$work/security" || {
        echo "verify_unit: the unit is too exposed:" >&2
        grep -v '✓' "$work/security" >&2
        exit 1
    }
    tail -n 1 "$work/security"
fi
echo "verify_unit: deploy/ringmesh.service passes"
