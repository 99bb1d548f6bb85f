"""Every public feature on graphs of a million nodes, and memory over a million passes: ``make load``.

Each feature runs in a process of its own, which is told how much memory and time it may take. It either gives
the right answer, or refuses: an error that names the size or the cure.
"""

import copy
import gc
import math
import multiprocessing
import pickle
import random
import resource
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import autograd
import nn
import viz
from autograd import Graph, Value, fsum, logsumexp, prod, sumprod
from autograd.graph import BackwardStep
from nn.data import moons

SIZE, SECONDS, BYTES = 1_000_000, 300, 8 << 30
REFUSALS = (ValueError, TypeError, ArithmeticError, MemoryError)


class Case(NamedTuple):
    """A graph, and what is known about it."""

    y: Value
    x: Value
    value: float
    slope: float
    f: Callable[[Any], Any]


def chain(n: int) -> Case:
    """x + x + x + …, as deep as it is large."""

    def f(x: Any) -> Any:
        y = x
        for _ in range(n - 1):
            y = y + x
        return y

    x = Value(0.5)
    return Case(f(x), x, 0.5 * n, float(n), f)


def wide(n: int) -> Case:
    """One sum of n leaves."""
    leaves = [Value(0.5) for _ in range(n)]
    return Case(fsum(leaves), leaves[0], 0.5 * n, 1.0, lambda x: fsum([x] * n) / n)


def dag(n: int) -> Case:
    """Each node is half of one that was there before, less another; the slope by the chain rule, forward."""

    def f(x: Any) -> Any:
        rng = random.Random(0)
        nodes = [x]
        for _ in range(n):
            nodes.append(sumprod([nodes[-rng.randint(1, min(9, len(nodes)))], rng.choice(nodes)], [0.5, -0.4]))
        return nodes[-1]

    rng, held = random.Random(0), [(0.5, 1.0)]
    for _ in range(n):
        (u, du), (v, dv) = held[-rng.randint(1, min(9, len(held)))], rng.choice(held)
        held.append((0.5 * u - 0.4 * v, 0.5 * du - 0.4 * dv))
    x = Value(0.5)
    return Case(f(x), x, *held[-1], f)


CASES: dict[str, Callable[[int], Case]] = {"chain": chain, "wide": wide, "dag": dag}


def near(x: Any, y: Any) -> bool:
    """Whether it is the right number, or numbers."""
    if isinstance(y, (list, tuple)):
        return len(x) == len(y) and all(map(near, x, y))
    return math.isclose(x, y, rel_tol=1e-9, abs_tol=1e-300)


def passes(case: Case) -> bool:
    """Backward, twice, and cleared."""
    case.y.backward()
    case.y.backward()
    found = case.x.grad
    case.y.zero_grad()
    return near(found, 2.0 * case.slope) and not case.x.has_grad


def graphs(case: Case) -> bool:
    """What a Graph tells, and both passes."""
    graph = Graph(case.y)
    graph.forward({case.x: 0.5})
    graph.backward()
    texts = repr(graph), graph.name(case.y), str(graph.first_nonfinite())
    return near(case.y.data, case.value) and near(case.x.grad, case.slope) and len(graph.edges) > 0 and all(texts)


def steps(case: Case) -> bool:
    """All events, of which the last ones' totals are the gradient."""
    totals = {step.parent: step.total for step in Graph(case.y).steps() if isinstance(step, BackwardStep)}
    return near(totals[case.x], case.slope)


def paths(case: Case) -> bool:
    """Their number, the first of them, and what recursion would do."""
    graph = Graph(case.y)
    first = next(graph.paths(case.y, case.x))
    return graph.path_count(case.y, case.x) > 0 and len(first.nodes) > 1 and graph.naive_backward_visits().total > 0


def copies(case: Case) -> bool:
    """Shallow, deep and pickled ones; dropped again."""
    for again in (copy.copy(case.y), copy.deepcopy(case.y), pickle.loads(pickle.dumps(case.y))):
        again.backward()
        if not near(again.data, case.value):
            return False
    return True


