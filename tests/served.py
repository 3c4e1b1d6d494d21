"""The command in forks of one process that has imported it: 2.5 seconds less for each.

    served.py, named meanshift-fast     listens; for each client it forks a process
    CLIENT, named meanshift-fast        what tests and shells run as the command

The fork takes the client's arguments, environment, folder and streams, runs `main`, and ends as
any process of the command does. The client passes signals on, and ends with its exit code.
"""

import gc
import marshal
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import warnings
from contextlib import contextmanager, suppress
from pathlib import Path

# What runs in a fork before the command: a variable of the client's environment.
BEFORE = "SERVED_BEFORE_MAIN"
CLIENT = """#!{python} -IS
import marshal, os, signal, socket, sys

server = socket.socket(socket.AF_UNIX)
server.connect({address!r})
request = marshal.dumps((sys.argv[1:], os.getcwd(), dict(os.environ)))
socket.send_fds(server, [len(request).to_bytes(8, "little")], [0, 1, 2])
server.sendall(request)
answers = server.makefile("rb")
pid = int(answers.readline())
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, lambda number, _: os.kill(pid, number))
sys.exit(int(answers.readline()))
"""


@contextmanager
def served():
    """The path of an executable that is the command, in forks of a process that starts now."""
    import meanshift_fast  # this tree's, which the server serves

    folder = Path(tempfile.mkdtemp())  # the address of a socket may have 100 characters
    (folder / "bin").mkdir()
    server, client = folder / "meanshift-fast", folder / "bin" / "meanshift-fast"
    shutil.copy(__file__, server)
    client.write_text(CLIENT.format(python=sys.executable, address=str(folder / "socket")))
    client.chmod(0o755)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "socket"))
        listener.listen()
        process = subprocess.Popen(
            [sys.executable, server, str(listener.fileno())], pass_fds=[listener.fileno()],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
            env=os.environ | {"PYTHONPATH": str(Path(meanshift_fast.__file__).parents[1])},
        )  # fmt: skip
    try:
        yield client
    finally:
        process.kill()
        process.communicate()
        shutil.rmtree(folder)


def fork():
    """Fork beside threads of NumPy's libraries, which are made for it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


def forked(listener):
    """Fork a process for each client; return in it the streams and the request of the client."""
    while True:
        ready, _, _ = select.select([listener, sys.stdin], [], [])
        if sys.stdin in ready:  # the tests have ended
            os._exit(0)
        client, _ = listener.accept()
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # none is waited for
        if not fork():
            listener.close()
            return started(client)
        client.close()


def started(client):
    """Fork the process of a client, return in it; give the client its number and exit code."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    size, streams, _, _ = socket.recv_fds(client, 8, 3)
    request = client.makefile("rb").read(int.from_bytes(size, "little"))
    if not (pid := fork()):
        client.close()
        return streams, *marshal.loads(request)

    def end_with_the_client():
        client.recv(1)
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)

    threading.Thread(target=end_with_the_client, daemon=True).start()
    client.sendall(b"%d\n" % pid)
    _, status = os.waitpid(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    client.sendall(b"%d\n" % (code if code >= 0 else 128 - code))
    os._exit(0)


if __name__ == "__main__":
    import PIL.Image  # noqa: F401
    import pyarrow.csv
    import pyarrow.parquet  # noqa: F401

    from meanshift_fast._cli.main import main

    # A collection at the end of a fork copies all that is imported: 0.65 s in place of 0.15.
    gc.freeze()
    streams, arguments, folder, environment = forked(socket.socket(fileno=int(sys.argv[1])))
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv[1:] = arguments
    exec(os.environ.pop(BEFORE, ""))
    sys.exit(main())
