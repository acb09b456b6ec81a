/* A process sees four processors, however many there are, and goes on using all of them.
 *
 * Pinning to some of the four is accepted and not carried out, as they need not be there; what a
 * thread asked for itself is what it is told from then on.  A thread stands on the first processor
 * that it may use. */

#include "linker.h"
#include "system.h"

/* `cpus.COUNT` of the sandbox; they fit the first byte of a mask. */
enum { COUNT = 4, ALL = (1 << COUNT) - 1 };

/* _SC_NPROCESSORS_CONF and _SC_NPROCESSORS_ONLN, in glibc and musl alike. */
enum { CONFIGURED = 83, ONLINE = 84 };

typedef unsigned char Byte;

/* What this thread has pinned itself to, 0 as long as it has not.  At a fixed place: nothing is to be called for it. */
static __thread Byte pinned __attribute__((tls_model("initial-exec")));

extern void *pthread_self(void) __attribute__((weak));

static Byte usable(int own) { return own && pinned ? pinned : ALL; }

static unsigned current(void) { return (unsigned)__builtin_ctz(usable(1)); }

/* Whether a thread's number means the caller; a negative error number if there is no such thread. */
static long is_own(int thread) {
    if (!thread || thread == system_call(SYS_gettid, 0, 0, 0, 0, 0, 0))
        return 1;
    long policy = system_call(SYS_sched_getscheduler, thread, 0, 0, 0, 0, 0);
    return policy < 0 ? policy : 0;
}

/* As the system call of a kernel for up to 64 processors: the size of its mask, or a negative error number. */
static long read_mask(long own, size_t size, Byte *mask) {
    if (own < 0 || !size || size % sizeof(long))
        return own < 0 ? own : -EINVAL;
    if (!mask)
        return -EFAULT;
    clear(mask, sizeof(long));
    mask[0] = usable((int)own);
    return sizeof(long);
}

/* As the system call; bits beyond the processors that there are do not count. */
static long write_mask(long own, size_t size, const Byte *mask) {
    if (own < 0 || (size && !mask))
        return own < 0 ? own : -EFAULT;
    Byte wanted = size ? mask[0] & ALL : 0;
    if (!wanted)
        return -EINVAL;
    if (own)
        pinned = wanted;
    return 0;
}

/* As a C library has it: the whole of the caller's mask is written; 0, or a negative error number. */
static long read_whole(long own, size_t size, Byte *mask) {
    long got = read_mask(own, size, mask);
    if (got < 0)
        return got;
    clear(mask + got, size - (size_t)got);
    return 0;
}

EXPORT int sched_getaffinity(int thread, size_t size, Byte *mask) {
    return (int)returned(read_whole(is_own(thread), size, mask));
}

EXPORT int sched_setaffinity(int thread, size_t size, const Byte *mask) {
    return (int)returned(write_mask(is_own(thread), size, mask));
}

static int is_self(const void *thread) { return pthread_self && thread == pthread_self(); }

EXPORT int pthread_getaffinity_np(void *thread, size_t size, Byte *mask) {
    return (int)-read_whole(is_self(thread), size, mask);
}

EXPORT int pthread_setaffinity_np(void *thread, size_t size, const Byte *mask) {
    return (int)-write_mask(is_self(thread), size, mask);
}

/* Threads yet to be made: the kernel would refuse to make them for a processor that is not there. */
EXPORT int pthread_attr_setaffinity_np(void *attributes, size_t size, const Byte *mask) {
    (void)attributes;
    return (int)-write_mask(0, size, mask);
}

EXPORT int get_nprocs(void) { return COUNT; }

EXPORT int get_nprocs_conf(void) { return COUNT; }

EXPORT int sched_getcpu(void) { return (int)current(); }

EXPORT int getcpu(unsigned *processor, unsigned *node) {
    if (processor)
        *processor = current();
    if (node)
        *node = 0;
    return 0;
}

typedef long Configured(int);

EXPORT long sysconf(int name) {
    if (name == CONFIGURED || name == ONLINE)
        return COUNT;
    NEXT("sysconf", Configured, without(), name);
}

/* For programs that make the system calls by the C library's function for it.  It is variadic there: an
 * argument that was not given is another's memory, which may be read, and which handing it on would write. */
EXPORT long syscall(long number, long a, long b, long c, long d, long e, long f) {
    switch (number) {
    case SYS_sched_getaffinity:
        return returned(read_mask(is_own((int)a), (unsigned)b, (Byte *)c));
    case SYS_sched_setaffinity:
        return returned(write_mask(is_own((int)a), (unsigned)b, (const Byte *)c));
    case SYS_getcpu:
        return getcpu((unsigned *)a, (unsigned *)b);
    default:
        return returned(system_call(number, a, b, c, d, e, f));
    }
}
