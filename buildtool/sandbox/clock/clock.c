/* Wall-clock time stands still: every way to ask for it answers one instant.
 *
 * Monotonic clocks, processor times and timers run as ever. */

#include "system.h"

/* The builder of the sandbox writes the seconds behind the mark; volatile, so that no compiler knows them. */
static volatile struct {
    char mark[16];
    long long seconds;
} instant = {{'b', 'u', 'i', 'l', 'd', 't', 'o', 'o', 'l', '-', 'c', 'l', 'o', 'c', 'k', '!'}, 0};

struct timeval {
    long seconds;
    long microseconds;
};

struct timezone {
    int minutes_west;
    int dst_time;
};

struct timeb {
    long time;
    unsigned short milliseconds;
    short zone;
    short dst;
};

long frozen_seconds(void) { return instant.seconds; }

int is_frozen(int clock) {
    return clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE || clock == CLOCK_REALTIME_ALARM ||
           clock == CLOCK_TAI;
}

struct timespec real_time(int clock) {
    struct timespec now = {0, 0};
    system_call(SYS_clock_gettime, clock, (long)&now, 0, 0, 0, 0);
    return now;
}

EXPORT int clock_gettime(int clock, struct timespec *now) {
    if (!is_frozen(clock))
        return (int)returned(system_call(SYS_clock_gettime, clock, (long)now, 0, 0, 0, 0));
    now->seconds = frozen_seconds();
    now->nanoseconds = 0;
    return 0;
}

EXPORT long time(long *now) {
    if (now)
        *now = frozen_seconds();
    return frozen_seconds();
}

EXPORT int gettimeofday(struct timeval *now, struct timezone *zone) {
    if (now) {
        now->seconds = frozen_seconds();
        now->microseconds = 0;
    }
    if (zone) {
        zone->minutes_west = 0;
        zone->dst_time = 0;
    }
    return 0;
}

/* C11: the base TIME_UTC is 1; 0 stands for a base that is not supported. */
EXPORT int timespec_get(struct timespec *now, int base) {
    if (base != 1)
        return 0;
    clock_gettime(CLOCK_REALTIME, now);
    return base;
}

EXPORT int ftime(struct timeb *now) {
    now->time = frozen_seconds();
    now->milliseconds = 0;
    now->zone = 0;
    now->dst = 0;
    return 0;
}
