"""The system calls that a step may make: what Docker's default profile allows with its default capabilities.

A table of facts about that profile (moby/profiles, 2026), by subject; everything
else fails with EPERM, clone3 with ENOSYS so that C libraries fall back to clone,
whose flags a filter can see, and rseq likewise where a step's processors are made up.
Names that an older libseccomp does not know are skipped by the runtimes.
"""

from typing import Any

_ALLOWED = """
accept accept4 bind connect getpeername getsockname getsockopt listen recv recvfrom recvmmsg
recvmmsg_time64 recvmsg send sendmmsg sendmsg sendto setsockopt shutdown socketcall socketpair

access cachestat chmod chown chown32 close close_range copy_file_range creat dup dup2 dup3
faccessat faccessat2 fadvise64 fadvise64_64 fallocate fchmod fchmodat fchmodat2 fchown fchown32
fchownat fcntl fcntl64 fdatasync fgetxattr flistxattr flock fremovexattr fsetxattr fstat fstat64
fstatat64 fstatfs fstatfs64 fsync ftruncate ftruncate64 futimesat getdents getdents64 getxattr
getxattrat ioctl lchown lchown32 lgetxattr link linkat listmount listxattr listxattrat llistxattr
_llseek lremovexattr lseek lsetxattr lstat lstat64 memfd_create memfd_secret mkdir mkdirat mknod
mknodat name_to_handle_at newfstatat open openat openat2 pipe pipe2 pread64 preadv preadv2 pwrite64
pwritev pwritev2 read readahead readlink readlinkat readv removexattr removexattrat rename renameat
renameat2 rmdir sendfile sendfile64 setxattr setxattrat splice stat stat64 statfs statfs64
statmount statx symlink symlinkat sync sync_file_range syncfs tee truncate truncate64 umask unlink
unlinkat utime utimensat utimensat_time64 utimes vmsplice write writev

epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait
epoll_wait_old eventfd eventfd2 fanotify_mark inotify_add_watch inotify_init inotify_init1
inotify_rm_watch _newselect poll ppoll ppoll_time64 pselect6 pselect6_time64 select signalfd
signalfd4 timerfd_create timerfd_gettime timerfd_gettime64 timerfd_settime timerfd_settime64

io_cancel io_destroy io_getevents io_pgetevents io_pgetevents_time64 io_setup io_submit
ioprio_get ioprio_set

brk madvise map_shadow_stack mincore mlock mlock2 mlockall mmap mmap2 mprotect mremap mseal msync
munlock munlockall munmap pkey_alloc pkey_free pkey_mprotect remap_file_pages

capget capset chdir chroot execve execveat exit exit_group fchdir fork get_robust_list
get_thread_area getcpu getcwd getegid getegid32 geteuid geteuid32 getgid getgid32 getgroups
getgroups32 getpgid getpgrp getpid getppid getpriority getrandom getresgid getresgid32 getresuid
getresuid32 getrlimit getrusage getsid gettid getuid getuid32 landlock_add_rule
landlock_create_ruleset landlock_restrict_self membarrier pidfd_open pidfd_send_signal prctl
prlimit64 process_mrelease process_vm_readv process_vm_writev ptrace rseq seccomp set_robust_list
set_thread_area set_tid_address setfsgid setfsgid32 setfsuid setfsuid32 setgid setgid32 setgroups
setgroups32 setpgid setpriority setregid setregid32 setresgid setresgid32 setresuid setresuid32
setreuid setreuid32 setrlimit setsid setuid setuid32 sysinfo ugetrlimit uname uretprobe vfork wait4
waitid waitpid

sched_get_priority_max sched_get_priority_min sched_getaffinity sched_getattr sched_getparam
sched_getscheduler sched_rr_get_interval sched_rr_get_interval_time64 sched_setaffinity
sched_setattr sched_setparam sched_setscheduler sched_yield

kill pause restart_syscall rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn
rt_sigsuspend rt_sigtimedwait rt_sigtimedwait_time64 rt_tgsigqueueinfo sigaltstack sigprocmask
sigreturn tgkill tkill

futex futex_requeue futex_time64 futex_wait futex_waitv futex_wake ipc mq_getsetattr mq_notify
mq_open mq_timedreceive mq_timedreceive_time64 mq_timedsend mq_timedsend_time64 mq_unlink msgctl
msgget msgrcv msgsnd semctl semget semop semtimedop semtimedop_time64 shmat shmctl shmdt shmget

adjtimex alarm clock_adjtime clock_adjtime64 clock_getres clock_getres_time64 clock_gettime
clock_gettime64 clock_nanosleep clock_nanosleep_time64 getitimer gettimeofday nanosleep setitimer
time timer_create timer_delete timer_getoverrun timer_gettime timer_gettime64 timer_settime
timer_settime64 times
"""

_BY_ARCHITECTURE = {
    "amd64": (("SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"), ("arch_prctl", "modify_ldt")),
    "arm64": (
        ("SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"),
        (
            "arm_fadvise64_64",
            "arm_sync_file_range",
            "breakpoint",
            "cacheflush",
            "set_tls",
            "sync_file_range2",
        ),
    ),
}

#: Every flag of clone(2) that makes a namespace.
_NEW_NAMESPACES = 0x7E020000

#: PER_LINUX, PER_LINUX32, both with UNAME26, and the question what it is.
_PERSONALITIES = (0x0, 0x8, 0x20000, 0x20008, 0xFFFFFFFF)

#: Address families that no kernel has any more, and the two that reach past a network namespace
#: or into the kernel's cryptography (AF_VSOCK, AF_ALG).
_NO_FAMILIES = frozenset({12, 19, 20, 23, 25, 34, 37, 38, 40})
_FAMILIES = tuple(n for n in range(1, 46) if n not in _NO_FAMILIES)

_EPERM, _ENOSYS = 1, 38


def profile(architecture: str, *, rseq: bool = True) -> dict[str, Any] | None:
    """The `linux.seccomp` object of runtime-spec; None for an architecture without a table.

    Without `rseq` the kernel tells no thread the number of its processor, which lies beyond
    those that a step is told of where the machine has more.
    """
    if architecture not in _BY_ARCHITECTURE:
        return None
    machines, extra = _BY_ARCHITECTURE[architecture]
    allow = "SCMP_ACT_ALLOW"
    denied = set() if rseq else {"rseq"}
    rules: list[dict[str, Any]] = [
        {"names": sorted({*_ALLOWED.split(), *extra} - denied), "action": allow},
        {"names": ["clone"], "action": allow, "args": [_argument(_NEW_NAMESPACES, "SCMP_CMP_MASKED_EQ")]},
        {"names": ["clone3", *sorted(denied)], "action": "SCMP_ACT_ERRNO", "errnoRet": _ENOSYS},
    ]
    rules += [{"names": ["socket"], "action": allow, "args": [_argument(family)]} for family in _FAMILIES]
    rules += [{"names": ["personality"], "action": allow, "args": [_argument(p)]} for p in _PERSONALITIES]
    return {
        "defaultAction": "SCMP_ACT_ERRNO",
        "defaultErrnoRet": _EPERM,
        "architectures": list(machines),
        "syscalls": rules,
    }


def _argument(value: int, operator: str = "SCMP_CMP_EQ") -> dict[str, Any]:
    return {"index": 0, "value": value, "op": operator}
