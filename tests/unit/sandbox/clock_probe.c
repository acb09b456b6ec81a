/* Run with the clock library preloaded: says what is not as it should be.  Arguments: the instant, a
 * folder with the entries "b", "a", "-", "c/" in whatever order, and an empty folder. */

#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

static int failures;

static void check(int holds, const char *claim, int line) {
    if (!holds) {
        printf("line %d: not true: %s (errno %d)\n", line, claim, errno);
        failures++;
    }
}

#define CHECK(claim) check(claim, #claim, __LINE__)

static double monotonic(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec + now.tv_nsec / 1e9;
}

static void times(long instant) {
    struct timespec ts;
    struct timeval tv;
    time_t t = 0;
    CHECK(clock_gettime(CLOCK_REALTIME, &ts) == 0 && ts.tv_sec == instant && ts.tv_nsec == 0);
    CHECK(clock_gettime(CLOCK_REALTIME_COARSE, &ts) == 0 && ts.tv_sec == instant);
    CHECK(clock_gettime(CLOCK_TAI, &ts) == 0 && ts.tv_sec == instant);
    CHECK(time(&t) == instant && t == instant && time(NULL) == instant);
    CHECK(gettimeofday(&tv, NULL) == 0 && tv.tv_sec == instant && tv.tv_usec == 0);
    CHECK(timespec_get(&ts, TIME_UTC) == TIME_UTC && ts.tv_sec == instant);
    CHECK(timespec_get(&ts, 77) == 0);
    CHECK(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts) == 0 && ts.tv_sec < 100);
    CHECK(clock_gettime(CLOCK_BOOTTIME, &ts) == 0 && ts.tv_sec != instant);
    errno = 0;
    CHECK(clock_gettime(4242, &ts) == -1 && errno == EINVAL);
    double before = monotonic();
    usleep(2000);
    CHECK(monotonic() > before);
}

static void waits(long instant) {
    struct timespec deadline = {instant, 100000000};
    pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
    sem_t semaphore;
    double start = monotonic();
    sem_init(&semaphore, 0, 0);
    errno = 0;
    CHECK(sem_timedwait(&semaphore, &deadline) == -1 && errno == ETIMEDOUT);
    CHECK(monotonic() - start > 0.05 && monotonic() - start < 5);

    start = monotonic();
    pthread_mutex_lock(&mutex);
    CHECK(pthread_cond_timedwait(&condition, &mutex, &deadline) == ETIMEDOUT);
    CHECK(monotonic() - start > 0.05 && monotonic() - start < 5);
    CHECK(pthread_mutex_timedlock(&mutex, &deadline) == ETIMEDOUT);

    pthread_condattr_t by;
    pthread_cond_t other;
    pthread_condattr_init(&by);
    pthread_condattr_setclock(&by, CLOCK_MONOTONIC);
    pthread_cond_init(&other, &by);
    struct timespec soon;
    clock_gettime(CLOCK_MONOTONIC, &soon);
    soon.tv_sec += soon.tv_nsec / 900000000;
    soon.tv_nsec = (soon.tv_nsec + 100000000) % 1000000000;
    start = monotonic();
    CHECK(pthread_cond_timedwait(&other, &mutex, &soon) == ETIMEDOUT);
    CHECK(monotonic() - start > 0.05 && monotonic() - start < 5);

    start = monotonic();
    CHECK(clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &deadline, NULL) == 0);
    CHECK(monotonic() - start > 0.05 && monotonic() - start < 5);
    struct timespec short_while = {0, 1000000}, wrong = {instant, 2000000000};
    CHECK(clock_nanosleep(CLOCK_REALTIME, 0, &short_while, NULL) == 0);
    errno = 0;
    CHECK(sem_timedwait(&semaphore, &wrong) == -1 && errno == EINVAL);

    int fd = timerfd_create(CLOCK_REALTIME, 0);
    struct itimerspec at = {{0, 0}, deadline};
    unsigned long long expirations;
    start = monotonic();
    CHECK(timerfd_settime(fd, TFD_TIMER_ABSTIME, &at, NULL) == 0);
    CHECK(read(fd, &expirations, sizeof expirations) == sizeof expirations);
    CHECK(monotonic() - start > 0.05 && monotonic() - start < 5);
    close(fd);
}

static int is(struct dirent *entry, const char *name) { return entry && strcmp(entry->d_name, name) == 0; }

