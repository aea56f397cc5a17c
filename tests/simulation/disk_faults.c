// Preloaded into a program under test: counts its calls that change files below a folder, and lets the n-th
// of them go wrong. What goes wrong, and when, stands in a small file that the test maps too
// (disk_faults.py).
//
//   LD_PRELOAD=libdisk_faults.so DISK_FAULTS=CONTROL_FILE DISK_FAULTS_FOLDER=FOLDER DISK_FAULTS_PROGRAM=WORD
//
// Only a process whose first argument is WORD takes part, so that children are left alone.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

// Keep in step with disk_faults.py.
enum Fault {
  kNothing,
  kDieBefore,   // SIGKILL, the call is not made
  kDieAfter,    // SIGKILL, the call is made, the program never hears of it
  kDieWithin,   // SIGKILL, half of the bytes are written
  kPowerLoss,   // as kDieBefore, and what was not synced is gone: all of it, or (seed != 0) some of it
  kError,       // `error` instead of the call, and of the `repeat` - 1 calls after it
  kShortWrite,  // half of the bytes are written and counted; then as kError
};
struct Control {
  volatile uint32_t fault;
  volatile uint32_t at;     // the call that goes wrong, from 1; 0: only count
  volatile uint32_t calls;  // since the test set it to 0
  volatile uint32_t repeat;
  volatile uint32_t error;
  volatile uint32_t seed;
  volatile uint32_t fired;     // calls that went wrong
  volatile uint32_t attached;  // 1: a program counts here
  char what[256];              // the first call that went wrong
};

// A change that a loss of power takes back as long as nobody synced the file.
struct Change {
  struct Change* older;
  dev_t device;
  ino_t inode;
  int fd;  // our own
  off_t offset;
  size_t size;
  off_t file_size;  // before
  size_t old_size;  // bytes in `old`: less than `size` behind the end
  char* old;
  int kept;
};

static struct Control* control;
static char folder[PATH_MAX];
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct Change* changes;  // youngest first

static ssize_t (*real_write)(int, const void*, size_t);
static ssize_t (*real_pwrite)(int, const void*, size_t, off_t);
static int (*real_fsync)(int);
static int (*real_fdatasync)(int);
static int (*real_ftruncate)(int, off_t);
static int (*real_unlink)(const char*);
static int (*real_rename)(const char*, const char*);

