/* A disk with ways of its own, laid before libc (LD_PRELOAD). ODD_DISK says which, as words:

   short      two writes in three do less than they were asked to
   broken     one write in three is broken off before it began (EINTR)
   nolink     there are no hard links
   nomode     modes, owners and times cannot be set
   nodirsync  a directory cannot be synced
   nolock     there are no locks of files

   ODD_ERROR is the errno with which something that there is not is refused. Only paths below
   ODD_ROOT are concerned, except for links, whose paths may be relative. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

static int odd(const char *word) {
    const char *words = getenv("ODD_DISK");
    return words && strstr(words, word) != NULL;
}

static int refused(void) {
    const char *number = getenv("ODD_ERROR");
    errno = number ? atoi(number) : EPERM;
    return -1;
}

static int concerns(int fd) {
    const char *root = getenv("ODD_ROOT");
    char link[64], path[PATH_MAX];
    if (!root) return 1;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return strncmp(path, root, strlen(root)) == 0;
}

static unsigned turn(void) {
    static unsigned count;
    return __atomic_fetch_add(&count, 1, __ATOMIC_RELAXED);
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static size_t cut(int fd, size_t count) {
    if (count < 2 || !concerns(fd)) return count;
    unsigned now = turn();
    if (odd("broken") && now % 3 == 2) return 0;
    return odd("short") && now % 3 != 0 ? 1 + (now * 2654435761u) % (count - 1) : count;
}

ssize_t write(int fd, const void *data, size_t count) {
    size_t some = cut(fd, count);
    if (count && !some) { errno = EINTR; return -1; }
    return REAL(write)(fd, data, some);
}

ssize_t pwrite(int fd, const void *data, size_t count, off_t at) {
    size_t some = cut(fd, count);
    if (count && !some) { errno = EINTR; return -1; }
    return REAL(pwrite)(fd, data, some, at);
}

ssize_t pwrite64(int fd, const void *data, size_t count, off64_t at) {
    size_t some = cut(fd, count);
    if (count && !some) { errno = EINTR; return -1; }
    return REAL(pwrite64)(fd, data, some, at);
}

int link(const char *old, const char *new) {
    return odd("nolink") ? refused() : REAL(link)(old, new);
}

int linkat(int from, const char *old, int to, const char *new, int flags) {
    return odd("nolink") ? refused() : REAL(linkat)(from, old, to, new, flags);
}

int fchmod(int fd, mode_t mode) {
    return odd("nomode") && concerns(fd) ? refused() : REAL(fchmod)(fd, mode);
}

int fchmodat(int at, const char *path, mode_t mode, int flags) {
    int here = at == AT_FDCWD || concerns(at);
    return odd("nomode") && here ? refused() : REAL(fchmodat)(at, path, mode, flags);
}

int chmod(const char *path, mode_t mode) {
    return odd("nomode") ? refused() : REAL(chmod)(path, mode);
}

int fchown(int fd, uid_t user, gid_t group) {
    return odd("nomode") && concerns(fd) ? refused() : REAL(fchown)(fd, user, group);
}

int futimens(int fd, const struct timespec times[2]) {
    return odd("nomode") && concerns(fd) ? refused() : REAL(futimens)(fd, times);
}

int utimensat(int at, const char *path, const struct timespec times[2], int flags) {
    int here = at == AT_FDCWD || concerns(at);
    return odd("nomode") && here ? refused() : REAL(utimensat)(at, path, times, flags);
}

int fsync(int fd) {
    struct stat what;
    if (odd("nodirsync") && fstat(fd, &what) == 0 && S_ISDIR(what.st_mode) && concerns(fd))
        return refused();
    return REAL(fsync)(fd);
}

int flock(int fd, int how) {
    return odd("nolock") && concerns(fd) ? refused() : REAL(flock)(fd, how);
}
