"""Compare what is installed with known vulnerabilities, by hand: `make audit`.

pip-audit asks PyPI for each package. Without a network, or of a release that PyPI does not know, it passes over the
package and is content; here that is said, and is no success.

Exit code 0: all were compared, and none has a known hole; 1: some have; 2: some could not be compared.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

OURS = "synthvae"


def main(pip_audit: str, packages: str) -> int:
    """Audit the folder `packages` with the program `pip_audit`, and print one sentence for each kind of finding."""
    command = [pip_audit, "--progress-spinner", "off", "--timeout", "10", "--format", "json", "--path", packages]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        found = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        reason = done.stderr.strip().splitlines()[-1:] or ["no reason is given"]
        print(f"nothing was audited: PyPI's list of vulnerabilities cannot be reached ({reason[0][:200]})")
        return 2
    return told([package for package in found if package["name"] != OURS])


def told(found: list[dict[str, Any]]) -> int:
    """Print what was found of packages; return the exit code."""
    skipped = [package["name"] for package in found if "skip_reason" in package]
    holes = [(package, hole) for package in found for hole in package.get("vulns", ())]
    for package, hole in holes:
        print(f"{package['name']} {package['version']}: {hole['id']}, mended in {', '.join(hole['fix_versions'])}")
    if len(skipped) == len(found):
        print("nothing was audited: PyPI's list of vulnerabilities cannot be reached from here, or knows none of these")
        return 2
    print(f"{len(found) - len(skipped)} of {len(found)} packages were compared, {len(holes)} known holes were found")
    if skipped:
        print(f"of {len(skipped)} nothing is known, as PyPI cannot be reached or has no such release: {skipped[:5]}")
    return 1 if holes else 2 if skipped else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
