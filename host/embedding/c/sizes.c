/* What the profiles take here: memory besides the data buffers, the processor's time to open, and the addresses that are
 * reserved. One line each, `name value`. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "pathmanager.h"

static uint64_t cpu_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

static void profile(const char *name, const struct pm_limits *limits) {
  struct pm_host *host;
  struct pm_options options = {.limits = *limits, .seed = 1};
  size_t bytes = pm_memory_bytes(limits);
  uint64_t began_ns = cpu_ns();
  if (pm_open(&host, &options) < 0) exit(1);
  uint64_t took_ns = cpu_ns() - began_ns;
  pm_close(host);
  printf("%s_bytes %zu\n%s_bytes_without_buffers %zu\n%s_open_us %llu\n", name, bytes, name,
         bytes - limits->pool_bytes - limits->region_bytes, name, (unsigned long long)(took_ns / 1000));
}

int main(void) {
  char line[128];
  profile("tiny", &pm_tiny);
  profile("appliance", &pm_appliance);
  profile("server", &pm_server);
  FILE *status = fopen("/proc/self/status", "r");
  while (status != NULL && fgets(line, sizeof line, status) != NULL) {
    unsigned long kib;
    if (sscanf(line, "VmPeak: %lu", &kib) == 1) printf("addresses_kib %lu\n", kib);
  }
  if (status != NULL) fclose(status);
  return 0;
}
