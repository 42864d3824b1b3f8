"""The protobuf message `tf.train.Example`, which holds a record.

It is declared here because an import of the same message from TensorFlow or tfds takes
several times as long as all else that reads a record.
"""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pool, message_factory, text_format
from google.protobuf.descriptor_pb2 import FileDescriptorProto

# As in tensorflow/core/example/example.proto and feature.proto.
_FILE = """
name: "example.proto" package: "tensorflow" syntax: "proto3"
message_type {
  name: "BytesList"
  field { name: "value" number: 1 label: LABEL_REPEATED type: TYPE_BYTES }
}
message_type {
  name: "FloatList"
  field { name: "value" number: 1 label: LABEL_REPEATED type: TYPE_FLOAT }
}
message_type {
  name: "Int64List"
  field { name: "value" number: 1 label: LABEL_REPEATED type: TYPE_INT64 }
}
message_type {
  name: "Feature"
  oneof_decl { name: "kind" }
  field { name: "bytes_list" number: 1 type_name: "BytesList" oneof_index: 0 }
  field { name: "float_list" number: 2 type_name: "FloatList" oneof_index: 0 }
  field { name: "int64_list" number: 3 type_name: "Int64List" oneof_index: 0 }
}
message_type {
  name: "Features"
  field { name: "feature" number: 1 label: LABEL_REPEATED type_name: "FeatureEntry" }
  nested_type {
    name: "FeatureEntry"
    options { map_entry: true }
    field { name: "key" number: 1 type: TYPE_STRING }
    field { name: "value" number: 2 type_name: "Feature" }
  }
}
message_type {
  name: "Example"
  field { name: "features" number: 1 type_name: "Features" }
}
"""
# Its own pool: TensorFlow adds messages of the same names to the default one.
_POOL = descriptor_pool.DescriptorPool()
_POOL.Add(text_format.Parse(_FILE, FileDescriptorProto()))

Example: Any = message_factory.GetMessageClass(
    _POOL.FindMessageTypeByName("tensorflow.Example")
)
