/* An appliance's program: all SCSI generic devices it is given are paths to one logical unit. It writes and reads back through them, verifies,
 * says what becomes of the paths, and feeds the watchdog in its own turn: no turn, no food.
 *
 *   appliance [--seconds N] [--ios N] [--watchdog FILE] /dev/sgN...
 *
 * 0 seconds: until SIGTERM. Otherwise until both are over. Status 0: no request failed, no byte was wrong */
#include <errno.h>
#include <fcntl.h>
#include <scsi/sg.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "core.h"
#include "pathmanager.h"
#include "port_sg.h"

#define PATHS_MAX 8
#define IO_BYTES 4096u
#define PLACES 512u
#define DEPTH 16
#define MS UINT64_C(1000000)
#define SECOND UINT64_C(1000000000)
#define PATROL_MS 1000

struct io {
  uint8_t data[IO_BYTES];
  uint32_t place;
  bool busy, write;
};

/* What a device says of its unit. */
struct disk {
  uint64_t blocks;
  uint32_t block_bytes;
  uint8_t identity[64];
  uint32_t identity_bytes;
};

static struct io ios[DEPTH];
static uint32_t versions[PLACES]; /* what the unit has to hold; 0: not known yet, so it is written first */
static uint8_t in_use[PLACES];
static uint32_t random_state = 2463534242u;
static uint64_t done, wrong, failed, back;
static int under_way;
static volatile sig_atomic_t over;

static void end(int number) {
  (void)number;
  over = 1;
}

static uint32_t draw(uint32_t below) {
  random_state ^= random_state << 13;
  random_state ^= random_state >> 17;
  random_state ^= random_state << 5;
  return random_state % below;
}

static void fill(uint8_t *data, uint32_t place, uint32_t version) {
  for (uint32_t at = 0; at < IO_BYTES; at += 8) {
    uint32_t words[2] = {place * 2654435761u + at, version};
    memcpy(data + at, words, sizeof words);
  }
}

static void stop(struct pm_host *host, const char *what, int error) {
  const char *failure = pm_failure(host);
  fprintf(stderr, "appliance: %s: %s%s%s\n", what, pm_error_text(error), failure ? "; " : "", failure ? failure : "");
  exit(1);
}

static int ask(int device, uint8_t *cdb, uint8_t cdb_bytes, uint8_t *data, uint32_t bytes) {
  uint8_t sense[32];
  sg_io_hdr_t header = {.interface_id = 'S', .dxfer_direction = SG_DXFER_FROM_DEV, .cmd_len = cdb_bytes, .cmdp = cdb,
                        .dxferp = data, .dxfer_len = bytes, .sbp = sense, .mx_sb_len = sizeof sense, .timeout = 5000};
  memset(data, 0, bytes);
  if (ioctl(device, SG_IO, &header) < 0) return -errno;
  return (header.info & SG_INFO_OK_MASK) == SG_INFO_OK ? 0 : -EIO;
}

static uint64_t big(const uint8_t *bytes, int count) {
  uint64_t value = 0;
  for (int i = 0; i < count; i++) value = value << 8 | bytes[i];
  return value;
}

/* READ CAPACITY (16), and the NAA designator of VPD page 83h (SPC-4 7.8.6). The first question may be answered by a unit attention. */
static int look(const char *name, struct disk *disk) {
  uint8_t capacity[16] = {0x9e, 0x10, [13] = 32}, page[6] = {0x12, 1, 0x83, 0, 252}, data[252];
  int device = open(name, O_RDWR | O_NONBLOCK | O_CLOEXEC), error = -errno;
  if (device < 0) return error;
  for (int i = 0; i < 3 && (error = ask(device, capacity, 16, data, 32)) == -EIO; i++) continue;
  if (error == 0) {
    disk->blocks = big(data, 8) + 1;
    disk->block_bytes = (uint32_t)big(data + 8, 4);
    error = ask(device, page, 6, data, sizeof data);
  }
  close(device);
  if (error < 0) return error;
  uint32_t end = 4 + (uint32_t)big(data + 2, 2);
  for (uint32_t at = 4; at + 4 <= end && at + 4 + data[at + 3] <= sizeof data; at += 4 + data[at + 3]) {
    uint32_t bytes = data[at + 3];
    if ((data[at + 1] & 0x3f) != 3 || bytes + 2 > sizeof disk->identity) continue;
    disk->identity[0] = 3;
    disk->identity[1] = data[at] & 15;
    memcpy(disk->identity + 2, data + at + 4, bytes);
    disk->identity_bytes = bytes + 2;
    return 0;
  }
  return -ENXIO;
}

