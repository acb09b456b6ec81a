"""`RUN --device=NAME[,required]`: devices of the machine (CDI), which a step here never sees.

What a device answers is no part of a build definition.  So a step that can do
without its device runs without it, as with BuildKit on a machine that has none, and
one that cannot is refused.
"""

from buildtool.diag import BuildError
from buildtool.frontends.dockerfile.body import Body
from buildtool.frontends.dockerfile.mounts import split
from buildtool.frontends.dockerfile.tree import Flag
from buildtool.frontends.dockerfile.values import go_bool


def check_device(body: Body, flag: Flag) -> None:
    """BuildError `device-not-available` for a device that is required, `bad-mount` for a wrong flag."""
    try:
        name, required = read_device(flag.value or "")
        if required:
            raise BuildError(
                "device-not-available",
                f"the step requires the device {name!r}, and steps have no devices of the machine",
                hint="without `required` the step runs, and does not see the device",
            )
    except BuildError as error:
        raise error.at(body.span(flag.at)) from None


def read_device(text: str) -> tuple[str, bool]:
    """The name of the device, which may hold a `=`, and whether it is required."""
    name, required = "", False
    for field in split(text):
        key, equals, value = field.partition("=")
        if key.lower() == "required":
            required = go_bool("required", value) if equals else True
        elif key.lower() == "name" and equals and not name:
            name = value
        elif not name:
            name = field
        else:
            hint = "write --device=NAME or --device=NAME,required"
            raise BuildError("bad-mount", f"--device does not know {field!r}", hint=hint)
    return name, required
