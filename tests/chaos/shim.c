/* Faults below one process, loaded with LD_PRELOAD: what the kernel would answer on a bad day.
 *
 *   SHIM_PATHS   what a file's path must contain (the state store and its log)
 *   SHIM_FIRED   a file that gets a line as soon as a fault was injected
 *   SHIM_EIO     N: the Nth write or sync of those files fails with EIO; SHIM_FOR=all: every later one, too
 *   SHIM_CUT     N: the power goes at the Nth sync; "end": at the end of the process. What was written and not synced
 *                is undone then, in reverse order. Names (created, removed) are taken to be durable at once.
 *   SHIM_CLOCK   a file: once it exists, the wall clock is SHIM_JUMP seconds off
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

struct undo { char path[4096]; off_t size, at; size_t length; char *old; dev_t device; ino_t inode; struct undo *before; };
static struct undo *last;
static long calls, syncs;
static pthread_mutex_t lock = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;

static ssize_t plain_write(int fd, const void *data, size_t length) { return syscall(SYS_write, fd, data, length); }

static void fired(const char *what) {
    const char *file = getenv("SHIM_FIRED");
    if (!file) return;
    int fd = syscall(SYS_openat, AT_FDCWD, file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0) return;
    plain_write(fd, what, strlen(what));
    plain_write(fd, "\n", 1);
    close(fd);
}

static int watched(int fd, char *path, size_t room) {
    const char *part = getenv("SHIM_PATHS");
    char name[64];
    if (!part) return 0;
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(name, path, room - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return strstr(path, part) != NULL && strstr(path, "-shm") == NULL;
}

static int broken(void) {
    const char *nth = getenv("SHIM_EIO"), *all = getenv("SHIM_FOR");
    if (!nth) return 0;
    calls++;
    if (calls < atol(nth) || (calls > atol(nth) && !(all && !strcmp(all, "all")))) return 0;
    fired("eio");
    errno = EIO;
    return 1;
}

static void remember(int fd, const char *path, off_t at, size_t length) {
    struct stat found;
    if (!getenv("SHIM_CUT") || fstat(fd, &found)) return;
    struct undo *one = calloc(1, sizeof *one);
    snprintf(one->path, sizeof one->path, "%s", path);
    one->size = found.st_size, one->at = at, one->device = found.st_dev, one->inode = found.st_ino;
    if (at < found.st_size) {
        one->length = (size_t)(found.st_size - at) < length ? (size_t)(found.st_size - at) : length;
        one->old = malloc(one->length);
        if (syscall(SYS_pread64, fd, one->old, one->length, at) != (ssize_t)one->length) one->length = 0;
    }
    one->before = last, last = one;
}

static void durable(int fd) {
    struct stat found;
    if (fstat(fd, &found)) return;
    for (struct undo **one = &last; *one;) {
        struct undo *gone = *one;
        if (gone->device == found.st_dev && gone->inode == found.st_ino) {
            *one = gone->before;
            free(gone->old), free(gone);
        } else one = &gone->before;
    }
}

static void cut(void) {
    for (struct undo *one = last; one; one = one->before) {
        struct stat found;
        int fd = syscall(SYS_openat, AT_FDCWD, one->path, O_RDWR | O_CLOEXEC, 0);
        if (fd < 0) continue;
        if (!fstat(fd, &found) && found.st_ino == one->inode) {
            if (one->length) syscall(SYS_pwrite64, fd, one->old, one->length, one->at);
            syscall(SYS_ftruncate, fd, one->size);
        }
        close(fd);
    }
    last = NULL;
    fired("cut");
}

__attribute__((destructor)) static void end(void) {
    const char *when = getenv("SHIM_CUT");
    if (when && !strcmp(when, "end") && calls) cut();
}

static ssize_t written(int fd, const void *data, size_t length, off_t at, int number) {
    char path[4096];
    pthread_mutex_lock(&lock);
    int ours = watched(fd, path, sizeof path), bad = 0;
    if (ours) {
        if (!getenv("SHIM_EIO")) calls++;
        bad = broken();
        if (!bad) remember(fd, path, number == SYS_write ? lseek(fd, 0, SEEK_CUR) : at, length);
    }
    ssize_t done = bad ? -1 : number == SYS_write ? syscall(number, fd, data, length) : syscall(number, fd, data, length, at);
    pthread_mutex_unlock(&lock);
    return done;
}

ssize_t write(int fd, const void *data, size_t length) { return written(fd, data, length, 0, SYS_write); }
ssize_t pwrite(int fd, const void *data, size_t length, off_t at) { return written(fd, data, length, at, SYS_pwrite64); }
ssize_t pwrite64(int fd, const void *data, size_t length, off_t at) { return written(fd, data, length, at, SYS_pwrite64); }

static int synced(int fd, int number) {
    char path[4096];
    const char *when = getenv("SHIM_CUT");
    pthread_mutex_lock(&lock);
    int ours = watched(fd, path, sizeof path), done = -1;
    if (ours && when && ++syncs == atol(when)) {
        cut();
        kill(getpid(), SIGKILL);
    }
    if (!ours || !broken()) {
        done = syscall(number, fd);
        if (ours && !done) durable(fd);
    }
    pthread_mutex_unlock(&lock);
    return done;
}

int fsync(int fd) { return synced(fd, SYS_fsync); }
int fdatasync(int fd) { return synced(fd, SYS_fdatasync); }

static int resized(int fd, off_t size) {
    char path[4096];
    pthread_mutex_lock(&lock);
    struct stat found;
    if (watched(fd, path, sizeof path) && !fstat(fd, &found) && size < found.st_size)
        remember(fd, path, size, found.st_size - size);
    int done = syscall(SYS_ftruncate, fd, size);
    pthread_mutex_unlock(&lock);
    return done;
}

int ftruncate(int fd, off_t size) { return resized(fd, size); }
int ftruncate64(int fd, off_t size) { return resized(fd, size); }

static long jump(void) {
    static int told;
    const char *file = getenv("SHIM_CLOCK"), *seconds = getenv("SHIM_JUMP");
    if (!file || !seconds || syscall(SYS_faccessat, AT_FDCWD, file, F_OK)) return 0;
    if (!told) told = 1, fired("clock");
    return atol(seconds);
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    int done = syscall(SYS_clock_gettime, clock, now);
    if (!done && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) now->tv_sec += jump();
    return done;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    int done = syscall(SYS_gettimeofday, now, zone);
    if (!done) now->tv_sec += jump();
    return done;
}

time_t time(time_t *into) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (into) *into = now.tv_sec;
    return now.tv_sec;
}
