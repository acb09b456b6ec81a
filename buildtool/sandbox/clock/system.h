/* What the library needs of the system, without any header or library: types, numbers, system calls. */

#ifndef SYSTEM_H
#define SYSTEM_H

#define EXPORT __attribute__((visibility("default")))
#define NULL ((void *)0)

typedef unsigned long size_t;
typedef long ssize_t;

struct timespec {
    long seconds;
    long nanoseconds;
};

enum { ENOENT = 2, EBADF = 9, ENOMEM = 12, EFAULT = 14, ENOTDIR = 20, EINVAL = 22, ENOSYS = 38 };

#if defined(__x86_64__)

enum {
    SYS_close = 3,
    SYS_fstat = 5,
    SYS_lseek = 8,
    SYS_mmap = 9,
    SYS_munmap = 11,
    SYS_sched_yield = 24,
    SYS_fcntl = 72,
    SYS_sched_getscheduler = 145,
    SYS_gettid = 186,
    SYS_sched_setaffinity = 203,
    SYS_sched_getaffinity = 204,
    SYS_getdents64 = 217,
    SYS_clock_gettime = 228,
    SYS_openat = 257,
    SYS_getcpu = 309,
    O_DIRECTORY = 0x10000,
    STAT_MODE_OFFSET = 24,
};

static inline long system_call(long number, long a, long b, long c, long d, long e, long f) {
    long result;
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}

#elif defined(__aarch64__)

enum {
    SYS_fcntl = 25,
    SYS_openat = 56,
    SYS_close = 57,
    SYS_getdents64 = 61,
    SYS_lseek = 62,
    SYS_fstat = 80,
    SYS_clock_gettime = 113,
    SYS_sched_getscheduler = 120,
    SYS_sched_setaffinity = 122,
    SYS_sched_getaffinity = 123,
    SYS_sched_yield = 124,
    SYS_getcpu = 168,
    SYS_gettid = 178,
    SYS_munmap = 215,
    SYS_mmap = 222,
    O_DIRECTORY = 0x4000,
    STAT_MODE_OFFSET = 16,
};

static inline long system_call(long number, long a, long b, long c, long d, long e, long f) {
    register long x8 __asm__("x8") = number;
    register long x0 __asm__("x0") = a;
    register long x1 __asm__("x1") = b;
    register long x2 __asm__("x2") = c;
    register long x3 __asm__("x3") = d;
    register long x4 __asm__("x4") = e;
    register long x5 __asm__("x5") = f;
    __asm__ volatile("svc 0"
                     : "+r"(x0)
                     : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
                     : "memory", "cc");
    return x0;
}

#else
#error "no system calls are known for this architecture"
#endif

/* The C library's errno; both glibc and musl have this function, without a symbol version that matters. */
extern int *__errno_location(void) __attribute__((weak));

static inline void set_errno(long error) {
    if (__errno_location)
        *__errno_location() = (int)error;
}

/* The result of a system call as a C library returns it: -1 and errno for a failure. */
static inline long returned(long result) {
    if (result < 0 && result > -4096) {
        set_errno(-result);
        return -1;
    }
    return result;
}

static inline int without(void) { return (int)returned(-ENOSYS); }

/* The barrier keeps the compiler from calling a memset that is not there. */
static inline void clear(unsigned char *at, size_t size) {
    for (; size; size--) {
        *at++ = 0;
        __asm__ volatile("" ::: "memory");
    }
}

/* Shared between the sources: the instant, and the machine's own clock. */
enum { CLOCK_REALTIME = 0, CLOCK_MONOTONIC = 1, CLOCK_REALTIME_COARSE = 5, CLOCK_REALTIME_ALARM = 8, CLOCK_TAI = 11 };

long frozen_seconds(void) __attribute__((visibility("hidden")));
int is_frozen(int clock) __attribute__((visibility("hidden")));
struct timespec real_time(int clock) __attribute__((visibility("hidden")));

#endif
