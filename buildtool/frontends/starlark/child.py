"""The child: a process that evaluates Starlark and can do nothing else for long.

It is started by `process.Child`, and answers requests on its standard input, each
the name of a package, with what the package declares or the error.  It may not
write files or start processes, and its memory and processor time are bounded.
Evaluation runs in a thread with a large stack, because the evaluator recurses.

A message is its length in 4 bytes, most significant first, and its body.  An
answer's body is `P` and a package, or `E` and an error, both JSON.
"""

import os
import resource
import sys
import threading

STACK = 256 << 20
#: Address space, the stack included.
MEMORY = 1 << 30
#: Processor seconds for one request: beyond what the evaluator allows itself.
SECONDS = 4
MARK_SIZE = 512


def main(root: str, rules: str, mark: int) -> None:
    """Serve requests until standard input ends; `mark` is a descriptor for the place evaluated last."""
    answers = os.dup(1)
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (MARK_SIZE, MARK_SIZE))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    threading.stack_size(STACK)
    worker = threading.Thread(target=_serve, args=(root, rules, mark, answers))
    worker.start()
    worker.join()


def _serve(root: str, rules: str, mark: int, answers: int) -> None:
    from buildtool.diag import BuildError
    from buildtool.frontends.starlark.declared import encode
    from buildtool.frontends.starlark.evaluate import Evaluator
    from buildtool.frontends.starlark.process import encode_error, write_message

    def note(file: str, line: int) -> None:
        os.pwrite(mark, f"{line} {file}".encode()[: MARK_SIZE - 1] + b"\0", 0)

    evaluator = Evaluator(root, rules, note)
    requests = sys.stdin.buffer
    while head := requests.read(4):
        package = requests.read(int.from_bytes(head, "big")).decode()
        _allow(SECONDS)
        try:
            answer = b"P" + encode(evaluator.package(package))
        except BuildError as e:
            answer = b"E" + encode_error(e)
        write_message(answers, answer)


def _allow(seconds: int) -> None:
    """Let the kernel end this process when it has used `seconds` of processor time from now on."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    limit = int(used.ru_utime + used.ru_stime) + seconds + 1
    resource.setrlimit(resource.RLIMIT_CPU, (limit, resource.RLIM_INFINITY))
