/* Directories are read in the bytewise order of their names, "." and ".." first.
 *
 * The order that the kernel gives is an accident of the file system.  Here a stream
 * reads its directory whole, on the first readdir, and hands it out sorted; so it is
 * a snapshot, which POSIX allows (what is added or removed meanwhile may be seen or
 * not), until rewinddir.  Positions of telldir are numbers of entries.
 *
 * struct dirent is the kernel's struct linux_dirent64 in glibc and musl alike. */

#include "system.h"

enum {
    O_NONBLOCK = 0x800,
    O_CLOEXEC = 0x80000,
    O_PATH = 0x200000,
    AT_FDCWD = -100,
    F_SETFD = 2,
    F_GETFL = 3,
    FD_CLOEXEC = 1,
    S_IFMT = 0xf000,
    S_IFDIR = 0x4000,
    PROT_READ_WRITE = 3,
    MAP_PRIVATE_ANONYMOUS = 0x22,

    FIRST_SIZE = 36864,
    /* getdents64 fails when not even one entry fits. */
    LEAST_ROOM = 8192,
    /* Offsets are 32 bits wide. */
    MOST_ROOM = 1 << 30,
    /* A caller may copy a whole struct dirent from any entry. */
    DIRENT_SIZE = 280,
};

struct dirent {
    unsigned long d_ino;
    long d_off;
    unsigned short d_reclen;
    unsigned char d_type;
    char d_name[256];
};

/* A stream stands at the start of a mapping whose rest is the first room for entries; a directory
 * that needs more gets a mapping for them.  The entries stand there as the kernel wrote them, and
 * behind them the offset of each, sorted by name. */
typedef struct {
    int fd;
    volatile int lock;
    int loaded;
    char *entries;
    size_t room;
    size_t used;
    size_t count;
    size_t position;
} DIR;

extern void *malloc(size_t) __attribute__((weak));
extern void free(void *) __attribute__((weak));

static void lock(DIR *d) {
    while (__atomic_exchange_n(&d->lock, 1, __ATOMIC_ACQUIRE))
        system_call(SYS_sched_yield, 0, 0, 0, 0, 0, 0);
}

static void unlock(DIR *d) { __atomic_store_n(&d->lock, 0, __ATOMIC_RELEASE); }

static void copy(char *to, const char *from, size_t size) {
    /* The barrier keeps the compiler from calling a memcpy that is not there. */
    for (size_t i = 0; i < size; i++) {
        to[i] = from[i];
        __asm__ volatile("" ::: "memory");
    }
}

static void *pages(size_t size) {
    long memory = system_call(SYS_mmap, 0, (long)size, PROT_READ_WRITE, MAP_PRIVATE_ANONYMOUS, -1, 0);
    return memory < 0 && memory > -4096 ? NULL : (void *)memory;
}

static char *first_room(DIR *d) { return (char *)d + sizeof(DIR); }

static void release_entries(DIR *d) {
    if (d->entries != first_room(d))
        system_call(SYS_munmap, (long)d->entries, (long)d->room, 0, 0, 0, 0);
}

/* ---------------------------------------------------------------- sorting */

static struct dirent *at(const DIR *d, size_t offset) { return (struct dirent *)(d->entries + offset); }

/* The offsets stand behind the last entry, far enough that a whole struct dirent can be copied from it. */
static size_t index_offset(const DIR *d) { return (d->used + DIRENT_SIZE + 7) & ~7ul; }

static unsigned *sorted(const DIR *d) { return (unsigned *)(d->entries + index_offset(d)); }

static int rank(const char *name) {
    if (name[0] != '.')
        return 2;
    return name[1] == 0 ? 0 : name[1] == '.' && name[2] == 0 ? 1 : 2;
}

static int before(const DIR *d, unsigned left, unsigned right) {
    const char *a = at(d, left)->d_name, *b = at(d, right)->d_name;
    if (rank(a) != rank(b))
        return rank(a) < rank(b);
    while (*a && *a == *b)
        a++, b++;
    return (unsigned char)*a < (unsigned char)*b;
}

