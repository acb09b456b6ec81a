/* Waiting until a wall-clock deadline goes on as long as the caller meant.
 *
 * A program computes such a deadline from a clock that stands still here, and the kernel compares
 * it with one that does not: without a change every wait would be over at once.  So a deadline is
 * moved by the distance between the two, and the C library's own function does the waiting. */

#include "linker.h"
#include "system.h"

enum { ABSOLUTE = 1, SECOND = 1000000000 };

/* No deadline of a wall clock that has to be moved lies further away. */
static const long FOREVER = 1l << 40;

struct itimerspec {
    struct timespec interval;
    struct timespec value;
};

/* Where the deadline lies for the kernel; `room` holds the answer if it differs. */
static const struct timespec *moved(const struct timespec *deadline, struct timespec *room) {
    if (!deadline || deadline->nanoseconds < 0 || deadline->nanoseconds >= SECOND || deadline->seconds > FOREVER)
        return deadline;
    struct timespec now = real_time(CLOCK_REALTIME);
    room->seconds = deadline->seconds - frozen_seconds() + now.seconds;
    room->nanoseconds = deadline->nanoseconds + now.nanoseconds;
    if (room->nanoseconds >= SECOND) {
        room->nanoseconds -= SECOND;
        room->seconds++;
    }
    return room;
}

static const struct timespec *moved_on(int clock, const struct timespec *deadline, struct timespec *room) {
    return is_frozen(clock) ? moved(deadline, room) : deadline;
}

static long distance(long a, long b) { return a < b ? b - a : a - b; }

/* For objects that do not tell their clock: it is the one whose present is nearer. */
static const struct timespec *moved_if_wall(const struct timespec *deadline, struct timespec *room) {
    long monotonic = real_time(CLOCK_MONOTONIC).seconds;
    if (!deadline || distance(deadline->seconds, frozen_seconds()) > distance(deadline->seconds, monotonic))
        return deadline;
    return moved(deadline, room);
}

typedef int One(void *, const struct timespec *);
typedef int OneOn(void *, int, const struct timespec *);
typedef int Two(void *, void *, const struct timespec *);
typedef int TwoOn(void *, void *, int, const struct timespec *);

#define WAITS_ON_ONE(name, missing)                                                                                    \
    EXPORT int name(void *object, const struct timespec *deadline) {                                                   \
        struct timespec room;                                                                                          \
        NEXT(#name, One, missing, object, moved(deadline, &room));                                                     \
    }

#define WAITS_ON_ONE_BY(name, missing)                                                                                 \
    EXPORT int name(void *object, int clock, const struct timespec *deadline) {                                        \
        struct timespec room;                                                                                          \
        NEXT(#name, OneOn, missing, object, clock, moved_on(clock, deadline, &room));                                  \
    }

WAITS_ON_ONE(sem_timedwait, without())
WAITS_ON_ONE_BY(sem_clockwait, without())
WAITS_ON_ONE(pthread_mutex_timedlock, ENOSYS)
WAITS_ON_ONE_BY(pthread_mutex_clocklock, ENOSYS)
WAITS_ON_ONE(pthread_rwlock_timedrdlock, ENOSYS)
WAITS_ON_ONE_BY(pthread_rwlock_clockrdlock, ENOSYS)
WAITS_ON_ONE(pthread_rwlock_timedwrlock, ENOSYS)
WAITS_ON_ONE_BY(pthread_rwlock_clockwrlock, ENOSYS)

EXPORT int pthread_timedjoin_np(void *thread, void **result, const struct timespec *deadline) {
    struct timespec room;
    NEXT("pthread_timedjoin_np", Two, ENOSYS, thread, result, moved(deadline, &room));
}

EXPORT int pthread_cond_timedwait(void *condition, void *mutex, const struct timespec *deadline) {
    struct timespec room;
    NEXT("pthread_cond_timedwait", Two, ENOSYS, condition, mutex, moved_if_wall(deadline, &room));
}

EXPORT int pthread_cond_clockwait(void *condition, void *mutex, int clock, const struct timespec *deadline) {
    struct timespec room;
    NEXT("pthread_cond_clockwait", TwoOn, ENOSYS, condition, mutex, clock, moved_on(clock, deadline, &room));
}

typedef int Sleep(int, int, const struct timespec *, struct timespec *);

EXPORT int clock_nanosleep(int clock, int flags, const struct timespec *time, struct timespec *left) {
    struct timespec room;
    NEXT("clock_nanosleep", Sleep, ENOSYS, clock, flags, flags & ABSOLUTE ? moved_on(clock, time, &room) : time, left);
}

/* A timer that is given a time; zero disarms it. */
static const struct itimerspec *moved_timer(int flags, const struct itimerspec *new, struct itimerspec *room) {
    if (!(flags & ABSOLUTE) || !new || (!new->value.seconds && !new->value.nanoseconds))
        return new;
    room->interval = new->interval;
    room->value = *moved_if_wall(&new->value, &room->value);
    return room;
}

typedef int SetTimer(void *, int, const struct itimerspec *, struct itimerspec *);
typedef int SetTimerFile(int, int, const struct itimerspec *, struct itimerspec *);

EXPORT int timer_settime(void *timer, int flags, const struct itimerspec *new, struct itimerspec *old) {
    struct itimerspec room;
    NEXT("timer_settime", SetTimer, without(), timer, flags, moved_timer(flags, new, &room), old);
}

EXPORT int timerfd_settime(int fd, int flags, const struct itimerspec *new, struct itimerspec *old) {
    struct itimerspec room;
    NEXT("timerfd_settime", SetTimerFile, without(), fd, flags, moved_timer(flags, new, &room), old);
}
