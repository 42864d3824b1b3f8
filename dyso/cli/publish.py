"""`dyso publish`: a finished dataset or export, for others to download."""

from __future__ import annotations

import itertools
import tempfile
from pathlib import Path

import tyro

from dyso.cli.bar import Bar
from dyso.publishing.contents import SAMPLE, File, files_of, is_dataset, with_sample
from dyso.publishing.destinations import HUB, publish
from dyso.spec import UserError
from dyso.terminal import say, stopped


def main(
    folder: tyro.conf.Positional[Path],
    /,
    *,
    to: str,
    sample: int = 8,
    private: bool = False,
    dry_run: bool = False,
) -> int:
    """Copy a finished dataset or export to the Hugging Face Hub, a bucket or a folder.

    After a stop, run the same command to resume. Every file is compared with the local
    one: by SHA-256, and on the Hub by git's checksum where files are small. On the Hub,
    a dataset also gets a sample as Parquet, which the Hub's viewer shows, and the
    picture preview/overview.png if `dyso preview` has made it.

    Needs `pip install 'dyso[hub]'` and `hf auth login` for the Hub, 'dyso[s3]' or
    'dyso[gcs]' and their credentials for buckets.

    Args:
      folder: the folder of the dataset or export.
      to: hf://OWNER/NAME, s3://BUCKET/PREFIX, gs://BUCKET/PREFIX or a folder.
      sample: the number of scenes of the first split in the sample; 0 leaves it out.
      private: on the Hub, create a private repository.
      dry_run: print what would be published, and publish nothing.
    """
    if sample < 0:
        raise UserError(f"sample: must be at least 0, got {sample}")
    files = files_of(folder)
    try:
        with tempfile.TemporaryDirectory(prefix="dyso-publish-") as work:
            if to.startswith(HUB) and is_dataset(folder) and sample:
                files = with_sample(folder, files, sample, Path(work))
            if dry_run:
                for file in files:
                    say(f"{file.size / 1e6:12.3f} MB  {file.name}")
                say(f"{_total(files)} to {to}; nothing was published")
                return 0
            with Bar("files", waiting=f"publishing to {to}") as bar:
                count = itertools.count(1)
                bar.show(0, len(files))
                publish(files, to, lambda _: bar.show(next(count), len(files)), private)
    except KeyboardInterrupt:
        return stopped()
    say(f"{to}: {_total(files)}, all as here")
    if to.startswith(HUB):
        name = to.removeprefix(HUB).strip("/")
        say(f"https://huggingface.co/datasets/{name}")
        if any(file.name.startswith(f"{SAMPLE}/") for file in files):
            say(f'next: datasets.load_dataset("{name}", "{SAMPLE}")')
    else:
        say(f'next: dyso.reading.Dataset("{to}")' if is_dataset(folder) else to)
    return 0


def _total(files: list[File]) -> str:
    return f"{len(files)} files, {sum(file.size for file in files) / 1e6:,.1f} MB"
