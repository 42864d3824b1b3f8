"""A server that answers what `huggingface_hub` asks for when it uploads a dataset."""

import base64
import collections
import contextlib
import hashlib
import json
import threading
import urllib.parse
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

LFS_SIZE = 10_000
"""Larger files go to large-file storage, as on the Hub for binary files."""


class Hub(ThreadingHTTPServer):
    """One dataset repository in memory.

    Attributes:
      files: the content of each file, as of the last commit.
      objects: large files by SHA-256.
      uploads: how often each object was uploaded.
      commits: the names of the files of each commit.
      fail_commit: the number of the commit that is answered with an error; 0: none.
      token: what is accepted; other requests are refused.
      corrupt: reports other checksums for this file.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[str, bytes] = {}
        self.objects: dict[str, bytes] = {}
        self.uploads: collections.Counter[str] = collections.Counter()
        self.commits: list[list[str]] = []
        self.fail_commit = 0
        self.token = "secret"
        self.corrupt = ""
        self.url = f"http://127.0.0.1:{self.server_port}"


@contextlib.contextmanager
def hub() -> Iterator[Hub]:
    """Starts the server."""
    server = Hub()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: Hub

    def log_message(self, *_: object) -> None:
        pass

    def do_POST(self) -> None:
        data = self.rfile.read(int(self.headers["Content-Length"] or 0))
        path = urllib.parse.urlsplit(self.path).path
        if self.headers["Authorization"] != f"Bearer {self.server.token}":
            return self._answer({"error": "Invalid credentials"}, 401)
        if path.endswith("/commit/main"):
            return self._commit(data)
        if path.endswith("/paths-info/main"):
            paths = urllib.parse.parse_qs(data.decode())["paths"]
            known = [name for name in paths if name in self.server.files]
            return self._answer([self._info(name) for name in known])
        asked = json.loads(data)
        if path == "/api/validate-yaml":
            assert asked["repoType"] == "dataset" and "---" in asked["content"]
            return self._answer({"warnings": [], "errors": []})
        if path == "/api/repos/create":
            name = f"{asked['organization']}/{asked['name']}"
            return self._answer({"url": f"{self.server.url}/datasets/{name}"})
        if path.endswith("/preupload/main"):
            return self._answer(
                {
                    "files": [
                        {
                            "path": file["path"],
                            "uploadMode": "lfs"
                            if file["size"] > LFS_SIZE
                            else "regular",
                            "shouldIgnore": False,
                        }
                        for file in asked["files"]
                    ]
                }
            )
        assert path.endswith(".git/info/lfs/objects/batch"), path
        return self._answer(
            {"objects": [self._action(each) for each in asked["objects"]]}
        )

    def do_PUT(self) -> None:
        data = self.rfile.read(int(self.headers["Content-Length"]))
        oid = self.path.rpartition("/")[2]
        assert hashlib.sha256(data).hexdigest() == oid
        self.server.objects[oid] = data
        self.server.uploads[oid] += 1
        self._answer({})

    def _action(self, each: dict) -> dict:
        action = {"oid": each["oid"], "size": each["size"]}
        if each["oid"] not in self.server.objects:
            href = f"{self.server.url}/objects/{each['oid']}"
            action["actions"] = {"upload": {"href": href}}
        return action

    def _commit(self, data: bytes) -> None:
        if len(self.server.commits) + 1 == self.server.fail_commit:
            self.server.fail_commit = 0
            return self._answer({"error": "not now"}, 400)
        lines = [json.loads(line) for line in data.splitlines()]
        names = []
        for line in lines:
            value = line["value"]
            if line["key"] == "lfsFile":
                self.server.files[value["path"]] = self.server.objects[value["oid"]]
            elif line["key"] == "file":
                self.server.files[value["path"]] = base64.b64decode(value["content"])
            else:
                continue
            names.append(value["path"])
        self.server.commits.append(names)
        page = f"{self.server.url}/datasets/team/scenes/commit/0"
        commit = {"commitUrl": page, "commitOid": "0" * 40}
        return self._answer(commit)

    def _info(self, name: str) -> dict:
        data = self.server.files[name]
        header = b"blob %d\0" % len(data)
        oid = hashlib.sha1(header + data).hexdigest()
        info = {"type": "file", "path": name, "size": len(data), "oid": oid}
        digest = hashlib.sha256(data).hexdigest()
        if name == self.server.corrupt:
            digest = info["oid"] = "0" * 64
        if len(data) > LFS_SIZE:
            info["lfs"] = {"oid": digest, "size": len(data), "pointerSize": 100}
        return info

    def _answer(self, value: object, status: int = 200) -> None:
        data = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