static void order(const char *folder) {
    DIR *d = opendir(folder);
    CHECK(d != NULL);
    CHECK(fcntl(dirfd(d), F_GETFD) & FD_CLOEXEC);
    CHECK(is(readdir(d), "."));
    CHECK(is(readdir(d), ".."));
    struct dirent *entry = readdir(d);
    CHECK(is(entry, "-") && entry->d_ino != 0 && entry->d_type == DT_REG && entry->d_off == 3);
    long place = telldir(d);
    CHECK(is(readdir(d), "a"));
    CHECK(is(readdir(d), "b"));
    entry = readdir(d);
    CHECK(is(entry, "c") && entry->d_type == DT_DIR);
    struct dirent copy = *entry;
    CHECK(is(&copy, "c"));
    errno = 0;
    CHECK(readdir(d) == NULL && errno == 0 && readdir(d) == NULL);
    seekdir(d, place);
    CHECK(is(readdir(d), "a"));
    seekdir(d, -1);
    CHECK(is(readdir(d), "."));
    CHECK(mknodat(dirfd(d), "+", S_IFREG | 0600, 0) == 0);
    rewinddir(d);
    CHECK(is(readdir(d), ".") && is(readdir(d), "..") && is(readdir(d), "+"));
    CHECK(unlinkat(dirfd(d), "+", 0) == 0);
    CHECK(is(readdir(d), "-"));
    CHECK(closedir(d) == 0);

    d = opendir(folder);
    union {
        struct dirent entry;
        char room[sizeof(struct dirent) + 8];
    } own;
    struct dirent *result = NULL;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
    for (int i = 0; i < 3; i++)
        CHECK(readdir_r(d, &own.entry, &result) == 0 && result == &own.entry);
    CHECK(is(result, "-"));
    for (int i = 0; i < 4; i++)
        CHECK(readdir_r(d, &own.entry, &result) == 0);
#pragma GCC diagnostic pop
    CHECK(result == NULL);
    close(dirfd(d));
    errno = 0;
    CHECK(closedir(d) == -1 && errno == EBADF);
}

static void descriptors(const char *folder) {
    errno = 0;
    CHECK(opendir("/nonexistent") == NULL && errno == ENOENT);
    CHECK(opendir("") == NULL && errno == ENOENT);
    CHECK(opendir("/dev/null") == NULL && errno == ENOTDIR);
    CHECK(fdopendir(-1) == NULL && errno == EBADF);
    int fd = open("/dev/null", O_RDONLY);
    CHECK(fdopendir(fd) == NULL && errno == ENOTDIR && fcntl(fd, F_GETFD) == 0);
    close(fd);
    fd = open(folder, O_PATH);
    CHECK(fdopendir(fd) == NULL && errno == EBADF);
    close(fd);
    fd = open(folder, O_RDONLY | O_DIRECTORY);
    DIR *d = fdopendir(fd);
    CHECK(d && dirfd(d) == fd && (fcntl(fd, F_GETFD) & FD_CLOEXEC));
    CHECK(is(readdir(d), "."));
    CHECK(closedir(d) == 0 && fcntl(fd, F_GETFD) == -1);
}

static int no_dots(const struct dirent *entry) { return entry->d_name[0] != '.'; }

static int backwards(const struct dirent **a, const struct dirent **b) { return strcmp((*b)->d_name, (*a)->d_name); }

static void scanning(const char *folder) {
    struct dirent **names;
    int count = scandir(folder, &names, no_dots, NULL);
    CHECK(count == 4 && is(names[0], "-") && is(names[3], "c"));
    while (count > 0)
        free(names[--count]);
    free(names);
    count = scandir(folder, &names, NULL, backwards);
    CHECK(count == 6 && is(names[0], "c") && is(names[4], ".") && is(names[5], "-"));
    while (count > 0)
        free(names[--count]);
    free(names);
    errno = 0;
    CHECK(scandir("/nonexistent", &names, NULL, alphasort) == -1 && errno == ENOENT);
}

/* Ten thousand entries, removed while they are read; then the folder itself is. */
static void large(const char *folder) {
    char name[16], last[16] = "";
    int base = open(folder, O_RDONLY | O_DIRECTORY), count = 0;
    for (int i = 0; i < 10000; i++) {
        snprintf(name, sizeof name, "%05d", (i * 7919) % 10000);
        CHECK(mknodat(base, name, S_IFREG | 0600, 0) == 0);
    }
    DIR *d = opendir(folder);
    for (struct dirent *entry; (entry = readdir(d));) {
        if (entry->d_name[0] == '.')
            continue;
        CHECK(strcmp(last, entry->d_name) < 0);
        strcpy(last, entry->d_name);
        CHECK(unlinkat(base, entry->d_name, 0) == 0);
        count++;
    }
    CHECK(count == 10000);
    rewinddir(d);
    CHECK(is(readdir(d), ".") && is(readdir(d), "..") && readdir(d) == NULL);
    closedir(d);
    d = opendir(folder);
    CHECK(rmdir(folder) == 0);
    errno = 0;
    CHECK(readdir(d) == NULL && errno == 0);
    closedir(d);
    close(base);
}

int main(int argc, char **argv) {
    if (argc != 4)
        return 2;
    times(atol(argv[1]));
    waits(atol(argv[1]));
    order(argv[2]);
    descriptors(argv[2]);
    scanning(argv[2]);
    large(argv[3]);
    puts(failures ? "wrong" : "right");
    return failures != 0;
}
