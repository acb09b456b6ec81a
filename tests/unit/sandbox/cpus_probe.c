/* Run with the clock library preloaded: says what is not as it should be about the four processors. */

#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <unistd.h>

static int failures;

static void check(int holds, const char *claim, int line) {
    if (!holds) {
        printf("line %d: not true: %s (errno %d)\n", line, claim, errno);
        failures++;
    }
}

#define CHECK(claim) check(claim, #claim, __LINE__)

static int is(const cpu_set_t *set, unsigned long wanted) {
    cpu_set_t whole;
    CPU_ZERO(&whole);
    for (int n = 0; n < 8; n++)
        if (wanted >> n & 1)
            CPU_SET(n, &whole);
    return CPU_EQUAL(set, &whole);
}

static cpu_set_t of(unsigned long wanted) {
    cpu_set_t set;
    CPU_ZERO(&set);
    memcpy(&set, &wanted, sizeof wanted);
    return set;
}

static void counts(void) {
    CHECK(sysconf(_SC_NPROCESSORS_ONLN) == 4 && sysconf(_SC_NPROCESSORS_CONF) == 4);
    CHECK(get_nprocs() == 4 && get_nprocs_conf() == 4);
    CHECK(sysconf(_SC_PAGESIZE) == getpagesize());
    errno = 0;
    CHECK(sysconf(-7) == -1 && errno == EINVAL);
}

static void masks(void) {
    cpu_set_t set;
    memset(&set, 0xff, sizeof set);
    CHECK(sched_getaffinity(0, sizeof set, &set) == 0 && is(&set, 15));
    memset(&set, 0xff, sizeof set);
    CHECK(sched_getaffinity(getpid(), sizeof set, &set) == 0 && is(&set, 15));
    memset(&set, 0xff, sizeof set);
    CHECK(pthread_getaffinity_np(pthread_self(), sizeof set, &set) == 0 && is(&set, 15));
    unsigned long words[2] = {~0ul, ~0ul};
    CHECK(sched_getaffinity(0, sizeof words[0], (cpu_set_t *)words) == 0 && words[0] == 15 && words[1] == ~0ul);
    CHECK(sched_getaffinity(0, 0, &set) == -1 && errno == EINVAL);
    CHECK(sched_getaffinity(0, 12, &set) == -1 && errno == EINVAL);
    CHECK(sched_getaffinity(0x7ffffff0, sizeof set, &set) == -1 && errno == ESRCH);
    CHECK(pthread_getaffinity_np(pthread_self(), 3, &set) == EINVAL);
}

/* The system call answers the size of the kernel's mask and leaves the rest of the caller's alone. */
static void calls(void) {
    unsigned long words[2] = {~0ul, ~0ul};
    CHECK(syscall(SYS_sched_getaffinity, 0, sizeof words, words) == 8 && words[0] == 15 && words[1] == ~0ul);
    CHECK(syscall(SYS_sched_getaffinity, 0, 4, words) == -1 && errno == EINVAL);
    CHECK(syscall(SYS_sched_setaffinity, 0, 8, NULL) == -1 && errno == EFAULT);
    CHECK(syscall(SYS_sched_setaffinity, 0, 8, words) == 0);
    unsigned cpu = 7, node = 7;
    CHECK(syscall(SYS_getcpu, &cpu, &node, NULL) == 0 && cpu == 0 && node == 0);
    CHECK(syscall(SYS_getpid) == getpid());
    CHECK(syscall(SYS_close, -1) == -1 && errno == EBADF);
    int pipes[2];
    CHECK(syscall(SYS_pipe2, pipes, 0) == 0 && syscall(SYS_write, pipes[1], "x", 1l) == 1);
    CHECK(close(pipes[0]) == 0 && close(pipes[1]) == 0);
}

static void *beside(void *pinned) {
    cpu_set_t set;
    CHECK(pthread_getaffinity_np(pthread_self(), sizeof set, &set) == 0 && is(&set, 15));
    set = of(2);
    CHECK(sched_setaffinity(0, sizeof set, &set) == 0 && sched_getcpu() == 1);
    CHECK(pthread_getaffinity_np(*(pthread_t *)pinned, sizeof set, &set) == 0);
    return NULL;
}

/* To each single one of them, whether it is there or not; to one beyond them as to one that is not there. */
static void pinning(void) {
    cpu_set_t set;
    for (int n = 0; n < 4; n++) {
        set = of(1ul << n);
        CHECK(sched_setaffinity(0, sizeof set, &set) == 0);
        CHECK(sched_getaffinity(0, sizeof set, &set) == 0 && is(&set, 1ul << n) && sched_getcpu() == n);
        set = of(1ul << (3 - n) | 1ul << 5);
        CHECK(pthread_setaffinity_np(pthread_self(), sizeof set, &set) == 0);
        CHECK(pthread_getaffinity_np(pthread_self(), sizeof set, &set) == 0 && is(&set, 1ul << (3 - n)));
    }
    set = of(1ul << 4);
    CHECK(sched_setaffinity(0, sizeof set, &set) == -1 && errno == EINVAL);
    CHECK(pthread_setaffinity_np(pthread_self(), sizeof set, &set) == EINVAL);
    pthread_t self = pthread_self(), other;
    CHECK(pthread_create(&other, NULL, beside, &self) == 0 && pthread_join(other, NULL) == 0);
    CHECK(sched_getaffinity(0, sizeof set, &set) == 0 && is(&set, 1));
    set = of(15);
    CHECK(sched_setaffinity(getpid(), sizeof set, &set) == 0 && sched_getcpu() == 0);
    CHECK(sched_setaffinity(0x7ffffff0, sizeof set, &set) == -1 && errno == ESRCH);
}

#ifdef __GLIBC__
static void *nothing(void *argument) { return argument; }

static void threads_made_for_one(void) {
    pthread_attr_t attributes;
    pthread_t thread;
    cpu_set_t set = of(8), beyond = of(16);
    CHECK(pthread_attr_init(&attributes) == 0);
    CHECK(pthread_attr_setaffinity_np(&attributes, sizeof set, &set) == 0);
    CHECK(pthread_create(&thread, &attributes, nothing, NULL) == 0 && pthread_join(thread, NULL) == 0);
    CHECK(pthread_attr_setaffinity_np(&attributes, sizeof beyond, &beyond) == EINVAL);
}
#else
static void threads_made_for_one(void) {}
#endif

int main(void) {
    counts();
    masks();
    calls();
    pinning();
    threads_made_for_one();
    if (!failures)
        puts("right");
    return failures != 0;
}
