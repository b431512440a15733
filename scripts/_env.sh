# shellcheck shell=bash
# Shared by scripts/quickstart and scripts/test: `prepare plain` or `prepare EXTRA` makes .venv in the checkout and
# installs dnas into it, alone or with an extra. Sourced under `set -euo pipefail`; keeps the caller's current folder
# and works with bash 3.2 and later.

ROOT=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." >/dev/null && pwd)
VENV=$ROOT/.venv
LOG=$VENV/install.log
MINIMUM=3.11

say() { printf '%s\n' "$*" >&2; }

die() {
    say "error: $*"
    exit 1
}

# Fails for a command that is missing or does not run, such as a pyenv shim without a version behind it.
python_version() { "$1" -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])' 2>/dev/null; }

new_enough() {
    [[ $1 =~ ^([0-9]+)\.([0-9]+) ]] || return 1
    local minor=$((BASH_REMATCH[1] * 100 + BASH_REMATCH[2]))
    ((minor >= ${MINIMUM%.*} * 100 + ${MINIMUM#*.}))
}

choose_python() {
    local candidate version found=""
    if [[ -n ${PYTHON:-} ]]; then
        version=$(python_version "$PYTHON") || die "PYTHON=$PYTHON does not run: set it to a Python $MINIMUM or newer"
        new_enough "$version" || die "PYTHON=$PYTHON is Python $version: set it to a Python $MINIMUM or newer"
        return
    fi
    for candidate in python3 python3.13 python3.12 python3.11 python; do
        version=$(python_version "$candidate") || continue
        if new_enough "$version"; then
            PYTHON=$candidate
            return
        fi
        found="${found:+$found, }$candidate is $version"
    done
    die "dnas needs Python $MINIMUM or newer (${found:-no Python was found}): install one or name it in PYTHON"
}

# .unfinished marks a folder that an interrupted run left, so that only such a one is ever removed.
make_venv() {
    choose_python
    "$PYTHON" -c 'import ensurepip, venv' 2>/dev/null ||
        die "$PYTHON cannot make environments: install its venv module (on Debian and Ubuntu the package python3-venv)"
    say "making .venv with Python $(python_version "$PYTHON")"
    rm -rf "$VENV"
    mkdir "$VENV" 2>/dev/null || die "cannot make the folder $VENV: check that the checkout can be written"
    : >"$VENV/.unfinished"
    "$PYTHON" -m venv "$VENV" >"$LOG" 2>&1 || die "$PYTHON -m venv failed: the log is $LOG"
    rm "$VENV/.unfinished"
}

check_venv() {
    local version wanted
    version=$(python_version "$VENV/bin/python") || die "$VENV is broken (its Python fails): delete it and start again"
    new_enough "$version" || die "$VENV has Python $version but dnas needs $MINIMUM or newer: delete it and start again"
    [[ -n ${PYTHON:-} ]] || return 0
    choose_python
    wanted=$(python_version "$PYTHON")
    [[ $wanted == "$version" ]] || die "$VENV has Python $version but PYTHON is $wanted: delete $VENV or unset PYTHON"
}

# What an installation depends on: a stamp with this content means that nothing needs to be done. The checkout's own
# path counts because an environment's scripts name it.
fingerprint() {
    {
        printf '%s\n' "$ROOT"
        "$VENV/bin/python" -c 'import sys; print(sys.version)'
        cat "$ROOT/pyproject.toml" "$ROOT/constraints.txt"
    } | cksum
}

pip_install() {
    (cd "$ROOT" && "$VENV/bin/python" -m pip install --disable-pip-version-check --no-input --progress-bar off \
        -c constraints.txt "$@") >>"$LOG" 2>&1
}

# The build backend comes first and builds without isolation, since constraints do not reach an isolated build.
install() {
    local extra=$1 target=. start=$SECONDS reason
    [[ $extra == plain ]] || target=".[$extra]"
    say "installing dnas and its pinned dependencies into .venv: about 1 GB on disk, usually one to three minutes"
    : >"$LOG"
    if ! pip_install hatchling || ! pip_install --no-build-isolation -e "$target"; then
        reason=$(sed -n '/^ERROR: /{s///;p;q;}' "$LOG")
        # The pins agree with each other: what pip calls a conflict is a version that it cannot find.
        [[ $reason != *"conflicting dependencies"* ]] || reason="pinned versions not found: is the network in reach?"
        die "pip could not install dnas (${reason:-no reason given}): the full log is $LOG"
    fi
    say "installed in $((SECONDS - start)) s"
}

prepare() {
    local extra=$1 now
    # Two runs at once would write to one environment: the second waits for the first and then finds it ready.
    exec 9<"$ROOT"
    if command -v flock >/dev/null && ! flock -n 9; then
        say "waiting for another run that is preparing .venv"
        flock 9 || true
    fi
    if [[ ! -e $VENV && ! -L $VENV ]] || [[ -e $VENV/.unfinished ]]; then make_venv; else check_venv; fi
    now=$(fingerprint)
    # The test extra holds everything that the plain installation does.
    if ! grep -qxF "$now" "$VENV/.installed-$extra" "$VENV/.installed-test" 2>/dev/null; then
        rm -f "$VENV"/.installed-*
        install "$extra"
        printf '%s\n' "$now" >"$VENV/.installed-$extra"
    fi
    exec 9<&-
}
