"""What GitHub checks is what `make` checks."""

import re

import yaml

from helpers.manual import ROOT


def test_the_workflow_calls_targets_of_the_makefile():
    [path] = (ROOT / ".github" / "workflows").glob("*.yml")
    jobs = yaml.safe_load(path.read_text())["jobs"]
    scripts = [step.get("run", "") for job in jobs.values() for step in job["steps"]]
    called = set(re.findall(r"^make (\w+)$", "\n".join(scripts), re.MULTILINE))
    made = re.findall(r"^(\w+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert called == {"lint", "test", "docs"} and called <= set(made)
