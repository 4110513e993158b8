#!/bin/sh
# Creates a virtual environment with a suitable Python, or says in one line why that cannot be done.
#
#   tools/create_venv.sh FOLDER [PYTHON]
#
# Without PYTHON: python3, or else the newest python3.N that can be used. An environment that is there
# already, works, and was made from the same Python in the same place is left as it is.
set -eu

folder=$1
wanted=${2-}
oldest='(3, 10)'

say() { printf '%s\n' "vfiipc: $*" >&2; }

# Prints the version; fails where the name is no Python at all (a pyenv shim without a version, say).
version_of() { "$1" -c 'import platform; print(platform.python_version())' 2>/dev/null; }
is_new_enough() { "$1" -c "import sys; sys.exit(sys.version_info < $oldest)" 2>/dev/null; }
can_make_venv() { "$1" -c 'import venv, ensurepip' 2>/dev/null; }
home_of() { "$1" -c 'import os, sys; print(os.path.realpath(sys.base_prefix), sys.version)' 2>/dev/null; }

if test -n "$wanted"; then
    set -- "$wanted"
else
    set -- python3 python3.13 python3.12 python3.11 python3.10 python
fi
chosen=
problem=
for candidate; do
    version=$(version_of "$candidate") || {
        test -z "$wanted" || problem="$candidate is no Python that can be run"
        continue
    }
    if ! is_new_enough "$candidate"; then
        problem=${problem:-"$candidate is Python $version"}
    elif ! can_make_venv "$candidate"; then
        problem="$candidate (Python $version) has no venv module; on Debian and Ubuntu: apt install python3-venv"
    else
        chosen=$candidate
        break
    fi
done
if test -z "$chosen"; then
    say "Python 3.10 or newer with venv is needed: ${problem:-none was found}. Another one: make ... PYTHON=/path/to/python3"
    exit 1
fi

stamp=$folder/.created
here=$(pwd -P)
if test -f "$stamp" && test "$(cat "$stamp")" = "$here" \
    && test "$(home_of "$folder/bin/python")" = "$(home_of "$chosen")"; then
    exit 0
fi

say "creating $folder with $chosen (Python $version)"
rm -rf "$folder"
"$chosen" -m venv "$folder"
printf '%s\n' "$here" >"$stamp"
