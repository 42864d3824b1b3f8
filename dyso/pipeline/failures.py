"""Counts the failed scenes of a job, and stops it at the spec's `max_failed`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from dyso.pipeline.output_layout import OutputLayout
from dyso.pipeline.shard_report import ShardReport, say_failures
from dyso.spec import ResolvedSpec, UserError


@dataclass(frozen=True, kw_only=True)
class FailedScenes:
    """The failed scenes of one part or shard.

    Attributes:
      report: the file name of the report.
      split: the split.
      reasons: the number of failed scenes by reason.
      first: the message of the first failure, or empty.
    """

    report: str
    split: str
    reasons: Counter[str]
    first: str

    @classmethod
    def of(cls, name: str, report: ShardReport) -> FailedScenes:
        """Returns the failed scenes of a report."""
        return cls(
            report=name,
            split=report.split,
            reasons=report.reasons,
            first=next((each.message for each in report.failures), ""),
        )


def check_failures(
    failed: Iterable[FailedScenes], resolved: ResolvedSpec, layout: OutputLayout
) -> None:
    """Stops the job if too many scenes have failed.

    Args:
      failed: the failed scenes of the finished parts and shards.
      resolved: the dataset.
      layout: the output folder.

    Raises:
      UserError: in one split, all scenes failed or more than the spec allows. The
        reports of the affected parts and shards are removed, so that the next run
        remakes these, since the cause may be fixed by then.
    """
    failed = list(failed)
    for split, planned in resolved.spec.splits.items():
        of_split = [each for each in failed if each.split == split and each.reasons]
        reasons = sum((each.reasons for each in of_split), Counter[str]())
        limit = min(resolved.spec.max_failed * planned, planned - 1)
        if reasons.total() > limit:
            for each in of_split:
                layout.output.remove(each.report)
            raise UserError(
                f"{layout.output}: of {planned} scenes of split {split!r}, "
                f"{say_failures(reasons)} failed, more than the spec allows "
                f"(max_failed: {resolved.spec.max_failed:g}), the first with: "
                f"{of_split[0].first}; fix this, then run the same command to remake "
                "them"
            )
