"""Run inside a worker: a step with a recorded internet over a base of busybox and curl, then its replay.

Prints what was seen as JSON; `--spawn FOLDER` starts the worker first.
"""

import http.server
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from dataclasses import replace
from typing import Any

from buildtool.layers.changes import changes
from buildtool.layers.finish import FinishSpec, finish
from buildtool.layers.tree import Stack
from buildtool.network.internet import Internet
from buildtool.network.settings import Route, Settings
from buildtool.network.trust import inject, remove
from buildtool.sandbox import namespaces, netns, overlay
from buildtool.sandbox.bundle import HostMount, Process
from buildtool.sandbox.run import Sandbox
from buildtool.store import Store

CLOCK = 315532800
BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
SCRIPT = f"""
set -e
busybox cat /etc/resolv.conf
curl -sS https://public.example/file
curl -sS --cacert {BUNDLE} https://public.example/file
curl -sS http://public.example/other
busybox mkdir -p /out; busybox cp {BUNDLE} /out/copy.pem
busybox touch -d '2001-01-01 00:00:00' {BUNDLE}
echo content >> /out/own
busybox rm /usr/local/share/ca-certificates/*
busybox nc -w 1 db.example 5432 </dev/null 2>&1 >/dev/null | busybox grep -q refused && echo refused
"""


class Pages(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = f"page {self.path}\n".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


def make_base(base: str) -> None:
    os.makedirs(base + "/bin")
    os.makedirs(base + "/usr/local")
    shutil.copy(shutil.which("busybox") or "", base + "/bin/busybox")
    os.symlink("busybox", base + "/bin/sh")
    program = shutil.which("curl") or ""
    listed = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    for path in {program, *re.findall(r"(/\S+) \(0x", listed)}:
        os.makedirs(os.path.dirname(base + path), exist_ok=True)
        shutil.copy(path, base + path)
    os.makedirs(base + os.path.dirname(BUNDLE))
    with open(base + BUNDLE, "w") as file:
        file.write("no certificates\n")
    for path, _, files in os.walk(base, topdown=False):
        for name in ("", *files):
            os.utime(os.path.join(path, name), (1000, 1000), follow_symlinks=False)


def step(folder: str, store: Store, settings: Settings) -> tuple[dict[str, Any], Internet]:
    names = ("upper", "work", "root", "above", "state", "links")
    made = {name: os.path.join(folder, name) for name in names}
    for path in made.values():
        os.makedirs(path)
    base = os.path.join(os.path.dirname(folder), "base")
    prefix = overlay.xattr_prefix()
    output: list[bytes] = []
    with Stack([base], prefix) as stack:
        trust = inject(settings.authority, stack, made["above"])
        begun = os.stat(made["upper"]).st_mtime_ns
        overlays = overlay.Overlays(made["links"])
        lowers = [trust.lower, base]
        overlays.mount(made["root"], lowers=lowers, upper=made["upper"], work=made["work"])
        process = Process(
            argv=("/bin/sh", "-c", SCRIPT),
            env=(("PATH", "/bin:/usr/bin"), *trust.env),
            cwd="/",
            uid=0,
            gid=0,
            groups=(),
            hostname="step",
            mounts=(HostMount(trust.target, kind="data", data=trust.file, mode=0o444),),
            network="host",
            clock=None,
            architecture="amd64" if os.uname().machine == "x86_64" else "arm64",
        )
        with netns.Isolated(everywhere=True) as namespace, Internet(namespace, settings, store) as internet:
            connected = replace(process, network=namespace)
            ended = Sandbox(made["state"]).run(connected, made["root"], output.append, stop=internet.failed)
        overlays.unmount(made["root"])
        remove(trust, made["upper"], stack, prefix)
        finish(made["upper"], stack, FinishSpec(CLOCK, begun, (), ended.injected, prefix))
        layer = [os.fsdecode(entry.path) for entry, _ in changes(made["upper"], stack, prefix)]
    left = subprocess.run(
        ["grep", "-rlF", trust.file.splitlines()[5].decode(), made["upper"]], capture_output=True, text=True
    )
    text = b"".join(output).decode(errors="replace")
    return {"status": ended.status, "output": text, "layer": layer, "left": left.stdout}, internet


def scenario(folder: str) -> dict[str, Any]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Pages)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    make_base(os.path.join(folder, "base"))
    place = f"http://127.0.0.1:{server.server_address[1]}/"
    prefixes = ("http://public.example/", "https://public.example/")
    routes = tuple(Route(prefix, "public", (place,)) for prefix in prefixes)
    authority = os.path.join(folder, "authority")
    store = Store.open(os.path.join(folder, "store"))
    first, internet = step(folder + "/first", store, Settings(CLOCK, False, (), authority, routes=routes))
    server.shutdown()
    strict = Settings(CLOCK, True, internet.exchanges, authority, offline=True, routes=routes)
    second, again = step(folder + "/second", store, strict)
    return {
        "first": first,
        "second": second,
        "places": [exchange.place for exchange in internet.exchanges],
        "same": again.exchanges == internet.exchanges,
        "refused": [refused.what for refused in again.refused],
    }


def main(argv: list[str]) -> int:
    if argv[0] == "--spawn":
        worker = [sys.executable, os.path.abspath(__file__), *argv[1:]]
        return namespaces.spawn(worker, env=dict(os.environ)).wait()
    namespaces.prepare_worker()
    print(json.dumps(scenario(argv[0])))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
