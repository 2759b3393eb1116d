"""Run recorded cases of the original programs through ours and compare.

    oracle.py DIRECTORY [--case NAME]... [-v]

The directory holds setup.json and cases.json. Each difference is printed; the exit status is 0 if every case is equal
or differs only as oracle_exemptions.json says, 1 if one is not, 2 if nothing could be compared. Needs root; everything
happens in a network namespace of its own.
"""

from __future__ import annotations

import argparse
import fnmatch
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from cilium_py.bpf.map import BpfMap
from tests.prog.datapath import Datapath, map_changes, put
from tests.prog.network import own_network
from tests.prog.oracle_compare import Difference, Exemption, differences, exemptions
from tests.prog.oracle_setup import CHECKED_MAPS, Case, Change, NotARecording, Setup

EXEMPTIONS = Path(__file__).with_name("oracle_exemptions.json")
CLEARED_MAPS = (*CHECKED_MAPS, "cilium_metrics", "cilium_ratelimit")


def node(setup: Setup, variant: str) -> Datapath:
    """The programs of the recording's endpoints, loaded and with its maps filled. Maps they have not are named."""
    datapath = Datapath(setup.endpoints.values(), setup.options[variant])
    unknown: Counter[str] = Counter()
    for entry in setup.entries:
        found = table(datapath, entry)
        if found is None:
            unknown[entry.map] += 1
        else:
            put(found, entry.key, entry.value)
    for name, entries in unknown.items():
        print(f"note: the programs have no map {name}; left out: {entries}", file=sys.stderr)
    return datapath


def table(datapath: Datapath, change: Change) -> BpfMap | None:
    try:
        return datapath.map(change.map)
    except KeyError:
        return None


def run(case: Case, datapath: Datapath) -> list[tuple[int, Difference]]:
    """All steps of a case; the differences with the number of the step they are in."""
    found: list[tuple[int, Difference]] = []
    datapath.clear(*CLEARED_MAPS)
    with ExitStack() as undone:
        for number, step in enumerate(case.steps):
            for change in step.changes:
                changed = table(datapath, change)
                if changed is None:
                    found.append((number, Difference("set_before", change.map, "no such map")))
                else:
                    undone.enter_context(map_changes(changed, [(change.key, change.value)]))
            if "rejected_by_kernel" in step.expected:
                continue
            try:
                outcome = datapath.run(
                    step.endpoint,
                    step.entry,
                    step.packet,
                    ifindex=step.ifindex,
                    ingress_ifindex=step.ingress_ifindex,
                    mark=step.mark,
                    cb=step.cb,
                )
            except OSError as error:
                found.append((number, Difference("run", "a verdict", f"not tested by the kernel: {error}")))
                continue
            found.extend((number, difference) for difference in differences(step, outcome, datapath))
    return found


def report(case: Case, found: list[tuple[int, Difference]], allowed: list[Exemption], verbose: bool) -> bool:
    """Print a case's differences; tell whether it counts as equal."""
    reasons = [
        next((one.reason for one in allowed if one.covers(case.name, difference)), None) for _, difference in found
    ]
    equal = all(reasons)
    if equal and not verbose:
        return True
    print(f"{case.name} ({case.variant}): {'equal' if not found else 'differs on purpose' if equal else 'DIFFERS'}")
    for (number, difference), reason in zip(found, reasons, strict=True):
        said = f"  # {reason}" if reason else ""
        print(f"  step {number}: {difference.field}: expected {difference.expected}, got {difference.found}{said}")
    return equal


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("directory", type=Path, help="with setup.json and cases.json")
    parser.add_argument("--case", action="append", metavar="NAME", help="only these (wildcards allowed)")
    parser.add_argument("-v", "--verbose", action="store_true", help="name equal cases and exempted differences too")
    options = parser.parse_args(arguments)

    try:
        return compare(Setup(options.directory), options.case or ["*"], options.verbose)
    except NotARecording as error:
        said = str(error)
    except subprocess.CalledProcessError as error:
        said = f"{error.cmd}: {(error.stderr or '').strip()}"
    except (OSError, ValueError) as error:  # not root; a key or value that the map does not take
        said = str(error)
    print(f"error: {said}", file=sys.stderr)
    return 2


def compare(setup: Setup, wanted: Sequence[str], verbose: bool) -> int:
    """Run the wanted cases and report; the exit status."""
    allowed = exemptions(EXEMPTIONS)
    cases = [case for case in setup.cases if any(fnmatch.fnmatchcase(case.name, one) for one in wanted)]
    if not cases:
        raise NotARecording(f"no case {', '.join(wanted)}")
    equal = 0
    with own_network(setup.network):
        for variant in dict.fromkeys(case.variant for case in cases):
            with node(setup, variant) as datapath:
                for case in cases:
                    if case.variant == variant:
                        equal += report(case, run(case, datapath), allowed, verbose)
    print(f"{equal} of {len(cases)} cases equal")
    return 0 if equal == len(cases) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