__attribute__((constructor)) static void attach(void) {
  *(void**)&real_write = dlsym(RTLD_NEXT, "write");
  *(void**)&real_pwrite = dlsym(RTLD_NEXT, "pwrite64");
  *(void**)&real_fsync = dlsym(RTLD_NEXT, "fsync");
  *(void**)&real_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
  *(void**)&real_ftruncate = dlsym(RTLD_NEXT, "ftruncate64");
  *(void**)&real_unlink = dlsym(RTLD_NEXT, "unlink");
  *(void**)&real_rename = dlsym(RTLD_NEXT, "rename");
  const char* path = getenv("DISK_FAULTS");
  const char* below = getenv("DISK_FAULTS_FOLDER");
  const char* word = getenv("DISK_FAULTS_PROGRAM");
  if (!path || !below || !word) return;
  char arguments[4096] = "";
  int fd = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
  ssize_t size = fd < 0 ? 0 : read(fd, arguments, sizeof arguments - 2);
  if (fd >= 0) close(fd);
  if (size <= 0 || strcmp(arguments + strlen(arguments) + 1, word) != 0) return;
  snprintf(folder, sizeof folder, "%s/", below);
  fd = open(path, O_RDWR | O_CLOEXEC);
  if (fd < 0) return;
  void* map = mmap(NULL, sizeof(struct Control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  close(fd);
  if (map == MAP_FAILED) return;
  control = map;
  control->attached = 1;
}

// The regular file's path, when it is one of ours.
static int is_ours(int fd, char* path) {
  if (!control) return 0;
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t size = readlink(link, path, PATH_MAX - 1);
  if (size <= 0) return 0;
  path[size] = 0;
  if (strncmp(path, folder, strlen(folder)) != 0) return 0;
  struct stat status;
  return fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
}

static void forget_changes(int fd) {
  struct stat status;
  if (!changes || fstat(fd, &status) != 0) return;
  for (struct Change** at = &changes; *at;) {
    struct Change* change = *at;
    if (change->device != status.st_dev || change->inode != status.st_ino) {
      at = &change->older;
      continue;
    }
    *at = change->older;
    close(change->fd);
    free(change->old);
    free(change);
  }
}

static void remember_change(const char* path, int fd, off_t offset, size_t size) {
  struct stat status;
  if (control->fault != kPowerLoss || fstat(fd, &status) != 0) return;
  struct Change* change = calloc(1, sizeof *change);
  change->device = status.st_dev;
  change->inode = status.st_ino;
  change->fd = open(path, O_RDWR | O_CLOEXEC);
  change->offset = offset;
  change->size = size;
  change->file_size = status.st_size;
  change->old = malloc(size + 1);
  ssize_t had = change->fd < 0 ? 0 : pread(change->fd, change->old, size, offset);
  change->old_size = had > 0 ? (size_t)had : 0;
  change->older = changes;
  changes = change;
}

static int overlap(const struct Change* a, const struct Change* b) {
  return a->inode == b->inode && a->device == b->device && a->offset < b->offset + (off_t)b->size &&
         b->offset < a->offset + (off_t)a->size;
}

static void take_back(struct Change* change) {
  struct stat status;
  if (change->fd < 0 || fstat(change->fd, &status) != 0) return;
  off_t end = change->offset + (off_t)change->size;
  if (change->old_size > 0) real_pwrite(change->fd, change->old, change->old_size, change->offset);
  if (end >= status.st_size && change->file_size <= status.st_size) {
    real_ftruncate(change->fd, change->file_size);
  } else if (change->old_size < change->size) {  // a hole before what was kept
    size_t hole = change->size - change->old_size;
    char* zeros = calloc(1, hole);
    real_pwrite(change->fd, zeros, hole, change->offset + (off_t)change->old_size);
    free(zeros);
  }
}

// Whatever was written since the last sync of its file may be there after a loss of power, or not.
static void lose_power(void) {
  unsigned seed = control->seed;
  for (struct Change* change = changes; change; change = change->older) {
    if (control->seed != 0) change->kept = rand_r(&seed) % 2;
    for (struct Change* younger = changes; younger != change; younger = younger->older)
      change->kept |= younger->kept && overlap(younger, change);
    if (!change->kept) take_back(change);
  }
}

static void die(void) {
  kill(getpid(), SIGKILL);
  for (;;) pause();
}

// Counts a call. Returns what is to happen to it; deaths before it do not return. The mutex is held.
static enum Fault count(const char* call, const char* path, size_t size) {
  uint32_t number = ++control->calls;
  enum Fault fault = control->fault;
  uint32_t at = control->at, repeat = control->repeat ? control->repeat : 1;
  if (fault == kNothing || at == 0 || number < at || number >= at + repeat) return kNothing;
  if (control->fired++ == 0)
    snprintf(control->what, sizeof control->what, "%s of %zu bytes, %s", call, size, path + strlen(folder));
  if (fault == kPowerLoss) lose_power();
  if (fault == kDieBefore || fault == kPowerLoss) die();
  if (fault == kShortWrite && number > at) fault = kError;
  if (fault == kError) errno = (int)control->error;
  return fault;
}

static ssize_t written(const char* call, int fd, const void* bytes, size_t size, off_t offset) {
  char path[PATH_MAX];
  int at_place = offset >= 0;
  if (!is_ours(fd, path))
    return at_place ? real_pwrite(fd, bytes, size, offset) : real_write(fd, bytes, size);
  pthread_mutex_lock(&mutex);
  enum Fault fault = count(call, path, size);
  size_t amount = fault == kDieWithin || fault == kShortWrite ? size / 2 : size;
  ssize_t result = -1;
  if (fault != kError) {
    if (at_place) remember_change(path, fd, offset, amount);
    result = at_place ? real_pwrite(fd, bytes, amount, offset) : real_write(fd, bytes, amount);
  }
  if (fault == kDieAfter || fault == kDieWithin) die();
  pthread_mutex_unlock(&mutex);
  return result;
}

ssize_t write(int fd, const void* bytes, size_t size) {
  if (!real_write) attach();
  return written("write", fd, bytes, size, -1);
}
ssize_t pwrite64(int fd, const void* bytes, size_t size, off_t offset) {
  return written("pwrite", fd, bytes, size, offset);
}
ssize_t pwrite(int fd, const void* bytes, size_t size, off_t offset) {
  return written("pwrite", fd, bytes, size, offset);
}

static int synced(const char* call, int fd, int (*real)(int)) {
  char path[PATH_MAX];
  if (!is_ours(fd, path)) return real(fd);
  pthread_mutex_lock(&mutex);
  enum Fault fault = count(call, path, 0);
  int result = fault == kError || fault == kShortWrite ? -1 : real(fd);
  if (fault == kError || fault == kShortWrite)
    errno = EIO;  // space is missed when bytes are written, not later
  if (result == 0) forget_changes(fd);
  if (fault == kDieAfter || fault == kDieWithin) die();
  pthread_mutex_unlock(&mutex);
  return result;
}
int fsync(int fd) { return synced("fsync", fd, real_fsync); }
int fdatasync(int fd) { return synced("fdatasync", fd, real_fdatasync); }

int ftruncate64(int fd, off_t size) {
  char path[PATH_MAX];
  if (!is_ours(fd, path)) return real_ftruncate(fd, size);
  pthread_mutex_lock(&mutex);
  enum Fault fault = count("ftruncate", path, (size_t)size);
  int result = fault == kError ? -1 : real_ftruncate(fd, size);
  if (fault == kDieAfter || fault == kDieWithin) die();
  pthread_mutex_unlock(&mutex);
  return result;
}
int ftruncate(int fd, off_t size) { return ftruncate64(fd, size); }

static int named(const char* call, const char* path, int (*one)(const char*), const char* to) {
  int ours = control && strncmp(path, folder, strlen(folder)) == 0;
  if (!ours) return to ? real_rename(path, to) : one(path);
  pthread_mutex_lock(&mutex);
  enum Fault fault = count(call, path, 0);
  int result = -1;
  if (fault != kError) result = to ? real_rename(path, to) : one(path);
  if (fault == kDieAfter || fault == kDieWithin) die();
  pthread_mutex_unlock(&mutex);
  return result;
}
int unlink(const char* path) { return named("unlink", path, real_unlink, NULL); }
int rename(const char* from, const char* to) { return named("rename", from, NULL, to); }
