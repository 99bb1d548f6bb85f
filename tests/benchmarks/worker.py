"""A peer in a process of its own, told what to do by lines of JSON on its standard input."""

from __future__ import annotations

import gc
import importlib
import json
import sys
import time
from typing import Any

from peers.tasks import Job, Problem


class Worker:
    """The jobs of one peer; each method answers a kind of request."""

    def __init__(self, peer: str) -> None:
        self.peer = importlib.import_module(f"peers.{peer}")
        self.jobs: dict[str, Job] = {}

    def make(self, name: str, task: str, problem: dict[str, Any]) -> dict[str, Any]:
        """Prepare a job and run it once."""
        start = time.perf_counter()
        job = self.jobs[name] = getattr(self.peer, task)(Problem(**problem))
        found = job.run()
        ready = time.perf_counter() - start
        return {"ready": ready, "numbers": list(job.numbers(found)), "note": job.note, "figures": job.figures}

    def run(self, name: str, times: int) -> dict[str, float]:
        """Seconds of so many runs, by the clock and of the processors."""
        run = self.jobs[name].run
        gc.collect()
        clock, processors = time.perf_counter(), time.process_time()
        for _ in range(times):
            run()
        return {"seconds": time.perf_counter() - clock, "processors": time.process_time() - processors}

    def measure(self, name: str, **arguments: Any) -> Any:
        """What the peer measures itself."""
        return getattr(self.peer, name)(**arguments)


def main() -> None:
    """Answer until the input ends."""
    replies, sys.stdout = sys.stdout, sys.stderr  # a peer that prints must not disturb

    def reply(answer: Any) -> None:
        print(json.dumps(answer), file=replies, flush=True)

    try:
        worker = Worker(sys.argv[1])
    except (ImportError, FileNotFoundError) as error:
        reply({"missing": str(error)})
        return
    reply({"version": worker.peer.VERSION})
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = getattr(worker, request.pop("do"))(**request)
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}".removesuffix(": ")}
        reply(answer)


if __name__ == "__main__":
    main()
