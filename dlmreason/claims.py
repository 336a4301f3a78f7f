"""All claims on one page: `python -m dlmreason.claims [from=experiments] [to=outputs/claims.html]`.

This file decides what is refused. It reads the claims' texts and figures, and imports neither torch nor a task.
"""

import sys
from pathlib import Path

from dlmreason import launch


def main(settings: launch.Settings) -> int:
    """The entry point."""
    from dlmreason.reports import claims

    folder, to = Path(settings["from"]), Path(settings["to"])
    to.parent.mkdir(parents=True, exist_ok=True)
    try:
        launch.say(f"claims: {claims.write(folder, to)}")
    except (OSError, claims.NoClaims) as error:
        raise launch.BadInput(f"from={folder}: {error}") from None
    return 0


if __name__ == "__main__":
    sys.exit(launch.run(main, "claims"))
