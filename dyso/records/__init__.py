"""Records, shards and their metadata: one scene is one `tf.train.Example`.

`FIELDS` is the one table of what a record holds; `docs/format.md`, the encoder, the
decoder and tfds's features all follow from it.
"""

from dyso.files import replacing
from dyso.records.codec import decode, encode, parse_scene, scene_of
from dyso.records.depth import DEPTH_ERROR
from dyso.records.errors import RecordError
from dyso.records.fields import BONES, FIELDS, JOINTS, Field, fields_of
from dyso.records.metadata import (
    feature_faults,
    read_json,
    read_splits,
    write_metadata,
)
from dyso.records.shards import (
    ShardInfo,
    ShardReader,
    checksum,
    read_shard,
    shard_name,
    write_shard,
)

__all__ = [
    "BONES",
    "DEPTH_ERROR",
    "FIELDS",
    "JOINTS",
    "Field",
    "RecordError",
    "ShardInfo",
    "ShardReader",
    "checksum",
    "decode",
    "encode",
    "feature_faults",
    "fields_of",
    "parse_scene",
    "read_json",
    "read_shard",
    "read_splits",
    "replacing",
    "scene_of",
    "shard_name",
    "write_metadata",
    "write_shard",
]
