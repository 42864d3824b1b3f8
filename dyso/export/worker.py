"""`python -m dyso.export.worker DATASET FORMAT OUT`: exports units for another process.

A line of JSON on standard input holds the fields of a `Unit`. The process answers with
a line `{"kind": "scene"}` after each scene. The last answer to a unit is `{"kind":
..., "values": [...]}`: `done` with what `Export.do` returns, or an exception with its
arguments.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from dyso.child_process import open_answers, write_line
from dyso.export.job import Export, Unit
from dyso.reading import Dataset
from dyso.records import RecordError
from dyso.spec import UserError


def main(dataset: str, format_name: str, out: str) -> None:
    """Exports units until the end of the input."""
    answers = open_answers()
    export = Export(Dataset(dataset), format_name, Path(out), {})
    write_line(answers, {})
    for line in sys.stdin:
        unit = json.loads(line)
        unit["paths"] = tuple(unit["paths"])
        kind = "done"
        values: list[Any]
        try:
            made = export.do(
                Unit(**unit), lambda: write_line(answers, {"kind": "scene"})
            )
            values = [*made]
        except RecordError as error:
            kind, values = "RecordError", [str(error)]
        except UserError as error:
            kind, values = "UserError", [str(error)]
        except ModuleNotFoundError as error:
            kind, values = "ModuleNotFoundError", [str(error), error.name]
        except OSError as error:
            about = [error.errno, error.strerror, str(error.filename or "")]
            kind, values = "OSError", about if error.errno else [str(error)]
        write_line(answers, {"kind": kind, "values": values})


if __name__ == "__main__":
    main(*sys.argv[1:])
