"""Looks for what breaks: Hypothesis draws events and texts, atheris goes where code has not been yet.

    python -m tests.fuzzing.run 60            # minutes, half for each; this is `make fuzz`
    python -m tests.fuzzing.run expression 60 # one target of atheris, seconds

What crashes a target is kept in tests/data/crashes, where test_fuzzing.py runs it for ever after.  Hypothesis
prints what happened as a program, to be made a test, and tries it again first until it is mended.
"""

import hashlib
import os
import random
import subprocess
import sys
import time
import traceback
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tests.fuzzing.targets import TARGETS

ROOT = Path(__file__).parents[2]
CRASHES = ROOT / "tests" / "data" / "crashes"
#: In CI the same numbers are drawn every time, as far as time allows.
SEED = 1 if os.environ.get("CI") else random.randrange(1, 2**31)
TESTS = ["tests/test_stateful_graph.py", "tests/test_stateful_training.py", "tests/test_fuzzing.py"]


def main(minutes: float) -> int:
    """Everything, for about so long; the exit code says whether something broke."""
    start, failed = time.monotonic(), []
    for name in TARGETS if find_spec("atheris") else ():  # which is there for Linux only
        seconds = str(max(1, round(30 * minutes / len(TARGETS))))
        done = subprocess.run([sys.executable, "-m", "tests.fuzzing.run", name, seconds], cwd=ROOT, check=False)
        failed += [name] * bool(done.returncode)
    run = 0
    while not run or time.monotonic() - start < 60 * minutes:
        drawn = [f"--hypothesis-seed={SEED + run}", "--hypothesis-profile=fuzz"]
        done = subprocess.run([sys.executable, "-m", "pytest", "-q", *drawn, *TESTS], cwd=ROOT, check=False)
        run += 1
        if done.returncode:
            failed.append("hypothesis")
            break
    print(f"broken: {', '.join(failed)}; see {CRASHES}" if failed else "nothing broke")
    return bool(failed)


def guided(name: str, seconds: int) -> None:
    """One target under atheris, which ends the process."""
    import atheris

    with atheris.instrument_imports(include=["autograd", "nn", "viz", "json", "csv", "argparse"]):
        for module in [m for m in sys.modules if m.split(".")[0] in ("autograd", "nn", "viz", "tests")]:
            del sys.modules[module]
        from tests.fuzzing import seeds, targets
    corpus, crashes = ROOT / "out" / "fuzzing" / name, CRASHES / name
    for folder in (corpus, crashes):
        folder.mkdir(parents=True, exist_ok=True)
    for i, seed in enumerate(seeds.SEEDS[name]()):
        (corpus / f"seed{i}").write_bytes(seed)
    words = corpus.with_suffix(".words")
    escaped = ["".join(map("\\x{:02x}".format, word.encode())) for word in seeds.WORDS[name]]
    words.write_text("".join(f'"{word}"\n' for word in escaped))

    def kept(data: bytes) -> None:
        try:
            targets.TARGETS[name](data)
        except BaseException:
            path = crashes / hashlib.sha1(data).hexdigest()[:12]
            path.write_bytes(data)
            traceback.print_exc()
            print(f"{name} breaks on {path}", flush=True)
            os._exit(1)

    options: dict[str, Any] = {"max_total_time": seconds, "timeout": 10, "rss_limit_mb": 4096, "max_len": 4096}
    options |= {"seed": SEED, "artifact_prefix": f"{crashes}/", "dict": words, "print_final_stats": 1}
    mutate = {"custom_mutator": seeds.mutated_json} if name in ("network", "checkpoint") else {}
    arguments = [f"-{option}={x}" for option, x in options.items()]
    atheris.Setup([sys.argv[0], *arguments, str(corpus)], kept, **mutate)
    atheris.Fuzz()


if __name__ == "__main__":
    if sys.argv[1] in TARGETS:
        guided(sys.argv[1], int(sys.argv[2]))
    else:
        sys.exit(main(float(sys.argv[1])))
