/* Preloaded into e2fsprogs: writes down, in order, what a program does to one file.
 *
 * COMPUTATOM_TARGET is the file, COMPUTATOM_TRACE where the record goes: one letter (W write, Z zeros, F flush), then
 * offset and length as 8 bytes each in the machine's order, then for W the bytes.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static int record = -1;

static void must(int good) {
  if (!good) {
    dprintf(2, "trace: cannot keep the record\n");
    _exit(99);
  }
}

static int is_target(int fd) {
  struct stat target, file;
  const char *path = getenv("COMPUTATOM_TARGET");
  if (path == NULL || stat(path, &target) != 0 || fstat(fd, &file) != 0) return 0;
  return target.st_dev == file.st_dev && target.st_ino == file.st_ino;
}

/* How much of a write the target takes: a block device does not grow. */
static size_t taken(int fd, off64_t offset, size_t count) {
  struct stat file;
  must(fstat(fd, &file) == 0);
  if (offset >= file.st_size) return 0;
  return count < (size_t)(file.st_size - offset) ? count : (size_t)(file.st_size - offset);
}

static void put(const void *bytes, size_t count) {
  static ssize_t (*real)(int, const void *, size_t);
  if (real == NULL) real = dlsym(RTLD_NEXT, "write");
  while (count > 0) {
    ssize_t done = real(record, bytes, count);
    must(done > 0);
    bytes = (const char *)bytes + done;
    count -= (size_t)done;
  }
}

static void note(char kind, uint64_t offset, uint64_t length, const void *bytes) {
  if (record < 0) {
    const char *path = getenv("COMPUTATOM_TRACE");
    must(path != NULL);
    record = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    must(record >= 0);
  }
  put(&kind, 1);
  put(&offset, 8);
  put(&length, 8);
  if (bytes != NULL) put(bytes, length);
}

ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t offset) {
  static ssize_t (*real)(int, const void *, size_t, off64_t);
  if (real == NULL) real = dlsym(RTLD_NEXT, "pwrite64");
  int traced = is_target(fd);
  if (traced && count > 0 && (count = taken(fd, offset, count)) == 0) {
    errno = ENOSPC;
    return -1;
  }
  ssize_t done = real(fd, bytes, count, offset);
  if (done > 0 && traced) note('W', (uint64_t)offset, (uint64_t)done, bytes);
  return done;
}

ssize_t pwrite(int fd, const void *bytes, size_t count, off_t offset) { return pwrite64(fd, bytes, count, offset); }

ssize_t write(int fd, const void *bytes, size_t count) {
  static ssize_t (*real)(int, const void *, size_t);
  if (real == NULL) real = dlsym(RTLD_NEXT, "write");
  int traced = is_target(fd);
  off64_t offset = lseek64(fd, 0, SEEK_CUR);
  if (traced && count > 0 && (count = taken(fd, offset, count)) == 0) {
    errno = ENOSPC;
    return -1;
  }
  ssize_t done = real(fd, bytes, count);
  if (done > 0 && traced) note('W', (uint64_t)offset, (uint64_t)done, bytes);
  return done;
}

int fallocate64(int fd, int mode, off64_t offset, off64_t length) {
  static int (*real)(int, int, off64_t, off64_t);
  if (real == NULL) real = dlsym(RTLD_NEXT, "fallocate64");
  int traced = is_target(fd);
  if (traced && taken(fd, offset, (size_t)length) != (size_t)length) {
    errno = EINVAL;
    return -1;
  }
  int answer = real(fd, mode, offset, length);
  if (answer == 0 && traced) {
    must(mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE));
    note('Z', (uint64_t)offset, (uint64_t)length, NULL);
  }
  return answer;
}

int fallocate(int fd, int mode, off_t offset, off_t length) { return fallocate64(fd, mode, offset, length); }

int fsync(int fd) {
  static int (*real)(int);
  if (real == NULL) real = dlsym(RTLD_NEXT, "fsync");
  if (is_target(fd)) note('F', 0, 0, NULL);
  return real(fd);
}

int fdatasync(int fd) { return fsync(fd); }

/* Nothing else is expected; what is used nevertheless must not go unnoticed. */
int ftruncate64(int fd, off64_t length) {
  struct stat file;
  static int (*real)(int, off64_t);
  if (real == NULL) real = dlsym(RTLD_NEXT, "ftruncate64");
  must(!is_target(fd) || (fstat(fd, &file) == 0 && file.st_size == length));
  return real(fd, length);
}

int ftruncate(int fd, off_t length) { return ftruncate64(fd, length); }
