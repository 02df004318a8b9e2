#!/bin/sh
# As `pip install OPTION...` into the environment of TARGET: installer.sh BIN TARGET OPTION..., with what is in BIN.
# uv needs seconds where pip needs minutes. It does not read pip's configuration, so it is told where that finds packages;
# whatever else is configured, pip knows, and does the work where uv cannot be had or does not succeed.
set -eu
bin=$1
target=$2
shift 2
pip="$bin/python -m pip --disable-pip-version-check"

# A setting of pip's, where it is set; the environment comes first in its list.
setting() {
    printf '%s\n' "$settings" | sed -n "s/^[^.]*\.$1='\(.*\)'\$/\1/p" | sed 's/\\n/ /g;1q'
}

with_uv() {
    [ -x "$bin/uv" ] || $pip --quiet install --require-hashes --only-binary :all: \
        --requirement "$(dirname "$0")/uv.txt" || return
    settings=$($pip config list)
    index=$(setting index-url)
    others=$(setting extra-index-url)
    authorities=$(setting cert)
    # As pip chooses: the best version of all indexes, which are equal, because the hashes decide.
    UV_DEFAULT_INDEX=${UV_DEFAULT_INDEX-$index} UV_INDEX=${UV_INDEX-$others} UV_INDEX_STRATEGY=unsafe-best-match \
        SSL_CERT_FILE=${authorities:-${SSL_CERT_FILE-}} "$bin/uv" pip install --quiet --python "$target" "$@"
}

if ! with_uv "$@"; then
    echo "Installing with pip instead of uv, which takes longer" >&2
    $pip --python "$target" --quiet install "$@"
fi