def compiled(backend: Any) -> Callable[[Case], bool]:
    """A program of it, run for one example and for two."""

    def run(case: Case) -> bool:
        program = Graph(case.y).compile([case.x], [case.x], backend=backend)
        value, (slope,) = program(0.5)
        _, (twice,) = program.batch([[0.5], [0.5]])
        pickle.loads(pickle.dumps(program))
        program.source()
        return near([value, slope, twice], [case.value, case.slope, 2.0 * case.slope])

    return run


def functions(name: str, *args: Any) -> Callable[[Case], bool]:
    """A function of functions: those of one number give the slope."""

    def run(case: Case) -> bool:
        slope = 1.0 if isinstance(case.y.op, autograd.Operation) and case.y.op.name == "fsum" else case.slope
        call = getattr(autograd, name)
        f, of_list = case.f, lambda v: case.f(v[0])
        if name in ("grad", "derivative", "value_and_grad"):
            return near(flat(call(f, *args)(0.5))[-1], slope)
        if name in ("jacobian", "hessian"):
            return near(flat(call(of_list)([0.5])), [slope if name == "jacobian" else 0.0])
        if name == "jvp":
            return near(call(f, (0.5,), (2.0,))[1], 2.0 * slope)
        if name == "vjp":
            return near(call(f, 0.5)[1](2.0)[0], 2.0 * slope)
        if name == "hvp":
            return near(flat(call(of_list, ([0.5],), ([1.0],))), [0.0])
        if name == "gradcheck":
            return bool(call(f, [0.5], atol=1e-3, rtol=1e-3))
        fast = call(f)
        return near([fast(0.5), fast.value_and_grad(0.5)[1], *fast.batch(array([0.5]))], [f(0.5), slope, f(0.5)])

    return run


def flat(tree: Any) -> list[float]:
    """The numbers of a tree."""
    return [x for branch in tree for x in flat(branch)] if isinstance(tree, (list, tuple)) else [float(tree)]


def array(numbers: list[float]) -> Any:
    """Of NumPy."""
    import numpy as np

    return np.array(numbers)


def derivatives(case: Case) -> bool:
    """``gradient``, and that of the gradient."""
    (slope,) = autograd.gradient(case.y, [case.x])
    (second,) = autograd.gradient(slope, [case.x])
    return near([slope.data, second.data], [case.slope, 0.0])


def symbols(case: Case) -> bool:
    """A formula with as many operations."""
    text = case.f(autograd.Symbol("x"))
    return len(str(text)) > 0 and len(text.latex) > 0


def shown(view: Callable[[Value, Path], Any]) -> Callable[[Case], bool]:
    """A view of the graph, after a backward pass."""

    def run(case: Case) -> bool:
        case.y.backward()
        with tempfile.TemporaryDirectory() as folder:
            return bool(view(case.y, Path(folder)))

    return run


