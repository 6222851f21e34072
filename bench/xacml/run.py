"""Measures the decision engine beside AuthzForce core and WSO2 Balana, in one run, and prints Markdown tables.

    python bench/xacml/run.py [--seconds 4] [--rounds 2] [--no-peers]

The peers need a JDK (17 or later) and Maven; where either is lacking they are left out, with a sentence saying so.
All engines run on one processor, in turn, on the same policies and requests; what reading the clock costs is taken off
everywhere. Of several rounds the best counts for each engine, since other work on the machine only ever adds.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import cases  # noqa: E402 - beside this file, which is a script

from havn.engines import xacml  # noqa: E402

Timed = tuple[float, float, float]


def timed(call: Callable[[Any], Any], inputs: Sequence[Any], seconds: float) -> Timed:
    """p50, p99 and mean of one call in microseconds, after as long a warm-up."""
    clock = time.perf_counter_ns
    until = time.monotonic() + seconds / 2
    while time.monotonic() < until:
        for item in inputs:
            call(item)
    taken: list[int] = []
    until = time.monotonic() + seconds
    while time.monotonic() < until or len(taken) < 20:
        for item in inputs:
            start = clock()
            call(item)
            taken.append(clock() - start)
    taken.sort()
    return taken[len(taken) // 2] / 1000, taken[len(taken) * 99 // 100] / 1000, sum(taken) / len(taken) / 1000


def ours(seconds: float) -> dict[tuple[str, str], Timed]:
    found: dict[tuple[str, str], Timed] = {}
    overhead = timed(lambda _: None, [0], 0.5)[0]
    for name, text, asked in (
        ("app", cases.app_policy(), cases.app_requests()),
        ("large", cases.large_policy(), cases.large_requests()),
    ):
        policy = xacml.compile_policy(xacml.load_policy(text, source=name))
        bodies = [json.dumps(request).encode() for request in asked]
        documents = [cases.as_xml(request) for request in asked]
        ready = [xacml.json_profile.read(body).requests[0] for body in bodies]

        def from_json(body: bytes, policy: xacml.CompiledPolicy = policy) -> bytes:
            return xacml.json_profile.write(xacml.decide(policy, xacml.json_profile.read(body)))

        def from_xml(body: bytes, policy: xacml.CompiledPolicy = policy) -> bytes:
            return xacml.xml_profile.write(xacml.decide(policy, xacml.xml_profile.read(body)))

        found[name, "ready"] = timed(policy.decide, ready, seconds)
        found[name, "json"] = timed(from_json, bodies, seconds)
        found[name, "xml"] = timed(from_xml, documents, seconds)
        if name == "app":
            multi = json.dumps(cases.multi_request()).encode()
            found[name, "multi"] = timed(policy.decide_many, [xacml.json_profile.read(multi).requests], seconds)
            found[name, "multi-json"] = timed(from_json, [multi], seconds)
            referenced = json.dumps(cases.multi_request(references=True)).encode()
            found[name, "multi-json-references"] = timed(from_json, [referenced], seconds)
    return {place: tuple(max(a - overhead, 0.001) for a in measured) for place, measured in found.items()}  # type: ignore[misc]


def peers(seconds: float) -> dict[tuple[str, str, str], Timed]:
    """What the Java program measures; empty, with a sentence, where it cannot be built."""
    maven, java = shutil.which("mvn"), shutil.which("java")
    if not maven or not java or not shutil.which("javac"):
        print("The peers are left out: no JDK and Maven on this machine.\n")
        return {}
    found: dict[tuple[str, str, str], Timed] = {}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        shutil.copytree(HERE / "java", folder / "java", ignore=shutil.ignore_patterns("target"))
        cases.write(folder / "cases")
        # The JDK is asked to build and run; nothing of it stays.
        built = subprocess.run(
            [maven, "-q", "-B", "compile", "dependency:build-classpath", "-Dmdep.outputFile=target/classpath"],
            cwd=folder / "java",
            capture_output=True,
            text=True,
            check=False,
        )
        if built.returncode:
            print(f"The peers are left out: Maven could not build them ({built.stdout.strip()[:300]}).\n")
            return {}
        classpath = (folder / "java/target/classpath").read_text().strip()
        ran = subprocess.run(
            [java, "-Xmx1g", "-cp", f"target/classes{os.pathsep}{classpath}", "Peers", folder / "cases", str(seconds)],
            cwd=folder / "java",
            capture_output=True,
            text=True,
            check=False,
        )
        if ran.returncode:
            print(f"The peers stopped early: {ran.stderr.strip().splitlines()[-1:]}\n")
    expected = {
        name: [xacml.decide(policy, xacml.json_profile.read(json.dumps(r).encode()))[0].decision.value for r in asked]
        for name, policy, asked in (
            ("app", _policy(cases.app_policy()), cases.app_requests()),
            ("large", _policy(cases.large_policy()), cases.large_requests()),
        )
    }
    for line in ran.stdout.splitlines():
        row = json.loads(line)
        if "decisions" in row:
            if row["decisions"] != expected[row["policy"]]:
                print(f"{row['engine']} decides otherwise on {row['policy']}: {row['decisions']}")
        else:
            found[row["engine"], row["policy"], row["path"]] = (row["p50"], row["p99"], row["mean"])
    return found


def _policy(text: bytes) -> xacml.CompiledPolicy:
    return xacml.compile_policy(xacml.load_policy(text, source="bench"))


PATHS = [
    ("app", "ready", "app policy, ready request"), ("app", "json", "app policy, JSON text to JSON text"),
    ("app", "xml", "app policy, XML text to XML text"), ("large", "ready", "1,000 rules, ready request"),
    ("large", "json", "1,000 rules, JSON text to JSON text"), ("large", "xml", "1,000 rules, XML text to XML text"),
    ("app", "multi", "1,000 instances, ready requests, one call"),
    ("app", "multi-json", "1,000 instances, JSON text to JSON text"),
    ("app", "multi-json-references", "the same by MultiRequests references"),
]  # fmt: skip


def best(rounds: list[dict[Any, Timed]]) -> dict[Any, Timed]:
    """The lowest p50, the lowest p99 and the lowest mean of all rounds."""
    found: dict[Any, Timed] = {}
    for measured in rounds:
        for key, times in measured.items():
            found[key] = tuple(map(min, found.get(key, times), times))  # type: ignore[assignment]
    return found


def print_speed(seconds: float, rounds: int, with_peers: bool) -> None:
    here: list[dict[Any, Timed]] = []
    there: list[dict[Any, Timed]] = []
    for _ in range(rounds):
        here.append(ours(seconds))
        if with_peers:
            there.append(peers(seconds))
            with_peers = bool(there[-1])
    mine, theirs = best(here), best(there)
    print("| Path (µs, p50 / p99) | Havn | AuthzForce core 21.0.1 | WSO2 Balana 1.2.24 | AuthzForce ÷ Havn |")
    print("| --- | --- | --- | --- | --- |")
    for policy, path, label in PATHS:
        own = mine[policy, path]
        cells = [theirs.get((engine, policy, path)) for engine in ("AuthzForce", "Balana")]
        ratio = f"{cells[0][0] / own[0]:.1f}" if cells[0] else ""
        print(f"| {label} | {_cell(own)} | {_cell(cells[0])} | {_cell(cells[1])} | {ratio} |")

    print("\n| Decisions a second, one processor | Havn | AuthzForce | Balana |\n| --- | --- | --- | --- |")
    for policy, path, label in PATHS:
        asked = 1000 if path.startswith("multi") else 1
        cells = [mine[policy, path], *(theirs.get((engine, policy, path)) for engine in ("AuthzForce", "Balana"))]
        rates = ["" if cell is None else f"{asked * 1e6 / cell[2]:,.0f}" for cell in cells]
        print(f"| {label} | {' | '.join(rates)} |")


def _cell(found: Timed | None) -> str:
    return "" if found is None else " / ".join(f"{v:,.2f}" if v < 100 else f"{v:,.0f}" for v in found[:2])


def print_size(policies: int) -> None:
    """Time to load and compile, memory of many policies, and that their number costs a decision nothing."""
    text = cases.app_policy()
    asked = xacml.json_profile.read(json.dumps(cases.app_requests()[0]).encode()).requests[0]
    load = timed(lambda t: xacml.load_policy(t, source="x"), [text], 1)[0]
    document = xacml.load_policy(text, source="x")
    compiling = timed(xacml.compile_policy, [document], 1)[0]

    def first(d: xacml.PolicyDocument) -> None:
        xacml.compile_policy(d).decide(asked)

    first_decision = timed(first, [document], 1)[0]
    cache = xacml.PolicyCache(policies=policies, rules=100 * policies)
    gc.collect()
    tracemalloc.start()
    keys = []
    for number in range(policies):
        own = text.replace(b"urn:altinn:policyid:1", f"urn:altinn:policyid:{number}".encode())
        known = xacml.load_policy(own, source=str(number))
        cache.get(known.digest, lambda known=known: xacml.compile_policy(known)).decide(asked)
        keys.append(known.digest)
    memory = tracemalloc.get_traced_memory()[0] / 1e6
    tracemalloc.stop()

    def from_cache(key: str) -> None:
        cache.get(key, lambda: _policy(text)).decide(asked)

    one, many = timed(from_cache, keys[:1], 1), timed(from_cache, keys, 2)
    growing: list[tuple[int, Timed]] = []
    for known_policies in (size for size in (1, 10, 100, 1_000) if size < policies):
        smaller = xacml.PolicyCache(policies=known_policies, rules=100 * known_policies)
        for key in keys[:known_policies]:
            smaller.get(key, lambda key=key: cache.get(key, lambda: _policy(text)))

        def from_smaller(key: str, smaller: xacml.PolicyCache = smaller) -> None:
            smaller.get(key, lambda: _policy(text)).decide(asked)

        growing.append((known_policies, timed(from_smaller, keys[:1], 1)))
    print("\n| Policies | |\n| --- | --- |")
    print(f"| read and type-check one app policy of {len(text) / 1000:.0f} kB | {load / 1000:.1f} ms |")
    print(f"| compile it | {compiling / 1000:.2f} ms |")
    print(f"| compile it and make a first decision | {first_decision / 1000:.2f} ms |")
    print(f"| memory per 1,000 such policies, each used once | {memory * 1000 / policies:.0f} MB |")
    for known_policies, found in growing:
        noun = "policy" if known_policies == 1 else "policies"
        print(f"| decision through the cache, {known_policies:,} {noun} known, p50 | {found[0]:.2f} µs |")
    print(f"| the same, {policies:,} policies known | {one[0]:.2f} µs |")
    print(
        f"| the same, {policies:,} policies known and each asked in turn, so that the processor's caches are cold"
        f" | {many[0]:.2f} µs |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--policies", type=int, default=10_000)
    parser.add_argument("--no-peers", action="store_true")
    chosen = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    print_speed(chosen.seconds, chosen.rounds, not chosen.no_peers)
    print_size(chosen.policies)


if __name__ == "__main__":
    main()
