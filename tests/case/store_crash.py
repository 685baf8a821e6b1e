"""Writers for the crash tests, run as programs: each confirms an event on stdout after `add` returned.

store_crash.py write STORE NAME COUNT        write COUNT events, confirm each
store_crash.py kill STORE ROUNDS SEED        fork a writer, kill -9 at a random moment, ROUNDS times
store_crash.py full STORE BYTES              write until no file may grow past BYTES
"""

from __future__ import annotations

import json
import os
import random
import resource
import select
import signal
import sys
import time

from kypho.case.followup.store import Store
from kypho.errors import DiskFullError

FORGET = 10**6
PATIENCE_S = 30


def note(text: str) -> dict[str, str]:
    return {"kind": "note", "at": "2024-01-01", "role": "nurse", "text": text}


def write(where: str, name: str, count: int, out: int) -> None:
    with Store(where) as store:
        for number in range(count):
            event, _ = store.add("crash", note(f"{name} {number}"))
            os.write(out, f"{event.id}\n".encode())


def kill(where: str, rounds: int, seed: int) -> dict[str, object]:
    dice = random.Random(seed)
    confirmed: list[str] = []
    for number in range(rounds):
        read_end, write_end = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(read_end)
            try:
                write(where, f"round {number}", FORGET, write_end)
            finally:
                os._exit(1)
        os.close(write_end)
        early = number % 4 == 0
        if not early:  # let it get to work, so that most kills hit a writer that is writing
            select.select([read_end], [], [], PATIENCE_S)
        time.sleep(dice.uniform(0.0, 0.03))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        with os.fdopen(read_end) as pipe:
            confirmed += [line.strip() for line in pipe if line.endswith("\n")]
    return {"kills": rounds, "confirmed": confirmed}


def full(where: str, limit: int) -> dict[str, object]:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    confirmed: list[str] = []
    with Store(where) as store:
        try:
            for number in range(FORGET):
                confirmed.append(store.add("crash", note(f"filling {number} " + "x" * 2000))[0].id)
        except DiskFullError as problem:
            return {"confirmed": confirmed, "message": str(problem)}
    return {"confirmed": confirmed, "message": ""}


if __name__ == "__main__":
    task, path, *rest = sys.argv[1:]
    if task == "write":
        write(path, rest[0], int(rest[1]), sys.stdout.fileno())
    elif task == "kill":
        sys.stdout.write(json.dumps(kill(path, int(rest[0]), int(rest[1]))))
    else:
        sys.stdout.write(json.dumps(full(path, int(rest[0]))))
