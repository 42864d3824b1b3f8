"""Text to 4D: whether scenes show their texts, how they move, and whether views agree.

    dyso generate specs/captioned_videos.yaml --out data/captioned_videos
    dyso train video-prior-tiny --data data/captioned_videos --workdir runs/prior
    python benchmarks/text_to_4d.py data/captioned_videos runs/prior scenes
    python benchmarks/text_to_4d.py data/captioned_videos runs/prior scenes --table
    python benchmarks/text_to_4d.py data/captioned_videos runs/prior scenes \\
        --picture scenes.webp

Fits `VARIANTS`, or those that `--variants` names, to each of 12 prompts: the most
frequent captions of the categories in different colours, without directions, which
depend on the camera. `--prompts` reads others from a file, one per line. A fit that is
finished is not done again. Other arguments are passed on to the fits. The variant
`super-resolution` needs `--super-resolution`, a prior that enlarges videos.

`--table` measures what is finished, prints a table and writes scenes/scores.json. See
`dyso.train.prior.attributes` and `dyso.fit.distillation.measures` for the figures; the
floors and ceilings are

- `real`: the dataset's validation videos; each caption among itself and the prompts;
- `prior`: four samples of the prior for each prompt;
- `untrained`: the field before the first iteration.

`--neighbours` names a dataset whose cameras 0 and 1 are neighbours, for the agreement
of true depths, and `--large` one of videos of twice the resolution, for true detail.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import json
import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from fits import fit

from dyso.errors import UserError
from dyso.fit.distillation import measures, optimization, run
from dyso.fit.distillation.rendering import views
from dyso.reading import COLORS, Dataset
from dyso.train import checkpoints, labels
from dyso.train.prior.attributes import Classifier, attributes_of, train_classifier
from dyso.train.prior.config import Config
from dyso.train.prior.data import Videos
from dyso.train.prior.run import init_state, sampled

SUPER = "super-resolution"
VARIANTS = {
    "whole": "",
    "static": "--dynamic 0",
    "still-cameras": "--cameras.turn 0 --cameras.rise 0",
    "no-bias": "--bias.strength 0",
    "no-smooth": "--smooth 0",
    "no-opacity": "--opacity 0",
    "product": "--fusion product",
    "seed-1": "--seed 1",
    SUPER: "--super-steps 50",
}
ROWS = {
    "real": "real renders",
    "prior": "the prior's samples",
    "whole": "text to 4D",
    "seed-1": "the same, another seed",
    "static": "static stage only",
    "still-cameras": "without dynamic cameras",
    "no-bias": "without density bias",
    "no-smooth": "without total variation",
    "no-opacity": "without entropy of opacities",
    "product": "products of planes",
    SUPER: "with super-resolution",
    "untrained": "untrained field",
    "chance": "chance",
}
SCORES = {
    "retrieval": "retrieval",
    "category": "category",
    "color": "colour",
    "change": "change per frame",
    "displacement": "displacement, radii",
    "agreement": "depth agreement",
    "opaque": "opaque pixels",
    "detail": "detail",
}
DIGITS = {"detail": 4}
PROMPTS = 12
SAMPLES = 4
"""Of the prior, for each prompt."""
_RELATIVE = re.compile(r"\b(left|right|camera|and)\b")


def prompts_of(captions: list[str], categories: tuple[str, ...]) -> list[str]:
    """Returns frequent captions, the categories in turn, of as many colours as may be.

    No two name the same category and colour.
    """
    texts: dict[tuple[int, int], str] = {}
    for text, _ in Counter(captions).most_common():
        if not _RELATIVE.search(text):
            texts.setdefault(attributes_of(text, categories), text)
    chosen: list[str] = []
    used: Counter[int] = Counter()
    while texts and len(chosen) < PROMPTS:
        for category in range(len(categories)):
            named = min(
                (each for each in texts if each[0] == category),
                key=lambda each: used[each[1]],
                default=None,
            )
            if named and len(chosen) < PROMPTS:
                used[named[1]] += 1
                chosen.append(texts.pop(named))
    return chosen


def folder_of(out: Path, variant: str, text: str) -> Path:
    return out / variant / re.sub(r"\W+", "-", text)


def fit_all(
    prior: Path, out: Path, prompts: list[str], variants: dict[str, str]
) -> None:
    """Fits variants, one after another.

    Args:
      prior: a run.
      out: folder of the variants.
      prompts: of each variant.
      variants: options of each one's fits, by its name.

    Raises:
      SystemExit: a fit failed, and has printed why.
    """
    for variant, settings in variants.items():
        for text in prompts:
            folder = folder_of(out, variant, text)
            options = [text, "--prior", str(prior), "--out", str(folder)]
            fit("text-to-4d-tiny", *options, *settings.split())


def finished(out: Path, variant: str, prompts: list[str]) -> Iterator[tuple[int, Any]]:
    """Yields the number of each prompt whose fit is finished, and the scene."""
    for number, text in enumerate(prompts):
        try:
            yield number, run.load(folder_of(out, variant, text))[1:]
        except UserError as error:
            print(error, file=sys.stderr)


class Bench:
    """What all rows of the table need."""

    def __init__(self, data: Path, prior: Path, out: Path, prompts: Path | None):
        self.dataset, self.out, self.prior = Dataset(data), out, prior
        self.settings = checkpoints.load_config(prior, Config)
        self.frames = self.settings.model.frames
        resolved = self.dataset.resolved
        self.categories = (
            tuple(resolved.spec.objects.categories) or resolved.objects.categories()
        )
        self.videos = self.read("train")
        captions = [texts[0] for texts in self.videos.captions]
        self.prompts = (
            prompts.read_text().splitlines()
            if prompts
            else prompts_of(captions, self.categories)
        )

    def variants(self) -> list[str]:
        """Returns those that were fitted, in the order of the table."""
        return [row for row in ROWS if (self.out / row).is_dir()]

    def read(self, split: str) -> Videos:
        """Returns a split's videos, in the prior's resolution."""
        resolved = self.dataset.resolved
        return Videos.read(self.dataset[split], resolved.objects, self.settings.model)

    def choices(self, text: str) -> list[str]:
        """Returns a text, and the prompts of other categories or colours, 12 in all."""
        own = attributes_of(text, self.categories)
        others = [
            each for each in self.prompts if attributes_of(each, self.categories) != own
        ]
        return [text, *others[: len(self.prompts) - 1]]

    def large(self, data: Path) -> list[dict[str, float]]:
        """Measures validation videos of twice the resolution."""
        dataset = Dataset(data)
        size = tuple(2 * side for side in self.settings.model.resolution)
        model = dataclasses.replace(self.settings.model, resolution=size)
        films = Videos.read(dataset["validation"], dataset.resolved.objects, model)
        return [{"detail": measures.detail(each[:1] / 255)} for each in films.frames]

    def real(self, classifier: Classifier) -> list[dict[str, float]]:
        """Measures the validation videos."""
        videos = self.read("validation")
        last = videos.frames.shape[1] - 1
        chosen = np.linspace(0, last, self.frames).round().astype(int)
        return [
            classifier.retrieved(film, self.choices(texts[0]))
            | {"change": measures.change(film)}
            for film, texts in zip(
                videos.frames[:, chosen] / 255, videos.captions, strict=True
            )
        ]

    @functools.cached_property
    def params(self) -> Any:
        """Those of the prior."""
        return checkpoints.load_params(
            self.prior, self.settings, lambda line: None, init=init_state
        )[1]

    def samples(self, seed: int = 0) -> np.ndarray:
        """Returns the prior's videos of the prompts."""
        # As long as the videos, as far as the prior knows such rates.
        most = (self.videos.frames.shape[1] - 1) // (self.frames - 1)
        stride = min(self.settings.training.strides, most)
        rates = np.full(len(self.prompts), self.videos.rate / stride, np.float32)
        return sampled(self.params, self.settings, self.prompts, rates, seed)

    def scene(self, classifier: Classifier, number: int, *scene: Any) -> dict:
        """Measures a scene: settings, state, iterations."""
        config, state, count = scene
        size = self.settings.model.resolution
        films, values = measures.measure(state, config, count, size, self.frames)
        frames = films.reshape(-1, *films.shape[2:])
        texts = self.choices(self.prompts[number])
        return classifier.retrieved(frames, texts) | values

    def table(
        self, neighbours: Path | None, large: Path | None
    ) -> dict[str, list[dict[str, float]]]:
        """Returns the figures of all rows, of each prompt or video."""
        classifier = train_classifier(self.videos, self.categories)
        rows = {"real": self.real(classifier)}
        if neighbours:
            rows["real"] += real_agreement(Dataset(neighbours))
        if large:
            rows["real"] += self.large(large)
        rows["prior"] = [
            classifier.retrieved(film, self.choices(text))
            | {"change": measures.change(film)}
            for seed in range(SAMPLES)
            for film, text in zip(self.samples(seed), self.prompts, strict=True)
        ]
        for variant in self.variants():
            rows[variant] = [
                self.scene(classifier, number, config, state, config.iterations)
                for number, (config, state) in finished(self.out, variant, self.prompts)
            ]
        whole = next(finished(self.out, "whole", self.prompts), None)
        if whole:
            config = whole[1][0]
            rows["untrained"] = [
                self.scene(classifier, number, config, optimization.start(config), 0)
                for number in range(len(self.prompts))
            ]
        rows["chance"] = [
            {
                "retrieval": 1 / len(self.prompts),
                "category": 1 / len(self.categories),
                "color": 1 / len(COLORS),
            }
        ]
        return rows


