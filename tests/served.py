"""The command in forks of one process that has imported it: 2.5 seconds less for each.

    served.py, named meanshift-fast     listens; for each client it forks a process
    CLIENT, named meanshift-fast        what tests and shells run as the command

The fork takes the client's arguments, environment, folder and streams, runs `main`, and ends as
any process of the command does. The client passes signals on, and ends with its exit code. It runs
a script in place of `main` where `run_script` asks for it: Numba has its settings from the script's
environment then, and has compiled and loaded nothing.
"""

import gc
import importlib
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

# What runs in a fork before the command, or in its place: variables of the client's environment.
BEFORE, SCRIPT = "SERVED_BEFORE_MAIN", "SERVED_SCRIPT"
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


def run_script(executable, script, *arguments, environment=(), **options):
    """What a script prints in a fork that has imported the package."""
    run = subprocess.run(
        [executable, *arguments], env=os.environ | dict(environment) | {SCRIPT: script},
        capture_output=True, text=True, timeout=1800, **options,
    )  # fmt: skip
    assert (run.returncode, run.stderr) == (0, ""), f"{run.stdout}{run.stderr}"
    return run.stdout


def forget_package():
    """Let a script import the package anew."""
    for name in [name for name in sys.modules if name.startswith("meanshift_fast")]:
        del sys.modules[name]


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
    import numba
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
    if script := os.environ.pop(SCRIPT, ""):
        signal.signal(signal.SIGINT, signal.default_int_handler)
        numba.config.reload_config()
        importlib.reload(numba.np.ufunc.parallel)  # which keeps the number of threads
        exec(script, {"__name__": "__main__", "forget_package": forget_package})
    else:
        exec(os.environ.pop(BEFORE, ""))
        sys.exit(main())
