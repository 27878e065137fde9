"""Runs dbt in the warm process of dbt_server.py; to its caller it is dbt.

    python -IS dbt_client.py SOCKET ARGUMENTS...

A script of the standard library alone, so that it starts in milliseconds. It hands its arguments,
environment, folder and output to the server, passes signals on, and exits as dbt exits.

What does not belong here: anything that needs an import from outside the standard library.
"""

import json
import os
import signal
import socket
import struct
import sys
from types import FrameType


def main(path: str, arguments: list[str]) -> int:
    """Run dbt; its exit code, or 1 when the server is gone."""
    child = 0
    told: list[int] = []

    def pass_on(number: int, _frame: FrameType | None) -> None:
        told.append(number)
        if child:
            os.kill(child, number)
        else:
            # The server ends what it has begun for a client that is gone.
            sys.exit(128 + number)

    signal.signal(signal.SIGINT, pass_on)
    signal.signal(signal.SIGTERM, pass_on)
    with socket.socket(socket.AF_UNIX) as server:
        server.connect(path)
        # os.getcwd, as pathlib takes longer to import than all of this to run.
        folder = os.getcwd()  # noqa: PTH109
        # dbt needs no key of ours.
        given = {k: v for k, v in os.environ.items() if not k.startswith("HABITUS_KEY_")}
        request = json.dumps(
            {"arguments": arguments, "environment": given, "folder": folder}
        ).encode()
        socket.send_fds(server, [struct.pack("!I", len(request))], [1, 2])
        server.sendall(request)
        with server.makefile("r") as answers:
            child = int(answers.readline() or 0)
            if not child:
                sys.stderr.write("the dbt server ended before dbt began\n")
                return 1
            code = answers.readline()
            if not code:
                sys.stderr.write("the dbt server ended before dbt did\n")
            # Where nothing may raise, a library drops an interrupt, and dbt ends as if well.
            return int(code or 1) or (128 + told[0] if told else 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