def real_agreement(data: Dataset) -> list[dict[str, float]]:
    """Measures the objects' true depth, from camera 0 to camera 1 of each scene."""
    split = data[next(iter(data.splits))]
    cameras = split.spec.layout.shape[1]
    found = []
    for index in range(len(split)):
        fields = ("depth", "instance", "intrinsics", "extrinsics")
        record = split.read(index, fields=fields)
        agrees = [
            measures.depth_agreement(
                record["depth"][view : view + 2, ..., 0],
                record["instance"][view, ..., 0] > 0,
                record["intrinsics"][view],
                record["extrinsics"][view : view + 2],
            )
            for view in range(0, len(record["depth"]), cameras)
        ]
        found.append({"agreement": float(np.concatenate(agrees).mean())})
    return found


def averages(rows: dict[str, list[dict[str, float]]]) -> dict[str, dict[str, float]]:
    """Returns each row's mean figures; those that are missing or NaN do not count."""
    found = {}
    for row, each in rows.items():
        values = {
            key: [one[key] for one in each if not np.isnan(one.get(key, np.nan))]
            for key in SCORES
        }
        found[row] = {key: float(np.mean(v)) for key, v in values.items() if v}
    return found


def show(rows: dict[str, list[dict[str, float]]]) -> None:
    """Prints a table in Markdown."""
    print("| | n |", " | ".join(SCORES.values()), "|")
    print("|---|---:|" + "---:|" * len(SCORES))
    for row, values in averages(rows).items():
        count = sum("change" in each for each in rows[row])
        numbers = (
            f"{values[key]:.{DIGITS.get(key, 3)}f}" if key in values else ""
            for key in SCORES
        )
        print(f"| {ROWS[row]} | {count or ''} |", " | ".join(numbers), "|")


