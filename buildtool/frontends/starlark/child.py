"""The child: a process that evaluates Starlark and can do nothing else for long.

It is started by `process.Child`, and answers requests on its standard input, each
the name of a package, with what the package declares or the error.  It may not
write files or start processes, and its memory and processor time are bounded.
Evaluation runs in a thread with a large stack, because the evaluator recurses.

A message is its length in 4 bytes, most significant first, and its body.  A request's
body is a `Request` as JSON; an answer's body is `P` and a package, or `E` and an
error, both JSON.
"""

import os
import resource
import signal
import sys
import threading

import msgspec

from buildtool.frontends.starlark.configuration import Configuration

STACK = 256 << 20
#: Address space, the stack included.
MEMORY = 768 << 20
#: Processor seconds for one request, beyond what the evaluator allows itself; and with marks.
SECONDS = 2.5
SECONDS_WITH_MARKS = 1.6
#: How the process ends itself when it has no memory left.
NO_MEMORY = 86
MARK_SIZE = 512


class Request(msgspec.Struct, frozen=True):
    """A package to load for a configuration; with `marks`, to know where that ends the process."""

    package: str
    configuration: Configuration
    marks: bool = False


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

    evaluators: dict[str, Evaluator] = {}
    requests = sys.stdin.buffer
    while head := requests.read(4):
        request = msgspec.json.decode(requests.read(int.from_bytes(head, "big")), type=Request)
        # The signal ends the process, even within one long operation of the evaluator.
        signal.setitimer(signal.ITIMER_PROF, SECONDS_WITH_MARKS if request.marks else SECONDS)
        try:
            platform = request.configuration.platform
            if platform not in evaluators:
                evaluators[platform] = Evaluator(root, rules, request.configuration, note)
            answer = b"P" + encode(evaluators[platform].package(request.package, marks=request.marks))
        except BuildError as e:
            answer = b"E" + encode_error(e)
        except MemoryError:
            os._exit(NO_MEMORY)
        except BaseException as e:
            # A panic of the evaluator, after which it must not be used any more.
            os._exit(NO_MEMORY if "out of memory" in str(e) else 1)
        signal.setitimer(signal.ITIMER_PROF, 0)
        write_message(answers, answer)