static void sift(const DIR *d, unsigned *heap, size_t root, size_t count) {
    unsigned moving = heap[root];
    for (size_t child; (child = 2 * root + 1) < count; root = child) {
        if (child + 1 < count && before(d, heap[child], heap[child + 1]))
            child++;
        if (!before(d, moving, heap[child]))
            break;
        heap[root] = heap[child];
    }
    heap[root] = moving;
}

static void sort(const DIR *d) {
    unsigned *heap = sorted(d);
    for (size_t i = d->count / 2; i-- > 0;)
        sift(d, heap, i, d->count);
    for (size_t end = d->count; end-- > 1;) {
        unsigned last = heap[end];
        heap[end] = heap[0];
        heap[0] = last;
        sift(d, heap, 0, end);
    }
}

/* ---------------------------------------------------------------- streams */

static int make_room(DIR *d, size_t size) {
    if (size <= d->room)
        return 1;
    char *larger = size <= MOST_ROOM ? pages(size) : NULL;
    if (!larger)
        return 0;
    copy(larger, d->entries, d->used);
    release_entries(d);
    d->entries = larger;
    d->room = size;
    return 1;
}

/* Read the directory and sort it: 0, or a negative error number. */
static long load(DIR *d) {
    if (d->loaded)
        return 0;
    d->used = d->count = 0;
    for (;;) {
        if (d->room - d->used < LEAST_ROOM && !make_room(d, (2 * d->room + 4095) & ~4095ul))
            return -ENOMEM;
        long got = system_call(SYS_getdents64, d->fd, (long)d->entries + (long)d->used, (long)(d->room - d->used), 0, 0, 0);
        /* A directory that was removed while it is open has come to its end. */
        if (got == 0 || got == -ENOENT)
            break;
        if (got < 0)
            return got;
        size_t end = d->used + (size_t)got;
        for (; d->used < end; d->used += at(d, d->used)->d_reclen)
            d->count++;
    }
    if (!make_room(d, (index_offset(d) + d->count * sizeof(unsigned) + 4095) & ~4095ul))
        return -ENOMEM;
    size_t number = 0;
    for (size_t offset = 0; offset < d->used; offset += at(d, offset)->d_reclen)
        sorted(d)[number++] = (unsigned)offset;
    sort(d);
    d->loaded = 1;
    return 0;
}

static DIR *new_stream(int fd) {
    DIR *d = pages(FIRST_SIZE);
    if (!d) {
        set_errno(ENOMEM);
        return NULL;
    }
    d->fd = fd;
    d->entries = first_room(d);
    d->room = FIRST_SIZE - sizeof(DIR);
    return d;
}

static DIR *open_at(int base, const char *path) {
    int flags = O_NONBLOCK | O_CLOEXEC | O_DIRECTORY;
    long fd = returned(system_call(SYS_openat, base, (long)path, flags, 0, 0, 0));
    if (fd < 0)
        return NULL;
    DIR *d = new_stream((int)fd);
    if (!d)
        system_call(SYS_close, fd, 0, 0, 0, 0, 0);
    return d;
}

static struct dirent *next(DIR *d, long *error) {
    *error = load(d);
    if (*error || d->position >= d->count)
        return NULL;
    struct dirent *found = at(d, sorted(d)[d->position]);
    found->d_off = (long)++d->position;
    return found;
}

EXPORT DIR *opendir(const char *path) { return open_at(AT_FDCWD, path); }

EXPORT DIR *fdopendir(int fd) {
    char about[256];
    long flags = system_call(SYS_fcntl, fd, F_GETFL, 0, 0, 0, 0);
    long error = flags < 0 ? flags : flags & O_PATH ? -EBADF : system_call(SYS_fstat, fd, (long)about, 0, 0, 0, 0);
    if (!error && (*(unsigned *)(about + STAT_MODE_OFFSET) & S_IFMT) != S_IFDIR)
        error = -ENOTDIR;
    if (error < 0) {
        set_errno(-error);
        return NULL;
    }
    DIR *d = new_stream(fd);
    if (d)
        system_call(SYS_fcntl, fd, F_SETFD, FD_CLOEXEC, 0, 0, 0);
    return d;
}

EXPORT struct dirent *readdir(DIR *d) {
    long error;
    lock(d);
    struct dirent *found = next(d, &error);
    unlock(d);
    if (error)
        set_errno(-error);
    return found;
}