OF_GRAPHS: dict[str, Callable[[Case], bool]] = {
    "repr, str, format": lambda case: all([repr(case.y), str(case.y), f"{case.y:.3f}"]),
    "backward, zero_grad": passes,
    "Graph: forward, backward, repr, first_nonfinite": graphs,
    "Graph.steps": steps,
    "Graph: path_count, paths, naive_backward_visits": paths,
    "copy, deepcopy, pickle": copies,
    "compile: source": compiled("source"),
    "compile: llvm": compiled("llvm"),
    "gradient, twice": derivatives,
    **{
        name: functions(name)
        for name in ("grad", "value_and_grad", "jacobian", "hessian", "jvp", "vjp", "hvp", "gradcheck", "jit")
    },
    "derivative, second": lambda case: near(autograd.derivative(case.f, 2)(0.5), 0.0),
    "Symbol": symbols,
    "label_from": lambda case: labelled(case),
    "no_grad": lambda case: no_grad(case),
    "draw": shown(lambda y, _: viz.draw(y).source),
    "draw_dot": shown(lambda y, _: viz.draw_dot(y).source),
    "draw, focus": shown(lambda y, _: viz.draw(y, focus=y, radius=1).source),
    "save svg": shown(lambda y, folder: viz.save(y, folder / "y.svg")),
    "tree": shown(lambda y, _: str(viz.tree(y, width=80))),
    "explain": shown(lambda y, _: str(viz.explain(y, Graph(y).leaves[0]))),
    "explain, paths": shown(lambda y, _: str(viz.explain(y, Graph(y).leaves[0], paths=True))),
    "graph_table": shown(lambda y, _: str(viz.graph_table(y))),
    "why_sort": shown(lambda y, _: str(viz.why_sort(y))),
    "page": shown(lambda y, folder: viz.page(y, folder / "y.html")),
    "worksheet": shown(lambda y, folder: viz.worksheet(y, folder / "y.svg", seed=1)),
    "network": shown(lambda y, _: viz.network(y)),
    "dropped": lambda case: dropped(case),
}


def labelled(case: Case) -> bool:
    """After the variables that hold them."""
    autograd.label_from({"y": case.y, "x": case.x})
    return case.x.label == "x"


def no_grad(case: Case) -> bool:
    """The number alone."""
    with autograd.no_grad():
        return isinstance(case.f(case.x), autograd.Constant)


def dropped(case: Case) -> bool:
    """A graph that nobody holds any longer, of nodes that hold each other."""
    y = case.f(Value(0.5))
    y.backward()
    del y
    return True


def model(n: int) -> Any:
    """A network with about n parameters, on two inputs."""
    side = math.isqrt(n)
    return nn.MLP(2, [side, side - 4, 1], activation="tanh", seed=0)


DATA = [([0.5, -0.5], 1.0), ([0.25, 0.5], 0.0)]


def trained(**options: Any) -> Callable[[int], bool]:
    """One epoch."""

    def run(n: int) -> bool:
        net = model(n)
        before = net.state_dict()
        told = nn.fit(
            net, nn.half_squared_error, DATA, nn.Adam(net.parameters(), lr=1e-3), epochs=1, progress=False, **options
        )
        return len(told.losses) == 1 and net.state_dict() != before

    return run


def saved(n: int) -> bool:
    """Written and read again."""
    net = model(n)
    with tempfile.TemporaryDirectory() as folder:
        return bool(nn.load(nn.save(net, f"{folder}/net.json")).state_dict() == net.state_dict())


def stepped(n: int) -> bool:
    """Every optimiser over n parameters, and clipping."""
    ps = [Value(1.0) for _ in range(n)]
    sumprod(ps, ps).backward()
    nn.clip_grad_norm_(ps, 1.0)
    nn.clip_grad_value_(ps, 1e-9)
    for kind in (nn.SGD, nn.Adam, nn.AdamW):
        optimizer = kind(ps, lr=0.1)
        optimizer.step()
        optimizer.load_state_dict(optimizer.state_dict())
        optimizer.zero_grad()
    return 0.0 < ps[0].data < 1.0 and ps[0].data == ps[-1].data


def lost(n: int) -> bool:
    """Every loss over n outputs or n examples."""
    z = [Value(0.5) for _ in range(n)]
    half = [0.5] * n
    p = nn.softmax(z)
    several = [
        (nn.cross_entropy(z, 0), math.log(n)),
        (nn.cross_entropy_from_probabilities(p, [1.0 / n] * n), math.log(n)),
        (nn.negative_log_likelihood(p, 0), math.log(n)),
        (nn.squared_error(z, half), 0.0),
        (nn.half_squared_error(z, half), 0.0),
        (nn.absolute_error(z, half), 0.0),
    ]
    each = [nn.hinge(x, 1) for x in z[:10]] + [nn.binary_cross_entropy(x, 1) for x in z[:10]]
    each += [nn.binary_cross_entropy_with_logits(x, 1) for x in z[:10]]
    for loss, _ in several:
        loss.backward()
    return near([loss.data for loss, _ in several], [value for _, value in several]) and len(each) == 30


