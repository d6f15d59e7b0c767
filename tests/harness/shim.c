/*
 * A library to preload into an httpd: a file system that hangs, and clocks that step back.
 *
 * Owns: what the real thing would do to system calls. Must not: touch any other path or clock than the variables of its
 * environment say.
 *
 *   SHIM_SLOW_PATH   a path; calls for it or for anything that begins alike
 *   SHIM_SLOW_WHILE  do not return while this file is there,
 *   SHIM_HELD        and each of them adds one byte to this file, which must be there
 *   SHIM_BACK_WHILE  while this file is there, clocks are an hour behind:
 *   SHIM_BACK        "wall" is the wall clock alone, "all" the monotonic clock as well
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define HOUR 3600

static int is_there(const char *path)
{
    /* Not by a function of libc: this library stands in front of some of them. */
    return path != NULL && syscall(SYS_faccessat, AT_FDCWD, path, F_OK) == 0;
}

static void add_a_byte(const char *path)
{
    int file = path == NULL ? -1 : open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
    if (file >= 0) {
        ssize_t written = write(file, "x", 1);
        (void)written;
        close(file);
    }
}

static void hang(const char *path)
{
    const char *slow = getenv("SHIM_SLOW_PATH"), *while_there = getenv("SHIM_SLOW_WHILE");
    const struct timespec pause = { 0, 2 * 1000 * 1000 };
    int before = errno, is_held = 0;
    if (slow == NULL || path == NULL || strncmp(path, slow, strlen(slow)) != 0) {
        return;
    }
    while (is_there(while_there)) {
        if (!is_held) {
            is_held = 1;
            add_a_byte(getenv("SHIM_HELD"));
        }
        nanosleep(&pause, NULL);
    }
    errno = before;
}

ssize_t readlink(const char *restrict path, char *restrict text, size_t size)
{
    hang(path);
    return syscall(SYS_readlinkat, AT_FDCWD, path, text, size);
}

#define HANGING(function, structure)                                                  \
    int function(const char *restrict path, struct structure *restrict status)       \
    {                                                                                 \
        int (*real)(const char *, struct structure *) = dlsym(RTLD_NEXT, #function); \
        hang(path);                                                                   \
        return real(path, status);                                                    \
    }

HANGING(stat, stat)
HANGING(lstat, stat)
HANGING(stat64, stat64)
HANGING(lstat64, stat64)

static time_t behind(clockid_t clock)
{
    const char *which = getenv("SHIM_BACK");
    int is_wall = clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE;
    int before = errno;
    int is_back = which != NULL && (is_wall || strcmp(which, "all") == 0) && is_there(getenv("SHIM_BACK_WHILE"));
    errno = before;
    return is_back ? HOUR : 0;
}

int clock_gettime(clockid_t clock, struct timespec *time)
{
    int result = syscall(SYS_clock_gettime, clock, time);
    if (result == 0) {
        time->tv_sec -= behind(clock);
    }
    return result;
}

int gettimeofday(struct timeval *restrict time, void *restrict zone)
{
    int result = syscall(SYS_gettimeofday, time, zone);
    if (result == 0) {
        time->tv_sec -= behind(CLOCK_REALTIME);
    }
    return result;
}

time_t time(time_t *place)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (place != NULL) {
        *place = now.tv_sec;
    }
    return now.tv_sec;
}