EXPORT int readdir_r(DIR *d, struct dirent *entry, struct dirent **result) {
    long error;
    lock(d);
    struct dirent *found = next(d, &error);
    if (found)
        copy((char *)entry, (const char *)found, found->d_reclen < DIRENT_SIZE ? found->d_reclen : DIRENT_SIZE);
    unlock(d);
    *result = found ? entry : NULL;
    return (int)-error;
}

EXPORT int closedir(DIR *d) {
    if (!d) {
        set_errno(EINVAL);
        return -1;
    }
    int fd = d->fd;
    release_entries(d);
    system_call(SYS_munmap, (long)d, FIRST_SIZE, 0, 0, 0, 0);
    return (int)returned(system_call(SYS_close, fd, 0, 0, 0, 0, 0));
}

EXPORT void rewinddir(DIR *d) {
    lock(d);
    system_call(SYS_lseek, d->fd, 0, 0, 0, 0, 0);
    d->loaded = 0;
    d->position = 0;
    unlock(d);
}

EXPORT long telldir(DIR *d) { return (long)d->position; }

EXPORT void seekdir(DIR *d, long position) {
    lock(d);
    d->position = position < 0 ? 0 : (size_t)position;
    unlock(d);
}

EXPORT int dirfd(DIR *d) { return d->fd; }

/* ---------------------------------------------------------------- scandir */

typedef int Select(const struct dirent *);
typedef int Compare(const struct dirent **, const struct dirent **);

static int unordered(const struct dirent **a, const struct dirent **b) {
    (void)a, (void)b;
    return 0;
}

/* Stable, so that names which a comparison holds for equal stay in bytewise order. */
static void merge_sort(struct dirent **items, struct dirent **spare, size_t count, Compare *compare) {
    if (count < 2)
        return;
    size_t half = count / 2, left = 0, right = half, to = 0;
    merge_sort(items, spare, half, compare);
    merge_sort(items + half, spare, count - half, compare);
    while (to < count) {
        int first = right == count ||
                    (left < half && compare((const struct dirent **)&items[left], (const struct dirent **)&items[right]) <= 0);
        spare[to++] = first ? items[left++] : items[right++];
    }
    copy((char *)items, (const char *)spare, count * sizeof *items);
}

static long collect(DIR *d, struct dirent **found, size_t *count, Select *select) {
    struct dirent *entry;
    long error;
    while ((entry = next(d, &error))) {
        if (select && !select(entry))
            continue;
        struct dirent *kept = malloc(entry->d_reclen);
        if (!kept)
            return -ENOMEM;
        copy((char *)kept, (const char *)entry, entry->d_reclen);
        found[(*count)++] = kept;
    }
    return error;
}

EXPORT int scandirat(int base, const char *path, struct dirent ***names, Select *select, Compare *compare) {
    if (!malloc || !free) {
        set_errno(ENOMEM);
        return -1;
    }
    DIR *d = open_at(base, path);
    if (!d)
        return -1;
    long error = load(d);
    size_t count = 0;
    /* Twice the room: the second half is what sorting needs beside it. */
    struct dirent **found = error ? NULL : malloc((2 * d->count + 1) * sizeof *found);
    if (!error)
        error = found ? collect(d, found, &count, select) : -ENOMEM;
    if (!error)
        merge_sort(found, found + count, count, compare ? compare : unordered);
    closedir(d);
    if (error) {
        while (count)
            free(found[--count]);
        free(found);
        set_errno(-error);
        return -1;
    }
    *names = found;
    return (int)count;
}

EXPORT int scandir(const char *path, struct dirent ***names, Select *select, Compare *compare) {
    return scandirat(AT_FDCWD, path, names, select, compare);
}

/* With 64-bit types the two families are one; glibc has both names. */
EXPORT struct dirent *readdir64(DIR *) __attribute__((alias("readdir")));
EXPORT int readdir64_r(DIR *, struct dirent *, struct dirent **) __attribute__((alias("readdir_r")));
EXPORT int scandir64(const char *, struct dirent ***, Select *, Compare *) __attribute__((alias("scandir")));
EXPORT int scandirat64(int, const char *, struct dirent ***, Select *, Compare *) __attribute__((alias("scandirat")));
