/* Verified load on a block device: one request at a time, without the page cache.
 *
 *   load DEVICE STOP      until the file STOP is there; status 0: no request failed, no byte was wrong */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define BYTES 4096u
#define PLACES 512u

static uint32_t versions[PLACES];
static uint64_t state = 88172645463325252u;

static uint32_t draw(uint32_t below) {
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return (uint32_t)(state % below);
}

static void fill(uint8_t *data, uint32_t place) {
  for (uint32_t at = 0; at < BYTES; at += 8) memcpy(data + at, (uint32_t[]){place * 2654435761u + at, versions[place]}, 8);
}

static long long now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (long long)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int main(int count, char **words) {
  if (count != 3) return 2;
  int device = open(words[1], O_RDWR | O_DIRECT);
  uint8_t *data = aligned_alloc(BYTES, BYTES), *expected = aligned_alloc(BYTES, BYTES);
  if (device < 0 || data == NULL || expected == NULL) return perror(words[1]), 1;
  uint64_t done = 0, wrong = 0;
  long long longest_ms = 0;
  while (access(words[2], F_OK) != 0) {
    uint32_t place = draw(PLACES);
    int write = versions[place] == 0 || draw(2) == 0;
    long long began_ms = now_ms();
    if (write) versions[place]++;
    fill(expected, place);
    ssize_t moved = write ? pwrite(device, expected, BYTES, (off_t)place * BYTES) : pread(device, data, BYTES, (off_t)place * BYTES);
    if (moved != BYTES || (!write && memcmp(data, expected, BYTES) != 0)) {
      printf("load: place %u: %s\n", place, moved < 0 ? strerror(errno) : "wrong data");
      wrong++;
    }
    long long took_ms = now_ms() - began_ms;
    if (took_ms > longest_ms) longest_ms = took_ms;
    done++;
  }
  printf("load: %llu I/Os, %llu wrong or failed, longest %lld ms\n", (unsigned long long)done, (unsigned long long)wrong, longest_ms);
  return wrong != 0;
}
