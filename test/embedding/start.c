/* An appliance that serves one block and ends; with -DBARE nothing. How long each takes from exec is compared. */
#ifdef BARE
int main(void) { return 0; }
#else
#include "pathmanager.h"
#include "port_memory.h"

static uint8_t bytes[512 * 64], data[512];

int main(void) {
  struct pm_host *host;
  struct pm_options options = {.limits = pm_appliance, .now_ns = 1};
  struct pm_disk disk = {.data = bytes, .blocks = 64, .block_bytes = 512};
  struct pm_unit_config config = {.block_bytes = 512, .blocks = 64};
  struct pm_memory_port port;
  struct pm_answer answer;
  pm_memory_port_init(&port, &disk);
  if (pm_open(&host, &options) < 0 || pm_unit_add(host, &config) < 0) return 1;
  if (pm_path_add(host, 0, &port.port, 1, 8) < 0) return 2;
  struct pm_io io = {.unit = 0, .operation = PM_OPERATION_READ, .bytes = 512, .data = data};
  if (pm_submit(host, &io) < 0 || pm_turn(host, 1000) < 0) return 3;
  return pm_poll(host, &answer, 1) == 1 && answer.error == 0 ? 0 : 4;
}
#endif