def filmed(n: int) -> bool:
    """The film of a training."""
    net, states = model(n), []
    data, kind = moons(4), nn.binary_cross_entropy_with_logits
    optimizer = nn.SGD(net.parameters(), lr=0.1)
    told = nn.fit(
        net, kind, data, optimizer, epochs=1, after_epoch=lambda m: states.append(m.state_dict()), progress=False
    )
    with tempfile.TemporaryDirectory() as folder:
        return bool(viz.training_page(net, told, f"{folder}/film.html", states=states, data=data, loss=kind))


OF_SIZES: dict[str, Callable[[int], bool]] = {
    "fsum, sumprod, logsumexp, prod": lambda n: many(n),
    "MLP: call, repr, state_dict, zero_grad, pickle": lambda n: called(n),
    "fit, eager": trained(compiled=False),
    "fit, auto": trained(),
    "fit, compiled": trained(compiled=True),
    "save, load": saved,
    "SGD, Adam, AdamW, clip_grad": stepped,
    "losses, softmax": lost,
    "l1, l2": lambda n: near(nn.l2(model(n)).data + nn.l1(model(n)).data > 0.0, True),
    "health": lambda n: bool(str(nn.health(model(n), nn.half_squared_error, DATA))),
    "batch_gradient": lambda n: len(nn.batch_gradient(model(n), nn.half_squared_error, DATA)) > n / 2,
    "predict, accuracy": lambda n: nn.accuracy(model(n), [(x, int(y)) for x, y in DATA]) >= 0.0,
    "accuracy of n examples": lambda n: nn.accuracy(lambda x: Value(x[0]), [([1.0], 1)] * n) == 1.0,
    "moons": lambda n: len(moons(n)) == n,
    "network of a model": lambda n: bool(viz.network(model(n))),
    "training_page": filmed,
}


def many(n: int) -> bool:
    """Nodes of n operands."""
    xs = [Value(1.0) for _ in range(n)]
    found = [fsum(xs), sumprod(xs, xs), logsumexp(xs), prod(xs)]
    for y in found:
        y.backward()
    return near([y.data for y in found], [n, n, 1.0 + math.log(n), 1.0]) and near(xs[-1].grad, 4.0 + 1.0 / n)


def called(n: int) -> bool:
    """A network of n parameters."""
    net = model(n)
    y = net([0.5, -0.5])
    y.backward()
    again = pickle.loads(pickle.dumps(net))
    net.zero_grad()
    return repr(net) == repr(again) and again([0.5, -0.5]).data == y.data and len(net.state_dict()) > n / 2


def outcomes(n: int) -> dict[str, Callable[[], bool]]:
    """Every feature by name, ready to run."""
    found: dict[str, Callable[[], bool]] = {
        f"{name}: {kind}": partial(of_graph, feature, make, n)
        for name, feature in OF_GRAPHS.items()
        for kind, make in CASES.items()
    }
    return found | {name: partial(feature, n) for name, feature in OF_SIZES.items()}


def of_graph(feature: Callable[[Case], bool], make: Callable[[int], Case], n: int) -> bool:
    """A feature on a graph that is made for it."""
    return feature(make(n))


def outcome(work: Callable[[], bool]) -> str:
    """The right answer, a refusal and its words, or what is wrong."""
    try:
        return "right" if work() else "WRONG"
    except REFUSALS as error:
        return f"refused: {type(error).__name__}: {error}"
    except BaseException as error:
        return f"FAILED: {type(error).__name__}: {str(error)[:200]}"


def in_child(send: Any, name: str, n: int) -> None:
    """What one feature gives, and the megabytes that it took."""
    resource.setrlimit(resource.RLIMIT_AS, (BYTES, BYTES))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = outcome(outcomes(n)[name])
    send.send((found, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024))


