"""The causes of differences: stable names, what they mean, and what to do about each."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Cause:
    """A cause: `title` is what happened, `advice` what a person can do."""

    name: str
    title: str
    advice: str


_ALL = (
    Cause(
        "embedded-time",
        "the time of the build is written into it",
        "write no time, or that of SOURCE_DATE_EPOCH; buildtool's steps see a clock that stands still",
    ),
    Cause(
        "file-time",
        "the times of files are those of the build",
        "set them to one instant: buildtool does, for BuildKit it is rewrite-timestamp=true",
    ),
    Cause(
        "time-zone",
        "local times of two time zones",
        "set TZ=UTC for the step, or write times with their zone",
    ),
    Cause(
        "build-path",
        "the folder that it was built in is written into it",
        "build in a fixed folder (WORKDIR), or map it away: -ffile-prefix-map, -trimpath",
    ),
    Cause(
        "hostname",
        "the name of the machine is written into it",
        "leave it out, or build where the name is fixed: buildtool's steps have one",
    ),
    Cause(
        "random-identifier",
        "it holds random bytes or names",
        "derive it from the input (a hash, uuid5), fix the seed, or make it at first start",
    ),
    Cause(
        "directory-order",
        "the order in which a folder lists its files",
        "sort names before use: tar --sort=name, sorted(os.listdir(...)), find | LC_ALL=C sort",
    ),
    Cause(
        "hash-seed",
        "the order of a set or a map that is seeded at random",
        "sort before writing, or fix the seed: PYTHONHASHSEED=0, PERL_HASH_SEED=0",
    ),
    Cause(
        "parallelism",
        "what ran at the same time wrote in another order",
        "collect the results and write them in a fixed order, or run that part alone (-j1)",
    ),
    Cause("locale", "the language or the sorting rules of the builder", "set LC_ALL=C.UTF-8 for the step"),
    Cause(
        "user",
        "the name or the number of the user who built",
        "set owners by number (--owner=0 --group=0, COPY --chown), leave the builder's name out",
    ),
    Cause(
        "cpu-count",
        "the number of processors of the builder",
        "say a number: -j4, not $(nproc), where the result depends on it",
    ),
    Cause(
        "compressor",
        "the same content, compressed otherwise",
        "use one version and one level of one compressor; gzip -n leaves name and time out",
    ),
    Cause(
        "archiver",
        "the same entries or values, written down by another program",
        "build both with one version of one builder",
    ),
    Cause(
        "inode",
        "inode or device numbers of the builder's file system",
        "remove the file at the end of the step: such caches are made again on use",
    ),
    Cause(
        "umask",
        "the permissions follow the umask of the builder",
        "set the mode: chmod, install -m, COPY --chmod, or umask 022 in the step",
    ),
    Cause(
        "source",
        "the sources differ: an instruction, an argument, a label, a file of the context",
        "build both from one commit, with the same arguments; buildtool explain says what changed",
    ),
    Cause(
        "upstream",
        "what the build downloads has changed",
        "pin what is downloaded: a snapshot of the archive, exact versions and hashes, buildtool.lock",
    ),
    Cause(
        "kernel",
        "the kernel that the builder runs is written into it",
        "leave it out, or take it from what the image is for",
    ),
    Cause(
        "environment",
        "variables of the builder's environment are written into it",
        "write only those that matter, or run the step with env -i",
    ),
    Cause(
        "address-space",
        "memory addresses, which are random, are written into it",
        "leave addresses out; setarch -R for programs that cannot",
    ),
    Cause("process-id", "a process number is written into it", "leave it out, or use a fixed name"),
    Cause(
        "derived",
        "it follows from another difference: a digest, a size, a list of files",
        "mend the other difference",
    ),
    Cause("unexplained", "no known cause explains it", "look at both with --diffoscope"),
)

#: Every cause by its name.
CAUSES = {cause.name: cause for cause in _ALL}
