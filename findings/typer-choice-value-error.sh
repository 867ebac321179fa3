#!/usr/bin/env bash
# Typer 0.29.2: a wrong choice is refused with pydantic's prefix, and a wrong number without the number.
#
# Expected: the messages of Typer's documentation (typer.tiangolo.com/tutorial/parameter-types/enum and
#           .../number), which are click's: "'c' is not one of 'a', 'b'" and "'x' is not a valid integer".
#           Typer 0.20.0 gives them.
# Seen:     values are checked by pydantic. "Invalid value for '--kind': Value error, 'c' is not one of
#           'a', 'b'." names the type of an exception that no user raised, and "Invalid value for '--n':
#           Input should be a valid integer, unable to parse string as an integer" leaves out what was
#           typed. Programs and tests that look for the old words miss them.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat > "$folder/app.py" <<'PYTHON'
import enum

import typer


class Kind(str, enum.Enum):
    a = "a"
    b = "b"


app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command()
def main(kind: Kind = Kind.a, n: int = 1) -> None:
    print(kind.value, n)


app()
PYTHON
said() {  # VERSION ARGUMENTS...: what it prints, on one line
    (TERM=dumb COLUMNS=200 "$folder/$1/bin/python" "$folder/app.py" "${@:2}" 2>&1 || true) | tr '\n' ' '
}
for version in 0.20.0 0.29.2; do
    python3 -m venv "$folder/$version"
    "$folder/$version/bin/pip" install --quiet "typer==$version" click==8.3.1 pydantic==2.12.5
    echo "typer $version, --kind c: $(said $version --kind c)"
    echo "typer $version, --n x:    $(said $version --n x)"
done
[[ $(said 0.20.0 --kind c) != *"Value error"* && $(said 0.20.0 --n x) == *"'x' is not a valid integer"* ]]
[[ $(said 0.29.2 --kind c) == *"Value error, 'c' is not one of 'a', 'b'"* && $(said 0.29.2 --n x) != *"'x'"* ]]