static void submit_more(struct pm_host *host, uint32_t unit) {
  for (int i = 0; i < DEPTH; i++) {
    struct io *io = &ios[i];
    if (io->busy) continue;
    io->place = draw(PLACES);
    if (in_use[io->place]) continue;
    io->write = versions[io->place] == 0 || draw(2) == 0;
    if (io->write) fill(io->data, io->place, versions[io->place] + 1);
    else memset(io->data, 0xee, sizeof io->data);
    struct pm_io request = {
        .unit = unit,
        .operation = io->write ? PM_OPERATION_WRITE : PM_OPERATION_READ,
        .offset = (uint64_t)io->place * IO_BYTES,
        .bytes = IO_BYTES,
        .data = io->data,
        .cookie = (uint64_t)i,
    };
    int error = pm_submit(host, &request);
    if (error == PM_E_FULL) return;
    if (error < 0) stop(host, "pm_submit", error);
    io->busy = true;
    under_way++;
    in_use[io->place] = 1;
  }
}

static bool is_right(const struct io *io) {
  uint8_t expected[IO_BYTES];
  fill(expected, io->place, versions[io->place]);
  return memcmp(expected, io->data, IO_BYTES) == 0;
}

static void take(struct pm_host *host) {
  struct pm_answer answers[DEPTH];
  int count = pm_poll(host, answers, DEPTH);
  for (int i = 0; i < count; i++) {
    struct io *io = &ios[answers[i].cookie];
    bool good = answers[i].error == 0 && (io->write || is_right(io));
    if (!good) fprintf(stderr, "appliance: place %u: errno %d, or wrong data\n", io->place, answers[i].error);
    else if (io->write) versions[io->place]++;
    wrong += !good;
    io->busy = false;
    under_way--;
    in_use[io->place] = 0;
    if (done++ == 0) {
      struct timespec now;
      clock_gettime(CLOCK_BOOTTIME, &now);
      printf("appliance: first block %lld ms after the kernel's start\n", (long long)now.tv_sec * 1000 + now.tv_nsec / 1000000);
    }
  }
}

static void tell(struct pm_host *host, char **names) {
  for (struct pm_event event; pm_next_event(host, &event);) {
    if (event.kind == PM_EVENT_FAILBACK_DONE) {
      printf("appliance: %s came back\n", names[event.path]);
      back++;
    } else if (event.kind == PM_EVENT_PATH_STATE && (~event.argument0 & event.argument1 & PM_PATH_FLAG_FAILED) != 0) {
      printf("appliance: %s failed\n", names[event.path]);
      failed++;
    }
  }
}

static void feed(int watchdog, uint64_t now_ns) {
  static uint64_t fed_ns;
  if (watchdog < 0 || now_ns - fed_ns < SECOND) return;
  fed_ns = now_ns;
  if (write(watchdog, "", 1) < 0) perror("appliance: watchdog");
}

static struct pm_sg_port ports[PATHS_MAX];
static struct pm_sg_port *port_list[PATHS_MAX];