def measured(name: str, n: int) -> tuple[str, float, int]:
    """The outcome of one feature in a process of its own, seconds, and megabytes."""
    spawn = multiprocessing.get_context("spawn")
    receive, send = spawn.Pipe(duplex=False)
    child = spawn.Process(target=in_child, args=(send, name, n))
    started = time.perf_counter()
    child.start()
    send.close()
    try:
        found, megabytes = receive.recv() if receive.poll(SECONDS) else (f"FAILED: more than {SECONDS} s", 0)
    except EOFError:
        found, megabytes = "FAILED: the process died", 0
    child.kill()
    child.join()
    return found, time.perf_counter() - started, megabytes


def resident() -> float:
    """Megabytes that this process holds."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * resource.getpagesize() / 1e6


def small() -> None:
    """A graph made, differentiated and dropped."""
    x, w = Value(0.5), Value(-1.5)
    (x * w + x).tanh().backward()


def repeated() -> dict[str, tuple[Callable[[], object], int]]:
    """What is done again and again, and how often."""
    x, w = Value(0.5), Value(-1.5)
    y = (x * w + x).tanh()
    net, data, numbers = nn.MLP(2, [2, 1], seed=0), DATA[:1], iter(range(10**9))
    programs = [Graph(y).compile([x], [w], backend=backend) for backend in ("llvm", "source")]

    def kept() -> None:
        y.zero_grad()
        y.backward()

    def structure() -> Any:
        z, code = x, next(numbers)
        for bit in f"{code:b}":
            z = z * w if bit == "1" else z + w
        return z

    def compiled(backend: Any) -> None:
        Graph(structure()).compile([x], [w], backend=backend)(0.5)

    def fitted(compiled: bool) -> None:
        optimizer = nn.SGD(net.parameters(), lr=1e-9)
        nn.fit(net, nn.half_squared_error, data, optimizer, epochs=1, compiled=compiled, progress=False)

    return {
        "backward of a new graph": (small, 1_000_000),
        "backward of one graph": (kept, 1_000_000),
        "calls of a program": (lambda: programs[0](0.5), 100_000),
        "calls of Python": (lambda: programs[1](0.5), 100_000),
        "batches": (lambda: programs[0].batch([[0.5], [0.25]]), 100_000),
        "compiled": (lambda: compiled("llvm"), 2_000),
        "compiled to Python": (lambda: compiled("source"), 2_000),
        "jit": (lambda: autograd.jit(lambda v: v * v + structure().data)(0.5), 2_000),
        "fit": (lambda: fitted(False), 1_000),
        "fit, compiled": (lambda: fitted(True), 1_000),
        "draw": (lambda: viz.draw(y).source, 1_000),
    }


def grown(work: Callable[[], object], times: int) -> int:
    """Bytes of Python's memory more after so many times than after as many before."""
    sizes = []
    tracemalloc.start()
    try:
        for _ in range(3):
            for _ in range(times):
                work()
            gc.collect()
            sizes.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    return sizes[-1] - sizes[-2]


def main(wanted: str = "", size: str = str(SIZE)) -> None:
    """Print both tables, or those rows whose name contains a word."""
    print(f"{'feature':62} {'seconds':>7} {'MB':>6}  outcome, with {int(size):,} nodes")
    for name in outcomes(0):
        if wanted in name:
            found, seconds, megabytes = measured(name, int(size))
            print(f"{name:62} {seconds:7.1f} {megabytes:6}  {found[:160]}", flush=True)
    print("\nresident MB after each tenth")
    for name, (work, times) in repeated().items():
        if wanted in name:
            held = []
            for _ in range(10):
                for _ in range(times // 10):
                    work()
                gc.collect()
                held.append(f"{resident():.0f}")
            print(f"{times:9,} {name:30}", *held, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
