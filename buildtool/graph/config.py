"""What an image says of its containers and of its making, as its configuration has it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Healthcheck:
    """HEALTHCHECK of the Docker image config; durations in nanoseconds."""

    test: tuple[str, ...]
    interval: int = 0
    timeout: int = 0
    start_period: int = 0
    start_interval: int = 0
    retries: int = 0


@dataclass(frozen=True, slots=True)
class ImageConfig:
    """The execution parameters of an image (image-spec, "OCI Image Configuration")."""

    env: tuple[tuple[str, str], ...] = ()
    entrypoint: tuple[str, ...] | None = None
    cmd: tuple[str, ...] | None = None
    working_dir: str = ""
    user: str = ""
    labels: tuple[tuple[str, str], ...] = ()
    exposed_ports: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    stop_signal: str = ""
    shell: tuple[str, ...] | None = None
    healthcheck: Healthcheck | None = None
    on_build: tuple[str, ...] = ()
    args_escaped: bool = False


@dataclass(frozen=True, slots=True)
class History:
    """One entry of an image's history; `created` is kept as the base image wrote it, or None for ours."""

    created_by: str
    empty_layer: bool = False
    comment: str = ""
    author: str = ""
    created: str | None = None