static uint32_t open_unit(struct pm_host **host, char **names, int count) {
  struct disk disk, other;
  struct pm_options options = {.limits = pm_appliance, .seed = (uint64_t)getpid(), .now_ns = pm_clock_ns()};
  int error = look(names[0], &disk);
  if (error < 0) fprintf(stderr, "appliance: %s: %s\n", names[0], strerror(-error)), exit(1);
  if ((error = pm_open(host, &options)) < 0) stop(NULL, "pm_open", error);
  pm_core_mode_set(pm_core_of(*host), PM_MODE_PATROL_INTERVAL_MS, PATROL_MS);
  struct pm_unit_config config = {.block_bytes = disk.block_bytes, .blocks = disk.blocks, .policy = PM_POLICY_ROUND_ROBIN,
                                  .identity = disk.identity, .identity_bytes = disk.identity_bytes};
  int unit = pm_unit_add(*host, &config);
  if (unit < 0) stop(*host, "pm_unit_add", unit);
  for (int i = 0; i < count; i++) {
    port_list[i] = &ports[i];
    if ((error = look(names[i], &other)) == 0) error = pm_sg_open(&ports[i], names[i], DEPTH + 1);
    if (error < 0) fprintf(stderr, "appliance: %s: %s\n", names[i], strerror(-error)), exit(1);
    /* The core asks each path who it is as well, and uses none that leads elsewhere. */
    int path = pm_path_add(*host, (uint32_t)unit, &ports[i].port, (uint32_t)(i + 1), DEPTH);
    if (path < 0) stop(*host, names[i], path);
  }
  return (uint32_t)unit;
}

static void turn(struct pm_host *host, uint64_t now_ns) {
  int error = pm_turn(host, now_ns);
  if (error < 0) stop(host, "pm_turn", error);
  take(host);
}

static void wait(struct pm_host *host, uint64_t now_ns, int count) {
  uint64_t due_ns = pm_next_deadline(host);
  pm_sg_wait(port_list, count, due_ns < now_ns + SECOND ? due_ns : now_ns + SECOND);
}

/* What is under way is answered, and what paths still have ends: its data is in the host's memory. */
static void close_unit(struct pm_host *host, int count) {
  for (uint64_t now_ns; now_ns = pm_clock_ns(), under_way > 0 || pm_close(host) == PM_E_BUSY; wait(host, now_ns, count))
    turn(host, now_ns);
  for (int i = 0; i < count; i++) pm_sg_close(&ports[i]);
}

int main(int count, char **words) {
  uint64_t seconds = 0, ios_min = 0;
  int watchdog = -1, at = 1;
  for (; at + 1 < count && words[at][0] == '-'; at += 2) {
    if (strcmp(words[at], "--seconds") == 0) seconds = strtoull(words[at + 1], NULL, 10);
    else if (strcmp(words[at], "--ios") == 0) ios_min = strtoull(words[at + 1], NULL, 10);
    else if (strcmp(words[at], "--watchdog") == 0) watchdog = open(words[at + 1], O_WRONLY | O_CLOEXEC);
  }
  if (at >= count || count - at > PATHS_MAX) {
    fprintf(stderr, "usage: appliance [--seconds N] [--ios N] [--watchdog FILE] /dev/sgN... (1 to %d devices)\n", PATHS_MAX);
    return 2;
  }
  setvbuf(stdout, NULL, _IOLBF, 0);
  signal(SIGTERM, end);
  struct pm_host *host;
  uint32_t unit = open_unit(&host, words + at, count - at), all = (1u << (count - at)) - 1;
  struct pm_unit_info info = {0};
  uint64_t begin_ns = pm_clock_ns(), now_ns = begin_ns;
  /* For a little longer, if a path has not come back by then. */
  do {
    submit_more(host, unit);
    turn(host, now_ns = pm_clock_ns());
    tell(host, words + at);
    feed(watchdog, now_ns);
    wait(host, now_ns, count - at);
    uint32_t before = info.usable;
    pm_unit_info(host, unit, &info);
    if (info.usable != before) printf("appliance: %d of %d paths usable\n", __builtin_popcount(info.usable), count - at);
  } while (!over && (seconds == 0 || done < ios_min || now_ns - begin_ns < seconds * SECOND ||
                     (info.usable != all && now_ns - begin_ns < (seconds + 30) * SECOND)));
  close_unit(host, count - at);
  printf("appliance: %llu I/Os, %llu wrong or failed; paths failed %llu times and came back %llu times; %d of %d usable\n",
         (unsigned long long)done, (unsigned long long)wrong, (unsigned long long)failed, (unsigned long long)back,
         __builtin_popcount(info.usable), count - at);
  /* Closed in order: the watchdog does not bite. */
  if (watchdog >= 0 && write(watchdog, "V", 1) < 0) perror("appliance: watchdog");
  return wrong == 0 && (over || info.usable == all) ? 0 : 1;
}
