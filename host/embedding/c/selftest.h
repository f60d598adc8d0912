/* What the files of the selftest share. */
#ifndef PATHMANAGER_SELFTEST_H
#define PATHMANAGER_SELFTEST_H
#include "core.h"
#include "pathmanager.h"
#include "port_memory.h"

void promise(bool holds, const char *what);

/* 1024 blocks of 512 bytes, and a unit of them. */
extern struct pm_disk disk;
extern const struct pm_unit_config unit_config;

struct pm_host *open_host(struct pm_limits limits);

/* selftest_open.c */
void opening(void);

#endif