def picture(bench: Bench, variants: list[str], file: Path) -> None:
    """Draws a film: for each prompt, a sample, and variants from one side."""
    size = bench.settings.model.resolution
    films = {"prior": list(bench.samples())}
    blank = np.zeros((bench.frames, *size, 3))
    for variant in [row for row in bench.variants() if row in variants]:
        films[variant] = [blank] * len(bench.prompts)
        for number, (config, state) in finished(bench.out, variant, bench.prompts):
            times = np.linspace(-1, 1, bench.frames)
            seen = views(state, config, config.iterations, 0 * times, times, size)[1]
            films[variant][number] = np.asarray(seen.color)
    images = [
        labels.table(
            np.rint(255 * np.stack(list(films.values()), axis=1)[:, :, frame]).astype(
                np.uint8
            ),
            [ROWS[row] for row in films],
            bench.prompts,
        )
        for frame in range(bench.frames)
    ]
    images[0].save(file, save_all=True, append_images=images[1:], duration=125, loop=0)


def main() -> None:
    """Fits, or measures and shows."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("prior", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument(
        "--variants",
        nargs="+",
        default=[],
        choices=[*VARIANTS],
        help="to fit, or to draw; all unless given",
    )
    parser.add_argument("--prompts", type=Path, help="a file with a prompt per line")
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--neighbours", type=Path, help="a dataset, for --table")
    parser.add_argument(
        "--large", type=Path, help="a dataset of twice the resolution, for --table"
    )
    parser.add_argument(
        "--super-resolution", type=Path, help="a prior, for the variant of this name"
    )
    parser.add_argument("--picture", type=Path, help="a film, .webp")
    arguments, extra = parser.parse_known_args()
    variants = {
        name: " ".join([options, *extra])
        for name, options in VARIANTS.items()
        if name in (arguments.variants or VARIANTS)
    }
    if arguments.super_resolution and SUPER in variants:
        variants[SUPER] += f" --super-resolution {arguments.super_resolution}"
    elif not arguments.variants:
        del variants[SUPER]
    bench = Bench(arguments.data, arguments.prior, arguments.out, arguments.prompts)
    if arguments.picture:
        picture(bench, [*variants], arguments.picture)
    elif arguments.table:
        rows = bench.table(arguments.neighbours, arguments.large)
        show(rows)
        found = {"prompts": bench.prompts, "means": averages(rows), "rows": rows}
        scores = json.dumps(found, indent=1)
        (arguments.out / "scores.json").write_text(f"{scores}\n")
    else:
        fit_all(arguments.prior, arguments.out, bench.prompts, variants)


if __name__ == "__main__":
    main()
