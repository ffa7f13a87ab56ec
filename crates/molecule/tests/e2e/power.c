/* A disk that forgets what was not flushed. Loaded into a process, it keeps beside each file below POWER_ROOT what was in
 * it when it was last flushed successfully: that, and any part of what was written since, is what a power cut may leave.
 * A rename counts as flushed, as journalling file systems order it behind the data that was flushed before. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Where the flushed content of `path` is kept; 0 if it is not below the root. */
static int kept(const char *path, char *name, size_t size) {
    const char *root = getenv("POWER_ROOT"), *store = getenv("POWER_KEPT");
    size_t length = root ? strlen(root) : 0;
    if (!root || !store || strncmp(path, root, length) || path[length] != '/') return 0;
    int used = snprintf(name, size, "%s/", store);
    if (used < 0 || (size_t)used + strlen(path + length + 1) + 1 > size) return 0;
    strcpy(name + used, path + length + 1);
    for (char *c = name + used; *c; c++)
        if (*c == '/') *c = '%';
    return 1;
}

static void keep(int fd) {
    int before = errno;
    char link[64], path[4096], name[8192], beside[8300];
    struct stat about;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length > 0 && !fstat(fd, &about) && S_ISREG(about.st_mode)) {
        path[length] = 0;
        if (kept(path, name, sizeof name)) {
            snprintf(beside, sizeof beside, "%s.%ld.tmp", name, (long)gettid());
            int from = open(path, O_RDONLY | O_CLOEXEC);
            if (from < 0) { /* deleted meanwhile: nobody will find it */
                errno = before;
                return;
            }
            int to = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
            char block[65536];
            ssize_t got = -1;
            if (to >= 0)
                while ((got = read(from, block, sizeof block)) > 0)
                    if (write(to, block, (size_t)got) != got) abort();
            if (got != 0) abort();
            close(from);
            close(to);
            int (*move)(const char *, const char *) = dlsym(RTLD_NEXT, "rename");
            if (move(beside, name)) abort();
        }
    }
    errno = before;
}

int fsync(int fd) {
    int (*flush)(int) = dlsym(RTLD_NEXT, "fsync");
    int failed = flush(fd);
    if (!failed) keep(fd);
    return failed;
}

int fdatasync(int fd) {
    int (*flush)(int) = dlsym(RTLD_NEXT, "fdatasync");
    int failed = flush(fd);
    if (!failed) keep(fd);
    return failed;
}

int rename(const char *from, const char *to) {
    int (*move)(const char *, const char *) = dlsym(RTLD_NEXT, "rename");
    int failed = move(from, to);
    char before[8192], after[8192];
    if (!failed && kept(from, before, sizeof before) && kept(to, after, sizeof after)) move(before, after);
    return failed;
}
