"""The layout of the output folder, on disk or in a bucket, while a job runs.

    OUT/spec.json                                 the resolved spec, written first
    OUT/NAME-SPLIT.array_record-00000-of-00004    shards
    OUT/metadata.json, OUT/dataset_info.json ...  written when all shards are complete
    OUT/COMPLETED                                 written last
    OUT/.work/layout.json                         settings that all jobs here share
    OUT/.work/progress.json                       the state of the job
    OUT/.work/SHARD.json                          the report of a finished shard
    OUT/.work/SHARD/PART.array_record, PART.json  finished parts and their reports
    OUT/.work/SHARD/PART.progress                 the state of an unfinished part

A part or shard counts as finished only if its report exists. The report is written
after the file. `.work` is removed when the dataset is complete. If shards of a complete
dataset are lost later, the next job restores the reports of the remaining shards from
metadata.json and makes only the missing shards.

The files in the folder are not trusted. The names of all files follow from the plan of
the spec, and a report under any other name is ignored.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from dyso.pipeline.plan import Part, Shard, plan_parts
from dyso.pipeline.shard_report import ShardReport, parse_report
from dyso.storage import Folder

WORK_FOLDER = ".work"
COMPLETED = "COMPLETED"
SPEC = "spec.json"
METADATA = "metadata.json"
PROGRESS = f"{WORK_FOLDER}/progress.json"
SETTINGS = f"{WORK_FOLDER}/layout.json"
_BATCH = 512  # number of reports that are read at the same time


@dataclass(frozen=True, kw_only=True)
class OutputLayout:
    """The names of the files in a dataset's output folder, and their reports.

    Attributes:
      output: the folder.
      dataset: the spec's name.
      spec_hash: the dataset's identity.
    """

    output: Folder
    dataset: str
    spec_hash: str

    def shard_file(self, shard: Shard) -> str:
        """Returns the file name of a finished shard."""
        return shard.filename(self.dataset)

    def shard_report_file(self, shard: Shard) -> str:
        """Returns the file name of a finished shard's report."""
        return f"{WORK_FOLDER}/{shard.name}.json"

    def parts_folder(self, shard: Shard) -> str:
        """Returns the folder of a shard's parts."""
        return f"{WORK_FOLDER}/{shard.name}"

    def part_file(self, part: Part, suffix: str) -> str:
        """Returns the file name of a part's `array_record`, `json` or `progress`."""
        return f"{self.parts_folder(part.shard)}/{part.name}.{suffix}"

    def shard_reports(self, shards: Sequence[Shard]) -> list[ShardReport | None]:
        """Returns the reports of shards; None for a shard that is not finished."""
        files = {self.shard_report_file(s): self.shard_file(s) for s in shards}
        by_name = dict(self.reports(files, self.output.sizes()))
        reports = zip(shards, map(by_name.get, files), strict=True)
        return [report if covers(report, s) else None for s, report in reports]

    def part_reports(self, shard: Shard) -> dict[str, ShardReport]:
        """Returns the reports of a shard's finished parts by their file names."""
        sizes, valid = self.output.sizes(self.parts_folder(shard)), {}
        for name, report in self.reports(report_files(sizes), sizes):
            part = Part(shard=shard, start=report.start, stop=report.stop)
            if (
                shard.start <= part.start < part.stop <= shard.stop
                and covers(report, part)
                and name == self.part_file(part, "json")
            ):
                valid[name] = report
        return valid

    def reports(
        self, files: Mapping[str, str], sizes: Mapping[str, int]
    ) -> Iterator[tuple[str, ShardReport]]:
        """Yields the names and contents of the reports that match their files.

        Args:
          files: the name of each report's data file, by the report's file name.
          sizes: the sizes of all existing files, by name.
        """
        present = [name for name, file in files.items() if {name, file} <= sizes.keys()]
        for start in range(0, len(present), _BATCH):
            texts = self.output.read_all(present[start : start + _BATCH])
            for name, text in texts.items():
                report = parse_report(text, sizes[files[name]], self.spec_hash)
                if report is not None:
                    yield name, report

    def shard_report(self, shard: Shard) -> ShardReport | None:
        """Returns a shard's report; None if the shard is not finished."""
        report = self._report(self.shard_report_file(shard), self.shard_file(shard))
        return report if covers(report, shard) else None

    def part_report(self, part: Part) -> ShardReport | None:
        """Returns a part's report; None if the part is not finished."""
        report = self._report(
            self.part_file(part, "json"), self.part_file(part, "array_record")
        )
        return report if covers(report, part) else None

    def _report(self, name: str, file: str) -> ShardReport | None:
        """Reads one report without listing the folder."""
        size = self.output.size(file)
        try:
            text = self.output.read(name)
        except FileNotFoundError:
            return None
        return None if size is None else parse_report(text, size, self.spec_hash)

    def parts(self, shard: Shard, scenes_per_part: int) -> Iterator[Part]:
        """Returns the shard's parts: finished ones, and new ones in the gaps."""
        done = self.part_reports(shard).values()
        return plan_parts(shard, scenes_per_part, [(a.start, a.stop) for a in done])


def covers(report: ShardReport | None, planned: Shard | Part) -> bool:
    """Returns whether a report covers exactly the planned scenes."""
    shard = planned if isinstance(planned, Shard) else planned.shard
    return report is not None and (report.split, report.start, report.stop) == (
        shard.split,
        planned.start,
        planned.stop,
    )


def report_files(names: Iterable[str]) -> dict[str, str]:
    """Returns the part reports among file names, each with its data file's name."""
    return {
        name: name.removesuffix("json") + "array_record"
        for name in names
        if name.endswith(".json") and name.count("/") == 2
    }
