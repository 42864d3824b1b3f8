"""A process that goes wrong as a worker may.

Run as `python faulty_worker.py KIND [FILE TIMES] ...`. It answers requests as a worker
does, with made-up views, except for scenes 1 of a split: the KIND says what it does
with those. Kinds that begin with `start-` go wrong at once. With a FILE, in which it
counts, that happens so many TIMES in all and then no more.
"""

import json
import os
import signal
import sys
import time

ANSWER = {"ok": True, "timings": {}, "versions": {}}


def say(answer):
    line = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
    sys.stdout.buffer.write(line + b"\n")
    sys.stdout.flush()


def render(request):
    import numpy as np

    from dyso.records.synthetic import synthetic_views
    from dyso.sampling.scene import Scene

    scene = Scene.from_json(json.dumps(request["scene"]))
    arrays = synthetic_views(scene).arrays()
    np.savez(request["output"], **arrays)
    return arrays


def crash(request):
    print("the last words", file=sys.stderr, flush=True)
    os.abort()


def wrong_shape(request):
    import numpy as np

    arrays = render(request)
    arrays["depth"] = arrays["depth"][:, :1]
    np.savez(request["output"], **arrays)
    say(ANSWER)


def absent_array(request):
    import numpy as np

    arrays = render(request)
    del arrays["sizes"]
    np.savez(request["output"], **arrays)
    say(ANSWER)


def objects_in_array(request):
    import numpy as np

    arrays = render(request)
    arrays["sizes"] = np.array([{}], object)
    np.savez(request["output"], **arrays)
    say(ANSWER)


def truncated(request):
    render(request)
    os.truncate(request["output"], 1000)
    say(ANSWER)


def no_archive(request):
    with open(request["output"], "wb") as file:
        file.write(b"\x93NUMPY" + os.urandom(1000))
    say(ANSWER)


def closes_its_output(request):
    os.close(1)
    time.sleep(60)


def endless_line(request):
    while True:
        sys.stdout.buffer.write(b"x" * 65536)


def endless_lines(request):
    while True:
        say(ANSWER)


def endless_words(request):
    while True:
        sys.stderr.buffer.write(b"x" * 65536)


def endless_views(request):
    while True:
        say({"views": 1})
        time.sleep(0.01)


def busy(request):
    while True:
        pass


def signalled(number):
    return lambda request: os.kill(os.getpid(), number)


def refuses(reason, message):
    return lambda request: say(
        {"ok": False, "reason": reason, "message": message, "asset": ""}
    )


def memory(request):
    held = []
    while True:
        held.append(b"x" * 10_000_000)
        time.sleep(0.01)


KINDS = {
    "crash": crash,
    "junk": lambda request: say(b"\x00\xff junk"),
    "a list": lambda request: say([1]),
    "deep": lambda request: say(b"[" * 90_000),
    "no timings": lambda request: say({"ok": True}),
    "odd timings": lambda request: say({**ANSWER, "timings": {"cpu": "much"}}),
    "no reason": lambda request: say({"ok": False}),
    "no views": lambda request: say(ANSWER),
    "wrong shape": wrong_shape,
    "absent array": absent_array,
    "objects in array": objects_in_array,
    "truncated": truncated,
    "no archive": no_archive,
    "closes its output": closes_its_output,
    "endless line": endless_line,
    "endless lines": endless_lines,
    "endless words": endless_words,
    "endless views": endless_views,
    "odd views": lambda request: say({"views": float("inf")}),
    "silent": lambda request: time.sleep(60),
    "memory": memory,
    "killed": signalled(signal.SIGKILL),
    "terminated": signalled(signal.SIGTERM),
    "full memory file": signalled(signal.SIGBUS),
    "refuses oddly": refuses("whim", "no"),
}
# Left out of the test of what is no answer, where they are none, or take their time.
MORE_KINDS = {
    "busy": busy,
    "error": refuses("error", "ValueError: it is odd"),
    "full disk": refuses("machine", "/dev/shm/w: No space left on device"),
}


def more(counter, times):
    """Returns whether the fault shall happen once more, and counts it."""
    if counter.startswith("--"):
        return True
    with open(counter, "a") as file:
        file.write("x")
        return file.tell() <= int(times)


def main():
    kind, counter, times = sys.argv[1:4]
    if kind == "start-deaf":
        say({"ok": True, "timings": {"start": 0.0}})
        time.sleep(60)
    if kind == "start-junk":
        say(b"Blender 4.5 (hash something)")
        time.sleep(60)
    say({"ok": True, "timings": {"start": 0.0}})
    for line in sys.stdin:
        request = json.loads(line)
        if request["scene"]["index"] == 1 and more(counter, times):
            (KINDS | MORE_KINDS)[kind](request)
        else:
            render(request)
            for views in range(100):
                say({"views": views})
            say(ANSWER)


if __name__ == "__main__":
    main()
