"""Quality control of a whole slide: wall time, CPU time and peak memory, in a process of its own.

Run: python benchmarks/qc_speed.py [--px 20000] [--cores 2]. A phantom of that size is generated first (cached beside
the system's temporary files) and is no part of the measurement. Loading the network is counted, starting Python is not.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import tempfile
import time
from pathlib import Path

GOAL_SECONDS = 30.0
GOAL_MIB = 2048


def main() -> None:
    """Measure, and print one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--px", type=int, default=20_000, help="edge of the slide at 0.5 um/px")
    parser.add_argument("--cores", type=int, default=2, help="cores that the process may use")
    parser.add_argument("--without-network", action="store_true", help="detectors alone")
    asked = parser.parse_args()
    slide = _phantom(asked.px)
    os.sched_setaffinity(0, set(sorted(os.sched_getaffinity(0))[: asked.cores]))
    _measure_apart(slide, with_network=not asked.without_network)


def _phantom(edge_px: int) -> Path:
    from core.domain import Size
    from core.phantom import Artefact, ArtefactKind, PhantomSpec, write_phantom

    path = Path(tempfile.gettempdir()) / f"second-read-qc-speed-{edge_px}.tif"
    if not path.exists():
        kinds = (ArtefactKind.PEN, ArtefactKind.BLUR, ArtefactKind.FOLD)
        artefacts = tuple(Artefact(kind, extent=0.2) for kind in kinds)
        write_phantom(PhantomSpec(seed=5, size_px=Size(edge_px, edge_px), artefacts=artefacts), path)
    return path


def _measure_apart(slide: Path, *, with_network: bool) -> None:
    """Measure in a child, so that neither the phantom's memory nor its time counts."""
    child = os.fork()
    if child:
        _, state = os.waitpid(child, 0)
        sys.exit(os.waitstatus_to_exitcode(state))
    os.execv(  # noqa: S606 - this very file
        sys.executable, [sys.executable, __file__, "--measured", str(slide), "network" if with_network else "alone"]
    )


def _measured(slide: Path, *, with_network: bool) -> None:
    from core.services.quality.measure import measure_slide
    from core.services.quality.network import ArtefactNetwork, artefact_network
    from core.settings import Settings
    from core.slides import open_slide

    wall, cpu = time.monotonic(), time.process_time()
    network = artefact_network("cpu") if with_network else ArtefactNetwork(None, "", "")
    with open_slide(slide) as reader:
        report = measure_slide(Settings(home=slide.parent), reader, network=network).report
        size = reader.info.size
    found = {
        "slide_px": [size.width, size.height],
        "tissue_mm2": round(report.tissue_mm2, 1),
        "network": report.network or "none",
        "cores": len(os.sched_getaffinity(0)),
        "load_average": round(os.getloadavg()[0], 1),
        "wall_s": round(time.monotonic() - wall, 1),
        "cpu_s": round(time.process_time() - cpu, 1),
        "peak_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "goal": f"{GOAL_SECONDS:g} s, {GOAL_MIB} MiB on two cores",
    }
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    if sys.argv[1:2] == ["--measured"]:
        _measured(Path(sys.argv[2]), with_network=sys.argv[3] == "network")
    else:
        main()
